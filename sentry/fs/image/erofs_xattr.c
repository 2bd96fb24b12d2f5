/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS: extended attributes. Behind an inode stands a head of 12 bytes, the numbers of attributes that
 * it shares with others, and those that it has alone. Access control lists are not read, as by a kernel
 * that was built without them for this file system.
 */
#include <errno.h>
#include <string.h>

#include "sentry/fs/image/erofs.h"
#include "sentry/kernel/alloc.h"

#define HEAD 12

/* The one at pos, before end; *ret_size: bytes it takes. */
static int one(struct image *im, uint64_t pos, uint64_t end, image_xattr_fn fn, void *arg,
               uint64_t *ret_size)
{
    static const char *const prefixes[] = { [1] = "user.", [4] = "trusted.", [6] = "security." };
    char name[16 + 256];
    _cleanup_kfree_ uint8_t *value = NULL;
    uint8_t e[4] = { 0 };
    const char *prefix;
    size_t n;
    int r = end - pos >= sizeof e ? image_read(im, pos, e, sizeof e) : -EUCLEAN;

    if (r < 0)
        return r;
    *ret_size = (4 + (uint64_t)e[0] + le16(e + 2) + 3) & ~UINT64_C(3);
    if (4 + (uint64_t)e[0] + le16(e + 2) > end - pos)
        return -EUCLEAN;
    prefix = e[1] < sizeof prefixes / sizeof prefixes[0] ? prefixes[e[1]] : NULL;
    if (!prefix)
        return 0;
    n = strlen(prefix);
    memcpy(name, prefix, n);
    value = kzalloc(le16(e + 2) + 1u);
    if (!value)
        return -ENOMEM;
    r = image_read(im, pos + 4, name + n, e[0]);
    if (r == 0)
        r = image_read(im, pos + 4 + e[0], value, le16(e + 2));
    if (r < 0)
        return r;
    name[n + e[0]] = 0;
    return strlen(name) == n + e[0] && e[0] ? fn(arg, name, value, le16(e + 2)) : -EUCLEAN;
}

int er_xattrs(struct image *im, const struct image_node *n, image_xattr_fn fn, void *arg)
{
    uint64_t pos = n->xattr_at, end = pos + n->xattr_count, size = 0;
    uint8_t h[HEAD] = { 0 }, id[4] = { 0 };
    int r = n->xattr_count >= HEAD ? image_read(im, pos, h, sizeof h) : -EUCLEAN;

    if (r == 0 && h[4] * 4u > n->xattr_count - HEAD)
        r = -EUCLEAN;
    pos += HEAD;
    for (unsigned i = 0; r == 0 && i < h[4]; i++, pos += 4) {
        r = image_read(im, pos, id, sizeof id);
        if (r == 0)
            r = one(im, erofs_of(im)->xattrs + le32(id) * UINT64_C(4), im->size, fn, arg, &size);
    }
    for (unsigned i = h[4]; r == 0 && pos < end; i++, pos += size)
        r = i < IMAGE_XATTRS_MAX ? one(im, pos, end, fn, arg, &size) : -EUCLEAN;
    return r;
}
