/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of an address space against what the host has mapped. A native munmap leaves a vma
 * behind, with its file; where that matters (a mount that is to go) the host is asked.
 */
#include <errno.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm.h"

struct span {
    gaddr_t start, end;
};

struct spans { /* of files, as the host has them, in order */
    struct span *s;
    size_t n, cap;
};

static int add_span(const struct as_mapping *m, void *arg)
{
    struct spans *l = arg;

    if (!m->ino)
        return 0;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct span *s = krealloc(l->s, cap * sizeof *s);
        if (!s)
            return -ENOMEM;
        l->s = s;
        l->cap = cap;
    }
    l->s[l->n++] = (struct span){ m->start, m->end };
    return 0;
}

static bool overlaps(const struct spans *l, const struct vma *v)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->s[i].start < v->end && l->s[i].end > v->start)
            return true;
    }
    return false;
}

/* The first that is not mapped any more. */
static bool next_gone(struct mm *mm, const struct spans *l, struct span *ret)
{
    struct vma *v;

    LOCK_SCOPE(&mm->lock);
    list_for_each(v, &mm->vmas, link) {
        if (v->file && !overlaps(l, v)) {
            *ret = (struct span){ v->start, v->end };
            return true;
        }
    }
    return false;
}

void mm_forget_unmapped(struct mm *mm)
{
    struct spans l = { 0 };
    struct span gone;

    if (kernel.platform->as_each(mm->as, /* usage= */ false, add_span, &l) == 0) {
        while (next_gone(mm, &l, &gone))
            vma_remove(mm, gone.start, gone.end - gone.start);
    }
    kfree(l.s);
}
