/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories. What the host has is listed whole when a reader begins, and kept for that reader until
 * it begins anew: names that come or go meanwhile may or may not show, as POSIX has it. Positions:
 * 0 ".", 1 "..", then a name's place in the list.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sentry/fs/live/live.h"
#include "sentry/kernel/alloc.h"

struct entry {
    uint64_t ino;
    uint8_t type, len;
    char name[];
};

struct listing {
    uint32_t *at; /* of each entry, in bytes */
    uint32_t n, cap;
    char *bytes;
    uint32_t used, room;
};

#define BYTES_MAX (256u << 20)

static int grow(void **p, size_t have, size_t want)
{
    void *new = kzalloc(want);

    if (!new)
        return -ENOMEM;
    if (have)
        memcpy(new, *p, have);
    kfree(*p);
    *p = new;
    return 0;
}

static int add(void *arg, const struct gofer_dirent *e)
{
    struct listing *l = arg;
    uint32_t size = (uint32_t)(sizeof(struct entry) + e->namelen + 7) & ~7u;
    int r = 0;

    if (l->used + size > l->room) {
        if (l->room >= BYTES_MAX)
            return -ENOMEM;
        r = grow((void **)&l->bytes, l->used, l->room * 2 + 4096);
        if (r == 0)
            l->room = l->room * 2 + 4096;
    }
    if (r == 0 && l->n == l->cap) {
        r = grow((void **)&l->at, l->n * sizeof(*l->at), (l->cap * 2 + 64) * sizeof(*l->at));
        if (r == 0)
            l->cap = l->cap * 2 + 64;
    }
    if (r < 0)
        return r;
    struct entry *to = (struct entry *)(void *)(l->bytes + l->used);
    to->ino = e->entry.attr.ino;
    to->type = (uint8_t)IFTODT(e->entry.attr.mode);
    to->len = (uint8_t)e->namelen;
    memcpy(to->name, e->name, e->namelen);
    l->at[l->n++] = l->used;
    l->used += size;
    return 0;
}

static void listing_free(struct listing *l)
{
    if (!l)
        return;
    kfree(l->bytes);
    kfree(l->at);
    kfree(l);
}

static int list(struct inode *dir, struct listing **ret)
{
    struct live_fs *fs = live_fs_of(dir);
    struct listing *l = kzalloc(sizeof *l);
    struct live_addr *a;
    int r;

    if (!l)
        return -ENOMEM;
    a = live_addr(dir, NULL, 0);
    r = IS_ERR(a) ? PTR_ERR(a) : 0;
    if (r == 0) {
        gofer_trip_begin();
        r = gofer_list(fs->g, a->node, a->path, /* attrs= */ false, 0, add, l);
        gofer_trip_end();
        live_addr_put(dir, a);
    }
    if (r < 0) {
        listing_free(l);
        return r;
    }
    *ret = l;
    return 0;
}

static uint64_t above(const struct inode *dir)
{
    struct live_fs *fs = live_fs_of(dir);

    LOCK_SCOPE(&fs->lock);
    return live_of(dir)->parent ? live_of(dir)->parent->ino : dir->ino;
}

static int live_readdir(struct task *t, struct file *f, struct dirent_sink *s)
{
    struct listing *l = f->priv, *new;

    (void)t;
    if (!l || f->pos == 0) {
        int r = list(f->inode, &new);
        if (r < 0)
            return r;
        listing_free(l);
        f->priv = l = new;
    }
    if (f->pos == 0) {
        if (!s->emit(s, ".", 1, f->inode->ino, DT_DIR, 1))
            return 0;
        f->pos = 1;
    }
    if (f->pos == 1) {
        if (!s->emit(s, "..", 2, above(f->inode), DT_DIR, 2))
            return 0;
        f->pos = 2;
    }
    while ((uint64_t)f->pos - 2 < l->n) {
        const struct entry *e = (const void *)(l->bytes + l->at[f->pos - 2]);

        if (!s->emit(s, e->name, e->len, e->ino, e->type, f->pos + 1))
            return 0;
        f->pos++;
    }
    return 0;
}

static int live_dir_fsync(struct task *t, struct file *f, bool datasync)
{
    struct live_fs *fs = live_fs_of(f->inode);
    struct live_addr *a = live_addr(f->inode, NULL, 0);

    (void)t, (void)datasync;
    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    int r = gofer_sync(fs->g, a->node, a->path, /* whole= */ false);
    gofer_trip_end();
    live_addr_put(f->inode, a);
    return r;
}

static void live_dir_release(struct file *f)
{
    listing_free(f->priv);
}

const struct file_ops live_dir_fops = {
    .name = "directory",
    .readdir = live_readdir,
    .llseek = vfs_dir_llseek,
    .fsync = live_dir_fsync,
    .release = live_dir_release,
};
