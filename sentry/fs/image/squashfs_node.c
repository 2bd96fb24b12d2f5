/* SPDX-License-Identifier: Apache-2.0 */
/* squashfs: inodes. Each kind has a short form and a long one; both begin with the same 16 bytes. */
#include <errno.h>

#include "sentry/fs/image/squashfs.h"

enum { DIR = 1, REG, LINK, BLK, CHR, FIFO, SOCK, LDIR, LREG, LLINK, LBLK, LCHR, LFIFO, LSOCK };

static const uint32_t modes[] = {
    [DIR] = S_IFDIR,  [REG] = S_IFREG,   [LINK] = S_IFLNK,  [BLK] = S_IFBLK,   [CHR] = S_IFCHR,
    [FIFO] = S_IFIFO, [SOCK] = S_IFSOCK, [LDIR] = S_IFDIR,  [LREG] = S_IFREG,  [LLINK] = S_IFLNK,
    [LBLK] = S_IFBLK, [LCHR] = S_IFCHR,  [LFIFO] = S_IFIFO, [LSOCK] = S_IFSOCK
};

static int set_xattr(struct image *im, struct image_node *n, uint32_t i)
{
    if (i == SQ_NONE || !squashfs_of(im)->xattrs)
        return 0;
    n->xattr = i;
    n->xattr_count = 1;
    return i < squashfs_of(im)->nxattrs ? 0 : -EUCLEAN;
}

static int read_dir(struct image *im, struct sq_place *at, bool is_long, struct image_attr *a,
                    struct image_node *n)
{
    uint8_t b[24] = { 0 };
    int r = sq_read(im, at, b, is_long ? 24 : 16);
    uint32_t block;

    if (r < 0)
        return r;
    n->layout = SQ_DIR;
    if (is_long) {
        a->nlink = le32(b);
        a->size = le32(b + 4);
        block = le32(b + 8);
        n->ntable = le16(b + 16);
        n->tail_at = le16(b + 18);
        n->where = at->block;
        n->where_at = at->offset;
        r = set_xattr(im, n, le32(b + 20));
    } else {
        block = le32(b);
        a->nlink = le32(b + 4);
        a->size = le16(b + 8);
        n->tail_at = le16(b + 10);
    }
    n->start = squashfs_of(im)->directories + block;
    return r == 0 && a->size > SQ_DIR_MAX ? -EUCLEAN : r;
}

static int read_file(struct image *im, struct sq_place *at, bool is_long, struct image_attr *a,
                     struct image_node *n)
{
    uint8_t b[40] = { 0 };
    int r = sq_read(im, at, b, is_long ? 40 : 16);
    uint64_t whole, holes = 0;

    if (r < 0)
        return r;
    if (is_long) {
        n->start = le64(b);
        a->size = le64(b + 8);
        holes = le64(b + 16);
        a->nlink = le32(b + 24);
        n->tail = le32(b + 28);
        n->tail_at = le32(b + 32);
        r = set_xattr(im, n, le32(b + 36));
    } else {
        n->start = le32(b);
        n->tail = le32(b + 4);
        n->tail_at = le32(b + 8);
        a->size = le32(b + 12);
        a->nlink = 1;
    }
    if (r < 0 || a->size > INT64_MAX)
        return r < 0 ? r : -EUCLEAN;
    whole = a->size >> squashfs_of(im)->block_log;
    if (n->tail == SQ_NONE && a->size & (im->block_size - 1))
        whole++;
    if (whole > SQ_BLOCKS_MAX)
        return -EUCLEAN;
    a->blocks = (a->size - MIN(holes, a->size) + 511) / 512;
    n->layout = SQ_FILE;
    n->ntable = (size_t)whole;
    n->where = at->block;
    n->where_at = at->offset;
    return 0;
}

static int read_link(struct image *im, struct sq_place *at, bool is_long, struct image_attr *a,
                     struct image_node *n)
{
    uint8_t b[8] = { 0 };
    int r = sq_read(im, at, b, sizeof b);

    if (r < 0)
        return r;
    a->nlink = le32(b);
    a->size = le32(b + 4);
    n->layout = SQ_LINK;
    n->where = at->block;
    n->where_at = at->offset;
    if (a->size > IMAGE_LINK_MAX)
        return -EUCLEAN;
    if (!is_long)
        return 0;
    r = sq_read(im, at, NULL, (size_t)a->size);
    if (r == 0)
        r = sq_read(im, at, b, 4);
    return r < 0 ? r : set_xattr(im, n, le32(b));
}

static int read_special(struct image *im, struct sq_place *at, bool is_long, bool device,
                        struct image_attr *a, struct image_node *n)
{
    uint8_t b[12] = { 0 };
    size_t len = 4 + (device ? 4 : 0);
    int r = sq_read(im, at, b, len + (is_long ? 4 : 0));

    if (r < 0)
        return r;
    a->nlink = le32(b);
    if (device)
        a->rdev = image_rdev(le32(b + 4));
    return is_long ? set_xattr(im, n, le32(b + len)) : 0;
}

int sq_read_node(struct image *im, uint64_t ref, struct image_attr *a, struct image_node *n)
{
    struct sq_place at = { squashfs_of(im)->inodes + (ref >> 16), ref & 0xffff };
    uint8_t b[16] = { 0 };
    unsigned kind;
    bool is_long;
    int r = ref >> 48 ? -EUCLEAN : sq_read(im, &at, b, sizeof b);

    if (r < 0)
        return r;
    kind = le16(b);
    if (kind < DIR || kind > LSOCK)
        return -EUCLEAN;
    is_long = kind >= LDIR;
    a->mode = modes[kind] | (le16(b + 2) & 07777);
    a->mtime = le32(b + 8);
    a->ino = le32(b + 12);
    n->tail = SQ_NONE;
    r = sq_id(im, le16(b + 4), &a->uid);
    if (r == 0)
        r = sq_id(im, le16(b + 6), &a->gid);
    if (r < 0)
        return r;
    switch (kind) {
    case DIR:
    case LDIR:
        return read_dir(im, &at, is_long, a, n);
    case REG:
    case LREG:
        return read_file(im, &at, is_long, a, n);
    case LINK:
    case LLINK:
        return read_link(im, &at, is_long, a, n);
    default:
        return read_special(im, &at, is_long, S_ISBLK(a->mode) || S_ISCHR(a->mode), a, n);
    }
}
