/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of fanotify, and what is read from and written to them. */
#include "sentry/fs/fanotify.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/fanotify_priv.h"
#include "sentry/ipc/pidfd.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/mount.h"

struct lock fan_lock;
struct list fan_groups = LIST_INIT(fan_groups);
struct waitqueue fan_answers;
_Atomic unsigned fan_id_groups;

__attribute__((constructor)) static void fan_init(void)
{
    lock_init(&fan_lock, LOCK_OBJECT);
    wq_init(&fan_answers);
}

/* ---- reading ---- */

struct out { /* one event as it is read */
    uint8_t bytes[1024];
    size_t n;
    struct file *files[2]; /* opened for it, and their numbers */
    int fds[2];
    unsigned nfiles;
};

static void put(struct out *o, const void *p, size_t n)
{
    memcpy(o->bytes + o->n, p, n);
    o->n += n;
}

static void put_id(struct out *o, unsigned type, uint64_t fsid, const struct fan_id *id,
                   const char *name)
{
    size_t start = o->n, len = name ? strlen(name) + 1 : 0;
    size_t all = (sizeof(struct lx_fan_info_fid) + id->id.len + len + 3) & ~3ul;
    struct lx_fan_info_fid h = { .hdr = { .info_type = (uint8_t)type, .len = (uint16_t)all },
                                 .fsid = { (int32_t)fsid, 0 },
                                 .handle_bytes = id->id.len,
                                 .handle_type = id->id.type };

    put(o, &h, sizeof h);
    put(o, id->id.bytes, id->id.len);
    if (name)
        put(o, name, len);
    memset(o->bytes + o->n, 0, start + all - o->n);
    o->n = start + all;
}

static void put_ids(struct out *o, const struct fan_group *g, const struct fan_event *e)
{
    const char *name = NULL;
    unsigned type = LX_FAN_INFO_FID;

    if (e->dir.known)
        put_id(o,
               e->mask & LX_FS_RENAME ? LX_FAN_INFO_OLD_DFID_NAME
               : e->name              ? LX_FAN_INFO_DFID_NAME
                                      : LX_FAN_INFO_DFID,
               e->fsid, &e->dir, e->name);
    if (e->ndir.known)
        put_id(o, LX_FAN_INFO_NEW_DFID_NAME, e->fsid, &e->ndir, e->nname);
    if (!e->object.known)
        return;
    if ((g->flags & LX_FAN_FID_BITS) != LX_FAN_REPORT_FID && !e->dir.known && !e->ndir.known) {
        if (g->flags & LX_FAN_REPORT_NAME && e->mask & LX_FAN_ONDIR) {
            type = LX_FAN_INFO_DFID_NAME;
            name = ".";
        } else if (e->mask & (FAN_DIRENT_EVENTS | LX_FAN_ONDIR)) {
            type = LX_FAN_INFO_DFID;
        }
    }
    put_id(o, type, e->fsid, &e->object, name);
}

static int install(struct task *t, struct out *o, struct file *f, bool cloexec)
{
    int fd = fd_install(t, file_ref(f), 0, cloexec);

    if (fd < 0)
        return fd;
    o->files[o->nfiles] = f;
    o->fds[o->nfiles++] = fd;
    return fd;
}

/* The object of an event, for the reader: itself nothing that anybody is told of. */
static int open_object(struct task *t, struct fan_group *g, const struct fan_event *e,
                       struct out *o)
{
    struct file *f;
    int fd;

    if (!e->path.mnt)
        return LX_FAN_NOFD;
    fd = g->event_flags & (O_WRONLY | O_RDWR) ? mnt_want_write(&e->path) : 0;
    if (fd < 0)
        return fd;
    f = vfs_open_inode(t, &e->path, (g->event_flags & ~(unsigned)O_CLOEXEC) | LX_O_QUIET);
    if (IS_ERR(f))
        return PTR_ERR(f);
    fd = install(t, o, f, g->event_flags & O_CLOEXEC);
    if (fd < 0)
        file_put(f);
    return fd;
}

static void put_pidfd(struct task *t, struct out *o, const struct fan_event *e)
{
    struct lx_fan_info_pidfd rec = { .hdr = { .info_type = LX_FAN_INFO_PIDFD, .len = sizeof rec },
                                     .pidfd = LX_FAN_NOPIDFD };
    struct file *f = e->pid ? pidfd_open_pid(t, e->pid, 0) : ERR_PTR(-ESRCH);

    if (!IS_ERR(f)) {
        rec.pidfd = install(t, o, f, /* cloexec= */ true);
        if (rec.pidfd < 0) {
            file_put(f);
            rec.pidfd = LX_FAN_EPIDFD;
        }
    }
    put(o, &rec, sizeof rec);
}

static int make(struct task *t, struct fan_group *g, struct fan_event *e, struct out *o)
{
    struct lx_fan_metadata m = { .event_len = (uint32_t)fan_event_len(g, e),
                                 .vers = LX_FAN_METADATA_VERSION,
                                 .metadata_len = sizeof m,
                                 .mask = e->mask,
                                 .fd = LX_FAN_NOFD,
                                 .pid = e->pid };

    if (g->unprivileged && e->pid != t->group->pid)
        m.pid = 0;
    if (!(e->mask & LX_IN_Q_OVERFLOW)) {
        m.fd = open_object(t, g, e, o);
        if (m.fd < LX_FAN_NOFD)
            return m.fd;
    }
    put(o, &m, sizeof m);
    if (e->mask & LX_IN_Q_OVERFLOW)
        return 0;
    put_ids(o, g, e);
    if (g->flags & LX_FAN_REPORT_PIDFD)
        put_pidfd(t, o, e);
    return 0;
}

/* The reader has it (or will not): numbers that nobody knows of are closed again. */
static void out_done(struct task *t, struct out *o, bool failed)
{
    for (unsigned i = 0; i < o->nfiles; i++) {
        if (failed)
            (void)fd_close(t, o->fds[i]);
        file_put(o->files[i]);
    }
}

/* Takes the first event off the queue; NULL: none. -EINVAL: it does not fit. */
static struct fan_event *take_locked(struct fan_group *g, size_t room)
{
    struct fan_event *e;

    if (list_empty(&g->events))
        return NULL;
    e = list_first(&g->events, struct fan_event, link);
    if (fan_event_len(g, e) > room)
        return ERR_PTR(-EINVAL);
    list_del(&e->link);
    g->nevents--;
    g->bytes -= fan_event_len(g, e);
    if (e->mask & LX_IN_Q_OVERFLOW)
        g->overflowed = false;
    return e;
}

/*
 * A permission event that was taken: it is the asking call's, which may end at any time. What is
 * needed of it is copied, and it is found again by its number. NULL: the call is no more.
 */
static struct fan_event *take_copy_locked(struct fan_group *g, struct fan_event *e)
{
    struct fan_event *c = kzalloc(sizeof *c);

    if (!c) {
        fan_answer_locked(e, /* allow= */ false);
        return NULL;
    }
    *c = *e;
    list_init(&c->link);
    c->path = path_ref(e->path);
    e->read = true;
    list_add_tail(&g->asked, &e->link);
    return c;
}

/* e was given to the reader, as fd; or could not be. The original is the one whose copy it was. */
static void asked(struct fan_group *g, const struct fan_event *original, int fd)
{
    struct fan_event *e;

    LOCK_SCOPE(&fan_lock);
    list_for_each(e, &g->asked, link) {
        if (e != original || e->fd >= 0)
            continue;
        if (fd >= 0)
            e->fd = fd;
        else
            fan_answer_locked(e, /* allow= */ false);
        return;
    }
}

/* One event into it. Bytes, or an error; -EAGAIN: there is none. */
static ssize_t read_one(struct task *t, struct fan_group *g, struct iter *it)
{
    struct fan_event *e, *original = NULL;
    struct out *o = kzalloc(sizeof *o);
    ssize_t r;

    if (!o)
        return -ENOMEM;
    lock(&fan_lock);
    e = take_locked(g, it->left);
    if (e && !IS_ERR(e) && e->perm) {
        original = e;
        e = take_copy_locked(g, e);
    }
    unlock(&fan_lock);
    if (!e || IS_ERR(e)) {
        kfree(o);
        return e ? PTR_ERR(e) : original ? -ENOMEM : -EAGAIN;
    }
    r = make(t, g, e, o);
    if (r == 0 && original)
        asked(g, original, o->fds[0]); /* before the reader knows, who may answer at once */
    if (r == 0 && iter_put(it, o->bytes, o->n) != (ssize_t)o->n)
        r = -EFAULT;
    if (r < 0 && original)
        asked(g, original, -1);
    out_done(t, o, r < 0);
    if (r == 0)
        r = (ssize_t)o->n;
    kfree(o);
    fan_event_free(e);
    return r;
}

static ssize_t fan_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct fan_group *g = f->priv;
    ssize_t done = 0, r;

    (void)pos;
    for (;;) {
        while ((r = read_one(t, g, it)) > 0)
            done += r;
        if (done && r != -EFAULT)
            return done;
        if (r != -EAGAIN)
            return r;
        LOCK_SCOPE(&fan_lock);
        if (list_empty(&g->events)) /* else one has come just now */
            return file_nonblock(f) ? -EAGAIN : task_wait(t, &g->wq, 0);
    }
}

/* ---- answers ---- */

static ssize_t fan_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct fan_group *g = f->priv;
    struct lx_fan_response a;
    struct fan_event *e;
    size_t n = it->left;

    (void)t, (void)pos;
    if (n < sizeof a)
        return -EINVAL;
    if (iter_get(it, &a, sizeof a) != sizeof a)
        return -EFAULT;
    if (a.fd < 0 || a.response & ~(LX_FAN_ALLOW | LX_FAN_DENY | LX_FAN_AUDIT | LX_FAN_INFO))
        return -EINVAL;
    switch (a.response & (LX_FAN_ALLOW | LX_FAN_DENY)) {
    case LX_FAN_ALLOW:
    case LX_FAN_DENY:
        break;
    default:
        return -EINVAL;
    }
    if (a.response & LX_FAN_AUDIT && !(g->flags & LX_FAN_ENABLE_AUDIT))
        return -EINVAL;
    LOCK_SCOPE(&fan_lock);
    list_for_each(e, &g->asked, link) {
        if (e->fd != a.fd)
            continue;
        fan_answer_locked(e, a.response & LX_FAN_ALLOW);
        return a.response & LX_FAN_INFO ? (ssize_t)n : (ssize_t)sizeof a;
    }
    return -ENOENT;
}

/* ---- the rest ---- */

static uint32_t fan_poll(struct file *f, struct poll_table *pt)
{
    struct fan_group *g = f->priv;

    poll_wait(pt, &g->wq);
    LOCK_SCOPE(&fan_lock);
    return list_empty(&g->events) ? 0 : POLLIN | POLLRDNORM;
}

static long fan_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    struct fan_group *g = f->priv;
    int n;

    if (cmd != FIONREAD)
        return -ENOIOCTLCMD;
    lock(&fan_lock);
    n = (int)g->bytes;
    unlock(&fan_lock);
    return put_guest(t, arg, &n);
}

static int mark_line(const struct fan_mark *m, char *buf, size_t cap)
{
    unsigned mflags = (m->survives ? LX_FAN_MARK_IGNORED_SURV_MODIFY : 0) |
                      (m->ignores ? LX_FAN_MARK_IGNORE : 0) |
                      (m->evictable ? LX_FAN_MARK_EVICTABLE : 0);
    const struct inode *i = m->object;

    if (m->type == MARK_MOUNT)
        return snprintf(buf, cap, "fanotify mnt_id:%x mflags:%x mask:%x ignored_mask:%x\n",
                        ((const struct mount *)m->object)->id, mflags, m->mask, m->ignored);
    if (m->type == MARK_SUPER)
        return snprintf(buf, cap, "fanotify sdev:%lx mflags:%x mask:%x ignored_mask:%x\n",
                        (long)((const struct super *)m->object)->dev, mflags, m->mask, m->ignored);
    return snprintf(buf, cap, "fanotify ino:%lx sdev:%lx mflags:%x mask:%x ignored_mask:%x \n",
                    (long)i->ino, (long)i->sb->dev, mflags, m->mask, m->ignored);
}

static size_t fan_fdinfo(struct file *f, char *buf, size_t cap)
{
    struct fan_group *g = f->priv;
    struct fan_mark *m;
    size_t len;
    int n = snprintf(buf, cap, "fanotify flags:%x event-flags:%x\n", g->flags, g->event_flags);

    len = n > 0 && (size_t)n < cap ? (size_t)n : 0;
    LOCK_SCOPE(&fan_lock);
    list_for_each(m, &g->marks, group_link) {
        n = mark_line(m, buf + len, cap - len);
        if (n < 0 || (size_t)n >= cap - len)
            break;
        len += (size_t)n;
    }
    return len;
}

static void fan_release(struct file *f)
{
    struct list gone = LIST_INIT(gone);
    struct fan_group *g = f->priv;
    struct fan_event *e, *tmp;

    fan_marks_end(g, (1u << MARK_TYPES) - 1);
    if (g->flags & LX_FAN_FID_BITS)
        atomic_fetch_sub(&fan_id_groups, 1);
    lock(&fan_lock);
    list_del(&g->link);
    list_splice_tail(&g->events, &g->asked);
    list_for_each_safe(e, tmp, &g->events, link) {
        if (e->perm) {
            e->group = NULL;
            fan_answer_locked(e, /* allow= */ true);
        } else {
            list_del(&e->link);
            list_add_tail(&gone, &e->link);
        }
    }
    unlock(&fan_lock);
    list_for_each_safe(e, tmp, &gone, link)
        fan_event_free(e);
    wq_done(&g->wq);
    kfree(g);
}

static const struct file_ops fan_ops = {
    .name = "fanotify",
    .read = fan_read,
    .write = fan_write,
    .poll = fan_poll,
    .ioctl = fan_ioctl,
    .fdinfo = fan_fdinfo,
    .release = fan_release,
};

bool file_is_fanotify(const struct file *f)
{
    return f->ops == &fan_ops;
}

unsigned fanotify_flags(const struct file *f)
{
    return ((const struct fan_group *)f->priv)->flags;
}

bool fanotify_unprivileged(const struct file *f)
{
    return ((const struct fan_group *)f->priv)->unprivileged;
}

static unsigned priority(const struct fan_group *g)
{
    return (g->flags & LX_FAN_CLASSES) >> 2;
}

static int enter_group(struct fan_group *g)
{
    static uint64_t last_id;
    struct fan_group *o;
    unsigned n = 0;

    LOCK_SCOPE(&fan_lock);
    list_for_each(o, &fan_groups, link)
        n += o->uid == g->uid;
    if (n >= FANOTIFY_MAX_GROUPS)
        return -EMFILE;
    g->id = ++last_id;
    list_for_each(o, &fan_groups, link)
        if (priority(o) < priority(g))
            break;
    list_add_tail(&o->link, &g->link); /* before the first that is asked later, or at the end */
    return 0;
}

struct file *fanotify_new(struct task *t, unsigned flags, unsigned event_flags, bool unprivileged)
{
    struct fan_group *g = kzalloc(sizeof *g);
    struct file *f;
    int r;

    if (!g)
        return ERR_PTR(-ENOMEM);
    *g = (struct fan_group){ .uid = t->cred->uid,
                             .flags = flags,
                             .event_flags = event_flags,
                             .unprivileged = unprivileged };
    list_init(&g->link);
    list_init(&g->marks);
    list_init(&g->events);
    list_init(&g->asked);
    wq_init(&g->wq);
    atomic_store(&fsnotify_groups, fan_tell);
    atomic_store(&fsnotify_asks, fan_ask);
    r = enter_group(g);
    f = r < 0 ? ERR_PTR(r)
              : anon_file_new("[fanotify]", &fan_ops, g,
                              O_RDWR | (flags & LX_FAN_NONBLOCK ? O_NONBLOCK : 0));
    if (!IS_ERR(f)) {
        if (flags & LX_FAN_FID_BITS)
            atomic_fetch_add(&fan_id_groups, 1);
        return f;
    }
    lock(&fan_lock);
    list_del(&g->link);
    unlock(&fan_lock);
    wq_done(&g->wq);
    kfree(g);
    return f;
}
