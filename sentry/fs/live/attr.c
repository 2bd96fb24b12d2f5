/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes that change, links' targets, extended attributes, and the tables of operations. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sentry/fs/live/live.h"

static struct gw_setattr told_of(const struct setattr *a)
{
    struct gw_setattr w = {
        .mode = a->mode & 07777, .uid = a->uid, .gid = a->gid, .size = a->size
    };
    unsigned v = a->valid;

    if (v & ATTR_UID)
        w.valid |= GW_SET_UID;
    if (v & ATTR_GID)
        w.valid |= GW_SET_GID;
    if (v & ATTR_SIZE)
        w.valid |= GW_SET_SIZE;
    /* With another owner or size the host takes set-id bits away itself. */
    if (v & ATTR_MODE && !(v & (ATTR_UID | ATTR_GID | ATTR_SIZE | ATTR_CHOWN)))
        w.valid |= GW_SET_MODE;
    if (v & ATTR_SIZE) /* and these times */
        return w;
    if (v & ATTR_ATIME)
        w.valid |= v & ATTR_ATIME_SET ? GW_SET_ATIME : GW_SET_ATIME_NOW;
    if (v & ATTR_MTIME)
        w.valid |= v & ATTR_MTIME_SET ? GW_SET_MTIME : GW_SET_MTIME_NOW;
    w.atime_s = a->atime.tv_sec;
    w.atime_ns = v & ATTR_ATIME_SET ? (uint32_t)a->atime.tv_nsec : 0;
    w.mtime_s = a->mtime.tv_sec;
    w.mtime_ns = v & ATTR_MTIME_SET ? (uint32_t)a->mtime.tv_nsec : 0;
    return w;
}

static int live_setattr(struct task *t, struct inode *i, const struct setattr *s)
{
    struct live_fs *fs = live_fs_of(i);
    struct gw_setattr w = told_of(s);
    struct gofer_attr attr;
    struct live_addr *a;

    (void)t;
    if (!w.valid)
        return 0;
    a = live_addr_file(i, s->valid & ATTR_SIZE ? O_WRONLY : O_RDONLY);
    if (IS_ERR(a))
        return PTR_ERR(a);
    if (a->handle && w.valid == GW_SET_SIZE) {
        gofer_trip_begin();
        int cut = ftruncate(a->handle->fd, (off_t)w.size) < 0 ? -errno : 0;
        gofer_trip_end();
        if (cut == 0)
            cut = live_fill_size(i, a->handle->fd);
        live_addr_put(i, a);
        return cut;
    }
    gofer_trip_begin();
    int r = gofer_setattr(fs->g, a->node, a->path, &w, &attr);
    gofer_trip_end();
    live_addr_put(i, a);
    if (r == 0 && live_same(i, &attr))
        live_fill(i, &attr);
    return r;
}

static int live_readlink(struct task *t, struct inode *i, char *buf, size_t cap)
{
    struct live_fs *fs = live_fs_of(i);
    struct live_addr *a = live_addr(i, NULL, 0);

    (void)t;
    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    int r = (int)gofer_readlink(fs->g, a->node, a->path, buf, cap);
    gofer_trip_end();
    live_addr_put(i, a);
    return r;
}

/* name NULL: all names. */
static ssize_t get(struct inode *i, const char *name, char *buf, size_t n)
{
    struct live_fs *fs = live_fs_of(i);
    struct live_addr *a = live_addr_file(i, O_RDONLY);
    ssize_t r;

    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    r = name ? gofer_getxattr(fs->g, a->node, a->path, name, buf, n)
             : gofer_listxattr(fs->g, a->node, a->path, buf, n);
    gofer_trip_end();
    live_addr_put(i, a);
    return r;
}

static ssize_t live_getxattr(struct task *t, struct inode *i, const char *name, void *buf, size_t n)
{
    (void)t;
    if (strncmp(name, "user.", 5) != 0 && strcmp(name, "security.capability") != 0)
        return strncmp(name, "security.", 9) == 0 ? -ENODATA : -EOPNOTSUPP;
    return get(i, name, buf, n);
}

static ssize_t live_listxattr(struct task *t, struct inode *i, char *buf, size_t n)
{
    (void)t;
    return get(i, NULL, buf, n);
}

static int set(struct inode *i, const char *name, const void *v, size_t n, int flags)
{
    struct live_fs *fs = live_fs_of(i);
    struct live_addr *a;
    int r;

    if (strncmp(name, "user.", 5) != 0)
        return strncmp(name, "security.", 9) == 0 ? -EPERM : -EOPNOTSUPP;
    a = live_addr_file(i, O_RDONLY);
    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    r = gofer_setxattr(fs->g, a->node, a->path, name, v, n, flags);
    gofer_trip_end();
    live_addr_put(i, a);
    return r;
}

static int live_setxattr(struct task *t, struct inode *i, const char *name, const void *v, size_t n,
                         int flags)
{
    (void)t;
    return set(i, name, v ? v : "", n, flags);
}

static int live_removexattr(struct task *t, struct inode *i, const char *name)
{
    (void)t;
    return set(i, name, NULL, 0, 0);
}

#define COMMON_OPS                                                                                 \
    .getattr = live_getattr, .setattr = live_setattr, .getxattr = live_getxattr,                   \
    .listxattr = live_listxattr, .setxattr = live_setxattr, .removexattr = live_removexattr

const struct inode_ops live_dir_iops = {
    COMMON_OPS,          .lookup = live_lookup,   .create = live_create,   .mknod = live_mknod,
    .mkdir = live_mkdir, .symlink = live_symlink, .link = live_link,       .unlink = live_unlink,
    .rmdir = live_rmdir, .rename = live_rename,   .tmpfile = live_tmpfile,
};
const struct inode_ops live_file_iops = { COMMON_OPS, .open = live_open };
const struct inode_ops live_link_iops = { .getattr = live_getattr,
                                          .setattr = live_setattr,
                                          .readlink = live_readlink };
/* FIFOs and sockets join who is in the sandbox; devices are not opened (MS_NODEV). */
const struct inode_ops live_other_iops = { .getattr = live_getattr, .setattr = live_setattr };
