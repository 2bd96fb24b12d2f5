/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials. A struct cred is immutable once other threads can see it; who wants a change copies,
 * changes the copy and publishes it (sentry/syscalls/cred.c). The rules of set*id lie there; here
 * are only life cycle and questions.
 */
#include "sentry/kernel/cred.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

static int gid_cmp(const void *a, const void *b)
{
    gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

    return (x > y) - (x < y);
}

struct cred *cred_new_user(uid_t uid, gid_t gid, const gid_t *groups, unsigned n)
{
    struct cred *c = kzalloc(sizeof *c);

    if (!c)
        return NULL;
    atomic_init(&c->refs, 1);
    c->uid = c->euid = c->suid = c->fsuid = uid;
    c->gid = c->egid = c->sgid = c->fsgid = gid;
    c->cap_bset = CAP_ALL;
    if (uid == 0)
        c->cap_permitted = c->cap_effective = CAP_ALL;
    if (!cred_set_groups(c, groups, n)) {
        kfree(c);
        return NULL;
    }
    return c;
}

struct cred *cred_new_root(void)
{
    return cred_new_user(0, 0, NULL, 0);
}

bool cred_set_groups(struct cred *c, const gid_t *groups, unsigned n)
{
    gid_t *copy = NULL;

    if (n) {
        copy = kmemdup(groups, n * sizeof *groups);
        if (!copy)
            return false;
        qsort(copy, n, sizeof *copy, gid_cmp);
    }
    kfree(c->groups);
    c->groups = copy;
    c->ngroups = n;
    return true;
}

void cred_lend(const struct cred *c, struct cred *ret)
{
    atomic_init(&ret->refs, 1); /* the original's count changes meanwhile */
    memcpy((char *)ret + sizeof ret->refs, (const char *)c + sizeof c->refs,
           sizeof *c - sizeof c->refs);
}

struct cred *cred_copy(const struct cred *c)
{
    struct cred *n = kzalloc(sizeof *n);

    if (!n)
        return NULL;
    cred_lend(c, n);
    n->groups = NULL;
    if (!cred_set_groups(n, c->groups, c->ngroups)) {
        kfree(n);
        return NULL;
    }
    return n;
}

struct cred *cred_ref(struct cred *c)
{
    if (c)
        atomic_fetch_add(&c->refs, 1);
    return c;
}

void cred_put(struct cred *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    kfree(c->groups);
    kfree(c);
}

int cred_commit(struct task *t, struct cred *c)
{
    struct cred *old = t->cred;
    bool other = c->euid != old->euid || c->egid != old->egid || c->fsuid != old->fsuid ||
                 c->fsgid != old->fsgid || c->cap_permitted & ~old->cap_permitted;

    lock(&kernel.tasks_lock);
    t->cred = c;
    if (other) {
        t->group->dumpable = false;
        t->pdeath_signal = 0;
    }
    unlock(&kernel.tasks_lock);
    cred_put(old);
    task_tell_facts(t);
    return 0;
}

bool cred_capable(const struct cred *c, int cap)
{
    return cap >= 0 && cap <= CAP_LAST && (c->cap_effective >> cap & 1);
}

static bool in_list(const struct cred *c, gid_t gid)
{
    return c->ngroups && bsearch(&gid, c->groups, c->ngroups, sizeof gid, gid_cmp);
}

bool cred_in_group(const struct cred *c, gid_t gid)
{
    return c->fsgid == gid || in_list(c, gid);
}

bool cred_in_egroup(const struct cred *c, gid_t gid)
{
    return c->egid == gid || in_list(c, gid);
}
