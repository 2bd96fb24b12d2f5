/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select and pselect6 over the core of poll.c. The three sets lie in the scratch block, each as
 * wide as n asks for (no wider than the descriptor table), with one item for each descriptor that
 * stands in any of them.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/time.h>

#include "sentry/ipc/poll.h"
#include "sentry/kernel/task.h"

#define WANT_IN (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define WANT_OUT (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define WANT_EX POLLPRI

static const uint32_t want_of_set[3] = { WANT_IN, WANT_OUT, WANT_EX };

struct select_call { /* scratch; sets and items behind it */
    struct poll_limit limit;
    unsigned n, words, nitems;
    uint64_t *sets[3];
    struct poll_item *items;
    int *fds; /* of items */
};

static void select_call_done(void *scratch)
{
    struct select_call *sc = scratch;
    for (unsigned i = 0; i < sc->nitems; i++)
        file_put(sc->items[i].file);
}

static bool set_has(const uint64_t *set, unsigned i)
{
    return set[i / 64] >> (i % 64) & 1;
}

static int select_add(struct task *t, struct select_call *sc, unsigned fd)
{
    uint32_t want = 0;
    for (int s = 0; s < 3; s++)
        if (set_has(sc->sets[s], fd))
            want |= want_of_set[s];
    if (!want)
        return 0;
    struct file *f = fd_get(t, (int)fd);
    if (!f)
        return -EBADF;
    sc->fds[sc->nitems] = (int)fd;
    sc->items[sc->nitems++] = (struct poll_item){ .file = f, .want = want };
    return 0;
}

static int select_begin(struct task *t, struct select_call *sc, const gaddr_t sets[3])
{
    t->call.scratch_free = select_call_done;
    for (int s = 0; s < 3; s++)
        if (sets[s] && sc->words && copy_in(t, sc->sets[s], sets[s], sc->words * 8))
            return -EFAULT;
    for (unsigned fd = 0; fd < sc->n; fd++) {
        int r = select_add(t, sc, fd);
        if (r)
            return r;
    }
    return 0;
}

static long select_finish(struct task *t, struct select_call *sc, const gaddr_t sets[3])
{
    long n = 0;
    for (int s = 0; s < 3; s++) {
        if (!sets[s] || !sc->words)
            continue;
        uint64_t *in = sc->sets[s];
        for (unsigned i = 0; i < sc->nitems; i++) {
            unsigned fd = (unsigned)sc->fds[i];
            if (!set_has(in, fd))
                continue;
            if (sc->items[i].got & want_of_set[s])
                n++;
            else
                in[fd / 64] &= ~(1ull << (fd % 64));
        }
        if (sc->n % 64)
            in[sc->words - 1] &= (1ull << (sc->n % 64)) - 1;
        if (copy_out(t, sets[s], in, sc->words * 8))
            return -EFAULT;
    }
    return n;
}

/* The record's block, laid out on the first run. */
static struct select_call *select_scratch(struct task *t, int n, int *ret_err)
{
    *ret_err = -EINVAL;
    if (n < 0)
        return NULL;
    unsigned width = (unsigned)n, cap = (unsigned)t->call.done; /* kept there: must not change */
    if (!cap) {
        lock(&t->files->lock);
        cap = MAX(t->files->cap, 64u);
        unlock(&t->files->lock);
        t->call.done = cap;
    }
    width = MIN(width, cap);
    unsigned words = (width + 63) / 64;
    *ret_err = -ENOMEM;
    struct select_call *sc = call_scratch(t, sizeof *sc + words * 24 +
                                                 width * (sizeof(struct poll_item) + sizeof(int)));
    if (!sc)
        return NULL;
    sc->n = width;
    sc->words = words;
    uint64_t *w = (uint64_t *)(void *)(sc + 1);
    for (int s = 0; s < 3; s++, w += words)
        sc->sets[s] = w;
    sc->items = (struct poll_item *)(void *)w;
    sc->fds = (int *)(void *)(sc->items + width);
    return sc;
}

/*
 * A descriptor may hold for one set and not for another that asked: poll_items counts an item as
 * ready by its whole want, and POLLERR or POLLHUP by itself wakes no set of exceptions; so look
 * whether a bit would be left.
 */
static bool select_any(const struct select_call *sc)
{
    for (unsigned i = 0; i < sc->nitems; i++)
        for (int s = 0; s < 3; s++)
            if (set_has(sc->sets[s], (unsigned)sc->fds[i]) && (sc->items[i].got & want_of_set[s]))
                return true;
    return false;
}

static long select_run(struct task *t, struct select_call *sc, const gaddr_t sets[3])
{
    int r = poll_items(t, sc->items, sc->nitems, sc->limit.now);
    if (r > 0 && !select_any(sc) && !sc->limit.now) {
        /* held by an error that nobody asked for: only the others and the deadline count */
        for (unsigned i = 0; i < sc->nitems; i++)
            if (sc->items[i].got) {
                file_put(sc->items[i].file);
                sc->items[i].file = NULL;
                sc->items[i].got = 0;
            }
        r = poll_items(t, sc->items, sc->nitems, false);
    }
    return r < 0 ? r : select_finish(t, sc, sets);
}

/* A personality whose timeouts stay as they were given. */
static bool is_sticky(const struct task *t)
{
    return t->personality & 0x4000000;
}

long do_select(struct task *t, int n, gaddr_t in, gaddr_t out, gaddr_t ex, gaddr_t tv)
{
    const gaddr_t sets[3] = { in, out, ex };
    struct timeval limit = { 0 };
    int err;
    if (t->call.phase == 0 && tv && get_guest(t, &limit, tv))
        return -EFAULT;
    struct select_call *sc = select_scratch(t, n, &err);
    if (!sc)
        return err;
    if (t->call.phase == 0) {
        struct timespec ts = { 0, 0 };
        if (tv) {
            if (limit.tv_sec < 0 || limit.tv_usec < 0)
                return -EINVAL;
            if (__builtin_add_overflow(limit.tv_sec, limit.tv_usec / 1000000, &ts.tv_sec))
                return -EINVAL;
            ts.tv_nsec = limit.tv_usec % 1000000 * 1000;
        }
        err = poll_limit_set(t, &sc->limit, tv ? &ts : NULL);
        if (!err)
            err = select_begin(t, sc, sets);
        if (err)
            return err;
        t->call.phase = 1;
    }
    long r = select_run(t, sc, sets);
    if (r == -ERESTARTNOHAND && is_sticky(t))
        return -EINTR;
    if (r != -EWAITING && tv && !is_sticky(t)) {
        struct timespec left = poll_limit_left(&sc->limit);
        limit = (struct timeval){ left.tv_sec, left.tv_nsec / 1000 };
        if (put_guest(t, tv, &limit) && r == -ERESTARTNOHAND)
            r = -EINTR;
    }
    return r;
}

long do_pselect(struct task *t, int n, gaddr_t in, gaddr_t out, gaddr_t ex, gaddr_t ts, gaddr_t sig)
{
    const gaddr_t sets[3] = { in, out, ex };
    struct {
        gaddr_t mask;
        uint64_t size;
    } sigarg = { 0, 0 };
    struct timespec limit;
    int err;
    if (t->call.phase == 0 &&
        ((sig && get_guest(t, &sigarg, sig)) || (ts && get_guest(t, &limit, ts))))
        return -EFAULT;
    if (t->call.phase == 0 && ts && (limit.tv_sec < 0 || (uint64_t)limit.tv_nsec >= 1000000000))
        return -EINVAL;
    struct select_call *sc = select_scratch(t, n, &err);
    if (!sc)
        return err;
    if (t->call.phase == 0) {
        err = poll_set_mask(t, sigarg.mask, sigarg.size);
        if (!err)
            err = poll_limit_set(t, &sc->limit, ts ? &limit : NULL);
        if (!err)
            err = select_begin(t, sc, sets);
        if (err)
            return err;
        t->call.phase = 1;
    }
    long r = select_run(t, sc, sets);
    if (r == -ERESTARTNOHAND && is_sticky(t))
        return -EINTR;
    if (r != -EWAITING && ts && !is_sticky(t)) {
        limit = poll_limit_left(&sc->limit);
        if (put_guest(t, ts, &limit) && r == -ERESTARTNOHAND)
            r = -EINTR;
    }
    return r;
}
