/* SPDX-License-Identifier: Apache-2.0 */
/* See watch.h. */
#include "sentry/fs/live/watch.h"

#include <errno.h>
#include <unistd.h>

#include "sentry/fs/live/live.h"

int live_queue_new(struct inode *i, struct live_queue *ret)
{
    const struct gw_watch w = { .op = GW_WATCH_NEW };
    struct gofer *g = live_fs_of(i)->g;
    struct gofer_opened o;

    gofer_trip_begin();
    int r = gofer_watch(g, 0, "", &w, &o);
    gofer_trip_end();
    if (r == 0)
        *ret = (struct live_queue){ .g = gofer_client_ref(g), .node = o.node, .fd = o.fd };
    return r;
}

void live_queue_close(struct live_queue *q)
{
    if (q->fd < 0)
        return;
    close(q->fd);
    gofer_close(q->g, q->node);
    gofer_client_put(q->g);
    q->fd = -1;
}

int live_watch(struct inode *i, const struct live_queue *q, uint32_t mask)
{
    const struct gw_watch w = { .queue = q->node, .op = GW_WATCH_ADD, .mask = mask };
    struct live_addr *a;
    int r;

    if (live_fs_of(i)->g != q->g)
        return -EXDEV;
    a = live_addr(i, NULL, 0);
    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    r = gofer_watch(q->g, a->node, a->path, &w, NULL);
    gofer_trip_end();
    live_addr_put(i, a);
    return r;
}

void live_unwatch(const struct live_queue *q, int wd)
{
    const struct gw_watch w = { .queue = q->node, .op = GW_WATCH_REMOVE, .mask = (uint32_t)wd };

    gofer_trip_begin();
    (void)gofer_watch(q->g, 0, "", &w, NULL); /* it may have ended by itself */
    gofer_trip_end();
}
