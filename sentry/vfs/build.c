/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the guest's tree from the list of the front end, before any task runs: no task, so no
 * rights are checked and no lock is waited for. Where a path's parents are missing they are made in
 * whatever file system is there (the root is writable memory, an overlay or a tmpfs).
 */
#include "sentry/vfs/build.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>

#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/dev.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/sentry.h"
#include "sentry/vfs/dcache.h"

struct place {          /* a path whose parents exist */
    struct path parent; /* a reference */
    char name[NAME_MAX + 1];
    size_t len;
};

static int make_dir(const struct path *parent, struct dentry *d, uint32_t mode)
{
    struct inode *dir = dentry_inode(parent->dentry), *i;
    int r = dir->ops->mkdir ? dir->ops->mkdir(NULL, dir, d, S_IFDIR | mode, &i) : -EROFS;

    if (r == 0)
        dentry_instantiate(d, i);
    return r;
}

static int make_file(const struct path *parent, struct dentry *d)
{
    struct inode *dir = dentry_inode(parent->dentry), *i;
    int r = dir->ops->create ? dir->ops->create(NULL, dir, d, S_IFREG | 0644, &i) : -EROFS;

    if (r == 0)
        dentry_instantiate(d, i);
    return r;
}

/* Steps from *p into a child that is a directory, made if it is missing. */
static int step_into(struct path *p, const char *name, size_t len)
{
    struct dentry *d = vfs_lookup(NULL, p->dentry, name, len);
    int r = 0;

    if (IS_ERR(d))
        return PTR_ERR(d);
    if (!dentry_inode(d))
        r = make_dir(p, d, 0755);
    if (r < 0) {
        dentry_put(d);
        return r;
    }
    dentry_put(p->dentry);
    p->dentry = d;
    path_descend(p);
    return 0;
}

/* A link on the way is followed, as /bin may be one to usr/bin. */
static int resolve_link(struct path *p, const char *sofar)
{
    struct path to;
    int r;

    if (!S_ISLNK(dentry_inode(p->dentry)->mode))
        return is_dir(dentry_inode(p->dentry)) ? 0 : -ENOTDIR;
    r = walk_path(NULL, AT_FDCWD, sofar, WALK_FOLLOW | WALK_DIR, &to);
    if (r < 0)
        return r;
    path_put(p);
    *p = to;
    return 0;
}

static int find_place(const char *path, struct place *ret)
{
    struct path p = vfs_root_here();
    const char *s = path;
    char sofar[PATH_MAX];
    int r = 0;

    path_descend(&p);
    if (strlen(path) >= sizeof sofar)
        r = -ENAMETOOLONG;
    for (;;) {
        size_t n;

        s += strspn(s, "/");
        n = strcspn(s, "/");
        if (r < 0 || n > NAME_MAX)
            break;
        if (!s[n + strspn(s + n, "/")]) { /* the last one; none at all for "/" */
            memcpy(ret->name, s, n);
            ret->name[n] = 0;
            ret->len = n;
            ret->parent = p;
            return 0;
        }
        r = step_into(&p, s, n);
        if (r < 0)
            break;
        s += n;
        memcpy(sofar, path, s - path);
        sofar[s - path] = 0;
        r = resolve_link(&p, sofar);
    }
    path_put(&p);
    return r < 0 ? r : -ENAMETOOLONG;
}

/* An export that is a file, as an image. NULL: it is none, which is said. */
static struct super *make_image(const struct sentry_mount *m)
{
    struct super *low = gofer_fs_new(m->export_id), *sb;
    struct path p = {};
    struct file *f;

    if (!low)
        return NULL;
    p.dentry = low->root;
    f = vfs_open_inode(NULL, &p, O_RDONLY);
    sb = IS_ERR(f) ? (struct super *)f : image_of_file(f, low);
    if (!IS_ERR(sb))
        return sb;
    klog(0, "the image for %s: %s", m->path,
         PTR_ERR(sb) == -ENODEV ? "neither squashfs nor EROFS" : strerror((int)-PTR_ERR(sb)));
    return NULL;
}

/* What is to be mounted; NULL with *ret set on failure. */
static struct super *make_super(const struct sentry_mount *m, unsigned *ret_flags)
{
    struct super *sb, *low;

    switch (m->kind) {
    case SM_CGROUP:
        return cgroup_fs_new(m->options);
    case SM_FS:
        return build_super(m);
    case SM_OVERLAY:
        low = gofer_fs_new(m->export_id);
        sb = low ? overlay_new(low) : NULL;
        *ret_flags = MS_NODEV;
        return sb;
    case SM_RO:
        *ret_flags = MS_RDONLY | MS_NODEV;
        return gofer_fs_new(m->export_id);
    case SM_IMAGE:
        low = make_image(m);
        *ret_flags = MS_NODEV;
        return low ? overlay_new(low) : NULL;
    case SM_IMAGE_RO:
        *ret_flags = MS_RDONLY | MS_NODEV;
        return make_image(m);
    case SM_SHARED:
        *ret_flags = MS_NODEV | MS_NOSUID;
        return live_fs_new(m->export_id, m->target);
    case SM_TMPFS:
        sb = tmpfs_new(m->mode ? m->mode & 07777 : 0755, 0);
        if (sb) {
            sb->root->inode->uid = m->uid;
            sb->root->inode->gid = m->gid;
        }
        *ret_flags = MS_NODEV | MS_NOSUID;
        return sb;
    case SM_TEXT:
        *ret_flags = MS_NODEV | MS_NOSUID;
        return tmpfs_text_new(m->target);
    case SM_PROC:
        *ret_flags = MS_NODEV | MS_NOSUID | MS_NOEXEC;
        return proc_new();
    case SM_SYSFS:
        *ret_flags = MS_NODEV | MS_NOSUID | MS_NOEXEC | MS_RDONLY;
        return sysfs_new();
    case SM_DEV:
        *ret_flags = MS_NOSUID;
        return devtmpfs_new();
    default:
        return NULL;
    }
}

/* A container's mount on a link: where that leads to in the container. */
static int mount_behind(const struct sentry_mount *m, struct super *sb, unsigned flags)
{
    struct path p;
    int r = walk_path(NULL, AT_FDCWD, m->path, WALK_FOLLOW, &p);

    if (r < 0) {
        super_put(sb);
        return r;
    }
    r = vfs_mount(sb, &p, flags, m->source ? m->source : sb->type, NULL);
    path_put(&p);
    return r;
}

/* d is to be mounted on: made, of the kind of what comes, when it is missing. */
static int mount_here(const struct sentry_mount *m, struct place *at, struct dentry *d,
                      struct super *sb, unsigned flags)
{
    bool dir = is_dir(sb->root->inode);
    struct path p;
    int r = 0;

    if (m->exact && dentry_inode(d) && S_ISLNK(dentry_inode(d)->mode))
        return mount_behind(m, sb, flags);
    if (dentry_inode(d) && dir != is_dir(dentry_inode(d)))
        r = -ENOTDIR;
    else if (!dentry_inode(d))
        r = dir ? make_dir(&at->parent, d, 0755) : make_file(&at->parent, d);
    if (r < 0) {
        super_put(sb);
        return r;
    }
    p = path_ref((struct path){ at->parent.mnt, d });
    r = vfs_mount(sb, &p, flags, m->source ? m->source : sb->type, NULL);
    path_put(&p);
    return r;
}

static int make_entry(const struct sentry_mount *m, struct place *at, struct dentry *d)
{
    struct inode *dir = dentry_inode(at->parent.dentry), *i;
    int r;

    if (m->kind == SM_SYMLINK) {
        if (dentry_inode(d))
            return 0;
        r = dir->ops->symlink ? dir->ops->symlink(NULL, dir, d, m->target, &i) : -EROFS;
        if (r == 0)
            dentry_instantiate(d, i);
        return r;
    }
    if (m->kind == SM_NODE) {
        if (dentry_inode(d))
            return 0;
        r = dir->ops->mknod ? dir->ops->mknod(NULL, dir, d, m->mode, m->rdev, &i) : -EROFS;
        if (r < 0)
            return r;
        dentry_instantiate(d, i);
        i->uid = m->uid;
        i->gid = m->gid;
        return 0;
    }
    r = dentry_inode(d) ? 0 : make_dir(&at->parent, d, 0755);
    if (r < 0)
        return r;
    i = dentry_inode(d);
    if (!i->ops->setattr)
        return 0;
    return i->ops->setattr(NULL, i,
                           &(struct setattr){ .valid = ATTR_MODE | ATTR_UID | ATTR_GID,
                                              .mode = m->mode ? m->mode : 0755,
                                              .uid = m->uid,
                                              .gid = m->gid });
}

static int build_one(const struct sentry_mount *m)
{
    bool mounts = m->kind != SM_SYMLINK && m->kind != SM_DIR && m->kind != SM_NODE;
    unsigned flags = 0;
    struct super *sb;
    struct place at;
    struct dentry *d;
    int r;

    if (m->kind >= SM_DEVICES && m->kind != SM_NODE)
        return build_special(m);
    sb = mounts ? make_super(m, &flags) : NULL;
    if (mounts && IS_ERR(sb))
        return PTR_ERR(sb);
    if (mounts && !sb)
        return -EIO;
    if (m->exact)
        flags = m->flags;
    if (sb)
        sb->learn = m->learn;
    if (!container_here()->root || (mounts && !strcmp(m->path, "/")))
        return sb ? vfs_mount(sb, NULL, flags & ~MS_NOSUID, m->source ? m->source : sb->type, NULL)
                  : -EINVAL;
    r = find_place(m->path, &at);
    if (r == 0 && at.len == 0) {
        path_put(&at.parent);
        return 0; /* "/" as a directory: it is there */
    }
    if (r < 0) {
        super_put(sb);
        return r;
    }
    d = vfs_lookup(NULL, at.parent.dentry, at.name, at.len);
    if (IS_ERR(d)) {
        super_put(sb);
        r = PTR_ERR(d);
    } else {
        r = mounts ? mount_here(m, &at, d, sb, flags) : make_entry(m, &at, d);
        dentry_put(d);
        if (r == 0 && m->kind == SM_DEV)
            r = dev_mount_inner(m->path);
    }
    path_put(&at.parent);
    return r;
}

int vfs_build_one(const struct sentry_mount *m)
{
    return build_one(m);
}

int vfs_build_dir(const char *path, uint32_t uid, uint32_t gid)
{
    return build_one(&(struct sentry_mount){
        .kind = SM_DIR, .path = path, .mode = 0755, .uid = uid, .gid = gid });
}

int vfs_build(const struct sentry_mount *mounts, unsigned n, const char **ret_failed)
{
    if (!n || strcmp(mounts[0].path, "/") != 0) {
        struct super *sb = tmpfs_new(0755, 0);
        int r = sb ? vfs_mount(sb, NULL, 0, "tmpfs", NULL) : -ENOMEM;

        if (r < 0)
            return r;
    }
    for (unsigned i = 0; i < n; i++) {
        int r = build_one(&mounts[i]);

        if (r < 0) {
            klog(0, "mount of %s: %s", mounts[i].path, strerror(-r));
            *ret_failed = mounts[i].path;
            return r;
        }
    }
    return 0;
}
