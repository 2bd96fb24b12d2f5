/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ancillary data of AF_UNIX: descriptors and credentials on their way. Files that lie in a queue
 * are counted (inflight.c), so that cycles of sockets that nobody can reach are found and freed.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "abi/types.h"
#include "sentry/kernel/list.h"

struct task;
struct file;
struct sock;
struct recv_req;
struct tgroup;

#define SCM_MAX_FD 253

struct scm {
    unsigned nfiles;
    struct file **files; /* references */
    bool has_cred;
    pid_t pid;
    uid_t uid;
    gid_t gid;
    struct tgroup *group; /* reference, for SCM_PIDFD; may be NULL */
    struct inflight *fl;  /* while it lies in a queue */
};

struct scm *scm_new(void);
void scm_free(struct scm *s); /* NULL is fine; safe at any nesting of sockets in queues */
struct scm *scm_dup(const struct scm *s); /* for MSG_PEEK: more references; NULL */

/* Adds the descriptors of a SCM_RIGHTS message. 0, -EBADF, -EINVAL, -ENOMEM. */
int scm_add_fds(struct task *t, struct scm *s, const int *fds, unsigned n);
/* Credentials that the sender names itself, checked. 0, -EPERM, -ESRCH. */
int scm_set_cred(struct task *t, struct scm *s, pid_t pid, uid_t uid, gid_t gid);
/* The sender's own. */
void scm_own_cred(struct task *t, struct scm *s);
bool scm_same_cred(const struct scm *a, const struct scm *b);

/*
 * Hands r->scm over to the guest's control buffer at ctl (room bytes); bytes used. Sets MSG_CTRUNC
 * in r->msg_flags. No lock held.
 */
size_t scm_deliver(struct task *t, struct sock *sk, struct recv_req *r, gaddr_t ctl, size_t room);

/* inflight.c. queue: the socket in whose queue it comes to lie. 0, -ETOOMANYREFS, -ENOMEM. */
int scm_enter(struct task *t, struct scm *s, struct sock *queue);
void scm_leave(struct scm *s);
/* A socket that stands in a listener's accept queue is reached through the listener alone. */
void scm_embryo(struct sock *embryo, struct sock *listener);
void scm_accepted(struct sock *embryo);
/* Frees what only cycles hold. Called when a unix socket was released; no lock held. */
void inflight_collect(void);
