/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on an address space, carried out by a held context's own blob: translated to host
 * calls in the block, answered with ANS_OPS, their results read back at the next bell.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "platform/shared/opcalls.h"
#include "platform/trap/trap.h"

static struct block_op *block_ops(struct ctx *c)
{
    return (struct block_op *)((char *)c->block + BLOCK_OPS_OFF);
}

/* Lends fd to the stub; its number there, or -errno. */
static int lend(struct ctx *c, int fd)
{
    struct seccomp_notif_addfd add = { .id = c->notif,
                                       .srcfd = (uint32_t)fd,
                                       .newfd_flags = 02000000 /* O_CLOEXEC */ };

    return notif_ioctl(c->l->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
}

#define LENT_ONCE (BLOCK_OPS_MAX - AS_OPS_MAX - CTX_DEFERRED - CTX_CLOSING) /* each has its close */

struct lent { /* descriptors that this batch has lent, ours and theirs */
    int ours[LENT_ONCE], theirs[LENT_ONCE];
    unsigned n;
    bool drawn; /* the stub was drawn to this cpu */
};

/*
 * Lending a descriptor waits for the stub to take it: 10 us when that is on this cpu, and up to 75 for
 * each when it sleeps on another. A blank, which nobody has told where to run yet, comes here for it.
 */
static void draw_near(struct ctx *c, struct lent *l)
{
    cpu_set_t here;
    int cpu = (int)hostio_cpu();

    if (!c->blank || cpu < 0 || cpu >= CPU_SETSIZE)
        return;
    CPU_ZERO(&here);
    CPU_SET(cpu, &here);
    l->drawn = sched_setaffinity(c->tid, sizeof here, &here) == 0;
}

static int lend_once(struct ctx *c, struct lent *l, int fd)
{
    if (l->n == 0)
        draw_near(c, l);
    for (unsigned i = 0; i < l->n; i++) {
        if (l->ours[i] == fd)
            return l->theirs[i];
    }
    int r = l->n == LENT_ONCE ? -EMFILE : lend(c, fd);

    if (r >= 0) {
        l->ours[l->n] = fd;
        l->theirs[l->n++] = r;
    }
    return r;
}

/*
 * A forked process finds the descriptor of its channel among those that it inherits; its parent has
 * it for the time of the clone only. (A parent that keeps it could write to its child's registers,
 * but what the child is was its own memory until then.)
 */
static uint64_t birth_kind(struct ctx *c, struct ctx *child, unsigned flags, struct lent *l)
{
    int fd;

    if (flags & AS_CLONE_THREAD)
        return 0;
    if (flags & AS_CLONE_VM)
        return BORN_PROCESS;
    fd = lend_once(c, l, child->stub->as->chan_fd);
    child->given = fd >= 0;
    return fd >= 0 ? BORN_PROCESS | BORN_GIVEN | (uint64_t)fd << BORN_FD_SHIFT
                   : BORN_PROCESS | BORN_CHANNEL;
}

static void put_clone(struct ctx *c, struct as_op *op, struct block_op *b, struct lent *l)
{
    struct ctx *child = op->child;
    unsigned flags = (unsigned)op->a[0];
    uint64_t kind = birth_kind(c, child, flags, l);

    if (trap.use_gs)
        kind |= BORN_OUR_GS;

    if (!(flags & AS_CLONE_THREAD))
        atomic_store(&c->stub->as->forks, true);
    if (!(flags & AS_CLONE_VM))
        atomic_store(&child->stub->as->patches, patches_fork(c->stub->as));
    frame_clone(child, c);
    ctx_get(child);
    ops_clone_forget(c);
    atomic_store(&c->clone_child, child);
    c->clone_host = stub_clone_flags(flags);
    c->clone_seen = false;
    *b = (struct block_op){ .nr = OP_CLONE,
                            .a = { c->clone_host, block_addr(child->index), ctx_nonce(child),
                                   op->a[1], op->a[2], kind } };
    atomic_fetch_add(&trap.st.forks, 1);
}

/* The child may have come and gone, and its owner too, before the maker tells that it has made it. */
static struct ctx *clone_taken(struct ctx *c)
{
    return atomic_exchange(&c->clone_child, NULL);
}

void ops_clone_forget(struct ctx *c)
{
    struct ctx *child = clone_taken(c);

    if (child)
        ctx_drop(child);
}

static struct block_op plain(uint32_t nr, const struct as_op *op)
{
    struct block_op b = { .nr = nr };

    memcpy(b.a, op->a, sizeof b.a);
    return b;
}

static int translate(struct ctx *c, struct as_op *op, struct block_op *b, struct lent *l)
{
    switch (op->kind) {
    case AS_MMAP:
        *b = plain(SYS_mmap, op);
        b->a[5] = op->a[4];
        b->a[4] = (uint64_t)-1;
        if (op->fd >= 0) {
            int fd = lend_once(c, l, op->fd);

            if (fd < 0)
                return fd;
            b->a[4] = (uint64_t)fd;
        }
        return 0;
    case AS_FUTEX_WAKE:
        *b = (struct block_op){ .nr = SYS_futex,
                                .a = { op->a[0], FUTEX_WAKE | (op->a[2] ? FUTEX_PRIVATE_FLAG : 0u),
                                       op->a[1] } };
        return 0;
    case AS_STORE32_WAKE:
        *b = plain(OP_STORE32_WAKE, op);
        return 0;
    case AS_PRCTL:
        *b = plain(SYS_prctl, op);
        if (op->a[0] == PR_SET_TSC && op->a[1] != PR_TSC_ENABLE)
            c->stub->as->no_tsc = true;
        return 0;
    case AS_CMPXCHG32:
        *b = plain(OP_CMPXCHG32, op);
        return 0;
    case AS_SET_GS:
    case AS_SET_FS:
        *b = (struct block_op){ .nr = SYS_arch_prctl,
                                .a = { op->kind == AS_SET_FS ? 0x1002 : 0x1001, op->a[0] } };
        if (op->kind == AS_SET_GS && op->a[0])
            patch_disable(c->stub->as);
        else if (op->kind == AS_SET_GS && trap.use_gs && !c->stub->as->own_gs)
            b->a[1] = block_addr(c->index); /* none, to the guest */
        return 0;
    case AS_CLONE:
        put_clone(c, op, b, l);
        return 0;
    case AS_UFFD:
        if (!trap.use_getfd)
            return -EPERM;
        patch_disable(
            c->stub->as); /* what light calls lend would be waited for where no signal ends it */
        *b = plain(SYS_userfaultfd, op);
        return 0;
    case AS_GET_FS:
    case AS_GET_GS: /* stored into the block itself, above the operations */
        *b = (struct block_op){ .nr = SYS_arch_prctl,
                                .a = { op->kind == AS_GET_FS ? 0x1003 : 0x1004,
                                       block_addr(c->index) + BLOCK_STACK_OFF - 64 } };
        return 0;
    default:
        if (stub_call_of(op->kind) < 0)
            return -EINVAL;
        *b = plain((uint32_t)stub_call_of(op->kind), op);
        return 0;
    }
}

bool ops_hold(struct ctx *c)
{
    bool may;

    pthread_mutex_lock(&trap.lock);
    may = !atomic_load(&c->gone) && !atomic_load(&c->freed);
    c->ops_held += may;
    pthread_mutex_unlock(&trap.lock);
    return may;
}

void ops_release(struct ctx *c)
{
    pthread_mutex_lock(&trap.lock);
    if (--c->ops_held == 0 && (atomic_load(&c->gone) || atomic_load(&c->freed)))
        pthread_cond_broadcast(&trap.ops_cond);
    pthread_mutex_unlock(&trap.lock);
}

void ops_await_locked(struct ctx *c)
{
    while (c->ops_held > 0)
        pthread_cond_wait(&trap.ops_cond, &trap.lock);
}

/* c is held by a live notification: hand them over. */
void ops_send(struct ctx *c)
{
    struct block_op *b = block_ops(c);
    unsigned nb = c->ndeferred ? ops_deferred(c) : 0; /* they come first */
    struct lent l = { .n = 0 };

    for (unsigned i = 0; i < c->nops; i++) {
        struct as_op *op = &c->ops[i];
        int r = translate(c, op, &b[nb], &l);

        if (r < 0) { /* what cannot even be handed over fails; those behind it are not run */
            op->ret = r;
            c->op_slot[i] = 0xff;
            for (unsigned j = i + 1; j < c->nops; j++) {
                c->ops[j].ret = -ECANCELED;
                c->op_slot[j] = 0xff;
            }
            break;
        }
        c->op_slot[i] = (uint8_t)nb++;
    }
    for (unsigned i = 0; i < l.n; i++)
        b[nb++] = (struct block_op){ .nr = SYS_close, .always = 1, .a = { (uint64_t)l.theirs[i] } };
    __atomic_store_n(&c->block->nops, nb, __ATOMIC_RELAXED);
    atomic_fetch_add(&trap.st.ops, nb);
    if (l.drawn)
        sched_setaffinity(c->tid, sizeof trap.cpus, &trap.cpus);
    answer(c, CTX_OPS, ANS_OPS);
}

/* Whoever has asked for it closes the stub's, when it has been told the number. */
static void fetch_uffd(struct ctx *c, struct as_op *op)
{
    int fd = (int)syscall(SYS_pidfd_getfd, c->stub->pidfd, (int)op->ret, 0);

    op->a[1] = (uint64_t)op->ret;
    op->ret = fd < 0 ? -errno : fd;
}

static void note_rseq(struct ctx *c, const struct as_op *op)
{
    bool gone = op->a[2] & 1; /* RSEQ_FLAG_UNREGISTER */

    ctx_set_word(c, CW_RSEQ, gone ? 0 : op->a[0]);
    ctx_set_word(c, CW_RSEQ_LEN, op->a[1]);
    ctx_set_word(c, CW_RSEQ_SIG, op->a[3]);
}

void ops_done(struct ctx *c)
{
    struct block_op *b = block_ops(c);
    struct ctx *child = clone_taken(c);

    for (unsigned i = 0; i < c->nops; i++) {
        struct as_op *op = &c->ops[i];

        if (c->op_slot[i] == 0xff)
            continue;
        op->ret = __atomic_load_n(&b[c->op_slot[i]].ret, __ATOMIC_RELAXED);
        if (op->kind == AS_CLONE && op->ret > 0)
            op->ret = 0;
        if (op->kind == AS_CLONE && op->ret == 0 && child == op->child)
            born_promised(child);
        if (op->kind == AS_CLONE && !(op->a[0] & AS_CLONE_VM))
            patches_forked(c->stub->as);
        if (op->kind == AS_RSEQ && op->ret == 0)
            note_rseq(c, op);
        if (op->kind == AS_UFFD && op->ret >= 0)
            fetch_uffd(c, op);
        if ((op->kind == AS_GET_FS || op->kind == AS_GET_GS) && op->ret == 0)
            memcpy(&op->ret, (char *)c->block + BLOCK_STACK_OFF - 64, 8);
        if (op->kind == AS_GET_GS && (uint64_t)op->ret >> SLOT_SHIFT == stubs.slot >> SLOT_SHIFT)
            op->ret = 0; /* ours: the guest has set none */
    }
    if (child)
        ctx_drop(child);
    c->nops = 0;
}

bool ctx_defer(struct ctx *c, const struct as_op *op)
{
    struct as_op copy = *op;

    if (c->ndeferred == CTX_DEFERRED || atomic_load(&c->state) == CTX_UNBORN ||
        (op->kind != AS_RSEQ && op->kind != AS_SET_FS && op->kind != AS_SET_GS) ||
        translate(c, &copy, &c->deferred[c->ndeferred], NULL) < 0)
        return false;
    c->deferred[c->ndeferred++].always = 1;
    if (op->kind == AS_RSEQ)
        note_rseq(c, op);
    return true;
}

unsigned ops_deferred(struct ctx *c)
{
    unsigned n = c->ndeferred;

    memcpy(block_ops(c), c->deferred, n * sizeof c->deferred[0]);
    if (lend_has_work(c)) {
        lend_closed(c);
        n += lend_close(c, block_ops(c) + n);
    }
    __atomic_store_n(&c->block->nops, n, __ATOMIC_RELAXED);
    atomic_fetch_add_explicit(&trap.st.ops, n, memory_order_relaxed);
    c->ndeferred = 0;
    return n;
}

/* The clone itself was notified: is it the one that was asked for? Its flags lie in registers. */
bool ops_clone_seen(struct ctx *c, const struct seccomp_notif *n)
{
    if (atomic_load(&c->state) != CTX_OPS || !atomic_load(&c->clone_child) || c->clone_seen ||
        n->data.args[0] != c->clone_host)
        return false;
    c->clone_seen = true;
    return true;
}

/* Without a frame, that is, one is made: the blob comes again by way of SIGSYS. */
void ctx_want_frame(struct ctx *c)
{
    c->framing = true;
    ctx_stop_waiting(c);
    if (atomic_load(&c->state) == CTX_PARKED) {
        ctx_unpark(c, CTX_OPS, ANS_FRAME);
    } else {
        answer(c, CTX_OPS, ANS_FRAME);
    }
}

void ctx_run_ops(struct ctx *c, struct as_op *ops, unsigned n)
{
    c->ops = ops;
    c->nops = n;
    for (unsigned i = 0; i < n; i++)
        ops[i].ret = -EINTR;
    ctx_stop_waiting(c);
    /* a descriptor can be lent to a caller only */
    if (atomic_load(&c->state) == CTX_PARKED) {
        ctx_unpark(c, CTX_RERING, ANS_RING);
        return;
    }
    if (c->posted || atomic_load(&c->stale)) {
        answer(c, CTX_RERING, ANS_RING);
        return;
    }
    ctx_get(c); /* from here on another worker may have it, and end it */
    ops_send(c);
    tell_if_gone(c);
    ctx_drop(c);
}
