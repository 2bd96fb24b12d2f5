/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_PACKET on the loopback device, the only one. tap.c makes what is seen; what is sent is seen, too, and
 * is read as the device's own (packet_in.c). Not there: TX rings, fanout, virtio headers, SOCK_PACKET.
 *
 * packet_lock (LOCK_OBJECT) guards all of them: letter [K]. It is taken after a socket's own lock.
 */
#pragma once

#include <linux/if_packet.h>

#include "sentry/kernel/timer.h"
#include "sentry/mm/shpages.h"
#include "sentry/net/stream.h"

#define LO_INDEX 1
#define PACKET_MEMBERS 64

struct pframe { /* one as a socket gets it */
    const uint8_t *data;
    size_t len, snap; /* all of it; what is kept */
    size_t mac;       /* of its link header: 14, SOCK_DGRAM: 0 */
    struct sockaddr_ll from;
    ktime_t stamp; /* CLOCK_REALTIME */
};

struct rpages { /* its pages: the ring has a reference, and who is mapping them */
    _Atomic int refs;
    struct shpages sh;
};

/* A ring that the guest maps: versions 1 and 2 have frames, 3 has blocks. */
struct pring {
    struct rpages *pages; /* NULL: there is no ring */
    unsigned block_size, block_nr, frame_size, frame_nr;
    unsigned at;                 /* the frame, or block, to be filled next */
    unsigned priv, tov, reserve; /* as asked for */
    unsigned used, last, count; /* of the block that is open: bytes, where its last packet stands */
    bool open, frozen;
    uint64_t seq;
    struct ktimer retire;
};

struct psock {
    struct sock sk;
    struct list link;                 /* [K] all of them */
    int ifindex;                      /* [K] 0: any */
    uint16_t proto;                   /* [K] as the guest gave it; 0: none */
    struct list msgs;                 /* [K] */
    size_t msg_bytes;                 /* [K] */
    uint32_t packets, drops, freezes; /* [K] since they were asked for */
    int version, reserve, copy_thresh, timestamp, loss, tx_has_off, bypass; /* [K] */
    bool auxdata, origdev, no_outgoing;                                     /* [K] */
    struct packet_mreq members[PACKET_MEMBERS];                             /* [K] */
    unsigned counts[PACKET_MEMBERS];                                        /* [K] 0: free */
    struct pring ring;                                                      /* [K] */
};

extern struct lock packet_lock;

static inline struct psock *packet_sk(struct sock *sk)
{
    return container_of(sk, struct psock, sk);
}

/*
 * A frame of n bytes passes lo, Ethernet header first: all that listen get it. from: who sent it by hand;
 * NULL: the stack. packet_lock is not held; locks before it may be.
 */
void packet_pass(const uint8_t *frame, size_t n, struct psock *from);

/*
 * packet_in.c: what was sent by hand arrives, as a frame on the wire or, by a raw socket, as a packet that had
 * a route. No lock held.
 */
void packet_in(const uint8_t *frame, size_t n);
void packet_in_routed(const uint8_t *packet, size_t n);

/* packet_ring.c. packet_lock is held but for putting. */
unsigned pring_header(int version); /* PACKET_HDRLEN; 0: no such version */
void pring_init(struct pring *r);
/* As PACKET_RX_RING wants it; no blocks: none any more. *old: what there was, to be put without the lock. */
int pring_set(struct psock *p, const void *v, socklen_t n, struct rpages **old);
/* false: dropped. */
bool pring_put(struct psock *p, const struct pframe *f);
bool pring_ready(const struct psock *p);
void rpages_put(struct rpages *r); /* NULL is fine */
int packet_mmap(struct task *t, struct sock *sk, struct mmap_request *req);

/* packet_opt.c */
int packet_setsockopt(struct task *t, struct sock *sk, int level, int opt, const void *v,
                      socklen_t n);
int packet_getsockopt(struct task *t, struct sock *sk, int level, int opt, void *v, socklen_t *n);
