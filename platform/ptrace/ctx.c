/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lives of address spaces, stubs and contexts. A ctx has one reference of the sentry's (until
 * pt_ctx_free or pt_ctx_exit), and one while the host has its thread.
 */
#include <stdlib.h>
#include <string.h>

#include "platform/ptrace/ptrace.h"

/* A thread that has the memory: a leader that has exited before its threads has none any more. */
static pid_t memory_pid(struct stub_memory *mem)
{
    struct aspace *as = tlist_entry(mem, struct aspace, mem);
    pid_t pid = 0;

    pthread_mutex_lock(&pt.lock);
    for (struct tlist *n = as->stubs.next; n != &as->stubs && !pid; n = n->next) {
        struct stub *s = tlist_entry(n, struct stub, as_link);

        for (struct tlist *m = s->ctxs.next; m != &s->ctxs && !pid; m = m->next) {
            struct ctx *c = tlist_entry(m, struct ctx, stub_link);

            if (!atomic_load(&c->freed))
                pid = c->tid;
        }
    }
    pthread_mutex_unlock(&pt.lock);
    return pid;
}

/* ---- address spaces and stubs ---- */

struct aspace *pt_aspace_new(void)
{
    struct aspace *as = calloc(1, sizeof *as);

    if (!as)
        return NULL;
    as->refs = 1;
    tlist_init(&as->stubs);
    stub_memory_init(&as->mem, memory_pid);
    return as;
}

void pt_aspace_ref(struct aspace *as)
{
    atomic_fetch_add(&as->refs, 1);
}

void pt_aspace_put(struct aspace *as)
{
    if (atomic_fetch_sub(&as->refs, 1) != 1)
        return;
    stub_memory_done(&as->mem);
    free(as);
}

void pt_as_ref(struct aspace *as)
{
    atomic_fetch_add(&as->users, 1);
    pt_aspace_ref(as);
}

void pt_as_put(struct aspace *as)
{
    if (atomic_fetch_sub(&as->users, 1) == 1)
        pt_as_kill(as);
    pt_aspace_put(as);
}

void pt_as_kill(struct aspace *as)
{
    pthread_mutex_lock(&pt.lock);
    for (struct tlist *n = as->stubs.next; n != &as->stubs; n = n->next)
        pt_kill_locked(tlist_entry(n, struct stub, as_link));
    pthread_mutex_unlock(&pt.lock);
}

struct stub *pt_stub_new(struct aspace *as)
{
    struct stub *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->refs = 1;
    s->as = as;
    pt_aspace_ref(as);
    tlist_init(&s->ctxs);
    tlist_init(&s->kill_link);
    pthread_mutex_lock(&pt.lock);
    tlist_add(&as->stubs, &s->as_link);
    pthread_mutex_unlock(&pt.lock);
    return s;
}

void pt_stub_put(struct stub *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    pthread_mutex_lock(&pt.lock);
    tlist_del(&s->as_link);
    tlist_del(&s->kill_link);
    pthread_mutex_unlock(&pt.lock);
    pt_aspace_put(s->as);
    free(s);
}

/* ---- contexts ---- */

/* s is NULL for the zygote's. */
struct ctx *pt_ctx_new(struct stub *s)
{
    struct ctx *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->refs = 1;
    c->stub = s;
    tlist_init(&c->stub_link);
    tlist_init(&c->hash_link);
    tlist_init(&c->stash_link);
    tlist_init(&c->want_link);
    if (s) {
        atomic_fetch_add(&s->refs, 1);
        atomic_fetch_add(&s->nlive, 1);
    }
    return c;
}

struct ctx *pt_ctx_new_child(struct ctx *parent, unsigned flags)
{
    struct stub *s = parent->stub;
    struct aspace *as = s->as;
    struct ctx *c;

    if (flags & AS_CLONE_THREAD) {
        atomic_fetch_add(&s->refs, 1);
        atomic_store(&s->threaded, true);
    } else {
        as = flags & AS_CLONE_VM ? as : pt_aspace_new();
        s = as ? pt_stub_new(as) : NULL;
        if (as && !(flags & AS_CLONE_VM))
            pt_aspace_put(as); /* its stub has a reference */
    }
    if (!s)
        return NULL;
    c = pt_ctx_new(s);
    pt_stub_put(s);
    if (!c)
        return NULL;
    c->clone_flags = flags;
    for (unsigned w = CW_RSEQ; !(flags & AS_CLONE_VM) && w <= CW_RSEQ_SIG; w++)
        atomic_store(&c->words[w], atomic_load(&parent->words[w]));
    return c;
}

void pt_ctx_get(struct ctx *c)
{
    atomic_fetch_add(&c->refs, 1);
}

void pt_ctx_drop(struct ctx *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    if (c->stub)
        pt_stub_put(c->stub);
    free(c->fpu);
    free(c);
}

void pt_ctx_born(struct ctx *c, pid_t tid)
{
    pt_ctx_get(c);
    pthread_mutex_lock(&pt.lock);
    c->tid = tid;
    if (!(c->clone_flags & AS_CLONE_THREAD))
        c->stub->pid = tid;
    tlist_add(&c->stub->ctxs, &c->stub_link);
    atomic_store(&c->state, PT_HELD);
    pthread_mutex_unlock(&pt.lock);
    pt_hash(c);
}

/* The host has no such thread any more. */
void pt_ctx_over(struct ctx *c)
{
    void *owner = NULL;
    bool wanted;

    pt_unhash(c);
    pthread_mutex_lock(&pt.lock);
    atomic_store(&c->state, PT_OVER);
    atomic_store(&c->gone, true);
    tlist_del(&c->stub_link);
    wanted = !tlist_empty(&c->want_link);
    tlist_del(&c->want_link);
    if (!atomic_load(&c->freed) && c->owner) {
        owner = c->owner;
        pt.client->owner_ref(owner);
    }
    pthread_mutex_unlock(&pt.lock);
    if (owner) {
        pt.client->event(owner, c, EV_GONE);
        pt.client->owner_put(owner);
    }
    if (wanted)
        pt_ctx_drop(c);
    pt_ctx_drop(c); /* the host's reference */
}

bool pt_ctx_leave(struct ctx *c)
{
    bool again, wanted, last;

    pthread_mutex_lock(&pt.lock);
    again = atomic_exchange(&c->freed, true);
    c->owner = NULL;
    wanted = !tlist_empty(&c->want_link);
    tlist_del(&c->want_link); /* what it wanted, its owner wants no more */
    while (c->busy)
        pthread_cond_wait(&pt.cond, &pt.lock);
    last = !again && atomic_fetch_sub(&c->stub->nlive, 1) == 1;
    if (last)
        pt_kill_locked(c->stub);
    pthread_mutex_unlock(&pt.lock);
    if (wanted)
        pt_ctx_drop(c);
    return last;
}

void pt_ctx_free(struct ctx *c)
{
    pt_ctx_leave(c);
    pt_ctx_drop(c);
}

void pt_ctx_exit(struct ctx *c)
{
    if (!pt_ctx_leave(c))
        pt_want(c, WANT_EXIT);
    pt_ctx_drop(c);
}
