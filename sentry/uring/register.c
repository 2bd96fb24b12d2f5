/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring_register(2): decodes, and does what has no file of its own. */
#include <errno.h>

#include "sentry/ipc/eventfd.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/mm/copy.h"
#include "sentry/uring/uring.h"

#define OPS_MAX 256
#define RESTRICTIONS_MAX (LX_REGISTER_LAST + LX_OP_LAST + 2)

/* ---- eventfd ---- */

static long eventfd_set(struct task *t, struct uring *r, gaddr_t arg, bool async)
{
    struct file *f;
    int32_t fd;

    if (get_guest(t, &fd, arg) < 0)
        return -EFAULT;
    f = fd_get(t, fd);
    if (!f)
        return -EBADF;
    lock(&r->lock);
    if (r->eventfd || !eventfd_is(f)) {
        bool busy = r->eventfd;

        unlock(&r->lock);
        file_put(f);
        return busy ? -EBUSY : -EINVAL;
    }
    r->eventfd = f;
    r->eventfd_async = async;
    unlock(&r->lock);
    return 0;
}

static long eventfd_unset(struct uring *r)
{
    struct file *f;

    lock(&r->lock);
    f = r->eventfd;
    r->eventfd = NULL;
    unlock(&r->lock);
    file_put(f);
    return f ? 0 : -ENXIO;
}

/* ---- what there is, who one is, what one may ---- */

static long probe(struct task *t, gaddr_t arg, unsigned n)
{
    struct lx_probe p;
    gaddr_t at = arg + sizeof p;

    if (n > OPS_MAX)
        return -EINVAL;
    if (get_guest(t, &p, arg) < 0)
        return -EFAULT;
    if (p.last_op || p.ops_len || p.resv || p.resv2[0] || p.resv2[1] || p.resv2[2])
        return -EINVAL;
    n = MIN(n, (unsigned)LX_OP_LAST);
    for (unsigned i = 0; i < n; i++, at += sizeof(struct lx_probe_op)) {
        struct lx_probe_op op;

        if (get_guest(t, &op, at) < 0)
            return -EFAULT;
        if (op.op || op.resv || op.flags || op.resv2)
            return -EINVAL;
        op.op = (uint8_t)i;
        op.flags = uop_of(i) ? LX_OP_SUPPORTED : 0;
        if (put_guest(t, at, &op) < 0)
            return -EFAULT;
    }
    p.last_op = LX_OP_LAST - 1;
    p.ops_len = (uint8_t)n;
    return put_guest(t, arg, &p);
}

static long personality_add(struct task *t, struct uring *r)
{
    LOCK_SCOPE(&r->lock);
    for (unsigned i = 0; i < ARRAY_SIZE(r->personality); i++) {
        if (!r->personality[i]) {
            r->personality[i] = cred_ref(t->cred);
            return i + 1;
        }
    }
    return -ENOMEM;
}

static long personality_remove(struct uring *r, unsigned id)
{
    struct cred *c;

    if (!id || id > ARRAY_SIZE(r->personality))
        return -EINVAL;
    lock(&r->lock);
    c = r->personality[id - 1];
    r->personality[id - 1] = NULL;
    unlock(&r->lock);
    if (!c)
        return -EINVAL;
    cred_put(c);
    return 0;
}

static int restrict_one(struct uring_restrict *l, const struct lx_restriction *x)
{
    switch (x->opcode) {
    case LX_RESTRICTION_REGISTER_OP:
        if (x->arg >= LX_REGISTER_LAST)
            return -EINVAL;
        l->register_ops |= 1ull << x->arg;
        return 0;
    case LX_RESTRICTION_SQE_OP:
        if (x->arg >= LX_OP_LAST)
            return -EINVAL;
        l->sqe_ops |= 1ull << x->arg;
        return 0;
    case LX_RESTRICTION_SQE_FLAGS_ALLOWED:
        l->flags_allowed = x->arg;
        return 0;
    case LX_RESTRICTION_SQE_FLAGS_REQUIRED:
        l->flags_required = x->arg;
        return 0;
    default:
        return -EINVAL;
    }
}

static long restrict_ring(struct task *t, struct uring *r, gaddr_t arg, unsigned n)
{
    struct uring_restrict l = { .registered = true };
    struct lx_restriction x;

    if (!atomic_load(&r->disabled))
        return -EBADFD;
    if (r->limit.registered)
        return -EBUSY;
    if (!arg || n > RESTRICTIONS_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < n; i++) {
        if (get_guest(t, &x, arg + i * sizeof x) < 0)
            return -EFAULT;
        if (restrict_one(&l, &x) < 0)
            return -EINVAL;
    }
    r->limit = l;
    return 0;
}

static long enable(struct task *t, struct uring *r)
{
    if (!atomic_load(&r->disabled))
        return -EBADFD;
    if (r->flags & LX_URING_SINGLE_ISSUER && !r->issuer)
        r->issuer = t->tid;
    atomic_store(&r->disabled, false);
    if (r->flags & LX_URING_SQPOLL)
        uring_sqpoll_kick(r);
    return 0;
}

/* There are no threads to limit: the numbers are kept and told. */
static long max_workers(struct task *t, struct uring *r, gaddr_t arg)
{
    uint32_t want[2];

    if (copy_in(t, want, arg, sizeof want) < 0)
        return -EFAULT;
    if (want[0] > INT32_MAX || want[1] > INT32_MAX)
        return -EINVAL;
    for (int i = 0; i < 2; i++) {
        unsigned was = r->max_workers[i];

        if (want[i])
            r->max_workers[i] = want[i];
        want[i] = was;
    }
    return copy_out(t, arg, want, sizeof want);
}

static long affinity(struct task *t, gaddr_t arg, unsigned n)
{
    uint8_t mask[128];

    n = MIN(n, (unsigned)sizeof mask);
    return copy_in(t, mask, arg, n) < 0 ? -EFAULT : 0;
}

/* ---- files and buffers in their second forms ---- */

static long rsrc_register(struct task *t, struct uring *r, gaddr_t arg, unsigned size, bool files)
{
    struct lx_rsrc_register a;

    if (size != sizeof a)
        return -EINVAL;
    if (get_guest(t, &a, arg) < 0)
        return -EFAULT;
    if (!a.nr || a.resv2 || a.flags & ~LX_RSRC_REGISTER_SPARSE)
        return -EINVAL;
    if (a.flags & LX_RSRC_REGISTER_SPARSE && a.data)
        return -EINVAL;
    return files ? rsrc_files_register(t, r, a.data, a.tags, a.nr)
                 : rsrc_buffers_register(t, r, a.data, a.tags, a.nr);
}

static long rsrc_update(struct task *t, struct uring *r, gaddr_t arg, unsigned size, bool files)
{
    struct lx_rsrc_update a;

    if (size != sizeof a)
        return -EINVAL;
    if (get_guest(t, &a, arg) < 0)
        return -EFAULT;
    if (!a.nr || a.resv || a.resv2)
        return -EINVAL;
    return files ? rsrc_files_update(t, r, a.offset, a.data, a.tags, a.nr)
                 : rsrc_buffers_update(t, r, a.offset, a.data, a.tags, a.nr);
}

static long files_update(struct task *t, struct uring *r, gaddr_t arg, unsigned n)
{
    struct {
        uint32_t offset, resv;
        uint64_t data;
    } a;

    if (!n)
        return -EINVAL;
    if (get_guest(t, &a, arg) < 0)
        return -EFAULT;
    return a.resv ? -EINVAL : rsrc_files_update(t, r, a.offset, a.data, /* tags= */ 0, n);
}

/* ---- descriptors of rings by index ---- */

int uring_task_add(struct task *t, struct file *f, unsigned from, unsigned to)
{
    if (!t->uring)
        t->uring = kzalloc(sizeof *t->uring);
    if (!t->uring)
        return -ENOMEM;
    for (unsigned i = from; i < to; i++) {
        if (!t->uring->rings[i]) {
            t->uring->rings[i] = file_ref(f);
            return (int)i;
        }
    }
    return -EBUSY;
}

static int fd_add(struct task *t, struct lx_rsrc_update *a)
{
    bool any = a->offset == UINT32_MAX;
    struct file *f;
    int i;

    if (a->resv || (!any && a->offset >= URING_RING_FDS))
        return -EINVAL;
    f = fd_get(t, (int)a->data);
    if (!f)
        return -EBADF;
    i = !uring_of(f)
            ? -EOPNOTSUPP
            : uring_task_add(t, f, any ? 0 : a->offset, any ? URING_RING_FDS : a->offset + 1);
    file_put(f);
    if (i >= 0)
        a->offset = (uint32_t)i;
    return i < 0 ? i : 0;
}

static int fd_remove(struct task *t, const struct lx_rsrc_update *a)
{
    if (a->resv || a->data || a->offset >= URING_RING_FDS)
        return -EINVAL;
    if (t->uring) {
        file_put(t->uring->rings[a->offset]);
        t->uring->rings[a->offset] = NULL;
    }
    return 0;
}

long uring_task_fds(struct task *t, bool add, gaddr_t arg, unsigned n)
{
    const size_t size = 16; /* the form without tags */
    long done = 0;
    int e = 0;

    if (!n || n > URING_RING_FDS)
        return -EINVAL;
    for (; done < n; done++) {
        struct lx_rsrc_update a = { 0 };
        gaddr_t at = arg + (gaddr_t)done * size;

        if (copy_in(t, &a, at, size) < 0) {
            e = -EFAULT;
            break;
        }
        e = add ? fd_add(t, &a) : fd_remove(t, &a);
        if (e == 0 && add && copy_out(t, at, &a, size) < 0) {
            a.data = 0;
            (void)fd_remove(t, &a);
            e = -EFAULT;
        }
        if (e < 0)
            break;
    }
    return done ? done : e;
}

void uring_task_free(struct task *t)
{
    for (unsigned i = 0; t->uring && i < URING_RING_FDS; i++)
        file_put(t->uring->rings[i]);
    kfree(t->uring);
    t->uring = NULL;
}

/* ---- the call ---- */

static long with_lock(struct task *t, struct uring *r, unsigned opcode, gaddr_t arg, unsigned n)
{
    switch (opcode) {
    case LX_REGISTER_BUFFERS:
        return arg ? rsrc_buffers_register(t, r, arg, /* tags= */ 0, n) : -EFAULT;
    case LX_UNREGISTER_BUFFERS:
        return arg || n ? -EINVAL : rsrc_buffers_unregister(r);
    case LX_REGISTER_FILES:
        return arg ? rsrc_files_register(t, r, arg, /* tags= */ 0, n) : -EFAULT;
    case LX_UNREGISTER_FILES:
        return arg || n ? -EINVAL : rsrc_files_unregister(r);
    case LX_REGISTER_FILES_UPDATE:
        return files_update(t, r, arg, n);
    case LX_REGISTER_EVENTFD:
    case LX_REGISTER_EVENTFD_ASYNC:
        return n != 1 ? -EINVAL : eventfd_set(t, r, arg, opcode == LX_REGISTER_EVENTFD_ASYNC);
    case LX_UNREGISTER_EVENTFD:
        return arg || n ? -EINVAL : eventfd_unset(r);
    case LX_REGISTER_PROBE:
        return arg ? probe(t, arg, n) : -EINVAL;
    case LX_REGISTER_PERSONALITY:
        return arg || n ? -EINVAL : personality_add(t, r);
    case LX_UNREGISTER_PERSONALITY:
        return arg ? -EINVAL : personality_remove(r, n);
    case LX_REGISTER_ENABLE_RINGS:
        return arg || n ? -EINVAL : enable(t, r);
    case LX_REGISTER_RESTRICTIONS:
        return restrict_ring(t, r, arg, n);
    case LX_REGISTER_FILES2:
        return rsrc_register(t, r, arg, n, /* files= */ true);
    case LX_REGISTER_FILES_UPDATE2:
        return rsrc_update(t, r, arg, n, /* files= */ true);
    case LX_REGISTER_BUFFERS2:
        return rsrc_register(t, r, arg, n, /* files= */ false);
    case LX_REGISTER_BUFFERS_UPDATE:
        return rsrc_update(t, r, arg, n, /* files= */ false);
    case LX_REGISTER_IOWQ_AFF:
        return !arg || !n ? -EINVAL : affinity(t, arg, n);
    case LX_UNREGISTER_IOWQ_AFF:
        return arg || n ? -EINVAL : 0;
    case LX_REGISTER_IOWQ_MAX_WORKERS:
        return !arg || n != 2 ? -EINVAL : max_workers(t, r, arg);
    case LX_REGISTER_RING_FDS:
        return uring_task_fds(t, /* add= */ true, arg, n);
    case LX_UNREGISTER_RING_FDS:
        return uring_task_fds(t, /* add= */ false, arg, n);
    case LX_REGISTER_PBUF_RING:
        return !arg || n != 1 ? -EINVAL : pbuf_ring_register(t, r, arg);
    case LX_UNREGISTER_PBUF_RING:
        return !arg || n != 1 ? -EINVAL : pbuf_ring_unregister(t, r, arg);
    case LX_REGISTER_SYNC_CANCEL:
        return !arg || n != 1 ? -EINVAL : uring_sync_cancel(t, r, arg);
    case LX_REGISTER_FILE_ALLOC_RANGE:
        return !arg || n ? -EINVAL : rsrc_alloc_range(t, r, arg);
    case LX_REGISTER_PBUF_STATUS:
        return !arg || n != 1 ? -EINVAL : pbuf_ring_status(t, r, arg);
    default:
        return -EINVAL;
    }
}

long uring_register(struct task *t, struct uring *r, unsigned opcode, gaddr_t arg, unsigned n)
{
    long ret;
    int e;

    e = tlock(t, &r->submit);
    if (e < 0)
        return e == -EWAITING ? e : -EINTR;
    if (r->issuer && r->issuer != t->tid)
        ret = -EEXIST;
    else if (r->limit.registered && !atomic_load(&r->disabled) &&
             !(r->limit.register_ops >> opcode & 1))
        ret = -EACCES;
    else
        ret = with_lock(t, r, opcode, arg, n);
    tunlock(t, &r->submit);
    return ret;
}
