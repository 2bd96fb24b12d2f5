/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's life, and the requests about names: exports, walks, attributes, links, listings.
 * What the gofer answers is checked here before it is used: it may be compromised.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "gofer/channel.h"

_Static_assert(sizeof(struct gofer_attr) == sizeof(struct gw_attr), "copied whole");
_Static_assert(sizeof(struct gofer_node_reply) == sizeof(struct gw_entry), "copied whole");

static int hello(struct gofer *g)
{
    struct gmsg *m;
    struct gcall c = { .op = GW_HELLO };

    int r = channel_call(g, &c, false, &m);
    if (r < 0)
        return r;
    g->nexports = m->rep.count;
    g->nroots = g->nexports < GW_ROOTS_MAX ? g->nexports : GW_ROOTS_MAX;
    g->roots = calloc(g->nroots + 1, sizeof(*g->roots));
    r = m->rep.value == GW_VERSION && m->rep.len == g->nroots * sizeof(*g->roots) ? 0 : -EPROTO;
    if (!g->roots)
        r = -ENOMEM;
    if (r == 0)
        memcpy(g->roots, m->data, m->rep.len);
    channel_msg_free(g, m);
    return r;
}

static int client_new(int sock, int ring_fd, bool plain, struct gofer **ret)
{
    struct gofer *g = calloc(1, sizeof(*g));

    if (!g) {
        hostfd_close(sock);
        return -ENOMEM;
    }
    g->sock = sock;
    g->plain = plain;
    atomic_init(&g->refs, 1);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->free_slot, NULL);
    for (unsigned i = 0; i < CHANNEL_SLOTS; i++) {
        pthread_cond_init(&g->slots[i].cond, NULL);
        g->slots[i].last = &g->slots[i].first;
    }
    if (ring_fd >= 0)
        g->ring = gofer_ring_open(ring_fd);
    int r = hello(g);
    if (r < 0) {
        gofer_client_free(g);
        return r;
    }
    *ret = g;
    return 0;
}

int gofer_client_new(int sock, int ring_fd, struct gofer **ret)
{
    return client_new(sock, ring_fd, false, ret);
}

int gofer_client_join(int sock, struct gofer **ret)
{
    return client_new(sock, -1, true, ret);
}

void gofer_client_free(struct gofer *g)
{
    if (!g)
        return;
    hostfd_close(g->sock);
    gofer_ring_close(g->ring);
    while (g->spare) {
        struct gmsg *m = g->spare;
        g->spare = m->next;
        free(m);
    }
    for (unsigned i = 0; i < CHANNEL_SLOTS; i++)
        pthread_cond_destroy(&g->slots[i].cond);
    pthread_cond_destroy(&g->free_slot);
    pthread_mutex_destroy(&g->lock);
    free(g->roots);
    free(g);
}

struct gofer *gofer_client_ref(struct gofer *g)
{
    atomic_fetch_add(&g->refs, 1);
    return g;
}

void gofer_client_put(struct gofer *g)
{
    if (g && atomic_fetch_sub(&g->refs, 1) == 1)
        gofer_client_free(g);
}

unsigned gofer_nexports(struct gofer *g)
{
    return g->nexports;
}

uint64_t gofer_trips(struct gofer *g)
{
    return atomic_load(&g->trips);
}

static struct gcall path_call(uint16_t op, uint64_t node, const char *path)
{
    return (struct gcall){ .op = op, .node = node, .in = { path }, .inlen = { strlen(path) } };
}

/* An answer that is exactly one entry. */
static int entry_call(struct gofer *g, const struct gcall *c, struct gofer_node_reply *ret,
                      uint64_t *ret_value)
{
    struct gmsg *m;

    int r = channel_call(g, c, false, &m);
    if (r < 0)
        return r;
    if (m->rep.len == sizeof(*ret))
        memcpy(ret, m->data, sizeof(*ret));
    else
        r = -EIO;
    *ret_value = m->rep.value;
    channel_msg_free(g, m);
    return r;
}

int gofer_root(struct gofer *g, unsigned export_id, struct gofer_node_reply *ret, bool *ret_stable)
{
    struct gcall c = { .op = GW_ROOT, .arg = export_id };
    uint64_t value = 0;

    if (export_id < g->nroots) {
        const struct gw_root *root = &g->roots[export_id];
        memcpy(ret, &root->entry, sizeof(*ret));
        if (ret_stable)
            *ret_stable = root->flags & GW_STABLE;
        return 0;
    }
    int r = entry_call(g, &c, ret, &value);
    if (r == 0 && ret_stable)
        *ret_stable = value & GW_STABLE;
    return r;
}

int gofer_getattr(struct gofer *g, uint64_t node, const char *path, struct gofer_attr *ret)
{
    struct gofer_node_reply e;
    struct gcall c = path_call(GW_GETATTR, node, path);
    uint64_t value;

    int r = entry_call(g, &c, &e, &value);
    if (r == 0)
        *ret = e.attr;
    return r;
}

/* What follows the entries: the target of a link, or the bytes of a file and how to get at it. */
static int walk_tail(struct gofer *g, struct gmsg *m, size_t entries, struct gofer_walk_end *end)
{
    const unsigned char *tail = m->data + entries;
    size_t n = m->rep.len - entries;

    if (m->rep.flags & GW_LINK && end->link) {
        n = n < end->linkcap - 1 ? n : end->linkcap - 1;
        memcpy(end->link, tail, n);
        end->link[n] = 0;
        return 0;
    }
    if (!(m->rep.flags & GW_OPENED))
        return n && !(m->rep.flags & GW_LINK) ? -EIO : 0;
    if (!m->rep.count)
        return -EIO;
    if (end->open && !n && m->fd < 0) { /* our own table is full: it is looked at only */
        gofer_forget(g, m->rep.value);
        return 0;
    }
    if (end->open && !n) {
        memcpy(&end->file.attr, tail - sizeof(end->file.attr), sizeof(end->file.attr));
        end->file.fd = m->fd;
        m->fd = -1;
        end->node = m->rep.value;
        end->opened = true;
        return 0;
    }
    if (!end->first || n > end->cap)
        return -EIO;
    memcpy(&end->file.attr, tail - sizeof(end->file.attr), sizeof(end->file.attr));
    end->file.nfirst = n;
    memcpy(end->first, tail, n);
    end->opened = true;
    return gofer_take_file(g, m, &end->file);
}

int gofer_walk(struct gofer *g, uint64_t node, const char *path, struct gofer_node_reply *ret,
               unsigned max, unsigned *ret_n, struct gofer_walk_end *end)
{
    struct gofer_walk_end none = { .link = NULL };
    struct gmsg *m;
    struct gcall c = path_call(GW_WALK, node, path);

    end = end ? end : &none;
    end->opened = false;
    end->file = (struct gofer_file){ .g = g, .fd = -1, .slot = -1 };
    if (end->link)
        end->link[0] = 0;
    *ret_n = 0;
    c.flags = (end->no_nodes ? 0 : GW_WANT_NODES) | (end->first || end->open ? GW_WALK_OPEN : 0) |
              (g->ring ? GW_WANT_SLOT : 0);
    c.arg = (uint32_t)end->cap;
    int r = channel_call(g, &c, true, &m);
    if (r < 0)
        return r;
    size_t entries = (size_t)m->rep.count * sizeof(*ret);
    r = m->rep.count > max || m->rep.count > GW_DEPTH_MAX || entries > m->rep.len ? -EIO : 0;
    if (r == 0) {
        memcpy(ret, m->data, entries);
        r = walk_tail(g, m, entries, end);
    }
    if (r == 0) {
        *ret_n = m->rep.count;
        r = m->rep.error;
    }
    channel_msg_free(g, m);
    return r;
}

ssize_t gofer_readlink(struct gofer *g, uint64_t node, const char *path, char *buf, size_t cap)
{
    struct gmsg *m;
    struct gcall c = path_call(GW_READLINK, node, path);

    int r = channel_call(g, &c, false, &m);
    if (r < 0)
        return r;
    size_t n = m->rep.len < cap ? m->rep.len : cap;
    memcpy(buf, m->data, n);
    channel_msg_free(g, m);
    return (ssize_t)n;
}

/* Gives the entries of one datagram to fn. What fn says, or -EIO. */
static int list_decode(const struct gmsg *m, int (*fn)(void *arg, const struct gofer_dirent *e),
                       void *arg)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < m->rep.count; i++) {
        struct gw_dirent w;
        struct gofer_dirent e;
        if (m->rep.len - at < sizeof(w))
            return -EIO;
        memcpy(&w, m->data + at, sizeof(w));
        at += (uint32_t)sizeof(w);
        uint32_t tail = GW_PAD8((uint32_t)w.namelen + w.linklen);
        if (!w.namelen || w.namelen > GW_NAME_MAX || w.linklen > GW_LINK_MAX ||
            m->rep.len - at < tail)
            return -EIO;
        e.name = (const char *)m->data + at;
        e.namelen = w.namelen;
        e.link = e.name + w.namelen;
        e.linklen = w.linklen;
        e.has_attr = w.has_attr;
        memcpy(&e.entry, &w.entry, sizeof(e.entry));
        if (memchr(e.name, '/', e.namelen) || memchr(e.name, 0, e.namelen) ||
            memchr(e.link, 0, e.linklen))
            return -EIO;
        at += tail;
        int r = fn(arg, &e);
        if (r)
            return r;
    }
    return at == m->rep.len ? 0 : -EIO;
}

int gofer_list(struct gofer *g, uint64_t node, const char *path, bool attrs, unsigned max,
               int (*fn)(void *arg, const struct gofer_dirent *e), void *arg)
{
    struct gslot *s;
    struct gcall c = path_call(GW_LIST, node, path);
    bool more = true;

    c.flags = attrs ? GW_WANT_ATTR : 0;
    c.arg = max;
    int r = channel_begin(g, &c, &s);
    if (r < 0)
        return r;
    while (more) { /* to the end in any case: the slot must not get answers after this */
        struct gmsg *m;
        int e = channel_next(g, s, &m);
        if (e < 0) {
            r = r ? r : e;
            break;
        }
        more = m->rep.flags & GW_MORE && !m->rep.error;
        if (r == 0)
            r = m->rep.error ? m->rep.error : list_decode(m, fn, arg);
        channel_msg_free(g, m);
    }
    channel_end(g, s);
    return r;
}

void gofer_forget(struct gofer *g, uint64_t node)
{
    if (!node)
        return;
    pthread_mutex_lock(&g->lock);
    if (g->nforget < BATCH_MAX)
        g->forget[g->nforget++] = node;
    if (g->nforget >= FORGET_BATCH &&
        channel_post(g, GW_FORGET, g->forget, g->nforget * sizeof(g->forget[0])))
        g->nforget = 0;
    pthread_mutex_unlock(&g->lock);
}
