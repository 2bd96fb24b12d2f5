/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID/{maps,smaps,smaps_rollup}. The host says what is mapped; mm's record says which file of
 * the guest's stands behind a range. A record whose range the host calls anonymous is out of date
 * (a native munmap and mmap), and is not believed.
 *
 * What is shared with other sandboxes through the page cache is shown as private: it is nobody's
 * business inside.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "sentry/fs/proc/pid_maps.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/alloc.h"
#include "sentry/mm/mm.h"

void ranges_done(struct ranges *rs)
{
    for (size_t k = 0; k < rs->n; k++)
        file_put(rs->r[k].file);
    kfree(rs->r);
    mm_put(rs->mm);
}

static int add_range(struct ranges *rs, const struct as_mapping *m, struct file *file)
{
    if (rs->n == rs->cap) {
        size_t cap = rs->cap ? 2 * rs->cap : 64;
        struct range *r = krealloc(rs->r, cap * sizeof *r);
        if (!r)
            return -ENOMEM;
        rs->r = r;
        rs->cap = cap;
    }
    rs->r[rs->n++] = (struct range){ .m = *m, .file = file ? file_ref(file) : NULL };
    return 0;
}

/* One mapping of the host's may be several of the guest's. */
static int add_mapping(const struct as_mapping *m, void *arg)
{
    struct ranges *rs = arg;
    uint64_t size = m->end - m->start;
    struct vma *v;
    int r = 0;

    LOCK_SCOPE(&rs->mm->lock);
    for (gaddr_t at = m->start; at < m->end && !r;) {
        struct as_mapping part = *m;
        struct file *file = NULL;

        part.start = at;
        part.offset = 0;
        list_for_each(v, &rs->mm->vmas, link) {
            if (v->end <= at)
                continue;
            if (v->start > at) {
                part.end = MIN(part.end, v->start);
            } else {
                part.end = MIN(part.end, v->end);
                if (m->ino && v->file) {
                    file = v->file;
                    part.offset = v->offset + (at - v->start);
                }
            }
            break;
        }
        if (part.end - part.start != size) { /* shared out by size: nobody knows better */
            part.rss = m->rss / PAGE_SIZE_4K * (part.end - part.start) / size * PAGE_SIZE_4K;
            part.anon = MIN(part.rss, m->anon);
            part.locked = MIN(part.rss, m->locked);
        }
        r = add_range(rs, &part, file);
        at = part.end;
    }
    return r;
}

int ranges_take(struct ranges *rs, const struct pobj *o, bool usage)
{
    struct as_mapping m;
    gaddr_t at = 0;
    int r = 0;

    *rs = (struct ranges){ .mm = proc_mm(o) };
    if (!rs->mm)
        return -ESRCH;
    if (kernel.platform->as_each) {
        r = kernel.platform->as_each(rs->mm->as, usage, add_mapping, rs);
    } else {
        while (!r && kernel.platform->as_query(rs->mm->as, at, &m) == 0) {
            r = add_mapping(&m, rs);
            at = m.end;
        }
    }
    return r == -ENOENT ? 0 : r;
}

void range_name(struct task *t, struct mm *mm, const struct range *r, char *buf, size_t cap)
{
    const struct as_mapping *m = &r->m;
    const char *name = "";

    buf[0] = 0;
    if (r->file) {
        ssize_t n = proc_file_text(t, r->file, buf, cap - 1);
        buf[n > 0 ? n : 0] = 0;
        return;
    }
    LOCK_SCOPE(&mm->lock);
    if (m->start < mm->brk && m->end > mm->brk_start)
        name = "[heap]";
    else if (m->start <= mm->start_stack && m->end > mm->start_stack)
        name = "[stack]";
    else if (mm->vdso && m->start == mm->vdso)
        name = "[vdso]";
    else if (m->ino && m->shared)
        name = "/dev/zero (deleted)";
    if (m->name[0]) {
        snprintf(buf, cap, m->shared ? "[anon_shmem:%s]" : "[anon:%s]", m->name);
        return;
    }
    memcpy(buf, name, strlen(name) + 1);
}

static void print_range(struct task *t, struct mm *mm, const struct range *r, struct ptext *out)
{
    const struct as_mapping *m = &r->m;
    char name[4200];
    size_t before = out->len;
    uint64_t dev = 0, ino = 0;

    if (r->file && r->file->inode) {
        dev = r->file->inode->sb->dev;
        ino = r->file->inode->ino;
    }
    pt_printf(out, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", (unsigned long)m->start,
              (unsigned long)m->end, m->prot & PROT_READ ? 'r' : '-',
              m->prot & PROT_WRITE ? 'w' : '-', m->prot & PROT_EXEC ? 'x' : '-',
              m->shared ? 's' : 'p', (unsigned long)m->offset, major(dev), minor(dev),
              (unsigned long)ino);
    range_name(t, mm, r, name, sizeof name);
    if (name[0]) {
        while (out->len - before < 73 && !out->failed)
            pt_puts(out, " ");
        for (const char *p = name; *p; p++)
            *p == '\n' ? pt_puts(out, "\\012") : pt_bytes(out, p, 1);
    }
    pt_puts(out, "\n");
}

PROC_SHOW(proc_show_maps)
{
    struct ranges rs;
    int r = ranges_take(&rs, o, /* usage= */ false);

    (void)n;
    if (r == -ESRCH)
        return 0;
    for (size_t k = 0; r == 0 && k < rs.n; k++)
        print_range(t, rs.mm, &rs.r[k], out);
    ranges_done(&rs);
    return r;
}

static void print_usage(uint64_t size, uint64_t rss, uint64_t anon, uint64_t locked, bool rollup,
                        struct ptext *out)
{
    unsigned long k = 1024, r = rss / k, a = MIN(anon, rss) / k;

    if (!rollup)
        pt_printf(out,
                  "Size:           %8lu kB\nKernelPageSize:        4 kB\n"
                  "MMUPageSize:           4 kB\n",
                  (unsigned long)size / k);
    pt_printf(out, "Rss:            %8lu kB\nPss:            %8lu kB\nPss_Dirty:      %8lu kB\n", r,
              r, a);
    if (rollup)
        pt_printf(out,
                  "Pss_Anon:       %8lu kB\nPss_File:       %8lu kB\nPss_Shmem:      %8lu kB\n", a,
                  r - a, 0ul);
    pt_printf(out,
              "Shared_Clean:   %8lu kB\nShared_Dirty:   %8lu kB\nPrivate_Clean:  %8lu kB\n"
              "Private_Dirty:  %8lu kB\nReferenced:     %8lu kB\nAnonymous:      %8lu kB\n"
              "KSM:            %8lu kB\nLazyFree:       %8lu kB\nAnonHugePages:  %8lu kB\n"
              "ShmemPmdMapped: %8lu kB\nFilePmdMapped:  %8lu kB\nShared_Hugetlb: %8lu kB\n"
              "Private_Hugetlb:%8lu kB\nSwap:           %8lu kB\nSwapPss:        %8lu kB\n"
              "Locked:         %8lu kB\n",
              0ul, 0ul, r - a, a, r, a, 0ul, 0ul, 0ul, 0ul, 0ul, 0ul, 0ul, 0ul, 0ul,
              (unsigned long)locked / k);
}

PROC_SHOW(proc_show_smaps)
{
    struct ranges rs;
    int r = ranges_take(&rs, o, /* usage= */ true);

    (void)n;
    if (r == -ESRCH)
        return 0;
    for (size_t k = 0; r == 0 && k < rs.n; k++) {
        const struct as_mapping *m = &rs.r[k].m;
        print_range(t, rs.mm, &rs.r[k], out);
        print_usage(m->end - m->start, m->rss, m->anon, m->locked, false, out);
        pt_printf(out, "THPeligible:           0\nVmFlags: %s%s%s%smr mw me ac sd \n",
                  m->prot & PROT_READ ? "rd " : "", m->prot & PROT_WRITE ? "wr " : "",
                  m->prot & PROT_EXEC ? "ex " : "", m->shared ? "sh " : "");
    }
    ranges_done(&rs);
    return r;
}

PROC_SHOW(proc_show_smaps_rollup)
{
    struct ranges rs;
    uint64_t size = 0, rss = 0, anon = 0, locked = 0;
    int r = ranges_take(&rs, o, /* usage= */ true);

    (void)n, (void)t;
    if (r == -ESRCH)
        return r;
    for (size_t k = 0; k < rs.n; k++) {
        size += rs.r[k].m.end - rs.r[k].m.start;
        rss += rs.r[k].m.rss;
        anon += rs.r[k].m.anon;
        locked += rs.r[k].m.locked;
    }
    pt_printf(out, "%08lx-%08lx ---p 00000000 00:00 0 ",
              rs.n ? (unsigned long)rs.r[0].m.start : 0ul,
              rs.n ? (unsigned long)rs.r[rs.n - 1].m.end : 0ul);
    while (out->len < 73 && !out->failed)
        pt_puts(out, " ");
    pt_puts(out, "[rollup]\n");
    print_usage(size, rss, anon, locked, true, out);
    ranges_done(&rs);
    return 0;
}
