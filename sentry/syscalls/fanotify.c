/* SPDX-License-Identifier: Apache-2.0 */
/* fanotify_init and fanotify_mark: all that is refused, in Linux's order. */
#include "sentry/fs/fanotify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <unistd.h>

#include "abi/fanotify.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/handle.h"
#include "sentry/vfs/notify.h"

#define LX_O_LARGEFILE 0100000
#define EVENT_OPEN_FLAGS                                                                           \
    (LX_O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_CLOEXEC | LX_O_LARGEFILE |        \
     O_NOATIME)

#define PERM_EVENTS (LX_FS_OPEN_PERM | LX_FS_ACCESS_PERM | LX_FS_OPEN_EXEC_PERM)
/* Events that come with an open file, and so can be reported by descriptor. */
#define FD_EVENTS                                                                                  \
    (LX_IN_ACCESS | LX_IN_MODIFY | LX_IN_CLOSE_WRITE | LX_IN_CLOSE_NOWRITE | LX_IN_OPEN |          \
     LX_FS_OPEN_EXEC | PERM_EVENTS)
#define DIRENT_EVENTS                                                                              \
    (LX_IN_CREATE | LX_IN_DELETE | LX_IN_MOVED_FROM | LX_IN_MOVED_TO | LX_FS_RENAME)
#define EVENTS                                                                                     \
    (FD_EVENTS | DIRENT_EVENTS | LX_IN_ATTRIB | LX_IN_DELETE_SELF | LX_IN_MOVE_SELF |              \
     LX_FAN_FS_ERROR)
#define EVENT_FLAGS (LX_FAN_ONDIR | LX_FAN_EVENT_ON_CHILD)
#define IGNORE_BITS (LX_FAN_MARK_IGNORE | LX_FAN_MARK_IGNORED_MASK)

static int check_init(struct task *t, unsigned flags, unsigned event_flags, bool admin)
{
    unsigned fid = flags & LX_FAN_FID_BITS;

    if (!admin && (flags & LX_FAN_ADMIN_FLAGS || !fid))
        return -EPERM;
    if (flags & ~LX_FAN_INIT_FLAGS)
        return -EINVAL;
    if (flags & LX_FAN_REPORT_PIDFD && flags & LX_FAN_REPORT_TID)
        return -EINVAL;
    if (event_flags & ~(unsigned)EVENT_OPEN_FLAGS || (event_flags & LX_O_ACCMODE) == LX_O_ACCMODE)
        return -EINVAL;
    if (fid && flags & LX_FAN_CLASSES)
        return -EINVAL;
    if (fid & LX_FAN_REPORT_NAME && !(fid & LX_FAN_REPORT_DIR_FID))
        return -EINVAL;
    if (fid & LX_FAN_REPORT_TARGET_FID && (fid & (LX_FAN_REPORT_NAME | LX_FAN_REPORT_FID)) !=
                                              (LX_FAN_REPORT_NAME | LX_FAN_REPORT_FID))
        return -EINVAL;
    if ((flags & LX_FAN_CLASSES) == LX_FAN_CLASSES)
        return -EINVAL;
    if (flags & LX_FAN_ENABLE_AUDIT && !task_capable(t, CAP_AUDIT_WRITE))
        return -EPERM;
    return 0;
}

long sys_fanotify_init(struct task *t, unsigned long lflags, int event_flags)
{
    bool admin = task_capable(t, CAP_SYS_ADMIN);
    unsigned flags = (unsigned)lflags;
    struct file *f;
    int r = check_init(t, flags, (unsigned)event_flags, admin);

    if (r < 0)
        return r;
    f = fanotify_new(t, flags, (unsigned)event_flags, !admin);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, 0, flags & LX_FAN_CLOEXEC);
}

/* ---- fanotify_mark ---- */

struct mark_args {
    unsigned flags, group;
    uint32_t mask, keep; /* keep: bits that do not hold a mark by themselves */
};

static bool flushes(unsigned flags)
{
    return flags & LX_FAN_MARK_FLUSH;
}

static int check_flags(struct mark_args *a, uint64_t mask)
{
    unsigned cmd = a->flags & (LX_FAN_MARK_ADD | LX_FAN_MARK_REMOVE | LX_FAN_MARK_FLUSH);

    if (mask >> 32 || a->flags & ~LX_FAN_MARK_FLAGS ||
        (a->flags & LX_FAN_MARK_TYPES) == LX_FAN_MARK_TYPES)
        return -EINVAL;
    if (!cmd || cmd & (cmd - 1))
        return -EINVAL;
    if (flushes(cmd) ? a->flags & ~(LX_FAN_MARK_TYPES | LX_FAN_MARK_FLUSH) : !mask)
        return -EINVAL;
    if (mask & ~(uint64_t)(EVENTS | EVENT_FLAGS) || (a->flags & IGNORE_BITS) == IGNORE_BITS)
        return -EINVAL;
    a->mask = (uint32_t)mask;
    if ((a->flags & IGNORE_BITS) == LX_FAN_MARK_IGNORED_MASK) {
        a->mask &= ~EVENT_FLAGS;
        a->keep = EVENT_FLAGS;
    }
    return 0;
}

static int check_group(const struct mark_args *a, bool unprivileged)
{
    unsigned type = a->flags & LX_FAN_MARK_TYPES, fid = a->group & LX_FAN_FID_BITS;

    if (unprivileged && type)
        return -EPERM;
    if (a->mask & PERM_EVENTS && !(a->group & LX_FAN_CLASSES))
        return -EINVAL;
    if (a->mask & LX_FAN_FS_ERROR && type != LX_FAN_MARK_FILESYSTEM)
        return -EINVAL;
    if (a->flags & LX_FAN_MARK_EVICTABLE && type)
        return -EINVAL;
    if (a->mask & ~(FD_EVENTS | EVENT_FLAGS) && (!fid || type == LX_FAN_MARK_MOUNT))
        return -EINVAL;
    if (a->mask & LX_FS_RENAME && !(fid & LX_FAN_REPORT_NAME))
        return -EINVAL;
    return 0;
}

static int find_object(struct task *t, const struct mark_args *a, int dfd, gaddr_t upath,
                       struct path *ret)
{
    unsigned walk = a->flags & LX_FAN_MARK_DONT_FOLLOW ? 0 : WALK_FOLLOW;
    struct file *f;
    int r = 0;

    if (upath) {
        r = walk_user(t, dfd, upath, a->flags & LX_FAN_MARK_ONLYDIR ? walk | WALK_DIR : walk, ret);
        if (r < 0)
            return r;
    } else {
        f = fd_get(t, dfd);
        if (!f)
            return -EBADF;
        *ret = f->path.dentry ? path_ref(f->path) : (struct path){};
        file_put(f);
        if (!ret->dentry)
            return -EINVAL;
        if (a->flags & LX_FAN_MARK_ONLYDIR && !S_ISDIR(dentry_inode(ret->dentry)->mode))
            r = -ENOTDIR;
    }
    if (r == 0)
        r = inode_permission(t, dentry_inode(ret->dentry), R_OK);
    if (r < 0)
        path_put(ret);
    return r;
}

static int check_object(const struct mark_args *a, const struct path *p)
{
    struct inode *i = dentry_inode(p->dentry);
    bool on_inode = !(a->flags & LX_FAN_MARK_TYPES);
    bool strict = a->group & LX_FAN_REPORT_TARGET_FID || a->mask & LX_FS_RENAME ||
                  a->flags & LX_FAN_MARK_IGNORE;

    if (!p->mnt && !on_inode)
        return -EINVAL;
    if (a->flags & LX_FAN_MARK_ADD) {
        if (a->mask & PERM_EVENTS && i->sb->magic == 0x9fa0 /* procfs */)
            return -EINVAL;
        if (strict && on_inode && !S_ISDIR(i->mode) && a->mask & (DIRENT_EVENTS | EVENT_FLAGS))
            return -ENOTDIR;
    }
    if (!(a->group & LX_FAN_FID_BITS))
        return 0;
    if (!p->mnt || i->sb->magic == 0x9fa0) /* their fsid is 0 */
        return -ENODEV;
    return !on_inode && !i->sb->exports ? -EOPNOTSUPP : 0;
}

static long mark_object(struct file *f, struct mark_args *a, const struct path *p)
{
    struct inode *i = a->flags & LX_FAN_MARK_TYPES ? NULL : dentry_inode(p->dentry);
    bool dir = i && S_ISDIR(i->mode);

    if (a->flags & LX_FAN_MARK_ADD && a->flags & IGNORE_BITS &&
        !(a->flags & LX_FAN_MARK_IGNORED_SURV_MODIFY)) {
        if (a->flags & LX_FAN_MARK_IGNORE && (!i || dir))
            return i ? -EISDIR : -EINVAL;
        if (i && __atomic_load_n(&i->writers, __ATOMIC_RELAXED) > 0)
            return 0; /* it would be lost at once */
    }
    if (!dir) {
        a->mask &= ~LX_FAN_EVENT_ON_CHILD;
        a->keep |= LX_FAN_EVENT_ON_CHILD;
    }
    if (a->flags & LX_FAN_MARK_ADD)
        return fanotify_mark_add(f, p, a->flags, a->mask);
    return fanotify_mark_remove(f, p, a->flags, a->mask, a->keep);
}

long sys_fanotify_mark(struct task *t, int fd, unsigned long flags, unsigned long mask, int dfd,
                       gaddr_t upath)
{
    struct mark_args a = { .flags = (unsigned)flags };
    struct file *f;
    struct path p;
    long r = check_flags(&a, mask);

    if (r < 0)
        return r;
    f = call_file(t, 0, fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    if (!file_is_fanotify(f))
        return -EINVAL;
    a.group = fanotify_flags(f);
    r = check_group(&a, fanotify_unprivileged(f));
    if (r < 0)
        return r;
    if (flushes(a.flags)) {
        fanotify_mark_flush(f, a.flags);
        return 0;
    }
    r = find_object(t, &a, dfd, upath, &p);
    if (r < 0)
        return r;
    r = check_object(&a, &p);
    if (r == 0)
        r = mark_object(f, &a, &p);
    path_put(&p);
    return r;
}
