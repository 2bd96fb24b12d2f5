/* SPDX-License-Identifier: Apache-2.0 */
/* Walks, attributes and link targets. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gofer/server.h"

/* A node for the directory fd (taken over) when the request wants nodes; else closes it. */
static uint64_t keep_dir(const struct job *job, const struct node *from, int fd, bool is_dir)
{
    if (is_dir && (job->req.flags & GW_WANT_NODES))
        return node_add(fd, from->export, false, false);
    close(fd);
    return 0;
}

static void add_entry(struct job *job, uint64_t number, const struct gw_attr *attr)
{
    struct gw_entry e = {.node = number, .attr = *attr};

    memcpy(job->out + job->rep.len, &e, sizeof(e));
    job->rep.len += (uint32_t)sizeof(e);
    job->rep.count++;
}

static void add_link(struct job *job, int fd)
{
    ssize_t n = readlinkat(fd, "", (char *)job->out + job->rep.len, GW_PATH_MAX);

    if (n < 0)
        return; /* it is asked for again when it is wanted, and then the error shows */
    job->rep.len += (uint32_t)n;
    job->rep.flags |= GW_LINK;
}

/*
 * An error behind the first component reached is told beside the entries: rep.error is set and 0
 * returned, so that they are sent.
 */
int serve_walk(struct job *job)
{
    const char *path = (const char *)job->in, *end = path + job->req.len;
    struct node *from = node_get(job->req.node);
    int at = from ? from->fd : -1, own = -1, r = from ? 0 : -ESTALE;
    char name[GW_NAME_MAX + 1];

    if (r == 0 && (path == end || job->req.len > GW_PATH_MAX))
        r = -EINVAL;
    if (r == 0 && from->is_file)
        r = -ENOTDIR;
    while (r == 0 && path < end) {
        struct gw_attr attr;
        if (job->rep.count == GW_DEPTH_MAX)
            r = -ENAMETOOLONG;
        if (r == 0)
            r = path_next(&path, end, name);
        if (r < 0)
            break;
        int fd = open_shown(from, at, from->is_root && own < 0, name, &attr);
        if (fd < 0) {
            r = fd;
            break;
        }
        /* The step before has its node already: what we stand on is a descriptor of our own. */
        if (own >= 0)
            close(own);
        own = at = fd;
        uint64_t number = 0;
        if (S_ISDIR(attr.mode)) {
            int dup = job->req.flags & GW_WANT_NODES ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
            number = dup >= 0 ? keep_dir(job, from, dup, true) : 0;
        }
        add_entry(job, number, &attr);
        if (S_ISLNK(attr.mode)) {
            add_link(job, fd);
            break;
        }
        if (!S_ISDIR(attr.mode) && path < end)
            r = -ENOTDIR;
    }
    if (own >= 0)
        close(own);
    node_put(from);
    if (r < 0 && job->rep.count) {
        job->rep.error = r;
        return 0;
    }
    return r;
}

int serve_getattr(struct job *job)
{
    struct target t;
    struct gw_attr attr;

    int r = target_find(job, (const char *)job->in, job->req.len, &t);
    if (r < 0)
        return r;
    int fd = target_open_path(&t, &attr);
    target_put(&t);
    if (fd < 0)
        return fd;
    close(fd);
    add_entry(job, 0, &attr);
    return 0;
}

int serve_readlink(struct job *job)
{
    struct target t;
    struct gw_attr attr;

    int r = target_find(job, (const char *)job->in, job->req.len, &t);
    if (r < 0)
        return r;
    int fd = target_open_path(&t, &attr);
    target_put(&t);
    if (fd < 0)
        return fd;
    if (!S_ISLNK(attr.mode)) {
        close(fd);
        return -EINVAL;
    }
    ssize_t n = readlinkat(fd, "", (char *)job->out, GW_PATH_MAX);
    r = n < 0 ? -errno : 0;
    close(fd);
    if (r == 0)
        job->rep.len = (uint32_t)n;
    return r;
}
