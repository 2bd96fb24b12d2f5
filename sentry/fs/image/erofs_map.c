/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS: compressed files. A file is cut into clusters of (mostly) a block. For each there is an entry
 * in the index: either something packed begins in it (at an offset), and the entry says in which block
 * of the image that lies; or it goes on what began before. What is packed takes one block, or as many as
 * the first entry behind its beginning says. So the index is turned, at the first use, into a table of
 * what is packed, in the order of the file.
 *
 * The index is of eight bytes an entry, or short: packs of 2 entries in 8 bytes and of 16 in 32, each
 * with 14 or 16 bits, and the number of a block at the end of the pack that holds for all of it.
 *
 * The last piece of a file may lie behind the index, or in the inode that holds such ends of many files.
 */
#include <errno.h>
#include <string.h>

#include "sentry/fs/image/erofs.h"
#include "sentry/kernel/alloc.h"

enum { PLAIN, HEAD1, NEXT, HEAD2 };
enum { SHORT_2B = 1, BIG1 = 2, BIG2 = 4, TAIL_HERE = 8, INTERLACED = 16, FRAGMENT = 32 };
#define COUNT_HERE 2048u /* in a NEXT: it is a number of blocks */

struct extent {
    uint64_t start; /* in the file; it ends where the next one begins */
    uint64_t at;    /* in the image, or in the inode of ends */
    uint32_t packed;
    uint8_t packing;
    bool fragment, interlaced;
};

struct table { /* node->table */
    uint32_t n;
    struct extent e[];
};

struct entry { /* of the index */
    unsigned type;
    uint32_t offset; /* of a beginning, in its cluster */
    uint64_t block;
    uint32_t blocks; /* of a NEXT that says so; 0 */
};

struct index {
    struct image *im;
    uint32_t advise, bits; /* of a cluster */
    uint8_t algorithms;
    bool full;
    uint64_t base, count;    /* where it begins; clusters */
    uint64_t size;           /* of the file */
    uint64_t first4, short2; /* entries in packs of 2 before those of 16; those of 16 */
    uint64_t behind;         /* the entry read last: where the next pack begins */
};

/* ---- entries ---- */

static int full_entry(struct index *x, uint64_t i, struct entry *ret)
{
    uint8_t b[8] = { 0 };
    int r = image_read(x->im, x->base + i * 8, b, sizeof b);

    if (r < 0)
        return r;
    x->behind = x->base + (i + 1) * 8;
    ret->type = b[0] & 3;
    ret->offset = le16(b + 2);
    if (ret->type != NEXT)
        ret->block = le32(b + 4);
    else if (le16(b + 4) & COUNT_HERE)
        ret->blocks = le16(b + 4) & ~COUNT_HERE;
    return 0;
}

struct pack {
    uint8_t b[32];
    uint32_t n, bits, low; /* entries; bits of each; of its value */
};

static uint32_t in_pack(const struct pack *p, uint32_t i, unsigned *ret_type)
{
    uint32_t at = i * p->bits, v = le32(p->b + at / 8) >> (at & 7);

    *ret_type = v >> p->low & 3;
    return v & ((1u << p->low) - 1);
}

/* How many blocks the beginnings before entry i in its pack take, and one for its own. */
static int64_t blocks_before(const struct pack *p, int64_t i, bool big)
{
    int64_t n = big ? 0 : 1;
    unsigned type;

    while (i > 0) {
        uint32_t v = in_pack(p, (uint32_t)--i, &type);

        if (type != NEXT) {
            n++;
        } else if (!big) {
            i -= v;
            n += i >= 0;
        } else if (v & COUNT_HERE) {
            n += v & ~COUNT_HERE;
            i--;
        } else if (v <= 1) {
            return -EUCLEAN;
        } else {
            i -= (int64_t)v - 2;
        }
    }
    return n;
}

static int short_entry(struct index *x, uint64_t i, struct entry *ret)
{
    uint64_t pos = x->base, at;
    bool two = false;
    struct pack p = {};
    uint32_t v, size;
    int64_t n;
    int r;

    if (i < x->first4) {
        pos += i * 4;
    } else if (i - x->first4 < x->short2) {
        pos += x->first4 * 4 + (i - x->first4) * 2;
        two = true;
    } else {
        pos += x->first4 * 4 + x->short2 * 2 + (i - x->first4 - x->short2) * 4;
    }
    size = two ? 32 : 8;
    p.n = two ? 16 : 2;
    p.bits = (size - 4) * 8 / p.n;
    p.low = MAX(x->bits, 12);
    if (p.low + 2 > p.bits)
        return -EUCLEAN;
    at = pos / size * size;
    x->behind = at + size;
    r = image_read(x->im, at, p.b, size);
    if (r < 0)
        return r;
    i = (pos - at) / (two ? 2 : 4);
    v = in_pack(&p, (uint32_t)i, &ret->type);
    if (ret->type == NEXT) {
        ret->blocks = v & COUNT_HERE ? v & ~COUNT_HERE : 0;
        return 0;
    }
    n = blocks_before(&p, (int64_t)i, x->advise & BIG1);
    if (n < 0)
        return (int)n;
    ret->offset = v;
    ret->block = (uint64_t)le32(p.b + size - 4) + (uint64_t)n;
    return 0;
}

static int entry_at(struct index *x, uint64_t i, struct entry *ret)
{
    *ret = (struct entry){};
    return x->full ? full_entry(x, i, ret) : short_entry(x, i, ret);
}

/* ---- the table ---- */

static int packing_of(const struct index *x, unsigned type, uint8_t *ret)
{
    static const uint8_t known[] = { PACK_LZ4, PACK_MICROLZMA, PACK_DEFLATE, PACK_ZSTD };
    unsigned a = type == HEAD2 ? x->algorithms >> 4 : x->algorithms & 15;

    *ret = PACK_NONE;
    if (type == PLAIN)
        return 0;
    if (a >= sizeof known || !image_can_unpack(known[a]))
        return -EUCLEAN;
    *ret = known[a];
    if (erofs_of(x->im)->features & ER_PADDED)
        *ret |= PACK_PADDED;
    return 0;
}

static int add(struct index *x, struct table **t, uint32_t *cap, uint64_t i, const struct entry *e)
{
    uint32_t n = *t ? (*t)->n : 0;
    struct table *more;
    struct extent *to;

    if (n == *cap) {
        uint32_t to_have = *cap ? *cap * 2 : 16;

        more = krealloc(*t, sizeof *more + to_have * sizeof more->e[0]);
        if (!more)
            return -ENOMEM;
        *cap = to_have;
        more->n = n;
        *t = more;
    }
    to = &(*t)->e[n];
    *to = (struct extent){
        .start = (i << x->bits) + e->offset,
        .at = e->block << erofs_of(x->im)->bits,
        .packed = 1u << erofs_of(x->im)->bits,
        .interlaced = e->type == PLAIN && x->advise & INTERLACED,
    };
    if (e->offset >> x->bits || (n ? to->start <= to[-1].start : to->start != 0))
        return -EUCLEAN;
    (*t)->n++;
    return packing_of(x, e->type, &to->packing);
}

static int read_index(struct index *x, struct table **ret)
{
    uint32_t cap = 0;
    bool began = false; /* by the entry before */
    int r = 0;

    for (uint64_t i = 0; r == 0 && i < x->count; i++) {
        struct entry e;

        r = entry_at(x, i, &e);
        if (r < 0)
            break;
        if (e.type != NEXT && (i << x->bits) + e.offset >= x->size)
            break; /* the end, marked as a beginning */
        if (e.type != NEXT) {
            r = add(x, ret, &cap, i, &e);
            began = true;
            continue;
        }
        if (e.blocks && began) {
            if (e.blocks > IMAGE_BLOCK_MAX >> erofs_of(x->im)->bits)
                return -EUCLEAN;
            (*ret)->e[(*ret)->n - 1].packed = e.blocks << erofs_of(x->im)->bits;
        }
        began = false;
    }
    return r == 0 && !*ret ? -EUCLEAN : r;
}

/* One that is wholly among the ends of others. */
static int whole_fragment(const uint8_t *head, struct table **ret)
{
    struct table *t = kzalloc(sizeof *t + sizeof t->e[0]);

    if (!t)
        return -ENOMEM;
    t->n = 1;
    t->e[0] = (struct extent){ .at = le64(head) & ~(UINT64_C(1) << 63), .fragment = true };
    *ret = t;
    return 0;
}

static int make_table(struct image *im, const struct image_node *n, struct table **ret)
{
    const struct erofs *er = erofs_of(im);
    uint64_t at = (n->where + 7) & ~UINT64_C(7);
    struct index x = { .im = im, .full = n->layout == ER_PACKED_FULL, .size = n->size };
    struct extent *last;
    uint8_t h[8] = { 0 };
    int r = image_read(im, at, h, sizeof h);

    if (r < 0)
        return r;
    if (h[7] & 128)
        return er->features & ER_FRAGMENTS ? whole_fragment(h, ret) : -EUCLEAN;
    x.advise = le16(h + 4);
    x.algorithms = h[6];
    x.bits = er->bits + (h[7] & 7);
    x.base = at + 8 + (x.full ? 8 : 0);
    x.count = (n->size + (UINT64_C(1) << x.bits) - 1) >> x.bits;
    if (x.count > im->size || (!x.full && x.bits != er->bits))
        return -EUCLEAN;
    x.first4 = MIN((32 - x.base % 32) / 4 & 7, x.count);
    x.short2 = x.advise & SHORT_2B ? (x.count - x.first4) / 16 * 16 : 0;
    r = read_index(&x, ret);
    if (r < 0 || !*ret)
        return r < 0 ? r : -EUCLEAN;
    last = &(*ret)->e[(*ret)->n - 1];
    if (x.advise & TAIL_HERE && er->features & ER_TAIL_HERE) {
        last->at = x.behind;
        last->packed = le16(h + 2);
    } else if (x.advise & FRAGMENT && er->features & ER_FRAGMENTS) {
        last->fragment = true;
        last->at = le32(h) | last->at >> er->bits << 32;
    }
    return 0;
}

static int table_of(struct image *im, struct image_node *n, const struct table **ret)
{
    struct table *t = atomic_load(&n->table);
    void *none = NULL;
    int r = 0;

    if (!t) {
        r = make_table(im, n, &t);
        if (r < 0) {
            kfree(t);
            return r;
        }
        if (!atomic_compare_exchange_strong(&n->table, &none, t)) {
            kfree(t);
            t = none;
        }
    }
    *ret = t;
    return r;
}

/* ---- data ---- */

static int fragment_piece(struct image *im, const struct image_node *n, uint64_t at, uint64_t len,
                          struct image_piece *ret)
{
    struct erofs *er = erofs_of(im);
    int r;

    if (!er->packed || n == &er->ends || at >= er->ends.size)
        return -EUCLEAN;
    r = im->ops->piece(im, &er->ends, at, ret);
    if (r == 0)
        ret->n = MIN(ret->n, len);
    return r;
}

/* What lies there as it is: in a row, or each byte at its place in a block. */
static int plain_piece(struct image *im, const struct extent *e, uint64_t pos, uint64_t len,
                       struct image_piece *ret)
{
    uint64_t in = e->interlaced ? pos & (im->block_size - 1) : pos - e->start;
    int r;

    if (in >= e->packed)
        return -EUCLEAN;
    r = image_window(im, e->at + in, ret);
    if (r == 0)
        ret->n = MIN(ret->n, MIN(len, e->packed - in));
    return r;
}

int er_packed_piece(struct image *im, struct image_node *n, uint64_t pos, struct image_piece *ret)
{
    const struct table *t;
    const struct extent *e;
    uint32_t low = 0, high;
    uint64_t end;
    int r = table_of(im, n, &t);

    if (r < 0)
        return r;
    for (high = t->n; high - low > 1;) {
        uint32_t mid = low + (high - low) / 2;

        if (t->e[mid].start <= pos)
            low = mid;
        else
            high = mid;
    }
    e = &t->e[low];
    end = low + 1 < t->n ? t->e[low + 1].start : n->size;
    if (end <= pos || e->start > pos)
        return -EUCLEAN;
    if (e->fragment)
        return fragment_piece(im, n, e->at + (pos - e->start), end - pos, ret);
    if (e->packing == PACK_NONE)
        return plain_piece(im, e, pos, end - pos, ret);
    if (end - e->start > IMAGE_BLOCK_MAX)
        return -EUCLEAN;
    r = image_get(im, e->at, e->packed, e->packing, (uint32_t)(end - e->start), &ret->block);
    if (r < 0)
        return r;
    if (ret->block->n < end - e->start) {
        image_put(im, ret->block);
        return -EUCLEAN;
    }
    ret->p = ret->block->data + (pos - e->start);
    ret->n = end - pos;
    return 0;
}
