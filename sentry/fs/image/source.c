/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of an image. Pieces that were unpacked are kept, up to CACHE_BYTES of them and the oldest
 * first to go (but for the last one, however large); who holds one keeps it alive. Two that miss the same piece
 * unpack it twice, and the second finds the first's.
 */
#include <errno.h>
#include <string.h>

#include "sentry/fs/image/image.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"

#define CACHE_BYTES (4u << 20)

#ifndef EFSCORRUPTED
#define EFSCORRUPTED EUCLEAN
#endif

void image_init(struct image *im, const struct image_ops *ops)
{
    *im = (struct image){ .ops = ops };
    lock_init(&im->lock, LOCK_LEAF);
    list_init(&im->lru);
}

void image_done(struct image *im)
{
    struct image_block *b, *tmp;

    list_for_each_safe(b, tmp, &im->lru, lru)
        kfree(b);
    lock_done(&im->lock);
    file_put(im->file);
    super_put(im->under);
}

/* From the file. */
static int read_file(struct image *im, uint64_t pos, void *buf, size_t n)
{
    size_t done = 0;

    if (pos > im->size || n > im->size - pos)
        return -EFSCORRUPTED;
    while (done < n) {
        ssize_t r = vfs_read_kernel(NULL, im->file, (char *)buf + done, n - done,
                                    (loff_t)(pos + done));

        if (r <= 0) /* it has been cut since */
            return r < 0 && r != -EWAITING ? (int)r : -EIO;
        done += (size_t)r;
    }
    return 0;
}

int image_read(struct image *im, uint64_t pos, void *buf, size_t n)
{
    char *to = buf;

    if (pos > im->size || n > im->size - pos)
        return -EFSCORRUPTED;
    while (n) {
        struct image_piece p = {};
        int r = image_window(im, pos, &p);
        size_t some;

        if (r < 0)
            return r;
        some = MIN(n, p.n);
        memcpy(to, p.p, some);
        image_put(im, p.block);
        to += some;
        pos += some;
        n -= some;
    }
    return 0;
}

/* ---- pieces ---- */

static struct image_block **bucket(struct image *im, uint64_t addr)
{
    return &im->table[(addr * 0x9e3779b97f4a7c15ull) >> 58];
}

static struct image_block *find_locked(struct image *im, uint64_t addr, uint32_t packed,
                                       unsigned packing, uint32_t cap)
{
    assert_locked(&im->lock);
    for (struct image_block *b = *bucket(im, addr); b; b = b->hash_next) {
        if (b->addr != addr || b->packed != packed || b->packing != packing || b->cap != cap)
            continue;
        b->refs++;
        list_del(&b->lru);
        list_add_head(&im->lru, &b->lru);
        return b;
    }
    return NULL;
}

static void forget_locked(struct image *im, struct image_block *b)
{
    struct image_block **p = bucket(im, b->addr);

    assert_locked(&im->lock);
    while (*p != b)
        p = &(*p)->hash_next;
    *p = b->hash_next;
    list_del(&b->lru);
    b->cached = false;
    im->cached -= sizeof *b + b->cap;
}

/* The oldest go; those that nobody holds are chained up by hash_next, to be freed without the lock. */
static struct image_block *shrink_locked(struct image *im)
{
    struct image_block *dead = NULL;

    while (im->cached > CACHE_BYTES && im->lru.next != im->lru.prev) {
        struct image_block *b = list_entry(im->lru.prev, struct image_block, lru);

        forget_locked(im, b);
        if (b->refs)
            continue;
        b->hash_next = dead;
        dead = b;
    }
    return dead;
}

static void enter(struct image *im, struct image_block *b)
{
    struct image_block *dead;

    lock(&im->lock);
    b->hash_next = *bucket(im, b->addr);
    *bucket(im, b->addr) = b;
    list_add_head(&im->lru, &b->lru);
    b->cached = true;
    im->cached += sizeof *b + b->cap;
    dead = shrink_locked(im);
    unlock(&im->lock);
    while (dead) {
        struct image_block *next = dead->hash_next;

        kfree(dead);
        dead = next;
    }
}

static int fill(struct image *im, struct image_block *b)
{
    _cleanup_kfree_ uint8_t *tmp = NULL;
    ssize_t n;
    int r;

    if (b->packing == PACK_NONE) {
        b->n = b->packed;
        return read_file(im, b->addr, b->data, b->packed);
    }
    tmp = kzalloc(b->packed);
    if (!tmp)
        return -ENOMEM;
    r = read_file(im, b->addr, tmp, b->packed);
    if (r < 0)
        return r;
    n = image_unpack(b->packing, tmp, b->packed, b->data, b->cap);
    if (n < 0)
        return (int)n;
    b->n = (uint32_t)n;
    return 0;
}

int image_get(struct image *im, uint64_t addr, uint32_t packed, unsigned packing, uint32_t cap,
              struct image_block **ret)
{
    struct image_block *b;
    int r;

    /* Nothing that is packed well is longer than twice what it was. */
    if (!packed || !cap || cap > IMAGE_BLOCK_MAX || packed > 2 * IMAGE_BLOCK_MAX ||
        (packing == PACK_NONE && packed > cap) || addr > im->size || packed > im->size - addr)
        return -EFSCORRUPTED;
    lock(&im->lock);
    b = find_locked(im, addr, packed, packing, cap);
    unlock(&im->lock);
    if (b) {
        *ret = b;
        return 0;
    }
    b = kzalloc(sizeof *b + cap);
    if (!b)
        return -ENOMEM;
    *b = (struct image_block){
        .addr = addr, .packed = packed, .packing = packing, .cap = cap, .refs = 1
    };
    if (kernel.platform)
        kernel.platform->worker_block_begin();
    r = fill(im, b);
    if (kernel.platform)
        kernel.platform->worker_block_end();
    if (r < 0) {
        kfree(b);
        return r;
    }
    enter(im, b);
    *ret = b;
    return 0;
}

void image_put(struct image *im, struct image_block *b)
{
    bool dead;

    if (!b)
        return;
    lock(&im->lock);
    dead = --b->refs == 0 && !b->cached;
    unlock(&im->lock);
    if (dead)
        kfree(b);
}

int image_window(struct image *im, uint64_t pos, struct image_piece *ret)
{
    uint64_t from = pos & ~(uint64_t)(IMAGE_WINDOW - 1);
    uint32_t n;
    int r;

    if (pos >= im->size)
        return -EFSCORRUPTED;
    n = (uint32_t)MIN((uint64_t)IMAGE_WINDOW, im->size - from);
    r = image_get(im, from, n, PACK_NONE, IMAGE_WINDOW, &ret->block);
    if (r < 0)
        return r;
    ret->p = ret->block->data + (pos - from);
    ret->n = n - (pos - from);
    return 0;
}

int image_read_node(struct image *im, struct image_node *node, uint64_t pos, void *buf, size_t n)
{
    char *to = buf;

    if (pos > node->size || n > node->size - pos)
        return -EFSCORRUPTED;
    while (n) {
        struct image_piece p = {};
        int r = im->ops->piece(im, node, pos, &p);
        size_t some;

        if (r < 0)
            return r;
        some = MIN(n, p.n);
        if (p.p)
            memcpy(to, p.p, some);
        else
            memset(to, 0, some);
        image_put(im, p.block);
        if (!some)
            return -EFSCORRUPTED;
        to += some;
        pos += some;
        n -= some;
    }
    return 0;
}
