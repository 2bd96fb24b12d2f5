/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on open files that move no bytes, between files, and between rings. */
#include <errno.h>
#include <fcntl.h>

#include "sentry/ipc/epoll.h"
#include "sentry/ipc/pipe.h"
#include "sentry/ipc/splice.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"
#include "sentry/uring/ops.h"
#include "sentry/uring/uring.h"
#include "sentry/vfs/vfs.h"

/* Handlers find the file in slot 0 of the record and do not look at the number. */
#define FD (-1)
#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

int nop_prep(struct ureq *q)
{
    return q->sqe.op_flags & ~(uint32_t)LX_NOP_INJECT_RESULT ? -EINVAL : 0;
}

long nop_issue(struct ureq *q)
{
    return q->sqe.op_flags & LX_NOP_INJECT_RESULT ? (int32_t)q->sqe.len : 0;
}

/* ---- syncing, sizes, advice ---- */

int fsync_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return s->addr || s->buf_index || s->splice_fd_in || s->op_flags & ~1u ? -EINVAL : 0;
}

long fsync_issue(struct ureq *q)
{
    return q->sqe.op_flags ? sys_fdatasync(&q->task, FD) : sys_fsync(&q->task, FD);
}

int sync_range_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return s->addr || s->buf_index || s->splice_fd_in ? -EINVAL : 0;
}

long sync_range_issue(struct ureq *q)
{
    return sys_sync_file_range(&q->task, FD, (loff_t)q->sqe.off, q->sqe.len, q->sqe.op_flags);
}

int fallocate_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return s->buf_index || s->op_flags || s->splice_fd_in ? -EINVAL : 0;
}

long fallocate_issue(struct ureq *q)
{
    return sys_fallocate(&q->task, FD, (int)q->sqe.len, (loff_t)q->sqe.off, (loff_t)q->sqe.addr);
}

int ftruncate_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return s->op_flags || s->addr || s->len || s->buf_index || s->splice_fd_in || s->addr3 ? -EINVAL
                                                                                           : 0;
}

long ftruncate_issue(struct ureq *q)
{
    return sys_ftruncate(&q->task, FD, (loff_t)q->sqe.off);
}

int fadvise_prep(struct ureq *q)
{
    return q->sqe.buf_index || q->sqe.splice_fd_in ? -EINVAL : 0;
}

long fadvise_issue(struct ureq *q)
{
    uint64_t len = q->sqe.addr ? q->sqe.addr : q->sqe.len;

    return sys_fadvise64(&q->task, FD, (loff_t)q->sqe.off, len, (int)q->sqe.op_flags);
}

/* ---- splices: the entry's fd is where bytes go, another word says where from ---- */

int splice_prep(struct ureq *q)
{
    return q->sqe.op_flags & ~(SPLICE_FLAGS | LX_SPLICE_F_FD_IN_FIXED) ? -EINVAL : 0;
}

static struct file *splice_in(struct ureq *q)
{
    struct task *t = &q->task;

    if (!t->call.files[1])
        t->call.files[1] = ureq_file(q, q->sqe.splice_fd_in,
                                     q->sqe.op_flags & LX_SPLICE_F_FD_IN_FIXED);
    return t->call.files[1];
}

long splice_issue(struct ureq *q)
{
    struct file *in = splice_in(q);
    loff_t *from, *to;
    long r;

    if (!in)
        return -EBADF;
    if (!q->u.sp.started) {
        q->u.sp.in = (loff_t)q->sqe.splice_off_in;
        q->u.sp.out = (loff_t)q->sqe.off;
        q->u.sp.started = true;
    }
    if (!q->sqe.len)
        return 0;
    from = q->u.sp.in == -1 ? NULL : &q->u.sp.in;
    to = q->u.sp.out == -1 ? NULL : &q->u.sp.out;
    r = do_splice(&q->task, in, from, q->file, to, q->sqe.len, q->sqe.op_flags & SPLICE_FLAGS);
    if (r != -EWAITING)
        ureq_expect(q, r, q->sqe.len);
    return r;
}

long tee_issue(struct ureq *q)
{
    struct file *in = splice_in(q);
    long r;

    if (!in)
        return -EBADF;
    if (q->sqe.splice_off_in || q->sqe.off)
        return -EINVAL;
    if (!q->sqe.len)
        return 0;
    r = do_tee(&q->task, in, q->file, q->sqe.len, q->sqe.op_flags & SPLICE_FLAGS);
    if (r != -EWAITING)
        ureq_expect(q, r, q->sqe.len);
    return r;
}

/* ---- epoll ---- */

int epoll_ctl_prep(struct ureq *q)
{
    return q->sqe.buf_index || q->sqe.splice_fd_in ? -EINVAL : 0;
}

/* Here fd is the set. */
long epoll_ctl_issue(struct ureq *q)
{
    return sys_epoll_ctl(&q->task, q->sqe.fd, (int)q->sqe.len, (int)q->sqe.off, q->sqe.addr);
}

/* ---- the ring's own files ---- */

int files_update_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->flags & (LX_SQE_FIXED_FILE | LX_SQE_BUFFER_SELECT) || s->op_flags || s->splice_fd_in)
        return -EINVAL;
    return s->len ? 0 : -EINVAL;
}

/* Each descriptor of the array finds a free slot, whose number takes its place. */
static long update_alloc(struct ureq *q)
{
    struct task *t = &q->task;
    long done = 0;

    for (; done < (long)q->sqe.len; done++) {
        gaddr_t at = q->sqe.addr + (gaddr_t)done * 4;
        struct file *f;
        int32_t fd;
        int slot;

        if (get_guest(t, &fd, at) < 0)
            return done ? done : -EFAULT;
        f = fd_get(t, fd);
        if (!f)
            return done ? done : -EBADF;
        slot = rsrc_file_install(q->ring, f, LX_FILE_INDEX_ALLOC, /* ret_slot= */ true);
        if (slot < 0)
            return done ? done : slot;
        if (put_guest(t, at, &slot) < 0) {
            (void)rsrc_file_remove(q->ring, (unsigned)slot);
            return done ? done : -EFAULT;
        }
    }
    return done;
}

long files_update_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if ((uint32_t)s->off == LX_FILE_INDEX_ALLOC)
        return update_alloc(q);
    return rsrc_files_update(&q->task, q->ring, (unsigned)s->off, s->addr, /* tags= */ 0, s->len);
}

int fd_install_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->off || s->addr || s->len || s->buf_index || s->splice_fd_in || s->addr3)
        return -EINVAL;
    if (!(s->flags & LX_SQE_FIXED_FILE))
        return -EBADF;
    if (s->personality)
        return -EPERM;
    return s->op_flags & ~(uint32_t)LX_FIXED_FD_NO_CLOEXEC ? -EINVAL : 0;
}

long fd_install_issue(struct ureq *q)
{
    return fd_install(&q->task, file_ref(q->file), 0, !(q->sqe.op_flags & LX_FIXED_FD_NO_CLOEXEC));
}

/* ---- to another ring ---- */

int msg_ring_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->buf_index || s->personality)
        return -EINVAL;
    return s->op_flags & ~(LX_MSG_RING_CQE_SKIP | LX_MSG_RING_FLAGS_PASS) ? -EINVAL : 0;
}

static long post_to(struct uring *to, const struct lx_sqe *s, int32_t res, uint32_t flags)
{
    struct ucqe c = { .user_data = s->off, .res = res, .flags = flags };
    bool posted;

    lock(&to->lock);
    posted = cq_post_async_locked(to, &c, /* may_overflow= */ true);
    unlock(&to->lock);
    if (!posted)
        return -EOVERFLOW;
    cq_signal(to, /* async= */ true);
    return 0;
}

static long msg_data(struct uring *to, const struct lx_sqe *s)
{
    bool pass = s->op_flags & LX_MSG_RING_FLAGS_PASS;

    if (s->addr3 || s->op_flags & ~(uint32_t)LX_MSG_RING_FLAGS_PASS || (!pass && s->file_index))
        return -EINVAL;
    if (atomic_load(&to->disabled))
        return -EBADFD;
    return post_to(to, s, (int32_t)s->len, pass ? s->file_index : 0);
}

static long msg_fd(struct ureq *q, struct uring *to, const struct lx_sqe *s)
{
    struct file *f;
    long slot, r;

    if (s->len || to == q->ring)
        return -EINVAL;
    if (atomic_load(&to->disabled))
        return -EBADFD;
    f = rsrc_file_get(q->ring, (unsigned)s->addr3, NULL);
    if (!f)
        return -EBADF;
    slot = rsrc_file_install(to, f, s->file_index, /* ret_slot= */ false);
    if (slot < 0 || s->op_flags & LX_MSG_RING_CQE_SKIP)
        return slot;
    r = post_to(to, s, (int32_t)slot, 0);
    return r < 0 ? r : slot;
}

long msg_ring_issue(struct ureq *q)
{
    struct uring *to = uring_of(q->file);

    if (!to)
        return -EBADFD;
    switch (q->sqe.addr) {
    case LX_MSG_DATA:
        return msg_data(to, &q->sqe);
    case LX_MSG_SEND_FD:
        return msg_fd(q, to, &q->sqe);
    default:
        return -EINVAL;
    }
}
