/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libjansson.a of the distribution is compiled for glibc, with checks of buffer sizes (_FORTIFY_SOURCE): it calls
 * functions that musl has not. Here they are, checks included.
 */
#include <features.h>

#ifndef __GLIBC__
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room);
void *__memmove_chk(void *to, const void *from, size_t n, size_t room);
void *__memset_chk(void *to, int c, size_t n, size_t room);
char *__strcpy_chk(char *to, const char *from, size_t room);
char *__strncpy_chk(char *to, const char *from, size_t n, size_t room);
int __snprintf_chk(char *to, size_t n, int flag, size_t room, const char *fmt, ...);
int __vsnprintf_chk(char *to, size_t n, int flag, size_t room, const char *fmt, va_list ap);

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room)
{
    if (n > room)
        abort();
    return memcpy(to, from, n);
}

void *__memmove_chk(void *to, const void *from, size_t n, size_t room)
{
    if (n > room)
        abort();
    return memmove(to, from, n);
}

void *__memset_chk(void *to, int c, size_t n, size_t room)
{
    if (n > room)
        abort();
    return memset(to, c, n);
}

char *__strcpy_chk(char *to, const char *from, size_t room)
{
    return __memcpy_chk(to, from, strlen(from) + 1, room);
}

char *__strncpy_chk(char *to, const char *from, size_t n, size_t room)
{
    if (n > room)
        abort();
    return strncpy(to, from, n);
}

int __vsnprintf_chk(char *to, size_t n, int flag, size_t room, const char *fmt, va_list ap)
{
    (void)flag;
    if (n > room)
        abort();
    return vsnprintf(to, n, fmt, ap);
}

int __snprintf_chk(char *to, size_t n, int flag, size_t room, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = __vsnprintf_chk(to, n, flag, room, fmt, ap);
    va_end(ap);
    return r;
}
#endif
