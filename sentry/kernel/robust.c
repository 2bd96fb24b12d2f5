/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words that a leaving thread owes its companions: locks of its robust list are marked as left
 * by a dead owner, and its clear_child_tid word becomes 0. Waiters of both sleep in the host's futex
 * table under the stub's addresses, so the wakes are operations of the thread's own context.
 *
 * The list is the guest's: bounded, each word read once and checked.
 */
#include "sentry/kernel/robust.h"

#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"

#define ROBUST_LIMIT 2048
#define FUTEX_TID_BITS 0x3fffffffu
#define FUTEX_DEAD_BIT 0x40000000u
#define FUTEX_WAITERS_BIT 0x80000000u

struct robust_head {
    uint64_t next;
    int64_t offset;
    uint64_t pending;
};

static bool read_guest(struct task *t, gaddr_t from, void *to, size_t n)
{
    return mm_read(t->mm, from, to, n) == (ssize_t)n;
}

static struct as_op *op_add(struct leave_ops **list)
{
    struct leave_ops *l = *list;
    if (!l || l->n == l->cap) {
        unsigned cap = l ? l->cap * 2 : 4;
        l = krealloc(l, sizeof *l + cap * sizeof l->ops[0]);
        if (!l)
            return NULL;
        if (!*list)
            l->n = l->pos = 0;
        l->cap = cap;
        *list = l;
    }
    struct as_op *op = &l->ops[l->n++];
    memset(op, 0, sizeof *op);
    op->fd = -1;
    return op;
}

static void wake_one(struct leave_ops **list, gaddr_t word)
{
    struct as_op *op = op_add(list);
    if (op) {
        op->kind = AS_FUTEX_WAKE;
        op->a[0] = word;
        op->a[1] = 1;
    }
}

/*
 * The word of one lock. A waiter may set its bit between our read and our write: then it either
 * finds the changed value before it sleeps, or is woken, as we always wake.
 */
static void owner_died(struct task *t, gaddr_t word, bool pi, bool pending, struct leave_ops **list)
{
    uint32_t v;
    if ((word & 3) || !read_guest(t, word, &v, sizeof v))
        return;
    if (pending && !pi && v == 0) { /* died between unlocking and waking */
        wake_one(list, word);
        return;
    }
    if ((v & FUTEX_TID_BITS) != (uint32_t)t->tid)
        return;
    v = (v & FUTEX_WAITERS_BIT) | FUTEX_DEAD_BIT;
    if (mm_write(t->mm, word, &v, sizeof v) == sizeof v && !pi)
        wake_one(list, word);
}

static void walk(struct task *t, struct leave_ops **list)
{
    struct robust_head head;
    gaddr_t list_at = t->ctx ? kernel.platform->ctx_word(t->ctx, CW_ROBUST) : 0;
    if (!list_at || !read_guest(t, list_at, &head, sizeof head))
        return;
    uint64_t entry = head.next, next;
    for (int i = 0; (entry & ~1ull) != list_at && i < ROBUST_LIMIT; i++) {
        bool ok = read_guest(t, entry & ~1ull, &next, sizeof next);
        if (entry != head.pending)
            owner_died(t, (entry & ~1ull) + (uint64_t)head.offset, entry & 1, false, list);
        if (!ok)
            return;
        entry = next;
    }
    if (head.pending)
        owner_died(t, (head.pending & ~1ull) + (uint64_t)head.offset, head.pending & 1, true, list);
}

static bool mm_is_shared(struct task *t)
{
    return atomic_load(&t->mm->refs) > 1;
}

struct leave_ops *robust_leave(struct task *t, bool process_dies)
{
    struct leave_ops *list = NULL;
    if (!t->mm)
        return NULL;
    walk(t, &list);
    if (t->ctx)
        kernel.platform->ctx_set_word(t->ctx, CW_ROBUST, 0);
    if (t->clear_child_tid && t->clear_child_tid != t->host_clear_tid && !process_dies &&
        mm_is_shared(t)) {
        struct as_op *op = op_add(&list);
        if (op) {
            op->kind = AS_STORE32_WAKE;
            op->a[0] = t->clear_child_tid;
            op->a[1] = 0;
        }
    }
    t->clear_child_tid = 0;
    return list;
}
