/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provided buffers: groups from which a request takes one when there is something to put into it. A
 * group is a list that entries add to (IORING_OP_PROVIDE_BUFFERS), or a ring in the guest's memory
 * (IORING_REGISTER_PBUF_RING), its own or pages of ours that it maps.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/mm/copy.h"
#include "sentry/uring/uring.h"

#define MAX_BIDS 65536u
#define TAIL_AT 14 /* in the first entry */

struct upbuf { /* of a list */
    struct list link;
    gaddr_t addr;
    uint32_t len;
    uint16_t bid;
};

struct upages { /* of the group, and of who is mapping them */
    _Atomic int refs;
    struct shpages p;
};

struct ugroup { /* ring->lock */
    struct list link;
    unsigned id;
    bool is_ring;
    struct list bufs; /* upbuf.link */
    unsigned n;
    gaddr_t at; /* a ring in the guest's memory; 0: pages */
    struct upages *pages;
    unsigned entries;
    uint16_t head;
};

static struct ugroup *find_locked(struct uring *r, unsigned id)
{
    struct ugroup *g;

    assert_locked(&r->lock);
    list_for_each(g, &r->groups, link) {
        if (g->id == id)
            return g;
    }
    return NULL;
}

static struct ugroup *group_new_locked(struct uring *r, unsigned id)
{
    struct ugroup *g = kzalloc(sizeof *g);

    assert_locked(&r->lock);
    if (!g)
        return NULL;
    g->id = id;
    list_init(&g->bufs);
    list_add_tail(&r->groups, &g->link);
    return g;
}

static void pages_put(void *keep)
{
    struct upages *u = keep;

    if (!u || atomic_fetch_sub(&u->refs, 1) != 1)
        return;
    shpages_free(&u->p);
    kfree(u);
}

static int pages_new(struct ugroup *g, size_t len)
{
    struct upages *u = kzalloc(sizeof *u);

    if (!u || shpages_new(&u->p, len) < 0) {
        kfree(u);
        return -ENOMEM;
    }
    atomic_init(&u->refs, 1);
    g->pages = u;
    return 0;
}

static void group_free(struct ugroup *g)
{
    while (!list_empty(&g->bufs)) {
        struct upbuf *b = list_first(&g->bufs, struct upbuf, link);

        list_del(&b->link);
        kfree(b);
    }
    pages_put(g->pages);
    list_del(&g->link);
    kfree(g);
}

void pbuf_free(struct uring *r)
{
    while (!list_empty(&r->groups))
        group_free(list_first(&r->groups, struct ugroup, link));
}

/* ---- picking ---- */

static int ring_read(struct task *t, struct ugroup *g, void *to, size_t off, size_t n)
{
    if (g->at)
        return copy_in(t, to, g->at + off, n);
    memcpy(to, (uint8_t *)g->pages->p.mem + off, n);
    return 0;
}

static int pick_ring(struct ureq *q, struct ugroup *g)
{
    struct lx_pbuf b;
    uint16_t tail;

    if (ring_read(&q->task, g, &tail, TAIL_AT, sizeof tail) < 0)
        return -EFAULT;
    if (tail == g->head)
        return -ENOBUFS;
    if (ring_read(&q->task, g, &b, (g->head & (g->entries - 1)) * sizeof b, sizeof b) < 0)
        return -EFAULT;
    g->head++;
    q->buf.addr = b.addr;
    q->buf.len = b.len;
    q->buf.bid = b.bid;
    q->buf.legacy = NULL;
    return 0;
}

static int pick_list(struct ureq *q, struct ugroup *g)
{
    struct upbuf *b;

    if (list_empty(&g->bufs))
        return -ENOBUFS;
    b = list_first(&g->bufs, struct upbuf, link);
    list_del(&b->link);
    g->n--;
    q->buf.addr = b->addr;
    q->buf.len = b->len;
    q->buf.bid = b->bid;
    q->buf.legacy = b;
    return 0;
}

int pbuf_pick(struct ureq *q, uint32_t want)
{
    struct uring *r = q->ring;
    struct ugroup *g;
    int e;

    LOCK_SCOPE(&r->lock);
    g = find_locked(r, q->sqe.buf_index);
    if (!g)
        return -ENOBUFS;
    e = g->is_ring ? pick_ring(q, g) : pick_list(q, g);
    if (e < 0)
        return e;
    if (want)
        q->buf.len = MIN(q->buf.len, want);
    q->has_buffer = true;
    return 0;
}

void pbuf_give_back(struct ureq *q)
{
    struct uring *r = q->ring;
    struct upbuf *b = q->buf.legacy;
    struct ugroup *g;

    if (!q->has_buffer)
        return;
    q->has_buffer = false;
    LOCK_SCOPE(&r->lock);
    g = find_locked(r, q->sqe.buf_index);
    if (!b) {
        if (g && g->is_ring)
            g->head--;
    } else if (g && !g->is_ring) {
        list_add_head(&g->bufs, &b->link);
        g->n++;
    } else {
        kfree(b);
    }
    q->buf.legacy = NULL;
}

void pbuf_consume(struct ureq *q)
{
    if (!q->has_buffer)
        return;
    q->has_buffer = false;
    q->cflags |= LX_CQE_BUFFER | (uint32_t)q->buf.bid << 16;
    kfree(q->buf.legacy);
    q->buf.legacy = NULL;
}

/* ---- lists ---- */

int provide_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    uint64_t n = (uint32_t)s->fd, size = n * s->len;

    if (s->op_flags || s->splice_fd_in)
        return -EINVAL;
    if (!n || n > MAX_BIDS)
        return -E2BIG;
    if (!s->len)
        return -EINVAL;
    if (s->addr + size < s->addr)
        return -EOVERFLOW;
    if (s->addr + size > 0x7ffffffff000ull)
        return -EFAULT;
    if (s->off > MAX_BIDS - 1)
        return -E2BIG;
    return s->off + n > MAX_BIDS ? -EINVAL : 0;
}

static int add_some_locked(struct ugroup *g, const struct lx_sqe *s)
{
    unsigned n = (unsigned)s->fd;

    for (unsigned i = 0; i < n; i++) {
        struct upbuf *b = kzalloc(sizeof *b);

        if (!b)
            return i ? 0 : -ENOMEM;
        b->addr = s->addr + (uint64_t)i * s->len;
        b->len = s->len;
        b->bid = (uint16_t)(s->off + i);
        list_add_tail(&g->bufs, &b->link);
        g->n++;
    }
    return 0;
}

long provide_issue(struct ureq *q)
{
    struct uring *r = q->ring;
    struct ugroup *g;

    LOCK_SCOPE(&r->lock);
    g = find_locked(r, q->sqe.buf_index);
    if (!g)
        g = group_new_locked(r, q->sqe.buf_index);
    if (!g)
        return -ENOMEM;
    return g->is_ring ? -EINVAL : add_some_locked(g, &q->sqe);
}

int remove_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->op_flags || s->addr || s->len || s->off || s->splice_fd_in)
        return -EINVAL;
    return !s->fd || (uint32_t)s->fd > MAX_BIDS ? -EINVAL : 0;
}

long remove_issue(struct ureq *q)
{
    struct uring *r = q->ring;
    struct ugroup *g;
    long n = 0;

    LOCK_SCOPE(&r->lock);
    g = find_locked(r, q->sqe.buf_index);
    if (!g)
        return -ENOENT;
    if (g->is_ring)
        return -EINVAL;
    for (; n < q->sqe.fd && !list_empty(&g->bufs); n++) {
        struct upbuf *b = list_first(&g->bufs, struct upbuf, link);

        list_del(&b->link);
        kfree(b);
        g->n--;
    }
    return n;
}

/* ---- rings ---- */

static int check_ring(const struct lx_pbuf_reg *p)
{
    if (p->resv[0] || p->resv[1] || p->resv[2] || p->flags & ~LX_PBUF_RING_MMAP)
        return -EINVAL;
    if (!(p->flags & LX_PBUF_RING_MMAP)) {
        if (!p->ring_addr)
            return -EFAULT;
        if (p->ring_addr & (PAGE_SIZE_4K - 1))
            return -EINVAL;
    } else if (p->ring_addr) {
        return -EINVAL;
    }
    if (!p->ring_entries || p->ring_entries & (p->ring_entries - 1))
        return -EINVAL;
    return p->ring_entries >= 65536 ? -EINVAL : 0;
}

long pbuf_ring_register(struct task *t, struct uring *r, gaddr_t arg)
{
    struct lx_pbuf_reg p;
    struct ugroup *g;
    uint8_t probe;
    int e;

    if (get_guest(t, &p, arg) < 0)
        return -EFAULT;
    e = check_ring(&p);
    if (e < 0)
        return e;
    if (p.ring_addr && copy_in(t, &probe, p.ring_addr + p.ring_entries * 16ul - 1, 1) < 0)
        return -EFAULT;
    LOCK_SCOPE(&r->lock);
    g = find_locked(r, p.bgid);
    if (g && (g->is_ring || !list_empty(&g->bufs)))
        return -EEXIST;
    if (!g)
        g = group_new_locked(r, p.bgid);
    if (!g)
        return -ENOMEM;
    if (p.flags & LX_PBUF_RING_MMAP) {
        e = pages_new(g, p.ring_entries * 16ul);
        if (e < 0) {
            group_free(g);
            return -ENOMEM;
        }
    }
    g->is_ring = true;
    g->at = p.ring_addr;
    g->entries = p.ring_entries;
    g->head = 0;
    return 0;
}

long pbuf_ring_unregister(struct task *t, struct uring *r, gaddr_t arg)
{
    struct lx_pbuf_reg p;
    struct ugroup *g;

    if (get_guest(t, &p, arg) < 0)
        return -EFAULT;
    if (p.resv[0] || p.resv[1] || p.resv[2] || p.flags)
        return -EINVAL;
    LOCK_SCOPE(&r->lock);
    g = find_locked(r, p.bgid);
    if (!g)
        return -ENOENT;
    if (!g->is_ring)
        return -EINVAL;
    group_free(g);
    return 0;
}

long pbuf_ring_status(struct task *t, struct uring *r, gaddr_t arg)
{
    struct lx_pbuf_status s;
    struct ugroup *g;

    if (get_guest(t, &s, arg) < 0)
        return -EFAULT;
    for (unsigned i = 0; i < ARRAY_SIZE(s.resv); i++)
        if (s.resv[i])
            return -EINVAL;
    lock(&r->lock);
    g = find_locked(r, s.group);
    if (g)
        s.head = g->head;
    unlock(&r->lock);
    if (!g)
        return -ENOENT;
    return put_guest(t, arg, &s);
}

int pbuf_map(struct uring *r, unsigned bgid, struct mmap_request *req)
{
    struct ugroup *g;

    LOCK_SCOPE(&r->lock);
    g = find_locked(r, bgid);
    if (!g || !g->pages)
        return -EINVAL;
    atomic_fetch_add(&g->pages->refs, 1);
    req->ret_keep = g->pages;
    req->ret_let_go = pages_put;
    req->ret_fd = g->pages->p.fd;
    return 0;
}
