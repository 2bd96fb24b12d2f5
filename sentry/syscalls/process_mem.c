/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a process that a pidfd names: process_madvise, process_mrelease. */
#include <errno.h>
#include <linux/capability.h>
#include <sys/mman.h>

#include "sentry/ipc/pidfd.h"
#include "sentry/kernel/access.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/mem.h"
#include "sentry/syscalls/table.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define VECS_MAX 1024

struct advise { /* the record's scratch */
    struct as_op ops[AS_OPS_MAX];
    struct seg *segs;
    unsigned nsegs, pos, sent;
    uint64_t done;
    bool other;    /* of another process */
    struct mm *mm; /* a reference */
};

static void advise_free(void *p)
{
    struct advise *a = p;

    kfree(a->segs);
    mm_put(a->mm);
}

/* The memory of the process, as a reference. */
static int get_mm(struct task *t, struct file *f, struct mm **ret)
{
    struct tgroup *g = pidfd_group(f);
    struct task *of;

    if (!g)
        return -EBADF;
    LOCK_SCOPE(&kernel.tasks_lock);
    of = g->leader;
    if (g->reaped || !of || !of->mm)
        return -ESRCH;
    if (!task_may_access_locked(t, of, false))
        return -EPERM;
    *ret = mm_ref(of->mm);
    return 0;
}

static int begin(struct task *t, struct advise *a, int pidfd, gaddr_t vec, size_t vlen, int advice)
{
    struct file *f;
    ssize_t n;
    int r;

    if (vlen > VECS_MAX)
        return -EINVAL;
    n = copy_in_iovec(t, vec, (unsigned)vlen, &a->segs);
    if (n < 0)
        return (int)n;
    a->nsegs = (unsigned)vlen;
    f = call_file(t, 0, pidfd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    if (!pidfd_group(f))
        return -EBADF;
    if (advice != MADV_COLD && advice != MADV_PAGEOUT && advice != MADV_WILLNEED &&
        advice != MADV_COLLAPSE)
        return -EINVAL;
    r = get_mm(t, f, &a->mm);
    if (r < 0)
        return r;
    a->other = a->mm != t->mm;
    return a->other && !task_capable(t, CAP_SYS_NICE) ? -EPERM : 0;
}

/*
 * Another process is not disturbed for what is only advice: its ranges are looked at, and the advice
 * is not followed. Huge pages at once are more than that.
 */
static int advise_other(struct advise *a, int advice)
{
    struct as_usage use;
    struct as_mapping m;

    if (advice != MADV_COLLAPSE && kernel.platform->as_usage(a->mm->as, &use) < 0) {
        for (unsigned i = 0; i < a->nsegs; i++) /* just forked, and not there yet */
            a->done += a->segs[i].len;
        a->pos = a->nsegs;
        return 0;
    }
    for (; a->pos < a->nsegs; a->pos++) {
        gaddr_t at = a->segs[a->pos].base, end = at + PAGE_ALIGN_UP(a->segs[a->pos].len);

        if (at & (PAGE_SIZE_4K - 1) || end < at || advice == MADV_COLLAPSE)
            return -EINVAL;
        while (at < end) {
            if (kernel.platform->as_query(a->mm->as, at, &m) < 0 || m.start > at)
                return -ENOMEM;
            at = m.end;
        }
        a->done += a->segs[a->pos].len;
    }
    return 0;
}

static int send(struct task *t, struct advise *a, int advice)
{
    a->sent = 0;
    while (a->sent < AS_OPS_MAX && a->pos + a->sent < a->nsegs) {
        const struct seg *s = &a->segs[a->pos + a->sent];

        if (s->len && mem_range_check(s->base, s->len) < 0)
            break;
        a->ops[a->sent++] = (struct as_op){ .kind = AS_MADVISE,
                                            .fd = -1,
                                            .a = { s->base, s->len, (uint64_t)(unsigned)advice } };
    }
    return a->sent ? call_ops(t, a->ops, a->sent) : a->pos < a->nsegs ? -ENOMEM : 0;
}

long sys_process_madvise(struct task *t, int pidfd, gaddr_t vec, size_t vlen, int advice,
                         unsigned flags)
{
    struct advise *a;
    int r = 0;

    if (flags)
        return -EINVAL;
    a = call_scratch(t, sizeof *a);
    if (!a)
        return -ENOMEM;
    if (t->call.phase == 0) {
        t->call.scratch_free = advise_free;
        t->call.phase = 1;
        r = begin(t, a, pidfd, vec, vlen, advice);
        if (r < 0)
            return r;
        if (a->other)
            r = advise_other(a, advice);
    }
    for (unsigned i = 0; i < a->sent && r == 0; i++) {
        r = a->ops[i].ret < 0 ? (int)a->ops[i].ret : 0;
        if (r == 0)
            a->done += a->ops[i].a[1], a->pos++;
    }
    if (r == 0 && a->pos < a->nsegs)
        r = send(t, a, advice);
    if (r == -EWAITING)
        return r;
    return a->done ? (long)a->done : r;
}

/*
 * A process that is dying gives its memory back. It does so on its way out, which nothing here can
 * hold up for long: the caller waits for that.
 */
long sys_process_mrelease(struct task *t, int pidfd, unsigned flags)
{
    struct file *f;
    struct tgroup *g;

    if (flags)
        return -EINVAL;
    f = call_file(t, 0, pidfd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    g = pidfd_group(f);
    if (!g)
        return -EBADF;
    LOCK_SCOPE(&kernel.tasks_lock);
    if (t->call.phase == 0 && (g->reaped || g->zombie))
        return -ESRCH;
    if (g->reaped || g->zombie)
        return 0;
    if (!g->exiting)
        return -EINVAL;
    t->call.phase = 1;
    return task_wait(t, &g->exit_wq, 0);
}
