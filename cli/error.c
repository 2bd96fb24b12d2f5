/* SPDX-License-Identifier: Apache-2.0 */
/* See error.h. Lines are written at once, so that they do not mix with the program's output. */
#include "cli/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *context;
static struct {
    char *text;
    size_t cap;
} kept;

void fail_where(const char *where)
{
    context = where;
}

void fail_keep(char *text, size_t cap)
{
    kept.text = text;
    kept.cap = cap;
}

/* What is told of a name, a path or an argument does nothing to a terminal: C0, and C1 as UTF-8. */
static void make_harmless(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < ' ' || *p == 127)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
    }
}

static void line(const char *fmt, va_list ap)
{
    int saved = errno;
    char *text = NULL;

    if (kept.text) {
        vsnprintf(kept.text, kept.cap, fmt, ap);
        return;
    }
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    if (text)
        make_harmless(text);
    dprintf(STDERR_FILENO, "sbx: %s%s%s\n", context ? context : "", context ? ": " : "",
            text ? text : fmt);
    free(text);
    errno = saved;
}

int fail(int status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line(fmt, ap);
    va_end(ap);
    return status;
}

void note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line(fmt, ap);
    va_end(ap);
}

static void *need(void *p)
{
    if (!p)
        exit(fail(EXIT_SBX, "out of memory"));
    return p;
}

char *xstrdup(const char *s)
{
    return need(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
    return need(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        s = NULL;
    va_end(ap);
    return need(s);
}

char *xjoin(const char *dir, const char *name)
{
    size_t n = strlen(dir), m = strlen(name);
    char *path = xcalloc(n + m + 2, 1);

    memcpy(path, dir, n);
    path[n] = '/';
    memcpy(path + n + 1, name, m);
    return path;
}

void *xcalloc(size_t n, size_t size)
{
    return need(calloc(n ? n : 1, size));
}

void *xreallocarray(void *p, size_t n, size_t size)
{
    return need(reallocarray(p, n ? n : 1, size));
}

void *xgrow(void *arrp, unsigned *n, size_t size)
{
    void **arr = arrp;

    if ((*n & (*n - 1)) == 0) /* 0, 1, 2, 4, ...: full */
        *arr = xreallocarray(*arr, *n ? 2ul * *n : 1, size);
    char *p = (char *)*arr + (*n)++ * size;
    memset(p, 0, size);
    return p;
}
