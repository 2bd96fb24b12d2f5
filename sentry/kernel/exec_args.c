/* SPDX-License-Identifier: Apache-2.0 */
/* Argument and environment strings of an execve; #! lines. */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/exec.h"
#include "sentry/mm/copy.h"

static int reserve(struct exec_strings *s, size_t n)
{
    size_t cap = s->cap ? s->cap : 4096;
    char *p;

    while (cap - s->len < n)
        cap *= 2;
    if (cap == s->cap)
        return 0;
    p = krealloc(s->buf, cap);
    if (!p)
        return -ENOMEM;
    s->buf = p;
    s->cap = cap;
    return 0;
}

int exec_strings_add(struct exec_strings *s, const char *str, size_t len)
{
    int r = reserve(s, len + 1);

    if (r < 0)
        return r;
    memcpy(s->buf + s->len, str, len);
    s->buf[s->len + len] = 0;
    s->len += len + 1;
    s->n++;
    return 0;
}

/*
 * Strings mostly lie one behind the other: what was read last, up to the end of a page, is looked at
 * before more is.
 */
struct window {
    gaddr_t at;
    size_t n;
    char bytes[PAGE_SIZE_4K];
};

/* The string at `at`, if it ends within the window; else NULL. */
static const char *in_window(const struct window *w, gaddr_t at, size_t *ret_len)
{
    const char *p, *end;

    if (at < w->at || at - w->at >= w->n)
        return NULL;
    p = w->bytes + (at - w->at);
    end = memchr(p, 0, w->n - (size_t)(at - w->at));
    if (!end)
        return NULL;
    *ret_len = (size_t)(end - p);
    return p;
}

static void move_window(struct task *t, struct window *w, gaddr_t at)
{
    ssize_t n = copy_in_some(t, w->bytes, at, PAGE_SIZE_4K - (size_t)(at & (PAGE_SIZE_4K - 1)));

    w->at = at;
    w->n = n > 0 ? (size_t)n : 0;
}

static int add_from_guest(struct task *t, struct exec_strings *s, struct window *w, gaddr_t at,
                          size_t *budget)
{
    size_t max = MIN(EXEC_STRING_MAX, *budget), step = 512, len;
    const char *here = in_window(w, at, &len);

    if (!here) {
        move_window(t, w, at);
        here = in_window(w, at, &len);
    }
    if (here && len < max) {
        *budget -= len + 1;
        return exec_strings_add(s, here, len);
    }

    for (;;) { /* most are short: room is made in growing steps */
        size_t room = MIN(step, max);
        ssize_t n;
        int r = reserve(s, room);

        if (r < 0)
            return r;
        n = copy_in_str(t, s->buf + s->len, at, room);
        if (n >= 0) {
            s->len += (size_t)n + 1;
            s->n++;
            *budget -= MIN(*budget, (size_t)n + 1);
            return 0;
        }
        if (n != -ENAMETOOLONG)
            return (int)n;
        if (room == max)
            return -E2BIG;
        step *= 16;
    }
}

int exec_strings_from_guest(struct task *t, struct exec_strings *s, gaddr_t vec, size_t *budget)
{
    gaddr_t ptrs[64];
    struct window w;

    w.at = w.n = 0;
    if (!vec)
        return 0;
    for (;;) {
        /* pointers are read in pieces that stay within a page */
        size_t in_page = (PAGE_SIZE_4K - (vec & (PAGE_SIZE_4K - 1))) / 8;
        size_t n = MIN(ARRAY_SIZE(ptrs), MAX(in_page, (size_t)1));

        if (copy_in(t, ptrs, vec, n * 8) < 0)
            return -EFAULT;
        for (size_t i = 0; i < n; i++) {
            int r;

            if (!ptrs[i])
                return 0;
            if (*budget < 8)
                return -E2BIG;
            *budget -= 8;
            r = add_from_guest(t, s, &w, ptrs[i], budget);
            if (r < 0)
                return r;
        }
        vec += n * 8;
    }
}

int exec_strings_from_kernel(struct exec_strings *s, char *const *vec)
{
    for (; vec && *vec; vec++) {
        int r = exec_strings_add(s, *vec, strlen(*vec));

        if (r < 0)
            return r;
    }
    return 0;
}

int exec_strings_replace_first(struct exec_strings *s, const char *const *front, unsigned n)
{
    struct exec_strings out = { 0 };
    size_t skip = s->n ? strlen(s->buf) + 1 : 0;
    int r = 0;

    for (unsigned i = 0; i < n && r == 0; i++)
        r = exec_strings_add(&out, front[i], strlen(front[i]));
    if (r == 0)
        r = reserve(&out, s->len - skip + 1);
    if (r < 0) {
        exec_strings_free(&out);
        return r;
    }
    if (s->len > skip)
        memcpy(out.buf + out.len, s->buf + skip, s->len - skip);
    out.len += s->len - skip;
    out.n += s->n ? s->n - 1 : 0;
    exec_strings_free(s);
    *s = out;
    return 0;
}

void exec_strings_free(struct exec_strings *s)
{
    kfree(s->buf);
    *s = (struct exec_strings){ 0 };
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* head is the file's first 256 bytes. A line that does not end in them is cut, as Linux does, but an
 * interpreter's name must be whole. */
int exec_parse_script(const char *head, size_t n, char *interp, char *arg, size_t cap)
{
    size_t end = 2, a, b;

    if (n < 2 || head[0] != '#' || head[1] != '!')
        return -ENOEXEC;
    while (end < n && head[end] != '\n' && head[end] != 0)
        end++;
    for (a = 2; a < end && blank(head[a]); a++)
        ;
    for (b = a; b < end && !blank(head[b]); b++)
        ;
    if (a == b || b - a >= cap || (b == n && n == 256))
        return -ENOEXEC;
    memcpy(interp, head + a, b - a);
    interp[b - a] = 0;
    while (end > b && blank(head[end - 1]))
        end--;
    while (b < end && blank(head[b]))
        b++;
    if (end - b >= cap)
        return -ENOEXEC;
    memcpy(arg, head + b, end - b);
    arg[end - b] = 0;
    return 0;
}
