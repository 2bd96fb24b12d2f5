/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flags of a file that chattr(1) sets: kept by file systems in memory, told and changed by ioctl
 * on an open file. What they forbid stands where it is forbidden (permission.c, attr.c, open.c, ...).
 */
#include "sentry/vfs/fsflags.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/fs.h>

#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"

#define CHANGEABLE (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)
/* Those that take a right of their own to change. */
#define BINDING (FS_IMMUTABLE_FL | FS_APPEND_FL)

static const struct {
    uint32_t flag, xflag;
} pairs[] = {
    { FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE },
    { FS_APPEND_FL, FS_XFLAG_APPEND },
    { FS_NODUMP_FL, FS_XFLAG_NODUMP },
    { FS_NOATIME_FL, FS_XFLAG_NOATIME },
};

static int set(struct task *t, struct file *f, uint32_t flags)
{
    struct inode *i = f->inode;
    int r = f->path.dentry ? mnt_want_write(&f->path) : 0;

    if (r < 0)
        return r;
    if (!inode_owner_or_capable(t, i))
        return -EPERM;
    if (flags & ~(uint32_t)CHANGEABLE)
        return -EOPNOTSUPP;
    if ((flags ^ i->fsflags) & BINDING && !task_capable(t, CAP_LINUX_IMMUTABLE))
        return -EPERM;
    r = i->ops->set_flags(t, i, flags);
    if (r == 0)
        inode_touch(i, ATTR_CTIME);
    return r;
}

static long set_extended(struct task *t, struct file *f, gaddr_t from)
{
    struct fsxattr x;
    uint32_t flags = 0, known = 0;

    if (get_guest(t, &x, from) < 0)
        return -EFAULT;
    for (unsigned k = 0; k < ARRAY_SIZE(pairs); k++) {
        flags |= x.fsx_xflags & pairs[k].xflag ? pairs[k].flag : 0;
        known |= pairs[k].xflag;
    }
    if (x.fsx_xflags & ~known || x.fsx_extsize || x.fsx_projid || x.fsx_cowextsize)
        return -EOPNOTSUPP;
    return set(t, f, flags);
}

static long get_extended(struct task *t, const struct inode *i, gaddr_t to)
{
    struct fsxattr x = { 0 };

    for (unsigned k = 0; k < ARRAY_SIZE(pairs); k++)
        x.fsx_xflags |= i->fsflags & pairs[k].flag ? pairs[k].xflag : 0;
    return put_guest(t, to, &x);
}

long fsflags_ioctl(struct task *t, struct file *f, unsigned cmd, gaddr_t arg)
{
    const struct inode *i = f->inode;
    uint32_t flags;

    switch (cmd) {
    case FS_IOC_GETFLAGS:
    case FS_IOC_SETFLAGS:
    case FS_IOC_FSGETXATTR:
    case FS_IOC_FSSETXATTR:
        break;
    default:
        return -ENOIOCTLCMD;
    }
    if (!i || !i->ops || !i->ops->set_flags || (!S_ISREG(i->mode) && !S_ISDIR(i->mode)))
        return -ENOTTY;
    if (cmd == FS_IOC_FSSETXATTR)
        return set_extended(t, f, arg);
    if (cmd == FS_IOC_FSGETXATTR)
        return get_extended(t, i, arg);
    flags = i->fsflags;
    if (cmd == FS_IOC_GETFLAGS)
        return put_guest(t, arg, &flags);
    return get_guest(t, &flags, arg) < 0 ? -EFAULT : set(t, f, flags);
}
