/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS. An inode lies at its number times 32 bytes, in blocks that begin at a place the superblock
 * names; behind it stand its extended attributes and what tells where its data is:
 *
 *   plain        one run of blocks
 *   inline       the same, and the last bytes of it right here
 *   chunks       a table of where each chunk lies; chunks are of a power of two of blocks
 *   compressed   an index: for each block's worth of the file, whether something packed begins in it,
 *                and where (erofs_map.c)
 *
 * A directory is a file: each block of it holds, sorted, entries of 12 bytes and then their names.
 *
 *   erofs.c        superblock, inodes, plain data
 *   erofs_map.c    compressed data
 *   erofs_names.c  directories
 *   erofs_xattr.c  extended attributes
 *
 * Not understood, and refused: images on more than one device, and names of attributes that have
 * beginnings of their own.
 */
#pragma once

#include "sentry/fs/image/image.h"

enum { /* image_node.layout */
       ER_PLAIN,
       ER_PACKED_FULL,
       ER_INLINE,
       ER_PACKED_SHORT,
       ER_CHUNKS,
};

enum { /* features, without which an image cannot be read */
       ER_PADDED = 1,
       ER_CONFIGS = 2, /* and pieces of more than a block */
       ER_CHUNKED = 4,
       ER_HEAD2 = 8, /* or more devices */
       ER_TAIL_HERE = 16,
       ER_FRAGMENTS = 32,
       ER_KNOWN = 63,
       ER_ALGORITHMS = 15, /* bits of their list: LZ4, LZMA, deflate, Zstandard */
};

struct erofs {     /* image->priv */
    uint32_t bits; /* of a block */
    uint32_t features;
    uint64_t meta, xattrs; /* positions in the image */
    uint64_t packed;       /* the inode that holds the ends of others; 0: none */
    uint64_t time;         /* of all inodes of the short form */
    uint32_t time_nsec;
    struct image_node ends; /* that inode */
};

static inline struct erofs *erofs_of(const struct image *im)
{
    return im->priv;
}

/*
 * Of a node: start is where its data begins (chunks: nothing), where the place in the image behind
 * its inode and attributes, xattr_at and xattr_count those and how many bytes. shift: of chunks, their size as
 * a power of two; layout's other bit says that their table has 8 bytes an entry.
 */
#define ER_WIDE 16u

/* erofs_map.c: as image_ops.piece, of a compressed file. */
int er_packed_piece(struct image *im, struct image_node *n, uint64_t pos, struct image_piece *ret);
int er_read_node(struct image *im, uint64_t ref, struct image_attr *a, struct image_node *n);
int er_names(struct image *im, struct image_node *n, image_name_fn fn, void *arg);
int er_find(struct image *im, struct image_node *n, const char *name, size_t len,
            uint64_t *ret_ref);
int er_xattrs(struct image *im, const struct image_node *n, image_xattr_fn fn, void *arg);
