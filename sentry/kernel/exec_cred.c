/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve: whose rights the new image has. Set-id bits and file capabilities count where the mount is
 * not nosuid and the caller has not renounced them (no_new_privs); the rules for capabilities are
 * those of capabilities(7).
 */
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "abi/acl.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/exec.h"
#include "sentry/vfs/vfs.h"

static bool root_is_special(const struct cred *c)
{
    return !(c->securebits & LX_SECBIT_NOROOT);
}

static bool may_gain(const struct file *f)
{
    return f->path.mnt && !(f->path.mnt->flags & MS_NOSUID);
}

/* What the file's attribute gives. False: it has none that counts. */
static bool decode(const struct lx_vfs_cap_data *d, ssize_t n, struct file_caps *ret)
{
    uint32_t revision = d->magic & LX_VFS_CAP_REVISION_MASK;

    *ret = (struct file_caps){ .effective = d->magic & LX_VFS_CAP_EFFECTIVE };
    if ((revision == LX_VFS_CAP_REVISION_1 && n == LX_VFS_CAP_SIZE_1) ||
        (revision == LX_VFS_CAP_REVISION_2 && n == LX_VFS_CAP_SIZE_2) ||
        (revision == LX_VFS_CAP_REVISION_3 && n == LX_VFS_CAP_SIZE_3 && d->rootid == 0)) {
        ret->permitted = d->data[0].permitted;
        ret->inheritable = d->data[0].inheritable;
    } else {
        return false;
    }
    if (revision != LX_VFS_CAP_REVISION_1) {
        ret->permitted |= (uint64_t)d->data[1].permitted << 32;
        ret->inheritable |= (uint64_t)d->data[1].inheritable << 32;
    }
    ret->permitted &= CAP_ALL;
    ret->inheritable &= CAP_ALL;
    ret->there = true;
    return true;
}

/* Not asked for where root gets all in any way: it may be a trip to the host. */
void exec_file_caps(struct task *t, struct exec_state *s)
{
    const struct cred *c = t->cred;
    struct inode *i = s->file->inode;
    struct lx_vfs_cap_data d;
    ssize_t n;

    s->caps = (struct file_caps){};
    if (!may_gain(s->file) || !i->ops->getxattr ||
        (c->uid == 0 && c->euid == 0 && root_is_special(c)))
        return;
    n = i->ops->getxattr(t, i, "security.capability", &d, sizeof d);
    if (n >= (ssize_t)LX_VFS_CAP_SIZE_1)
        (void)decode(&d, n, &s->caps);
}

static void set_ids(struct cred *c, const struct file *f)
{
    struct inode *i = f->inode;

    if (c->no_new_privs || !may_gain(f))
        return;
    LOCK_SCOPE(&i->lock);
    if (i->mode & S_ISUID)
        c->euid = i->uid;
    if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        c->egid = i->gid;
}

/* The permitted set, and whether it is effective at once. */
static bool permitted(struct cred *c, const struct file_caps *fc)
{
    bool effective = fc->there && fc->effective;

    c->cap_permitted = fc->there
                           ? (c->cap_bset & fc->permitted) | (c->cap_inheritable & fc->inheritable)
                           : 0;
    if (!root_is_special(c) || (c->euid != 0 && c->uid != 0))
        return effective;
    if (fc->there && c->euid == 0 && c->uid != 0)
        return effective; /* set-user-ID root, with capabilities of its own: those alone */
    c->cap_permitted = c->cap_bset | c->cap_inheritable;
    return effective || c->euid == 0;
}

int exec_new_cred(struct task *t, struct exec_state *s)
{
    const struct cred *old = t->cred;
    struct cred *c = cred_copy(old);
    bool effective, set_id;

    if (!c)
        return -ENOMEM;
    set_ids(c, s->file);
    effective = permitted(c, &s->caps);
    if (s->caps.there && s->caps.effective && s->caps.permitted & ~c->cap_permitted) {
        cred_put(c);
        return -EPERM; /* the program counts on what it cannot have */
    }
    if (c->no_new_privs)
        c->cap_permitted &= old->cap_permitted;
    set_id = c->euid != old->uid || c->egid != old->gid;
    c->suid = c->fsuid = c->euid;
    c->sgid = c->fsgid = c->egid;
    if (s->caps.there || set_id)
        c->cap_ambient = 0;
    c->cap_permitted |= c->cap_ambient;
    c->cap_effective = effective ? c->cap_permitted : c->cap_ambient;
    c->securebits &= ~LX_SECBIT_KEEP_CAPS;
    s->secure = set_id || (c->uid != 0 && (effective || c->cap_permitted & ~c->cap_ambient));
    s->cred = c;
    return 0;
}
