/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared exports: locks of open files, and the host's inotify. A lock is tried and never waited for:
 * who waits is a record in the sentry. Records are taken as OFD locks, which belong to the open file
 * and not to this process, and end with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "gofer/server.h"

static int lock_record(int fd, struct gw_lock *l)
{
    struct flock fl = {
        .l_type = (short)l->type, .l_whence = SEEK_SET, .l_start = l->start, .l_len = l->len
    };

    if (fcntl(fd, l->op == GW_LOCK_GET ? F_OFD_GETLK : F_OFD_SETLK, &fl) < 0)
        return errno == EACCES ? -EAGAIN : -errno;
    if (l->op == GW_LOCK_GET) {
        l->type = fl.l_type;
        l->start = fl.l_start;
        l->len = fl.l_len;
    }
    return 0;
}

static int lock_flock(int fd, const struct gw_lock *l)
{
    int op = l->type == F_UNLCK ? LOCK_UN : (l->type == F_WRLCK ? LOCK_EX : LOCK_SH) | LOCK_NB;

    return flock(fd, op) < 0 ? -errno : 0;
}

int serve_lock(struct job *job)
{
    struct gw_lock l;
    const char *rest;
    size_t len;

    int r = job_take(job, &l, sizeof(l), &rest, &len);
    if (r < 0 || len || l.op > GW_LOCK_FLOCK || l.start < 0 || l.len < 0 ||
        (l.type != F_RDLCK && l.type != F_WRLCK && l.type != F_UNLCK))
        return -EINVAL;
    struct node *n = node_get(job->req.node);
    if (!n)
        return -ESTALE;
    if (!n->is_open || !n->export)
        r = -EBADF;
    else
        r = l.op == GW_LOCK_FLOCK ? lock_flock(n->fd, &l) : lock_record(n->fd, &l);
    node_put(n);
    if (r == 0) {
        memcpy(job->out, &l, sizeof(l));
        job->rep.len = sizeof(l);
    }
    return r;
}

/*
 * inotify_add_watch has no form that starts at a descriptor: the working directory, which nothing
 * else here goes by, is moved there, and a name is one component of it that is not followed.
 */
static int watch_add(int queue, struct target *t, uint32_t mask)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    int r = fchdir(t->dirfd) < 0 ? -errno : 0;
    if (r == 0) {
        r = inotify_add_watch(queue, t->name[0] ? t->name : ".", mask | IN_DONT_FOLLOW);
        r = r < 0 ? -errno : r;
    }
    pthread_mutex_unlock(&lock);
    return r;
}

static int watch_new(struct job *job)
{
    struct gw_entry e = { .node = 0 };

    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    int r = fd < 0 ? -errno : job_hand_open(job, /* export= */ NULL, fd, &e.node);
    if (r == 0)
        job_entry(job, &e);
    return r;
}

int serve_watch(struct job *job)
{
    struct gw_attr attr;
    struct gw_watch w;
    struct target t;
    const char *path;
    size_t len;

    int r = job_take(job, &w, sizeof(w), &path, &len);
    if (r < 0 || w.op > GW_WATCH_REMOVE)
        return -EINVAL;
    if (w.op == GW_WATCH_NEW)
        return len ? -EINVAL : watch_new(job);
    struct node *q = node_get(w.queue);
    if (!q)
        return -ESTALE;
    if (q->export) {
        r = -EBADF;
    } else if (w.op == GW_WATCH_REMOVE) {
        r = inotify_rm_watch(q->fd, (int)w.mask) < 0 ? -errno : 0;
    } else {
        r = target_find(job, path, len, &t);
        if (r == 0) {
            r = t.node->is_open ? -EBADF : target_stat(&t, &attr);
            if (r == 0)
                r = watch_add(q->fd, &t, w.mask);
            target_put(&t);
        }
    }
    node_put(q);
    if (r < 0)
        return r;
    job->rep.value = (uint64_t)r;
    return 0;
}
