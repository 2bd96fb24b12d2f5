/* SPDX-License-Identifier: Apache-2.0 */
/* The twelve calls on extended attributes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"

struct target { /* of a call: by path or by descriptor */
    struct path path;
    struct inode *inode;
};

static int find_path(struct task *t, gaddr_t upath, unsigned walk, struct target *ret)
{
    int r = walk_user(t, AT_FDCWD, upath, walk, &ret->path);

    if (r == 0)
        ret->inode = dentry_inode(ret->path.dentry);
    return r;
}

static int find_fd(struct task *t, int fd, struct target *ret)
{
    struct file *f = call_file(t, 0, fd);

    if (IS_ERR(f))
        return PTR_ERR(f);
    if (!f->path.dentry)
        return -EOPNOTSUPP;
    ret->path = path_ref(f->path);
    ret->inode = f->inode;
    return 0;
}

static int name_in(struct task *t, char name[XATTR_NAME_MAX + 1], gaddr_t at)
{
    ssize_t n = copy_in_str(t, name, at, XATTR_NAME_MAX + 1);

    return n == 0 || n == -ENAMETOOLONG ? -ERANGE : n < 0 ? n : 0;
}

static long set(struct task *t, struct target *to, gaddr_t uname, gaddr_t value, size_t size,
                int flags)
{
    char name[XATTR_NAME_MAX + 1];
    void *v = NULL;
    int r = name_in(t, name, uname);

    if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
        r = -EINVAL;
    else if (r == 0 && size > XATTR_SIZE_MAX)
        r = -E2BIG;
    if (r == 0 && size) {
        v = kzalloc(size);
        r = !v ? -ENOMEM : copy_in(t, v, value, size) < 0 ? -EFAULT : 0;
    }
    if (r == 0)
        r = vfs_setxattr(t, &to->path, name, v, size, flags);
    kfree(v);
    path_put(&to->path);
    return r;
}

static long get(struct task *t, struct target *from, gaddr_t uname, gaddr_t value, size_t size)
{
    char name[XATTR_NAME_MAX + 1];
    void *v = NULL;
    ssize_t r = name_in(t, name, uname);

    size = MIN(size, (size_t)XATTR_SIZE_MAX);
    if (r == 0 && size) {
        v = kzalloc(size);
        r = v ? 0 : -ENOMEM;
    }
    if (r == 0)
        r = vfs_getxattr(t, from->inode, name, v, size);
    if (r > 0 && size && copy_out(t, value, v, r) < 0)
        r = -EFAULT;
    kfree(v);
    path_put(&from->path);
    return r;
}

static long list(struct task *t, struct target *of, gaddr_t to, size_t size)
{
    void *v = NULL;
    ssize_t r = 0;

    size = MIN(size, (size_t)XATTR_LIST_MAX);
    if (size) {
        v = kzalloc(size);
        r = v ? 0 : -ENOMEM;
    }
    if (r == 0)
        r = vfs_listxattr(t, of->inode, v, size);
    if (r > 0 && size && copy_out(t, to, v, r) < 0)
        r = -EFAULT;
    kfree(v);
    path_put(&of->path);
    return r;
}

static long remove_name(struct task *t, struct target *of, gaddr_t uname)
{
    char name[XATTR_NAME_MAX + 1];
    int r = name_in(t, name, uname);

    if (r == 0)
        r = vfs_removexattr(t, &of->path, name);
    path_put(&of->path);
    return r;
}

long sys_setxattr(struct task *t, gaddr_t path, gaddr_t name, gaddr_t value, size_t size, int flags)
{
    struct target to = {};
    int r = find_path(t, path, WALK_FOLLOW, &to);

    return r < 0 ? r : set(t, &to, name, value, size, flags);
}

long sys_lsetxattr(struct task *t, gaddr_t path, gaddr_t name, gaddr_t value, size_t size,
                   int flags)
{
    struct target to = {};
    int r = find_path(t, path, 0, &to);

    return r < 0 ? r : set(t, &to, name, value, size, flags);
}

long sys_fsetxattr(struct task *t, int fd, gaddr_t name, gaddr_t value, size_t size, int flags)
{
    struct target to = {};
    int r = find_fd(t, fd, &to);

    return r < 0 ? r : set(t, &to, name, value, size, flags);
}

long sys_getxattr(struct task *t, gaddr_t path, gaddr_t name, gaddr_t value, size_t size)
{
    struct target from = {};
    int r = find_path(t, path, WALK_FOLLOW, &from);

    return r < 0 ? r : get(t, &from, name, value, size);
}

long sys_lgetxattr(struct task *t, gaddr_t path, gaddr_t name, gaddr_t value, size_t size)
{
    struct target from = {};
    int r = find_path(t, path, 0, &from);

    return r < 0 ? r : get(t, &from, name, value, size);
}

long sys_fgetxattr(struct task *t, int fd, gaddr_t name, gaddr_t value, size_t size)
{
    struct target from = {};
    int r = find_fd(t, fd, &from);

    return r < 0 ? r : get(t, &from, name, value, size);
}

long sys_listxattr(struct task *t, gaddr_t path, gaddr_t to, size_t size)
{
    struct target of = {};
    int r = find_path(t, path, WALK_FOLLOW, &of);

    return r < 0 ? r : list(t, &of, to, size);
}

long sys_llistxattr(struct task *t, gaddr_t path, gaddr_t to, size_t size)
{
    struct target of = {};
    int r = find_path(t, path, 0, &of);

    return r < 0 ? r : list(t, &of, to, size);
}

long sys_flistxattr(struct task *t, int fd, gaddr_t to, size_t size)
{
    struct target of = {};
    int r = find_fd(t, fd, &of);

    return r < 0 ? r : list(t, &of, to, size);
}

long sys_removexattr(struct task *t, gaddr_t path, gaddr_t name)
{
    struct target of = {};
    int r = find_path(t, path, WALK_FOLLOW, &of);

    return r < 0 ? r : remove_name(t, &of, name);
}

long sys_lremovexattr(struct task *t, gaddr_t path, gaddr_t name)
{
    struct target of = {};
    int r = find_path(t, path, 0, &of);

    return r < 0 ? r : remove_name(t, &of, name);
}

long sys_fremovexattr(struct task *t, int fd, gaddr_t name)
{
    struct target of = {};
    int r = find_fd(t, fd, &of);

    return r < 0 ? r : remove_name(t, &of, name);
}
