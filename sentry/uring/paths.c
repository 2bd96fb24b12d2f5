/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on names: each is the system call, with its arguments from the entry. */
#include <errno.h>
#include <fcntl.h>

#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"
#include "sentry/uring/ops.h"
#include "sentry/uring/uring.h"

/* A path has no file to be fixed. */
static int no_fixed(const struct ureq *q)
{
    return q->sqe.flags & LX_SQE_FIXED_FILE ? -EBADF : 0;
}

int open_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    uint64_t flags = s->op_flags;

    if (s->buf_index)
        return -EINVAL;
    if (no_fixed(q) < 0)
        return -EBADF;
    if (s->opcode == LX_OP_OPENAT2 && s->len >= 8 && copy_in(&q->task, &flags, s->off, 8) < 0)
        return -EFAULT;
    /* A slot has no such flag. */
    return s->file_index && flags & O_CLOEXEC ? -EINVAL : 0;
}

long openat_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    rsrc_redirect(q);
    return sys_openat(&q->task, s->fd, s->addr, (int)s->op_flags, s->len);
}

long openat2_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    rsrc_redirect(q);
    return sys_openat2(&q->task, s->fd, s->addr, s->off, s->len);
}

int close_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->off || s->addr || s->len || s->op_flags || s->buf_index)
        return -EINVAL;
    if (no_fixed(q) < 0)
        return -EBADF;
    return s->file_index && s->fd ? -EINVAL : 0;
}

long close_issue(struct ureq *q)
{
    struct task *t = &q->task;
    struct file *f;
    bool ring;

    if (q->sqe.file_index)
        return rsrc_file_remove(q->ring, q->sqe.file_index - 1);
    f = fd_get_path(t, q->sqe.fd);
    ring = f && uring_of(f);
    file_put(f);
    return ring ? -EBADF : fd_close(t, q->sqe.fd);
}

int statx_prep(struct ureq *q)
{
    if (q->sqe.buf_index || q->sqe.splice_fd_in)
        return -EINVAL;
    return no_fixed(q);
}

long statx_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return sys_statx(&q->task, s->fd, s->addr, (int)s->op_flags, s->len, s->addr2);
}

/* One path, two paths. */
int path_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->off || s->buf_index || s->splice_fd_in)
        return -EINVAL;
    if (s->opcode == LX_OP_UNLINKAT && s->len)
        return -EINVAL;
    if (s->opcode == LX_OP_MKDIRAT && s->op_flags)
        return -EINVAL;
    return no_fixed(q);
}

int path2_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->buf_index || s->splice_fd_in)
        return -EINVAL;
    if (s->opcode == LX_OP_SYMLINKAT && (s->len || s->op_flags))
        return -EINVAL;
    return no_fixed(q);
}

long renameat_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return sys_renameat2(&q->task, s->fd, s->addr, (int)s->len, s->addr2, s->op_flags);
}

long unlinkat_issue(struct ureq *q)
{
    return sys_unlinkat(&q->task, q->sqe.fd, q->sqe.addr, (int)q->sqe.op_flags);
}

long mkdirat_issue(struct ureq *q)
{
    return sys_mkdirat(&q->task, q->sqe.fd, q->sqe.addr, q->sqe.len);
}

long symlinkat_issue(struct ureq *q)
{
    return sys_symlinkat(&q->task, q->sqe.addr, q->sqe.fd, q->sqe.addr2);
}

long linkat_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return sys_linkat(&q->task, s->fd, s->addr, (int)s->len, s->addr2, (int)s->op_flags);
}

int xattr_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    bool get = s->opcode == LX_OP_GETXATTR || s->opcode == LX_OP_FGETXATTR;

    if (s->flags & LX_SQE_FIXED_FILE)
        return -EBADF;
    return get && s->op_flags ? -EINVAL : 0;
}

long setxattr_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return sys_setxattr(&q->task, s->addr3, s->addr, s->addr2, s->len, (int)s->op_flags);
}

long fsetxattr_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return sys_fsetxattr(&q->task, s->fd, s->addr, s->addr2, s->len, (int)s->op_flags);
}

long getxattr_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return sys_getxattr(&q->task, s->addr3, s->addr, s->addr2, s->len);
}

long fgetxattr_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return sys_fgetxattr(&q->task, s->fd, s->addr, s->addr2, s->len);
}

/* ---- not of files at all ---- */

int waitid_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return s->addr || s->buf_index || s->addr3 || s->op_flags ? -EINVAL : 0;
}

long waitid_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return sys_waitid(&q->task, (int)s->len, s->fd, s->addr2, s->splice_fd_in, /* rusage= */ 0);
}
