/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring: rings of requests and results that a program shares with us.
 *
 * A request is a call without a thread (kernel/async.h) that runs the handlers of the ordinary system
 * calls. What ends at once, ends in io_uring_enter; what must wait waits as a record, on whatever
 * queue the handler waits on, so nobody has to be found to carry it out later. Where a handler says
 * EAGAIN though the request may wait (O_NONBLOCK of a socket, a buffer that is picked late), the
 * request waits for the file's events and runs it again.
 *
 *   submit.c   entries to requests, chains, drains, the polling thread
 *   request.c  life of a request, linked timeouts, what comes after the end
 *   cq.c       results, what does not fit, waiting for them
 *   ops.c      the table of operations: rw.c, net.c, files.c, poll.c, timeout.c, cancel.c, ...
 *   advise.c   madvise, which the caller of io_uring_enter does
 *   rsrc.c     registered files and buffers; pbuf.c: provided buffers; register.c: the rest
 *
 * Locks: ring->submit (a task lock) is who takes entries off or registers; ring->lock (LOCK_OBJECT)
 * guards all else, and is never held over a handler. Letters: [I] immutable [s] submit [l] lock.
 * The pages of the rings are the guest's: only their indices that the guest owns are read, each once.
 */
#pragma once

#include "abi/uring.h"
#include "platform/platform.h"
#include "sentry/kernel/async.h"
#include "sentry/ipc/poll.h"
#include "sentry/mm/shpages.h"
#include "sentry/vfs/file.h"

struct uring;
struct ureq;

#define URING_MAX_ENTRIES 32768u
#define URING_MAX_CQ (2 * URING_MAX_ENTRIES)
#define URING_MAX_FILES (1u << 15)
#define URING_MAX_BUFFERS (1u << 14)
#define URING_RING_FDS 16
#define URING_BUCKETS 128

struct unode { /* a resource with a tag: of the table, and of each request that uses it */
    _Atomic int refs;
    struct uring *ring;
    uint64_t tag;
};

struct uring_file { /* a fixed file */
    struct file *file;
    struct unode *node; /* NULL: no tag */
};

struct uring_buffer { /* a fixed buffer */
    gaddr_t addr;
    uint64_t len;
    struct unode *node;
    bool used;
};

struct uring_files { /* [l] */
    struct uring_file *at;
    unsigned n, alloc_from, alloc_to, hint;
};

struct uring_restrict {
    uint64_t register_ops, sqe_ops;
    uint8_t flags_allowed, flags_required;
    bool registered; /* there are some, from the moment the ring is enabled */
};

struct uring {
    _Atomic int refs;
    unsigned flags;                  /* [I] LX_URING_* */
    unsigned sq_entries, cq_entries; /* [I] powers of two */
    struct shpages rings, sqes;
    struct lx_uring_rings *head; /* [I] in rings */
    uint8_t *cqes;               /* [I] in rings */
    uint32_t *array;             /* [I] in rings; NULL with NO_SQARRAY */
    bool on_guest;               /* [I] NO_MMAP: lies over the guest's own pages */
    struct tlock submit;
    uint32_t sq_head;             /* [s] */
    _Atomic bool disabled;        /* R_DISABLED and not yet enabled */
    pid_t issuer;                 /* [l] SINGLE_ISSUER: who may; 0: the first */
    _Atomic bool closed;          /* its file is gone */
    struct uring_restrict limit;  /* [s] */
    uint64_t submitted;           /* [s] requests so far */
    bool drain_next;              /* [s] the request behind a chain with a drain in it drains */
    struct cred *personality[16]; /* [l] references */
    bool drain_disabled;          /* [s] a result was left out: they cannot be counted */
    struct task *sqpoll;          /* [l] what takes entries off by itself; a reference */
    bool sq_kicked;               /* [l] it is to look again */
    struct waitqueue sqpoll_wq, sq_wq;

    struct lock lock;
    uint32_t cq_tail;       /* [l] */
    struct list overflow;   /* [l] results that found no room */
    unsigned noverflow;     /* [l] */
    struct list late;       /* [l] DEFER_TASKRUN: results that wait for io_uring_enter */
    unsigned nlate;         /* [l] */
    uint32_t dropped;       /* [l] results for which there was not even memory */
    bool told_dropped;      /* [l] */
    uint32_t cq_timeouts;   /* [l] results of timeouts */
    struct waitqueue cq_wq; /* who waits for results, polls of the ring */
    struct list inflight[URING_BUCKETS]; /* [l] ureq.link: requests that wait, by user_data */
    struct list timeouts;                /* [l] ureq.tlink: those that count results */
    struct list deferred;                /* [l] ureq.dlink: behind a drain */
    uint64_t finished;                   /* [l] requests that have ended */
    struct file *eventfd;                /* [l] */
    bool eventfd_async;                  /* [l] */
    struct uring_files files;            /* [l] */
    struct uring_buffer *bufs;           /* [l] */
    unsigned nbufs;                      /* [l] */
    struct list groups;                  /* [l] of provided buffers, pbuf.c */
    unsigned ngroups, max_workers[2];
    struct list advice;         /* [l] ureq.u.ad.link: madvise that waits for a thread to do it */
    struct waitqueue advice_wq; /* those requests */
};

/* What a task has registered, by index: task->uring. */
struct uring_task {
    struct file *rings[URING_RING_FDS];
};

/* ---- operations ---- */

enum {
    UOP_FILE = 1 << 0,   /* works on sqe.fd */
    UOP_SELECT = 1 << 1, /* may pick a buffer */
    UOP_PRIO = 1 << 2,   /* ioprio says something */
    UOP_NO_IOPOLL = 1 << 3,
};

struct uop {
    /* Checks the entry and reads what must be read at submission. 0 or an error, which is the result. */
    int (*prep)(struct ureq *q);
    /* As a handler, run until it has a result. q->file is in slot 0 of the record. */
    long (*issue)(struct ureq *q);
    void (*cleanup)(struct ureq *q); /* may be NULL */
    unsigned flags;
    uint32_t poll; /* events worth another try after EAGAIN; 0: EAGAIN is the result */
};

/* By number; NULL: there is no such operation here. */
const struct uop *uop_of(unsigned opcode);

struct uhook { /* a poll's entry on a queue of its file */
    struct wait_entry e;
    struct ureq *q;
    struct uhook *next;
};

struct ureq {
    struct task task; /* first */
    struct uring *ring;
    const struct uop *op;
    struct lx_sqe sqe;
    struct list link, tlink, dlink; /* ring->lock */
    struct ureq *next;              /* the rest of its chain, which it owns */
    struct ureq *timeout;           /* [l] its linked timeout */
    struct ureq *target;            /* of a linked timeout: a reference */
    uint64_t seq;                   /* deferred: this many must have ended */
    struct file *file;
    struct unode *nodes[2]; /* of its file, of its buffer */
    struct poll_item poll;
    long early;        /* result found in submission; 0: none */
    uint64_t extra[2]; /* of the result, with CQE32 */
    uint32_t cflags;
    unsigned tries;
    bool polling, issued, nowait, inline_run, skip_links, fail, has_buffer, ended, started;
    bool fine; /* its error breaks no chain */
    bool no_cqe;
    struct {
        gaddr_t addr;
        uint32_t len;
        uint16_t bid;
        struct upbuf *legacy; /* of a list: to be given back */
    } buf;
    union {
        struct {
            struct seg *segs;
            unsigned nsegs;
            gaddr_t addr;
            size_t len;
        } rw;
        struct {
            uint32_t events;
            struct uhook *hooks;
            _Atomic unsigned wakes;
            _Atomic bool looped, off;
            unsigned seen;
            bool multi, armed;
        } pl;
        struct {
            ktime_t when, period;
            uint64_t target;
            unsigned repeats;
            bool multi, fired, set;
        } tm;
        struct {
            gaddr_t name, control;
            uint32_t namelen, controllen;
            bool last;
        } msg;
        struct {
            loff_t in, out;
            bool has_in, has_out, started;
        } sp;
        struct {
            unsigned done;
        } up;
        struct {
            struct list link; /* [l] ring->advice */
            long ret;         /* [l] */
            bool queued, done;
        } ad;
    } u;
};

static inline struct ureq *ureq_of(struct task *t)
{
    return container_of(t, struct ureq, task);
}

/* ---- ring.c ---- */
struct uring *uring_of(struct file *f); /* NULL: not a ring */
void uring_put(struct uring *r);
long uring_setup(struct task *t, unsigned entries, gaddr_t params);
/* The ring behind a number, or an index of t's own; a file in the record's slot 0. ERR_PTR. */
struct uring *uring_call(struct task *t, unsigned fd, bool index);

/* ---- submit.c ---- */
/* Takes off and starts at most n entries; who calls holds ring->submit. How many, or -errno. */
long uring_submit(struct task *t, struct uring *r, unsigned n);
/* Starts what a drain held back and does not any more; without locks. */
void uring_undefer(struct uring *r);
int uring_sqpoll_start(struct task *t, struct uring *r);
void uring_sqpoll_kick(struct uring *r);
void uring_sqpoll_stop(struct uring *r);
/* Waits for room in the ring of entries. 0, -EOWNERDEAD, or as task_wait. */
int uring_sq_wait(struct task *t, struct uring *r);

/* ---- request.c ---- */
struct ureq *ureq_new(struct task *t, struct uring *r);
/* Runs a chain from its head on; in turn, where this thread is at it already. */
void ureq_start(struct ureq *q);
void ureq_fail_chain(struct ureq *q, bool quiet);
/* Ends one that was not started. */
void ureq_fail(struct ureq *q, long res);
/* One of several results (F_MORE). False: there is no room, the request is to end. */
bool ureq_more(struct ureq *q, long res, uint32_t cflags);
/* The first of exactly two results. */
void ureq_first(struct ureq *q, long res);
/* The record from the beginning, for another try; what the op keeps in q stays. */
void ureq_again(struct ureq *q);
/* Waits for the request's file: 1 when one of the events holds, else as task_wait. */
long ureq_wait_file(struct ureq *q, uint32_t events);
/* A result below this breaks a chain, beside errors. */
void ureq_expect(struct ureq *q, long res, long want);
/* The file behind sqe.fd, or fixed; a reference. NULL. */
struct file *ureq_file(struct ureq *q, int fd, bool fixed);

/* ---- cq.c ---- */
struct ucqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
    uint64_t extra[2];
};
/* may_overflow: where there is no room, keep it until there is. False: it is lost, or not posted. */
bool cq_post_locked(struct uring *r, const struct ucqe *c, bool may_overflow);
/* The same for one that did not come in the submitter's own call. */
bool cq_post_async_locked(struct uring *r, const struct ucqe *c, bool may_overflow);
/* After posting, without the lock: the eventfd. async: what a worker of Linux's would have done. */
void cq_signal(struct uring *r, bool async);
void cq_flush(struct uring *r);
/* Does this thread wake somebody because of a result? A poll with many of them must not feed itself. */
bool cq_waking(void);
unsigned cq_ready(struct uring *r);
void cq_free(struct uring *r);
long uring_wait(struct task *t, struct uring *r, unsigned min, uint32_t timeouts_before);

/* ---- timeout.c ---- */
void timeout_check_locked(struct uring *r);
int timeout_prep(struct ureq *q);
int link_timeout_prep(struct ureq *q);
int timeout_remove_prep(struct ureq *q);
long timeout_issue(struct ureq *q);
long link_timeout_issue(struct ureq *q);
long timeout_remove_issue(struct ureq *q);
void timeout_cleanup(struct ureq *q);

/* ---- cancel.c ---- */
struct ucancel {
    uint64_t user_data;
    struct file *file;
    unsigned flags;
    uint8_t opcode;
};
/* How many were asked to end, or -ENOENT. but: who asks, and whose result comes first;
 * NULL: they have ended when this returns. */
int uring_cancel(struct uring *r, const struct ucancel *c, struct ureq *but);
void uring_cancel_all(struct uring *r);
int cancel_prep(struct ureq *q);
long cancel_issue(struct ureq *q);
long uring_sync_cancel(struct task *t, struct uring *r, gaddr_t arg);
/* One that waits and that fn says is it; a reference. user_data NULL: whatever that is. */
struct ureq *uring_find(struct uring *r, const uint64_t *user_data,
                        bool (*fn)(struct ureq *q, const void *arg), const void *arg);
struct list *uring_bucket(struct uring *r, uint64_t user_data);

/* ---- poll.c ---- */
int poll_add_prep(struct ureq *q);
long poll_add_issue(struct ureq *q);
void poll_add_cleanup(struct ureq *q);
int poll_remove_prep(struct ureq *q);
long poll_remove_issue(struct ureq *q);

/* ---- rsrc.c ---- */
long rsrc_files_register(struct task *t, struct uring *r, gaddr_t fds, gaddr_t tags, unsigned n);
long rsrc_files_update(struct task *t, struct uring *r, unsigned at, gaddr_t fds, gaddr_t tags,
                       unsigned n);
long rsrc_files_unregister(struct uring *r);
long rsrc_buffers_register(struct task *t, struct uring *r, gaddr_t iovs, gaddr_t tags, unsigned n);
long rsrc_buffers_update(struct task *t, struct uring *r, unsigned at, gaddr_t iovs, gaddr_t tags,
                         unsigned n);
long rsrc_buffers_unregister(struct uring *r);
long rsrc_alloc_range(struct task *t, struct uring *r, gaddr_t arg);
/* A reference, or NULL. ret_node: what q is to hold, too; may be NULL, and points at NULL at first. */
struct file *rsrc_file_get(struct uring *r, unsigned slot, struct unode **ret_node);
/* The last one tells the tag. NULL is fine. */
void rsrc_node_put(struct unode *n);
/* slot LX_FILE_INDEX_ALLOC: the first that is free, else slot - 1. Takes over f. */
int rsrc_file_install(struct uring *r, struct file *f, uint32_t file_index, bool ret_slot);
int rsrc_file_remove(struct uring *r, unsigned slot);
/* 0 when [addr, addr+len) lies in the fixed buffer; -EFAULT. */
int rsrc_buffer_check(struct uring *r, unsigned index, gaddr_t addr, uint64_t len,
                      struct unode **ret_node);
void rsrc_free(struct uring *r);
/* Files that q makes go to a slot of the ring, not to the table of descriptors. */
void rsrc_redirect(struct ureq *q);

/* ---- pbuf.c ---- */
/* Picks a buffer of the entry's group into q->buf; want: at most that many bytes, 0: all. -ENOBUFS. */
int pbuf_pick(struct ureq *q, uint32_t want);
void pbuf_give_back(struct ureq *q);
/* It is the request's for good: told with the result. */
void pbuf_consume(struct ureq *q);
int provide_prep(struct ureq *q);
long provide_issue(struct ureq *q);
int remove_prep(struct ureq *q);
long remove_issue(struct ureq *q);
long pbuf_ring_register(struct task *t, struct uring *r, gaddr_t arg);
long pbuf_ring_unregister(struct task *t, struct uring *r, gaddr_t arg);
long pbuf_ring_status(struct task *t, struct uring *r, gaddr_t arg);
/* Maps a ring of buffers that lies in pages of ours. -EINVAL. */
int pbuf_map(struct uring *r, unsigned bgid, struct mmap_request *req);
void pbuf_free(struct uring *r);

/* ---- advise.c ---- */
#define ADVICE_AT_ONCE 8
struct advice {         /* in the record of a call, zeroed at first: what its context is at */
    struct uring *ring; /* reference */
    struct ureq *q[ADVICE_AT_ONCE]; /* references */
    struct as_op op[ADVICE_AT_ONCE];
    unsigned n;
};
/* Has t do what waits for a thread of its address space: -EWAITING and once more, until 0. */
int uring_advise(struct task *t, struct uring *r, struct advice *a);
void advice_free(struct advice *a);

/* ---- register.c, enter.c ---- */
long uring_register(struct task *t, struct uring *r, unsigned opcode, gaddr_t arg, unsigned n);
/* Of t itself: descriptors of rings by index. */
long uring_task_fds(struct task *t, bool add, gaddr_t arg, unsigned n);
int uring_task_add(struct task *t, struct file *f, unsigned from, unsigned to);
void uring_task_free(struct task *t);
