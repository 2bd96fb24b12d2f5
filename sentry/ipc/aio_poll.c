/* SPDX-License-Identifier: Apache-2.0 */
/* IOCB_CMD_POLL: the only kind of request that outlives io_submit; a call without a thread. */
#include <errno.h>

#include "sentry/ipc/aio_priv.h"
#include "sentry/ipc/poll.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/async.h"
#include "sentry/vfs/file.h"

struct aio_poll {
    struct task task; /* first */
    struct aio_ctx *ctx;
    struct list link; /* ctx->lock */
    struct poll_item item;
    struct file *resfd;
    struct lx_io_event ev;
};

static struct aio_poll *poll_of(struct task *t)
{
    return container_of(t, struct aio_poll, task);
}

static long poll_run(struct task *t)
{
    struct aio_poll *p = poll_of(t);
    int r = poll_items(t, &p->item, 1, /* now= */ false);

    return r > 0 ? (long)p->item.got : r;
}

static void poll_waits(struct task *t)
{
    struct aio_poll *p = poll_of(t);

    LOCK_SCOPE(&p->ctx->lock);
    list_add_tail(&p->ctx->polls, &p->link);
}

static void poll_done(struct task *t, long ret)
{
    struct aio_poll *p = poll_of(t);

    lock(&p->ctx->lock);
    list_del(&p->link);
    unlock(&p->ctx->lock);
    p->ev.res = async_cancelled(t) && ret < 0 ? 0 : ret;
    aio_complete(p->ctx, &p->ev, p->resfd);
    file_put(p->item.file);
    file_put(p->resfd);
    aio_ctx_put(p->ctx);
}

static void poll_free(struct task *t)
{
    kfree(poll_of(t));
}

static const struct async_ops poll_ops = {
    .run = poll_run,
    .waits = poll_waits,
    .done = poll_done,
    .free = poll_free,
};

int aio_poll_start(struct task *t, struct aio_ctx *c, struct file *f, struct file *resfd,
                   uint32_t events, uint64_t obj, uint64_t data)
{
    struct aio_poll *p = kzalloc(sizeof *p);

    if (!p) {
        file_put(f);
        file_put(resfd);
        aio_abort(c);
        return -ENOMEM;
    }
    async_init(&p->task, &poll_ops, t);
    /* The context ends with the memory, which it must not keep; nor does it end with the thread. */
    p->task.async_for = NULL;
    p->task.mm = NULL;
    p->task.files = NULL;
    p->task.fs = NULL;
    list_init(&p->link);
    atomic_fetch_add(&c->refs, 1);
    p->ctx = c;
    p->item = (struct poll_item){ .file = f, .want = events };
    p->resfd = resfd;
    p->ev = (struct lx_io_event){ .data = data, .obj = obj };
    async_start(&p->task);
    return 0;
}

static struct aio_poll *find(struct aio_ctx *c, uint64_t obj, bool any)
{
    struct aio_poll *p;

    LOCK_SCOPE(&c->lock);
    list_for_each(p, &c->polls, link) {
        if ((any || p->ev.obj == obj) && !async_cancelled(&p->task)) {
            task_ref(&p->task);
            return p;
        }
    }
    return NULL;
}

int aio_poll_cancel(struct aio_ctx *c, uint64_t obj)
{
    struct aio_poll *p = find(c, obj, /* any= */ false);
    bool ended;

    if (!p)
        return -EINVAL;
    ended = async_end(&p->task);
    task_put(&p->task);
    return ended ? -EINPROGRESS : -EINVAL;
}

void aio_poll_cancel_all(struct aio_ctx *c)
{
    struct aio_poll *p;

    while ((p = find(c, 0, /* any= */ true))) {
        async_end(&p->task);
        task_put(&p->task);
    }
}
