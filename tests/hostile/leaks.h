/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the mode `leaks`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Something came out that should not have. */
void leak(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void leaks_in_pages(void);   /* leaks_pages.c: fresh memory, and registers of a new program */
void leaks_in_results(void); /* leaks_results.c: what calls write, padding included */
/* leaks_texts.c: files of /proc, /sys and others; n strings that only the host knows */
void leaks_in_texts(char **strings, int n);
void leaks_in_facts(void); /* pids, clocks, loads */

/* Does [at, at+n) hold what looks like an address of the kernel's, or of a program that is not us? */
bool looks_foreign(const void *at, size_t n, unsigned long long *ret_value);
void maps_load(void); /* our own mappings, for looks_foreign */
