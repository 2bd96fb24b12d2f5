/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names beneath the writer's directory. Others may change the tree meanwhile, and the tree's owner may
 * not be who trusts it: each step is openat2, which follows nothing, and calls on a name in a directory
 * that is held open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/types.h"
#include "abi/unfenced.h"
#include "gofer/writer/priv.h"

#define DEPTH_MAX 256 /* directories that are open at once: what lies deeper is refused */

static int open_beneath(int dir, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = unfenced("applylinks") ? 0
                                          : RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
                                                RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };

    for (int tries = 0;; tries++) {
        long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);

        if (fd >= 0)
            return (int)fd;
        if ((errno != EAGAIN && errno != EINTR) || tries == 32)
            return -errno;
    }
}

int tree_parent(int dir, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    char parent[PATH_MAX];

    *ret_name = slash ? slash + 1 : path;
    if (!slash)
        return open_beneath(dir, ".", O_PATH | O_DIRECTORY);
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = 0;
    return open_beneath(dir, parent, O_PATH | O_DIRECTORY);
}

int tree_stat(int dir, const char *path, struct stat *ret)
{
    const char *name;
    int parent = tree_parent(dir, path, &name), r;

    if (parent < 0)
        return parent;
    r = fstatat(parent, name, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    close(parent);
    return r;
}

void ident_of(const struct stat *st, struct ident *ret)
{
    *ret = (struct ident){ .dev = st->st_dev,
                           .ino = st->st_ino,
                           .size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
                           .mtime_sec = st->st_mtim.tv_sec,
                           .mtime_nsec = (uint32_t)st->st_mtim.tv_nsec,
                           .mode = st->st_mode };
}

bool ident_same(const struct stat *st, const struct ident *id)
{
    struct ident now;

    ident_of(st, &now);
    if (S_ISDIR(now.mode)) /* what is in it was looked at by itself */
        return now.dev == id->dev && now.ino == id->ino && S_ISDIR(id->mode);
    return now.dev == id->dev && now.ino == id->ino && now.size == id->size &&
           now.mtime_sec == id->mtime_sec && now.mtime_nsec == id->mtime_nsec &&
           now.mode == id->mode;
}

static bool after(const struct stat *st, const struct timespec_ns *t)
{
    return st->st_ctim.tv_sec > t->sec ||
           (st->st_ctim.tv_sec == t->sec && st->st_ctim.tv_nsec > (long)t->nsec);
}

/* fn for each name in name beneath dir, from below; the directory itself is the caller's. */
static int each_below(int dir, const char *name, unsigned depth,
                      int (*fn)(int dir, const char *name, const struct stat *st, void *arg),
                      void *arg)
{
    int fd = open_beneath(dir, name, O_RDONLY | O_DIRECTORY), r = 0;
    struct dirent *e;
    DIR *d;

    if (fd < 0)
        return fd;
    d = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
    if (!d) {
        close(fd);
        return depth < DEPTH_MAX ? -ENOMEM : -ENAMETOOLONG;
    }
    while (r == 0 && (e = readdir(d))) {
        struct stat st;

        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            r = errno == ENOENT ? 0 : -errno;
            continue;
        }
        if (S_ISDIR(st.st_mode))
            r = each_below(fd, e->d_name, depth + 1, fn, arg);
        if (r == 0)
            r = fn(fd, e->d_name, &st, arg);
    }
    closedir(d);
    return r;
}

static int is_after(int dir, const char *name, const struct stat *st, void *arg)
{
    (void)dir, (void)name;
    return after(st, arg);
}

int tree_changed_since(int dir, const char *path, const struct timespec_ns *since)
{
    struct timespec_ns t = *since;
    const char *name;
    struct stat st;
    int parent = tree_parent(dir, path, &name), r;

    if (parent < 0)
        return parent;
    r = fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : after(&st, &t);
    if (r == 0 && S_ISDIR(st.st_mode))
        r = each_below(parent, name, 0, is_after, &t);
    close(parent);
    return r;
}

static int remove_one(int dir, const char *name, const struct stat *st, void *arg)
{
    (void)arg;
    if (unlinkat(dir, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

/* Its owner had no rights in it, and is to remove what it holds. Before Linux 6.6 that fails later. */
static void open_up(int dir, const char *name)
{
    int fd = open_beneath(dir, name, O_PATH | O_DIRECTORY);

    if (fd < 0)
        return;
    syscall(452 /* fchmodat2 */, fd, "", 0700, AT_EMPTY_PATH);
    close(fd);
}

int tree_remove(int dir, const char *name)
{
    struct stat st;
    int r = 0;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISDIR(st.st_mode)) {
        if ((st.st_mode & 0700) != 0700)
            open_up(dir, name);
        r = each_below(dir, name, 0, remove_one, NULL);
    }
    return r < 0 ? r : remove_one(dir, name, &st, NULL);
}
