/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount and umount2, for who has CAP_SYS_ADMIN inside: file systems of our own, binds and remounts.
 * There is one mount namespace, so what is private already may be called so; shared is not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "sentry/ipc/mqueue.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"

#define KEPT_FLAGS                                                                                 \
    (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME)
#define PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

static int parse_tmpfs(char *opts, uint32_t *mode, uint64_t *size)
{
    char *save = NULL;

    *mode = 01777;
    *size = 0;
    for (char *o = strtok_r(opts, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        char *end;

        if (!strncmp(o, "mode=", 5)) {
            *mode = strtoul(o + 5, &end, 8) & 07777;
        } else if (!strncmp(o, "size=", 5)) {
            *size = strtoull(o + 5, &end, 10);
            switch (*end | 32) {
            case 'g':
                *size <<= 10; /* fallthrough */
            case 'm':
                *size <<= 10; /* fallthrough */
            case 'k':
                *size <<= 10;
                end++;
            }
            if (*end)
                return -EINVAL;
        } else if (strncmp(o, "uid=", 4) != 0 && strncmp(o, "gid=", 4) != 0 &&
                   strncmp(o, "nr_inodes=", 10) != 0) {
            return -EINVAL;
        }
    }
    return 0;
}

static int new_super(struct task *t, const char *type, gaddr_t udata, struct super **ret)
{
    char opts[256] = "";
    uint32_t mode;
    uint64_t size;
    int r;

    if (!strcmp(type, "proc")) {
        *ret = proc_new();
    } else if (!strcmp(type, "sysfs")) {
        *ret = sysfs_new();
    } else if (!strcmp(type, "devpts")) {
        *ret = devpts_new();
    } else if (!strcmp(type, "devtmpfs")) {
        *ret = devtmpfs_new();
    } else if (!strcmp(type, "mqueue")) {
        *ret = mqueue_fs();
    } else if (!strcmp(type, "tmpfs") || !strcmp(type, "ramfs")) {
        if (udata && copy_in_str(t, opts, udata, sizeof opts) < 0)
            return -EINVAL;
        r = parse_tmpfs(opts, &mode, &size);
        if (r < 0)
            return r;
        *ret = tmpfs_new(mode, size);
    } else {
        return -ENODEV;
    }
    return *ret ? 0 : -ENOMEM;
}

static int bind(struct task *t, const char *source, const struct path *at)
{
    struct path from;
    int r = walk_path(t, AT_FDCWD, source, WALK_FOLLOW, &from);

    if (r < 0)
        return r;
    r = from.mnt ? vfs_bind(&from, at, 0) : -EINVAL;
    path_put(&from);
    return r;
}

static int do_mount(struct task *t, gaddr_t usource, const struct path *at, gaddr_t utype,
                    unsigned long flags, gaddr_t data)
{
    char source[PATH_MAX] = "", type[64] = "";
    struct super *sb;
    int r;

    if (usource && copy_in_str(t, source, usource, sizeof source) < 0)
        return -EFAULT;
    if (!at->mnt) /* a pipe by way of /proc/self/fd: on no mount */
        return -EINVAL;
    if (flags & MS_REMOUNT) {
        if (at->dentry != at->mnt->root)
            return -EINVAL;
        lock(&vfs.mounts_lock);
        at->mnt->flags = flags & KEPT_FLAGS;
        unlock(&vfs.mounts_lock);
        return 0;
    }
    if (flags & MS_BIND)
        return bind(t, source, at);
    if (flags & PROPAGATION)
        return flags & MS_SHARED ? -EINVAL : at->dentry == at->mnt->root ? 0 : -EINVAL;
    if (flags & MS_MOVE)
        return -EINVAL;
    if (!utype || copy_in_str(t, type, utype, sizeof type) < 0)
        return utype ? -EFAULT : -EINVAL;
    r = new_super(t, type, data, &sb);
    return r < 0 ? r : vfs_mount(sb, at, flags & KEPT_FLAGS, source, NULL);
}

long sys_mount(struct task *t, gaddr_t source, gaddr_t target, gaddr_t type, unsigned long flags,
               gaddr_t data)
{
    struct path at;
    int r;

    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    r = walk_user(t, AT_FDCWD, target, WALK_FOLLOW, &at);
    if (r < 0)
        return r;
    r = do_mount(t, source, &at, type, flags, data);
    path_put(&at);
    return r;
}

/* By more than the tree and the caller of this. */
static bool in_use(const struct mount *m)
{
    return atomic_load(&m->refs) > 2;
}

long sys_umount2(struct task *t, gaddr_t target, int flags)
{
    struct mount *m;
    struct path at;
    int r;

    if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
        return -EINVAL;
    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    r = walk_user(t, AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW, &at);
    if (r < 0)
        return r;
    if (!at.mnt) { /* a pipe by way of /proc/self/fd: on no mount */
        path_put(&at);
        return -EINVAL;
    }
    m = mount_ref(at.mnt);
    r = at.dentry == m->root ? 0 : -EINVAL;
    path_put(&at);
    if (r == 0 && in_use(m) && !(flags & MNT_DETACH)) {
        mm_reconcile(t->mm); /* what the caller has unmapped by itself holds it no more */
        r = in_use(m) ? -EBUSY : 0;
    }
    if (r == 0)
        r = vfs_umount(m);
    mount_put(m);
    return r;
}
