/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tree of a container has beyond that of `sbx run`: file systems by type and options, the devices of
 * every container, and what its configuration hides or protects. As build.c: no task, no lock is waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/sentry.h"
#include "sentry/vfs/build.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/fscontext.h"
#include "sentry/vfs/mount.h"

struct super *build_super(const struct sentry_mount *m)
{
    char *options = kstrdup(m->options ? m->options : "");
    struct fs_context fc;
    struct super *sb = NULL;
    int r = options ? fscontext_init(&fc, m->type) : -ENOMEM;

    if (r < 0) {
        kfree(options);
        return ERR_PTR(r);
    }
    r = fscontext_options(&fc, options);
    if (r == 0)
        sb = fscontext_create(NULL, &fc);
    fscontext_done(&fc);
    kfree(options);
    return r < 0 ? ERR_PTR(r) : sb ? sb : ERR_PTR(-ENOMEM);
}

/* ---- devices ---- */

static int add_devices(void)
{
    static const struct {
        const char *path;
        uint32_t mode;
        unsigned maj, min;
        const char *target;
    } list[] = {
        { "/dev/null", S_IFCHR | 0666, 1, 3, NULL },
        { "/dev/zero", S_IFCHR | 0666, 1, 5, NULL },
        { "/dev/full", S_IFCHR | 0666, 1, 7, NULL },
        { "/dev/random", S_IFCHR | 0666, 1, 8, NULL },
        { "/dev/urandom", S_IFCHR | 0666, 1, 9, NULL },
        { "/dev/tty", S_IFCHR | 0666, 5, 0, NULL },
        { "/dev/ptmx", 0, 0, 0, "pts/ptmx" },
        { "/dev/fd", 0, 0, 0, "/proc/self/fd" },
        { "/dev/stdin", 0, 0, 0, "/proc/self/fd/0" },
        { "/dev/stdout", 0, 0, 0, "/proc/self/fd/1" },
        { "/dev/stderr", 0, 0, 0, "/proc/self/fd/2" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        const struct sentry_mount m = { .kind = list[i].target ? SM_SYMLINK : SM_NODE,
                                        .path = list[i].path,
                                        .target = list[i].target,
                                        .mode = list[i].mode,
                                        .rdev = makedev(list[i].maj, list[i].min) };
        int r = vfs_build_one(&m);

        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- what is hidden ---- */

static int mask_file(const struct path *at, const char *path)
{
    struct path null;
    int r = walk_path(NULL, AT_FDCWD, "/dev/null", WALK_FOLLOW, &null);

    if (r == 0 && S_ISCHR(dentry_inode(null.dentry)->mode)) {
        r = vfs_bind(&null, at, 0);
        path_put(&null);
        return r;
    }
    if (r == 0)
        path_put(&null);
    return vfs_build_one(
        &(struct sentry_mount){ .kind = SM_TEXT,
                                .path = path,
                                .target = "",
                                .exact = true,
                                .flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC });
}

static int mask(const struct sentry_mount *m)
{
    struct path at;
    int r = walk_path(NULL, AT_FDCWD, m->path, WALK_FOLLOW, &at);

    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    if (r < 0)
        return r;
    if (!is_dir(dentry_inode(at.dentry))) {
        r = mask_file(&at, m->path);
    } else {
        struct super *sb = tmpfs_new(0755, 0);

        r = sb ? vfs_mount(sb, &at, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "tmpfs", NULL)
               : -ENOMEM;
    }
    path_put(&at);
    return r;
}

static int protect(const struct sentry_mount *m)
{
    struct path at;
    int r = walk_path(NULL, AT_FDCWD, m->path, WALK_FOLLOW, &at);

    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    if (r < 0)
        return r;
    path_descend(&at);
    if (at.dentry == at.mnt->root) {
        LOCK_SCOPE(&vfs.mounts_lock);
        at.mnt->flags |= MS_RDONLY;
    } else {
        r = vfs_bind(&at, &at, (at.mnt->flags & MOUNT_FLAGS) | MS_RDONLY | MS_REC);
    }
    path_put(&at);
    return r;
}

static int propagate(const struct sentry_mount *m)
{
    struct path at;
    int r = walk_path(NULL, AT_FDCWD, m->path, WALK_FOLLOW, &at);

    if (r < 0)
        return r;
    path_descend(&at);
    lock(&vfs.mounts_lock);
    for (struct mount *x = at.mnt; x; x = m->flags & MS_REC ? mount_next_locked(x, at.mnt) : NULL)
        mount_set_propagation_locked(x, m->flags & ~(unsigned)MS_REC);
    unlock(&vfs.mounts_lock);
    path_put(&at);
    return 0;
}

int build_special(const struct sentry_mount *m)
{
    switch (m->kind) {
    case SM_DEVICES:
        return add_devices();
    case SM_MASK:
        return mask(m);
    case SM_READONLY:
        return protect(m);
    case SM_PROPAGATE:
        return propagate(m);
    default:
        return -EINVAL;
    }
}
