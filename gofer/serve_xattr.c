/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes and file system figures. Only names that mean something inside pass: user.*,
 * and security.capability, which says what a program may do. Symbolic links have neither.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "gofer/server.h"

static bool shown(const char *name)
{
    return !strncmp(name, "user.", 5) || !strcmp(name, "security.capability");
}

/* The request's target open for reading; *none where such a thing has no attributes. */
static int open_target(struct job *job, size_t pathlen)
{
    struct target t;
    struct gw_attr attr;

    int r = target_find(job, (const char *)job->in, pathlen, &t);
    if (r < 0)
        return r;
    int fd = target_open_read(&t, &attr);
    target_put(&t);
    return fd == -ELOOP || fd == -EACCES ? -EOPNOTSUPP : fd;
}

int serve_getxattr(struct job *job)
{
    char name[GW_NAME_MAX + 1];

    if (job->req.arg > job->req.len)
        return -EINVAL;
    size_t len = job->req.len - job->req.arg;
    if (len == 0 || len > GW_NAME_MAX)
        return -ERANGE;
    memcpy(name, job->in + job->req.arg, len);
    name[len] = 0;
    if (strlen(name) != len)
        return -EINVAL;
    if (!shown(name))
        return -EOPNOTSUPP;
    int fd = open_target(job, job->req.arg);
    if (fd < 0)
        return fd;
    ssize_t n = fgetxattr(fd, name, job->out, GW_XATTR_MAX);
    int r = n < 0 ? -errno : 0;
    close(fd);
    if (r == 0)
        job->rep.len = (uint32_t)n;
    return r == -ERANGE ? -E2BIG : r;
}

int serve_listxattr(struct job *job)
{
    int fd = open_target(job, job->req.len);
    if (fd < 0)
        return fd == -EOPNOTSUPP ? 0 : fd;
    ssize_t n = flistxattr(fd, (char *)job->out, GW_XATTR_MAX);
    int r = n < 0 && errno != EOPNOTSUPP ? -errno : 0;
    close(fd);
    char *out = (char *)job->out;
    for (ssize_t at = 0; at < n;) {
        size_t len = strnlen(out + at, (size_t)(n - at));
        if (at + (ssize_t)len == n)
            break; /* no NUL: not a list */
        char *name = out + at;
        at += (ssize_t)len + 1;
        if (shown(name)) {
            memmove(out + job->rep.len, name, len + 1);
            job->rep.len += (uint32_t)len + 1;
        }
    }
    return r;
}

int serve_statfs(struct job *job)
{
    struct target t;
    struct statfs st;

    int r = target_find(job, (const char *)job->in, job->req.len, &t);
    if (r < 0)
        return r;
    /* The directory that holds it stands for the thing: the same mount but for one on a file. */
    if (fstatfs(t.dirfd, &st) < 0)
        r = -errno;
    target_put(&t);
    if (r < 0)
        return r;
    struct gw_statfs g = {
        .type = (uint64_t)st.f_type,
        .bsize = (uint64_t)st.f_bsize,
        .blocks = st.f_blocks,
        .bfree = st.f_bfree,
        .bavail = st.f_bavail,
        .files = st.f_files,
        .ffree = st.f_ffree,
        .namelen = (uint64_t)st.f_namelen,
        .frsize = (uint64_t)st.f_frsize,
        .flags = (uint64_t)st.f_flags,
    };
    memcpy(job->out, &g, sizeof(g));
    job->rep.len = sizeof(g);
    job->rep.count = 1;
    return 0;
}
