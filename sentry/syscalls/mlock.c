/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is kept resident. The host locks it, in the stub, and counts it: VmLck is what the host
 * says. It also holds the stub to a limit of its own, which no capability inside lifts, so what is
 * larger fails as beyond RLIMIT_MEMLOCK.
 *
 * mlockall(MCL_CURRENT) goes by ranges, so that the stub's own pages stay out; MCL_FUTURE is the
 * host's, so that maps that are made natively are locked, too.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/mem.h"
#include "sentry/syscalls/table.h"

static rlim_t host_limit; /* of a stub, which has the limit that we are started with */

__attribute__((constructor)) static void ask_host(void)
{
    struct rlimit lim;

    host_limit = getrlimit(RLIMIT_MEMLOCK, &lim) == 0 ? lim.rlim_cur : 0;
}

static int may_lock(struct task *t)
{
    return task_capable(t, CAP_IPC_LOCK) || task_rlimit(t, RLIMIT_MEMLOCK)->rlim_cur ? 0 : -EPERM;
}

struct overlap {
    gaddr_t start, end;
    uint64_t locked;
};

static int add_overlap(const struct as_mapping *m, void *arg)
{
    struct overlap *o = arg;
    gaddr_t from = MAX(m->start, o->start), to = MIN(m->end, o->end);

    if (from < to)
        o->locked += MIN(to - from, m->locked);
    return m->start >= o->end;
}

/* Does len more at start stay below the caller's limit? What is locked there already counts once. */
static int check_limit(struct task *t, gaddr_t start, uint64_t len)
{
    rlim_t max = task_rlimit(t, RLIMIT_MEMLOCK)->rlim_cur & ~(PAGE_SIZE_4K - 1);
    struct overlap o = { start, start + len, 0 };
    uint64_t locked;

    if (task_capable(t, CAP_IPC_LOCK) || max >= RLIM_INFINITY >> 1)
        return 0;
    locked = mm_locked(t->mm);
    if (locked + len <= max)
        return 0;
    (void)kernel.platform->as_each(t->mm->as, /* usage= */ true, add_overlap, &o);
    return locked + len - o.locked <= max ? 0 : -ENOMEM;
}

int mlock_future(struct task *t, uint64_t len)
{
    return check_limit(t, UINT64_MAX - len, len) == 0 ? 0 : -EAGAIN; /* nothing lies there yet */
}

static long lock_range(struct task *t, gaddr_t addr, uint64_t len, unsigned flags)
{
    uint64_t start = PAGE_ALIGN_DOWN(addr), size = PAGE_ALIGN_UP(len + (addr - start));
    int r;

    if (t->call.phase == 0) {
        r = may_lock(t);
        if (r == 0 && len && size == 0)
            r = -EINVAL;
        if (r == 0 && size)
            r = check_limit(t, start, size);
        if (r < 0)
            return r;
    }
    return mem_op(t, AS_MLOCK, start, size, flags);
}

long sys_mlock(struct task *t, gaddr_t addr, size_t len)
{
    return lock_range(t, addr, len, 0);
}

long sys_mlock2(struct task *t, gaddr_t addr, size_t len, int flags)
{
    return flags & ~MLOCK_ONFAULT ? -EINVAL : lock_range(t, addr, len, (unsigned)flags);
}

long sys_munlock(struct task *t, gaddr_t addr, size_t len)
{
    uint64_t start = PAGE_ALIGN_DOWN(addr);

    return mem_op(t, AS_MUNLOCK, start, PAGE_ALIGN_UP(len + (addr - start)), 0);
}

/* ---- all of it ---- */

struct span {
    gaddr_t start, len;
};

struct lock_all { /* the record's scratch */
    struct as_op ops[AS_OPS_MAX];
    struct span *spans; /* what is to be locked now */
    size_t n, cap, pos;
    unsigned sent;
    gaddr_t stack;
};

static void lock_all_free(void *p)
{
    kfree(((struct lock_all *)p)->spans);
}

/* Of the stack, which is mapped as large as it may become, what is used and some more. */
#define STACK_MORE (128 * 1024ul)

/* What cannot be touched is not made resident. */
static int add_span(const struct as_mapping *m, void *arg)
{
    struct lock_all *l = arg;
    gaddr_t start = m->start;

    if (l->stack >= m->start && l->stack < m->end && m->end - m->start > m->rss + STACK_MORE)
        start = m->end - PAGE_ALIGN_UP(m->rss + STACK_MORE);
    if (!(m->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
        return 0;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct span *s = krealloc(l->spans, cap * sizeof *s);
        if (!s)
            return -ENOMEM;
        l->spans = s;
        l->cap = cap;
    }
    l->spans[l->n++] = (struct span){ start, m->end - start };
    return 0;
}

static int lock_all_begin(struct task *t, struct lock_all *l, int flags)
{
    uint64_t all = 0;
    int r = may_lock(t);

    if (r < 0)
        return r;
    lock(&t->mm->lock);
    l->stack = t->mm->start_stack;
    unlock(&t->mm->lock);
    if (flags & MCL_CURRENT)
        r = kernel.platform->as_each(t->mm->as, /* usage= */ true, add_span, l);
    if (r < 0)
        return r;
    for (size_t i = 0; i < l->n; i++)
        all += l->spans[i].len;
    if (all > host_limit ||
        (!task_capable(t, CAP_IPC_LOCK) && all > task_rlimit(t, RLIMIT_MEMLOCK)->rlim_cur))
        return -ENOMEM;
    /* what was said of the future before does not hold any more */
    l->ops[0] = (struct as_op){ .kind = AS_MUNLOCKALL, .fd = -1 };
    l->ops[1] = (struct as_op){ .kind = AS_MLOCKALL,
                                .fd = -1,
                                .a = { (uint64_t)(flags & (MCL_FUTURE | MCL_ONFAULT)) } };
    l->sent = flags & MCL_FUTURE ? 2 : 1;
    return call_ops(t, l->ops, l->sent);
}

/* The next spans; one that cannot be locked is passed over, as by Linux, which says nothing of it. */
static int lock_more(struct task *t, struct lock_all *l, int flags)
{
    l->sent = 0;
    while (l->sent < AS_OPS_MAX && l->pos + l->sent < l->n) {
        const struct span *s = &l->spans[l->pos + l->sent];

        l->ops[l->sent++] = (struct as_op){ .kind = AS_MLOCK,
                                            .fd = -1,
                                            .a = { s->start, s->len,
                                                   flags & MCL_ONFAULT ? MLOCK_ONFAULT : 0 } };
    }
    return l->sent ? call_ops(t, l->ops, l->sent) : 0;
}

static void note_locked(struct lock_all *l)
{
    unsigned i = 0;

    while (i < l->sent && l->ops[i].ret >= 0)
        i++;
    l->pos += i < l->sent ? i + 1 : i;
}

long sys_mlockall(struct task *t, int flags)
{
    struct lock_all *l;

    if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
        return -EINVAL;
    l = call_scratch(t, sizeof *l);
    if (!l)
        return -ENOMEM;
    switch (t->call.phase) {
    case 0:
        t->call.scratch_free = lock_all_free;
        t->call.phase = 1;
        return lock_all_begin(t, l, flags);
    case 1:
        if (l->ops[l->sent - 1].ret < 0)
            return l->ops[l->sent - 1].ret;
        t->call.phase = 2;
        return lock_more(t, l, flags);
    default:
        if (l->ops[0].ret == -EINTR) /* its context is gone */
            return -EINTR;
        note_locked(l);
        return lock_more(t, l, flags);
    }
}

long sys_munlockall(struct task *t)
{
    return mem_op(t, AS_MUNLOCKALL, 0, 0, 0);
}
