/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked lists and container_of. A node that is on no list points at itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define LIST_INIT(name)                                                                            \
    {                                                                                              \
        &(name), &(name)                                                                           \
    }

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_(struct list *n, struct list *prev, struct list *next)
{
    next->prev = n;
    n->next = next;
    n->prev = prev;
    prev->next = n;
}

static inline void list_add_head(struct list *l, struct list *n)
{
    list_insert_(n, l, l->next);
}

static inline void list_add_tail(struct list *l, struct list *n)
{
    list_insert_(n, l->prev, l);
}

/* Takes n off whatever list it is on; harmless for a node that is on none. */
static inline void list_del(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* Moves all nodes of from to the tail of to; from is empty afterwards. */
static inline void list_splice_tail(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(l, type, member) list_entry((l)->next, type, member)

#define list_for_each(var, l, member)                                                              \
    for (var = list_entry((l)->next, __typeof__(*var), member); &var->member != (l);               \
         var = list_entry(var->member.next, __typeof__(*var), member))

/* The same, where the loop may take var off the list. */
#define list_for_each_safe(var, tmp, l, member)                                                    \
    for (var = list_entry((l)->next, __typeof__(*var), member),                                    \
        tmp = list_entry(var->member.next, __typeof__(*var), member);                              \
         &var->member != (l);                                                                      \
         var = tmp, tmp = list_entry(var->member.next, __typeof__(*var), member))
