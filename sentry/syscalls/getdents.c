/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getdents, getdents64. Entries are laid out in memory of ours and copied out in one go; on a fault
 * the position goes back, so that nothing is lost.
 */
#include <errno.h>
#include <string.h>

#include "abi/fs.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/vfs.h"
#include "sentry/vfs/notify.h"

#define AT_ONCE 32768

struct dirent_buf {
    struct dirent_sink sink;
    char *buf;
    size_t used, cap;
    bool full;
};

static char *reserve(struct dirent_buf *b, size_t n)
{
    char *at = b->buf + b->used;

    if (n > b->cap - b->used) {
        b->full = true;
        return NULL;
    }
    b->used += n;
    return at;
}

static bool emit64(struct dirent_sink *s, const char *name, size_t len, uint64_t ino,
                   unsigned dtype, loff_t next)
{
    struct dirent_buf *b = container_of(s, struct dirent_buf, sink);
    struct lx_dirent64 e = { .ino = ino, .off = next, .type = dtype };
    char *at;

    e.reclen = (sizeof e + len + 1 + 7) & ~7ul;
    at = reserve(b, e.reclen);
    if (!at)
        return false;
    memcpy(at, &e, sizeof e);
    memcpy(at + sizeof e, name, len);
    return true;
}

static bool emit_old(struct dirent_sink *s, const char *name, size_t len, uint64_t ino,
                     unsigned dtype, loff_t next)
{
    struct dirent_buf *b = container_of(s, struct dirent_buf, sink);
    struct lx_dirent e = { .ino = ino, .off = next };
    char *at;

    e.reclen = (sizeof e + len + 2 + 7) & ~7ul;
    at = reserve(b, e.reclen);
    if (!at)
        return false;
    memcpy(at, &e, sizeof e);
    memcpy(at + sizeof e, name, len);
    at[e.reclen - 1] = dtype;
    return true;
}

static long fill(struct task *t, struct file *f, struct dirent_buf *b, gaddr_t to)
{
    loff_t before = f->pos;
    int r = f->ops->readdir(t, f, &b->sink);

    if (r < 0 && (r == -EWAITING || !b->used)) {
        f->pos = before;
        return r;
    }
    if (!b->used)
        return b->full ? -EINVAL : 0; /* not even one fits */
    if (copy_out(t, to, b->buf, b->used) < 0) {
        f->pos = before;
        return -EFAULT;
    }
    return b->used;
}

static long getdents(struct task *t, int fd, gaddr_t to, unsigned count,
                     bool (*emit)(struct dirent_sink *, const char *, size_t, uint64_t, unsigned,
                                  loff_t))
{
    struct dirent_buf b = { .sink.emit = emit, .cap = MIN(count, AT_ONCE) };
    struct file *f = call_file(t, 0, fd);
    long r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    if (!f->ops->readdir)
        return -ENOTDIR;
    r = fsnotify_perm(t, f, LX_FS_ACCESS_PERM);
    if (r == 0)
        r = file_pos_lock(t, f);
    if (r < 0)
        return r;
    b.buf = kzalloc(b.cap);
    r = b.buf ? fill(t, f, &b, to) : -ENOMEM;
    kfree(b.buf);
    if (r != -EWAITING)
        file_pos_unlock(t, f);
    if (r >= 0)
        fsnotify_file(f, LX_IN_ACCESS);
    return r;
}

long sys_getdents64(struct task *t, int fd, gaddr_t to, unsigned count)
{
    return getdents(t, fd, to, count, emit64);
}

long sys_getdents(struct task *t, int fd, gaddr_t to, unsigned count)
{
    return getdents(t, fd, to, count, emit_old);
}
