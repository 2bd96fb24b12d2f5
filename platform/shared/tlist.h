/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of the platforms; the sentry's list.h lies above us. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct tlist {
    struct tlist *next, *prev;
};

#define tlist_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
static inline void tlist_init(struct tlist *l)
{
    l->next = l->prev = l;
}
static inline bool tlist_empty(const struct tlist *l)
{
    return l->next == l;
}
static inline void tlist_add(struct tlist *l, struct tlist *n)
{
    n->prev = l->prev;
    n->next = l;
    l->prev->next = n;
    l->prev = n;
}
static inline void tlist_del(struct tlist *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    tlist_init(n);
}
