/* SPDX-License-Identifier: Apache-2.0 */
/* sync and its kin: everything is in memory, so only what an open file itself does is done. */
#include <errno.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"

static long sync_file(struct task *t, int fd, bool datasync)
{
    struct file *f = call_file(t, 0, fd);

    if (IS_ERR(f))
        return PTR_ERR(f);
    return f->ops->fsync ? f->ops->fsync(t, f, datasync) : -EINVAL;
}

long sys_fsync(struct task *t, int fd)
{
    return sync_file(t, fd, /* datasync= */ false);
}

long sys_fdatasync(struct task *t, int fd)
{
    return sync_file(t, fd, /* datasync= */ true);
}

long sys_sync(struct task *t)
{
    (void)t;
    return 0; /* there is no file system of ours with anything to write back */
}

long sys_syncfs(struct task *t, int fd)
{
    struct file *f = call_file(t, 0, fd);

    return IS_ERR(f) ? PTR_ERR(f) : 0;
}
