/* SPDX-License-Identifier: Apache-2.0 */
/* See watch.h. */
#include "sentry/fs/live/watch.h"

#include <errno.h>
#include <unistd.h>

#include "sentry/fs/live/live.h"
#include "sentry/kernel/kernel.h"

int live_queue_new(struct inode *i, struct live_queue *ret)
{
    const struct gw_watch w = { .op = GW_WATCH_NEW };
    struct gofer_opened o;

    (void)i;
    gofer_trip_begin();
    int r = gofer_watch(kernel.shared, 0, "", &w, &o);
    gofer_trip_end();
    if (r == 0)
        *ret = (struct live_queue){ .node = o.node, .fd = o.fd };
    return r;
}

void live_queue_close(struct live_queue *q)
{
    if (q->fd < 0)
        return;
    close(q->fd);
    gofer_close(kernel.shared, q->node);
    q->fd = -1;
}

int live_watch(struct inode *i, const struct live_queue *q, uint32_t mask)
{
    const struct gw_watch w = { .queue = q->node, .op = GW_WATCH_ADD, .mask = mask };
    struct live_addr *a = live_addr(i, NULL, 0);
    int r;

    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    r = gofer_watch(kernel.shared, a->node, a->path, &w, NULL);
    gofer_trip_end();
    live_addr_put(i, a);
    return r;
}

void live_unwatch(const struct live_queue *q, int wd)
{
    const struct gw_watch w = { .queue = q->node, .op = GW_WATCH_REMOVE, .mask = (uint32_t)wd };

    gofer_trip_begin();
    (void)gofer_watch(kernel.shared, 0, "", &w, NULL); /* it may have ended by itself */
    gofer_trip_end();
}
