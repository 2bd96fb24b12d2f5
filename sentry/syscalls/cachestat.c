/* SPDX-License-Identifier: Apache-2.0 */
/* cachestat, and quotactl for file systems without quotas. */
#include <errno.h>
#include <fcntl.h>
#include <sys/quota.h>
#include <sys/stat.h>

#include "abi/fs.h"
#include "sentry/fs/mem/mem.h"
#include "sentry/kernel/call.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/mount.h"

#define LX_MAXQUOTAS 3

/*
 * A file in memory is its own page cache, never dirty nor written back, as Linux's tmpfs. Pages of
 * the host's files are the host's to cache: none of them is ours.
 */
long sys_cachestat(struct task *t, int fd, gaddr_t urange, gaddr_t ustat, unsigned flags)
{
    struct file *f = call_file(t, 0, fd);
    struct lx_cachestat_range range;
    struct lx_cachestat st = {};
    uint64_t last;

    if (IS_ERR(f))
        return PTR_ERR(f);
    if (get_guest(t, &range, urange) < 0)
        return -EFAULT;
    if (flags)
        return -EINVAL;
    last = range.len ? (range.off + range.len - 1) / PAGE_SIZE_4K : UINT64_MAX;
    if (f->inode && f->inode->ops == &mem_file_iops)
        st.nr_cache = mem_pages_held(f->inode, range.off / PAGE_SIZE_4K, last);
    return put_guest(t, ustat, &st);
}

/* No file system here keeps quotas: as Linux without any that has them switched on. */

static bool changes_state(unsigned cmd)
{
    return cmd == (Q_QUOTAON & 0xffffff) || cmd == (Q_QUOTAOFF & 0xffffff);
}

long sys_quotactl(struct task *t, unsigned cmd, gaddr_t special, int id, gaddr_t addr)
{
    unsigned sub = cmd >> 8;
    struct path p;
    int r;

    (void)id;
    if ((cmd & 0xff) >= LX_MAXQUOTAS)
        return -EINVAL;
    if (!special)
        return sub == (Q_SYNC & 0xffffff) ? 0 : -ENODEV;
    if (changes_state(
            sub)) { /* its path is looked at first, but what is wrong there is said later */
        if (walk_user(t, AT_FDCWD, addr, WALK_FOLLOW, &p) == 0)
            path_put(&p);
    }
    r = walk_user(t, AT_FDCWD, special, WALK_FOLLOW, &p);
    if (r < 0)
        return r;
    if (!S_ISBLK(dentry_inode(p.dentry)->mode))
        r = -ENOTBLK;
    else if (p.mnt && p.mnt->flags & MS_NODEV)
        r = -EACCES;
    else
        r = -ENODEV;
    path_put(&p);
    return r;
}

long sys_quotactl_fd(struct task *t, int fd, unsigned cmd, int id, gaddr_t addr)
{
    struct file *f = fd_get_path(t, fd);

    (void)id, (void)addr;
    if (!f)
        return -EBADF;
    file_put(f);
    return (cmd & 0xff) >= LX_MAXQUOTAS ? -EINVAL : -ENOSYS;
}
