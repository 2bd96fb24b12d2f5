/* SPDX-License-Identifier: Apache-2.0 */
/* Where a task stands: chdir, fchdir, chroot, getcwd, umask. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"

/* Takes over p. */
static void set_place(struct task *t, struct path *place, struct path p)
{
    struct path old;

    lock(&t->fs->lock);
    old = *place;
    *place = p;
    unlock(&t->fs->lock);
    path_put(&old);
}

long sys_chdir(struct task *t, gaddr_t path)
{
    struct path p;
    int r = walk_user(t, AT_FDCWD, path, WALK_FOLLOW | WALK_DIR, &p);

    if (r < 0)
        return r;
    r = inode_permission(t, dentry_inode(p.dentry), X_OK);
    if (r < 0)
        path_put(&p);
    else
        set_place(t, &t->fs->cwd, p);
    return r;
}

long sys_fchdir(struct task *t, int fd)
{
    struct file *f = fd_get_path(t, fd);
    int r = 0;

    if (!f)
        return -EBADF;
    if (!f->path.dentry || !f->path.mnt || !S_ISDIR(dentry_inode(f->path.dentry)->mode))
        r = -ENOTDIR;
    if (r == 0)
        r = inode_permission(t, f->inode, X_OK);
    if (r == 0)
        set_place(t, &t->fs->cwd, path_ref(f->path));
    file_put(f);
    return r;
}

long sys_chroot(struct task *t, gaddr_t path)
{
    struct path p;
    int r = walk_user(t, AT_FDCWD, path, WALK_FOLLOW | WALK_DIR, &p);

    if (r < 0)
        return r;
    r = inode_permission(t, dentry_inode(p.dentry), X_OK);
    if (r == 0 && !task_capable(t, CAP_SYS_CHROOT))
        r = -EPERM;
    if (r < 0)
        path_put(&p);
    else
        set_place(t, &t->fs->root, p);
    return r;
}

long sys_getcwd(struct task *t, gaddr_t buf, size_t size)
{
    static const char unreachable[] = "(unreachable)";
    char text[PATH_MAX + sizeof unreachable], *s;
    struct path cwd = fs_ctx_cwd(t);
    bool reached, gone = atomic_load(&cwd.dentry->unhashed);
    size_t n;

    s = path_string_flags(t, &cwd, text + sizeof unreachable, PATH_MAX, /* deleted= */ false,
                          &reached);
    path_put(&cwd);
    if (gone)
        return -ENOENT;
    if (IS_ERR(s))
        return PTR_ERR(s);
    if (!reached) {
        s -= sizeof unreachable - 1;
        memcpy(s, unreachable, sizeof unreachable - 1);
    }
    n = strlen(s) + 1;
    if (n > size)
        return -ERANGE;
    return copy_out(t, buf, s, n) < 0 ? -EFAULT : (long)n;
}

long sys_umask(struct task *t, unsigned mask)
{
    unsigned old;

    LOCK_SCOPE(&t->fs->lock);
    old = t->fs->umask;
    t->fs->umask = mask & 0777;
    return old;
}
