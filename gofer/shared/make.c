/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared exports: new things, and files opened as they are wanted, for writing too. An open file is
 * a node, whose descriptor is the same open file description as the one that goes to the sentry:
 * attributes, locks and flags of a file whose name is gone are reached through it.
 *
 * Set-id bits are for directories only, and devices for nobody: a program inside could leave behind
 * what others then run as the caller.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "gofer/server.h"

int job_take(const struct job *job, void *to, size_t n, const char **rest, size_t *restlen)
{
    if (job->req.len < n)
        return -EINVAL;
    memcpy(to, job->in, n);
    *rest = (const char *)job->in + n;
    *restlen = job->req.len - n;
    return 0;
}

int target_may_change(const struct target *t)
{
    if (!t->name[0])
        return -EBUSY;
    return target_at_root(t) && t->node->export->single && !unfenced("shown") ? -EPERM : 0;
}

int target_file(const struct target *t)
{
    return t->node->is_open && !t->name[0] ? t->node->fd : -1;
}

void job_entry(struct job *job, const struct gw_entry *e)
{
    memcpy(job->out + job->rep.len, e, sizeof(*e));
    job->rep.len += (uint32_t)sizeof(*e);
    job->rep.count++;
}

int job_hand_open(struct job *job, const struct gofer_export *export, int fd, uint64_t *ret_node)
{
    int keep = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    *ret_node = keep < 0 ? 0 : node_add_open(keep, export);
    if (!*ret_node) {
        close(fd);
        return -ENFILE;
    }
    job->fd = fd;
    job->opened = *ret_node;
    job->rep.flags |= GW_FD;
    return 0;
}

/* The sentry decides who owns what its users make; an ordinary caller can give nothing away. */
static int give(const struct job *job, int dirfd, const char *name, const struct gw_make *m)
{
    if (!job->cfg->keep_caps || (m->uid == 0 && m->gid == 0)) /* with them it is root */
        return 0;
    return fchownat(dirfd, name, m->uid, m->gid, *name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH) < 0
               ? -errno
               : 0;
}

static bool mode_ok(const struct target *t, uint32_t mode)
{
    if (S_ISDIR(mode) || t->node->export->setid || unfenced("setid"))
        return true;
    return !(mode & (S_ISUID | S_ISGID));
}

static int make_file(struct job *job, struct target *t, const struct gw_make *m, struct gw_entry *e)
{
    bool closed = m->open == GW_MAKE_CLOSED;
    int flags = closed ? O_RDONLY : (int)m->open & (O_ACCMODE | O_APPEND);

    if (m->temporary)
        flags |= O_TMPFILE | ((flags & O_ACCMODE) == O_RDONLY ? O_RDWR : 0);
    else
        flags |= O_CREAT | O_EXCL;
    int fd = beneath_create(t->dirfd, t->name[0] ? t->name : ".", flags | O_NOCTTY | O_NONBLOCK,
                            m->mode & 07777);
    if (fd < 0)
        return fd;
    int r = give(job, fd, "", m);
    if (r == 0)
        r = beneath_stat(fd, "", &e->attr);
    if (r == 0 && !closed)
        return job_hand_open(job, t->node->export, fd, &e->node);
    close(fd);
    if (r < 0 && !m->temporary)
        unlinkat(t->dirfd, t->name, 0);
    return r;
}

static int make_other(struct job *job, struct target *t, const struct gw_make *m,
                      const char *target, size_t len, struct gw_entry *e)
{
    char link[GW_PATH_MAX + 1];
    bool dir = S_ISDIR(m->mode);
    int r = -EPERM;

    if (dir) {
        r = mkdirat(t->dirfd, t->name, m->mode & 07777) < 0 ? -errno : 0;
    } else if (S_ISLNK(m->mode)) {
        if (!len || len > GW_PATH_MAX || memchr(target, 0, len))
            return len > GW_PATH_MAX ? -ENAMETOOLONG : -EINVAL;
        memcpy(link, target, len);
        link[len] = 0;
        r = symlinkat(link, t->dirfd, t->name) < 0 ? -errno : 0;
    } else if (S_ISFIFO(m->mode) || S_ISSOCK(m->mode) || unfenced("devices")) {
        r = mknodat(t->dirfd, t->name, m->mode, 0) < 0 ? -errno : 0;
    }
    if (r < 0)
        return r;
    r = give(job, t->dirfd, t->name, m);
    if (r == 0)
        r = beneath_stat(t->dirfd, t->name, &e->attr);
    if (r < 0) {
        unlinkat(t->dirfd, t->name, dir ? AT_REMOVEDIR : 0);
        return r;
    }
    int fd = dir ? beneath_open(t->dirfd, t->name, O_PATH | O_DIRECTORY) : -1;
    if (fd >= 0)
        e->node = node_add(fd, t->node->export, false, false);
    return 0;
}

int serve_make(struct job *job)
{
    struct gw_entry e = { .node = 0 };
    struct gw_make m;
    struct target t;
    const char *path;
    size_t len;

    int r = job_take(job, &m, sizeof(m), &path, &len);
    if (r < 0 || job->req.arg > len)
        return -EINVAL;
    if (m.temporary && !S_ISREG(m.mode))
        return -EPERM;
    r = target_find(job, path, job->req.arg, &t);
    if (r < 0)
        return r;
    if (!mode_ok(&t, m.mode))
        r = -EPERM;
    else if (m.temporary) /* in a directory that is held open */
        r = t.name[0] || t.node->is_file ? -EINVAL : t.node->export->single ? -EPERM : 0;
    else
        r = target_may_change(&t);
    if (r == 0 && S_ISREG(m.mode))
        r = make_file(job, &t, &m, &e);
    else if (r == 0)
        r = make_other(job, &t, &m, path + job->req.arg, len - job->req.arg, &e);
    target_put(&t);
    if (r == 0)
        job_entry(job, &e);
    return r;
}

int without_setid(int fd, const struct target *t, struct gw_attr *attr)
{
    if (!(attr->mode & (S_ISUID | S_ISGID)) || t->node->export->setid || unfenced("setid"))
        return 0;
    attr->mode &= ~(uint32_t)(S_ISUID | S_ISGID);
    return fchmod(fd, attr->mode & 07777) < 0 ? -errno : 0;
}

#define OPEN_FLAGS (O_ACCMODE | O_APPEND | O_DIRECT | O_NOATIME | O_TRUNC | O_SYNC)

int open_shared(struct job *job, const struct target *t, int flags, struct gw_entry *e)
{
    /* O_NONBLOCK: something else may have taken its place meanwhile. Cut only once it is known. */
    int fd = beneath_open(t->dirfd, t->name, (flags & ~O_TRUNC) | O_NOCTTY | O_NONBLOCK);
    int r = fd < 0 ? fd : beneath_stat(fd, "", &e->attr);

    if (r == 0 && !S_ISREG(e->attr.mode) && !unfenced("kinds"))
        r = -ESTALE;
    if (r == 0 && (flags & O_ACCMODE) != O_RDONLY)
        r = without_setid(fd, t, &e->attr);
    if (r == 0 && flags & O_TRUNC)
        r = ftruncate(fd, 0) < 0 ? -errno : beneath_stat(fd, "", &e->attr);
    if (r == 0)
        return job_hand_open(job, t->node->export, fd, &e->node);
    if (fd >= 0)
        close(fd);
    return r;
}

int serve_openat(struct job *job)
{
    struct gw_entry e = { .node = 0 };
    struct target t;
    int flags = (int)job->req.arg;

    if (flags & ~OPEN_FLAGS || (flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    int r = target_find(job, (const char *)job->in, job->req.len, &t);
    if (r < 0)
        return r;
    if (!t.name[0])
        r = -EISDIR;
    if (r == 0)
        r = target_stat(&t, &e.attr);
    if (r == 0 && !S_ISREG(e.attr.mode))
        r = S_ISDIR(e.attr.mode) ? -EISDIR : S_ISLNK(e.attr.mode) ? -ELOOP : -ENXIO;
    if (r == 0)
        r = open_shared(job, &t, flags, &e);
    target_put(&t);
    if (r == 0)
        job_entry(job, &e);
    return r;
}
