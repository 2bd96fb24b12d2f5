/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what to a file: mode bits, fsuid and groups, and the three capabilities that override
 * them; lists of more users and groups: acl.h. task NULL (start-up) may do all.
 */
#include <errno.h>
#include <linux/capability.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/fsflags.h"

const struct cred *vfs_cred(struct task *t)
{
    if (!t)
        return NULL;
    return t->call.fs_cred ? t->call.fs_cred : t->cred;
}

int inode_permission_generic(struct task *t, struct inode *i, int mask)
{
    const struct cred *c = vfs_cred(t);
    uint32_t mode, uid, gid, bits;
    int r;

    if (!c || unfenced("permission"))
        return 0;
    mode = i->mode;
    bits = (uint32_t)mask * 0111;
    if ((mode & bits) == bits && !__atomic_load_n(&i->acl_access, __ATOMIC_RELAXED))
        return 0; /* anybody may, whoever owns it */
    lock(&i->lock);
    mode = i->mode;
    uid = i->uid;
    gid = i->gid;
    r = c->fsuid == uid ? -EAGAIN : acl_permission_locked(i, c, mask);
    unlock(&i->lock);
    if (r == 0)
        return 0;
    bits = mode;
    if (r == -EACCES)
        bits = 0; /* a list says no */
    else if (c->fsuid == uid)
        bits >>= 6;
    else if (cred_in_group(c, gid))
        bits >>= 3;
    if (!(mask & ~bits & 7))
        return 0;
    if (S_ISDIR(mode)) {
        if (!(mask & W_OK) && cred_capable(c, CAP_DAC_READ_SEARCH))
            return 0;
        return cred_capable(c, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
    }
    if (mask == R_OK && cred_capable(c, CAP_DAC_READ_SEARCH))
        return 0;
    if ((!(mask & X_OK) || mode & 0111) && cred_capable(c, CAP_DAC_OVERRIDE))
        return 0;
    return -EACCES;
}

int inode_permission(struct task *t, struct inode *i, int mask)
{
    if (!t)
        return 0;
    if (mask & W_OK && i->sb->readonly && (S_ISREG(i->mode) || is_dir(i) || S_ISLNK(i->mode)))
        return -EROFS;
    if (mask & W_OK && inode_is_immutable(i))
        return -EPERM;
    if (i->ops->permission)
        return i->ops->permission(t, i, mask);
    return inode_permission_generic(t, i, mask);
}

bool inode_owner_or_capable(struct task *t, struct inode *i)
{
    const struct cred *c = vfs_cred(t);

    return !c || c->fsuid == i->uid || cred_capable(c, CAP_FOWNER);
}

void inode_init_owner(struct task *t, struct inode *i, const struct inode *dir)
{
    const struct cred *c = vfs_cred(t);

    i->uid = c ? c->fsuid : 0;
    i->gid = c ? c->fsgid : 0;
    if (!dir || !(dir->mode & S_ISGID))
        return;
    i->gid = dir->gid;
    if (S_ISDIR(i->mode))
        i->mode |= S_ISGID;
}

int may_create(struct task *t, struct inode *dir)
{
    if (dir->nlink == 0)
        return -ENOENT;
    return inode_permission(t, dir, W_OK | X_OK);
}

int may_delete(struct task *t, struct inode *dir, struct dentry *victim, bool isdir)
{
    struct inode *i = dentry_inode(victim);
    const struct cred *c = vfs_cred(t);
    int r = inode_permission(t, dir, W_OK | X_OK);

    if (r < 0)
        return r;
    if (inode_is_append(dir) || inode_is_bound(i))
        return -EPERM;
    if (c && dir->mode & S_ISVTX && c->fsuid != i->uid && c->fsuid != dir->uid &&
        !cred_capable(c, CAP_FOWNER))
        return -EPERM;
    if (isdir && !is_dir(i))
        return -ENOTDIR;
    if (!isdir && is_dir(i))
        return -EISDIR;
    if (victim->parent == victim || victim->nmounts)
        return -EBUSY;
    return 0;
}

/* ---- fs.protected_symlinks, _hardlinks, _fifos, _regular ---- */

/* In a directory like /tmp a link is followed for its owner, and where the directory's owner made it. */
int may_follow_link(struct task *t, const struct inode *dir, const struct inode *link)
{
    const struct cred *c = vfs_cred(t);
    const uint32_t shared = S_ISVTX | S_IWOTH;

    if (!sysctl_of(SYSCTL_PROTECTED_SYMLINKS) || !c || c->fsuid == link->uid ||
        (dir->mode & shared) != shared || dir->uid == link->uid)
        return 0;
    return -EACCES;
}

/* Who owns a file may link to it; others, when they may read and write it and it gives no rights. */
int may_link_to(struct task *t, struct inode *i)
{
    const uint32_t setgid = S_ISGID | S_IXGRP;

    if (!sysctl_of(SYSCTL_PROTECTED_HARDLINKS) || inode_owner_or_capable(t, i))
        return 0;
    if (S_ISREG(i->mode) && !(i->mode & S_ISUID) && (i->mode & setgid) != setgid &&
        inode_permission(t, i, R_OK | W_OK) == 0)
        return 0;
    return -EPERM;
}

/* O_CREAT in a sticky directory of others is not to open what a third one has put there. */
int may_open_in_sticky(struct task *t, const struct inode *dir, const struct inode *i)
{
    const struct cred *c = vfs_cred(t);
    int64_t level = S_ISREG(i->mode)    ? sysctl_of(SYSCTL_PROTECTED_REGULAR)
                    : S_ISFIFO(i->mode) ? sysctl_of(SYSCTL_PROTECTED_FIFOS)
                                        : 0;

    if (!level || !(dir->mode & S_ISVTX) || !c || c->fsuid == i->uid || i->uid == dir->uid)
        return 0;
    return dir->mode & S_IWOTH || (dir->mode & S_IWGRP && level > 1) ? -EACCES : 0;
}
