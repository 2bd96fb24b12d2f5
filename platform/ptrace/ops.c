/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on an address space, made by one of its held contexts; on the tracer. */
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "abi/types.h"
#include "platform/ptrace/ptrace.h"
#include "platform/shared/opcalls.h"

#define BASE_END 0x7ffffffff000ull /* the host takes no base of a segment above */

/* A descriptor that stays lent for the operations to come: they map a program's segments. */
struct lent {
    int ours, theirs;
};

static void take_back(struct ctx *c, struct lent *l)
{
    const uint64_t a[6] = { (uint64_t)l->theirs };

    if (l->ours >= 0)
        pt_call(c, SYS_close, a, NULL);
    l->ours = -1;
}

static long map(struct ctx *c, const struct as_op *op, struct lent *l)
{
    uint64_t a[6] = { op->a[0], op->a[1], op->a[2], op->a[3], (uint64_t)-1, op->a[4] };

    if (op->fd >= 0 && op->fd != l->ours) {
        take_back(c, l);
        l->theirs = pt_lend(c, op->fd);
        if (l->theirs < 0)
            return l->theirs;
        l->ours = op->fd;
    }
    if (op->fd >= 0)
        a[4] = (uint64_t)l->theirs;
    return pt_call(c, SYS_mmap, a, NULL);
}

static long wake(struct ctx *c, gaddr_t at, uint64_t count, bool private)
{
    const uint64_t a[6] = { at, FUTEX_WAKE | (private ? FUTEX_PRIVATE_FLAG : 0u), count };

    return pt_call(c, SYS_futex, a, NULL);
}

static long store_wake(struct ctx *c, const struct as_op *op)
{
    uint32_t value = (uint32_t)op->a[1];

    if (stub_write(&c->stub->as->mem, op->a[0], &value, sizeof value, false) != sizeof value)
        return -EFAULT;
    wake(c, op->a[0], INT32_MAX, false);
    return wake(c, op->a[0], INT32_MAX, true);
}

static long rseq(struct ctx *c, const struct as_op *op)
{
    long r = pt_call(c, SYS_rseq, op->a, NULL);

    if (r == 0) {
        atomic_store(&c->words[CW_RSEQ], op->a[2] & 1 /* RSEQ_FLAG_UNREGISTER */ ? 0 : op->a[0]);
        atomic_store(&c->words[CW_RSEQ_LEN], op->a[1]);
        atomic_store(&c->words[CW_RSEQ_SIG], op->a[3]);
    }
    return r;
}

static long set_base(struct ctx *c, const struct as_op *op)
{
    if (op->a[0] >= BASE_END)
        return -EPERM;
    if (op->kind == AS_SET_FS)
        c->raw.fs_base = op->a[0];
    else
        c->raw.gs_base = op->a[0];
    return 0;
}

static long clone_child(struct ctx *c, const struct as_op *op)
{
    struct ctx *child = op->child;
    unsigned flags = (unsigned)op->a[0];
    const uint64_t a[6] = { stub_clone_flags(flags), 0, 0, op->a[2], op->a[1] };
    pid_t tid = 0;
    long r = pt_call(c, SYS_clone, a, &tid);

    if (r < 0)
        return r;
    child->raw = c->raw;
    child->regs = c->regs;
    if (flags & AS_CLONE_SETTLS)
        child->raw.fs_base = op->a[1];
    atomic_fetch_add(flags & AS_CLONE_THREAD ? &pt.st.threads : &pt.st.forks, 1);
    return pt_settle(child, tid);
}

static long run(struct ctx *c, const struct as_op *op, struct lent *l)
{
    atomic_fetch_add(&pt.st.ops, 1);
    switch (op->kind) {
    case AS_MMAP:
        return map(c, op, l);
    case AS_FUTEX_WAKE:
        return wake(c, op->a[0], op->a[1], op->a[2]);
    case AS_STORE32_WAKE:
        return store_wake(c, op);
    case AS_CMPXCHG32:
        return pt_swap(c, op->a[0], (uint32_t)op->a[1], (uint32_t)op->a[2]);
    case AS_SET_FS:
    case AS_SET_GS:
        return set_base(c, op);
    case AS_GET_FS:
        return (long)c->raw.fs_base;
    case AS_GET_GS:
        return (long)c->raw.gs_base;
    case AS_RSEQ:
        return rseq(c, op);
    case AS_CLONE:
        return clone_child(c, op);
    case AS_UFFD: /* a step of the blob would wait in it, and the tracer with it */
        return -EPERM;
    case AS_CLOSE:
        return -EBADF; /* none is ever left open */
    default:
        return stub_call_of(op->kind) < 0 ? -EINVAL
                                          : pt_call(c, stub_call_of(op->kind), op->a, NULL);
    }
}

/* c->busy: its owner leaves the operations alone. It may be over afterwards. */
static void run_all(struct ctx *c)
{
    struct lent l = { -1, -1 };
    bool failed = false;

    for (unsigned i = 0; i < c->nops && !c->over; i++) {
        struct as_op *op = &c->ops[i];

        op->ret = failed ? -ECANCELED : run(c, op, &l);
        failed = failed || (op->ret < 0 && op->ret > -4096);
    }
    if (!c->over)
        take_back(c, &l);
}

void pt_run_ops(struct ctx *c)
{
    struct ctx *born[AS_OPS_MAX];
    unsigned nborn = 0;

    run_all(c);
    for (unsigned i = 0; i < c->nops; i++) {
        if (c->ops[i].kind == AS_CLONE && c->ops[i].ret == 0) {
            born[nborn++] = c->ops[i].child;
            pt_ctx_get(c->ops[i].child);
        }
    }
    pthread_mutex_lock(&pt.lock);
    c->busy = false;
    pthread_cond_broadcast(&pt.cond);
    pthread_mutex_unlock(&pt.lock);
    for (unsigned i = 0; i < nborn; i++) {
        pt_deliver(born[i], EV_BORN);
        pt_ctx_drop(born[i]);
    }
    if (!c->over)
        pt_deliver(c, EV_OPS);
}

/* ---- at the next resume ---- */

bool pt_defer(struct ctx *c, const struct as_op *op)
{
    if (atomic_load(&c->state) == PT_UNBORN)
        return false;
    if (op->kind == AS_SET_FS || op->kind == AS_SET_GS)
        return set_base(c, op) == 0;
    if (op->kind != AS_RSEQ || c->ndeferred == PT_DEFERRED)
        return false;
    c->deferred[c->ndeferred++] = *op;
    return true;
}

void pt_run_deferred(struct ctx *c)
{
    struct lent none = { -1, -1 };

    for (unsigned i = 0; i < c->ndeferred && !c->over; i++)
        run(c, &c->deferred[i], &none);
    c->ndeferred = 0;
}

/* ---- copies ---- */

struct copying {
    struct ctx *const *all;
    unsigned n;
    struct ctx **ret;
    int r;
};

static int copy_one(struct ctx *maker, struct ctx *original, unsigned flags, struct ctx **ret)
{
    struct ctx *c = pt_ctx_new_child(maker, flags);
    struct as_op op = { .kind = AS_CLONE, .fd = -1, .a = { flags }, .child = c };
    int r;

    if (!c)
        return -EAGAIN;
    r = (int)clone_child(maker, &op);
    if (r == 0)
        r = pt_fpu_fetch(original);
    if (r == 0)
        r = pt_fpu_fetch(c);
    if (r < 0) {
        pt_ctx_free(c);
        return r;
    }
    c->raw = original->raw;
    c->regs = original->regs;
    memcpy(c->fpu, original->fpu, pt.fpu_size);
    c->fpu_dirty = true;
    *ret = c;
    return 0;
}

static void copy(void *arg)
{
    struct copying *k = arg;

    k->r = copy_one(k->all[0], k->all[0], 0, &k->ret[0]);
    for (unsigned i = 1; i < k->n && k->r == 0; i++)
        k->r = copy_one(k->ret[0], k->all[i], AS_CLONE_VM | AS_CLONE_THREAD, &k->ret[i]);
    for (unsigned i = 0; i < k->n && k->r < 0; i++)
        if (k->ret[i])
            pt_ctx_free(k->ret[i]);
}

int pt_as_copy(struct ctx *const *all, unsigned n, struct ctx **ret)
{
    struct copying k = { all, n, ret, -EAGAIN };

    if (n == 0)
        return -EBUSY;
    memset(ret, 0, n * sizeof *ret);
    pt_errand(copy, &k);
    if (k.r == 0)
        pt_as_ref(ret[0]->stub->as);
    return k.r;
}
