/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File systems in an image: a file that holds a tree, packed, which nobody can change (squashfs, EROFS).
 * mount(2) of such a type takes the path of a regular file as its source; so does --image.
 *
 *   source.c      the image's bytes, and pieces of it unpacked, of which some are kept
 *   unpack.c      the ways of packing, by libraries
 *   super.c       superblock, inodes, names, attributes: what the VFS sees
 *   file.c        open files and directories
 *   squashfs*.c   the one format, erofs*.c the other
 *
 * An image is hostile. What a format reads of it goes through image_read() or image_get(), which check
 * that it lies inside; lengths, counts and indices are checked against limits before they are used,
 * nothing is followed by recursion, and what is wrong is EUCLEAN (EFSCORRUPTED) or EIO, as on Linux.
 *
 * Locks: image->lock (LOCK_LEAF) guards the pieces that are kept; nothing is read under it. Everything
 * else is written when the image is mounted, or when a node is made.
 */
#pragma once

#include "sentry/kernel/list.h"
#include "sentry/kernel/lock.h"
#include "sentry/vfs/vfs.h"

#define IMAGE_BLOCK_MAX (12u << 20) /* a piece, unpacked */
#define IMAGE_NAME_MAX 255
#define IMAGE_XATTRS_MAX 1024 /* of an inode */
#define IMAGE_LINK_MAX 4095
#define IMAGE_DEPTH 2 /* images in images */

enum image_packing {
    PACK_NONE,
    PACK_ZLIB,
    PACK_DEFLATE, /* zlib's without a head */
    PACK_LZ4,
    PACK_XZ,
    PACK_ZSTD,
    PACK_MICROLZMA,
    PACK_PADDED = 64 /* zeros before it, as many as fill the blocks */
};

/* A piece of an image as it is when unpacked; held by who got it until image_put(). */
struct image_block {
    struct list lru;
    struct image_block *hash_next;
    int refs; /* image->lock, as all but what follows */
    bool cached;
    uint64_t addr; /* [I] in the image */
    uint32_t packed, packing, cap;
    uint32_t n; /* [I] bytes in data */
    uint8_t data[];
};

#define IMAGE_BUCKETS 64

struct image;
struct image_node;

struct image_attr { /* of an object, as its format says */
    uint64_t ino, size, rdev, blocks;
    uint32_t mode, uid, gid, nlink;
    int64_t mtime;
    uint32_t mtime_nsec;
};

/* Non-zero ends it, and is what the format's names() returns then. */
typedef int (*image_name_fn)(void *arg, const char *name, size_t len, uint64_t ref, unsigned dtype,
                             uint64_t ino);
typedef int (*image_xattr_fn)(void *arg, const char *name, const void *value, size_t len);

struct image_piece { /* of a file: n bytes at p; p NULL: zeros */
    struct image_block *block;
    const uint8_t *p;
    uint64_t n;
};

struct image_ops {
    const char *type;
    uint64_t magic;
    /* Reads the superblock: sets root, block_size, nblocks, files and priv. All return 0 or -errno. */
    int (*mount)(struct image *im);
    void (*unmount)(struct image *im); /* after any mount(), also one that failed */
    int (*read_node)(struct image *im, uint64_t ref, struct image_attr *ret,
                     struct image_node *ret_node);
    /* The names of a directory, without . and .. */
    int (*names)(struct image *im, struct image_node *n, image_name_fn fn, void *arg);
    /* What name leads to; -ENOENT. */
    int (*find)(struct image *im, struct image_node *n, const char *name, size_t len,
                uint64_t *ret_ref);
    /* Bytes of a file or link from pos on, at least one; pos lies before its end. */
    int (*piece)(struct image *im, struct image_node *n, uint64_t pos, struct image_piece *ret);
    int (*xattrs)(struct image *im, const struct image_node *n, image_xattr_fn fn, void *arg);
};

struct image_node { /* inode->priv */
    uint64_t size;
    uint64_t ref;
    uint64_t start; /* what these are is the format's business */
    uint64_t where, xattr_at;
    uint32_t where_at, layout, tail, tail_at, xattr, xattr_count, shift;
    void *_Atomic table; /* made at the first use, freed with it; NULL */
    size_t ntable;
    struct file *_Atomic copy; /* what is mapped of it; NULL: nothing yet */
};

struct image {
    const struct image_ops *ops;
    struct file *file;
    struct super *under; /* a reference to its file system, where no mount holds that; NULL */
    uint64_t size;
    uint64_t root;                       /* a ref */
    uint64_t nblocks, files, files_free; /* for statfs */
    uint32_t block_size;
    void *priv;
    struct lock lock; /* LOCK_LEAF */
    struct list lru;
    struct image_block *table[IMAGE_BUCKETS];
    size_t cached; /* bytes in the table */
};

extern const struct image_ops squashfs_ops, erofs_ops;

/* ---- source.c ---- */

void image_init(struct image *im, const struct image_ops *ops);
void image_done(struct image *im);
/* Exactly n bytes at pos; -EUCLEAN when they are not there, -EIO. */
int image_read(struct image *im, uint64_t pos, void *buf, size_t n);
/* packed bytes at addr, unpacked into at most cap (IMAGE_BLOCK_MAX). */
int image_get(struct image *im, uint64_t addr, uint32_t packed, unsigned packing, uint32_t cap,
              struct image_block **ret);
void image_put(struct image *im, struct image_block *b);
/* As they lie: some bytes at pos, up to the next multiple of IMAGE_WINDOW. */
int image_window(struct image *im, uint64_t pos, struct image_piece *ret);
#define IMAGE_WINDOW 32768u
/* Bytes of a node, exactly n. */
int image_read_node(struct image *im, struct image_node *node, uint64_t pos, void *buf, size_t n);

/* ---- unpack.c ---- */

bool image_can_unpack(unsigned packing);
/* How many bytes it came to, at most cap; -EIO, -ENOMEM. With PACK_LZ4 it may stop at cap. */
ssize_t image_unpack(unsigned packing, const uint8_t *from, size_t n, uint8_t *to, size_t cap);

static inline struct image *image_of(const struct super *sb)
{
    return sb->priv;
}

extern const struct file_ops image_file_fops, image_dir_fops;

/* Numbers of an image, which has the least significant byte first. */
static inline uint16_t le16(const void *p)
{
    const uint8_t *b = p;

    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t le32(const void *p)
{
    return le16(p) | (uint32_t)le16((const uint8_t *)p + 2) << 16;
}

static inline uint64_t le64(const void *p)
{
    return le32(p) | (uint64_t)le32((const uint8_t *)p + 4) << 32;
}

/* As in the on-disk form of both. */
static inline uint64_t image_rdev(uint32_t dev)
{
    uint32_t major = (dev & 0xfff00) >> 8, minor = (dev & 0xff) | ((dev >> 12) & 0xfff00);

    return (uint64_t)(minor & 0xff) | (uint64_t)major << 8 | (uint64_t)(minor & 0xfff00) << 12;
}
