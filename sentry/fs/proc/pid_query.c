/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single mappings and pages of /proc/PID: ioctl(PROCMAP_QUERY) of maps, and pagemap, which says of
 * each page whether it is there and in use by nobody else, as Linux says it to who may not know frames.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "abi/procmap.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/pid_maps.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"

/* ---- PROCMAP_QUERY ---- */

#define QUERY_MIN 24 /* up to query_addr */
#define QUERY_FLAGS                                                                                \
    (LX_PROCMAP_PROT | LX_PROCMAP_SHARED | LX_PROCMAP_COVERING_OR_NEXT | LX_PROCMAP_FILE_BACKED)

static int read_query(struct task *t, gaddr_t from, struct lx_procmap_query *q)
{
    char rest[64];
    uint64_t size;

    memset(q, 0, sizeof *q);
    if (get_guest(t, &size, from) < 0)
        return -EFAULT;
    if (size > PAGE_SIZE_4K)
        return -E2BIG;
    if (size < QUERY_MIN)
        return -EINVAL;
    for (uint64_t at = sizeof *q; at < size; at += sizeof rest) {
        size_t n = MIN(size - at, sizeof rest);

        if (copy_in(t, rest, from + at, n) < 0)
            return -EFAULT;
        for (size_t i = 0; i < n; i++) {
            if (rest[i])
                return -E2BIG;
        }
    }
    if (copy_in(t, q, from, MIN(size, sizeof *q)) < 0)
        return -EFAULT;
    q->size = size;
    if (q->query_flags & ~(uint64_t)QUERY_FLAGS || !q->vma_name_size != !q->vma_name_addr ||
        !q->build_id_size != !q->build_id_addr)
        return -EINVAL;
    return 0;
}

static uint64_t flags_of(const struct range *r)
{
    return (r->m.prot & LX_PROCMAP_PROT) | (r->m.shared ? LX_PROCMAP_SHARED : 0);
}

static const struct range *find(const struct ranges *rs, const struct lx_procmap_query *q)
{
    uint64_t need = q->query_flags & (LX_PROCMAP_PROT | LX_PROCMAP_SHARED);

    for (size_t i = 0; i < rs->n; i++) {
        const struct range *r = &rs->r[i];

        if (r->m.end <= q->query_addr)
            continue;
        if (r->m.start > q->query_addr && !(q->query_flags & LX_PROCMAP_COVERING_OR_NEXT))
            return NULL;
        if ((flags_of(r) & need) == need && (!(q->query_flags & LX_PROCMAP_FILE_BACKED) || r->file))
            return r;
        if (!(q->query_flags & LX_PROCMAP_COVERING_OR_NEXT))
            return NULL;
    }
    return NULL;
}

static int answer(struct task *t, struct ranges *rs, struct lx_procmap_query *q)
{
    const struct range *r = find(rs, q);
    char name[PATH_MAX + 16];
    size_t n;

    if (!r)
        return -ENOENT;
    q->vma_start = r->m.start;
    q->vma_end = r->m.end;
    q->vma_flags = flags_of(r);
    q->vma_page_size = PAGE_SIZE_4K;
    q->vma_offset = q->inode = 0;
    q->dev_major = q->dev_minor = 0;
    if (r->file && r->file->inode) {
        q->vma_offset = r->m.offset;
        q->inode = r->file->inode->ino;
        q->dev_major = major(r->file->inode->sb->dev);
        q->dev_minor = minor(r->file->inode->sb->dev);
    }
    q->build_id_size = 0; /* as of a file that has none */
    if (!q->vma_name_size)
        return 0;
    range_name(t, rs->mm, r, name, sizeof name);
    n = name[0] ? strlen(name) + 1 : 0;
    if (n > q->vma_name_size)
        return -ENAMETOOLONG;
    q->vma_name_size = (uint32_t)n;
    return n && copy_out(t, q->vma_name_addr, name, n) < 0 ? -EFAULT : 0;
}

long proc_maps_ioctl(struct task *t, const struct pobj *o, unsigned cmd, uint64_t arg)
{
    struct lx_procmap_query q;
    struct ranges rs;
    int r;

    if (cmd != LX_PROCMAP_QUERY)
        return -ENOTTY;
    r = read_query(t, arg, &q);
    if (r < 0)
        return r;
    r = ranges_take(&rs, o, /* usage= */ false);
    if (r == 0)
        r = answer(t, &rs, &q);
    ranges_done(&rs);
    if (r < 0)
        return r;
    return copy_out(t, arg, &q, MIN(q.size, sizeof q));
}

/* ---- pagemap ---- */

#define BATCH 512 /* entries */

static ssize_t pagemap_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct mm *mm = proc_mm(pobj_of(f->inode));
    uint64_t entries[BATCH];
    ssize_t done = 0, n = 0;

    if (!mm)
        return 0;
    if (t && proc_may_access(t, pobj_of(f->inode)) < 0) {
        mm_put(mm);
        return -EACCES;
    }
    if (*pos % 8 || it->left % 8)
        n = -EINVAL;
    while (n >= 0 && it->left && done < (ssize_t)(64 * sizeof entries)) {
        gaddr_t page = (gaddr_t)*pos / 8 * PAGE_SIZE_4K;
        size_t want = MIN(it->left / 8, (size_t)BATCH);

        if ((uint64_t)*pos / 8 >= kernel.platform->as_limit() / PAGE_SIZE_4K)
            break;
        memset(entries, 0, want * 8);
        if (kernel.platform->as_pages)
            kernel.platform->as_pages(mm->as, page, entries, want);
        n = iter_put(it, entries, want * 8);
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
    return vfs_dir_llseek(t, f, off, whence);
}

const struct file_ops proc_pagemap_fops = {
    .name = "pagemap",
    .read = pagemap_read,
    .llseek = pagemap_llseek,
};
