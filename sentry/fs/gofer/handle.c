/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opened host files. open(2) inside makes no trip: rights were checked against the attributes, and
 * the host's file is opened when it is first read, mapped, or sought in. All open files of one name
 * share the handle, and some handles stay when nobody uses them, so a library that each program
 * opens anew costs one trip in all.
 *
 * Where the host may change files under us (!fs->stable) a handle is used again only while its
 * attributes are fresh: then a file replaced on the host is seen after that time at the latest.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/timer.h"

#define WHOLE_MAX 32768 /* files up to this come with the open */
#define HEAD 4096       /* of larger ones this much: a program's headers */
#define IDLE_MAX 64
#define IDLE_BYTES (1u << 20)

#define MAPS_MAX 64
#define MAP_LEN_MAX (64ul << 20) /* the page tables are nobody's but ours */

static _Atomic unsigned nmaps;

static size_t map_len(const struct ghandle *h)
{
    return MIN(PAGE_ALIGN_UP(h->file.attr.size), MAP_LEN_MAX);
}

static void unmap(char *map, size_t len)
{
    munmap(map, len);
    atomic_fetch_sub(&nmaps, 1);
}

static void handle_free(struct ghandle *h)
{
    int map_fd = atomic_load(&h->map_fd);
    char *map = atomic_load(&h->map);

    if (map)
        unmap(map, map_len(h));
    if (map_fd >= 0)
        close(map_fd);
    gofer_file_close(&h->file);
    kfree(h->first);
    kfree(h);
}

static void idle_del_locked(struct gofer_fs *fs, struct ghandle *h)
{
    list_del(&h->idle_link);
    fs->nidle--;
    fs->idle_bytes -= h->file.nfirst;
}

/* No name, no users: it goes. */
static void detach_locked(struct gofer_fs *fs, struct ghandle *h)
{
    if (h->name)
        h->name->handle = NULL;
    h->name = NULL;
    if (h->users)
        return;
    if (!list_empty(&h->idle_link))
        idle_del_locked(fs, h);
    handle_free(h);
}

void ghandle_drop_locked(struct gofer_fs *fs, struct gname *n)
{
    if (n->handle)
        detach_locked(fs, n->handle);
}

static void put_locked(struct gofer_fs *fs, struct ghandle *h)
{
    if (--h->users)
        return;
    if (!h->name) {
        handle_free(h);
        return;
    }
    list_add_tail(&fs->idle, &h->idle_link);
    fs->nidle++;
    fs->idle_bytes += h->file.nfirst;
    while (fs->nidle > IDLE_MAX || fs->idle_bytes > IDLE_BYTES)
        detach_locked(fs, list_first(&fs->idle, struct ghandle, idle_link));
}

void ghandle_put(struct gofer_fs *fs, struct ghandle *h)
{
    LOCK_SCOPE(&fs->lock);
    put_locked(fs, h);
}

/* Is what h has open the file that n was told to be, last time it was asked for? */
static bool same_file_locked(const struct gofer_fs *fs, const struct ghandle *h,
                             const struct gname *n)
{
    const struct gofer_attr *a = &h->file.attr, *b = n->attr;

    return fs->stable || (b && a->ino == b->ino && a->dev == b->dev && a->size == b->size &&
                          a->ctime_s == b->ctime_s && a->ctime_ns == b->ctime_ns);
}

/* The handle that n has, with a user more; NULL. */
static struct ghandle *use_locked(struct gofer_fs *fs, struct gname *n)
{
    struct ghandle *h = n->handle;

    if (!h || !gname_fresh_locked(fs, n) || !same_file_locked(fs, h, n))
        return NULL;
    if (h->ahead && !ghandle_use_ahead_locked(fs, h))
        return NULL;
    if (!h->users++)
        idle_del_locked(fs, h);
    return h;
}

static int open_trip(struct gofer_fs *fs, struct gname *n, struct ghandle **ret)
{
    struct ghandle *h = kzalloc(sizeof *h);
    struct gaddr *addr = kzalloc(sizeof *addr);
    size_t cap = HEAD;
    int r = h && addr ? 0 : -ENOMEM;

    if (r == 0 && ghandle_read_ahead(fs, n, addr, ret)) {
        kfree(addr);
        kfree(h);
        return 0;
    }
    if (r == 0) {
        lock(&fs->lock);
        r = gname_addr_locked(fs, n, NULL, addr);
        if (n->attr && n->attr->size < WHOLE_MAX)
            cap = n->attr->size + 1;
        unlock(&fs->lock);
        h->first = kzalloc(cap);
        if (!h->first)
            r = -ENOMEM;
    }
    if (r == 0) {
        gofer_trip_begin();
        r = gofer_open(fs->g, addr->node, addr->path, h->first, cap, &h->file);
        gofer_trip_end();
    }
    kfree(addr);
    if (r < 0) {
        if (h)
            kfree(h->first);
        kfree(h);
        return r;
    }
    atomic_init(&h->map_fd, -1);
    list_init(&h->idle_link);
    h->users = 1;
    h->stamp = ktime_now();
    *ret = h;
    return 0;
}

struct ghandle *ghandle_new(const struct gofer_file *file, const void *first)
{
    struct ghandle *h = kzalloc(sizeof *h);

    if (h)
        h->first = kmemdup(first, file->nfirst + !file->nfirst);
    if (!h || !h->first) {
        struct gofer_file f = *file;
        gofer_file_close(&f);
        kfree(h);
        return NULL;
    }
    h->file = *file;
    atomic_init(&h->map_fd, -1);
    list_init(&h->idle_link);
    h->stamp = ktime_now();
    h->users = 1;
    return h;
}

void ghandle_keep_locked(struct gofer_fs *fs, struct gname *n, struct ghandle *h)
{
    assert_locked(&fs->lock);
    if (n && n->handle && !same_file_locked(fs, n->handle, n))
        ghandle_drop_locked(fs, n);
    if (n && !n->handle) {
        h->name = n;
        n->handle = h;
    }
    put_locked(fs, h);
}

int ghandle_get(struct gofer_fs *fs, struct gname *n, struct ghandle **ret)
{
    struct ghandle *h, *other;

    lock(&fs->lock);
    h = use_locked(fs, n);
    unlock(&fs->lock);
    if (!h) {
        int r = open_trip(fs, n, &h);
        if (r < 0)
            return r;
        lock(&fs->lock);
        other = use_locked(fs, n);
        if (!other) {
            ghandle_drop_locked(fs, n); /* stale */
            h->name = n;
            n->handle = h;
            gname_attr_locked(fs, n, &h->file.attr);
        }
        unlock(&fs->lock);
        if (other)
            handle_free(h);
        h = other ? other : h;
    }
    *ret = h;
    return 0;
}

bool ghandle_fresh(const struct gofer_fs *fs, const struct ghandle *h)
{
    return fs->stable || ktime_now() - h->stamp < FRESH_FOR;
}

int ghandle_map_fd(struct gofer_fs *fs, struct ghandle *h)
{
    struct gaddr *addr;
    int fd = h->file.fd >= 0 ? h->file.fd : atomic_load(&h->map_fd), none = -1;

    if (fd >= 0)
        return fd;
    addr = kzalloc(sizeof *addr);
    if (!addr)
        return -ENOMEM;
    lock(&fs->lock);
    int r = h->name ? gname_addr_locked(fs, h->name, NULL, addr) : -ESTALE;
    unlock(&fs->lock);
    gofer_trip_begin();
    if (r == 0)
        r = gofer_map_fd(fs->g, addr->node, addr->path, NULL);
    gofer_trip_end();
    kfree(addr);
    if (r >= 0 && !atomic_compare_exchange_strong(&h->map_fd, &none, r)) {
        close(r); /* another task was faster */
        r = none;
    }
    return r;
}

/* Made at the second large read: one alone costs as much either way. */
static char *make_map(struct gofer_fs *fs, struct ghandle *h)
{
    size_t len = map_len(h);
    char *none = NULL;
    void *p;
    int fd;

    if (!len || atomic_fetch_add(&h->large, 1) == 0 || (fd = ghandle_map_fd(fs, h)) < 0)
        return NULL;
    if (atomic_fetch_add(&nmaps, 1) >= MAPS_MAX ||
        (p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED) {
        atomic_fetch_sub(&nmaps, 1);
        return NULL;
    }
    if (atomic_compare_exchange_strong(&h->map, &none, p))
        return p;
    unmap(p, len);
    return none;
}

const char *ghandle_map(struct gofer_fs *fs, struct ghandle *h, loff_t pos, size_t n)
{
    char *map = atomic_load(&h->map);

    if (!map)
        map = make_map(fs, h);
    return map && (uint64_t)pos < map_len(h) && n <= map_len(h) - (uint64_t)pos ? map + pos : NULL;
}
