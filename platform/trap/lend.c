/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connected sockets of the host's that are lent to a stub (stub/lent.c uses them). One process of an
 * address space has them, the first that was lent one; a process that is forked from it, or shares its
 * memory, closes its copies before it begins (blob.S).
 *
 * A number is taken when it is lent, and free again once the stub has closed it: at the next resume of one
 * of its threads that finds it unused, which the thread says by coming here again. A stub that does
 * not close it keeps a socket that it was given, until the number is lent anew, which puts another in its
 * place. So what hostile stubs can keep is bounded: by the numbers that those there are have ever had
 * (TOTAL_MAX), and, where a fork may have copies, by what was taken back there (KEPT_MAX).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "platform/trap/trap.h"

#define WORDS (LENT_MAX / 64)
#define TOTAL_MAX 16384
#define KEPT_MAX 4096

static unsigned total;        /* trap.lock */
static _Atomic unsigned kept; /* taken back from processes that have forked */

struct lends {
    unsigned stub;                        /* [I] serial of the one whose descriptors they are */
    uint64_t used[WORDS], closing[WORDS]; /* trap.lock; and of these, those to be closed */
    unsigned high;                        /* trap.lock; numbers that have been used */
    _Atomic unsigned nclosing;
};

static uint32_t *word_of(struct aspace *as, unsigned gfd)
{
    return (uint32_t *)(as->chan + ((size_t)LENT_BLOCK << BLOCK_SHIFT)) + gfd;
}

/* trap.lock held. */
static struct lends *lends_of(struct ctx *c)
{
    struct aspace *as = c->stub->as;
    struct lends *l = atomic_load(&as->lends);

    if (!l && (l = calloc(1, sizeof *l))) {
        l->stub = c->stub->serial;
        atomic_store(&as->lends, l);
    }
    return l && l->stub == c->stub->serial ? l : NULL;
}

void lends_free(struct aspace *as)
{
    struct lends *l = atomic_load(&as->lends);

    if (!l)
        return;
    pthread_mutex_lock(&trap.lock);
    total -= l->high;
    pthread_mutex_unlock(&trap.lock);
    free(l);
}

static int take_number(struct ctx *c)
{
    struct lends *l;
    int n = -ENFILE;

    pthread_mutex_lock(&trap.lock);
    l = lends_of(c);
    for (unsigned w = 0; l && w < WORDS && n < 0; w++) {
        if (~l->used[w]) {
            unsigned bit = (unsigned)__builtin_ctzll(~l->used[w]), at = w * 64 + bit;

            if (at >= l->high && total == TOTAL_MAX)
                break;
            total += at >= l->high;
            l->high = at < l->high ? l->high : at + 1;
            l->used[w] |= 1ull << bit;
            n = (int)(LENT_FIRST + at);
        }
    }
    pthread_mutex_unlock(&trap.lock);
    return n;
}

static void set_free_locked(struct lends *l, unsigned n)
{
    l->used[(n - LENT_FIRST) / 64] &= ~(1ull << ((n - LENT_FIRST) % 64));
}

int ctx_lend(struct ctx *c, int fd)
{
    struct seccomp_notif_addfd add = { .id = atomic_load(&c->notif),
                                       .flags = SECCOMP_ADDFD_FLAG_SETFD,
                                       .srcfd = (uint32_t)fd,
                                       .newfd_flags = O_CLOEXEC };
    int n, r;

    if (!trap.lends || c->posted || !add.id || atomic_load(&c->state) != CTX_HELD ||
        atomic_load(&c->stale))
        return -EAGAIN;
    if (c->stub->as->forks && atomic_load(&kept) >= KEPT_MAX)
        return -ENFILE;
    n = take_number(c);
    if (n < 0)
        return n;
    add.newfd = (uint32_t)n;
    r = notif_ioctl(c->l->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    if (r < 0) {
        pthread_mutex_lock(&trap.lock);
        set_free_locked(atomic_load(&c->stub->as->lends), (unsigned)n);
        pthread_mutex_unlock(&trap.lock);
        return r;
    }
    aspace_ref(c->stub->as);
    return n;
}

void ctx_lends(struct ctx *c, bool on)
{
    struct lends *l = atomic_load(&c->stub->as->lends);

    __atomic_store_n(&c->block->lends, on && l && l->stub == c->stub->serial, __ATOMIC_RELAXED);
}

void as_lent(struct aspace *as, unsigned gfd, int n, unsigned how)
{
    uint32_t w = 0;

    if (gfd >= LENT_FDS)
        return;
    if (n > 0)
        w = (uint32_t)n | (how & LENT_HOW_NONBLOCK ? LENT_NONBLOCK : 0) |
            (how & LENT_HOW_IN_WAITS ? LENT_IN_WAITS : 0) |
            (how & LENT_HOW_OUT_WAITS ? LENT_OUT_WAITS : 0);
    __atomic_store_n(word_of(as, gfd), w, __ATOMIC_SEQ_CST);
}

void as_unlend(struct aspace *as, unsigned gfd, int n)
{
    struct lends *l = atomic_load(&as->lends);

    as_lent(as, gfd, 0, 0);
    if (as->forks)
        atomic_fetch_add(&kept, 1);
    pthread_mutex_lock(&trap.lock);
    l->closing[((unsigned)n - LENT_FIRST) / 64] |= 1ull << (((unsigned)n - LENT_FIRST) % 64);
    atomic_fetch_add(&l->nclosing, 1);
    pthread_mutex_unlock(&trap.lock);
    aspace_put(as);
}

/* trap.lock held. As the stub says it; a thread that never says that it has done keeps it from being closed. */
static bool is_used(const struct stub *s, unsigned n)
{
    for (struct tlist *p = s->ctxs.next; p != &s->ctxs; p = p->next) {
        struct ctx *c = tlist_entry(p, struct ctx, stub_link);

        if (__atomic_load_n(&c->block->lent_use, __ATOMIC_SEQ_CST) == n)
            return true;
    }
    return false;
}

bool lend_has_work(struct ctx *c)
{
    struct lends *l = atomic_load_explicit(&c->stub->as->lends, memory_order_relaxed);

    return l && l->stub == c->stub->serial &&
           (c->nclosing || atomic_load_explicit(&l->nclosing, memory_order_relaxed));
}

void lend_closed(struct ctx *c)
{
    struct lends *l = atomic_load(&c->stub->as->lends);

    pthread_mutex_lock(&trap.lock);
    while (c->nclosing > 0)
        set_free_locked(l, c->closing[--c->nclosing]);
    pthread_mutex_unlock(&trap.lock);
}

unsigned lend_close(struct ctx *c, struct block_op *b)
{
    struct lends *l = atomic_load(&c->stub->as->lends);

    pthread_mutex_lock(&trap.lock);
    for (unsigned w = 0; w < WORDS && c->nclosing < CTX_CLOSING; w++) {
        for (uint64_t left = l->closing[w]; left && c->nclosing < CTX_CLOSING; left &= left - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(left), n = LENT_FIRST + w * 64 + bit;

            if (is_used(c->stub, n))
                continue;
            l->closing[w] &= ~(1ull << bit);
            atomic_fetch_sub(&l->nclosing, 1);
            b[c->nclosing] = (struct block_op){ .nr = SYS_close, .always = 1, .a = { n } };
            c->closing[c->nclosing++] = (uint16_t)n;
        }
    }
    pthread_mutex_unlock(&trap.lock);
    return c->nclosing;
}
