/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring_enter(2): submits in its first run, and waits for results in those that follow. */
#include <errno.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"
#include "sentry/uring/uring.h"

#define ENTER_FLAGS                                                                                \
    (LX_ENTER_GETEVENTS | LX_ENTER_SQ_WAKEUP | LX_ENTER_SQ_WAIT | LX_ENTER_EXT_ARG |               \
     LX_ENTER_REGISTERED_RING | LX_ENTER_ABS_TIMER)

enum { ENTER_SUBMIT, ENTER_ROOM, ENTER_PREPARE, ENTER_WAIT };

struct enter { /* scratch */
    long submitted;
    uint32_t timeouts;
    struct advice advice;
};

static void enter_free(void *e)
{
    advice_free(&((struct enter *)e)->advice);
}

struct uring *uring_call(struct task *t, unsigned fd, bool index)
{
    struct file *f = t->call.files[0];
    struct uring *r;

    if (!f && index) {
        if (fd >= URING_RING_FDS || !t->uring || !t->uring->rings[fd])
            return ERR_PTR(fd >= URING_RING_FDS || !t->uring ? -EINVAL : -EBADF);
        f = call_keep_file(t, 0, file_ref(t->uring->rings[fd]));
    }
    if (!f)
        f = call_file(t, 0, (int)fd);
    if (IS_ERR(f))
        return (void *)f;
    r = uring_of(f);
    return r ? r : ERR_PTR(-EOPNOTSUPP);
}

static long submit(struct task *t, struct uring *r, unsigned n, unsigned flags)
{
    long done;
    int e;

    if (r->flags & LX_URING_SQPOLL) {
        if (!r->sqpoll)
            return -EOWNERDEAD;
        if (flags & LX_ENTER_SQ_WAKEUP)
            uring_sqpoll_kick(r);
        return n;
    }
    if (!n)
        return 0;
    e = tlock(t, &r->submit);
    if (e < 0)
        return e;
    if (r->flags & LX_URING_SINGLE_ISSUER && !r->issuer)
        r->issuer = t->tid;
    done = r->issuer && r->issuer != t->tid ? -EEXIST : uring_submit(t, r, n);
    tunlock(t, &r->submit);
    return done;
}

static int set_limits(struct task *t, gaddr_t arg, size_t size, unsigned flags)
{
    struct lx_uring_getevents_arg a = { .sigmask = arg, .sigmask_sz = (uint32_t)size };
    struct timespec ts;
    ktime_t when;

    if (flags & LX_ENTER_EXT_ARG) {
        if (size != sizeof a)
            return -EINVAL;
        if (get_guest(t, &a, arg) < 0)
            return -EFAULT;
        if (a.min_wait_usec)
            return -EINVAL;
    }
    if (a.ts) {
        if (get_guest(t, &ts, a.ts) < 0)
            return -EFAULT;
        if (timespec_to_ktime(&ts, &when) < 0)
            when = 0; /* as Linux: over */
        call_deadline(t, flags & LX_ENTER_ABS_TIMER ? when : ktime_add(ktime_now(), when));
    }
    return poll_set_mask(t, a.sigmask, a.sigmask_sz);
}

static int check_ring(struct uring *r)
{
    return atomic_load(&r->disabled) ? -EBADFD : 0;
}

static long get_events(struct task *t, struct uring *r, struct enter *e, unsigned min,
                       unsigned flags, gaddr_t arg, size_t size)
{
    int w;

    if (t->call.phase == ENTER_PREPARE) {
        if (r->flags & LX_URING_DEFER_TASKRUN && r->issuer && r->issuer != t->tid)
            return -EEXIST;
        cq_flush(r);
        lock(&r->lock);
        e->timeouts = r->cq_timeouts;
        unlock(&r->lock);
        w = set_limits(t, arg, size, flags);
        if (w < 0)
            return w;
        t->call.phase = ENTER_WAIT;
    }
    return uring_wait(t, r, MIN(min, r->cq_entries), e->timeouts);
}

long sys_io_uring_enter(struct task *t, int fd, unsigned to_submit, unsigned min_complete,
                        unsigned long flags, gaddr_t arg, size_t size)
{
    struct enter *e = call_scratch(t, sizeof *e);
    struct uring *r;
    long n;

    if (!e)
        return -ENOMEM;
    t->call.scratch_free = enter_free;
    if (flags & ~(unsigned long)ENTER_FLAGS)
        return -EINVAL;
    r = uring_call(t, (unsigned)fd, flags & LX_ENTER_REGISTERED_RING);
    if (IS_ERR(r))
        return PTR_ERR(r);
    if (t->call.phase == ENTER_SUBMIT) {
        n = check_ring(r);
        if (n == 0)
            n = submit(t, r, to_submit, (unsigned)flags);
        if (n < 0)
            return n;
        e->submitted = n;
        t->call.phase = ENTER_ROOM;
    }
    n = uring_advise(t, r, &e->advice);
    if (n < 0)
        return n;
    if (t->call.phase == ENTER_ROOM) {
        n = r->flags & LX_URING_SQPOLL && flags & LX_ENTER_SQ_WAIT ? uring_sq_wait(t, r) : 0;
        if (n == -EWAITING || n == -EOWNERDEAD)
            return n;
        t->call.phase = ENTER_PREPARE;
    }
    if (!(flags & LX_ENTER_GETEVENTS) || e->submitted < (long)to_submit)
        return e->submitted;
    n = get_events(t, r, e, min_complete, (unsigned)flags, arg, size);
    return n == -EWAITING ? n : e->submitted ? e->submitted : n;
}

long sys_io_uring_setup(struct task *t, unsigned entries, gaddr_t params)
{
    return uring_setup(t, entries, params);
}

long sys_io_uring_register(struct task *t, int fd, unsigned opcode, gaddr_t arg, unsigned nr_args)
{
    bool index = opcode & LX_REGISTER_USE_REGISTERED_RING;
    struct uring *r;

    opcode &= ~LX_REGISTER_USE_REGISTERED_RING;
    if (opcode >= LX_REGISTER_LAST)
        return -EINVAL;
    r = uring_call(t, (unsigned)fd, index);
    return IS_ERR(r) ? PTR_ERR(r) : uring_register(t, r, opcode, arg, nr_args);
}
