/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes: what stat shows, and who may change what (chmod, chown, utimes, truncate). The rules
 * stand here; a file system's setattr only carries them out.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/stat.h>
#include <unistd.h>

#include "sentry/kernel/cred.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/fsflags.h"
#include "sentry/vfs/notify.h"

/* Of the flags, those that statx tells; they are the same bits. */
#define STATX_FLAGS (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP)

void inode_take_stat_locked(struct inode *i, const struct kstat *st)
{
    assert_locked(&i->lock);
    i->mode = (i->mode & S_IFMT) | (st->mode & 07777);
    i->uid = st->uid;
    i->gid = st->gid;
    i->nlink = st->nlink;
    i->rdev = st->rdev;
    i->size = st->size;
    i->blocks = st->blocks;
    i->atime = st->atime;
    i->mtime = st->mtime;
    i->ctime = st->ctime;
    i->btime = st->btime;
}

void inode_fill_stat(struct inode *i, struct kstat *ret)
{
    LOCK_SCOPE(&i->lock);

    *ret = (struct kstat){
        .dev = i->sb->dev,
        .ino = i->ino,
        .nlink = i->nlink,
        .rdev = i->rdev,
        .size = i->size,
        .blocks = i->blocks,
        .mode = i->mode,
        .uid = i->uid,
        .gid = i->gid,
        .blksize = 4096,
        .atime = i->atime,
        .mtime = i->mtime,
        .ctime = i->ctime,
        .btime = i->btime,
    };
    if (i->ops && i->ops->set_flags) {
        ret->attributes = i->fsflags & STATX_FLAGS;
        ret->attributes_mask = STATX_FLAGS;
    }
}

int inode_getattr(struct task *t, struct inode *i, struct kstat *ret)
{
    if (i->ops && i->ops->getattr)
        return i->ops->getattr(t, i, ret);
    inode_fill_stat(i, ret);
    return 0;
}

int vfs_getattr(struct task *t, const struct path *p, struct kstat *ret)
{
    int r = inode_getattr(t, dentry_inode(p->dentry), ret);

    if (r < 0 || !p->mnt)
        return r;
    ret->mnt_id = p->mnt->id;
    ret->attributes_mask |= STATX_ATTR_MOUNT_ROOT;
    if (p->dentry == p->mnt->root)
        ret->attributes |= STATX_ATTR_MOUNT_ROOT;
    return 0;
}

int file_getattr(struct task *t, struct file *f, struct kstat *ret)
{
    if (f->path.dentry)
        return vfs_getattr(t, &f->path, ret);
    if (f->inode) /* a pipe, a socket */
        return inode_getattr(t, f->inode, ret);
    *ret = (struct kstat){ .mode = 0600, .nlink = 1, .blksize = 4096 };
    return 0;
}

void inode_apply_attr(struct inode *i, const struct setattr *a)
{
    LOCK_SCOPE(&i->lock);

    if (a->valid & ATTR_MODE)
        i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
    if (a->valid & ATTR_MODE)
        acl_chmod_locked(i);
    if (a->valid & ATTR_UID)
        i->uid = a->uid;
    if (a->valid & ATTR_GID)
        i->gid = a->gid;
    if (a->valid & ATTR_ATIME)
        i->atime = a->atime;
    if (a->valid & ATTR_MTIME)
        i->mtime = a->mtime;
    if (a->valid & ATTR_CTIME)
        i->ctime = a->ctime;
}

static int chown_allowed(const struct cred *c, const struct inode *i, const struct setattr *a)
{
    bool owner = c->fsuid == i->uid;

    if (a->valid & ATTR_UID && !(owner && a->uid == i->uid) && !cred_capable(c, CAP_CHOWN))
        return -EPERM;
    if (a->valid & ATTR_GID && !(owner && (a->gid == i->gid || cred_in_group(c, a->gid))) &&
        !cred_capable(c, CAP_CHOWN))
        return -EPERM;
    return 0;
}

int vfs_check_size(struct task *t, uint64_t size)
{
    if (size > INT64_MAX)
        return -EFBIG;
    if (t && size > task_rlimit(t, RLIMIT_FSIZE)->rlim_cur) {
        signal_send_task(t, SIGXFSZ, NULL);
        return -EFBIG;
    }
    return 0;
}

/* Set-id bits that a change of owner or content takes away. */
static uint32_t mode_without_privs(const struct cred *c, const struct inode *i)
{
    uint32_t mode = i->mode & ~S_ISUID;

    if (mode & S_ISGID &&
        (mode & S_IXGRP || (c && !cred_in_group(c, i->gid) && !cred_capable(c, CAP_FSETID))))
        mode &= ~S_ISGID;
    return mode;
}

/* May t change i so? Completes a. */
static int prepare(struct task *t, struct inode *i, struct setattr *a)
{
    const struct cred *c = vfs_cred(t);
    bool owner = inode_owner_or_capable(t, i);
    int r;

    if (a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_TIMES_SET) && inode_is_bound(i))
        return -EPERM;
    if ((a->valid & ATTR_TOUCH && inode_is_immutable(i)) ||
        (a->valid & ATTR_SIZE && inode_is_append(i)))
        return -EPERM;
    if (a->valid & ATTR_MODE && S_ISLNK(i->mode))
        return -EOPNOTSUPP;
    if (a->valid & ATTR_SIZE) {
        r = vfs_check_size(t, a->size);
        if (r < 0)
            return r;
    }
    r = c ? chown_allowed(c, i, a) : 0;
    if (r < 0)
        return r;
    if (a->valid & (ATTR_MODE | ATTR_TIMES_SET) && !owner)
        return -EPERM;
    if (a->valid & ATTR_TOUCH && !owner) {
        r = inode_permission(t, i, W_OK);
        if (r < 0)
            return r;
    }
    if (a->valid & ATTR_MODE && c) {
        uint32_t gid = a->valid & ATTR_GID ? a->gid : i->gid;

        if (!cred_in_group(c, gid) && !cred_capable(c, CAP_FSETID))
            a->mode &= ~S_ISGID;
    } else if (a->valid & (ATTR_UID | ATTR_GID | ATTR_CHOWN) && !is_dir(i) &&
               i->mode & (S_ISUID | S_ISGID)) {
        a->mode = mode_without_privs(c, i);
        a->valid |= ATTR_MODE;
    } else if (a->valid & ATTR_SIZE && i->mode & (S_ISUID | S_ISGID) && c &&
               !cred_capable(c, CAP_FSETID)) {
        a->mode = mode_without_privs(c, i);
        a->valid |= ATTR_MODE;
    }
    return 0;
}

int inode_setattr(struct task *t, struct inode *i, const struct setattr *want)
{
    struct setattr a = *want;
    struct timespec now = ktime_to_timespec(ktime_real());
    int r = prepare(t, i, &a);

    if (r < 0)
        return r;
    a.valid |= ATTR_CTIME;
    a.ctime = now;
    if (a.valid & ATTR_ATIME && !(a.valid & ATTR_ATIME_SET))
        a.atime = now;
    if (a.valid & ATTR_MTIME && !(a.valid & ATTR_MTIME_SET))
        a.mtime = now;
    if (i->ops && i->ops->setattr)
        r = i->ops->setattr(t, i, &a);
    else if (a.valid & ATTR_SIZE)
        r = -EINVAL;
    else
        inode_apply_attr(i, &a);
    if (r == 0 && a.valid & (ATTR_UID | ATTR_GID | ATTR_CHOWN | ATTR_SIZE) && !is_dir(i))
        inode_drop_caps(i);
    return r;
}

int vfs_setattr(struct task *t, const struct path *p, const struct setattr *a)
{
    int r = mnt_want_write(p);

    if (r == 0)
        r = inode_setattr(t, dentry_inode(p->dentry), a);
    if (r == 0)
        fsnotify_dentry(p->dentry, a->valid & ATTR_SIZE ? LX_IN_MODIFY : LX_IN_ATTRIB);
    return r;
}

void inode_remove_privs(struct task *t, struct inode *i)
{
    const struct cred *c = vfs_cred(t);

    inode_drop_caps(i);
    if (!c || !(i->mode & (S_ISUID | S_ISGID)) || cred_capable(c, CAP_FSETID))
        return;
    LOCK_SCOPE(&i->lock);
    i->mode = mode_without_privs(c, i);
}

ssize_t vfs_readlink(struct task *t, struct inode *i, char *buf, size_t cap)
{
    if (!S_ISLNK(i->mode))
        return -EINVAL;
    return i->ops->readlink ? i->ops->readlink(t, i, buf, cap) : -EINVAL;
}
