/* SPDX-License-Identifier: Apache-2.0 */
/* What core.c and core_elf.c share. */
#pragma once

#include "abi/elfcore.h"
#include "platform/platform.h"
#include "sentry/kernel/core.h"
#include "sentry/kernel/list.h"

struct core_thread {
    struct list link;
    struct lx_prstatus status;
    uint8_t *fpu; /* XSAVE image; NULL: none */
    size_t nfpu;
    struct as_op bases[2]; /* AS_GET_FS, AS_GET_GS */
};

struct core_map {
    struct as_mapping m; /* offset: the guest's */
    struct file *file;   /* a reference; NULL: anonymous */
    uint64_t filesz;     /* bytes of it that are in the file */
};

struct
    core { /* made under tasks_lock; then its threads are added under it; the rest is the last's */
    struct lx_siginfo info;
    uint64_t limit;
    bool failed, unlinked;
    struct list threads; /* the one that took the signal first */

    struct file *file; /* NULL: not opened yet */
    struct core_map *maps;
    size_t nmaps, cap;
    uint8_t *head; /* ELF header, program headers, notes; up to the first page */
    size_t nhead, head_cap;
    size_t at; /* index of the map being written; done bytes of it */
    uint64_t done, pos;
};

/* Takes stock of t's memory, and makes c->head. 0 or -ENOMEM. */
int core_layout(struct task *t, struct core *c);
