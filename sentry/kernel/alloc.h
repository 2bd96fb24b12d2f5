/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that a guest makes us use: zeroed, charged to the sandbox, NULL at its limit (-ENOMEM). */
#pragma once

#include <stddef.h>

/* At start-up, before threads. */
void kalloc_init(void);
void *kzalloc(size_t n) __attribute__((malloc, warn_unused_result));
/* Grows or shrinks p; new bytes are not zeroed. p stays valid on NULL. */
void *krealloc(void *p, size_t n) __attribute__((warn_unused_result));
char *kstrdup(const char *s) __attribute__((malloc, warn_unused_result));
void *kmemdup(const void *p, size_t n) __attribute__((malloc, warn_unused_result));
void kfree(void *p); /* NULL is fine */

/* Charges n bytes kept elsewhere (a memfd's pages). 0 or -ENOMEM. */
int kcharge(size_t n);
void kuncharge(size_t n);
size_t kcharged(void);
void kcharge_limit(size_t bytes);

static inline void kfree_cleanup_(void *p)
{
    kfree(*(void **)p);
}
#define _cleanup_kfree_ __attribute__((cleanup(kfree_cleanup_)))
