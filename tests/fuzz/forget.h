/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front end frees nothing: its process is one run. Between these two, under libFuzzer, what it
 * allocates is noted, and what is left of that is freed, or a target would fill the machine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define FORGET_MAX 16384

int __sanitizer_install_malloc_and_free_hooks(void (*made)(const volatile void *, size_t),
                                              void (*freed)(const volatile void *))
    __attribute__((weak));

static struct {
    const volatile void *all[FORGET_MAX];
    unsigned n;
    bool on, installed;
} forget;

static void forget_made(const volatile void *p, size_t n)
{
    (void)n;
    if (forget.on && forget.n < FORGET_MAX)
        forget.all[forget.n++] = p;
}

static void forget_freed(const volatile void *p)
{
    for (unsigned i = forget.n; forget.on && i-- > 0;) {
        if (forget.all[i] == p) {
            forget.all[i] = forget.all[--forget.n];
            return;
        }
    }
}

static inline void forget_begin(void)
{
    if (!forget.installed && __sanitizer_install_malloc_and_free_hooks)
        (void)__sanitizer_install_malloc_and_free_hooks(forget_made, forget_freed);
    forget.installed = true;
    forget.n = 0;
    forget.on = true;
}

static inline void forget_end(void)
{
    forget.on = false;
    while (forget.n)
        free((void *)(uintptr_t)forget.all[--forget.n]);
}
