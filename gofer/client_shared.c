/* SPDX-License-Identifier: Apache-2.0 */
/* See client_shared.h. */
#include "gofer/client_shared.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "gofer/channel.h"

static void add(struct gcall *c, const void *p, size_t n)
{
    unsigned i = 0;

    while (c->inlen[i]) /* there is always room: none is larger than CHANNEL_PIECES */
        i++;
    c->in[i] = p;
    c->inlen[i] = n;
}

/* An answer without anything in it. */
static int plain_call(struct gofer *g, const struct gcall *c)
{
    struct gmsg *m;

    int r = channel_call(g, c, false, &m);
    if (r < 0)
        return r;
    r = m->rep.len ? -EIO : 0;
    channel_msg_free(g, m);
    return r;
}

/* An entry, perhaps with a descriptor; that must come where want_fd is. */
static int opened_call(struct gofer *g, const struct gcall *c, bool want_fd,
                       struct gofer_opened *ret)
{
    struct gw_entry e;
    struct gmsg *m;

    int r = channel_call(g, c, true, &m);
    if (r < 0)
        return r;
    *ret = (struct gofer_opened){ .fd = -1 };
    if (m->rep.error < 0) {
        r = m->rep.error;
        if (m->rep.len ==
            sizeof(e)) { /* it went well there, but no descriptor more was to be had */
            memcpy(&e, m->data, sizeof(e));
            gofer_close(g, e.node);
        }
        channel_msg_free(g, m);
        return r;
    }
    if (m->rep.len != sizeof(e) || want_fd != (m->fd >= 0)) {
        channel_msg_free(g, m);
        return -EIO;
    }
    memcpy(&e, m->data, sizeof(e));
    memcpy(&ret->attr, &e.attr, sizeof(ret->attr));
    ret->node = e.node;
    ret->fd = m->fd;
    m->fd = -1;
    channel_msg_free(g, m);
    return 0;
}

int gofer_make(struct gofer *g, uint64_t node, const char *path, const struct gw_make *make,
               const char *target, struct gofer_opened *ret)
{
    struct gcall c = { .op = GW_MAKE, .node = node, .arg = (uint32_t)strlen(path) };
    bool opens = (make->mode & 0170000) == 0100000 && make->open != GW_MAKE_CLOSED;

    add(&c, make, sizeof(*make));
    add(&c, path, strlen(path));
    if (target)
        add(&c, target, strlen(target));
    return opened_call(g, &c, opens, ret);
}

int gofer_openat(struct gofer *g, uint64_t node, const char *path, int flags,
                 struct gofer_opened *ret)
{
    struct gcall c = { .op = GW_OPENAT, .node = node, .arg = (uint32_t)flags };

    add(&c, path, strlen(path));
    return opened_call(g, &c, /* want_fd= */ true, ret);
}

void gofer_close(struct gofer *g, uint64_t node)
{
    if (node && !channel_post(g, GW_FORGET, &node, sizeof(node)))
        gofer_forget(g, node); /* the queue is full: with the next ones */
}

int gofer_remove(struct gofer *g, uint64_t node, const char *path, bool dir)
{
    struct gcall c = { .op = GW_REMOVE, .node = node, .arg = dir };

    add(&c, path, strlen(path));
    return plain_call(g, &c);
}

static int move_call(struct gofer *g, uint16_t op, uint64_t node, const char *path, uint64_t to,
                     const char *new, unsigned flags)
{
    struct gw_move m = { .to = to, .oldlen = (uint32_t)strlen(path), .flags = flags };
    struct gcall c = { .op = op, .node = node };

    add(&c, &m, sizeof(m));
    add(&c, path, strlen(path));
    add(&c, new, strlen(new));
    return plain_call(g, &c);
}

int gofer_rename(struct gofer *g, uint64_t node, const char *path, uint64_t to, const char *new,
                 unsigned flags)
{
    return move_call(g, GW_RENAME, node, path, to, new, flags);
}

int gofer_link(struct gofer *g, uint64_t node, const char *path, uint64_t to, const char *new)
{
    return move_call(g, GW_LINKAT, node, path, to, new, 0);
}

int gofer_setattr(struct gofer *g, uint64_t node, const char *path, const struct gw_setattr *a,
                  struct gofer_attr *ret)
{
    struct gcall c = { .op = GW_SETATTR, .node = node };
    struct gofer_opened o;

    add(&c, a, sizeof(*a));
    add(&c, path, strlen(path));
    int r = opened_call(g, &c, /* want_fd= */ false, &o);
    if (r == 0)
        *ret = o.attr;
    return r;
}

int gofer_setxattr(struct gofer *g, uint64_t node, const char *path, const char *name,
                   const void *value, size_t n, int flags)
{
    struct gw_setxattr x = { .pathlen = (uint32_t)strlen(path),
                             .namelen = (uint32_t)strlen(name),
                             .flags = (uint32_t)flags,
                             .remove = !value };
    struct gcall c = { .op = GW_SETXATTR, .node = node };

    add(&c, &x, sizeof(x));
    add(&c, path, strlen(path));
    add(&c, name, strlen(name));
    if (value)
        add(&c, value, n);
    return plain_call(g, &c);
}

int gofer_sync(struct gofer *g, uint64_t node, const char *path, bool whole)
{
    struct gcall c = { .op = GW_SYNC, .node = node, .arg = whole };

    add(&c, path, strlen(path));
    return plain_call(g, &c);
}

int gofer_lock(struct gofer *g, uint64_t node, struct gw_lock *l)
{
    struct gcall c = { .op = GW_LOCK, .node = node };
    struct gmsg *m;

    add(&c, l, sizeof(*l));
    int r = channel_call(g, &c, false, &m);
    if (r < 0)
        return r;
    if (m->rep.len == sizeof(*l))
        memcpy(l, m->data, sizeof(*l));
    else
        r = -EIO;
    channel_msg_free(g, m);
    return r;
}

int gofer_watch(struct gofer *g, uint64_t node, const char *path, const struct gw_watch *w,
                struct gofer_opened *ret)
{
    struct gcall c = { .op = GW_WATCH, .node = node };
    struct gmsg *m;

    add(&c, w, sizeof(*w));
    if (*path)
        add(&c, path, strlen(path));
    if (w->op == GW_WATCH_NEW)
        return opened_call(g, &c, /* want_fd= */ true, ret);
    int r = channel_call(g, &c, false, &m);
    if (r < 0)
        return r;
    r = m->rep.len || m->rep.value > INT32_MAX ? -EIO : (int)m->rep.value;
    channel_msg_free(g, m);
    return r;
}
