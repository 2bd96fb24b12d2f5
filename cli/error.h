/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the front end: one line on standard error that says what to do, and an exit status that
 * is returned up to main.
 *
 * What the front end allocates lives as long as its process, which is one run: nothing is freed
 * piecemeal, and running out of memory ends it.
 */
#pragma once

#include <stddef.h>

#include "abi/types.h"

enum {
    EXIT_SBX = 125,    /* sbx itself could not do what was asked */
    EXIT_NOEXEC = 126, /* found, but cannot be run */
    EXIT_NOTFOUND = 127,
    EXIT_TIMEOUT = 124, /* as timeout(1) */
};

/* Prints "sbx: ..." and returns status. */
int fail(int status, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* From now on the last line is kept here instead of printed; NULL: as before. */
void fail_keep(char *text, size_t cap);
/* Until NULL: what is printed begins with this, as "file:3". */
void fail_where(const char *where);
/* A line for the user that is no error. */
void note(const char *fmt, ...) PRINTF_LIKE(1, 2);

char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
char *xjoin(const char *dir,
            const char *name); /* dir/name: a start does it often, and printf is slow */
void *xcalloc(size_t n, size_t size);
void *xreallocarray(void *p, size_t n, size_t size);

/* Appends to an array that doubles: *arr has *n elements of size bytes. Returns the new, zeroed one. */
void *xgrow(void *arrp, unsigned *n, size_t size);
