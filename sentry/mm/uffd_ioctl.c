/* SPDX-License-Identifier: Apache-2.0 */
/* The ioctls of a userfaultfd: checked here, carried out by the host's; see uffd.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uffd.h"
#include "sentry/syscalls/mem.h"
#include "sentry/vfs/file.h"

#define PIECE (256 * 1024ul) /* that UFFDIO_COPY copies at once */
#define STRETCH                                                                                    \
    (64ul << 20) /* that is filled or protected at once: so long a worker is not to be had */

/*
 * What is told of the host's features, and taken. Not there: huge page files, as on a kernel without
 * them; events of fork, mremap, munmap and madvise, which are native calls; asynchronous write
 * protection, which needs PAGEMAP_SCAN; and moving, which the host does for the owner of the memory alone.
 */
#define FEATURES                                                                                   \
    (LX_UFFD_WP | LX_UFFD_MISSING_SHMEM | LX_UFFD_SIGBUS | LX_UFFD_MINOR_SHMEM |                   \
     LX_UFFD_EXACT_ADDRESS | LX_UFFD_WP_SHMEM | LX_UFFD_WP_UNPOPULATED | LX_UFFD_POISON)
#define BIT(nr) (1ull << (nr))
#define IOCTLS (BIT(LX_UFFDIO_NR_REGISTER) | BIT(LX_UFFDIO_NR_UNREGISTER) | BIT(LX_UFFDIO_NR_API))
#define RANGE_IOCTLS                                                                               \
    (BIT(LX_UFFDIO_NR_WAKE) | BIT(LX_UFFDIO_NR_COPY) | BIT(LX_UFFDIO_NR_ZEROPAGE) |                \
     BIT(LX_UFFDIO_NR_WP) | BIT(LX_UFFDIO_NR_CONTINUE) | BIT(LX_UFFDIO_NR_POISON))

static int host(const struct uffd *u, unsigned cmd, void *arg)
{
    return ioctl(u->fd, (int)cmd, arg) < 0 ? -errno : 0;
}

/* Between two stretches: the caller is to end, and need not be waited for. */
static bool is_ended(const struct task *t)
{
    return atomic_load(&t->fatal) || atomic_load(&t->leaving);
}

static bool is_ready(struct uffd *u)
{
    LOCK_SCOPE(&u->lock);
    return u->ready;
}

/* What lies above what a guest may map is the stub's own. */
static int range_check(gaddr_t start, uint64_t len)
{
    return len == 0 || (start | len) & (PAGE_SIZE_4K - 1) || mem_range_check(start, len) < 0
               ? -EINVAL
               : 0;
}

static int get_range(struct task *t, gaddr_t arg, struct lx_uffdio_range *ret)
{
    return get_guest(t, ret, arg) ? -EFAULT : range_check(ret->start, ret->len);
}

static int enable(struct task *t, struct uffd *u, struct lx_uffdio_api *a)
{
    uint64_t features = a->features;
    int r;

    if (a->api != LX_UFFD_API)
        return -EINVAL;
    if (features & LX_UFFD_EVENT_FORK && !task_capable(t, 19 /* CAP_SYS_PTRACE */))
        return -EPERM;
    if (features & ~FEATURES)
        return -EINVAL;
    r = host(u, LX_UFFDIO_API, a);
    if (r < 0)
        return r == -EINVAL ? r : -EPERM;
    a->features &= FEATURES;
    a->ioctls = IOCTLS;
    u->features = features;
    u->ready = true;
    return 0;
}

static long do_api(struct task *t, struct uffd *u, gaddr_t arg)
{
    struct lx_uffdio_api a;
    int r;

    if (get_guest(t, &a, arg))
        return -EFAULT;
    lock(&u->lock);
    r = enable(t, u, &a);
    unlock(&u->lock);
    if (r < 0)
        memset(&a, 0, sizeof a);
    if (put_guest(t, arg, &a))
        return -EFAULT;
    return r;
}

static long do_register(struct task *t, struct uffd *u, gaddr_t arg)
{
    struct lx_uffdio_register g;
    int r;

    if (get_guest(t, &g, arg))
        return -EFAULT;
    r = range_check(g.range.start, g.range.len);
    if (r == 0)
        r = host(u, LX_UFFDIO_REGISTER, &g);
    if (r < 0)
        return r;
    r = uffd_note_range(u, g.range.start, g.range.start + g.range.len, g.mode);
    if (r < 0) {
        (void)host(u, LX_UFFDIO_UNREGISTER, &g.range);
        return r;
    }
    g.ioctls &= RANGE_IOCTLS;
    return copy_out(t, arg + offsetof(struct lx_uffdio_register, ioctls), &g.ioctls,
                    sizeof g.ioctls);
}

static long do_unregister(struct task *t, struct uffd *u, gaddr_t arg)
{
    struct lx_uffdio_range g;
    int r = get_range(t, arg, &g);

    if (r == 0)
        r = host(u, LX_UFFDIO_UNREGISTER, &g);
    if (r < 0)
        return r;
    (void)!uffd_note_range(u, g.start, g.start + g.len, 0);
    uffd_wake(u, g.start, g.len);
    return 0;
}

static long do_wake(struct task *t, struct uffd *u, gaddr_t arg)
{
    struct lx_uffdio_range g;
    int r = get_range(t, arg, &g);

    if (r == 0)
        r = host(u, LX_UFFDIO_WAKE, &g);
    if (r == 0)
        uffd_wake(u, g.start, g.len);
    return r;
}

/* The host reads what it copies from its caller: from us, piece by piece. Bytes, or why there are none. */
static int64_t copy_pieces(struct task *t, struct uffd *u, const struct lx_uffdio_copy *c,
                           char *buf, size_t cap)
{
    int64_t done = 0;

    while ((uint64_t)done < c->len && !is_ended(t)) {
        size_t n = MIN(cap, c->len - (uint64_t)done);
        struct lx_uffdio_copy p = {
            .dst = c->dst + (uint64_t)done, .src = (uintptr_t)buf, .len = n, .mode = c->mode
        };
        int r = copy_in(t, buf, c->src + (uint64_t)done, n);

        if (r == 0) {
            kernel.platform->worker_block_begin();
            r = host(u, LX_UFFDIO_COPY, &p);
            kernel.platform->worker_block_end();
        }
        if (r == 0 || p.copy > 0)
            done += p.copy;
        if (r < 0)
            return done ? done : r;
    }
    return done;
}

static long do_copy(struct task *t, struct uffd *u, gaddr_t arg)
{
    _cleanup_kfree_ char *buf = NULL;
    struct lx_uffdio_copy c;
    int r;

    if (copy_in(t, &c, arg, offsetof(struct lx_uffdio_copy, copy)))
        return -EFAULT;
    r = range_check(c.dst, c.len);
    if (r == 0 && (c.src + c.len <= c.src || c.mode & ~(LX_UFFD_DONTWAKE | 2)))
        r = -EINVAL;
    if (r < 0)
        return r;
    buf = kzalloc(MIN(c.len, PIECE));
    if (!buf)
        return -ENOMEM;
    c.copy = copy_pieces(t, u, &c, buf, MIN(c.len, PIECE));
    if (c.copy > 0 && !(c.mode & LX_UFFD_DONTWAKE))
        uffd_wake(u, c.dst, (uint64_t)c.copy);
    if (copy_out(t, arg + offsetof(struct lx_uffdio_copy, copy), &c.copy, sizeof c.copy))
        return -EFAULT;
    return c.copy < 0 ? c.copy : (uint64_t)c.copy == c.len ? 0 : -EAGAIN;
}

/* One call for each stretch of it; bytes, or why there are none. */
static int64_t fill(struct task *t, struct uffd *u, unsigned cmd, const struct lx_uffdio_fill *c)
{
    uint64_t done = 0;
    int r = 0;

    while (r == 0 && done < c->range.len && !is_ended(t)) {
        struct lx_uffdio_fill p = {
            .range = { c->range.start + done, MIN(STRETCH, c->range.len - done) }, .mode = c->mode
        };

        kernel.platform->worker_block_begin();
        r = host(u, cmd, &p);
        kernel.platform->worker_block_end();
        if (p.done > 0)
            done += (uint64_t)p.done;
    }
    return done ? (int64_t)done : r < 0 ? r : -EINTR;
}

/* UFFDIO_ZEROPAGE, UFFDIO_CONTINUE and UFFDIO_POISON. */
static long do_fill(struct task *t, struct uffd *u, unsigned cmd, gaddr_t arg)
{
    struct lx_uffdio_fill c;
    int r;

    if (copy_in(t, &c, arg, offsetof(struct lx_uffdio_fill, done)))
        return -EFAULT;
    r = range_check(c.range.start, c.range.len);
    if (r == 0 && c.mode & ~(LX_UFFD_DONTWAKE | (cmd == LX_UFFDIO_CONTINUE ? 2u : 0u)))
        r = -EINVAL;
    if (r < 0)
        return r;
    c.done = fill(t, u, cmd, &c);
    if (c.done > 0 && !(c.mode & LX_UFFD_DONTWAKE))
        uffd_wake(u, c.range.start, (uint64_t)c.done);
    if (copy_out(t, arg + offsetof(struct lx_uffdio_fill, done), &c.done, sizeof c.done))
        return -EFAULT;
    return c.done < 0 ? c.done : (uint64_t)c.done == c.range.len ? 0 : -EAGAIN;
}

static long do_protect(struct task *t, struct uffd *u, gaddr_t arg)
{
    struct lx_uffdio_wp w;
    uint64_t done = 0;
    int r;

    if (get_guest(t, &w, arg))
        return -EFAULT;
    r = range_check(w.range.start, w.range.len);
    while (r == 0 && done < w.range.len) {
        struct lx_uffdio_wp p = {
            .range = { w.range.start + done, MIN(STRETCH, w.range.len - done) }, .mode = w.mode
        };

        kernel.platform->worker_block_begin();
        r = is_ended(t) ? -EINTR : host(u, LX_UFFDIO_WP, &p);
        kernel.platform->worker_block_end();
        done += p.range.len;
    }
    if (r == 0 && !(w.mode & (1 | LX_UFFD_WP_DONTWAKE)))
        uffd_wake(u, w.range.start, w.range.len);
    return r;
}

long uffd_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    struct uffd *u = f->priv;

    if (cmd != LX_UFFDIO_API && !is_ready(u))
        return -EINVAL;
    switch (cmd) {
    case LX_UFFDIO_API:
        return do_api(t, u, arg);
    case LX_UFFDIO_REGISTER:
        return do_register(t, u, arg);
    case LX_UFFDIO_UNREGISTER:
        return do_unregister(t, u, arg);
    case LX_UFFDIO_WAKE:
        return do_wake(t, u, arg);
    case LX_UFFDIO_COPY:
        return do_copy(t, u, arg);
    case LX_UFFDIO_ZEROPAGE:
    case LX_UFFDIO_CONTINUE:
    case LX_UFFDIO_POISON:
        return do_fill(t, u, cmd, arg);
    case LX_UFFDIO_WP:
        return do_protect(t, u, arg);
    default:
        return -EINVAL; /* which these descriptors say instead of ENOTTY */
    }
}
