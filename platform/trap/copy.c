/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying a frozen address space. The host forks the stub, so memory is shared copy-on-write; what
 * a fork does not give is made again:
 *
 *   1  each context that came by a light call comes again with a whole frame, and tells its fs base
 *   2  the first one forks; the child is held in its first bell, by the old listener still
 *   3  all are parked: no notification is left; the old listener is closed
 *   4  stub and child install a listener each (a process can have one only, so not before); ready
 *      threads of the stub (threads.c) keep theirs
 *   5  in the child the other threads are cloned again, with the registers of their originals
 *
 * Events of the contexts come to a job meanwhile, not to the client.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/trap/trap.h"

#define PATIENCE_S 5

bool job_took(struct ctx *c)
{
    struct job *j = c->job;

    if (!j)
        return false;
    pthread_mutex_lock(&j->lock);
    j->events++;
    pthread_cond_broadcast(&j->cond);
    pthread_mutex_unlock(&j->lock);
    return true;
}

/* Until n events have come since the last time. A stub that keeps us waiting is hostile or dead. */
static int job_wait(struct job *j, unsigned n)
{
    struct timespec until;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&j->lock);
    while (j->events < n && r == 0)
        r = pthread_cond_timedwait(&j->cond, &j->lock, &until);
    j->events = 0;
    pthread_mutex_unlock(&j->lock);
    return r ? -EIO : 0;
}

static int ops_sync(struct job *j, struct ctx *c, struct as_op *op, unsigned events)
{
    int r;

    ctx_run_ops(c, op, 1);
    r = job_wait(j, events);
    return r < 0 ? r : op->ret < 0 ? (int)op->ret : 0;
}

static void park(struct ctx *c)
{
    ctx_stop_waiting(c);
    if (atomic_load(&c->state) == CTX_HELD)
        ctx_park_now(c);
}

/* The stub's count and reference move from its listener to l (NULL: to none). */
static void set_listener(struct stub *s, struct listener *l)
{
    struct listener *old = s->l;

    if (l) {
        listener_ref(l);
        atomic_fetch_add(&l->nstubs, 1);
    }
    s->l = l;
    if (old) {
        atomic_fetch_sub(&old->nstubs, 1);
        listener_put(old);
    }
}

static void ctx_move(struct ctx *c, struct listener *l)
{
    struct listener *old = c->l;

    if (l) {
        listener_ref(l);
        atomic_fetch_add(&l->nctx, 1);
    }
    c->l = l;
    if (old) {
        atomic_fetch_sub(&old->nctx, 1);
        listener_put(old);
    }
}

/* c, parked and without a listener, installs one; it is held afterwards. */
static int new_listener(struct job *j, struct ctx *c, bool all_threads, struct listener **ret)
{
    struct as_op close_op = { .kind = AS_CLOSE, .fd = -1 };
    struct listener *l;
    int theirs, fd, r;

    r = write_listen_prog(
        c, all_threads ? SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH : 0u);
    if (r < 0)
        return r;
    ctx_unpark(c, CTX_RELISTEN, ANS_LISTEN);
    theirs = await_listener(c);
    if (theirs < 0)
        return theirs;
    fd = (int)syscall(SYS_pidfd_getfd, c->stub->pidfd, theirs, 0);
    if (fd < 0)
        return -errno;
    l = listener_new(fd);
    if (!l) {
        close(fd);
        return -ENOMEM;
    }
    *ret = l; /* with the reference */
    ctx_move(c, l);
    listener_start(l);
    r = job_wait(j, 1);
    if (r < 0)
        return r;
    close_op.a[0] = (uint64_t)theirs;
    return ops_sync(j, c, &close_op, 1);
}

/* As above, for the only or the first context of its stub. */
static int new_stub_listener(struct job *j, struct ctx *c, bool all_threads)
{
    struct listener *l = NULL;
    int r = new_listener(j, c, all_threads, &l);

    if (l) {
        set_listener(c->stub, l);
        listener_put(l);
    }
    return r;
}

/* Have they the same filters? Those with listeners of their own, and the nurse, have not. */
static bool are_alike(struct ctx *const *all, unsigned n, unsigned first)
{
    for (unsigned i = 0; i < n; i++) {
        if (all[i]->own || all[i]->nsplits)
            return false;
    }
    return !all[first]->stub->nurse;
}

/* The originals that had the listener that was closed: all at once, or one by one. */
static int relisten(struct job *j, struct ctx *const *all, unsigned n, unsigned first)
{
    bool together = are_alike(all, n, first);
    int r = new_stub_listener(j, all[first], together);

    for (unsigned i = 0; i < n && r == 0; i++) {
        struct listener *l = NULL;

        if (all[i]->l)
            continue;
        if (together) {
            ctx_move(all[i], all[first]->l);
            continue;
        }
        r = new_listener(j, all[i], false, &l);
        if (l) {
            atomic_fetch_add(&l->nstubs, 1);
            atomic_fetch_add(&all[i]->stub->nown, 1);
            all[i]->own = true;
            listener_put(l);
        }
    }
    return r;
}

/* What the others are cloned from: c's whole state, which a light call has left in the stub. */
static int whole_state(struct job *j, struct ctx *c)
{
    if (!c->light)
        return 0;
    ctx_want_frame(c);
    return job_wait(j, 1);
}

/* Another thread in the copy, as its original is. */
static int copy_thread(struct job *j, struct ctx *in, const struct ctx *original, uint64_t fs,
                       struct ctx **ret)
{
    unsigned flags = AS_CLONE_VM | AS_CLONE_THREAD | AS_CLONE_SETTLS;
    struct ctx *c = ctx_new_child(in, flags);
    struct as_op op = { .kind = AS_CLONE, .fd = -1, .a = { flags, fs }, .child = c };
    int r;

    if (!c)
        return -EAGAIN;
    c->job = j;
    r = ops_sync(j, in, &op, 2); /* its birth, and the operation's end */
    if (r < 0) {
        ctx_free(c);
        return r;
    }
    frame_clone(c, original);
    *ret = c;
    return 0;
}

static int fork_first(struct job *j, struct ctx *first, struct ctx **ret)
{
    struct ctx *c = ctx_new_child(first, 0);
    struct as_op op = { .kind = AS_CLONE, .fd = -1, .a = { 0 }, .child = c };
    int r;

    if (!c)
        return -EAGAIN;
    c->job = j;
    r = ops_sync(j, first, &op, 2);
    if (r < 0) {
        ctx_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

static int copy(struct job *j, struct ctx *const *all, unsigned n, unsigned first, struct ctx **ret,
                uint64_t *fs)
{
    struct listener *old = all[first]->l;
    int r = 0;

    for (unsigned i = 0; i < n && r == 0; i++) {
        struct as_op op = { .kind = AS_GET_FS, .fd = -1 };

        r = whole_state(j, all[i]);
        if (r == 0)
            r = ops_sync(j, all[i], &op, 1);
        fs[i] = (uint64_t)op.ret;
    }
    if (r == 0)
        r = fork_first(j, all[first], &ret[first]);
    if (r < 0)
        return r;
    listener_ref(old);
    for (unsigned i = 0; i < n; i++) {
        if (all[i]->l == old)
            park(all[i]);
    }
    park(ret[first]);
    listener_retire(old);
    for (unsigned i = 0; i < n; i++) {
        if (all[i]->l == old)
            ctx_move(all[i], NULL);
    }
    ctx_move(ret[first], NULL);
    set_listener(all[first]->stub, NULL);
    set_listener(ret[first]->stub, NULL);
    listener_put(old);
    r = relisten(j, all, n, first);
    if (r == 0)
        r = new_stub_listener(j, ret[first], false);
    for (unsigned i = 0; i < n && r == 0; i++) {
        if (i != first)
            r = copy_thread(j, ret[first], all[i], fs[i], &ret[i]);
    }
    return r;
}

static int sharers(struct ctx *const *all, unsigned n, const struct listener *l)
{
    int with = 0;

    for (unsigned i = 0; i < n; i++)
        with += all[i]->l == l;
    return with;
}

/* Who is to fork: a thread that has the stub's listener, which nobody but those of all may have. */
static int choose_first(struct ctx *const *all, unsigned n, unsigned *ret)
{
    const struct listener *l = all[0]->stub->l;
    unsigned with = 0, others = 0;

    for (unsigned i = 0; i < n; i++) {
        if (atomic_load(&all[i]->stale))
            return -EBUSY;
        if (all[i]->l == l && with++ == 0)
            *ret = i;
        else if (all[i]->l != l && atomic_load(&all[i]->l->nctx) != sharers(all, n, all[i]->l))
            others++;
    }
    return with == 0 || others || atomic_load(&l->nctx) != (int)with ? -EBUSY : 0;
}

int trap_as_copy(struct ctx *const *all, unsigned n, struct ctx **ret)
{
    struct job j = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };
    unsigned first = 0;
    uint64_t *fs;
    int r = n == 0 ? -EBUSY : choose_first(all, n, &first);

    if (r < 0)
        return r;
    fs = calloc(n, sizeof *fs);
    if (!fs)
        return -ENOMEM;
    memset(ret, 0, n * sizeof *ret);
    for (unsigned i = 0; i < n; i++)
        all[i]->job = &j;
    r = copy(&j, all, n, first, ret, fs);
    for (unsigned i = 0; i < n; i++) {
        all[i]->job = NULL;
        if (ret[i])
            ret[i]->job = NULL;
        if (ret[i] && r < 0)
            ctx_free(ret[i]);
    }
    free(fs);
    if (r == 0)
        as_ref(ret[0]->stub->as);
    return r;
}
