/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a node and a path to a thing. Each component is one beneath_open(); each directory passed
 * must be shown by the export, so a path never leads through what it hides. What is not shown is
 * not there: -ENOENT, in look-ups as in listings.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "gofer/server.h"

int path_next(const char **path, const char *end, char name[GW_NAME_MAX + 1])
{
    const char *slash = memchr(*path, '/', (size_t)(end - *path));
    size_t len = (size_t)((slash ? slash : end) - *path);

    int r = name_check(*path, len);
    if (r < 0)
        return r;
    memcpy(name, *path, len);
    name[len] = 0;
    *path = slash ? slash + 1 : end;
    /* A slash must have something behind it. */
    return slash && *path == end ? -EINVAL : 0;
}

int stat_shown(const struct node *from, int dirfd, bool at_root, const char *name,
               struct gw_attr *ret)
{
    if (at_root && !export_names(from->export, name, strlen(name)))
        return -ENOENT;
    int r = beneath_stat(dirfd, name, ret);
    return r == 0 && !export_shows(from->export, ret) ? -ENOENT : r;
}

int open_dir_shown(const struct node *from, int dirfd, const char *name)
{
    struct gw_attr attr;

    int fd = beneath_open(dirfd, name, O_PATH | O_DIRECTORY);
    if (fd < 0 || !from->export->public_only)
        return fd;
    /* It may be another one by now, with other rights. */
    int r = beneath_stat(fd, "", &attr);
    if (r == 0 && !export_shows(from->export, &attr))
        r = -ENOENT;
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

bool target_at_root(const struct target *t)
{
    return t->node->is_root && t->own_fd < 0;
}

void target_put(struct target *t)
{
    if (t->own_fd >= 0)
        close(t->own_fd);
    t->own_fd = -1;
    node_put(t->node);
    t->node = NULL;
}

/* Goes into the directory t->name, so that t stands for the directory itself. */
static int step_down(struct target *t)
{
    struct gw_attr attr;

    int r = stat_shown(t->node, t->dirfd, target_at_root(t), t->name, &attr);
    if (r < 0)
        return r;
    if (!S_ISDIR(attr.mode))
        return S_ISLNK(attr.mode) ? -ELOOP : -ENOTDIR;
    int fd = open_dir_shown(t->node, t->dirfd, t->name);
    if (fd < 0)
        return fd;
    if (t->own_fd >= 0)
        close(t->own_fd);
    t->own_fd = t->dirfd = fd;
    t->name[0] = 0;
    return 0;
}

int target_find(const struct job *job, const char *path, size_t len, struct target *ret)
{
    return target_find_from(job->req.node, path, len, ret);
}

int target_find_from(uint64_t node, const char *path, size_t len, struct target *ret)
{
    const char *end = path + len;
    unsigned depth = 0;
    int r = 0;

    if (len > GW_PATH_MAX)
        return -ENAMETOOLONG;
    ret->node = node_get(node);
    if (!ret->node)
        return -ESTALE;
    ret->own_fd = -1;
    if (!ret->node->export) { /* an inotify queue */
        target_put(ret);
        return -EBADF;
    }
    ret->dirfd = ret->node->fd;
    ret->name[0] = 0;
    while (r == 0 && path < end) {
        if (ret->node->is_file)
            r = -ENOTDIR;
        else if (++depth > GW_DEPTH_MAX)
            r = -ENAMETOOLONG;
        else if (ret->name[0])
            r = step_down(ret);
        if (r == 0)
            r = path_next(&path, end, ret->name);
    }
    if (r < 0)
        target_put(ret);
    return r;
}

int target_stat(struct target *t, struct gw_attr *ret)
{
    if (t->name[0])
        return stat_shown(t->node, t->dirfd, target_at_root(t), t->name, ret);
    if (target_at_root(t) && t->node->export->single && !unfenced("shown"))
        return -EACCES;
    return beneath_stat(t->dirfd, "", ret);
}

/*
 * O_NONBLOCK, because between look and open a FIFO may have taken the name's place: then nobody
 * waits, and what was opened is no regular file and is closed again. A device cannot be opened in
 * its place where the export is a nodev mount, as the front end makes it.
 */
static int reopen(struct target *t, const struct gw_attr *seen, struct gw_attr *ret)
{
    bool dir = S_ISDIR(seen->mode);
    const char *name = t->name[0] ? t->name : ".";

    int fd = beneath_open(t->dirfd, name,
                          O_RDONLY | O_NOCTTY | O_NONBLOCK | (dir ? O_DIRECTORY : 0));
    if (fd < 0)
        return fd;
    int r = beneath_stat(fd, "", ret);
    if (r == 0 && (((ret->mode ^ seen->mode) & S_IFMT && !unfenced("kinds")) ||
                   !export_shows(t->node->export, ret)))
        r = -EACCES;
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

/* A single file's export was opened at the start: a second descriptor of that. */
static int dup_single(const struct target *t)
{
    int flags = fcntl(t->dirfd, F_GETFL);

    if (flags < 0 || flags & O_PATH)
        return -EACCES;
    int fd = fcntl(t->dirfd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int target_open_read(struct target *t, struct gw_attr *ret)
{
    struct gw_attr seen;

    int r = target_stat(t, &seen);
    if (r < 0)
        return r;
    if (!S_ISREG(seen.mode) && !S_ISDIR(seen.mode) && !unfenced("kinds"))
        return S_ISLNK(seen.mode) ? -ELOOP : -EACCES;
    if (t->name[0] || S_ISDIR(seen.mode))
        return reopen(t, &seen, ret);
    *ret = seen;
    return dup_single(t);
}
