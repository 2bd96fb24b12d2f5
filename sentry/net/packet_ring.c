/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PACKET_RX_RING. In versions 1 and 2 a ring is of frames, each with a word that says whose it is; in 3 of
 * blocks that packets are put into one behind the other, and which are handed over when they are full or
 * a time has passed. The pages are the guest's as much as ours: places come from what we keep ourselves,
 * and of what stands there only that word is read.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/packet.h"
#include "sentry/vfs/file.h"

#define RING_MAX (64u << 20)
#define ALIGN8(n) (((n) + 7u) & ~7u)
#define BLOCK_HEAD ALIGN8((unsigned)sizeof(struct tpacket_block_desc))
#define TOV_DEFAULT 8 /* ms */

unsigned pring_header(int version)
{
    switch (version) {
    case TPACKET_V1:
        return sizeof(struct tpacket_hdr);
    case TPACKET_V2:
        return sizeof(struct tpacket2_hdr);
    case TPACKET_V3:
        return sizeof(struct tpacket3_hdr);
    }
    return 0;
}

/* A frame's header, and the address behind it. */
static unsigned heads(const struct psock *p)
{
    return TPACKET_ALIGN(pring_header(p->version)) + (unsigned)sizeof(struct sockaddr_ll);
}

/* ---- making one ---- */

static int check(const struct psock *p, const struct tpacket_req3 *q)
{
    uint64_t least = heads(p) + (unsigned)p->reserve, per_block;

    if (!q->tp_block_nr)
        return q->tp_frame_nr ? -EINVAL : 0;
    if (!q->tp_block_size || q->tp_block_size > INT32_MAX || q->tp_block_size % PAGE_SIZE_4K)
        return -EINVAL;
    if (p->version == TPACKET_V3 &&
        q->tp_block_size <
            (uint64_t)BLOCK_HEAD + (((uint64_t)q->tp_sizeof_priv + 7) & ~7ull) + least)
        return -EINVAL;
    if (q->tp_frame_size < least || q->tp_frame_size % TPACKET_ALIGNMENT)
        return -EINVAL;
    per_block = q->tp_block_size / q->tp_frame_size;
    if (!per_block || per_block * q->tp_block_nr != q->tp_frame_nr)
        return -EINVAL;
    return (uint64_t)q->tp_block_size * q->tp_block_nr > RING_MAX ? -ENOMEM : 0;
}

static uint8_t *block_of(const struct pring *r, unsigned i)
{
    return (uint8_t *)r->pages->sh.mem + (size_t)i * r->block_size;
}

static uint8_t *frame_of(const struct pring *r, unsigned i)
{
    unsigned per_block = r->block_size / r->frame_size;

    return block_of(r, i / per_block) + (size_t)(i % per_block) * r->frame_size;
}

static void put_time(unsigned *sec, unsigned *nsec, ktime_t k)
{
    *sec = (unsigned)(k / 1000000000);
    *nsec = (unsigned)(k % 1000000000);
}

/* false: it is still the guest's. */
static bool block_open(struct pring *r)
{
    struct tpacket_block_desc *b = (void *)block_of(r, r->at);

    if (sh_load(&b->hdr.bh1.block_status) != TP_STATUS_KERNEL)
        return false;
    r->used = BLOCK_HEAD + ALIGN8(r->priv);
    r->last = r->count = 0;
    r->open = true;
    r->frozen = false;
    b->version = TPACKET_V3;
    b->offset_to_priv = BLOCK_HEAD;
    b->hdr.bh1.seq_num = ++r->seq;
    b->hdr.bh1.num_pkts = 0;
    b->hdr.bh1.offset_to_first_pkt = r->used;
    b->hdr.bh1.blk_len = r->used;
    put_time(&b->hdr.bh1.ts_first_pkt.ts_sec, &b->hdr.bh1.ts_first_pkt.ts_nsec, ktime_real());
    return true;
}

/* It is handed over. */
static void block_close(struct pring *r, uint32_t status)
{
    struct tpacket_block_desc *b = (void *)block_of(r, r->at);

    if (r->count)
        ((struct tpacket3_hdr *)(void *)(block_of(r, r->at) + r->last))->tp_next_offset = 0;
    b->hdr.bh1.num_pkts = r->count;
    b->hdr.bh1.blk_len = r->used;
    sh_store(&b->hdr.bh1.block_status, TP_STATUS_USER | status);
    r->at = (r->at + 1) % r->block_nr;
    r->open = false;
}

static void retire(struct ktimer *tm)
{
    struct pring *r = container_of(tm, struct pring, retire);
    struct psock *p = container_of(r, struct psock, ring);

    LOCK_SCOPE(&packet_lock);
    if (!r->open || !r->count)
        return;
    block_close(r, TP_STATUS_BLK_TMO);
    sock_wake_read(&p->sk);
}

void rpages_put(struct rpages *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    shpages_free(&r->sh);
    kfree(r);
}

static int rpages_new(size_t len, struct rpages **ret)
{
    struct rpages *r = kzalloc(sizeof *r);
    int e = r ? shpages_new(&r->sh, len) : -ENOMEM;

    if (e < 0) {
        kfree(r);
        return e;
    }
    atomic_init(&r->refs, 1);
    *ret = r;
    return 0;
}

void pring_init(struct pring *r)
{
    ktimer_init(&r->retire, retire);
}

int pring_set(struct psock *p, const void *v, socklen_t n, struct rpages **old)
{
    struct tpacket_req3 q = { 0 };
    size_t size = p->version == TPACKET_V3 ? sizeof q : sizeof(struct tpacket_req);
    struct pring *r = &p->ring;
    struct rpages *pages = NULL;
    int e;

    if (n < size)
        return -EINVAL;
    memcpy(&q, v, size);
    if (q.tp_block_nr && r->pages)
        return -EBUSY;
    e = check(p, &q);
    if (e == 0 && q.tp_block_nr)
        e = rpages_new((size_t)q.tp_block_size * q.tp_block_nr, &pages);
    if (e < 0)
        return e;
    *old = r->pages;
    r->pages = pages;
    r->block_size = q.tp_block_size;
    r->block_nr = q.tp_block_nr;
    r->frame_size = q.tp_frame_size;
    r->frame_nr = q.tp_frame_nr;
    r->priv = q.tp_sizeof_priv;
    r->tov = q.tp_retire_blk_tov ? q.tp_retire_blk_tov : TOV_DEFAULT;
    r->reserve = (unsigned)p->reserve;
    r->at = 0;
    r->open = r->frozen = false;
    if (q.tp_block_nr && p->version == TPACKET_V3)
        (void)block_open(r);
    return 0;
}

static void let_go(void *pages)
{
    rpages_put(pages);
}

int packet_mmap(struct task *t, struct sock *sk, struct mmap_request *req)
{
    struct psock *p = packet_sk(sk);

    (void)t;
    LOCK_SCOPE(&packet_lock);
    struct rpages *r = p->ring.pages;

    if (req->offset || !r || req->len != r->sh.len || (req->flags & MAP_TYPE) == MAP_PRIVATE)
        return -EINVAL;
    atomic_fetch_add(&r->refs, 1); /* another thread may take the ring away meanwhile */
    req->ret_fd = r->sh.fd;
    req->ret_keep = r;
    req->ret_let_go = let_go;
    req->ret_offset = 0;
    req->ret_no_file = true; /* as with rings of io_uring: not every munmap is told */
    return 0;
}

/* ---- filling it ---- */

struct place {
    unsigned mac, net, snap;
};

/* Where in a frame (of at most max bytes) the packet goes, and how much of it. */
static struct place place(const struct psock *p, const struct pframe *f, unsigned max)
{
    struct place w;

    if (f->mac) {
        w.net = TPACKET_ALIGN(heads(p) + 16) + p->ring.reserve;
        w.mac = w.net - (unsigned)f->mac;
    } else {
        w.net = TPACKET_ALIGN(heads(p)) + 16 + p->ring.reserve;
        w.mac = w.net;
    }
    w.snap = w.mac < max ? (unsigned)MIN(f->snap, (size_t)(max - w.mac)) : 0;
    return w;
}

static void put_address(const struct psock *p, uint8_t *at, const struct pframe *f)
{
    memcpy(at + TPACKET_ALIGN(pring_header(p->version)), &f->from, sizeof f->from);
}

static bool put_frame(struct psock *p, const struct pframe *f)
{
    struct pring *r = &p->ring;
    uint8_t *at = frame_of(r, r->at);
    struct place w = place(p, f, r->frame_size);
    uint32_t status = TP_STATUS_USER | TP_STATUS_TS_SOFTWARE;
    unsigned sec, nsec;

    if (sh_load(at) != TP_STATUS_KERNEL || w.mac > r->frame_size || w.net > UINT16_MAX)
        return false;
    if (p->drops)
        status |= TP_STATUS_LOSING;
    put_time(&sec, &nsec, f->stamp);
    memcpy(at + w.mac, f->data, w.snap);
    put_address(p, at, f);
    if (p->version == TPACKET_V1) {
        struct tpacket_hdr h = { .tp_len = (unsigned)f->len,
                                 .tp_snaplen = w.snap,
                                 .tp_mac = (unsigned short)w.mac,
                                 .tp_net = (unsigned short)w.net,
                                 .tp_sec = sec,
                                 .tp_usec = nsec / 1000 };

        memcpy(at + 4, (uint8_t *)&h + 4, sizeof h - 4);
    } else {
        struct tpacket2_hdr h = { .tp_len = (unsigned)f->len,
                                  .tp_snaplen = w.snap,
                                  .tp_mac = (unsigned short)w.mac,
                                  .tp_net = (unsigned short)w.net,
                                  .tp_sec = sec,
                                  .tp_nsec = nsec };

        memcpy(at + 4, (uint8_t *)&h + 4, sizeof h - 4);
    }
    sh_store(at, status);
    r->at = (r->at + 1) % r->frame_nr;
    return true;
}

static bool put_in_block(struct psock *p, const struct pframe *f)
{
    struct pring *r = &p->ring;
    struct place w = place(p, f, r->block_size - BLOCK_HEAD - ALIGN8(r->priv));
    unsigned need = ALIGN8(w.mac + w.snap);
    struct tpacket3_hdr h = { .tp_next_offset = need,
                              .tp_snaplen = w.snap,
                              .tp_len = (unsigned)f->len,
                              .tp_status = TP_STATUS_USER | TP_STATUS_TS_SOFTWARE,
                              .tp_mac = (unsigned short)w.mac,
                              .tp_net = (unsigned short)w.net };
    struct tpacket_block_desc *b;
    uint8_t *at;

    if (r->open && r->used + need > r->block_size) {
        block_close(r, 0);
        sock_wake_read(&p->sk);
    }
    if (!r->open && !block_open(r)) {
        p->freezes += !r->frozen;
        r->frozen = true;
        return false;
    }
    if (r->used + need > r->block_size || w.net > UINT16_MAX)
        return false;
    at = block_of(r, r->at) + r->used;
    put_time(&h.tp_sec, &h.tp_nsec, f->stamp);
    memcpy(at, &h, sizeof h);
    put_address(p, at, f);
    memcpy(at + w.mac, f->data, w.snap);
    b = (void *)block_of(r, r->at);
    put_time(&b->hdr.bh1.ts_last_pkt.ts_sec, &b->hdr.bh1.ts_last_pkt.ts_nsec, f->stamp);
    if (!r->count++) {
        b->hdr.bh1.ts_first_pkt = b->hdr.bh1.ts_last_pkt;
        ktimer_arm(&r->retire, ktime_now() + (ktime_t)r->tov * 1000000);
    }
    r->last = r->used;
    r->used += need;
    return true;
}

bool pring_put(struct psock *p, const struct pframe *f)
{
    return p->version == TPACKET_V3 ? put_in_block(p, f) : put_frame(p, f);
}

bool pring_ready(const struct psock *p)
{
    const struct pring *r = &p->ring;

    if (!r->pages)
        return false;
    if (p->version == TPACKET_V3) {
        const struct tpacket_block_desc *b = (const void *)block_of(r, (r->at + r->block_nr - 1) %
                                                                           r->block_nr);

        return sh_load(&b->hdr.bh1.block_status) != TP_STATUS_KERNEL;
    }
    return sh_load(frame_of(r, (r->at + r->frame_nr - 1) % r->frame_nr)) != TP_STATUS_KERNEL;
}
