/* SPDX-License-Identifier: Apache-2.0 */
/* name_to_handle_at and open_by_handle_at; what a handle holds is vfs/handle.h's. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>

#include "abi/fs.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/handle.h"
#include "sentry/vfs/mount.h"

#define LX_MAX_HANDLE_SZ 128

static int put_mount_id(struct task *t, gaddr_t at, const struct mount *m, bool unique)
{
    uint64_t id = m ? unique ? mount_unique_id(m) : (uint64_t)m->id : 0;
    int old = (int)id;

    return unique ? put_guest(t, at, &id) : put_guest(t, at, &old);
}

static long encode(struct task *t, const struct path *p, gaddr_t uhandle, gaddr_t mnt_id, int flags)
{
    struct lx_file_handle h;
    struct file_id id;
    bool room;
    int r;

    file_id_publish(dentry_inode(p->dentry));
    r = file_id_of(dentry_inode(p->dentry), flags & LX_AT_HANDLE_FID, &id);

    if (r < 0)
        return r;
    if (get_guest(t, &h, uhandle) < 0)
        return -EFAULT;
    if (h.handle_bytes > LX_MAX_HANDLE_SZ)
        return -EINVAL;
    room = h.handle_bytes >= id.len;
    h.handle_bytes = id.len;
    h.handle_type = room ? id.type : LX_FILEID_INVALID;
    if (put_mount_id(t, mnt_id, p->mnt, flags & LX_AT_HANDLE_MNT_ID_UNIQUE) < 0 ||
        put_guest(t, uhandle, &h) < 0 ||
        (room && copy_out(t, uhandle + sizeof h, id.bytes, id.len) < 0))
        return -EFAULT;
    return room ? 0 : -EOVERFLOW;
}

long sys_name_to_handle_at(struct task *t, int dfd, gaddr_t upath, gaddr_t handle, gaddr_t mnt_id,
                           int flags)
{
    struct path p;
    long r;

    if (flags &
        ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | LX_AT_HANDLE_FID | LX_AT_HANDLE_MNT_ID_UNIQUE))
        return -EINVAL;
    r = walk_user(t, dfd, upath,
                  (flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) |
                      (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0),
                  &p);
    if (r < 0)
        return r;
    r = encode(t, &p, handle, mnt_id, flags);
    path_put(&p);
    return r;
}

static int handle_in(struct task *t, gaddr_t at, struct file_id *ret)
{
    struct lx_file_handle h;

    if (get_guest(t, &h, at) < 0)
        return -EFAULT;
    if (h.handle_bytes > LX_MAX_HANDLE_SZ || h.handle_bytes == 0 || h.handle_type < 0)
        return -EINVAL;
    *ret = (struct file_id){ .type = h.handle_type, .len = h.handle_bytes };
    if (h.handle_bytes > sizeof ret->bytes)
        return -ESTALE;
    return copy_in(t, ret->bytes, at + sizeof h, h.handle_bytes) < 0 ? -EFAULT : 0;
}

/* The mount by which the handle is to be opened. */
static int anchor(struct task *t, int fd, struct path *ret)
{
    struct file *f;

    if (fd == AT_FDCWD) {
        *ret = fs_ctx_cwd(t);
        return 0;
    }
    f = fd_get_path(t, fd);
    if (!f)
        return -EBADF;
    *ret = f->path.dentry ? path_ref(f->path) : (struct path){};
    file_put(f);
    return 0;
}

long sys_open_by_handle_at(struct task *t, int mount_fd, gaddr_t handle, int flags)
{
    struct file *f = t->call.paths ? vfs_open_waited(t) : NULL;
    struct path at, p = {};
    struct file_id id;
    int r;

    if (f)
        return IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, 0, flags & O_CLOEXEC);
    r = anchor(t, mount_fd, &at);
    if (r < 0)
        return r;
    r = task_capable(t, CAP_DAC_READ_SEARCH) ? handle_in(t, handle, &id) : -EPERM;
    if (r == 0)
        r = at.mnt ? file_id_open(at.mnt->sb, &id, &p.dentry) : -ESTALE;
    if (r == 0) {
        p.mnt = mount_ref(at.mnt);
        f = vfs_open(t, &p, open_flags(flags));
        r = IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, 0, flags & O_CLOEXEC);
        path_put(&p);
    }
    path_put(&at);
    return r;
}
