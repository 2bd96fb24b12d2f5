/* SPDX-License-Identifier: Apache-2.0 */
/* The client's requests about one file: open, read, map, extended attributes, statfs. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gofer/channel.h"

static void close_slot(struct gofer *g, uint32_t slot)
{
    pthread_mutex_lock(&g->lock);
    if (g->nclose < BATCH_MAX)
        g->close[g->nclose++] = slot;
    if (g->nclose >= CLOSE_BATCH &&
        channel_post(g, GW_CLOSE, g->close, g->nclose * sizeof(g->close[0])))
        g->nclose = 0;
    pthread_mutex_unlock(&g->lock);
}

int gofer_take_file(struct gofer *g, struct gmsg *m, struct gofer_file *f)
{
    f->whole = m->rep.flags & GW_WHOLE;
    if (m->rep.flags & GW_SLOT) {
        if (!g->ring || m->rep.value > INT32_MAX)
            return -EIO;
        f->slot = (int)m->rep.value;
    }
    f->fd = m->fd;
    m->fd = -1;
    return f->fd < 0 && f->slot < 0 && !f->whole ? -EIO : 0;
}

/* The same with the bytes behind the attributes. */
static int open_decode(struct gofer *g, struct gmsg *m, void *first, size_t cap,
                       struct gofer_file *f)
{
    if (m->rep.len < sizeof(struct gw_entry) || m->rep.len - sizeof(struct gw_entry) > cap)
        return -EIO;
    memcpy(&f->attr, m->data + offsetof(struct gw_entry, attr), sizeof(f->attr));
    f->nfirst = m->rep.len - sizeof(struct gw_entry);
    if (f->nfirst)
        memcpy(first, m->data + sizeof(struct gw_entry), f->nfirst);
    return gofer_take_file(g, m, f);
}

static int open_call(struct gofer *g, uint64_t node, const char *path, uint32_t flags, void *first,
                     size_t cap, struct gofer_file *f)
{
    struct gmsg *m;
    struct gcall c = { .op = GW_OPEN,
                       .node = node,
                       .flags = flags,
                       .arg = (uint32_t)cap,
                       .in = { path },
                       .inlen = { strlen(path) } };

    *f = (struct gofer_file){ .g = g, .fd = -1, .slot = -1 };
    int r = channel_call(g, &c, false, &m);
    if (r < 0)
        return r;
    r = open_decode(g, m, first, cap, f);
    channel_msg_free(g, m);
    return r;
}

int gofer_open(struct gofer *g, uint64_t node, const char *path, void *first, size_t cap,
               struct gofer_file *ret)
{
    size_t room = GW_MAX - sizeof(struct gw_reply) - sizeof(struct gw_entry);

    if (!first)
        cap = 0;
    return open_call(g, node, path, g->ring ? GW_WANT_SLOT : 0, first, cap < room ? cap : room,
                     ret);
}

_Static_assert(GOFER_FILES_MAX == GW_FILES_MAX && GOFER_SMALL_MAX == GW_SMALL_MAX, "as told");

/* The next file at data, of n bytes. How many it takes, or -EIO. */
static ssize_t small_decode(const unsigned char *data, size_t n, struct gofer_small *ret)
{
    struct gw_small w;

    if (n < sizeof(w))
        return -EIO;
    memcpy(&w, data, sizeof(w));
    memcpy(&ret->attr, &w.attr, sizeof(ret->attr));
    ret->error = w.error;
    ret->bytes = data + sizeof(w);
    if (w.len > GW_SMALL_MAX || GW_PAD8(w.len) > n - sizeof(w) || w.error > 0 || w.error < -4095 ||
        w.len != (w.error ? 0 : w.attr.size))
        return -EIO;
    return (ssize_t)(sizeof(w) + GW_PAD8(w.len));
}

int gofer_files(struct gofer *g, uint64_t node, const char *path, size_t len,
                void (*fn)(void *arg, unsigned i, const struct gofer_small *f), void *arg)
{
    struct gofer_small f;
    struct gmsg *m;
    struct gcall c = { .op = GW_FILES,
                       .node = node,
                       .arg = (uint32_t)strlen(path),
                       .in = { path },
                       .inlen = { len } };
    size_t at = 0;
    unsigned asked = 1;

    for (size_t i = 0; i < len; i++)
        asked += !path[i];
    int r = channel_call(g, &c, false, &m);
    if (r < 0)
        return r;
    if (m->rep.count > asked)
        r = -EIO;
    for (unsigned i = 0; r == 0 && i < m->rep.count; i++) {
        ssize_t n = small_decode(m->data + at, m->rep.len - at, &f);
        if (n < 0)
            r = -EIO;
        else
            fn(arg, i, &f);
        at += n < 0 ? 0 : (size_t)n;
    }
    if (r == 0 && at != m->rep.len)
        r = -EIO;
    channel_msg_free(g, m);
    return r;
}

int gofer_map_fd(struct gofer *g, uint64_t node, const char *path, struct gofer_attr *ret_attr)
{
    struct gofer_file f;

    int r = open_call(g, node, path, GW_ALWAYS_FD, NULL, 0, &f);
    if (r < 0)
        return r;
    if (f.fd < 0)
        return -EIO;
    if (ret_attr)
        *ret_attr = f.attr;
    return f.fd;
}

void gofer_file_close(struct gofer_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    if (f->slot >= 0)
        close_slot(f->g, (uint32_t)f->slot);
    f->fd = f->slot = -1;
}

ssize_t gofer_file_read(struct gofer_file *f, void *buf, size_t n, off_t off)
{
    if (off < 0)
        return -EINVAL; /* to a ring -1 would mean the position that all share */
    if (f->slot >= 0)
        return gofer_ring_read(f->g->ring, f->slot, buf, n, off);
    if (f->fd < 0)
        return -EBADF;
    for (;;) {
        ssize_t r = pread(f->fd, buf, n, off);
        if (r >= 0 || errno != EINTR)
            return r >= 0 ? r : -errno;
    }
}

ssize_t gofer_file_read_now(const struct gofer_file *f, void *buf, size_t n, off_t off)
{
    const struct iovec iov = { buf, n };
    ssize_t r;

    if (off < 0)
        return -EINVAL; /* the position of the descriptor, which others may have too */
    if (f->slot >= 0 || f->fd < 0)
        return -EOPNOTSUPP;
    do
        r = preadv2(f->fd, &iov, 1, off, RWF_NOWAIT);
    while (r < 0 && errno == EINTR);
    return r >= 0 ? r : -errno;
}

/* An answer that is nothing but bytes, with the rules of xattr calls for too small a buffer. */
static ssize_t bytes_call(struct gofer *g, const struct gcall *c, void *buf, size_t n)
{
    struct gmsg *m;

    ssize_t r = channel_call(g, c, false, &m);
    if (r < 0)
        return r;
    r = m->rep.len;
    if (n && m->rep.len > n)
        r = -ERANGE;
    else if (n)
        memcpy(buf, m->data, m->rep.len);
    channel_msg_free(g, m);
    return r;
}

ssize_t gofer_getxattr(struct gofer *g, uint64_t node, const char *path, const char *name,
                       void *buf, size_t n)
{
    struct gcall c = { .op = GW_GETXATTR,
                       .node = node,
                       .arg = (uint32_t)strlen(path),
                       .in = { path, name },
                       .inlen = { strlen(path), strlen(name) } };

    return bytes_call(g, &c, buf, n);
}

ssize_t gofer_listxattr(struct gofer *g, uint64_t node, const char *path, char *buf, size_t n)
{
    struct gcall c = {
        .op = GW_LISTXATTR, .node = node, .in = { path }, .inlen = { strlen(path) }
    };

    return bytes_call(g, &c, buf, n);
}

int gofer_statfs(struct gofer *g, uint64_t node, const char *path, struct gofer_statfs *ret)
{
    struct gmsg *m;
    struct gcall c = { .op = GW_STATFS, .node = node, .in = { path }, .inlen = { strlen(path) } };

    _Static_assert(sizeof(*ret) == sizeof(struct gw_statfs), "copied whole");
    int r = channel_call(g, &c, false, &m);
    if (r < 0)
        return r;
    if (m->rep.len == sizeof(*ret))
        memcpy(ret, m->data, sizeof(*ret));
    else
        r = -EIO;
    channel_msg_free(g, m);
    return r;
}
