/* SPDX-License-Identifier: Apache-2.0 */
/* Shared exports: attributes that change, extended ones too, and what is to reach the disk. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "abi/types.h"
#include "abi/unfenced.h"
#include "gofer/server.h"

#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif

/* t itself, for reading or else for writing: what can be had of a file, without a link followed. */
static int open_either(struct target *t)
{
    static const int ways[] = { O_RDONLY, O_WRONLY };
    int fd = -EACCES;

    for (unsigned i = 0; i < ARRAY_SIZE(ways) && fd == -EACCES; i++)
        fd = beneath_open(t->dirfd, t->name[0] ? t->name : ".", ways[i] | O_NOCTTY | O_NONBLOCK);
    return fd;
}

static int chmod_of(struct target *t, uint32_t mode)
{
    const bool setid = t->node->export->setid || unfenced("setid");
    int file = target_file(t), fd, r;
    struct gw_attr attr;

    r = target_stat(t, &attr);
    if (r < 0)
        return r;
    if (S_ISLNK(attr.mode))
        return -EOPNOTSUPP;
    if (!S_ISDIR(attr.mode) && mode & (S_ISUID | S_ISGID) && !setid)
        return -EPERM;
    if (file >= 0)
        return fchmod(file, mode) < 0 ? -errno : 0;
    fd = beneath_open(t->dirfd, t->name[0] ? t->name : ".", O_PATH);
    if (fd < 0)
        return fd;
    /* A directory may have become a file since: set-id bits would then be for that. */
    r = beneath_stat(fd, "", &attr);
    if (r == 0 && !S_ISDIR(attr.mode) && mode & (S_ISUID | S_ISGID) && !setid)
        r = -EPERM;
    if (r == 0 && syscall(__NR_fchmodat2, fd, "", mode, AT_EMPTY_PATH) < 0)
        r = -errno;
    close(fd);
    if (r != -ENOSYS)
        return r;
    fd = open_either(t); /* before Linux 6.6 */
    if (fd < 0)
        return fd;
    r = beneath_stat(fd, "", &attr);
    if (r == 0 && !S_ISDIR(attr.mode) && mode & (S_ISUID | S_ISGID) && !setid)
        r = -EPERM;
    if (r == 0 && fchmod(fd, mode) < 0)
        r = -errno;
    close(fd);
    return r;
}

static int chown_of(struct target *t, const struct gw_setattr *a)
{
    uid_t uid = a->valid & GW_SET_UID ? a->uid : (uid_t)-1;
    gid_t gid = a->valid & GW_SET_GID ? a->gid : (gid_t)-1;

    int r = fchownat(t->dirfd, t->name, uid, gid, t->name[0] ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH);
    if (r < 0) /* an id that our namespace does not know is nobody's to give */
        return errno == EINVAL ? -EPERM : -errno;
    return 0;
}

static int resize(struct target *t, uint64_t size)
{
    struct gw_attr attr;
    int file = target_file(t), fl = file >= 0 ? fcntl(file, F_GETFL) : -1;

    if (size > INT64_MAX)
        return -EFBIG;
    if (file >= 0 && (fl & O_ACCMODE) != O_RDONLY)
        return ftruncate(file, (off_t)size) < 0 ? -errno : 0;
    if (!t->name[0])
        return file >= 0 ? -EBADF : -EISDIR;
    int r = target_stat(t, &attr);
    if (r == 0 && !S_ISREG(attr.mode))
        r = S_ISDIR(attr.mode) ? -EISDIR : -EINVAL;
    if (r < 0)
        return r;
    int fd = beneath_open(t->dirfd, t->name, O_WRONLY | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fd;
    r = beneath_stat(fd, "", &attr);
    if (r == 0 && !S_ISREG(attr.mode))
        r = -EINVAL;
    if (r == 0)
        r = without_setid(fd, t, &attr);
    if (r == 0 && ftruncate(fd, (off_t)size) < 0)
        r = -errno;
    close(fd);
    return r;
}

static struct timespec time_of(const struct gw_setattr *a, unsigned set, unsigned now, int64_t s,
                               uint32_t ns)
{
    if (a->valid & now)
        return (struct timespec){ 0, UTIME_NOW };
    return (struct timespec){ s, a->valid & set ? (long)ns : UTIME_OMIT };
}

static int utimes_of(struct target *t, const struct gw_setattr *a)
{
    struct timespec ts[2] = {
        time_of(a, GW_SET_ATIME, GW_SET_ATIME_NOW, a->atime_s, a->atime_ns),
        time_of(a, GW_SET_MTIME, GW_SET_MTIME_NOW, a->mtime_s, a->mtime_ns),
    };
    int file = target_file(t);
    int r = file >= 0    ? futimens(file, ts)
            : t->name[0] ? utimensat(t->dirfd, t->name, ts, AT_SYMLINK_NOFOLLOW)
                         : utimensat(t->dirfd, ".", ts, 0);

    return r < 0 ? -errno : 0;
}

#define SET_TIMES (GW_SET_ATIME | GW_SET_MTIME | GW_SET_ATIME_NOW | GW_SET_MTIME_NOW)

int serve_setattr(struct job *job)
{
    struct gw_entry e = { .node = 0 };
    struct gw_setattr a;
    struct target t;
    const char *path;
    size_t len;

    int r = job_take(job, &a, sizeof(a), &path, &len);
    if (r < 0 || a.valid & ~(uint32_t)GW_SET_ALL || a.mode & ~07777u || a.atime_ns > 999999999 ||
        a.mtime_ns > 999999999)
        return -EINVAL;
    r = target_find(job, path, len, &t);
    if (r < 0)
        return r;
    r = target_stat(&t, &e.attr); /* is it shown? */
    if (r == 0 && a.valid & (GW_SET_UID | GW_SET_GID))
        r = chown_of(&t, &a);
    if (r == 0 && a.valid & GW_SET_SIZE)
        r = resize(&t, a.size);
    if (r == 0 && a.valid & GW_SET_MODE)
        r = chmod_of(&t, a.mode);
    if (r == 0 && a.valid & SET_TIMES)
        r = utimes_of(&t, &a);
    if (r == 0)
        r = target_stat(&t, &e.attr);
    target_put(&t);
    if (r == 0)
        job_entry(job, &e);
    return r;
}

int serve_setxattr(struct job *job)
{
    char name[GW_NAME_MAX + 1];
    struct gw_setxattr x;
    struct target t;
    const char *rest;
    size_t len;

    int r = job_take(job, &x, sizeof(x), &rest, &len);
    if (r < 0 || x.pathlen > len || x.namelen > len - x.pathlen || x.remove > 1 ||
        x.flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    if (!x.namelen || x.namelen > GW_NAME_MAX)
        return -ERANGE;
    memcpy(name, rest + x.pathlen, x.namelen);
    name[x.namelen] = 0;
    if (strlen(name) != x.namelen)
        return -EINVAL;
    if (strncmp(name, "user.", 5) != 0) /* security.capability is like a set-id bit */
        return -EPERM;
    r = target_find(job, rest, x.pathlen, &t);
    if (r < 0)
        return r;
    struct gw_attr attr;
    r = target_stat(&t, &attr);
    int file = target_file(&t), fd = r < 0 ? r : file >= 0 ? file : open_either(&t);
    const char *value = rest + x.pathlen + x.namelen;
    size_t n = len - x.pathlen - x.namelen;

    r = fd < 0 ? fd : 0;
    if (r == 0 &&
        (x.remove ? fremovexattr(fd, name) : fsetxattr(fd, name, value, n, (int)x.flags)) < 0)
        r = -errno;
    if (fd >= 0 && fd != file)
        close(fd);
    target_put(&t);
    return r == -ELOOP ? -EPERM : r;
}

int serve_sync(struct job *job)
{
    struct gw_attr attr;
    struct target t;

    if (job->req.arg > 1)
        return -EINVAL;
    int r = target_find(job, (const char *)job->in, job->req.len, &t);
    if (r < 0)
        return r;
    r = target_stat(&t, &attr);
    int file = target_file(&t), fd = r < 0 ? r : file >= 0 ? file : open_either(&t);
    r = fd < 0 ? fd : 0;
    if (r == 0 && (job->req.arg ? syncfs(fd) : fsync(fd)) < 0)
        r = -errno;
    if (fd >= 0 && fd != file)
        close(fd);
    target_put(&t);
    return r;
}
