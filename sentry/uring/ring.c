/* SPDX-License-Identifier: Apache-2.0 */
/* A ring as a file: making it, mapping it, polling it, its end. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/uring/uring.h"

#define KNOWN_FLAGS                                                                                \
    (LX_URING_IOPOLL | LX_URING_SQPOLL | LX_URING_SQ_AFF | LX_URING_CQSIZE | LX_URING_CLAMP |      \
     LX_URING_ATTACH_WQ | LX_URING_R_DISABLED | LX_URING_SUBMIT_ALL | LX_URING_COOP_TASKRUN |      \
     LX_URING_TASKRUN_FLAG | LX_URING_SQE128 | LX_URING_CQE32 | LX_URING_SINGLE_ISSUER |           \
     LX_URING_DEFER_TASKRUN | LX_URING_NO_MMAP | LX_URING_REGISTERED_FD_ONLY |                     \
     LX_URING_NO_SQARRAY)
#define FEATURES                                                                                   \
    (LX_FEAT_SINGLE_MMAP | LX_FEAT_NODROP | LX_FEAT_SUBMIT_STABLE | LX_FEAT_RW_CUR_POS |           \
     LX_FEAT_CUR_PERSONALITY | LX_FEAT_FAST_POLL | LX_FEAT_POLL_32BITS | LX_FEAT_SQPOLL_NONFIXED | \
     LX_FEAT_EXT_ARG | LX_FEAT_NATIVE_WORKERS | LX_FEAT_RSRC_TAGS | LX_FEAT_CQE_SKIP |             \
     LX_FEAT_LINKED_FILE | LX_FEAT_REG_REG_RING)

/* ---- the file ---- */

static uint32_t uring_poll(struct file *f, struct poll_table *pt)
{
    struct uring *r = f->priv;
    uint32_t mask = 0;

    poll_wait(pt, &r->cq_wq);
    LOCK_SCOPE(&r->lock);
    if (sh_load(&r->head->sq_tail) - sh_load(&r->head->sq_head) < r->sq_entries)
        mask |= POLLOUT | POLLWRNORM;
    if (r->cq_tail != sh_load(&r->head->cq_head) || r->noverflow || r->nlate)
        mask |= POLLIN | POLLRDNORM;
    return mask;
}

static int uring_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    struct uring *r = f->priv;

    (void)t;
    if ((req->flags & MAP_TYPE) == MAP_PRIVATE)
        return -EINVAL;
    req->ret_offset = 0;
    /* We are not told of every munmap, and a ring must end when its descriptor is closed. */
    req->ret_no_file = true;
    switch (req->offset & LX_OFF_MMAP_MASK) {
    case LX_OFF_SQ_RING:
    case LX_OFF_CQ_RING:
        req->ret_fd = r->rings.fd;
        return r->on_guest ? -EINVAL : 0;
    case LX_OFF_SQES:
        req->ret_fd = r->sqes.fd;
        return r->on_guest ? -EINVAL : 0;
    case LX_OFF_PBUF_RING:
        return pbuf_map(r, (unsigned)((req->offset & ~LX_OFF_MMAP_MASK) >> LX_OFF_PBUF_SHIFT), req);
    default:
        return -EINVAL;
    }
}

static size_t uring_fdinfo(struct file *f, char *buf, size_t cap)
{
    struct uring *r = f->priv;
    unsigned waiting = 0;
    struct ureq *q;
    int n;

    LOCK_SCOPE(&r->lock);
    for (unsigned i = 0; i < URING_BUCKETS; i++)
        list_for_each(q, &r->inflight[i], link)
            waiting++;
    n = snprintf(buf, cap,
                 "SqMask:\t0x%x\nSqHead:\t%u\nSqTail:\t%u\nCachedSqHead:\t%u\nCqMask:\t0x%x\n"
                 "CqHead:\t%u\nCqTail:\t%u\nCachedCqTail:\t%u\nSQEs:\t%u\nCQEs:\t%u\n"
                 "SqThread:\t%d\nSqThreadCpu:\t%d\nUserFiles:\t%u\nUserBufs:\t%u\nInflight:\t%u\n"
                 "CqOverflowList:\t%u\n",
                 r->sq_entries - 1, sh_load(&r->head->sq_head), sh_load(&r->head->sq_tail),
                 r->sq_head, r->cq_entries - 1, sh_load(&r->head->cq_head), r->cq_tail, r->cq_tail,
                 sh_load(&r->head->sq_tail) - r->sq_head, r->cq_tail - sh_load(&r->head->cq_head),
                 -1, -1, r->files.n, r->nbufs, waiting, r->noverflow);
    return n < 0 ? 0 : MIN((size_t)n, cap);
}

static void uring_release(struct file *f)
{
    struct uring *r = f->priv;

    atomic_store(&r->closed, true);
    uring_sqpoll_stop(r);
    uring_cancel_all(r);
    uring_undefer(r);
    uring_put(r);
}

static const struct file_ops uring_ops = {
    .name = "io_uring",
    .poll = uring_poll,
    .mmap = uring_mmap,
    .fdinfo = uring_fdinfo,
    .release = uring_release,
};

struct uring *uring_of(struct file *f)
{
    return f->ops == &uring_ops ? f->priv : NULL;
}

void uring_put(struct uring *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    rsrc_free(r);
    pbuf_free(r);
    cq_free(r);
    file_put(r->eventfd);
    for (unsigned i = 0; i < ARRAY_SIZE(r->personality); i++)
        if (r->personality[i])
            cred_put(r->personality[i]);
    if (r->rings.fd >= 0)
        shpages_free(&r->rings);
    if (r->sqes.fd >= 0)
        shpages_free(&r->sqes);
    wq_done(&r->cq_wq);
    wq_done(&r->sq_wq);
    wq_done(&r->sqpoll_wq);
    wq_done(&r->advice_wq);
    tlock_done(&r->submit);
    lock_done(&r->lock);
    kfree(r);
}

/* ---- making one ---- */

struct setup { /* scratch */
    struct lx_uring_params p;
    struct uring *ring;
    struct as_op ops[2];
};

static void setup_free(void *s)
{
    uring_put(((struct setup *)s)->ring);
}

static int check_flags(const struct lx_uring_params *p)
{
    unsigned f = p->flags;

    if (f & ~KNOWN_FLAGS || p->resv[0] || p->resv[1] || p->resv[2])
        return -EINVAL;
    if (f & LX_URING_REGISTERED_FD_ONLY && !(f & LX_URING_NO_MMAP))
        return -EINVAL;
    if (f & LX_URING_SQPOLL &&
        f & (LX_URING_COOP_TASKRUN | LX_URING_TASKRUN_FLAG | LX_URING_DEFER_TASKRUN))
        return -EINVAL;
    if (f & LX_URING_TASKRUN_FLAG && !(f & (LX_URING_COOP_TASKRUN | LX_URING_DEFER_TASKRUN)))
        return -EINVAL;
    if (f & LX_URING_DEFER_TASKRUN && !(f & LX_URING_SINGLE_ISSUER))
        return -EINVAL;
    if (f & LX_URING_SQ_AFF && (!(f & LX_URING_SQPOLL) || p->sq_thread_cpu >= kernel.ncpus))
        return -EINVAL;
    return 0;
}

static unsigned power_of_two(unsigned n)
{
    unsigned p = 1;

    while (p < n)
        p *= 2;
    return p;
}

static int check_sizes(struct lx_uring_params *p, unsigned entries)
{
    bool clamp = p->flags & LX_URING_CLAMP;

    if (!entries)
        return -EINVAL;
    if (entries > URING_MAX_ENTRIES && !clamp)
        return -EINVAL;
    p->sq_entries = power_of_two(MIN(entries, URING_MAX_ENTRIES));
    if (!(p->flags & LX_URING_CQSIZE)) {
        p->cq_entries = 2 * p->sq_entries;
        return 0;
    }
    if (!p->cq_entries || (p->cq_entries > URING_MAX_CQ && !clamp))
        return -EINVAL;
    p->cq_entries = power_of_two(MIN(p->cq_entries, URING_MAX_CQ));
    return p->cq_entries < p->sq_entries ? -EINVAL : 0;
}

/* The thread of another ring is not needed: this one has its own, and it costs nothing. */
static int check_attach(struct task *t, const struct lx_uring_params *p)
{
    struct file *f;
    bool fine;

    if (!(p->flags & LX_URING_ATTACH_WQ))
        return 0;
    f = fd_get(t, (int)p->wq_fd);
    if (!f)
        return -ENXIO;
    fine = uring_of(f) && (!(p->flags & LX_URING_SQPOLL) || uring_of(f)->sqpoll);
    file_put(f);
    return fine ? 0 : -EINVAL;
}

static int make_pages(struct uring *r, struct lx_uring_params *p)
{
    size_t cqe = p->flags & LX_URING_CQE32 ? 32 : 16, sqe = p->flags & LX_URING_SQE128 ? 128 : 64;
    size_t cqes = sizeof(struct lx_uring_rings), array = cqes + cqe * p->cq_entries;
    size_t len = p->flags & LX_URING_NO_SQARRAY ? array : array + 4ul * p->sq_entries;
    int n = shpages_new(&r->rings, len);

    if (n == 0)
        n = shpages_new(&r->sqes, sqe * p->sq_entries);
    if (n < 0)
        return n;
    r->head = r->rings.mem;
    r->cqes = (uint8_t *)r->rings.mem + cqes;
    r->array = p->flags & LX_URING_NO_SQARRAY ? NULL : (void *)((uint8_t *)r->rings.mem + array);
    r->head->sq_mask = r->sq_entries - 1;
    r->head->cq_mask = r->cq_entries - 1;
    r->head->sq_entries = r->sq_entries;
    r->head->cq_entries = r->cq_entries;
    p->sq_off = (struct lx_sqring_offsets){
        .head = offsetof(struct lx_uring_rings, sq_head),
        .tail = offsetof(struct lx_uring_rings, sq_tail),
        .ring_mask = offsetof(struct lx_uring_rings, sq_mask),
        .ring_entries = offsetof(struct lx_uring_rings, sq_entries),
        .flags = offsetof(struct lx_uring_rings, sq_flags),
        .dropped = offsetof(struct lx_uring_rings, sq_dropped),
        .array = r->array ? (uint32_t)array : 0,
        .user_addr = p->flags & LX_URING_NO_MMAP ? p->sq_off.user_addr : 0,
    };
    p->cq_off = (struct lx_cqring_offsets){
        .head = offsetof(struct lx_uring_rings, cq_head),
        .tail = offsetof(struct lx_uring_rings, cq_tail),
        .ring_mask = offsetof(struct lx_uring_rings, cq_mask),
        .ring_entries = offsetof(struct lx_uring_rings, cq_entries),
        .overflow = offsetof(struct lx_uring_rings, cq_overflow),
        .cqes = (uint32_t)cqes,
        .flags = offsetof(struct lx_uring_rings, cq_flags),
        .user_addr = p->flags & LX_URING_NO_MMAP ? p->cq_off.user_addr : 0,
    };
    return 0;
}

static struct uring *ring_new(const struct lx_uring_params *p)
{
    struct uring *r = kzalloc(sizeof *r);

    if (!r)
        return NULL;
    atomic_init(&r->refs, 1);
    r->flags = p->flags;
    r->sq_entries = p->sq_entries;
    r->cq_entries = p->cq_entries;
    r->rings.fd = r->sqes.fd = -1;
    tlock_init(&r->submit);
    lock_init(&r->lock, LOCK_OBJECT);
    wq_init(&r->cq_wq);
    wq_init(&r->sq_wq);
    wq_init(&r->sqpoll_wq);
    wq_init(&r->advice_wq);
    list_init(&r->advice);
    list_init(&r->overflow);
    list_init(&r->late);
    for (unsigned i = 0; i < URING_BUCKETS; i++)
        list_init(&r->inflight[i]);
    list_init(&r->timeouts);
    list_init(&r->deferred);
    list_init(&r->groups);
    r->files.alloc_to = UINT32_MAX;
    r->max_workers[0] = r->max_workers[1] = 4 * kernel.ncpus;
    atomic_init(&r->disabled, (p->flags & LX_URING_R_DISABLED) != 0);
    return r;
}

static long set_up(struct task *t, struct setup *s)
{
    struct uring *r = s->ring;
    bool index = s->p.flags & LX_URING_REGISTERED_FD_ONLY;
    struct file *f;
    int fd;

    if (r->flags & LX_URING_SINGLE_ISSUER && !atomic_load(&r->disabled))
        r->issuer = t->tid;
    atomic_fetch_add(&r->refs, 1);
    f = anon_file_new("io_uring", &uring_ops, r, O_RDWR);
    if (IS_ERR(f)) {
        uring_put(r);
        return PTR_ERR(f);
    }
    f->mode |= FMODE_NOT_SENT;
    fd = r->flags & LX_URING_SQPOLL ? uring_sqpoll_start(t, r) : 0;
    if (fd < 0) {
        file_put(f);
        return fd;
    }
    if (index) {
        fd = uring_task_add(t, f, 0, URING_RING_FDS);
        file_put(f);
        return fd;
    }
    return fd_install(t, f, 0, /* cloexec= */ true);
}

/* The guest's own pages are the ring's: ours are mapped over them. */
static long map_over(struct task *t, struct setup *s)
{
    const struct shpages *p[2] = { &s->ring->rings, &s->ring->sqes };
    const gaddr_t at[2] = { s->p.cq_off.user_addr, s->p.sq_off.user_addr };
    gaddr_t limit = kernel.platform->as_limit();
    uint8_t probe;

    for (int i = 0; i < 2; i++) {
        if (!at[i] || at[i] & (PAGE_SIZE_4K - 1))
            return -EINVAL;
        if (at[i] >= limit || p[i]->len > limit - at[i] ||
            copy_in(t, &probe, at[i] + p[i]->len - 1, 1) < 0 || copy_in(t, &probe, at[i], 1) < 0)
            return -EFAULT;
        s->ops[i] = (struct as_op){ .kind = AS_MMAP,
                                    .fd = p[i]->fd,
                                    .a = { at[i], p[i]->len, PROT_READ | PROT_WRITE,
                                           MAP_SHARED | MAP_FIXED, 0 } };
    }
    s->ring->on_guest = true;
    t->call.phase = 1;
    return call_ops(t, s->ops, 2);
}

static long mapped(struct task *t, struct setup *s)
{
    for (int i = 0; i < 2; i++) {
        if (s->ops[i].ret < 0)
            return s->ops[i].ret;
        (void)!vma_add(t->mm, s->ops[i].a[0], s->ops[i].a[1], PROT_READ | PROT_WRITE, MAP_SHARED,
                       NULL, 0);
    }
    return set_up(t, s);
}

long uring_setup(struct task *t, unsigned entries, gaddr_t params)
{
    struct setup *s = call_scratch(t, sizeof *s);
    int r;

    if (!s)
        return -ENOMEM;
    t->call.scratch_free = setup_free;
    if (t->call.phase == 1)
        return mapped(t, s);
    if (get_guest(t, &s->p, params) < 0)
        return -EFAULT;
    r = check_flags(&s->p);
    if (r == 0)
        r = check_sizes(&s->p, entries);
    if (r == 0)
        r = check_attach(t, &s->p);
    if (r < 0)
        return r;
    s->ring = ring_new(&s->p);
    if (!s->ring)
        return -ENOMEM;
    r = make_pages(s->ring, &s->p);
    if (r < 0)
        return r;
    s->p.features = FEATURES;
    if (put_guest(t, params, &s->p) < 0)
        return -EFAULT;
    return s->p.flags & LX_URING_NO_MMAP ? map_over(t, s) : set_up(t, s);
}
