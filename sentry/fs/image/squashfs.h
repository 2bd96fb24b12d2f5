/* SPDX-License-Identifier: Apache-2.0 */
/*
 * squashfs 4.0. Everything but the data of files lies in metadata: a stream that is packed in blocks of
 * 8 KiB, each behind two bytes that say how long it is. A place in it is the block's position in the
 * image and an offset into what it unpacks to. Inodes, directories, attributes and the tables (owners,
 * fragments) are such streams. A file's data is a row of blocks of up to 1 MiB, packed each for itself;
 * its end may lie in a block that it shares with others, a fragment.
 *
 *   squashfs.c        superblock, metadata, owners, data
 *   squashfs_node.c   inodes
 *   squashfs_names.c  directories, extended attributes
 */
#pragma once

#include "sentry/fs/image/image.h"

#define SQ_NONE 0xffffffffu
#define SQ_DIR_MAX (64u << 20) /* bytes of a directory's names */

struct squashfs { /* image->priv */
    unsigned packing;
    uint32_t block_log;
    uint32_t nids, nfragments, nxattrs;
    uint64_t ids, fragments;   /* tables of positions of metadata blocks; 0: none */
    uint64_t xattrs, xattr_at; /* the same, and where the values' stream begins */
    uint64_t inodes, directories;
};

struct sq_place { /* where to read next in metadata */
    uint64_t block;
    uint32_t offset;
};

enum { /* image_node.layout */
       SQ_FILE,
       SQ_LINK,
       SQ_DIR,
};
/*
 * The rest of a node: of a file, start is where its data begins, where and where_at the place of the
 * list of its blocks' sizes, ntable how many; tail and tail_at its fragment. Of a link, where and
 * where_at are the place of its target. Of a directory, start and tail_at are the place of its names;
 * ntable is the number of entries of its index, at where and where_at.
 */
#define SQ_BLOCKS_MAX (1u << 22) /* of a file */

static inline struct squashfs *squashfs_of(const struct image *im)
{
    return im->priv;
}

/* n bytes of metadata at *at, which steps on; buf NULL: skipped. -EUCLEAN, ... */
int sq_read(struct image *im, struct sq_place *at, void *buf, size_t n);
/* Entry i of a table of entries of that size, whose metadata blocks are named at `table`. */
int sq_entry(struct image *im, uint64_t table, uint32_t i, void *buf, uint32_t size);
int sq_id(struct image *im, uint16_t i, uint32_t *ret);
int sq_read_node(struct image *im, uint64_t ref, struct image_attr *a, struct image_node *n);
int sq_names(struct image *im, struct image_node *n, image_name_fn fn, void *arg);
int sq_find(struct image *im, struct image_node *n, const char *name, size_t len,
            uint64_t *ret_ref);
int sq_xattrs(struct image *im, const struct image_node *n, image_xattr_fn fn, void *arg);
