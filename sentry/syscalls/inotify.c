/* SPDX-License-Identifier: Apache-2.0 */
/* inotify: decode, look the path up, call the instance. */
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "sentry/fs/inotify.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/vfs.h"

#define ALL_BITS                                                                                   \
    (IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW |       \
     IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE | IN_ISDIR | IN_ONESHOT)

long sys_inotify_init1(struct task *t, int flags)
{
    struct file *f;

    if (flags & ~(IN_CLOEXEC | IN_NONBLOCK))
        return -EINVAL;
    f = inotify_new(t, (unsigned)flags);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, /* min= */ 0, flags & IN_CLOEXEC);
}

long sys_inotify_init(struct task *t)
{
    return sys_inotify_init1(t, 0);
}

long sys_inotify_add_watch(struct task *t, int fd, gaddr_t upath, uint32_t mask)
{
    unsigned walk = mask & IN_DONT_FOLLOW ? 0 : WALK_FOLLOW;
    struct file *f;
    struct path p;
    int r;

    if (!(mask & ALL_BITS) || (mask & IN_MASK_ADD && mask & IN_MASK_CREATE))
        return -EINVAL;
    f = call_file(t, 0, fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    if (!file_is_inotify(f))
        return -EINVAL;
    if (mask & IN_ONLYDIR)
        walk |= WALK_DIR;
    r = walk_user(t, AT_FDCWD, upath, walk, &p);
    if (r < 0)
        return r;
    r = inode_permission(t, dentry_inode(p.dentry), R_OK);
    if (r == 0)
        r = inotify_add(f, dentry_inode(p.dentry), mask);
    path_put(&p);
    return r;
}

long sys_inotify_rm_watch(struct task *t, int fd, int wd)
{
    struct file *f = call_file(t, 0, fd);

    return IS_ERR(f) ? PTR_ERR(f) : inotify_remove(f, wd);
}
