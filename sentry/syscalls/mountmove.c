/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts that go elsewhere: open_tree, move_mount, MS_MOVE, pivot_root; files that hold a tree. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mount.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/cred.h"
#include "sentry/syscalls/mountcalls.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/dcache.h"

/* ---- files that hold a detached tree ---- */

static void tree_release(struct file *f)
{
    mount_dissolve(f->path.mnt);
}

static const struct file_ops tree_ops = { .name = "mount", .release = tree_release };

struct file *mount_file_new(struct mount *m)
{
    struct file *f = file_new_sized(sizeof *f, &tree_ops, O_PATH);

    m->held = true; /* nobody else knows it yet */
    if (IS_ERR(f)) {
        mount_dissolve(m);
        return f;
    }
    f->path = (struct path){ mount_ref(m), dentry_ref(m->root) };
    f->inode = inode_ref(dentry_inode(m->root));
    return f;
}

static struct file *clone_tree(const struct path *p, bool recursive)
{
    struct list gone = LIST_INIT(gone);
    struct mount *m;

    lock(&vfs.mounts_lock);
    if (p->mnt->unbindable || !mount_owned_locked(p->mnt))
        m = ERR_PTR(-EINVAL);
    else
        m = mount_clone_locked(p->mnt, p->dentry, recursive ? CLONE_TREE : 0, &gone);
    unlock(&vfs.mounts_lock);
    mounts_drop(&gone);
    return IS_ERR(m) ? (void *)m : mount_file_new(m);
}

long sys_open_tree(struct task *t, int dfd, gaddr_t upath, unsigned long lflags)
{
    unsigned flags = (unsigned)lflags, walk = flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
    struct file *f;
    struct path p;
    int r;

    if (flags & ~(AT_EMPTY_PATH | AT_NO_AUTOMOUNT | LX_AT_RECURSIVE | AT_SYMLINK_NOFOLLOW |
                  LX_OPEN_TREE_CLONE | LX_OPEN_TREE_CLOEXEC) ||
        (flags & (LX_AT_RECURSIVE | LX_OPEN_TREE_CLONE)) == LX_AT_RECURSIVE)
        return -EINVAL;
    if (flags & LX_OPEN_TREE_CLONE && !task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    r = walk_user(t, dfd, upath, flags & AT_EMPTY_PATH ? walk | WALK_EMPTY : walk, &p);
    if (r < 0)
        return r;
    if (!p.mnt)
        f = ERR_PTR(-EINVAL);
    else if (flags & LX_OPEN_TREE_CLONE)
        f = clone_tree(&p, flags & LX_AT_RECURSIVE);
    else
        f = vfs_open(t, &p, O_PATH);
    path_put(&p);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, 0, flags & LX_OPEN_TREE_CLOEXEC);
}

/* ---- moving ---- */

static bool any_unbindable_locked(struct mount *top)
{
    for (struct mount *m = top; m; m = mount_next_locked(m, top))
        if (m->unbindable)
            return true;
    return false;
}

static int may_move_locked(const struct path *from, const struct path *to)
{
    struct mount *m = from->mnt;

    if (from->dentry != m->root || !mount_owned_locked(m) || !mount_owned_locked(to->mnt))
        return -EINVAL;
    if (m->attached ? !m->parent : m->parent != NULL)
        return -EINVAL; /* the root of all; a part of a detached tree */
    if (is_dir(dentry_inode(m->root)) != is_dir(dentry_inode(to->dentry)))
        return -EINVAL;
    if (m->parent && m->parent->group)
        return -EINVAL;
    if (to->mnt->group && any_unbindable_locked(m))
        return -EINVAL;
    return mount_below_locked(to->mnt, m) ? -ELOOP : 0;
}

/* Something may be mounted on `to` by now, or has been all the time. */
static void to_top_locked(struct path *to, const struct mount *moving)
{
    struct mount *m;

    while ((m = mount_find_locked(to->mnt, to->dentry)) && m != moving) {
        mount_ref(m);
        dentry_ref(m->root);
        mount_put(to->mnt); /* neither is the last: m hangs there */
        dentry_put(to->dentry);
        *to = (struct path){ m, m->root };
    }
}

static int move_locked(const struct path *from, struct path *to, struct path *ret_old,
                       struct list *gone)
{
    struct mount *m = from->mnt;
    struct path was = {};
    int r;

    to_top_locked(to, m);
    r = may_move_locked(from, to);
    if (r < 0)
        return r;
    if (m->parent) {
        was = (struct path){ m->parent, m->mountpoint };
        mount_unhang_locked(m);
        m->drop_parent = NULL;
        m->drop_at = NULL;
    }
    r = mount_attach_locked(m, to, gone);
    if (r < 0 && was.mnt) {
        mount_hang_locked(m, was.mnt, was.dentry);
        mount_set_attached_locked(m, was.mnt->attached);
    }
    *ret_old = was; /* these two references were the mount's */
    return r;
}

static int move(const struct path *from, struct path *to)
{
    struct list gone = LIST_INIT(gone);
    struct path old = {};
    int r;

    if (!from->mnt || !to->mnt)
        return -EINVAL;
    lock(&vfs.mounts_lock);
    r = move_locked(from, to, &old, &gone);
    unlock(&vfs.mounts_lock);
    mounts_drop(&gone);
    path_put(&old);
    return r;
}

int mount_move_old(struct task *t, const char *source, const struct path *at)
{
    struct path from, to = path_ref(*at);
    int r = *source ? walk_path(t, AT_FDCWD, source, WALK_FOLLOW, &from) : -EINVAL;

    if (r == 0) {
        r = move(&from, &to);
        path_put(&from);
    }
    path_put(&to);
    return r;
}

/* to, which is private, becomes peer (and slave) as from is. */
static int set_group(const struct path *from, const struct path *to)
{
    struct mount *a = from->mnt, *b = to->mnt;

    if (!a || !b || from->dentry != a->root || to->dentry != b->root)
        return -EINVAL;
    LOCK_SCOPE(&vfs.mounts_lock);
    if (!mount_ours_locked(a) || !mount_ours_locked(b) || b->group || (!a->group && !a->master) ||
        b->master || a->sb != b->sb || !dentry_below(b->root, a->root))
        return -EINVAL;
    mount_join_locked(b, a);
    return 0;
}

/* from comes between what `to` is mounted on and `to`. */
static int move_beneath(const struct path *from, const struct path *to)
{
    struct list gone = LIST_INIT(gone);
    struct path place, old = {};
    struct mount *top = to->mnt, *m = from->mnt;
    int r;

    if (!m || !top || to->dentry != top->root)
        return -EINVAL;
    lock(&vfs.mounts_lock);
    if (!top->parent || !mount_ours_locked(top) || top->parent->group) {
        unlock(&vfs.mounts_lock);
        return -EINVAL;
    }
    place = (struct path){ mount_ref(top->parent), dentry_ref(top->mountpoint) };
    r = may_move_locked(from, &place);
    if (r == 0 && m->parent) {
        old = (struct path){ m->parent, m->mountpoint };
        mount_unhang_locked(m);
        m->drop_parent = NULL;
        m->drop_at = NULL;
    }
    if (r == 0)
        mount_hang_beneath_locked(m, place.mnt, place.dentry);
    unlock(&vfs.mounts_lock);
    mounts_drop(&gone);
    path_put(&place);
    path_put(&old);
    return r;
}

long sys_move_mount(struct task *t, int from_dfd, gaddr_t from_path, int to_dfd, gaddr_t to_path,
                    unsigned long flags)
{
    struct path from = {}, to = {};
    int r;

    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned long)LX_MOVE_MOUNT_MASK ||
        (flags & LX_MOVE_MOUNT_SET_GROUP && flags & LX_MOVE_MOUNT_BENEATH))
        return -EINVAL;
    r = walk_user(t, from_dfd, from_path,
                  (flags & LX_MOVE_MOUNT_F_SYMLINKS ? WALK_FOLLOW : 0) |
                      (flags & LX_MOVE_MOUNT_F_EMPTY_PATH ? WALK_EMPTY : 0),
                  &from);
    if (r == 0)
        r = walk_user(t, to_dfd, to_path,
                      (flags & LX_MOVE_MOUNT_T_SYMLINKS ? WALK_FOLLOW : 0) |
                          (flags & LX_MOVE_MOUNT_T_EMPTY_PATH ? WALK_EMPTY : 0),
                      &to);
    if (r == 0 && flags & LX_MOVE_MOUNT_SET_GROUP)
        r = set_group(&from, &to);
    else if (r == 0 && flags & LX_MOVE_MOUNT_BENEATH)
        r = move_beneath(&from, &to);
    else if (r == 0)
        r = move(&from, &to);
    path_put(&from);
    path_put(&to);
    return r;
}

/* ---- pivot_root ---- */

static int may_pivot_locked(const struct path *new, const struct path *old, const struct path *root)
{
    struct mount *r = root->mnt, *n = new->mnt;

    if (!mount_ours_locked(n) || !mount_ours_locked(r) || !mount_ours_locked(old->mnt))
        return -EINVAL;
    if (old->mnt->group || (n->parent && n->parent->group) || (r->parent && r->parent->group))
        return -EINVAL;
    if (atomic_load(&new->dentry->unhashed))
        return -ENOENT;
    if (n == r || old->mnt == r)
        return -EBUSY;
    if (root->dentry != r->root || new->dentry != n->root || !n->parent)
        return -EINVAL;
    return mount_reachable_locked(old->mnt, old->dentry, new) &&
                   mount_reachable_locked(n, new->dentry, root)
               ? 0
               : -EINVAL;
}

/* The references that n's and r's old places were come back in drop[]. */
static void pivot_locked(struct container *c, struct mount *n, struct mount *r,
                         const struct path *old, struct path drop[2])
{
    struct mount *top = r->parent;
    struct dentry *at = r->mountpoint;

    drop[0] = (struct path){ n->parent, n->mountpoint };
    mount_unhang_locked(n);
    if (top) {
        drop[1] = (struct path){ top, at };
        mount_unhang_locked(r);
    }
    n->drop_parent = r->drop_parent = NULL;
    n->drop_at = r->drop_at = NULL;
    mount_hang_locked(r, old->mnt, old->dentry);
    if (top)
        mount_hang_locked(n, top, at);
    else
        c->root = n;
}

static int pivot(struct container *c, struct path *new, struct path *old, struct path *root)
{
    struct path drop[2] = {};
    int r;

    lock(&vfs.mounts_lock);
    to_top_locked(old, NULL);
    r = may_pivot_locked(new, old, root);
    if (r == 0)
        pivot_locked(c, new->mnt, root->mnt, old, drop);
    unlock(&vfs.mounts_lock);
    path_put(&drop[0]);
    path_put(&drop[1]);
    if (r == 0)
        fs_ctx_replace_all(root, new);
    return r;
}

long sys_pivot_root(struct task *t, gaddr_t new_root, gaddr_t put_old)
{
    struct path new, old, root;
    int r;

    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    r = walk_user(t, AT_FDCWD, new_root, WALK_FOLLOW | WALK_DIR, &new);
    if (r < 0)
        return r;
    r = walk_user(t, AT_FDCWD, put_old, WALK_FOLLOW | WALK_DIR, &old);
    if (r == 0) {
        root = fs_ctx_root(t);
        r = new.mnt &&old.mnt ? pivot(t->group->container, &new, &old, &root) : -EINVAL;
        path_put(&root);
        path_put(&old);
    }
    path_put(&new);
    return r;
}
