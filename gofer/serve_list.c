/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole directory as a row of datagrams. The kernel's own getdents64 is used, since readdir()
 * would copy once more; the names come from a host file system, which may be a hostile one (FUSE),
 * so lengths are checked here too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gofer/server.h"

struct kernel_dirent {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

struct listing {
    struct job *job;
    struct target *t;
    int fd;
    bool at_root; /* the names of the export count */
};

static int emit(struct listing *l, const struct gw_dirent *e, const char *name, const char *link)
{
    struct job *job = l->job;
    uint32_t padded = GW_PAD8((uint32_t)e->namelen + e->linklen);
    uint32_t need = (uint32_t)sizeof(*e) + padded;

    if (job->rep.len + need > JOB_OUT_MAX) {
        job->rep.flags |= GW_MORE;
        int r = job_send(job);
        if (r < 0)
            return r;
        job->rep.flags &= ~(uint32_t)GW_MORE;
        job->rep.len = job->rep.count = 0;
    }
    unsigned char *p = job->out + job->rep.len;
    memset(p + sizeof(*e), 0, padded);
    memcpy(p, e, sizeof(*e));
    memcpy(p + sizeof(*e), name, e->namelen);
    memcpy(p + sizeof(*e) + e->namelen, link, e->linklen);
    job->rep.len += need;
    job->rep.count++;
    return 0;
}

static int one(struct listing *l, const struct kernel_dirent *d, size_t len)
{
    const struct gofer_export *exp = l->t->node->export;
    struct gw_dirent e = { .namelen = (uint16_t)len };
    char link[GW_LINK_MAX + 1];

    if (name_check(d->name, len) < 0 || (l->at_root && !export_names(exp, d->name, len)))
        return 0; /* "." and ".." too */
    e.entry.attr.ino = d->ino;
    e.entry.attr.mode = (uint32_t)DTTOIF(d->type);
    /* Without a type, or where rights decide what is shown, the attributes are needed anyway. */
    if ((l->job->req.flags & GW_WANT_ATTR) || d->type == DT_UNKNOWN || exp->public_only) {
        if (beneath_stat(l->fd, d->name, &e.entry.attr) < 0 || !export_shows(exp, &e.entry.attr))
            return 0; /* gone since, or not to be seen */
        e.has_attr = 1;
    }
    if (e.has_attr && S_ISLNK(e.entry.attr.mode)) {
        ssize_t n = readlinkat(l->fd, d->name, link, sizeof(link));
        if (n > 0 && n < (ssize_t)sizeof(link)) /* else it is asked for when it is wanted */
            e.linklen = (uint16_t)n;
    }
    return emit(l, &e, d->name, link);
}

/* How many there are in n bytes of entries. */
static uint32_t count(const char *buf, long n)
{
    uint32_t k = 0;

    for (long at = 0; at < n; k++) {
        uint16_t len = ((const struct kernel_dirent *)(const void *)(buf + at))->reclen;
        if (!len)
            break;
        at += len;
    }
    return k;
}

static int all(struct listing *l)
{
    _Alignas(struct kernel_dirent) char buf[32768];
    uint32_t seen = 0;

    for (;;) {
        long n = syscall(SYS_getdents64, l->fd, buf, sizeof(buf));
        if (n <= 0)
            return n < 0 ? -errno : 0;
        seen += count(buf, n);
        if (l->job->req.arg && seen > 2ull + l->job->req.arg) /* "." and ".." do not count */
            return -E2BIG;
        for (long at = 0; at < n;) {
            const struct kernel_dirent *d = (const void *)(buf + at);
            const size_t head = offsetof(struct kernel_dirent, name);
            if (d->reclen <= head || at + d->reclen > n)
                return -EIO;
            int r = one(l, d, strnlen(d->name, d->reclen - head));
            if (r < 0)
                return r;
            at += d->reclen;
        }
    }
}

int serve_list(struct job *job)
{
    struct target t;
    struct gw_attr attr;

    int r = target_find(job, (const char *)job->in, job->req.len, &t);
    if (r < 0)
        return r;
    struct listing l = { .job = job, .t = &t, .at_root = target_at_root(&t) && !t.name[0] };
    l.fd = target_open_read(&t, &attr);
    if (l.fd < 0)
        r = l.fd;
    else if (!S_ISDIR(attr.mode))
        r = -ENOTDIR;
    else
        r = all(&l);
    if (l.fd >= 0)
        close(l.fd);
    target_put(&t);
    return r;
}
