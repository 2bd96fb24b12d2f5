/* SPDX-License-Identifier: Apache-2.0 */
/* Making of a line: text, strings, numbers with names, memory of the guest. See line.h. */
#include "sentry/strace/line.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "abi/names.h"
#include "sentry/mm/copy.h"
#include "sentry/strace/xlat.h"

void sx_puts(struct sx *s, const char *text)
{
    sx_printf(s, "%s", text);
}

void sx_printf(struct sx *s, const char *fmt, ...)
{
    size_t room = sizeof s->buf - s->len;
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(s->buf + s->len, room, fmt, ap);
    va_end(ap);
    if (n > 0)
        s->len += MIN((size_t)n, room - 1);
}

void sx_quote(struct sx *s, const char *bytes, size_t n, bool more)
{
    static const char escapes[] = "\a\b\t\n\v\f\r", letters[] = "abtnvfr";

    sx_puts(s, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        const char *e = c ? strchr(escapes, c) : NULL;
        bool digit_follows = i + 1 < n && bytes[i + 1] >= '0' && bytes[i + 1] <= '9';

        if (c == '"' || c == '\\')
            sx_printf(s, "\\%c", c);
        else if (e && c != '\a' && c != '\b')
            sx_printf(s, "\\%c", letters[e - escapes]);
        else if (c >= ' ' && c < 127)
            sx_printf(s, "%c", c);
        else
            sx_printf(s, digit_follows ? "\\%03o" : "\\%o", c);
    }
    sx_puts(s, more ? "\"..." : "\"");
}

void sx_addr(struct sx *s, gaddr_t p)
{
    if (p)
        sx_printf(s, "%#lx", (unsigned long)p);
    else
        sx_puts(s, "NULL");
}

bool sx_fetch(struct sx *s, gaddr_t p, void *to, size_t n)
{
    if (p && copy_in(s->t, to, p, n) == 0)
        return true;
    sx_addr(s, p);
    return false;
}

bool sx_fetch_out(struct sx *s, gaddr_t p, void *to, size_t n)
{
    if (s->exiting && s->ret < 0) {
        sx_addr(s, p);
        return false;
    }
    return sx_fetch(s, p, to, n);
}

void sx_cstr(struct sx *s, gaddr_t p)
{
    /* Paths are shown whole, as strace does; everything else is cut. */
    char buf[4096];
    ssize_t n;

    if (!p) {
        sx_puts(s, "NULL");
        return;
    }
    n = copy_in_str(s->t, buf, p, sizeof buf);
    if (n >= 0)
        sx_quote(s, buf, (size_t)n, false);
    else if (n == -ENAMETOOLONG && copy_in(s->t, buf, p, SX_STRING) == 0)
        sx_quote(s, buf, SX_STRING, true);
    else
        sx_addr(s, p);
}

void sx_bytes(struct sx *s, gaddr_t p, uint64_t n)
{
    char buf[SX_STRING];
    size_t shown = MIN(n, (uint64_t)sizeof buf);

    if (!n && p)
        sx_puts(s, "\"\"");
    else if (sx_fetch(s, p, buf, shown))
        sx_quote(s, buf, shown, n > shown);
}

const char *xset_name(const struct xset *set, uint64_t v)
{
    for (unsigned i = 0; i < set->n; i++)
        if (set->x[i].v == v)
            return set->x[i].name;
    return NULL;
}

void sx_value(struct sx *s, const struct xset *set, uint64_t v)
{
    const char *name = xset_name(set, v);

    if (name)
        sx_puts(s, name);
    else
        sx_printf(s, "%#lx /* %s??? */", (unsigned long)v, set->prefix);
}

void sx_flags(struct sx *s, const struct xset *set, uint64_t v)
{
    const char *zero = xset_name(set, 0), *sep = "";
    uint64_t left = v;

    if (!v) {
        sx_puts(s, zero ? zero : "0");
        return;
    }
    for (unsigned i = 0; i < set->n; i++) {
        uint64_t bit = set->x[i].v;
        if (!bit || (left & bit) != bit)
            continue;
        sx_printf(s, "%s%s", sep, set->x[i].name);
        left &= ~bit;
        sep = "|";
    }
    if (left && left != v)
        sx_printf(s, "|%#lx", (unsigned long)left);
    else if (left)
        sx_printf(s, "%#lx /* %s??? */", (unsigned long)left, set->prefix);
}

void sx_signame(struct sx *s, int sig)
{
    const char *name = signal_name(sig);

    if (name)
        sx_printf(s, "SIG%s", name);
    else if (sig == 32)
        sx_puts(s, "SIGRTMIN");
    else if (sig > 32 && sig <= 64)
        sx_printf(s, "SIGRT_%d", sig - 32);
    else
        sx_printf(s, "%d", sig);
}

void sx_errno(struct sx *s, int err)
{
    const char *name = errno_name(err);

    if (name)
        sx_printf(s, "%s (%s)", name, errno_text(err));
    else
        sx_printf(s, "E%d", err);
}

void sx_fd(struct sx *s, int fd)
{
    sx_printf(s, "%d", fd);
}

void sx_dirfd(struct sx *s, int fd)
{
    if (fd == AT_FDCWD)
        sx_puts(s, "AT_FDCWD");
    else
        sx_fd(s, fd);
}

void sx_mode(struct sx *s, unsigned mode)
{
    sx_printf(s, mode ? "0%03o" : "000", mode);
}

void sx_full_mode(struct sx *s, unsigned mode)
{
    const char *type = xset_name(&x_filetype, mode & S_IFMT);

    if (type)
        sx_printf(s, "%s|", type);
    for (unsigned i = 0; i < x_modebits.n; i++)
        if (mode & x_modebits.x[i].v)
            sx_printf(s, "%s|", x_modebits.x[i].name);
    sx_mode(s, mode & 0777);
}

void sx_id(struct sx *s, unsigned id)
{
    if (id == (unsigned)-1)
        sx_puts(s, "-1");
    else
        sx_printf(s, "%u", id);
}

void sx_dev(struct sx *s, uint64_t dev)
{
    sx_printf(s, "makedev(%#x, %#x)", major(dev), minor(dev));
}
