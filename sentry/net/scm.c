/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ancillary data: made from what sendmsg brings, given out by recvmsg. Freeing one may close the
 * last reference to a socket whose queue holds more of them; scm_free keeps that flat.
 */
#include "sentry/net/scm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/ipc/pidfd.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/net/sock.h"
#include "sentry/vfs/file.h"

#define CAP_SETGID_ 6
#define CAP_SETUID_ 7
#define CAP_SYS_ADMIN_ 21
#define SCM_PIDFD_ 4
#define OVERFLOW_ID 65534

struct scm *scm_new(void)
{
    return kzalloc(sizeof(struct scm));
}

/* ---- freeing ---- */

static __thread struct scm *dying; /* waits for the scm_free further up this stack; by files[0] */
static __thread bool draining;

static void scm_free_one(struct scm *s)
{
    for (unsigned i = 0; i < s->nfiles; i++)
        file_put(s->files[i]);
    if (s->group)
        tgroup_put(s->group);
    kfree(s->files);
    kfree(s);
}

/*
 * Closing a file may release a socket, which frees the messages in its queue, which closes files:
 * as deep as a guest likes. So an inner call only puts its scm on the outer one's list.
 */
void scm_free(struct scm *s)
{
    if (!s)
        return;
    scm_leave(s);
    s->fl = (struct inflight *)(void *)dying; /* the member is free now: it chains the list */
    dying = s;
    if (draining)
        return;
    draining = true;
    while (dying) {
        s = dying;
        dying = (struct scm *)(void *)s->fl;
        scm_free_one(s);
    }
    draining = false;
}

/* ---- making ---- */

struct scm *scm_dup(const struct scm *s)
{
    struct scm *d = scm_new();

    if (!d)
        return NULL;
    if (s->nfiles) {
        d->files = kzalloc(s->nfiles * sizeof *d->files);
        if (!d->files) {
            kfree(d);
            return NULL;
        }
        for (unsigned i = 0; i < s->nfiles; i++)
            d->files[i] = file_ref(s->files[i]);
        d->nfiles = s->nfiles;
    }
    d->has_cred = s->has_cred;
    d->pid = s->pid;
    d->uid = s->uid;
    d->gid = s->gid;
    d->group = s->group ? tgroup_ref(s->group) : NULL;
    return d;
}

int scm_add_fds(struct task *t, struct scm *s, const int *fds, unsigned n)
{
    struct file **more;

    if (!n)
        return 0;
    if (s->nfiles + n > SCM_MAX_FD)
        return -EINVAL;
    more = krealloc(s->files, (s->nfiles + n) * sizeof *more);
    if (!more)
        return -ENOMEM;
    s->files = more;
    for (unsigned i = 0; i < n; i++) {
        struct file *f = fd_get_path(t, fds[i]);

        if (!f)
            return -EBADF;
        if (f->mode & FMODE_NOT_SENT) {
            file_put(f);
            return -EINVAL;
        }
        s->files[s->nfiles++] = f;
    }
    return 0;
}

static void set_group(struct scm *s, struct tgroup *g)
{
    if (s->group)
        tgroup_put(s->group);
    s->group = g;
}

int scm_set_cred(struct task *t, struct scm *s, pid_t pid, uid_t uid, gid_t gid)
{
    const struct cred *c = t->cred;
    struct tgroup *g;

    if (pid != t->group->pid && !cred_capable(c, CAP_SYS_ADMIN_))
        return -EPERM;
    if (uid != c->uid && uid != c->euid && uid != c->suid && !cred_capable(c, CAP_SETUID_))
        return -EPERM;
    if (gid != c->gid && gid != c->egid && gid != c->sgid && !cred_capable(c, CAP_SETGID_))
        return -EPERM;
    lock(&kernel.tasks_lock);
    g = tgroup_find_locked(t->group->pidns, pid);
    if (g)
        tgroup_ref(g);
    unlock(&kernel.tasks_lock);
    if (!g)
        return -ESRCH;
    set_group(s, g);
    s->has_cred = true;
    s->pid = pid;
    s->uid = uid;
    s->gid = gid;
    return 0;
}

void scm_own_cred(struct task *t, struct scm *s)
{
    set_group(s, tgroup_ref(t->group));
    s->has_cred = true;
    s->pid = t->group->pid;
    s->uid = t->cred->uid;
    s->gid = t->cred->gid;
}

bool scm_same_cred(const struct scm *a, const struct scm *b)
{
    bool ha = a && a->has_cred, hb = b && b->has_cred;

    if (!ha || !hb)
        return ha == hb;
    return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* ---- giving out ---- */

struct ctl_out {
    struct task *t;
    gaddr_t at;
    size_t room, used;
    int *msg_flags;
    int error;
};

/* One message, cut to the room there is. */
static void put_cmsg(struct ctl_out *o, int level, int type, const void *data, size_t n)
{
    uint8_t hdr_data[256];
    struct cmsghdr h = { .cmsg_len = CMSG_LEN(n), .cmsg_level = level, .cmsg_type = type };
    size_t space;

    if (o->room < sizeof h) {
        *o->msg_flags |= MSG_CTRUNC;
        return;
    }
    if (o->room < CMSG_LEN(n)) {
        *o->msg_flags |= MSG_CTRUNC;
        h.cmsg_len = o->room;
    }
    if (CMSG_LEN(n) > sizeof hdr_data)
        return;
    memcpy(hdr_data, &h, sizeof h);
    memcpy(hdr_data + sizeof h, data, n);
    if (copy_out(o->t, o->at, hdr_data, h.cmsg_len) < 0) {
        o->error = -EFAULT;
        return;
    }
    space = MIN(CMSG_SPACE(n), o->room);
    o->at += space;
    o->room -= space;
    o->used += space;
}

static void put_fds(struct ctl_out *o, struct scm *s, bool cloexec)
{
    size_t hdr = sizeof(struct cmsghdr), fit = o->room < hdr ? 0 : (o->room - hdr) / sizeof(int);
    unsigned n = (unsigned)MIN(fit, (size_t)s->nfiles), i;
    struct cmsghdr h = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    size_t space;

    for (i = 0; i < n; i++) {
        int fd = fd_install(o->t, file_ref(s->files[i]), 0, cloexec);

        if (fd < 0)
            break;
        if (copy_out(o->t, o->at + sizeof h + i * sizeof fd, &fd, sizeof fd) < 0) {
            fd_close(o->t, fd);
            break;
        }
    }
    if (i < s->nfiles)
        *o->msg_flags |= MSG_CTRUNC;
    if (!i)
        return;
    h.cmsg_len = CMSG_LEN(i * sizeof(int));
    if (copy_out(o->t, o->at, &h, sizeof h) < 0) {
        o->error = -EFAULT;
        return;
    }
    space = MIN(CMSG_SPACE(i * sizeof(int)), o->room);
    o->at += space;
    o->room -= space;
    o->used += space;
}

static void put_ready(struct ctl_out *o, const struct recv_req *r)
{
    for (unsigned at = 0; at < r->ctl_len;) {
        const struct cmsghdr *c = (const void *)(r->ctl + at);

        put_cmsg(o, c->cmsg_level, c->cmsg_type, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        at += (unsigned)CMSG_ALIGN(c->cmsg_len);
    }
}

static void put_pidfd(struct ctl_out *o, struct scm *s)
{
    int fd = -ESRCH;

    if (o->room < CMSG_LEN(sizeof fd)) {
        *o->msg_flags |= MSG_CTRUNC;
        return;
    }
    if (s->group) {
        struct file *f = pidfd_new(s->group, 0);

        fd = IS_ERR(f) ? PTR_ERR(f) : fd_install(o->t, f, 0, true);
    }
    put_cmsg(o, SOL_SOCKET, SCM_PIDFD_, &fd, sizeof fd);
}

size_t scm_deliver(struct task *t, struct sock *sk, struct recv_req *r, gaddr_t ctl, size_t room)
{
    struct ctl_out o = { .t = t, .at = ctl, .room = ctl ? room : 0, .msg_flags = &r->msg_flags };
    struct {
        pid_t pid;
        uid_t uid;
        gid_t gid;
    } cred = { 0, OVERFLOW_ID, OVERFLOW_ID };

    put_ready(&o, r);
    if (sk->passcred && sk->family == AF_UNIX) {
        if (r->scm && r->scm->has_cred) {
            cred.pid = r->scm->group ? pid_seen(t, r->scm->group->pidns->id, r->scm->pid)
                                     : r->scm->pid;
            cred.uid = r->scm->uid;
            cred.gid = r->scm->gid;
        }
        put_cmsg(&o, SOL_SOCKET, SCM_CREDENTIALS, &cred, sizeof cred);
    }
    if (r->scm && r->scm->nfiles)
        put_fds(&o, r->scm, (r->flags & MSG_CMSG_CLOEXEC) != 0);
    if (sk->passpidfd && sk->family == AF_UNIX && r->scm && r->scm->has_cred)
        put_pidfd(&o, r->scm);
    return o.used;
}
