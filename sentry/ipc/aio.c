/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts of AIO and their rings; see aio.h. Polls stand in aio_poll.c. */
#include "sentry/ipc/aio.h"

#include <errno.h>
#include <poll.h>

#include "sentry/ipc/aio_priv.h"
#include "sentry/ipc/eventfd.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"

struct aio_table { /* mm->lock */
    struct list ctxs;
    unsigned next;
};

static _Atomic uint64_t in_use;

uint64_t aio_count(void)
{
    return atomic_load(&in_use);
}

/* ---- life ---- */

static struct lx_aio_ring *ring_of(struct aio_ctx *c)
{
    return c->pages.mem;
}

static struct lx_io_event *slot(struct aio_ctx *c, unsigned i)
{
    return (struct lx_io_event *)(ring_of(c) + 1) + i;
}

static int take_count(struct aio_ctx *c, unsigned n)
{
    if (atomic_fetch_add(&in_use, n) + n > AIO_MAX_NR) {
        atomic_fetch_sub(&in_use, n);
        return -EAGAIN;
    }
    c->max = n;
    return 0;
}

/* As Linux: room for twice what was asked, at least for some of each processor, in whole pages. */
static int make_ring(struct aio_ctx *c, unsigned asked)
{
    unsigned want = MAX(asked, kernel.ncpus * 4) * 2 + 2;
    int r = shpages_new(&c->pages, sizeof(struct lx_aio_ring) + want * sizeof(struct lx_io_event));

    if (r < 0)
        return r == -ENFILE ? r : -ENOMEM;
    c->nr = (unsigned)((c->pages.len - sizeof(struct lx_aio_ring)) / sizeof(struct lx_io_event));
    *ring_of(c) = (struct lx_aio_ring){ .id = ~0u,
                                        .nr = c->nr,
                                        .magic = LX_AIO_RING_MAGIC,
                                        .compat = 1,
                                        .header_length = sizeof(struct lx_aio_ring) };
    return 0;
}

struct aio_ctx *aio_ctx_new(struct task *t, unsigned nr)
{
    struct aio_ctx *c = kzalloc(sizeof *c);
    int r;

    (void)t;
    if (!c)
        return ERR_PTR(-ENOMEM);
    atomic_init(&c->refs, 1);
    list_init(&c->link);
    list_init(&c->polls);
    lock_init(&c->lock, LOCK_OBJECT);
    wq_init(&c->wq);
    c->pages.fd = -1;
    r = take_count(c, nr);
    if (r == 0)
        r = make_ring(c, nr);
    if (r < 0) {
        aio_ctx_put(c);
        return ERR_PTR(r);
    }
    return c;
}

void aio_ctx_put(struct aio_ctx *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    atomic_fetch_sub(&in_use, c->max);
    if (c->pages.fd >= 0)
        shpages_free(&c->pages);
    wq_done(&c->wq);
    lock_done(&c->lock);
    kfree(c);
}

void aio_ctx_publish(struct task *t, struct aio_ctx *c, gaddr_t id)
{
    struct mm *mm = t->mm;

    LOCK_SCOPE(&mm->lock);
    if (!mm->aio)
        mm->aio = kzalloc(sizeof *mm->aio);
    if (!mm->aio)
        return; /* it is not found, and ends with the caller's reference */
    if (!mm->aio->ctxs.next)
        list_init(&mm->aio->ctxs);
    c->index = mm->aio->next++;
    ring_of(c)->id = c->index;
    c->id = id;
    atomic_fetch_add(&c->refs, 1);
    list_add_tail(&mm->aio->ctxs, &c->link);
}

struct aio_ctx *aio_ctx_get(struct task *t, gaddr_t id)
{
    struct mm *mm = t->mm;
    struct aio_ctx *c;

    LOCK_SCOPE(&mm->lock);
    if (!mm->aio)
        return NULL;
    list_for_each(c, &mm->aio->ctxs, link) {
        if (c->id == id) {
            atomic_fetch_add(&c->refs, 1);
            return c;
        }
    }
    return NULL;
}

bool aio_ctx_kill(struct mm *mm, struct aio_ctx *c)
{
    bool mine;

    lock(&mm->lock);
    mine = !list_empty(&c->link);
    list_del(&c->link);
    unlock(&mm->lock);
    if (!mine)
        return false;
    lock(&c->lock);
    c->dead = true;
    wq_wake_all(&c->wq, 0);
    unlock(&c->lock);
    aio_poll_cancel_all(c);
    aio_ctx_put(c); /* the table's */
    return true;
}

void aio_mm_gone(struct mm *mm)
{
    if (!mm->aio)
        return;
    while (!list_empty(&mm->aio->ctxs))
        aio_ctx_kill(mm, list_first(&mm->aio->ctxs, struct aio_ctx, link));
    kfree(mm->aio);
}

/* ---- events ---- */

/* How many events lie in the ring, as far as its head can be believed. */
static unsigned filled_locked(struct aio_ctx *c, unsigned *ret_head)
{
    assert_locked(&c->lock);
    *ret_head = sh_load(&ring_of(c)->head) % c->nr;
    return (c->tail + c->nr - *ret_head) % c->nr;
}

bool aio_begin(struct aio_ctx *c)
{
    unsigned head;

    LOCK_SCOPE(&c->lock);
    if (c->active + filled_locked(c, &head) >= c->nr - 1)
        return false;
    c->active++;
    return true;
}

void aio_abort(struct aio_ctx *c)
{
    LOCK_SCOPE(&c->lock);
    c->active--;
}

void aio_complete(struct aio_ctx *c, const struct lx_io_event *ev, struct file *resfd)
{
    lock(&c->lock);
    *slot(c, c->tail) = *ev;
    c->tail = (c->tail + 1) % c->nr;
    sh_store(&ring_of(c)->tail, c->tail);
    c->active--;
    wq_wake(&c->wq, 0);
    unlock(&c->lock);
    if (resfd)
        eventfd_signal(resfd);
}

long aio_take(struct task *t, struct aio_ctx *c, gaddr_t to, long max)
{
    unsigned head, n;
    long done = 0;

    LOCK_SCOPE(&c->lock);
    n = filled_locked(c, &head);
    while (n && done < max) {
        unsigned run = MIN(MIN(n, c->nr - head), (unsigned)MIN(max - done, (long)UINT16_MAX));

        if (copy_out(t, to + (gaddr_t)done * sizeof(struct lx_io_event), slot(c, head),
                     run * sizeof(struct lx_io_event)) < 0)
            return done ? done : -EFAULT;
        head = (head + run) % c->nr;
        sh_store(&ring_of(c)->head, head);
        n -= run;
        done += run;
    }
    return done || !c->dead ? done : -EINVAL;
}

int aio_wait(struct task *t, struct aio_ctx *c)
{
    unsigned head;

    LOCK_SCOPE(&c->lock);
    if (c->dead || filled_locked(c, &head))
        return 0;
    return task_wait(t, &c->wq, 0);
}
