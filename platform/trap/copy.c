/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying a frozen address space. The host forks the stub, so memory is shared copy-on-write; what
 * a fork does not give is made again:
 *
 *   1  each context tells its fs base
 *   2  the first one forks; the child is held in its first bell, by the old listener still
 *   3  all are parked: no notification is left; the old listener is closed
 *   4  stub and child install a listener each (a process can have one only, so not before)
 *   5  in the child the other threads are cloned again, with the registers of their originals
 *
 * Events of the contexts come to a job meanwhile, not to the client.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/trap/bpf.h"
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
static void set_listener(struct stub *s, unsigned nctx, struct listener *l)
{
    struct listener *old = s->l;

    if (l) {
        listener_ref(l);
        atomic_fetch_add(&l->nstubs, 1);
        atomic_fetch_add(&l->nctx, (int)nctx);
    }
    s->l = l;
    if (old) {
        atomic_fetch_sub(&old->nctx, (int)nctx);
        atomic_fetch_sub(&old->nstubs, 1);
        listener_put(old);
    }
}

static int write_prog(struct ctx *c, bool all_threads)
{
    struct listen_prog *p = (struct listen_prog *)((char *)c->block + BLOCK_PROG_OFF);
    uint64_t at = block_addr(c->index) + BLOCK_PROG_OFF;
    struct bpf_asm a;
    int n;

    bpf_init(&a);
    n = filter_listen(&a);
    if (n < 0 || n > 16)
        return -E2BIG;
    p->flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | (trap.use_killable ? 32u : 0) |
               (all_threads ? SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH : 0u);
    p->prog.len = (uint16_t)n;
    p->prog.insns = at + offsetof(struct listen_prog, insn);
    memcpy(p->insn, a.insn, (size_t)n * sizeof a.insn[0]);
    return 0;
}

/* What the stub says its new descriptor is; it is only a number until pidfd_getfd has got it. */
static int await_descriptor(struct ctx *c)
{
    struct timespec ts = { .tv_sec = PATIENCE_S };
    int32_t v;

    while ((v = __atomic_load_n(&c->block->listener, __ATOMIC_ACQUIRE)) == LISTENER_NONE) {
        if (syscall(SYS_futex, &c->block->listener, FUTEX_WAIT, LISTENER_NONE, &ts, NULL, 0) < 0 &&
            errno == ETIMEDOUT)
            return -EIO;
    }
    return v;
}

/* c, parked, installs a listener for its stub, which has nctx contexts. It is held afterwards. */
static int new_listener(struct job *j, struct ctx *c, unsigned nctx, bool all_threads)
{
    struct as_op close_op = { .kind = AS_CLOSE, .fd = -1 };
    struct listener *l;
    int theirs, fd, r = write_prog(c, all_threads);

    if (r < 0)
        return r;
    __atomic_store_n(&c->block->listener, LISTENER_NONE, __ATOMIC_RELEASE);
    atomic_store(&c->state, CTX_RELISTEN);
    ctx_unpark(c, ANS_LISTEN);
    theirs = await_descriptor(c);
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
    set_listener(c->stub, nctx, l);
    listener_start(l);
    listener_put(l);
    r = job_wait(j, 1);
    if (r < 0)
        return r;
    close_op.a[0] = (uint64_t)theirs;
    return ops_sync(j, c, &close_op, 1);
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

static int copy(struct job *j, struct ctx *const *all, unsigned n, struct ctx **ret, uint64_t *fs)
{
    struct listener *old = all[0]->stub->l;
    int r = 0;

    for (unsigned i = 0; i < n && r == 0; i++) {
        struct as_op op = { .kind = AS_GET_FS, .fd = -1 };

        r = ops_sync(j, all[i], &op, 1);
        fs[i] = (uint64_t)op.ret;
    }
    if (r == 0)
        r = fork_first(j, all[0], &ret[0]);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < n; i++)
        park(all[i]);
    park(ret[0]);
    listener_ref(old);
    listener_retire(old);
    set_listener(all[0]->stub, n, NULL);
    set_listener(ret[0]->stub, 1, NULL);
    listener_put(old);
    r = new_listener(j, all[0], n, true);
    if (r == 0)
        r = new_listener(j, ret[0], 1, false);
    for (unsigned i = 1; i < n && r == 0; i++)
        r = copy_thread(j, ret[0], all[i], fs[i], &ret[i]);
    return r;
}

int trap_as_copy(struct ctx *const *all, unsigned n, struct ctx **ret)
{
    struct job j = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };
    uint64_t *fs;
    int r;

    if (n == 0 || atomic_load(&all[0]->stub->l->nctx) != (int)n)
        return -EBUSY;
    fs = calloc(n, sizeof *fs);
    if (!fs)
        return -ENOMEM;
    memset(ret, 0, n * sizeof *ret);
    for (unsigned i = 0; i < n; i++)
        all[i]->job = &j;
    r = copy(&j, all, n, ret, fs);
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
