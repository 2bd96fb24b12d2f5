/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets in the queues of sockets. A Unix socket whose every reference lies in a queue can still
 * be reached if somebody can reach that queue; where only a ring of such queues is left, nobody
 * can, and no reference count tells. So what lies in queues is kept here as a graph: a socket
 * counts the references of it that are in flight, and lists the messages in its queue that carry
 * sockets.
 *
 *   live: has a reference that is not in flight, or lies in the queue of a live socket.
 *   The rest is garbage, and its queues are emptied.
 *
 * All edges change under inflight_lock, and a message's edges go before its files are handed out.
 * So while the lock is held, a socket that has no reference beyond those in flight cannot get one
 * but through the queue of a live socket: what is found to be garbage stays garbage.
 *
 * Each user may have as many files in flight as the limit on open files (ETOOMANYREFS).
 */
#include <errno.h>
#include <pthread.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/net/scm.h"
#include "sentry/net/unix.h"

#define CAP_SYS_RESOURCE_ 24
#define CAP_SYS_ADMIN_ 21
#define NUSERS 64

struct inflight {
    struct list link; /* queue->fl_queue */
    struct list all;  /* fl.msgs */
    struct usock *queue;
    struct scm *scm;
    uid_t uid;
};

static struct {
    pthread_once_t once;
    struct lock lock;       /* LOCK_OBJECT: inflight_lock */
    struct list socks;      /* usock.fl_link: those with inflight > 0 */
    struct list msgs;       /* inflight.all */
    unsigned nsocks;        /* sockets in flight */
    unsigned released;      /* unix sockets since the last collection */
    unsigned users[NUSERS]; /* files in flight by uid, hashed: a shared slot only binds sooner */
    bool collecting;
} fl = { .once = PTHREAD_ONCE_INIT };

static void fl_init(void)
{
    lock_init(&fl.lock, LOCK_OBJECT);
    list_init(&fl.socks);
    list_init(&fl.msgs);
}

static struct usock *file_unix(struct file *f)
{
    return file_is_sock(f) && file_sock(f)->family == AF_UNIX ? unix_sk(file_sock(f)) : NULL;
}

int scm_enter(struct task *t, struct scm *s, struct sock *queue)
{
    rlim_t max = task_rlimit(t, RLIMIT_NOFILE)->rlim_cur;
    struct inflight *e;
    unsigned *user = &fl.users[t->cred->uid % NUSERS];

    if (!s->nfiles)
        return 0;
    pthread_once(&fl.once, fl_init);
    e = kzalloc(sizeof *e);
    if (!e)
        return -ENOMEM;
    LOCK_SCOPE(&fl.lock);
    if (*user > max && !task_capable(t, CAP_SYS_RESOURCE_) && !task_capable(t, CAP_SYS_ADMIN_)) {
        kfree(e);
        return -ETOOMANYREFS;
    }
    *user += s->nfiles;
    e->queue = unix_sk(queue);
    e->uid = t->cred->uid;
    e->scm = s;
    list_add_tail(&e->queue->fl_queue, &e->link);
    list_add_tail(&fl.msgs, &e->all);
    s->fl = e;
    for (unsigned i = 0; i < s->nfiles; i++) {
        struct usock *u = file_unix(s->files[i]);

        if (u && u->inflight++ == 0) {
            list_add_tail(&fl.socks, &u->fl_link);
            fl.nsocks++;
        }
    }
    return 0;
}

void scm_leave(struct scm *s)
{
    if (!s->fl)
        return;
    LOCK_SCOPE(&fl.lock);
    fl.users[s->fl->uid % NUSERS] -= s->nfiles;
    list_del(&s->fl->link);
    list_del(&s->fl->all);
    kfree(s->fl);
    s->fl = NULL;
    for (unsigned i = 0; i < s->nfiles; i++) {
        struct usock *u = file_unix(s->files[i]);

        if (u && --u->inflight == 0) {
            list_del(&u->fl_link);
            fl.nsocks--;
        }
    }
}

void scm_embryo(struct sock *embryo, struct sock *listener)
{
    pthread_once(&fl.once, fl_init);
    LOCK_SCOPE(&fl.lock);
    unix_sk(embryo)->embryo_of = unix_sk(listener);
    list_add_tail(&unix_sk(listener)->embryos, &unix_sk(embryo)->embryo_link);
}

void scm_accepted(struct sock *embryo)
{
    LOCK_SCOPE(&fl.lock);
    unix_sk(embryo)->embryo_of = NULL;
    list_del(&unix_sk(embryo)->embryo_link);
}

/* ---- collecting ---- */

static bool held_outside(struct usock *u)
{
    return u->inflight == 0 || (unsigned)atomic_load(&u->sk.file.refs) > u->inflight;
}

/* What lies in u's queue can be reached; the sockets that were not known as such go on *work. */
static void mark_queue(struct usock *u, struct usock **work)
{
    struct inflight *e;

    list_for_each(e, &u->fl_queue, link) {
        for (unsigned i = 0; i < e->scm->nfiles; i++) {
            struct usock *v = file_unix(e->scm->files[i]);

            if (v && !v->fl_live) {
                v->fl_live = true;
                v->fl_next = *work;
                *work = v;
            }
        }
    }
}

/* References to all garbage, chained by fl_next. */
static struct usock *find_garbage(void)
{
    struct usock *work = NULL, *dead = NULL, *u, *m;
    struct inflight *e;

    list_for_each(u, &fl.socks, fl_link)
        u->fl_live = false;
    list_for_each(e, &fl.msgs, all) {
        u = e->queue->embryo_of ? e->queue->embryo_of : e->queue;
        if (held_outside(u))
            mark_queue(e->queue, &work);
    }
    while (work) {
        u = work;
        work = u->fl_next;
        mark_queue(u, &work);
        list_for_each(m, &u->embryos, embryo_link)
            mark_queue(m, &work);
    }
    list_for_each(u, &fl.socks, fl_link) {
        if (!u->fl_live && !held_outside(u)) {
            sock_ref(&u->sk);
            u->fl_next = dead;
            dead = u;
        }
    }
    return dead;
}

void inflight_collect(void)
{
    struct usock *dead = NULL;

    pthread_once(&fl.once, fl_init);
    lock(&fl.lock);
    if (!fl.collecting && fl.nsocks && ++fl.released > fl.nsocks / 8) {
        fl.released = 0;
        dead = find_garbage();
        fl.collecting = dead != NULL;
    }
    unlock(&fl.lock);
    if (!dead)
        return;
    while (dead) {
        struct usock *u = dead;

        dead = u->fl_next;
        unix_purge(u);
        sock_put(&u->sk);
    }
    lock(&fl.lock);
    fl.collecting = false;
    unlock(&fl.lock);
}
