/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V message queues. Who sends hands its message to the first waiting receiver that wants it;
 * only what nobody wants is queued. Receivers wait on a list with what they want, senders on the
 * queue's own wait queue for room.
 */
#pragma once

#include "sentry/ipc/sysv/ids.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/wait.h"

struct sysv_msg {
    struct list link;
    long type;
    size_t len;
    char text[];
};

struct msg_queue {
    struct ipc_obj obj;
    int64_t stime, rtime, ctime;
    uint64_t bytes, count, bytes_max;
    int lspid, lrpid;
    struct list messages;
    struct list receivers; /* msg_receiver.link */
    struct waitqueue room;
};

enum msg_want { MSG_WANT_ANY, MSG_WANT_TYPE, MSG_WANT_OTHER, MSG_WANT_UP_TO, MSG_WANT_NTH };

struct msg_receiver { /* a msgrcv call: the record's scratch */
    struct list link;
    struct waitqueue wq;
    struct msg_queue *queue; /* a reference; NULL: not begun */
    bool queued;
    int pid;
    enum msg_want want;
    long type; /* or the number of MSG_COPY */
    size_t room;
    bool cut; /* MSG_NOERROR */
    int error;
    struct sysv_msg *got; /* NULL: none yet */
};

struct msg_sender {          /* a msgsnd call: the record's scratch */
    struct msg_queue *queue; /* a reference; NULL: not begun */
    struct sysv_msg *msg;    /* NULL: sent */
};

extern struct ipc_ids msg_ids;
extern uint64_t msg_count, msg_bytes; /* in all queues; msg_ids.lock */

/* kmalloc'd, uninitialized text. */
struct sysv_msg *sysv_msg_new(size_t len);
long msg_send(struct task *t, struct msg_sender *s, int id, bool nonblock);
void msg_sender_free(void *scratch);
/* 0: r->got is the message, the caller's (the record frees it). */
long msg_receive(struct task *t, struct msg_receiver *r, int id, bool nonblock);
void msg_receiver_free(void *scratch);
/* The queue is removed: who waits gets EIDRM. */
void msg_remove_locked(struct msg_queue *q);
/* Its owner or limits were changed: who waits looks again. */
void msg_look_again_locked(struct msg_queue *q);
