/* SPDX-License-Identifier: Apache-2.0 */
/* mount_setattr: flags and propagation of a mount, or of all of a tree at once. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <limits.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/syscalls/mountcalls.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"

#define VALID                                                                                      \
    (LX_MOUNT_ATTR_RDONLY | LX_MOUNT_ATTR_NOSUID | LX_MOUNT_ATTR_NODEV | LX_MOUNT_ATTR_NOEXEC |    \
     LX_MOUNT_ATTR_ATIME | LX_MOUNT_ATTR_NODIRATIME | LX_MOUNT_ATTR_NOSYMFOLLOW |                  \
     LX_MOUNT_ATTR_IDMAP)
#define PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

struct change {
    unsigned set, clear; /* MS_ bits */
    unsigned long propagation;
};

uint64_t mount_attr_of_flags(unsigned m)
{
    return (m & MS_RDONLY ? LX_MOUNT_ATTR_RDONLY : 0) | (m & MS_NOSUID ? LX_MOUNT_ATTR_NOSUID : 0) |
           (m & MS_NODEV ? LX_MOUNT_ATTR_NODEV : 0) | (m & MS_NOEXEC ? LX_MOUNT_ATTR_NOEXEC : 0) |
           (m & MS_NODIRATIME ? LX_MOUNT_ATTR_NODIRATIME : 0) |
           (m & LX_MS_NOSYMFOLLOW ? LX_MOUNT_ATTR_NOSYMFOLLOW : 0) |
           (m & MS_NOATIME    ? LX_MOUNT_ATTR_NOATIME
            : m & MS_RELATIME ? LX_MOUNT_ATTR_RELATIME
                              : LX_MOUNT_ATTR_STRICTATIME);
}

static int attr_in(struct task *t, gaddr_t at, size_t size, struct lx_mount_attr *ret)
{
    uint8_t rest[PAGE_SIZE_4K];

    if (size > PAGE_SIZE_4K)
        return -E2BIG;
    if (size < LX_MOUNT_ATTR_SIZE_VER0)
        return -EINVAL;
    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (copy_in(t, ret, at, sizeof *ret) < 0 ||
        (size > sizeof *ret && copy_in(t, rest, at + sizeof *ret, size - sizeof *ret) < 0))
        return -EFAULT;
    for (size_t i = 0; i < size - sizeof *ret; i++)
        if (rest[i])
            return -E2BIG;
    return 0;
}

/* There is one user namespace, the first: nothing can be mapped by it. */
static int check_idmap(struct task *t, const struct lx_mount_attr *a)
{
    struct file *f;

    if (!((a->attr_set | a->attr_clr) & LX_MOUNT_ATTR_IDMAP))
        return 0;
    if (a->attr_clr & LX_MOUNT_ATTR_IDMAP || a->userns_fd > INT_MAX)
        return -EINVAL;
    f = fd_get(t, (int)a->userns_fd);
    if (!f)
        return -EBADF;
    file_put(f);
    return -EINVAL;
}

static int change_of(struct task *t, const struct lx_mount_attr *a, struct change *ret)
{
    bool atime = a->attr_clr & LX_MOUNT_ATTR_ATIME;
    unsigned set;
    int r;

    if (a->propagation & ~(uint64_t)PROPAGATION || a->propagation & (a->propagation - 1))
        return -EINVAL;
    if ((a->attr_set | a->attr_clr) & ~(uint64_t)VALID)
        return -EINVAL;
    if (atime ? (a->attr_clr & LX_MOUNT_ATTR_ATIME) != LX_MOUNT_ATTR_ATIME
              : a->attr_set & LX_MOUNT_ATTR_ATIME)
        return -EINVAL;
    r = mount_flags_of_attr(a->attr_set & ~LX_MOUNT_ATTR_IDMAP, &set);
    if (r == 0)
        r = check_idmap(t, a);
    if (r < 0)
        return r;
    ret->set = atime ? set : set & ~(unsigned)MS_RELATIME;
    (void)mount_flags_of_attr(a->attr_clr & ~(uint64_t)LX_MOUNT_ATTR_ATIME, &ret->clear);
    ret->clear &= ~(unsigned)MS_RELATIME;
    if (atime)
        ret->clear |= MS_RELATIME | MS_NOATIME;
    ret->propagation = a->propagation;
    return 0;
}

static int change_locked(struct mount *top, const struct change *c, bool recursive)
{
    struct mount *m;

    if (!mount_owned_locked(top))
        return -EINVAL;
    for (m = top; m; m = recursive ? mount_next_locked(m, top) : NULL)
        if (c->set & ~m->flags & MS_RDONLY && mount_writers_locked(NULL, m))
            return -EBUSY; /* before any of them is changed */
    for (m = top; m; m = recursive ? mount_next_locked(m, top) : NULL) {
        m->flags = (m->flags & ~c->clear) | c->set;
        if (c->propagation)
            mount_set_propagation_locked(m, c->propagation);
    }
    return 0;
}

long sys_mount_setattr(struct task *t, int dfd, gaddr_t upath, unsigned long flags, gaddr_t uattr,
                       size_t size)
{
    unsigned walk = flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
    struct lx_mount_attr a;
    struct change c;
    struct path p;
    int r;

    if (flags &
        ~(unsigned long)(AT_EMPTY_PATH | LX_AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
        return -EINVAL;
    r = attr_in(t, uattr, size, &a);
    if (r < 0)
        return r;
    if (!a.attr_set && !a.attr_clr && !a.propagation)
        return 0;
    r = change_of(t, &a, &c);
    if (r == 0)
        r = walk_user(t, dfd, upath, flags & AT_EMPTY_PATH ? walk | WALK_EMPTY : walk, &p);
    if (r < 0)
        return r;
    lock(&vfs.mounts_lock);
    if (!p.mnt || p.dentry != p.mnt->root)
        r = -EINVAL;
    else
        r = change_locked(p.mnt, &c, flags & LX_AT_RECURSIVE);
    unlock(&vfs.mounts_lock);
    path_put(&p);
    return r;
}
