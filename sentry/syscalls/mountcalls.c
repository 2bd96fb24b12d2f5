/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount and umount2, for who has CAP_SYS_ADMIN inside. What a mount is made of is fscontext.h's
 * business, where it hangs vfs/mount.h's.
 */
#include "sentry/syscalls/mountcalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mount.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/cred.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/fscontext.h"

#define PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)
#define ATIME_FLAGS (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)
#define LX_MS_MGC 0xc0ed0000ul
#define LX_MS_NOUSER (1ul << 31)

/* Of mount(2)'s flags those that belong to the mount. old: what it is, when it is changed. */
static unsigned flags_of_mount(unsigned long flags, const struct mount *old)
{
    unsigned m = flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | LX_MS_NOSYMFOLLOW |
                          MS_NOATIME | MS_NODIRATIME);

    if (old && !(flags & ATIME_FLAGS))
        return m | (old->flags & ATIME_FLAGS);
    if (flags & MS_STRICTATIME)
        return m & ~(unsigned)MS_NOATIME;
    return flags & MS_NOATIME ? m : m | MS_RELATIME;
}

bool mount_writers_locked(const struct super *sb, const struct mount *only)
{
    struct mount *m;

    if (only)
        return atomic_load(&only->writers) > 0;
    m = container_here()
            ->root; /* where the file system is another's, too, that one's files are not looked for */
    for (struct mount *top = m; m; m = mount_next_locked(m, top))
        if (m->sb == sb && atomic_load(&m->writers) > 0)
            return true;
    return false;
}

static int bind(struct task *t, const char *source, const struct path *at, unsigned long flags)
{
    struct path from;
    int r;

    if (!*source)
        return -EINVAL;
    r = walk_path(t, AT_FDCWD, source, WALK_FOLLOW, &from);
    if (r < 0)
        return r;
    lock(&vfs.mounts_lock);
    r = mount_ours_locked(from.mnt) && !from.mnt->unbindable ? 0 : -EINVAL;
    unlock(&vfs.mounts_lock);
    if (r == 0)
        r = vfs_bind(&from, at, flags & MS_REC);
    path_put(&from);
    return r;
}

static int change_propagation(const struct path *at, unsigned long flags)
{
    unsigned long type = flags & ~(MS_REC | MS_SILENT);

    if (at->dentry != at->mnt->root || type & ~PROPAGATION || type & (type - 1))
        return -EINVAL;
    LOCK_SCOPE(&vfs.mounts_lock);
    if (!mount_ours_locked(at->mnt))
        return -EINVAL;
    for (struct mount *m = at->mnt; m; m = flags & MS_REC ? mount_next_locked(m, at->mnt) : NULL)
        mount_set_propagation_locked(m, type);
    return 0;
}

static int rebind(const struct path *at, unsigned long flags)
{
    if (at->dentry != at->mnt->root)
        return -EINVAL;
    LOCK_SCOPE(&vfs.mounts_lock);
    if (!mount_ours_locked(at->mnt))
        return -EINVAL;
    if (flags & ~(unsigned long)at->mnt->flags & MS_RDONLY && mount_writers_locked(NULL, at->mnt))
        return -EBUSY;
    at->mnt->flags = flags_of_mount(flags, at->mnt);
    return 0;
}

static int remount(const struct path *at, unsigned long flags, char *opts)
{
    struct super *sb = at->dentry->sb;
    struct fs_context fc;
    int r = fscontext_init(&fc, sb->type);

    lock(&vfs.mounts_lock);
    const bool ours = mount_ours_locked(at->mnt);
    unlock(&vfs.mounts_lock);
    if (at->dentry != at->mnt->root || !ours)
        return -EINVAL;
    if (r == 0) {
        r = fscontext_options(&fc, opts);
        fc.sb_mask |= MS_RDONLY;
        fc.sb_flags |= flags & MS_RDONLY;
    }
    if (r < 0 && r != -ENODEV) {
        fscontext_done(&fc);
        return r;
    }
    lock(&vfs.mounts_lock);
    if (flags & MS_RDONLY && !sb->readonly && mount_writers_locked(sb, NULL))
        r = -EBUSY;
    else if (r == -ENODEV) /* what the sandbox was started with: the mount alone changes */
        r = 0;
    else
        r = fscontext_reconfigure(&fc, sb);
    if (r == 0)
        at->mnt->flags = flags_of_mount(flags, at->mnt);
    unlock(&vfs.mounts_lock);
    if (fs_type_index(sb->type) >= 0)
        fscontext_done(&fc);
    return r;
}

int mount_graft(struct mount *m, const struct path *at)
{
    struct list gone = LIST_INIT(gone);
    struct path to = path_ref(*at);
    int r;

    path_descend(&to);
    lock(&vfs.mounts_lock);
    if (!mount_ours_locked(to.mnt))
        r = -EINVAL;
    else if (to.mnt->sb == m->sb && to.dentry == to.mnt->root && m->root == to.dentry)
        r = -EBUSY;
    else
        r = mount_attach_locked(m, &to, &gone);
    if (r < 0)
        mount_remove_locked(m, /* propagate= */ false, &gone);
    unlock(&vfs.mounts_lock);
    mounts_drop(&gone);
    path_put(&to);
    return r;
}

static int new_mount(struct task *t, const struct path *at, const char *source, const char *type,
                     unsigned long flags, char *opts)
{
    struct fs_context fc;
    struct super *sb = NULL;
    struct mount *m;
    int r = fscontext_init(&fc, type);

    if (r < 0)
        return r;
    fc.sb_mask = MS_RDONLY;
    fc.sb_flags = flags & MS_RDONLY;
    r = *source ? fscontext_option(&fc, "source", source) : 0;
    if (r == 0)
        r = fscontext_options(&fc, opts);
    if (r == 0) {
        sb = fscontext_create(t, &fc);
        r = IS_ERR(sb) ? PTR_ERR(sb) : 0;
    }
    fscontext_done(&fc);
    if (r < 0)
        return r;
    m = mount_detached(sb, flags_of_mount(flags, NULL), *source ? source : "none");
    return IS_ERR(m) ? PTR_ERR(m) : mount_graft(m, at);
}

struct mount_args {
    char source[PATH_MAX], target[PATH_MAX], type[PATH_MAX], data[PATH_MAX];
    bool has_source, has_type;
};

static int do_mount(struct task *t, struct mount_args *a, const struct path *at,
                    unsigned long flags)
{
    if ((flags & 0xffff0000ul) == LX_MS_MGC)
        flags &= 0xffff;
    if (flags & LX_MS_NOUSER)
        return -EINVAL;
    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (!at->mnt) /* a pipe by way of /proc/self/fd: on no mount */
        return -EINVAL;
    if ((flags & (MS_REMOUNT | MS_BIND)) == (MS_REMOUNT | MS_BIND))
        return rebind(at, flags);
    if (flags & MS_REMOUNT)
        return remount(at, flags, a->data);
    if (flags & MS_BIND)
        return a->has_source ? bind(t, a->source, at, flags) : -EINVAL;
    if (flags & PROPAGATION)
        return change_propagation(at, flags);
    if (flags & MS_MOVE)
        return a->has_source ? mount_move_old(t, a->source, at) : -EINVAL;
    if (!a->has_type)
        return -EINVAL;
    return new_mount(t, at, a->has_source ? a->source : "none", a->type, flags, a->data);
}

static int optional_str(struct task *t, char *to, gaddr_t at, bool *ret_has)
{
    ssize_t n = at ? copy_in_str(t, to, at, PATH_MAX) : 0;

    *ret_has = at;
    return n == -ENAMETOOLONG ? -EINVAL : n < 0 ? (int)n : 0;
}

/* As much of a page as can be read. */
static int data_in(struct task *t, char *to, gaddr_t at)
{
    size_t n = 0;

    to[0] = 0;
    if (!at)
        return 0;
    while (n < PATH_MAX - 1 && copy_in(t, to + n, at + n, 1) == 0 && to[n])
        n++;
    to[n] = 0;
    return n == 0 && copy_in(t, to, at, 1) < 0 ? -EFAULT : 0;
}

long sys_mount(struct task *t, gaddr_t source, gaddr_t target, gaddr_t type, unsigned long flags,
               gaddr_t data)
{
    struct mount_args *a = kzalloc(sizeof *a);
    struct path at;
    int r = a ? 0 : -ENOMEM;

    if (r == 0)
        r = optional_str(t, a->type, type, &a->has_type);
    if (r == 0)
        r = optional_str(t, a->source, source, &a->has_source);
    if (r == 0)
        r = data_in(t, a->data, data);
    if (r == 0)
        r = path_in(t, a->target, target);
    if (r == 0) {
        r = walk_path(t, AT_FDCWD, a->target, WALK_FOLLOW, &at);
        if (r == 0) {
            r = do_mount(t, a, &at, flags);
            path_put(&at);
        }
    }
    kfree(a);
    return r;
}

/* ---- umount ---- */

/* The copies elsewhere that would go with it are in nobody's use either. */
static bool busy_locked(struct mount *m, int expected)
{
    if (!list_empty(&m->children) || atomic_load(&m->refs) > expected)
        return true;
    for (struct mount *x = mount_targets_locked(m->parent, m->mountpoint); x; x = x->next) {
        struct mount *c = mount_find_locked(x, m->mountpoint);

        if (c && c != m && list_empty(&c->children) && atomic_load(&c->refs) > 1)
            return true;
    }
    return false;
}

/* at is a reference to m, beside the tree's. */
static int umount_locked(struct task *t, struct mount *m, int flags, struct list *gone)
{
    if (!mount_ours_locked(m) || !m->parent)
        return -EINVAL;
    if (flags & MNT_EXPIRE) {
        if (m == t->fs->root.mnt || flags & (MNT_FORCE | MNT_DETACH))
            return -EINVAL;
        if (busy_locked(m, 2))
            return -EBUSY;
        if (!atomic_exchange(&m->expiring, true))
            return -EAGAIN;
    }
    if (!(flags & MNT_DETACH) && busy_locked(m, 2))
        return -EBUSY;
    mount_remove_locked(m, /* propagate= */ true, gone);
    return 0;
}

long sys_umount2(struct task *t, gaddr_t target, int flags)
{
    struct list gone = LIST_INIT(gone);
    struct mount *m;
    struct path at;
    int r;

    if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
        return -EINVAL;
    r = walk_user(t, AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW, &at);
    if (r < 0)
        return r;
    path_descend(&at); /* of "." too, which a walk does not leave */
    m = at.mnt;
    at.mnt = NULL;
    if (!task_capable(t, CAP_SYS_ADMIN))
        r = -EPERM;
    else if (!m || at.dentry != m->root)
        r = -EINVAL;
    path_put(&at);
    if (r == 0 && !(flags & MNT_DETACH) && atomic_load(&m->refs) > 2)
        mm_reconcile(t->mm); /* what the caller has unmapped by itself holds it no more */
    if (r == 0) {
        lock(&vfs.mounts_lock);
        r = umount_locked(t, m, flags, &gone);
        unlock(&vfs.mounts_lock);
        mounts_drop(&gone);
    }
    mount_put_unused(m);
    return r;
}
