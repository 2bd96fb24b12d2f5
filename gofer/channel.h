/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the client: one socket shared by many threads. A caller takes a slot, sends its request
 * with the slot's tag, and reads answers from the socket until its own is there; answers for others
 * it hangs into their slots. So nobody but callers reads, and a lone caller never meets a lock that
 * is held. When the reading caller is done, it hands the reading over to one that still waits.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "gofer/client.h"
#include "gofer/protocol.h"

#define CHANNEL_SLOTS 32
#define CHANNEL_MSGS 256 /* datagrams in memory; a gofer that pushes more is broken */
#define FORGET_BATCH 64  /* sent when there are so many */
#define CLOSE_BATCH 16
#define BATCH_MAX 4096 /* kept while the gofer's queue is full; more are lost */

struct gmsg { /* one datagram received */
    struct gmsg *next;
    struct gw_reply rep;
    int fd; /* that came along, or -1 */
    unsigned char data[GW_MAX];
};

struct gslot {
    pthread_cond_t cond;
    bool used, waiting;
    uint16_t op;
    uint32_t tag;
    struct gmsg *first, **last;
};

struct gofer {
    _Atomic int refs;
    int sock;
    bool plain; /* its number is none that the sentry's fence lets messages go to (abi/hostfd.h) */
    struct gofer_ring *ring; /* NULL: files come as descriptors */
    unsigned nexports, nroots;
    struct gw_root *roots; /* as hello told them */
    atomic_ullong trips;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t free_slot;
    struct gslot slots[CHANNEL_SLOTS];
    unsigned nused;
    uint32_t next_tag;
    bool reading;       /* a caller is in recvmsg */
    bool broken;        /* the gofer is gone, or talked nonsense */
    struct gmsg *spare; /* free list */
    unsigned nmsgs;
    uint64_t forget[BATCH_MAX];
    uint32_t close[BATCH_MAX];
    unsigned nforget, nclose;
};

#define CHANNEL_PIECES 4 /* of a request's payload */

struct gcall {
    uint16_t op;
    uint32_t flags, arg;
    uint64_t node;
    const void *in[CHANNEL_PIECES];
    size_t inlen[CHANNEL_PIECES];
};

/*
 * begin sends; next gives each answer in turn, the caller's until channel_msg_free; end gives the
 * slot back, and must be called after a begin that returned 0 (answers not fetched are dropped).
 */
int channel_begin(struct gofer *g, const struct gcall *c, struct gslot **ret);
int channel_next(struct gofer *g, struct gslot *s, struct gmsg **ret);
void channel_end(struct gofer *g, struct gslot *s);
void channel_msg_free(struct gofer *g, struct gmsg *m);
/* One request, one answer; its error is returned, *ret is set only when 0 (or keep_error). */
int channel_call(struct gofer *g, const struct gcall *c, bool keep_error, struct gmsg **ret);
/* Descriptor or slot out of an answer; the file's bytes and attributes are the caller's part. */
int gofer_take_file(struct gofer *g, struct gmsg *m, struct gofer_file *f);
/*
 * Sends without an answer and without waiting: callers may hold locks that the reader of answers
 * needs. False: the gofer's queue is full, try later.
 */
bool channel_post(struct gofer *g, uint16_t op, const void *data, size_t n);

/* ring.c: the reader's side of the restricted ring. */
struct gofer_ring *gofer_ring_open(int ring_fd); /* takes over; NULL when it cannot be used */
void gofer_ring_close(struct gofer_ring *r);
ssize_t gofer_ring_read(struct gofer_ring *r, int slot, void *buf, size_t n, off_t off);
