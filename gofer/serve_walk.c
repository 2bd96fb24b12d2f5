/* SPDX-License-Identifier: Apache-2.0 */
/* Walks, attributes and link targets. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/types.h"
#include "gofer/server.h"

static void add_entry(struct job *job, uint64_t number, const struct gw_attr *attr)
{
    struct gw_entry e = { .node = number, .attr = *attr };

    memcpy(job->out + job->rep.len, &e, sizeof(e));
    job->rep.len += (uint32_t)sizeof(e);
    job->rep.count++;
}

static void add_link(struct job *job, int dirfd, const char *name)
{
    ssize_t n = readlinkat(dirfd, name, (char *)job->out + job->rep.len, GW_PATH_MAX);

    if (n < 0)
        return; /* it is asked for again when it is wanted, and then the error shows */
    job->rep.len += (uint32_t)n;
    job->rep.flags |= GW_LINK;
}

struct walker {
    struct job *job;
    struct node *from;
    int at;  /* directory that we stand in */
    int own; /* the same, to be closed; -1 while that is the node's own */
};

/* Into the directory name; *ret_number is a node for it where one is wanted. */
static int enter(struct walker *w, const char *name, bool last, uint64_t *ret_number)
{
    bool want = w->job->req.flags & GW_WANT_NODES;

    if (last && !want)
        return 0;
    int fd = open_dir_shown(w->from, w->at, name);
    if (fd < 0)
        return fd;
    /* A node's descriptor may be closed by a forget at any time: we stand on one of our own. */
    int keep = !want ? -1 : last ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (keep >= 0)
        *ret_number = node_add(keep, w->from->export, false, false);
    if (last)
        return 0;
    if (w->own >= 0)
        close(w->own);
    w->own = w->at = fd;
    return 0;
}

/*
 * The file at the path's end is wanted open: its bytes follow its entry, which tells of what was
 * opened. Where that fails it is looked at only; who opens it then gets the error.
 */
static void open_last(struct walker *w, const char *name)
{
    struct target t = { .node = w->from, .dirfd = w->at, .own_fd = w->own };
    uint32_t at = w->job->rep.len - (uint32_t)sizeof(struct gw_attr);
    struct gw_entry e = { .node = 0 };
    struct gw_attr attr;

    strcpy(t.name, name);      /* both have the size of a name */
    if (w->job->cfg->shared) { /* no bytes: they are not its own for long */
        if (open_shared(w->job, &t, O_RDONLY, &e) < 0)
            return;
        w->job->rep.value = e.node;
        memcpy(w->job->out + at, &e.attr, sizeof(e.attr));
        w->job->rep.flags |= GW_OPENED;
        return;
    }
    if (open_for(w->job, &t, &attr) < 0) {
        w->job->rep.len = at + (uint32_t)sizeof(attr);
        return;
    }
    memcpy(w->job->out + at, &attr, sizeof(attr));
    w->job->rep.flags |= GW_OPENED;
}

/* One component. 0 go on, 1 the walk ends here, or the error of what is behind the last entry. */
static int step(struct walker *w, const char *name, bool last)
{
    struct gw_attr attr;
    uint64_t number = 0;

    int r = stat_shown(w->from, w->at, w->from->is_root && w->own < 0, name, &attr);
    if (r == 0 && S_ISDIR(attr.mode))
        r = enter(w, name, last, &number);
    if (r < 0)
        return r;
    add_entry(w->job, number, &attr);
    if (S_ISLNK(attr.mode))
        add_link(w->job, w->at, name);
    if (S_ISREG(attr.mode) && last && w->job->req.flags & GW_WALK_OPEN)
        open_last(w, name);
    if (S_ISDIR(attr.mode))
        return 0;
    return last || S_ISLNK(attr.mode) ? 1 : -ENOTDIR;
}

/*
 * An error behind the first component reached is told beside the entries: rep.error is set and 0
 * returned, so that they are sent.
 */
int serve_walk(struct job *job)
{
    const char *path = (const char *)job->in, *end = path + job->req.len;
    struct walker w = { .job = job, .from = node_get(job->req.node), .own = -1 };
    int r = w.from ? 0 : -ESTALE;
    char name[GW_NAME_MAX + 1];

    if (r == 0 && (path == end || job->req.len > GW_PATH_MAX))
        r = -EINVAL;
    if (r == 0 && w.from->is_file)
        r = -ENOTDIR;
    if (r == 0)
        w.at = w.from->fd;
    while (r == 0 && path < end) {
        r = job->rep.count == GW_DEPTH_MAX ? -ENAMETOOLONG : path_next(&path, end, name);
        if (r == 0)
            r = step(&w, name, path == end);
    }
    if (w.own >= 0)
        close(w.own);
    node_put(w.from);
    if (r < 0 && job->rep.count) {
        job->rep.error = r;
        return 0;
    }
    return MIN(r, 0);
}

int serve_getattr(struct job *job)
{
    struct target t;
    struct gw_attr attr;

    int r = target_find(job, (const char *)job->in, job->req.len, &t);
    if (r < 0)
        return r;
    r = target_stat(&t, &attr);
    target_put(&t);
    if (r == 0)
        add_entry(job, 0, &attr);
    return r;
}

int serve_readlink(struct job *job)
{
    struct target t;
    struct gw_attr attr;

    int r = target_find(job, (const char *)job->in, job->req.len, &t);
    if (r < 0)
        return r;
    r = target_stat(&t, &attr);
    if (r == 0 && !S_ISLNK(attr.mode))
        r = -EINVAL;
    if (r == 0) {
        ssize_t n = readlinkat(t.dirfd, t.name, (char *)job->out, GW_PATH_MAX);
        r = n < 0 ? -errno : 0;
        job->rep.len = n < 0 ? 0 : (uint32_t)n;
    }
    target_put(&t);
    return r;
}
