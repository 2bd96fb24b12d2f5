/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID/pagemap: eight bytes for each page of an address space. Of what Linux puts there a program
 * without privileges sees whether a page is present.
 */
#include <errno.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/alloc.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"

#define ENTRY 8u
#define AT_ONCE 512u
#define PRESENT (1ull << 63)

static ssize_t put_entries(struct mm *mm, gaddr_t page, struct iter *it)
{
    unsigned n = (unsigned)MIN(it->left / ENTRY, (size_t)AT_ONCE);
    uint64_t entry[AT_ONCE];
    uint8_t there[AT_ONCE] = { 0 };

    if (page >= kernel.platform->as_limit() / PAGE_SIZE_4K)
        return 0;
    if (mm_present(mm, page * PAGE_SIZE_4K, n, there) < 0)
        return 0;
    for (unsigned i = 0; i < n; i++)
        entry[i] = there[i] ? PRESENT : 0;
    return iter_put(it, entry, n * ENTRY);
}

static ssize_t pagemap_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct mm *mm = proc_mm(pobj_of(f->inode));
    ssize_t done = 0, n = 0;

    if (!mm)
        return 0;
    if (t && proc_may_access(t, pobj_of(f->inode)) < 0)
        n = -EACCES;
    else if (*pos < 0 || *pos % ENTRY || it->left % ENTRY)
        n = -EINVAL;
    while (n >= 0 && it->left && done < (ssize_t)(64 * AT_ONCE * ENTRY)) {
        n = put_entries(mm, (gaddr_t)*pos / ENTRY, it);
        if (n <= 0)
            break;
        done += n;
        *pos += n;
    }
    mm_put(mm);
    return done ? done : n;
}

static loff_t pagemap_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    (void)t;
    if (whence == SEEK_CUR)
        off += f->pos;
    else if (whence != SEEK_SET)
        return -EINVAL;
    return off < 0 ? -EINVAL : (f->pos = off);
}

const struct file_ops proc_pagemap_fops = {
    .name = "pagemap",
    .read = pagemap_read,
    .llseek = pagemap_llseek,
};
