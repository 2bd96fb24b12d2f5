/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of an address space from outside (shared/memory.c), counted. */
#include "abi/types.h"
#include "platform/trap/trap.h"

/* A thread that has the memory: a leader that has exited before its threads has none any more. */
static pid_t living_thread(const struct stub *s)
{
    for (struct tlist *n = s->ctxs.next; n != &s->ctxs; n = n->next) {
        const struct ctx *c = tlist_entry(n, struct ctx, stub_link);

        if (!atomic_load(&c->freed) && c->tid > 1)
            return c->tid;
    }
    return 0;
}

pid_t aspace_pid(struct stub_memory *mem)
{
    struct aspace *as = tlist_entry(mem, struct aspace, mem);
    pid_t pid = 0, any = 0;

    pthread_mutex_lock(&trap.lock);
    for (struct tlist *n = as->stubs.next; n != &as->stubs && !pid; n = n->next) {
        struct stub *s = tlist_entry(n, struct stub, as_link);

        if (s->dead || s->pid <= 1)
            continue;
        pid = living_thread(s);
        any = s->pid;
    }
    pthread_mutex_unlock(&trap.lock);
    return pid ? pid : any;
}

static void count(_Atomic uint64_t *n)
{
    atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

ssize_t as_read(struct aspace *as, gaddr_t from, void *to, size_t n)
{
    count(&trap.st.reads);
    return stub_read(&as->mem, from, to, n);
}

ssize_t as_write(struct aspace *as, gaddr_t to, const void *from, size_t n, bool force)
{
    count(&trap.st.writes);
    return stub_write(&as->mem, to, from, n, force);
}

ssize_t as_move(struct aspace *as, bool write, const struct iovec *ours, unsigned nours,
                const struct iovec *theirs, unsigned ntheirs)
{
    count(write ? &trap.st.writes : &trap.st.reads);
    return stub_move(&as->mem, write, ours, nours, theirs, ntheirs);
}

int as_query(struct aspace *as, gaddr_t addr, struct as_mapping *ret)
{
    return stub_query(&as->mem, addr, ret);
}

int as_each(struct aspace *as, bool usage, int (*fn)(const struct as_mapping *m, void *arg),
            void *arg)
{
    return stub_each(&as->mem, usage, fn, arg);
}

void as_pages(struct aspace *as, gaddr_t addr, uint64_t *ret, size_t n)
{
    stub_pages(&as->mem, addr, ret, n);
}

int as_usage(struct aspace *as, struct as_usage *ret)
{
    return stub_usage(&as->mem, ret);
}

int as_cost(struct aspace *as, bool exact, struct as_usage *ret)
{
    return stub_cost(&as->mem, exact, ret);
}
