/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS: superblock, inodes, data that is not compressed. See erofs.h. */
#include "sentry/fs/image/erofs.h"

#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"

#define SUPER_AT 1024
#define SUPER_SIZE 128
#define SLOT 32 /* what an inode's number counts */
#define HOLE 0xffffffffu

static uint32_t block_size(const struct image *im)
{
    return 1u << erofs_of(im)->bits;
}

/* ---- inodes ---- */

/* Where the data is, by the layout; u: the field of the inode that says so. */
static int set_layout(struct image *im, struct image_attr *a, struct image_node *n, uint32_t u,
                      uint64_t behind)
{
    uint32_t bits = erofs_of(im)->bits;
    uint64_t tail = a->size & (block_size(im) - 1);

    n->where = behind;
    n->start = (uint64_t)u << bits;
    a->blocks = (a->size + 511) / 512;
    switch (n->layout) {
    case ER_PLAIN:
        return 0;
    case ER_INLINE: /* which does not go over the end of its block */
        if (tail > block_size(im) - (behind & (block_size(im) - 1)))
            return -EUCLEAN;
        return 0;
    case ER_CHUNKS:
        if (u & 0xffc0)
            return -EUCLEAN;
        n->shift = bits + (u & 31);
        if (n->shift > 40)
            return -EUCLEAN;
        if (u & 32)
            n->layout |= ER_WIDE;
        return 0;
    case ER_PACKED_FULL:
    case ER_PACKED_SHORT:
        if (!S_ISREG(a->mode) && !S_ISLNK(a->mode) && !S_ISDIR(a->mode))
            return -EUCLEAN;
        a->blocks = (uint64_t)u << (bits - 9);
        return 0;
    default:
        return -EUCLEAN;
    }
}

int er_read_node(struct image *im, uint64_t ref, struct image_attr *a, struct image_node *n)
{
    uint8_t b[64] = { 0 };
    uint64_t at, xattr_size;
    uint32_t u;
    bool wide;
    int r;

    if (ref > im->size / SLOT)
        return -EUCLEAN;
    at = erofs_of(im)->meta + ref * SLOT;
    r = image_read(im, at, b, 32);
    wide = r == 0 && le16(b) & 1;
    if (wide)
        r = image_read(im, at + 32, b + 32, 32);
    if (r < 0)
        return r;
    n->layout = le16(b) >> 1 & 7;
    if (le16(b) >> 4 || n->layout > ER_CHUNKS)
        return -EUCLEAN;
    u = le32(b + 16);
    a->ino = ref;
    a->mode = le16(b + 4);
    if (wide) {
        a->size = le64(b + 8);
        a->uid = le32(b + 24);
        a->gid = le32(b + 28);
        a->mtime = (int64_t)le64(b + 32);
        a->mtime_nsec = le32(b + 40);
        a->nlink = le32(b + 44);
    } else {
        a->nlink = le16(b + 6);
        a->size = le32(b + 8);
        a->uid = le16(b + 24);
        a->gid = le16(b + 26);
        a->mtime = (int64_t)erofs_of(im)->time;
        a->mtime_nsec = erofs_of(im)->time_nsec;
    }
    a->rdev = image_rdev(u);
    if (a->size > INT64_MAX)
        return -EUCLEAN;
    xattr_size = le16(b + 2) ? 12 + 4 * (le16(b + 2) - UINT64_C(1)) : 0;
    n->xattr_count = (uint32_t)xattr_size;
    n->xattr_at = at + (wide ? 64 : 32);
    n->size = a->size;
    if (S_ISCHR(a->mode) || S_ISBLK(a->mode) || S_ISFIFO(a->mode) || S_ISSOCK(a->mode)) {
        a->size = 0;
        return 0;
    }
    return set_layout(im, a, n, u, n->xattr_at + xattr_size);
}

/* ---- data ---- */

/* At most max bytes as they lie at `at`. */
static int as_it_lies(struct image *im, uint64_t at, uint64_t max, struct image_piece *ret)
{
    int r = image_window(im, at, ret);

    if (r == 0)
        ret->n = MIN(ret->n, max);
    return r;
}

static int chunk_piece(struct image *im, struct image_node *n, uint64_t pos,
                       struct image_piece *ret)
{
    uint32_t unit = n->layout & ER_WIDE ? 8 : 4, block;
    uint64_t table = (n->where + unit - 1) / unit * unit,
             in = pos & ((UINT64_C(1) << n->shift) - 1);
    uint64_t left = MIN((UINT64_C(1) << n->shift) - in, n->size - pos);
    uint8_t e[8] = { 0 };
    int r = image_read(im, table + (pos >> n->shift) * unit, e, unit);

    if (r < 0)
        return r;
    if (unit == 8 && le16(e + 2) != 0) /* on another device */
        return -EUCLEAN;
    block = le32(e + unit - 4);
    if (block == HOLE) {
        ret->n = left;
        return 0;
    }
    return as_it_lies(im, ((uint64_t)block << erofs_of(im)->bits) + in, left, ret);
}

static int piece(struct image *im, struct image_node *n, uint64_t pos, struct image_piece *ret)
{
    uint64_t tail = n->size & ~(uint64_t)(block_size(im) - 1);

    switch (n->layout & ~ER_WIDE) {
    case ER_PLAIN:
        return as_it_lies(im, n->start + pos, n->size - pos, ret);
    case ER_INLINE:
        if (pos < tail)
            return as_it_lies(im, n->start + pos, tail - pos, ret);
        return as_it_lies(im, n->where + (pos - tail), n->size - pos, ret);
    case ER_CHUNKS:
        return chunk_piece(im, n, pos, ret);
    default:
        return er_packed_piece(im, n, pos, ret);
    }
}

/* ---- mounting ---- */

static int mount_erofs(struct image *im)
{
    struct erofs *er = kzalloc(sizeof *er);
    uint8_t s[SUPER_SIZE] = { 0 };
    int r = er ? image_read(im, SUPER_AT, s, sizeof s) : -ENOMEM;

    im->priv = er;
    if (r < 0)
        return r == -EUCLEAN ? -EINVAL : r;
    er->bits = s[12];
    er->features = le32(s + 80);
    if (le32(s) != erofs_ops.magic || er->bits < 9 || er->bits > 16 || s[90])
        return -EINVAL;
    if (er->features & ~(uint32_t)ER_KNOWN || le16(s + 86))
        return -EINVAL;
    if (er->features & ER_CONFIGS && le16(s + 84) & ~ER_ALGORITHMS)
        return -EOPNOTSUPP;
    im->block_size = 1u << er->bits;
    im->nblocks = le32(s + 36);
    im->files = UINT64_MAX;
    im->files_free = UINT64_MAX - le64(s + 16);
    im->root = le16(s + 14);
    er->time = le64(s + 24);
    er->time_nsec = le32(s + 32);
    er->meta = (uint64_t)le32(s + 40) << er->bits;
    er->xattrs = (uint64_t)le32(s + 44) << er->bits;
    er->packed = er->features & ER_FRAGMENTS ? le64(s + 96) : 0;
    return er->packed ? er_read_node(im, er->packed, &(struct image_attr){}, &er->ends) : 0;
}

static void unmount_erofs(struct image *im)
{
    if (im->priv)
        kfree(atomic_load(&erofs_of(im)->ends.table));
    kfree(im->priv);
}

const struct image_ops erofs_ops = {
    .type = "erofs",
    .magic = 0xe0f5e1e2,
    .mount = mount_erofs,
    .unmount = unmount_erofs,
    .read_node = er_read_node,
    .names = er_names,
    .find = er_find,
    .piece = piece,
    .xattrs = er_xattrs,
};
