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
#include "sentry/fs/mem/mem.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/sentry.h"
#include "sentry/vfs/dcache.h"

#define LINKS 40 /* as many as Linux follows */

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

/* As runc and Linux' own mount(8) have it: a tmpfs that is not told its mode looks like what it covers. */
static void take_mode(const struct sentry_mount *m, struct super *sb, const struct inode *covered)
{
    if (m->kind == SM_FS && strcmp(m->type, "tmpfs") == 0 && !mem_super(sb)->asked.mode)
        sb->root->inode->mode = S_IFDIR | (covered->mode & 07777);
}

/*
 * Where a link in at leads that leads to nothing, without "..": what it goes back from is missing, too. 0 or
 * -errno; buf has PATH_MAX.
 */
static int missing_target(const struct path *at, struct inode *link, char *buf)
{
    _cleanup_kfree_ char *text = kzalloc(2 * PATH_MAX), *body = kzalloc(PATH_MAX + 1);
    char *s = text && body ? path_string(NULL, at, text, PATH_MAX) : ERR_PTR(-ENOMEM), *save = NULL;
    int n = IS_ERR(s) ? PTR_ERR(s) : vfs_readlink(NULL, link, body, PATH_MAX);
    size_t used = 0;

    if (n < 0)
        return n;
    memmove(text, s, strlen(s) + 1);
    if (*body == '/')
        *text = 0;
    strcat(text, "/");
    strcat(text, body);
    buf[0] = 0;
    for (char *c = strtok_r(text, "/", &save); c; c = strtok_r(NULL, "/", &save)) {
        size_t len = strlen(c);

        if (strcmp(c, "..") == 0) {
            while (used && buf[--used] != '/')
                continue;
        } else if (used + len + 2 > PATH_MAX) {
            return -ENAMETOOLONG;
        } else if (strcmp(c, ".") != 0) {
            buf[used++] = '/';
            memcpy(buf + used, c, len);
            used += len;
        }
        buf[used] = 0;
    }
    return 0;
}

/* A container's mount on a link, which leads to at. Takes sb over. */
static int mount_behind(const struct sentry_mount *m, const struct path *at, struct super *sb,
                        unsigned flags)
{
    if (is_dir(sb->root->inode) != is_dir(dentry_inode(at->dentry))) {
        super_put(sb);
        return -ENOTDIR;
    }
    take_mode(m, sb, dentry_inode(at->dentry));
    return vfs_mount(sb, at, flags, m->source ? m->source : sb->type, NULL);
}

/* d is to be mounted on: made, of the kind of what comes, when it is missing. */
static int mount_here(const struct sentry_mount *m, struct place *at, struct dentry *d,
                      struct super *sb, unsigned flags)
{
    bool dir = is_dir(sb->root->inode), found = dentry_inode(d);
    struct path p;
    int r = 0;

    if (dentry_inode(d) && dir != is_dir(dentry_inode(d)))
        r = -ENOTDIR;
    else if (!dentry_inode(d))
        r = dir ? make_dir(&at->parent, d, 0755) : make_file(&at->parent, d);
    if (r < 0) {
        super_put(sb);
        return r;
    }
    p = path_ref((struct path){ at->parent.mnt, d });
    if (found)
        take_mode(m, sb, dentry_inode(d));
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

static int build_at(const struct sentry_mount *m, const char *path, struct super *sb,
                    unsigned flags, unsigned links);

/* d, in at, is a link. */
static int build_on_link(const struct sentry_mount *m, const char *path, struct place *at,
                         struct dentry *d, struct super *sb, unsigned flags, unsigned links)
{
    _cleanup_kfree_ char *target = NULL;
    struct path behind;
    int r = walk_path(NULL, AT_FDCWD, path, WALK_FOLLOW, &behind);

    if (r == 0) {
        r = mount_behind(m, &behind, sb, flags);
        path_put(&behind);
        return r;
    }
    if (r == -ENOENT && links) {
        target = kzalloc(PATH_MAX);
        r = target ? missing_target(&at->parent, dentry_inode(d), target) : -ENOMEM;
    }
    if (r == 0)
        return build_at(m, target, sb, flags, links - 1);
    super_put(sb);
    return r;
}

/* sb NULL: no mount, an entry is to be made. Takes sb over. links: how many more may be followed to nothing. */
static int build_at(const struct sentry_mount *m, const char *path, struct super *sb,
                    unsigned flags, unsigned links)
{
    struct place at;
    struct dentry *d = NULL;
    int r = find_place(path, &at);

    if (r == 0 && at.len)
        d = vfs_lookup(NULL, at.parent.dentry, at.name, at.len);
    if (r < 0 || !d || IS_ERR(d)) {
        if (r == 0) {
            path_put(&at.parent);
            r = d ? PTR_ERR(d) : sb ? -EINVAL : 0; /* "/" as a directory: it is there */
        }
        super_put(sb);
        return r;
    }
    if (!sb)
        r = make_entry(m, &at, d);
    else if (m->exact && dentry_inode(d) && S_ISLNK(dentry_inode(d)->mode))
        r = build_on_link(m, path, &at, d, sb, flags, links);
    else
        r = mount_here(m, &at, d, sb, flags);
    dentry_put(d);
    path_put(&at.parent);
    return r;
}

static int build_one(const struct sentry_mount *m)
{
    bool mounts = m->kind != SM_SYMLINK && m->kind != SM_DIR && m->kind != SM_NODE;
    unsigned flags = 0;
    struct super *sb;
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
    if (sb) {
        sb->learn = m->learn;
        sb->at = m->root;
    }
    if (!container_here()->root || (mounts && !strcmp(m->path, "/")))
        return sb ? vfs_mount(sb, NULL, flags & ~MS_NOSUID, m->source ? m->source : sb->type, NULL)
                  : -EINVAL;
    r = build_at(m, m->path, sb, flags, LINKS);
    return r == 0 && m->kind == SM_DEV ? dev_mount_inner(m->path) : r;
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
