/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printers of poll, select and epoll. What a caller asked for is printed as the argument; what it
 * got is printed behind the result, as in `= 1 ([{fd=3, revents=POLLIN}])`.
 */
#include <string.h>

#include "abi/poll.h"
#include "sentry/mm/copy.h"
#include "sentry/strace/xlat.h"
#include "sentry/syscalls/table.h"

static void pollfds(struct sx *s, gaddr_t p, unsigned n, bool results)
{
    struct lx_pollfd fd;
    const char *sep = "";

    if (!p) {
        sx_puts(s, "NULL");
        return;
    }
    sx_puts(s, "[");
    for (unsigned k = 0, shown = 0; k < n; k++) {
        if (copy_in(s->t, &fd, p + k * sizeof fd, sizeof fd))
            break;
        if (results && !fd.revents)
            continue;
        sx_printf(s, "%s{fd=%d, %s=", sep, fd.fd, results ? "revents" : "events");
        sx_flags(s, &x_poll, (uint16_t)(results ? fd.revents : fd.events));
        sx_puts(s, "}");
        sep = ", ";
        if (++shown == SX_ELEMENTS) {
            sx_puts(s, ", ...");
            break;
        }
    }
    sx_puts(s, "]");
}

void p_pollfds(struct sx *s, unsigned i)
{
    pollfds(s, s->a[i], (unsigned)s->a[i + 1], false);
}

/* Members of a set of n descriptors; how many there were. */
static unsigned fdset(struct sx *s, gaddr_t p, unsigned n)
{
    uint64_t word = 0;
    unsigned count = 0;

    sx_puts(s, "[");
    for (unsigned fd = 0; fd < MIN(n, 65536u); fd++) {
        if (fd % LX_NFDBITS == 0 && copy_in(s->t, &word, p + fd / 8, sizeof word))
            break;
        if (word >> (fd % LX_NFDBITS) & 1)
            sx_printf(s, "%s%u", count++ ? " " : "", fd);
    }
    sx_puts(s, "]");
    return count;
}

void p_fdset(struct sx *s, unsigned i)
{
    int n = (int)s->a[0];

    if (!s->a[i])
        sx_puts(s, "NULL");
    else if (n < 0)
        sx_addr(s, s->a[i]);
    else
        fdset(s, s->a[i], (unsigned)n);
}

void sx_poll_result(struct sx *s)
{
    static const char *const names[] = { "", "in ", "out ", "except " };

    if (s->ret == 0) {
        sx_puts(s, " (Timeout)");
        return;
    }
    if (s->d->kinds[0] == K_POLLFDS) {
        sx_puts(s, " (");
        pollfds(s, s->a[0], (unsigned)s->a[1], true);
        sx_puts(s, ")");
        return;
    }
    sx_puts(s, " (");
    const char *sep = "";
    for (unsigned i = 1; i <= 3; i++) {
        if (!s->a[i])
            continue;
        size_t before = s->len;
        sx_printf(s, "%s%s", sep, names[i]);
        if (!fdset(s, s->a[i], (unsigned)s->a[0]))
            s->len = before; /* an empty set is not mentioned */
        else
            sep = ", ";
    }
    s->buf[s->len] = 0;
    sx_puts(s, ")");
}

static void epevent(struct sx *s, const struct lx_epoll_event *ev)
{
    sx_puts(s, "{events=");
    sx_flags(s, &x_epoll, ev->events);
    if (ev->data >> 32)
        sx_printf(s, ", data=%#lx}", (unsigned long)ev->data);
    else
        sx_printf(s, ", data={u32=%u, u64=%lu}", (unsigned)ev->data, (unsigned long)ev->data);
    if (!(ev->data >> 32))
        sx_puts(s, "}");
}

void p_epevent(struct sx *s, unsigned i)
{
    struct lx_epoll_event ev;

    if (s->a[1] == 2 /* EPOLL_CTL_DEL */)
        sx_addr(s, s->a[i]);
    else if (sx_fetch(s, s->a[i], &ev, sizeof ev))
        epevent(s, &ev);
}

void p_epevents(struct sx *s, unsigned i)
{
    struct lx_epoll_event ev;

    if (s->ret < 0) {
        sx_addr(s, s->a[i]);
        return;
    }
    sx_puts(s, "[");
    for (long k = 0; k < s->ret; k++) {
        if (k == SX_ELEMENTS) {
            sx_puts(s, ", ...");
            break;
        }
        if (k)
            sx_puts(s, ", ");
        if (!sx_fetch(s, s->a[i] + (uint64_t)k * sizeof ev, &ev, sizeof ev))
            break;
        epevent(s, &ev);
    }
    sx_puts(s, "]");
}
