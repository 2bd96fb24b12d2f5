/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS: directories. Names are sorted within a block, and so are the blocks. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "sentry/fs/image/erofs.h"
#include "sentry/kernel/alloc.h"

#define ENTRY 12
#define DIR_MAX (256u << 20)

struct block { /* of a directory, in memory */
    uint8_t *bytes;
    uint32_t size; /* of bytes */
    uint32_t n;    /* entries */
};

static uint32_t block_size(const struct image *im)
{
    return 1u << erofs_of(im)->bits;
}

static int read_block(struct image *im, struct image_node *n, uint64_t i, struct block *b)
{
    uint64_t pos = i << erofs_of(im)->bits;
    uint32_t first;
    int r;

    b->size = (uint32_t)MIN((uint64_t)block_size(im), n->size - pos);
    r = image_read_node(im, n, pos, b->bytes, b->size);
    if (r < 0)
        return r;
    first = b->size >= ENTRY ? le16(b->bytes + 8) : 0;
    if (first < ENTRY || first % ENTRY || first >= b->size)
        return -EUCLEAN;
    b->n = first / ENTRY;
    return 0;
}

/* Where name i begins; its length, which is up to the next one, or the end or a NUL. -EUCLEAN. */
static int name_of(const struct block *b, uint32_t i, const char **ret)
{
    uint32_t from = le16(b->bytes + i * ENTRY + 8);
    uint32_t to = i + 1 < b->n ? le16(b->bytes + (i + 1) * ENTRY + 8) : b->size;
    const char *name = (const char *)b->bytes + from;
    size_t len;

    if (from < b->n * ENTRY || to > b->size || from >= to)
        return -EUCLEAN;
    len = strnlen(name, to - from);
    if (len == 0 || len > IMAGE_NAME_MAX || memchr(name, '/', len) ||
        (i + 1 < b->n && len != to - from))
        return -EUCLEAN;
    *ret = name;
    return (int)len;
}

static unsigned dtype_of(unsigned kind)
{
    static const uint8_t types[] = { DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
                                     DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK };

    return kind < sizeof types ? types[kind] : DT_UNKNOWN;
}

static bool is_dots(const char *name, int len)
{
    return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

static int nblocks(const struct image *im, struct image_node *n, uint64_t *ret)
{
    *ret = (n->size + block_size(im) - 1) >> erofs_of(im)->bits;
    return n->size > DIR_MAX ? -EUCLEAN : 0;
}

int er_names(struct image *im, struct image_node *n, image_name_fn fn, void *arg)
{
    _cleanup_kfree_ uint8_t *bytes = kzalloc(block_size(im));
    struct block b = { .bytes = bytes };
    uint64_t count;
    int r = bytes ? nblocks(im, n, &count) : -ENOMEM;

    for (uint64_t k = 0; r == 0 && k < count; k++) {
        r = read_block(im, n, k, &b);
        for (uint32_t i = 0; r == 0 && i < b.n; i++) {
            const uint8_t *e = b.bytes + i * ENTRY;
            const char *name;
            int len = name_of(&b, i, &name);

            if (len < 0)
                return len;
            if (!is_dots(name, len))
                r = fn(arg, name, (size_t)len, le64(e), dtype_of(e[10]), le64(e));
        }
    }
    return r;
}

static int compare(const char *a, size_t na, const char *b, size_t nb)
{
    int c = memcmp(a, b, MIN(na, nb));

    return c ? c : na < nb ? -1 : na > nb;
}

/* The last block that does not begin behind the name is left in *b. */
static int find_block(struct image *im, struct image_node *n, uint64_t count, const char *name,
                      size_t len, struct block *b)
{
    uint64_t low = 0, high = count; /* it is in [low, high) */

    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;
        const char *first;
        int r = read_block(im, n, mid, b), first_len;

        if (r < 0)
            return r;
        first_len = name_of(b, 0, &first);
        if (first_len < 0)
            return first_len;
        if (compare(first, (size_t)first_len, name, len) <= 0)
            low = mid;
        else
            high = mid;
    }
    return read_block(im, n, low, b);
}

int er_find(struct image *im, struct image_node *n, const char *name, size_t len, uint64_t *ret_ref)
{
    _cleanup_kfree_ uint8_t *bytes = kzalloc(block_size(im));
    struct block b = { .bytes = bytes };
    uint64_t count;
    int r = bytes ? nblocks(im, n, &count) : -ENOMEM;

    if (r == 0)
        r = count ? find_block(im, n, count, name, len, &b) : -ENOENT;
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < b.n; i++) {
        const char *here;
        int here_len = name_of(&b, i, &here);

        if (here_len < 0)
            return here_len;
        if ((size_t)here_len == len && !memcmp(here, name, len)) {
            *ret_ref = le64(b.bytes + i * ENTRY);
            return 0;
        }
    }
    return -ENOENT;
}
