/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes and FIFOs. A struct pipe is a ring of slots, a page each, exactly as Linux counts them: what
 * fits and what is atomic follows from that. It lives as long as files refer to it (pipe->files,
 * guarded by the inode's lock), also for a FIFO, whose data goes with its last file.
 */
#pragma once

#include "sentry/kernel/lock.h"
#include "sentry/kernel/wait.h"
#include "sentry/vfs/file.h"

struct inode;

#define PIPE_DEF_SLOTS 16u

struct pipe_buf {
    uint8_t *page;
    unsigned off, len;
    bool packet; /* O_DIRECT: a read never goes beyond it, nor leaves a rest of it */
};

struct pipe {
    struct lock lock;      /* LOCK_OBJECT; guards all below but files */
    struct pipe_buf *bufs; /* nslots of them */
    unsigned nslots;
    unsigned head, tail; /* free-running; head - tail slots are in use */
    unsigned reserved;   /* slots promised to splices that are reading from a file */
    unsigned readers, writers;
    unsigned r_counter, w_counter; /* openings so far, for FIFO opens */
    uint8_t *spare;                /* a page kept, so that ping-pong allocates nothing */
    struct waitqueue rd_wq, wr_wq; /* for data, for room */
    unsigned files;                /* inode->lock */
};

extern const struct file_ops pipe_ops;

/* Two new files on a new pipe; flags O_NONBLOCK | O_DIRECT | O_CLOEXEC. 0 or -errno. */
int pipe_new(struct task *t, unsigned flags, struct file **ret_read, struct file **ret_write);

/*
 * Opens inode, a FIFO (or the inode of a pipe, through /proc), as f; f->flags and f->mode are set.
 * 0, -errno, or -EWAITING: call it again with the same f. Sets f->ops.
 */
int fifo_open(struct task *t, struct inode *inode, struct file *f);

/* NULL when f is no pipe. */
struct pipe *pipe_of(struct file *f);

/* F_SETPIPE_SZ and F_GETPIPE_SZ; -EBADF when f is no pipe. */
long pipe_set_size(struct task *t, struct file *f, unsigned long size);
long pipe_get_size(struct file *f);

/* ---- for splice; p->lock held ---- */

static inline bool pipe_empty(const struct pipe *p)
{
    return p->head == p->tail;
}

static inline bool pipe_full(const struct pipe *p)
{
    return p->head - p->tail + p->reserved >= p->nslots;
}

static inline struct pipe_buf *pipe_slot(struct pipe *p, unsigned i)
{
    return &p->bufs[i & (p->nslots - 1)];
}

/* A page for a slot; NULL: -ENOMEM. */
uint8_t *pipe_page_get(struct pipe *p);
void pipe_page_put(struct pipe *p, uint8_t *page);
/* Drops the oldest slot's page. */
void pipe_pop(struct pipe *p);
/* SIGPIPE for t; returns -EPIPE. */
int pipe_broken(struct task *t);
