/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX message queues. The queue itself (mqueue.c) hands a message straight to who waits for one,
 * and takes that of a waiting sender when room comes; names, permissions and open files are those of
 * a file system in memory of its own (fs/mqueue.c), of which there is one.
 */
#pragma once

#include "abi/ipc.h"
#include "abi/signal.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/wait.h"

struct file;
struct poll_table;
struct tgroup;
struct inode;
struct super;

#define MQ_PRIO_LIMIT 32768

struct mq_msg {
    struct list link;
    unsigned prio;
    size_t len;
    char text[];
};

struct mqueue {
    struct lock lock;               /* LOCK_OBJECT */
    struct waitqueue wq;            /* poll */
    struct list messages;           /* highest priority first, then oldest */
    struct list receivers, senders; /* mq_wait.link, first come first */
    uint64_t count, bytes;
    int64_t maxmsg, msgsize;     /* [I] */
    struct tgroup *notify_owner; /* a reference; NULL: nobody */
    struct lx_sigevent notify;
    struct mq_cookie *cookie; /* SIGEV_THREAD: else NULL */
    struct list all;          /* fs/mqueue.c */
    uint32_t owner_uid;       /* [I] whose RLIMIT_MSGQUEUE it counts against */
    uint64_t charged;         /* [I] */
};

/*
 * SIGEV_THREAD: what goes to the netlink socket on which a thread of libc's waits. It is sent without
 * the queue's lock.
 */
#define MQ_COOKIE 32

struct mq_cookie {
    struct file *to; /* a reference */
    uint8_t bytes[MQ_COOKIE];
};

struct mq_wait { /* a send or receive call: the record's scratch */
    struct list link;
    struct waitqueue wq;
    struct mqueue *q;   /* NULL: not begun. The record's file keeps it. */
    struct mq_msg *msg; /* to send, or received */
    bool queued, done;
};

struct mqueue *mqueue_new(const struct lx_mq_attr *attr);
void mqueue_free(struct mqueue *q);

/* w->msg is sent: 0, -EAGAIN (nonblock), -ETIMEDOUT, -ERESTARTSYS, -EWAITING. */
long mqueue_send(struct task *t, struct mqueue *q, struct mq_wait *w, bool nonblock);
/* 0: w->msg is the message; freed with w. */
long mqueue_receive(struct task *t, struct mqueue *q, struct mq_wait *w, bool nonblock);
void mq_wait_free(void *scratch);

/* ev NULL: t's process is told no more. cookie of SIGEV_THREAD (kzalloc'd) or NULL: taken over, when
 * 0 is returned. 0, -EBUSY. */
int mqueue_notify(struct task *t, struct mqueue *q, const struct lx_sigevent *ev,
                  struct mq_cookie *cookie);
/* A descriptor of it was closed by g. */
void mqueue_closed(struct mqueue *q, struct tgroup *g);
uint32_t mqueue_poll(struct mqueue *q, struct poll_table *pt);
void mqueue_attr(struct mqueue *q, struct lx_mq_attr *ret);
/* What reading its file says. */
size_t mqueue_text(struct mqueue *q, char *buf, size_t cap);

/* ---- fs/mqueue.c ---- */

/* The file system, one more reference; NULL: no memory. */
struct super *mqueue_fs(void);
/* mq_open: attr NULL: the defaults. ERR_PTR; -EWAITING perhaps. */
struct file *mqueue_open(struct task *t, const char *name, unsigned flags, uint32_t mode,
                         const struct lx_mq_attr *attr);
/* Its inode goes. */
void mqueue_evict(struct mqueue *q);
int mqueue_unlink(struct task *t, const char *name);
/* The queue behind an open file; NULL: it is none. */
struct mqueue *mqueue_of(const struct file *f);
