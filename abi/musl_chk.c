/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libjansson.a of the host was compiled for glibc, with _FORTIFY_SOURCE: it calls functions of glibc's that know
 * how large their target is. Where sbx is linked with musl they are here, and look as well. With glibc this file
 * is empty.
 */
#include <features.h>
#ifndef __GLIBC__

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names of glibc's, declared nowhere in musl. */
void *__memcpy_chk(void *to, const void *from, size_t n, size_t size);
void *__memmove_chk(void *to, const void *from, size_t n, size_t size);
void *__memset_chk(void *to, int c, size_t n, size_t size);
char *__strcpy_chk(char *to, const char *from, size_t size);
char *__strncpy_chk(char *to, const char *from, size_t n, size_t size);
int __snprintf_chk(char *s, size_t n, int flag, size_t size, const char *fmt, ...);
int __vsnprintf_chk(char *s, size_t n, int flag, size_t size, const char *fmt, va_list ap);

static void check(size_t n, size_t size)
{
    if (n > size)
        abort();
}

void *__memcpy_chk(void *to, const void *from, size_t n, size_t size)
{
    check(n, size);
    return memcpy(to, from, n);
}

void *__memmove_chk(void *to, const void *from, size_t n, size_t size)
{
    check(n, size);
    return memmove(to, from, n);
}

void *__memset_chk(void *to, int c, size_t n, size_t size)
{
    check(n, size);
    return memset(to, c, n);
}

char *__strcpy_chk(char *to, const char *from, size_t size)
{
    return __memcpy_chk(to, from, strlen(from) + 1, size);
}

char *__strncpy_chk(char *to, const char *from, size_t n, size_t size)
{
    check(n, size);
    return strncpy(to, from, n);
}

int __vsnprintf_chk(char *s, size_t n, int flag, size_t size, const char *fmt, va_list ap)
{
    (void)flag;
    check(n, size);
    return vsnprintf(s, n, fmt, ap);
}

int __snprintf_chk(char *s, size_t n, int flag, size_t size, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = __vsnprintf_chk(s, n, flag, size, fmt, ap);
    va_end(ap);
    return r;
}

#else
typedef int nothing_here; /* a file has to have something in it */
#endif
