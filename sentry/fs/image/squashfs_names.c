/* SPDX-License-Identifier: Apache-2.0 */
/*
 * squashfs: directories and extended attributes. A directory's names are sorted; they stand in runs of at
 * most 256, each behind a head that says where their inodes lie. A large one has an index: for some of
 * the runs the first name, and where it stands.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/fs/image/squashfs.h"
#include "sentry/kernel/alloc.h"

#define HEAD 12
#define ENTRY 8
#define DOTS 3 /* the size of a directory counts "." and ".." as this much */

static unsigned dtype_of(unsigned kind)
{
    static const uint8_t types[] = { DT_UNKNOWN, DT_DIR, DT_REG,  DT_LNK,
                                     DT_BLK,     DT_CHR, DT_FIFO, DT_SOCK };

    return kind < sizeof types ? types[kind] : DT_UNKNOWN;
}

/* From at on, `left` bytes of it. */
static int walk(struct image *im, struct sq_place at, uint64_t left, image_name_fn fn, void *arg)
{
    char name[IMAGE_NAME_MAX + 2];
    uint8_t head[HEAD] = { 0 }, e[ENTRY] = { 0 };

    while (left >= HEAD) {
        int r = sq_read(im, &at, head, HEAD);

        left -= HEAD;
        if (r == 0 && le32(head) >= 256)
            r = -EUCLEAN;
        for (uint32_t i = 0; r == 0 && i <= le32(head); i++) {
            size_t len;

            if (left < ENTRY)
                return -EUCLEAN;
            r = sq_read(im, &at, e, ENTRY);
            len = le16(e + 6) + 1u;
            if (r == 0 && (len > IMAGE_NAME_MAX || len > left - ENTRY))
                r = -EUCLEAN;
            if (r == 0)
                r = sq_read(im, &at, name, len);
            if (r < 0)
                return r;
            left -= ENTRY + len;
            name[len] = 0;
            if (memchr(name, '/', len) || memchr(name, 0, len))
                return -EUCLEAN;
            r = fn(arg, name, len, (uint64_t)le32(head + 4) << 16 | le16(e), dtype_of(le16(e + 4)),
                   (uint32_t)(le32(head + 8) + (uint32_t)(int16_t)le16(e + 2)));
        }
        if (r)
            return r;
    }
    return 0;
}

int sq_names(struct image *im, struct image_node *n, image_name_fn fn, void *arg)
{
    struct sq_place at = { n->start, n->tail_at };

    return n->size <= DOTS ? 0 : walk(im, at, n->size - DOTS, fn, arg);
}

/* ---- looking up ---- */

struct wanted {
    const char *name;
    size_t len;
    uint64_t ref;
};

static int compare(const char *a, size_t na, const char *b, size_t nb)
{
    int c = memcmp(a, b, MIN(na, nb));

    return c ? c : na < nb ? -1 : na > nb;
}

/* 1: found; -ENOENT: it would have come by now. */
static int is_wanted(void *arg, const char *name, size_t len, uint64_t ref, unsigned dtype,
                     uint64_t ino)
{
    struct wanted *w = arg;
    int c = compare(name, len, w->name, w->len);

    (void)dtype, (void)ino;
    if (c)
        return c > 0 ? -ENOENT : 0;
    w->ref = ref;
    return 1;
}

/* The last run of the index that does not begin behind the name; *ret_skip: bytes before it. */
static int use_index(struct image *im, const struct image_node *n, const struct wanted *w,
                     struct sq_place *at, uint64_t *ret_skip)
{
    struct sq_place in = { n->where, n->where_at };
    char name[IMAGE_NAME_MAX + 1];
    uint8_t e[12] = { 0 };

    for (size_t i = 0; i < n->ntable; i++) {
        int r = sq_read(im, &in, e, sizeof e);
        size_t len = le32(e + 8) + (size_t)1;

        if (r == 0 && len > IMAGE_NAME_MAX)
            r = -EUCLEAN;
        if (r == 0)
            r = sq_read(im, &in, name, len);
        if (r < 0)
            return r;
        if (compare(name, len, w->name, w->len) > 0)
            break;
        if (le32(e) > n->size - DOTS)
            return -EUCLEAN;
        *ret_skip = le32(e);
        *at = (struct sq_place){ squashfs_of(im)->directories + le32(e + 4),
                                 (uint32_t)((n->tail_at + (uint64_t)le32(e)) % 8192) };
    }
    return 0;
}

int sq_find(struct image *im, struct image_node *n, const char *name, size_t len, uint64_t *ret_ref)
{
    struct sq_place at = { n->start, n->tail_at };
    struct wanted w = { name, len, 0 };
    uint64_t skip = 0;
    int r = n->size <= DOTS ? -ENOENT : use_index(im, n, &w, &at, &skip);

    if (r == 0)
        r = walk(im, at, n->size - DOTS - skip, is_wanted, &w);
    if (r <= 0)
        return r == 0 ? -ENOENT : r;
    *ret_ref = w.ref;
    return 0;
}

/* ---- extended attributes ---- */

#define OUT_OF_LINE 0x100

static int read_value(struct image *im, struct sq_place *at, bool elsewhere, uint8_t **ret,
                      uint32_t *ret_len)
{
    struct sq_place there;
    uint8_t b[8] = { 0 };
    int r = sq_read(im, at, b, 4);

    if (r == 0 && elsewhere) { /* what stands here is the place of it */
        r = le32(b) == 8 ? sq_read(im, at, b, 8) : -EUCLEAN;
        there = (struct sq_place){ squashfs_of(im)->xattr_at + (le64(b) >> 16), le16(b) };
        at = &there;
        if (r == 0)
            r = le64(b) >> 48 ? -EUCLEAN : sq_read(im, at, b, 4);
    }
    if (r < 0)
        return r;
    *ret_len = le32(b);
    if (*ret_len > 65536) /* XATTR_SIZE_MAX */
        return -EUCLEAN;
    *ret = kzalloc(*ret_len + 1);
    return *ret ? sq_read(im, at, *ret, *ret_len) : -ENOMEM;
}

static int one_xattr(struct image *im, struct sq_place *at, image_xattr_fn fn, void *arg)
{
    static const char *const prefixes[] = { "user.", "trusted.", "security." };
    char name[16 + IMAGE_NAME_MAX + 1];
    _cleanup_kfree_ uint8_t *value = NULL;
    uint32_t len = 0;
    uint8_t e[4] = { 0 };
    size_t prefix;
    unsigned kind;
    int r = sq_read(im, at, e, sizeof e);

    if (r < 0)
        return r;
    kind = le16(e) & 0xff;
    if (le16(e + 2) > IMAGE_NAME_MAX || !le16(e + 2))
        return -EUCLEAN;
    prefix = kind < 3 ? strlen(prefixes[kind]) : 0;
    memcpy(name, kind < 3 ? prefixes[kind] : "", prefix);
    r = sq_read(im, at, name + prefix, le16(e + 2));
    name[prefix + le16(e + 2)] = 0;
    if (r == 0)
        r = read_value(im, at, le16(e) & OUT_OF_LINE, &value, &len);
    if (r < 0 || kind > 2) /* of a kind to come */
        return r;
    return fn(arg, name, value, len);
}

int sq_xattrs(struct image *im, const struct image_node *n, image_xattr_fn fn, void *arg)
{
    uint8_t e[16] = { 0 };
    struct sq_place at;
    int r = sq_entry(im, squashfs_of(im)->xattrs, n->xattr, e, sizeof e);

    if (r < 0)
        return r;
    if (le64(e) >> 48 || le32(e + 8) > IMAGE_XATTRS_MAX)
        return -EUCLEAN;
    at = (struct sq_place){ squashfs_of(im)->xattr_at + (le64(e) >> 16), le16(e) };
    for (uint32_t i = 0; r == 0 && i < le32(e + 8); i++)
        r = one_xattr(im, &at, fn, arg);
    return r;
}
