/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of known names. See names.h. */
#include "sentry/fs/gofer/names.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/timer.h"

static struct gname *gname_alloc(struct gofer_fs *fs, struct gname *parent, const char *name,
                                 size_t len)
{
    struct gname *n = kzalloc(sizeof *n + len + 1);

    if (!n)
        return NULL;
    n->parent = parent;
    n->namelen = len;
    memcpy(n->name, name, len);
    fs->nnames++;
    return n;
}

static uint32_t *slot_locked(struct gdir *d, const char *name, size_t len)
{
    uint32_t mask = d->hcap - 1, h = XXH3_64bits(name, len) & mask;

    for (;; h = (h + 1) & mask) {
        struct gname *k = d->hash[h] ? d->kids[d->hash[h] - 1] : NULL;
        if (!d->hash[h] || (k && k->namelen == len && !memcmp(k->name, name, len)))
            return &d->hash[h];
    }
}

/* Room for one more kid, in the array and the hash. */
static int grow_locked(struct gdir *d)
{
    if (d->n == d->cap) {
        uint32_t cap = d->cap ? d->cap * 2 : 8;
        struct gname **kids = krealloc(d->kids, cap * sizeof(*kids));

        if (!kids)
            return -ENOMEM;
        d->kids = kids;
        d->cap = cap;
    }
    if (d->n * 2 >= d->hcap) {
        uint32_t hcap = d->hcap ? d->hcap * 2 : 16;
        uint32_t *hash = kzalloc(hcap * sizeof(*hash));

        if (!hash)
            return -ENOMEM;
        kfree(d->hash);
        d->hash = hash;
        d->hcap = hcap;
        for (uint32_t i = 0; i < d->n; i++)
            if (d->kids[i])
                *slot_locked(d, d->kids[i]->name, d->kids[i]->namelen) = i + 1;
    }
    return 0;
}

struct gname *gname_find_locked(struct gofer_fs *fs, struct gname *dir, const char *name,
                                size_t len)
{
    assert_locked(&fs->lock);
    if (!dir->dir || !dir->dir->hcap)
        return NULL;
    uint32_t index = *slot_locked(dir->dir, name, len);
    return index ? dir->dir->kids[index - 1] : NULL;
}

static struct gname *add_locked(struct gofer_fs *fs, struct gname *dir, const char *name,
                                size_t len)
{
    if (!dir->dir)
        dir->dir = kzalloc(sizeof *dir->dir);
    if (!dir->dir || grow_locked(dir->dir) < 0)
        return NULL;
    struct gname *n = gname_alloc(fs, dir, name, len);
    if (!n)
        return NULL;
    n->index = dir->dir->n;
    dir->dir->kids[dir->dir->n++] = n;
    *slot_locked(dir->dir, name, len) = n->index + 1;
    return n;
}

void gname_attr_locked(struct gofer_fs *fs, struct gname *n, const struct gofer_attr *a)
{
    assert_locked(&fs->lock);
    n->ino = gname_ino_locked(fs, a);
    n->mode = a->mode;
    if (!n->attr)
        n->attr = kzalloc(sizeof *n->attr);
    if (n->attr)
        *n->attr = *a;
    n->stamp = ktime_now();
}

/* The name stands for another object now. Its names beneath stay as gone: paths may lie there. */
static void replaced_locked(struct gofer_fs *fs, struct gname *n)
{
    ghandle_drop_locked(fs, n);
    kfree(n->target);
    kfree(n->attr);
    n->target = NULL;
    n->attr = NULL;
    n->inode = NULL; /* its holders keep it; what it asks from now on is answered by the name */
    if (n->node)
        gofer_forget(fs->g, n->node);
    n->node = 0;
    if (n->dir) {
        n->dir->complete = false;
        for (uint32_t i = 0; i < n->dir->n; i++)
            if (n->dir->kids[i]) {
                n->dir->kids[i]->gone = true;
                n->dir->kids[i]->stamp = 0; /* perhaps: ask again */
            }
    }
}

/* Numbers are used again: the time of birth, where the host keeps one, tells one from the next. */
static bool same_object_locked(struct gofer_fs *fs, const struct gname *n,
                               const struct gofer_attr *a)
{
    if (n->gone || n->ino != gname_ino_locked(fs, a) || ((n->mode ^ a->mode) & S_IFMT))
        return false;
    return !n->attr || (n->attr->btime_s == a->btime_s && n->attr->btime_ns == a->btime_ns);
}

void gname_told_locked(struct gofer_fs *fs, struct gname *n, const struct gofer_attr *a)
{
    if (!same_object_locked(fs, n, a))
        replaced_locked(fs, n);
    n->gone = false;
    gname_attr_locked(fs, n, a);
}

struct gname *gname_note_locked(struct gofer_fs *fs, struct gname *dir, const char *name,
                                size_t len, const struct gofer_node_reply *r, bool has_attr)
{
    struct gname *n = gname_find_locked(fs, dir, name, len);

    if (!n)
        n = add_locked(fs, dir, name, len);
    if (!n)
        return NULL;
    if (has_attr) {
        gname_told_locked(fs, n, &r->attr);
    } else if (!n->attr) {
        /* of the directory's entry: good for readdir, not for stat of a mount point */
        n->ino = gname_ino_locked(fs, &r->attr);
        n->mode = r->attr.mode;
    } else if (n->gone || n->ino != gname_ino_locked(fs, &r->attr)) {
        n->stamp = 0; /* whether it is the same one is to be asked */
    }
    if (!has_attr)
        n->gone = false;
    if (r->node && n->node)
        gofer_forget(fs->g, r->node);
    else if (r->node)
        n->node = r->node;
    return n;
}

uint64_t gname_ino_locked(struct gofer_fs *fs, const struct gofer_attr *a)
{
    unsigned i;

    assert_locked(&fs->lock);
    if (a->dev == 0 || a->dev == fs->dev) /* 0: of a listing without attributes */
        return a->ino;
    for (i = 0; i < fs->ndevs && fs->devs[i] != a->dev; i++)
        ;
    if (i == fs->ndevs && i < ARRAY_SIZE(fs->devs))
        fs->devs[fs->ndevs++] = a->dev;
    return a->ino ^ (uint64_t)(i + 1) << 60;
}

int gname_addr_locked(struct gofer_fs *fs, const struct gname *n, const char *extra,
                      struct gaddr *ret)
{
    size_t at = sizeof(ret->path), len = extra ? strlen(extra) + 1 : 1;

    assert_locked(&fs->lock);
    if (len > sizeof(ret->path))
        return -ENAMETOOLONG;
    at -= len;
    memcpy(ret->path + at, extra ? extra : "", len);
    for (; !n->node && n->parent; n = n->parent) {
        size_t need = n->namelen + (ret->path[at] ? 1u : 0u);

        if (need > at)
            return -ENAMETOOLONG;
        if (ret->path[at])
            ret->path[--at] = '/';
        at -= n->namelen;
        memcpy(ret->path + at, n->name, n->namelen);
    }
    ret->node = n->node;
    memmove(ret->path, ret->path + at, sizeof(ret->path) - at);
    return 0;
}

static void free_one_locked(struct gofer_fs *fs, struct gname *n)
{
    ghandle_drop_locked(fs, n);
    if (n->node && n->parent)
        gofer_forget(fs->g, n->node);
    if (n->dir) {
        kfree(n->dir->kids);
        kfree(n->dir->hash);
        kfree(n->dir);
    }
    kfree(n->target);
    kfree(n->attr);
    kfree(n);
    fs->nnames--;
}

static bool needed(const struct gname *n)
{
    return n->inodes || !n->parent || (n->handle && n->handle->users);
}

/* Frees dir's names that nothing needs; a hole in kids keeps the others' positions. */
static void empty_dir_locked(struct gofer_fs *fs, struct gname *n)
{
    struct gdir *d = n->dir;
    bool kept = false;

    for (uint32_t i = 0; i < d->n; i++) {
        struct gname *k = d->kids[i];
        if (!k || needed(k) || k->dir) {
            kept = kept || k;
            continue;
        }
        free_one_locked(fs, k);
        d->kids[i] = NULL;
        d->complete = false;
    }
    if (kept) /* the probes of the hash go over holes: their names are just not found */
        return;
    kfree(d->kids);
    kfree(d->hash);
    kfree(d);
    n->dir = NULL;
}

void gnames_prune_locked(struct gofer_fs *fs, struct gname *n)
{
    while (fs->nnames > GNAMES_MAX && n) {
        if (n->dir)
            empty_dir_locked(fs, n);
        if (n->dir || needed(n))
            return;
        struct gname *up = n->parent;
        up->dir->kids[n->index] = NULL;
        up->dir->complete = false;
        free_one_locked(fs, n);
        n = up->inodes ? NULL : up; /* a directory in use keeps what it knows */
    }
}

struct gname *gname_new_root(struct gofer_fs *fs, const struct gofer_node_reply *r)
{
    LOCK_SCOPE(&fs->lock);
    struct gname *n = gname_alloc(fs, NULL, "", 0);

    if (n) {
        n->node = r->node;
        fs->dev = r->attr.dev;
        gname_attr_locked(fs, n, &r->attr);
    }
    return n;
}

void gnames_free(struct gofer_fs *fs)
{
    LOCK_SCOPE(&fs->lock);
    for (struct gname *n = fs->root; n;) { /* depth first, without recursion: trees are deep */
        struct gdir *d = n->dir;
        while (d && d->n && !d->kids[d->n - 1])
            d->n--;
        if (d && d->n) {
            n = d->kids[d->n - 1];
            continue;
        }
        struct gname *up = n->parent;
        if (up)
            up->dir->kids[--up->dir->n] = NULL;
        n->inode = NULL;
        free_one_locked(fs, n);
        n = up;
    }
}
