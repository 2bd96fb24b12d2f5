/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in a process's memory: cmdline, environ, auxv, and mem itself. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/alloc.h"
#include "sentry/mm/mm.h"

#define AREA_MAX (4ul << 20)

/* Copies [start, end) until a fault; stops behind the first NUL when asked to. */
static void copy_area(struct mm *mm, gaddr_t start, gaddr_t end, bool until_nul, struct ptext *out)
{
    char buf[4096];

    if (end - start > AREA_MAX)
        end = start + AREA_MAX;
    while (start < end) {
        ssize_t n = mm_read(mm, start, buf, MIN(end - start, sizeof buf));
        if (n <= 0)
            return;
        const char *nul = until_nul ? memchr(buf, 0, (size_t)n) : NULL;
        if (nul) {
            pt_bytes(out, buf, (size_t)(nul - buf) + 1);
            return;
        }
        pt_bytes(out, buf, (size_t)n);
        start += (uint64_t)n;
    }
}

PROC_SHOW(proc_show_cmdline)
{
    struct mm *mm = proc_mm(o);
    gaddr_t start, end, env_start, env_end;

    (void)t, (void)n;
    if (!mm)
        return 0; /* a zombie */
    lock(&mm->lock);
    start = mm->arg_start;
    end = mm->arg_end;
    env_start = mm->env_start;
    env_end = mm->env_end;
    unlock(&mm->lock);
    if (start < end) {
        char last = 0;
        copy_area(mm, start, end, false, out);
        if (out->len && out->len == end - start)
            last = out->buf[out->len - 1];
        if (last && env_start == end) { /* it wrote a title over its arguments, and beyond */
            out->len = 0;
            copy_area(mm, start, env_end, true, out);
        }
    }
    mm_put(mm);
    return 0;
}

PROC_SHOW(proc_show_environ)
{
    struct mm *mm = proc_mm(o);

    (void)t, (void)n;
    if (!mm)
        return 0;
    lock(&mm->lock);
    gaddr_t start = mm->env_start, end = mm->env_end;
    unlock(&mm->lock);
    if (start < end)
        copy_area(mm, start, end, false, out);
    mm_put(mm);
    return 0;
}

PROC_SHOW(proc_show_auxv)
{
    struct mm *mm = proc_mm(o);

    (void)t, (void)n;
    if (!mm)
        return 0;
    lock(&mm->lock);
    size_t bytes = MIN(16ul * mm->nauxv, sizeof mm->saved_auxv);
    uint64_t copy[ARRAY_SIZE(mm->saved_auxv)];
    memcpy(copy, mm->saved_auxv, bytes);
    unlock(&mm->lock);
    pt_bytes(out, copy, bytes);
    mm_put(mm);
    return 0;
}

/* ---- mem ---- */

/* One page's worth at the most; what came over, 0 for no more, or -errno. */
static ssize_t mem_piece(struct mm *mm, struct iter *it, char *buf, gaddr_t at, bool write)
{
    size_t want = MIN(it->left, PAGE_SIZE_4K - (at & (PAGE_SIZE_4K - 1)));
    ssize_t n = write ? iter_get(it, buf, want) : mm_peek(mm, at, buf, want);

    if (n <= 0)
        return n;
    return write ? mm_poke(mm, at, buf, (size_t)n) : iter_put(it, buf, (size_t)n);
}

static ssize_t mem_move(struct task *t, struct file *f, struct iter *it, loff_t *pos, bool write)
{
    struct mm *mm = proc_mm(pobj_of(f->inode));
    ssize_t done = 0, n = 0;
    _cleanup_kfree_ char *buf = kzalloc(PAGE_SIZE_4K);

    if (!mm)
        return 0;
    if (t && proc_may_access(t, pobj_of(f->inode)) < 0) { /* another program by now */
        mm_put(mm);
        return -EACCES;
    }
    while (buf && it->left && done < (ssize_t)(256 * PAGE_SIZE_4K)) {
        n = mem_piece(mm, it, buf, (gaddr_t)*pos, write);
        if (n <= 0)
            break;
        done += n;
        *pos += n;
    }
    mm_put(mm);
    if (!buf)
        return -ENOMEM;
    return done ? done : n < 0 ? -EIO : 0;
}

static ssize_t mem_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    return mem_move(t, f, it, pos, false);
}

static ssize_t mem_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    return mem_move(t, f, it, pos, true);
}

static loff_t mem_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    (void)t;
    if (whence == SEEK_CUR)
        off = (loff_t)((uint64_t)off + (uint64_t)f->pos);
    else if (whence != SEEK_SET)
        return -EINVAL;
    f->pos = off; /* addresses of the upper half are none of a guest's, but may be sought */
    return off;
}

const struct file_ops proc_mem_fops = {
    .name = "mem",
    .read = mem_read,
    .write = mem_write,
    .llseek = mem_llseek,
};
