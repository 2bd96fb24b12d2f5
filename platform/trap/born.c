/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bells of a context: it shows its nonce, gets its channel where that is its own, and is
 * held from then on, in the pool (blanks) or for its owner (EV_BORN).
 *
 * Its maker may give it up at any moment, on another worker: when a stub dies during a clone, or
 * says that the clone failed although it did not. So a reference is held throughout, and whether it
 * is still wanted is decided under trap.lock.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <time.h>

#include "platform/trap/trap.h"

/* With a reference. */
static struct ctx *find_unborn(uint64_t nonce)
{
    struct ctx *found = NULL;

    pthread_mutex_lock(&trap.lock);
    for (struct tlist *n = trap.unborn.next; n != &trap.unborn; n = n->next) {
        struct ctx *c = tlist_entry(n, struct ctx, hash_link);

        if (c->nonce == nonce) {
            found = c;
            ctx_get(c);
            break;
        }
    }
    pthread_mutex_unlock(&trap.lock);
    return found;
}

/* The first bell of a process with a channel of its own: it gets the descriptor with the answer. */
static int give_channel(struct listener *l, struct ctx *c, uint64_t id)
{
    struct seccomp_notif_addfd add = { .id = id,
                                       .flags = SECCOMP_ADDFD_FLAG_SEND,
                                       .srcfd = (uint32_t)c->stub->as->chan_fd,
                                       .newfd_flags = 02000000 };

    int r = notif_ioctl(l->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

    return r < 0 ? r : 0;
}

static bool wants_channel(const struct ctx *c)
{
    return !(c->clone_flags & AS_CLONE_VM) && !c->given;
}

/*
 * Nobody will be told of the death of this process. It ends when it is answered with an error, and
 * whoever waits for it hears of it now.
 */
static void birth_failed(struct ctx *c)
{
    bool blank = c->blank;

    atomic_fetch_add(&c->stub->refs, 1);
    stub_died(c->stub);
    if (blank) {
        ctx_free(c);
        blank_lost();
    }
}

/* Its process exists. 1: it gets its channel, and rings again; 0: that was all. */
static int first_bell(struct listener *l, struct ctx *c, const struct seccomp_notif *n)
{
    bool process = !(c->clone_flags & AS_CLONE_THREAD);

    if (process && stub_born(c->stub, (pid_t)n->pid) < 0) {
        birth_failed(c);
        return -ENOSYS;
    }
    c->tid = (pid_t)n->pid;
    if (!wants_channel(c))
        return 0;
    atomic_store(&c->state, CTX_CHANNEL);
    (void)give_channel(l, c, n->id);
    return 1;
}

/* False: its maker has given it up meanwhile (the clone failed there, or was said to). */
static bool now_held(struct ctx *c, const struct seccomp_notif *n)
{
    bool wanted;

    pthread_mutex_lock(&trap.lock);
    wanted = !atomic_load(&c->freed) && !atomic_load(&c->gone) && !c->stub->dead;
    if (wanted) {
        ctx_hash_locked(c, (pid_t)n->pid);
        c->nonce = 0;
        c->notif = n->id;
        c->born_event = true;
        atomic_store(&c->state, CTX_HELD);
    }
    pthread_mutex_unlock(&trap.lock);
    return wanted;
}

void on_born(struct listener *l, const struct seccomp_notif *n)
{
    bool second = n->data.args[2] == 1;
    struct ctx *c = n->data.args[1] ? find_unborn(n->data.args[1]) : NULL;
    int r = -ENOSYS;

    if (c && atomic_load(&c->state) == (second ? CTX_CHANNEL : CTX_UNBORN) &&
        !(second && c->tid != (pid_t)n->pid))
        r = second ? 0 : first_bell(l, c, n);
    if (r == 0 && !now_held(c, n))
        r = -ENOSYS;
    if (r < 0)
        (void)notif_send(l, n->id, 0, r, 0);
    if (r == 0 && c->blank)
        pool_put(c);
    else if (r == 0 && c->spare)
        threads_back(c);
    else if (r == 0)
        deliver(c, EV_BORN);
    if (c)
        ctx_drop(c);
}

/*
 * A maker that lies, or a child that the host ends before its first bell (it has no memory to spare,
 * say): nobody else would ever tell, and its task could neither run nor be ended.
 */
#define COMES_WITHIN_MS 10000 /* a busy host may take long to run it for the first time */

static uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void born_promised(struct ctx *child)
{
    bool awaited;

    pthread_mutex_lock(&trap.lock);
    awaited = atomic_load(&child->state) == CTX_UNBORN && child->nonce && !child->spare;
    if (awaited)
        child->promised = now_ms();
    pthread_mutex_unlock(&trap.lock);
    if (awaited)
        house_watch();
}

/* One that is overdue, with a reference, its owner pinned; from here on it is not let in any more. */
static struct ctx *take_overdue(uint64_t now, void **ret_owner, bool *ret_more)
{
    struct ctx *found = NULL;

    *ret_more = false;
    pthread_mutex_lock(&trap.lock);
    for (struct tlist *n = trap.unborn.next; n != &trap.unborn && !found; n = n->next) {
        struct ctx *c = tlist_entry(n, struct ctx, hash_link);

        if (!c->promised || atomic_load(&c->state) != CTX_UNBORN || atomic_load(&c->gone) ||
            atomic_load(&c->freed) || !c->owner)
            continue;
        if (now < c->promised + COMES_WITHIN_MS) { /* promised may be later than now */
            *ret_more = true;
            continue;
        }
        atomic_store(&c->gone, true);
        ctx_get(c);
        *ret_owner = c->owner;
        trap.client->owner_ref(*ret_owner);
        found = c;
    }
    pthread_mutex_unlock(&trap.lock);
    return found;
}

bool born_overdue(void)
{
    uint64_t now = now_ms();
    void *owner = NULL;
    struct ctx *c;
    bool more;

    while ((c = take_overdue(now, &owner, &more))) {
        trap.client->event(owner, c, EV_GONE);
        trap.client->owner_put(owner);
        ctx_drop(c);
    }
    return more;
}
