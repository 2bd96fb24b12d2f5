/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of one directory: a hash table that grows with them, and a list in the order in which
 * they were made, whose positions are what telldir gives. The directory's inode->lock is held.
 */
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "sentry/fs/mem/mem.h"
#include "sentry/kernel/alloc.h"

#define FIRST_POS 2 /* behind "." and ".." */

void names_init(struct names *n)
{
    *n = (struct names){ .next_pos = FIRST_POS };
    list_init(&n->all);
}

/* Guests choose names: the table's address salts the hash against chosen collisions. */
static uint64_t hash_of(struct names *n, const char *name, size_t len)
{
    return XXH3_64bits_withSeed(name, len, (uintptr_t)n);
}

void names_free(struct names *n, void (*each)(struct inode *i, void *arg), void *arg)
{
    struct mem_name *e, *tmp;

    list_for_each_safe(e, tmp, &n->all, order) {
        if (e->inode)
            each(e->inode, arg);
        e->inode = NULL;
        kfree(e);
    }
    kfree(n->buckets);
    names_init(n);
}

struct mem_name *names_find(struct names *n, const char *name, size_t len)
{
    uint64_t h;

    if (!n->nbuckets)
        return NULL;
    h = hash_of(n, name, len);
    for (struct mem_name *e = n->buckets[h & (n->nbuckets - 1)]; e; e = e->next)
        if (e->hash == h && e->len == len && !memcmp(e->name, name, len))
            return e;
    return NULL;
}

struct mem_name *mem_name_new(const char *name, size_t len, struct inode *i)
{
    struct mem_name *e = kzalloc(sizeof *e + len + 1);

    if (!e)
        return NULL;
    list_init(&e->order);
    memcpy(e->name, name, len);
    e->len = len;
    e->inode = i;
    return e;
}

void mem_name_free(struct mem_name *e)
{
    if (!e)
        return;
    if (e->inode)
        inode_put(e->inode);
    kfree(e);
}

static int grow(struct names *n)
{
    unsigned nb = n->nbuckets ? n->nbuckets * 2 : 8;
    struct mem_name **b = kzalloc(nb * sizeof *b), *e;

    if (!b)
        return -ENOMEM;
    list_for_each(e, &n->all, order) {
        e->next = b[e->hash & (nb - 1)];
        b[e->hash & (nb - 1)] = e;
    }
    kfree(n->buckets);
    n->buckets = b;
    n->nbuckets = nb;
    return 0;
}

int names_reserve(struct names *n)
{
    return n->count >= n->nbuckets && grow(n) < 0 && !n->nbuckets ? -ENOMEM : 0;
}

void names_enter(struct names *n, struct mem_name *e)
{
    unsigned b;

    e->hash = hash_of(n, e->name, e->len);
    b = e->hash & (n->nbuckets - 1);
    e->next = n->buckets[b];
    n->buckets[b] = e;
    e->pos = n->next_pos++;
    list_add_tail(&n->all, &e->order);
    n->count++;
    if (!e->inode)
        n->whiteouts++;
}

struct mem_name *names_next(struct names *n, struct mem_name *e)
{
    return e->order.next == &n->all ? NULL : list_entry(e->order.next, struct mem_name, order);
}

void names_mark(struct names *n, struct mem_name *e)
{
    n->marks[n->next_mark++ % NAMES_MARKS] = e;
}

struct mem_name *names_from(struct names *n, uint64_t pos)
{
    struct mem_name *e;

    for (unsigned i = 0; i < NAMES_MARKS; i++) {
        e = n->marks[i];
        if (!e || e->pos < pos)
            continue;
        if (e->order.prev == &n->all ||
            list_entry(e->order.prev, struct mem_name, order)->pos < pos) {
            n->marks[i] = NULL; /* it comes back with a new one */
            return e;
        }
    }
    list_for_each(e, &n->all, order)
        if (e->pos >= pos)
            return e;
    return NULL;
}

void names_remove(struct names *n, struct mem_name *e)
{
    struct mem_name **p = &n->buckets[e->hash & (n->nbuckets - 1)];

    while (*p != e)
        p = &(*p)->next;
    *p = e->next;
    for (unsigned i = 0; i < NAMES_MARKS; i++)
        if (n->marks[i] == e)
            n->marks[i] = names_next(n, e);
    list_del(&e->order);
    n->count--;
    if (!e->inode)
        n->whiteouts--;
}
