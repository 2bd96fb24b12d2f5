/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of contexts and stubs. A ctx is found by its host tid once it is born, by its nonce before:
 * a random number that stands only in the parent's block until the child shows it in a register, so
 * that no other process can claim the child's place.
 *
 * References of a ctx: one of the sentry's (until ctx_free or ctx_exit), one of the stub's list
 * while the host thread may still ring (dropped when the stub is dead or the block is reused).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/trap/trap.h"

struct stub *stub_new(struct aspace *as, struct listener *l)
{
    struct stub *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->refs = 1;
    s->pidfd = -1;
    s->as = as;
    aspace_ref(as);
    s->l = l;
    if (l) {
        listener_ref(l);
        atomic_fetch_add(&l->nstubs, 1);
    }
    tlist_init(&s->ctxs);
    tlist_init(&s->leave_link);
    tlist_init(&s->pool);
    pthread_mutex_lock(&trap.lock);
    tlist_add(&as->stubs, &s->as_link);
    s->serial = ++as->nserial;
    pthread_mutex_unlock(&trap.lock);
    return s;
}

void stub_put(struct stub *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    pthread_mutex_lock(&trap.lock);
    tlist_del(&s->as_link);
    pthread_mutex_unlock(&trap.lock);
    if (s->pidfd >= 0)
        close(s->pidfd);
    if (s->l) {
        listener_lost_stub(s->l);
        listener_put(s->l);
    }
    aspace_put(s->as);
    free(s);
}

/* Its process exists: watch its death. The watch holds a reference. */
int stub_born(struct stub *s, pid_t pid)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (fd < 0)
        return -errno;
    s->pid = pid;
    s->pidfd = fd;
    atomic_fetch_add(&s->refs, 1);
    if (epoll_ctl(trap.epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        atomic_fetch_sub(&s->refs, 1);
        return -errno;
    }
    atomic_store(&s->watched, true); /* from here on it may be taken out again */
    return 0;
}

/* True: the watch's reference is the caller's now. */
bool stub_unwatch(struct stub *s)
{
    if (!atomic_exchange(&s->watched, false))
        return false;
    epoll_ctl(trap.epoll_fd, EPOLL_CTL_DEL, s->pidfd, NULL);
    return true;
}

void stub_kill(struct stub *s)
{
    if (s->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
}

/* Blocks of threads that were told to exit come back once the host has no such thread any more. */
static void reap_leaving(struct stub *s)
{
    struct ctx *gone[8];
    unsigned n = 0;

    pthread_mutex_lock(&trap.lock);
    for (struct tlist *p = s->ctxs.next, *next; p != &s->ctxs && n < 8; p = next) {
        struct ctx *c = tlist_entry(p, struct ctx, stub_link);

        next = p->next;
        if (c->leaving && syscall(SYS_tgkill, s->pid, c->tid, 0) < 0 && errno == ESRCH) {
            c->leaving = false;
            tlist_del(p); /* or the stub's death would give the thread's reference back, too */
            gone[n++] = c;
        }
    }
    pthread_mutex_unlock(&trap.lock);
    while (n > 0)
        ctx_drop(gone[--n]);
}

struct ctx *ctx_new(struct aspace *as, struct stub *s, struct listener *l, int wanted)
{
    struct ctx *c = calloc(1, sizeof *c);
    int index;

    if (!c)
        return NULL;
    reap_leaving(s);
    atomic_fetch_add(&s->nlive, 1);
    pthread_mutex_lock(&trap.lock);
    index = block_alloc(as, wanted);
    if (index < 0) {
        pthread_mutex_unlock(&trap.lock);
        atomic_fetch_sub(&s->nlive, 1);
        free(c);
        return NULL;
    }
    c->index = (unsigned)index;
    c->block = block_at(as, c->index);
    c->block->index = c->index;
    c->block->seq = 0;
    c->block->self = block_addr(c->index);
    c->block->magic = BLOB_MAGIC;
    c->block->classes = stubs.slot + trap.light_class;
    ctx_words_forget(c);
    c->stub = s;
    atomic_fetch_add(&s->refs, 1);
    c->refs = 2;
    tlist_init(&c->wait_link);
    tlist_init(&c->pool_link);
    while (getrandom(&c->nonce, sizeof c->nonce, 0) != sizeof c->nonce || c->nonce == 0)
        ;
    tlist_add(&s->ctxs, &c->stub_link);
    tlist_add(&trap.unborn, &c->hash_link);
    pthread_mutex_unlock(&trap.lock);
    c->l = l;
    if (l) {
        listener_ref(l);
        atomic_fetch_add(&l->nctx, 1);
        c->counts = l != s->l;
        if (c->counts)
            atomic_fetch_add(&l->nstubs, 1);
    }
    return c;
}

/* c, without one so far, has l to itself: it counts as one of those that can ring there. */
void ctx_own_listener(struct ctx *c, struct listener *l)
{
    listener_ref(l);
    atomic_fetch_add(&l->nctx, 1);
    atomic_fetch_add(&l->nstubs, 1);
    atomic_fetch_add(&c->stub->nown, 1);
    c->l = l;
    c->own = true;
}

struct ctx *ctx_new_child(struct ctx *parent, unsigned flags)
{
    struct aspace *as = parent->stub->as;
    struct stub *s = parent->stub;
    /* a thread that was ready would not have inherited that reading the counter is a fault */
    struct ctx *c = as->no_tsc ? NULL : threads_take(parent, flags);

    if (c)
        return c;
    if (flags & AS_CLONE_VM) {
        aspace_ref(as);
    } else {
        as = aspace_new();
        if (!as)
            return NULL;
        as->own_gs = parent->stub->as->own_gs;
        as->no_tsc = parent->stub->as->no_tsc;
    }
    if (flags & AS_CLONE_THREAD) {
        atomic_fetch_add(&s->refs, 1);
        atomic_store(&s->threaded, true);
    } else {
        pool_expect_exec();
        s = stub_new(as, parent->l);
    }
    c = s ? ctx_new(as, s, parent->l, flags & AS_CLONE_VM ? -1 : (int)parent->index) : NULL;
    if (c)
        c->clone_flags = flags;
    if (c && !(flags & AS_CLONE_VM))
        ctx_words_fork(c, parent);
    if (c)
        c->nsplits = parent->nsplits;
    if (s)
        stub_put(s);
    aspace_put(as);
    return c;
}

uint64_t ctx_word(struct ctx *c, enum ctx_word w)
{
    return __atomic_load_n(&c->block->words[w], __ATOMIC_SEQ_CST);
}

void ctx_set_word(struct ctx *c, enum ctx_word w, uint64_t v)
{
    _Static_assert(CW_BLOCKED == KEPT_BLOCKED && CW_PENDING == KEPT_PENDING &&
                       CW_ROBUST == KEPT_ROBUST && CW_RSEQ == KEPT_RSEQ &&
                       CW_RSEQ_LEN == KEPT_RSEQ_LEN && CW_RSEQ_SIG == KEPT_RSEQ_SIG &&
                       (int)CTX_WORDS == KEPT_WORDS,
                   "same order");
    __atomic_store_n(&c->block->words[w], v, __ATOMIC_SEQ_CST);
}

void ctx_words_forget(struct ctx *c)
{
    __atomic_store_n(&c->block->keeps, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&c->block->lends, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&c->block->lent_use, 0, __ATOMIC_RELAXED);
    for (unsigned w = 0; w < CTX_WORDS; w++)
        ctx_set_word(c, (enum ctx_word)w, 0);
}

void ctx_words_fork(struct ctx *child, struct ctx *parent)
{
    for (unsigned w = CW_RSEQ; w <= CW_RSEQ_SIG; w++)
        ctx_set_word(child, (enum ctx_word)w, ctx_word(parent, (enum ctx_word)w));
}

/* Its maker has done with c: whoever shows this has it. Its stub's death takes it back. */
uint64_t ctx_nonce(struct ctx *c)
{
    uint64_t nonce;

    pthread_mutex_lock(&trap.lock);
    nonce = c->nonce;
    pthread_mutex_unlock(&trap.lock);
    return nonce;
}

void ctx_get(struct ctx *c)
{
    atomic_fetch_add(&c->refs, 1);
}

/* The last one goes under trap.lock, together with the lists: nobody finds a ctx that has none. */
static bool was_last(struct ctx *c)
{
    int n = atomic_load(&c->refs);
    bool last;

    while (n > 1) {
        if (atomic_compare_exchange_weak(&c->refs, &n, n - 1))
            return false;
    }
    pthread_mutex_lock(&trap.lock);
    last = atomic_fetch_sub(&c->refs, 1) == 1;
    if (last) {
        tlist_del(&c->hash_link);
        tlist_del(&c->stub_link);
    }
    if (last && !c->left) {
        atomic_fetch_add(&trap.st.local, __atomic_load_n(&c->block->local, __ATOMIC_RELAXED));
        block_free(c->stub->as, c->index);
    }
    pthread_mutex_unlock(&trap.lock);
    return last;
}

void ctx_drop(struct ctx *c)
{
    struct stub *s = c->stub;

    if (!was_last(c))
        return;
    ops_clone_forget(c);
    if (c->own)
        atomic_fetch_sub(&s->nown, 1);
    if (c->own || c->counts)
        listener_lost_stub(c->l);
    if (c->l)
        listener_put(c->l);
    if (c->left_l)
        listener_put(c->left_l);
    stub_put(s);
    free(c);
}

struct ctx *ctx_by_tid(pid_t tid)
{
    struct tlist *h = &trap.tids[(unsigned)tid % TID_HASH];
    struct ctx *found = NULL;

    pthread_mutex_lock(&trap.lock);
    for (struct tlist *n = h->next; n != h; n = n->next) {
        struct ctx *c = tlist_entry(n, struct ctx, hash_link);

        if (c->tid == tid && !c->stub->dead) {
            found = c;
            ctx_get(c);
            break;
        }
    }
    pthread_mutex_unlock(&trap.lock);
    return found;
}

/*
 * The thread of c has rung. A ctx that was left under the same tid belongs to a thread that is over
 * (the host does not have two of one number): its place goes.
 */
void ctx_hash_locked(struct ctx *c, pid_t tid)
{
    struct tlist *h = &trap.tids[(unsigned)tid % TID_HASH];

    for (struct tlist *n = h->next, *next; n != h; n = next) {
        struct ctx *old = tlist_entry(n, struct ctx, hash_link);

        next = n->next;
        if (old->tid == tid)
            tlist_del(n);
    }
    c->tid = tid;
    tlist_del(&c->hash_link);
    tlist_add(&trap.tids[(unsigned)tid % TID_HASH], &c->hash_link);
}

/*
 * From here on no event of c finds an owner: the owner may go. A stub that ends so is no news: its
 * death wakes nobody, and what is left of it goes with the next round of housekeeping.
 */
bool ctx_leave(struct ctx *c)
{
    struct stub *s = c->stub;
    bool again;

    pthread_mutex_lock(&trap.lock);
    again = atomic_exchange(&c->freed, true);
    c->owner = NULL;
    ops_await_locked(c);
    pthread_mutex_unlock(&trap.lock);
    if (again)
        return false;
    if (c->l)
        atomic_fetch_sub(&c->l->nctx, 1);
    if (atomic_fetch_sub(&s->nlive, 1) != 1)
        return false;
    if (stub_unwatch(s))
        house_leaving(s);
    stub_kill(s);
    return true;
}

/*
 * The sentry has no more use for c. What the host thread may still use (its block) stays until it
 * is over: see reap_leaving, and the reaper for whole stubs.
 */
void ctx_free(struct ctx *c)
{
    bool unborn, handed_on;

    ctx_stop_waiting(c);
    if (c->spare && atomic_load(&c->state) == CTX_HELD) { /* it was never started */
        threads_write_end(c, false);
        answer(c, CTX_HELD, ANS_EXIT);
    }
    ctx_leave(c);
    pthread_mutex_lock(&trap.lock);
    unborn = atomic_load(&c->state) == CTX_UNBORN && c->nonce;
    handed_on = c->left && !tlist_empty(&c->stub_link); /* else the stub's death was first */
    if (unborn) {
        c->nonce = 0; /* whoever shows it now is refused */
        tlist_del(&c->hash_link);
        tlist_del(&c->stub_link); /* or the stub's death would drop the thread's reference, too */
    } else if (handed_on) {
        tlist_del(&c->stub_link);
    } else if (!c->stub->dead) {
        c->leaving = true;
    }
    pthread_mutex_unlock(&trap.lock);
    if (unborn || handed_on) /* the thread's reference */
        ctx_drop(c);
    ctx_drop(c);
}
