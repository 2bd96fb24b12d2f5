/* SPDX-License-Identifier: Apache-2.0 */
/* squashfs: superblock, metadata, tables, data. See squashfs.h. */
#include "sentry/fs/image/squashfs.h"

#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"

#define META 8192u
#define META_PLAIN 0x8000u
#define DATA_PLAIN (1u << 24)
#define SUPER_SIZE 96
#define NO_TABLE UINT64_MAX

/* ---- metadata ---- */

/* The block at pos; *ret_next: where the next one begins. */
static int meta_block(struct image *im, uint64_t pos, struct image_block **ret, uint64_t *ret_next)
{
    uint8_t head[2] = { 0 };
    struct image_piece p = {};
    unsigned n;
    int r;

    /* The two bytes mostly lie in the window that was read last. */
    r = image_window(im, pos, &p);
    if (r < 0)
        return r;
    if (p.n >= 2)
        memcpy(head, p.p, 2);
    else
        r = image_read(im, pos, head, 2);
    image_put(im, p.block);
    if (r < 0)
        return r;
    n = le16(head) & ~META_PLAIN;
    if (n == 0 || n > META)
        return -EUCLEAN;
    *ret_next = pos + 2 + n;
    return image_get(im, pos + 2, n, le16(head) & META_PLAIN ? PACK_NONE : squashfs_of(im)->packing,
                     META, ret);
}

int sq_read(struct image *im, struct sq_place *at, void *buf, size_t n)
{
    uint8_t *to = buf;

    while (n) {
        struct image_block *b;
        uint64_t next;
        size_t some;
        int r = meta_block(im, at->block, &b, &next);

        if (r < 0)
            return r;
        if (at->offset >= b->n) { /* at the end is the next one's beginning; beyond is nothing */
            r = at->offset == META && b->n == META ? 0 : -EUCLEAN;
            image_put(im, b);
            if (r < 0)
                return r;
            *at = (struct sq_place){ next, 0 };
            continue;
        }
        some = MIN(n, b->n - at->offset);
        if (to) {
            memcpy(to, b->data + at->offset, some);
            to += some;
        }
        at->offset += (uint32_t)some;
        n -= some;
        if (at->offset == b->n && b->n == META)
            *at = (struct sq_place){ next, 0 };
        image_put(im, b);
    }
    return 0;
}

int sq_entry(struct image *im, uint64_t table, uint32_t i, void *buf, uint32_t size)
{
    struct sq_place at = { 0, i % (META / size) * size };
    uint8_t pos[8] = { 0 };
    int r = image_read(im, table + (uint64_t)(i / (META / size)) * 8, pos, sizeof pos);

    if (r < 0)
        return r;
    at.block = le64(pos);
    return sq_read(im, &at, buf, size);
}

int sq_id(struct image *im, uint16_t i, uint32_t *ret)
{
    uint8_t b[4] = { 0 };
    int r = i < squashfs_of(im)->nids ? sq_entry(im, squashfs_of(im)->ids, i, b, sizeof b)
                                      : -EUCLEAN;

    *ret = r < 0 ? 0 : le32(b);
    return r;
}

/* ---- data ---- */

static int data_block(struct image *im, uint64_t pos, uint32_t size, struct image_block **ret)
{
    unsigned packing = size & DATA_PLAIN ? PACK_NONE : squashfs_of(im)->packing;

    return image_get(im, pos, size & ~DATA_PLAIN, packing, im->block_size, ret);
}

/* The node's end, in a block that is others' as well. */
static int fragment(struct image *im, const struct image_node *n, struct image_piece *ret)
{
    uint8_t e[16] = { 0 };
    uint32_t len = (uint32_t)(n->size & (im->block_size - 1));
    int r = n->tail < squashfs_of(im)->nfragments
                ? sq_entry(im, squashfs_of(im)->fragments, n->tail, e, sizeof e)
                : -EUCLEAN;

    if (r == 0)
        r = data_block(im, le64(e), le32(e + 8), &ret->block);
    if (r < 0)
        return r;
    if (n->tail_at > ret->block->n || len > ret->block->n - n->tail_at) {
        image_put(im, ret->block);
        return -EUCLEAN;
    }
    ret->p = ret->block->data + n->tail_at;
    ret->n = len;
    return 0;
}

/* A link's target lies behind its inode. */
static int link_piece(struct image *im, const struct image_node *n, uint64_t pos,
                      struct image_piece *ret)
{
    struct sq_place at = { n->where, n->where_at };
    uint64_t next;
    int r = pos ? sq_read(im, &at, NULL, (size_t)pos) : 0;

    if (r == 0)
        r = meta_block(im, at.block, &ret->block, &next);
    if (r == 0 && at.offset == META && ret->block->n == META) {
        image_put(im, ret->block);
        at = (struct sq_place){ next, 0 };
        r = meta_block(im, at.block, &ret->block, &next);
    }
    if (r < 0)
        return r;
    if (at.offset >= ret->block->n) {
        image_put(im, ret->block);
        return -EUCLEAN;
    }
    ret->p = ret->block->data + at.offset;
    ret->n = ret->block->n - at.offset;
    return 0;
}

struct block { /* of a file */
    uint64_t at;
    uint32_t size; /* as in the list; 0: a hole */
};

/* Where each block of a file lies: the sizes behind its inode, added up at the first use. */
static int blocks_of(struct image *im, struct image_node *n, const struct block **ret)
{
    struct sq_place at = { n->where, n->where_at };
    struct block *b = atomic_load(&n->table);
    void *none = NULL;
    uint64_t pos = n->start;
    uint8_t e[4] = { 0 };
    int r = 0;

    *ret = b;
    if (b || !n->ntable)
        return 0;
    b = kzalloc(n->ntable * sizeof *b);
    if (!b)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < n->ntable; i++) {
        r = sq_read(im, &at, e, sizeof e);
        b[i] = (struct block){ pos, le32(e) };
        pos += le32(e) & ~DATA_PLAIN;
    }
    if (r < 0) {
        kfree(b);
        return r;
    }
    *ret = b;
    if (!atomic_compare_exchange_strong(&n->table, &none, b)) {
        kfree(b);
        *ret = none;
    }
    return 0;
}

/* Block i of the node, whole: len bytes. */
static int whole_block(struct image *im, struct image_node *n, uint64_t i, uint64_t len,
                       struct image_piece *ret)
{
    const struct block *b;
    int r;

    if (i >= n->ntable)
        return n->tail == SQ_NONE ? -EUCLEAN : fragment(im, n, ret);
    r = blocks_of(im, n, &b);
    if (r < 0)
        return r;
    ret->n = len;
    if (b[i].size == 0)
        return 0;
    r = data_block(im, b[i].at, b[i].size, &ret->block);
    if (r < 0)
        return r;
    if (ret->block->n != len) {
        image_put(im, ret->block);
        return -EUCLEAN;
    }
    ret->p = ret->block->data;
    return 0;
}

static int piece(struct image *im, struct image_node *n, uint64_t pos, struct image_piece *ret)
{
    uint64_t i = pos >> squashfs_of(im)->block_log, from = i << squashfs_of(im)->block_log;
    int r;

    if (n->layout == SQ_LINK)
        return link_piece(im, n, pos, ret);
    r = whole_block(im, n, i, MIN((uint64_t)im->block_size, n->size - from), ret);
    if (r < 0)
        return r;
    pos -= from;
    if (pos >= ret->n) {
        image_put(im, ret->block);
        return -EUCLEAN;
    }
    ret->p = ret->p ? ret->p + pos : NULL;
    ret->n -= pos;
    return 0;
}

/* ---- mounting ---- */

static unsigned packing_of(unsigned id)
{
    switch (id) {
    case 1:
        return PACK_ZLIB;
    case 4:
        return PACK_XZ;
    case 5:
        return PACK_LZ4;
    case 6:
        return PACK_ZSTD;
    default: /* lzma and lzo, as in most kernels */
        return UINT32_MAX;
    }
}

/* A table of n entries of that size, all of whose list of metadata blocks lies in the image. */
static int table_ok(const struct image *im, uint64_t at, uint64_t n, uint32_t size)
{
    uint64_t list = (n + META / size - 1) / (META / size) * 8;

    return at < im->size && list <= im->size - at ? 0 : -EUCLEAN;
}

static int mount_xattrs(struct image *im, uint64_t at)
{
    struct squashfs *sq = squashfs_of(im);
    uint8_t e[16] = { 0 };
    int r;

    if (at == NO_TABLE)
        return 0;
    r = image_read(im, at, e, sizeof e);
    if (r < 0)
        return r;
    sq->xattr_at = le64(e);
    sq->nxattrs = le32(e + 8);
    sq->xattrs = at + 16;
    return sq->xattr_at < im->size ? table_ok(im, sq->xattrs, sq->nxattrs, 16) : -EUCLEAN;
}

static int mount_squashfs(struct image *im)
{
    uint8_t s[SUPER_SIZE] = { 0 };
    struct squashfs *sq = kzalloc(sizeof *sq);
    int r = sq ? image_read(im, 0, s, sizeof s) : -ENOMEM;

    im->priv = sq;
    if (r < 0)
        return r == -EUCLEAN ? -EINVAL : r;
    sq->block_log = le16(s + 22);
    sq->packing = packing_of(le16(s + 20));
    im->block_size = le32(s + 12);
    if (le32(s) != squashfs_ops.magic || le16(s + 28) != 4 || le16(s + 30) != 0)
        return -EINVAL;
    if (sq->block_log < 12 || sq->block_log > 20 || im->block_size != 1u << sq->block_log)
        return -EINVAL;
    if (sq->packing == UINT32_MAX || !image_can_unpack(sq->packing) || le64(s + 40) > im->size)
        return -EINVAL;
    im->files = le32(s + 4);
    im->nblocks = le64(s + 40) ? ((le64(s + 40) - 1) >> sq->block_log) + 1 : 0;
    im->root = le64(s + 32);
    sq->nfragments = le32(s + 16);
    sq->nids = le16(s + 26);
    sq->ids = le64(s + 48);
    sq->inodes = le64(s + 64);
    sq->directories = le64(s + 72);
    sq->fragments = le64(s + 80);
    if (sq->inodes >= im->size || sq->directories >= im->size)
        return -EUCLEAN;
    r = table_ok(im, sq->ids, sq->nids, 4);
    if (r == 0 && sq->nfragments)
        r = table_ok(im, sq->fragments, sq->nfragments, 16);
    return r < 0 ? r : mount_xattrs(im, le64(s + 56));
}

static void unmount_squashfs(struct image *im)
{
    kfree(im->priv);
}

const struct image_ops squashfs_ops = {
    .type = "squashfs",
    .magic = 0x73717368,
    .mount = mount_squashfs,
    .unmount = unmount_squashfs,
    .read_node = sq_read_node,
    .names = sq_names,
    .find = sq_find,
    .piece = piece,
    .xattrs = sq_xattrs,
};
