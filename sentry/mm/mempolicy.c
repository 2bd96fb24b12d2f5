/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See mempolicy.h. Ranges are kept as they were given, sorted, without overlaps. The host is the truth
 * about what is mapped: a range that was unmapped natively keeps its policy until the sentry maps
 * there, or another policy is set.
 */
#include "sentry/mm/mempolicy.h"

#include <errno.h>

#include "sentry/kernel/alloc.h"
#include "sentry/mm/mm.h"

#define RANGES_MAX 65536u

struct policy_range {
    struct list link; /* mm->policies */
    gaddr_t start, end;
    struct mempolicy policy;
};

static struct policy_range *range_new(gaddr_t start, gaddr_t end, const struct mempolicy *p)
{
    struct policy_range *r = kzalloc(sizeof *r);

    if (r)
        *r = (struct policy_range){ .start = start, .end = end, .policy = *p };
    return r;
}

static void cut_locked(struct mm *mm, gaddr_t start, gaddr_t end, struct policy_range **spare)
{
    struct policy_range *r, *tmp, *tail;

    list_for_each_safe(r, tmp, &mm->policies, link) {
        if (r->end <= start || r->start >= end)
            continue;
        if (r->start < start && r->end > end) {
            tail = *spare;
            *spare = NULL;
            tail->start = end;
            tail->end = r->end;
            tail->policy = r->policy;
            r->end = start;
            list_add_head(&r->link, &tail->link);
            mm->npolicies++;
        } else if (r->start < start) {
            r->end = start;
        } else if (r->end > end) {
            r->start = end;
        } else {
            list_del(&r->link);
            kfree(r);
            mm->npolicies--;
        }
    }
}

int mm_policy_set(struct mm *mm, gaddr_t start, gaddr_t end, const struct mempolicy *p)
{
    struct policy_range *spare, *new = NULL, *r;
    struct list *at;

    lock(&mm->lock);
    bool none = !mm->npolicies && !p;
    unlock(&mm->lock);
    if (none)
        return 0;
    spare = range_new(0, 0, &(struct mempolicy){ 0 });
    if (p)
        new = range_new(start, end, p);
    lock(&mm->lock);
    bool ok = spare && (new || !p) && mm->npolicies + 2 <= RANGES_MAX;
    if (ok)
        cut_locked(mm, start, end, &spare);
    if (ok && new) {
        at = &mm->policies;
        list_for_each(r, &mm->policies, link) {
            if (r->start >= end) {
                at = &r->link;
                break;
            }
        }
        list_add_tail(at, &new->link);
        mm->npolicies++;
        new = NULL;
    }
    unlock(&mm->lock);
    kfree(spare);
    kfree(new);
    return ok ? 0 : -ENOMEM;
}

bool mm_policy_get(struct mm *mm, gaddr_t addr, struct mempolicy *ret)
{
    struct policy_range *r;

    *ret = (struct mempolicy){ 0 };
    LOCK_SCOPE(&mm->lock);
    list_for_each(r, &mm->policies, link) {
        if (r->start <= addr && addr < r->end) {
            *ret = r->policy;
            return true;
        }
    }
    return false;
}

int mm_policy_copy_locked(struct mm *to, const struct mm *from)
{
    struct policy_range *r, *n;

    list_for_each(r, &from->policies, link) {
        n = range_new(r->start, r->end, &r->policy);
        if (!n)
            return -ENOMEM;
        list_add_tail(&to->policies, &n->link);
        to->npolicies++;
    }
    return 0;
}

void mm_policy_free(struct mm *mm)
{
    struct policy_range *r, *tmp;

    list_for_each_safe(r, tmp, &mm->policies, link) {
        list_del(&r->link);
        kfree(r);
    }
}
