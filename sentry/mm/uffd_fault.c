/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults that calls meet in memory registered with a userfaultfd. A copy that fails leaves a note in
 * the record (copy.c). When the call is to end with EFAULT for it, a message is queued, the call waits,
 * and begins anew; what it has taken by then from somewhere would be lost. So the ranges that its
 * arguments name (abi/kinds.h) are looked at before it begins, and waited for there.
 *
 *      call                                    who answers
 *      ----                                    -----------
 *      queues its message          (A)         fills the page           (C)
 *      looks at the page again     (B)         wakes who waits for it   (D)
 *
 * If B finds nothing, then A came before C, and D finds it.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/kinds.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uffd.h"
#include "sentry/syscalls/table.h"

#define AHEAD_MAX 16 /* pages of one argument that are waited for before the call */
#define AHEAD_SEGS 64
#define PAGEMAP_UFFD_WP (1ull << 57)
#define PAGEMAP_SWAP (1ull << 62) /* or a marker, as UFFDIO_POISON leaves one */
#define NOWHERE 0x10000 /* where nothing of the sentry's lies: the host finds EFAULT there */
#define NOTHING UINT64_MAX

/* ---- what is registered ---- */

static const struct uffd_range *range_of_locked(const struct uffd *u, gaddr_t at)
{
    unsigned lo = 0, hi = u->nranges;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;

        if (u->ranges[mid].end <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < u->nranges && u->ranges[lo].start <= at ? &u->ranges[lo] : NULL;
}

/* With a reference; NULL: none, or one that does not tell of faults of calls. */
static struct uffd *find(struct mm *mm, gaddr_t at, uint64_t *ret_mode)
{
    struct uffd *u;

    LOCK_SCOPE(&uffds_lock);
    list_for_each(u, &mm->uffds, mm_link) {
        const struct uffd_range *r = range_of_locked(u, at);

        if (!r)
            continue;
        if (u->user_only || u->features & LX_UFFD_SIGBUS)
            return NULL;
        *ret_mode = r->mode;
        uffd_ref(u);
        return u;
    }
    return NULL;
}

/*
 * Is the page registered still? What unmaps and moves memory is native, so the host is asked: a copy
 * from nowhere fails, but with ENOENT where nothing is registered.
 */
static bool is_registered(const struct uffd *u, gaddr_t page)
{
    struct lx_uffdio_copy c = {
        .dst = page, .src = NOWHERE, .len = PAGE_SIZE_4K, .mode = LX_UFFD_DONTWAKE
    };

    return ioctl(u->fd, (int)LX_UFFDIO_COPY, &c) < 0 && (errno == EFAULT || errno == EAGAIN);
}

static bool is_allowed(struct mm *mm, gaddr_t at, bool write)
{
    struct as_mapping m;

    return kernel.platform->as_query(mm->as, at, &m) == 0 && m.start <= at &&
           m.prot & (write ? PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* What keeps a call from the byte at `at`: flags of the message, or NOTHING that u would tell of. */
static uint64_t obstacle(struct uffd *u, struct mm *mm, gaddr_t at, bool write, uint64_t mode)
{
    uint64_t page = 0;
    char byte;
    bool there = kernel.platform->as_read(mm->as, at, &byte, 1) == 1;

    if (there && !(write && mode & LX_UFFD_MODE_WP))
        return NOTHING;
    if (kernel.platform->as_pages)
        kernel.platform->as_pages(mm->as, PAGE_ALIGN_DOWN(at), &page, 1);
    if (there)
        return page & PAGEMAP_UFFD_WP ? LX_UFFD_FAULT_WRITE | LX_UFFD_FAULT_WP : NOTHING;
    if ((page & (PAGEMAP_SWAP | PAGEMAP_UFFD_WP)) == PAGEMAP_SWAP)
        return NOTHING;
    if (!(mode & (LX_UFFD_MODE_MISSING | LX_UFFD_MODE_MINOR)) || !is_allowed(mm, at, write) ||
        !is_registered(u, PAGE_ALIGN_DOWN(at)))
        return NOTHING;
    return (write ? LX_UFFD_FAULT_WRITE : 0) |
           (mode & LX_UFFD_MODE_MISSING ? 0 : LX_UFFD_FAULT_MINOR);
}

/* ---- waiting ---- */

static void end_wait(struct task *t)
{
    struct uffd_wait *w = t->uffd_wait;

    t->uffd_wait = NULL;
    lock(&w->u->lock);
    list_del(&w->link);
    if (!w->told)
        w->u->unread--;
    unlock(&w->u->lock);
    uffd_put(w->u);
    kfree(w);
}

/* 0: the page has been seen to. */
static long go_on_waiting(struct task *t)
{
    struct uffd_wait *w = t->uffd_wait;
    long r = 0;

    lock(&w->u->lock);
    if (!w->woken && !w->u->closed)
        r = task_wait(t, &w->u->fault_wq, WAIT_KILL);
    unlock(&w->u->lock);
    if (r != -EWAITING)
        end_wait(t);
    return r == 0 || r == -EWAITING ? r : -EINTR; /* it is being ended */
}

/* Takes over u's reference. 0: it is not needed any more. */
static long wait_for(struct task *t, struct uffd *u, gaddr_t at, uint64_t flags, uint64_t mode)
{
    struct uffd_wait *w = kzalloc(sizeof *w);

    if (!w) {
        uffd_put(u);
        return -EFAULT;
    }
    *w = (struct uffd_wait){ .u = u, .at = at, .flags = flags, .tid = t->tid };
    t->uffd_wait = w;
    lock(&u->lock);
    list_add_tail(&u->waits, &w->link);
    u->unread++;
    wq_wake_all(&u->rd_wq, POLLIN);
    unlock(&u->lock);
    if (obstacle(u, t->mm, at, flags & LX_UFFD_FAULT_WRITE, mode) == NOTHING) {
        end_wait(t);
        return 0;
    }
    return go_on_waiting(t);
}

/* Is the byte at `at` awaited? *ret_met: it was, and need not be any more, or is waited for. */
static long see_to(struct task *t, gaddr_t at, bool write, bool *ret_met)
{
    uint64_t mode, flags;
    struct uffd *u = find(t->mm, at, &mode);

    *ret_met = false;
    if (!u)
        return 0;
    flags = obstacle(u, t->mm, at, write, mode);
    if (flags == NOTHING) {
        uffd_put(u);
        return 0;
    }
    *ret_met = true;
    return wait_for(t, u, at, flags, mode);
}

/* ---- before the call ---- */

static long see_to_range(struct task *t, gaddr_t at, uint64_t len, bool write)
{
    gaddr_t last = at + len - 1;
    bool met;
    long r = 0;

    if (!at || !len || last < at)
        return 0;
    for (unsigned n = 0; r == 0 && at <= last && n < AHEAD_MAX; n++) {
        r = see_to(t, at, write, &met);
        at = PAGE_ALIGN_DOWN(at) + PAGE_SIZE_4K;
    }
    return r;
}

static long see_to_segs(struct task *t, gaddr_t iov, uint64_t n, bool write)
{
    struct seg segs[AHEAD_SEGS];
    unsigned count = (unsigned)MIN(n, ARRAY_SIZE(segs));
    long r = see_to_range(t, iov, count * sizeof *segs, /* write= */ false);

    if (r < 0 || !count || copy_in(t, segs, iov, count * sizeof *segs))
        return r;
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = see_to_range(t, segs[i].base, segs[i].len, write);
    return r;
}

static long see_to_msg(struct task *t, gaddr_t at, bool write)
{
    struct { /* struct msghdr of 64 bits */
        uint64_t name;
        uint32_t namelen, pad;
        uint64_t iov, iovlen, control, controllen;
    } m;
    long r = see_to_range(t, at, 56, write);

    if (r < 0 || copy_in(t, &m, at, sizeof m))
        return r;
    r = see_to_segs(t, m.iov, m.iovlen, write);
    if (r == 0)
        r = see_to_range(t, m.control, m.controllen, write);
    return r == 0 && m.name ? see_to_range(t, m.name, m.namelen, write) : r;
}

#define WORD 8 /* of structures the beginning: they seldom lie across pages */

/* An argument that is followed, next the one behind it: how many bytes, and which way. 0: it is not one. */
static uint64_t span_of(enum arg_kind k, uint64_t next, bool *ret_write)
{
    *ret_write = false;
    switch (k) {
    case K_OUT:
    case K_DIRENT_O:
    case K_DIRENT64_O:
    case K_PATH_O:
        *ret_write = true;
        return next;
    case K_IN:
        return next;
    case K_PATH:
    case K_STR:
        return 1;
    case K_ARGV:
    case K_ENVP:
    case K_TS_I:
    case K_TS2_I:
    case K_TV_I:
    case K_TV2_I:
    case K_UTIMBUF_I:
    case K_ITV_I:
    case K_ITS_I:
    case K_RLIMIT_I:
    case K_SIGSET_I:
    case K_SIGSETARG:
    case K_SIGACT_I:
    case K_SIGALT_I:
    case K_SIGINFO_I:
    case K_SIGEVENT_I:
    case K_EPEVENT_I:
    case K_SADDR_I:
    case K_SOVAL_I:
    case K_SCHEDATTR_I:
    case K_CLONEARGS_I:
    case K_OPENHOW_I:
        return WORD;
    case K_SCHEDPARAM_I:
    case K_GIDS_I:
        return 4;
    case K_POLLFDS:
        *ret_write = true;
        return (uint32_t)next * 8ull;
    case K_EPEVENTS_O:
        *ret_write = true;
        return (int)next > 0 ? (uint64_t)(int)next * 12 : 0;
    case K_STAT_O:
    case K_RUSAGE_O:
        *ret_write = true;
        return 144;
    case K_STATX_O:
        *ret_write = true;
        return 256;
    case K_STATFS_O:
        *ret_write = true;
        return 120;
    case K_UTSNAME_O:
        *ret_write = true;
        return 390;
    case K_TS_O:
    case K_TV_O:
    case K_RLIMIT_O:
        *ret_write = true;
        return 16;
    case K_TIMEP_O:
    case K_ITV_O:
    case K_ITS_O:
    case K_TIMEX:
    case K_TMS_O:
    case K_SYSINFO_O:
    case K_SIGSET_O:
    case K_SIGACT_O:
    case K_SIGALT_O:
    case K_SIGINFO_O:
    case K_FD2_O:
    case K_OFFP:
    case K_SIZEP_O:
    case K_PTRP_O:
    case K_SADDR_O:
        *ret_write = true;
        return WORD;
    case K_TZ_O:
    case K_WSTATUS_O:
    case K_LENP:
    case K_INTP_O:
    case K_PIDP_O:
    case K_IDP_O:
    case K_GIDS_O:
    case K_SOVAL_O:
    case K_SCHEDPARAM_O:
    case K_SCHEDATTR_O:
        *ret_write = true;
        return 4;
    default:
        return 0;
    }
}

static long see_to_args(struct task *t)
{
    const struct syscall_desc *d = syscall_desc(t->call.nr);
    const uint64_t *a = t->call.args;
    long r = 0;

    for (unsigned i = 0; d && r == 0 && i < d->nargs; i++) {
        uint64_t next = i + 1 < ARRAY_SIZE(t->call.args) ? a[i + 1] : 0, len;
        bool write;

        switch (d->kinds[i]) {
        case K_IOV_I:
        case K_IOV_O:
            r = see_to_segs(t, a[i], next, d->kinds[i] == K_IOV_O);
            break;
        case K_MSG_I:
        case K_MSG_O:
            r = see_to_msg(t, a[i], d->kinds[i] == K_MSG_O);
            break;
        default:
            len = span_of(d->kinds[i], next, &write);
            r = see_to_range(t, a[i], len, write);
            break;
        }
    }
    return r;
}

/* ---- the dispatcher's ---- */

long uffd_before(struct task *t)
{
    long r = t->uffd_wait ? go_on_waiting(t) : 0;

    if (r == 0 && t->call.runs == 0 && t->mm && !t->async &&
        atomic_load_explicit(&t->mm->nuffd, memory_order_relaxed))
        r = see_to_args(t);
    return r;
}

/* What was asked for in time, and a mask for the time of the call, are not to be had a second time. */
long uffd_after(struct task *t)
{
    bool met = false;
    long r;

    t->call.faulted = false;
    if (t->async || !t->mm || t->restore_blocked)
        return -EFAULT;
    call_end(t);
    call_begin(t, t->call.nr,
               (const uint64_t[6]){ t->call.args[0], t->call.args[1], t->call.args[2],
                                    t->call.args[3], t->call.args[4], t->call.args[5] });
    r = see_to(t, t->call.fault, t->call.fault_write, &met);
    return r < 0 || met ? r : -EFAULT;
}
