/* SPDX-License-Identifier: Apache-2.0 */
/* The record of an address space; see mm.h. */
#include "sentry/mm/mm.h"

#include <errno.h>
#include <string.h>

#include "sentry/ipc/aio.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mempolicy.h"
#include "sentry/mm/uffd.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

struct mm *mm_new(struct aspace *as)
{
    struct mm *mm = kzalloc(sizeof *mm);

    if (!mm)
        return NULL;
    mm->refs = 1;
    mm->as = as;
    mm->dumpable = true;
    lock_init(&mm->lock, LOCK_MM);
    list_init(&mm->vmas);
    list_init(&mm->policies);
    list_init(&mm->uffds);
    return mm;
}

struct file *vma_file_ref(struct file *f)
{
    if (!f)
        return NULL;
    if (f->ops->vma_open)
        f->ops->vma_open(f);
    return file_ref(f);
}

void vma_file_put(struct file *f)
{
    if (f && f->ops->vma_close)
        f->ops->vma_close(f);
    file_put(f);
}

/* Never under mm->lock: the last reference of a file takes locks that come before it. */
static void vmas_free(struct list *dead)
{
    while (!list_empty(dead)) {
        struct vma *v = list_first(dead, struct vma, link);

        list_del(&v->link);
        vma_file_put(v->file);
        kfree(v);
    }
}

static struct vma *vma_dup(const struct vma *v)
{
    struct vma *n = kmemdup(v, sizeof *v);

    if (n)
        vma_file_ref(n->file);
    return n;
}

static int copy_locked(struct mm *n, const struct mm *mm)
{
    struct vma *v, *c;

    list_for_each(v, &mm->vmas, link) {
        c = vma_dup(v);
        if (!c)
            return -ENOMEM;
        list_add_tail(&n->vmas, &c->link);
    }
    n->brk_start = mm->brk_start, n->brk = mm->brk;
    n->start_code = mm->start_code, n->end_code = mm->end_code;
    n->start_data = mm->start_data, n->end_data = mm->end_data;
    n->start_stack = mm->start_stack;
    n->arg_start = mm->arg_start, n->arg_end = mm->arg_end;
    n->env_start = mm->env_start, n->env_end = mm->env_end;
    n->vdso = mm->vdso;
    memcpy(n->saved_auxv, mm->saved_auxv, sizeof n->saved_auxv);
    n->nauxv = mm->nauxv;
    n->dumpable = mm->dumpable;
    n->thp_disable = mm->thp_disable;
    atomic_store(&n->secrets, atomic_load(&mm->secrets));
    return mm_policy_copy_locked(n, mm);
}

void mm_set_exe(struct mm *mm, struct file *exe)
{
    /* Somebody denies writing already (exec, or the mm that is copied), so this cannot fail. */
    if (inode_deny_write(exe->inode) == 0)
        mm->exe = file_ref(exe);
}

struct mm *mm_copy(struct mm *mm, struct aspace *as)
{
    struct mm *n = mm_new(as);
    int r;

    if (!n)
        return NULL;
    lock(&mm->lock);
    r = copy_locked(n, mm);
    unlock(&mm->lock);
    if (r < 0) {
        n->as = NULL; /* stays the caller's */
        mm_put(n);
        return NULL;
    }
    if (mm->exe)
        mm_set_exe(n, mm->exe);
    return n;
}

struct mm *mm_ref(struct mm *mm)
{
    atomic_fetch_add(&mm->refs, 1);
    return mm;
}

void mm_put(struct mm *mm)
{
    if (!mm || atomic_fetch_sub(&mm->refs, 1) != 1)
        return;
    aio_mm_gone(mm);
    uffd_mm_gone(mm);
    vmas_free(&mm->vmas);
    mm_policy_free(mm);
    if (mm->as)
        kernel.platform->as_put(mm->as);
    if (mm->exe)
        inode_allow_write(mm->exe->inode);
    file_put(mm->exe);
    lock_done(&mm->lock);
    kfree(mm);
}

struct vma *vma_find_locked(struct mm *mm, gaddr_t addr)
{
    struct vma *v;

    assert_locked(&mm->lock);
    list_for_each(v, &mm->vmas, link) {
        if (v->end > addr)
            return v->start <= addr ? v : NULL;
    }
    return NULL;
}

/* Cuts [start, end) out of the record; a piece that loses its middle becomes two. What goes whole is
 * put on dead. */
static int remove_locked(struct mm *mm, gaddr_t start, gaddr_t end, struct list *dead)
{
    struct vma *v, *tmp, *tail;

    list_for_each_safe(v, tmp, &mm->vmas, link) {
        if (v->end <= start || v->start >= end)
            continue;
        if (v->start < start && v->end > end) {
            tail = vma_dup(v);
            if (!tail)
                return -ENOMEM;
            tail->offset += end - v->start;
            tail->start = end;
            v->end = start;
            list_add_head(&v->link, &tail->link);
        } else if (v->start < start) {
            v->end = start;
        } else if (v->end > end) {
            v->offset += end - v->start;
            v->start = end;
        } else {
            list_del(&v->link);
            list_add_tail(dead, &v->link);
        }
    }
    return 0;
}

int vma_add(struct mm *mm, gaddr_t start, gaddr_t len, int prot, int flags, struct file *file,
            uint64_t offset)
{
    struct vma *n = kzalloc(sizeof *n), *v;
    struct list *at, dead = LIST_INIT(dead);

    if (!n) {
        vma_file_put(file);
        return -ENOMEM;
    }
    *n = (struct vma){ .start = start,
                       .end = start + len,
                       .prot = prot,
                       .flags = flags,
                       .file = file,
                       .offset = offset };
    lock(&mm->lock);
    if (file && file->mode & FMODE_SECRET)
        atomic_store(&mm->secrets, true);
    remove_locked(mm, start, start + len, &dead);
    at = &mm->vmas;
    list_for_each(v, &mm->vmas, link) {
        if (v->start >= n->end) {
            at = &v->link;
            break;
        }
    }
    list_add_tail(at, &n->link);
    unlock(&mm->lock);
    vmas_free(&dead);
    return 0;
}

void vma_remove(struct mm *mm, gaddr_t start, gaddr_t len)
{
    struct list dead = LIST_INIT(dead);

    lock(&mm->lock);
    remove_locked(mm, start, start + len, &dead);
    unlock(&mm->lock);
    vmas_free(&dead);
}

/* ---- what native calls have unmapped ---- */

struct seen { /* of the host: ranges with a file behind them */
    struct range {
        gaddr_t start, end;
    } * r;
    size_t n, cap;
};

static int see(const struct as_mapping *m, void *arg)
{
    struct seen *s = arg;
    struct range *more;

    if (!m->ino)
        return 0;
    if (s->n && s->r[s->n - 1].end == m->start) {
        s->r[s->n - 1].end = m->end;
        return 0;
    }
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        more = krealloc(s->r, s->cap * sizeof *more);
        if (!more)
            return -ENOMEM;
        s->r = more;
    }
    s->r[s->n++] = (struct range){ m->start, m->end };
    return 0;
}

/* Drops [start, end) where v maps a file. */
static void forget_files(struct mm *mm, gaddr_t start, gaddr_t end)
{
    struct list dead = LIST_INIT(dead);
    struct vma *v, *tmp;

    lock(&mm->lock);
    list_for_each_safe(v, tmp, &mm->vmas, link) {
        if (v->file && v->start < end && v->end > start)
            remove_locked(mm, MAX(v->start, start), MIN(v->end, end), &dead);
    }
    unlock(&mm->lock);
    vmas_free(&dead);
}

void mm_reconcile(struct mm *mm)
{
    struct seen s = { 0 };
    gaddr_t at = 0;

    if (kernel.platform->as_each && kernel.platform->as_each(mm->as, false, see, &s) == 0) {
        for (size_t i = 0; i < s.n; at = s.r[i++].end)
            forget_files(mm, at, s.r[i].start);
        forget_files(mm, at, UINT64_MAX);
    }
    kfree(s.r);
}

ssize_t mm_read(struct mm *mm, gaddr_t from, void *to, size_t n)
{
    return kernel.platform->as_read(mm->as, from, to, n);
}

ssize_t mm_write(struct mm *mm, gaddr_t to, const void *from, size_t n)
{
    return kernel.platform->as_write(mm->as, to, from, n, false);
}

/* How many of n bytes at from lie before what is secret. */
static size_t before_secret(struct mm *mm, gaddr_t from, size_t n)
{
    struct vma *v;

    if (!atomic_load(&mm->secrets))
        return n;
    LOCK_SCOPE(&mm->lock);
    list_for_each(v, &mm->vmas, link) {
        if (v->end <= from || !v->file || !(v->file->mode & FMODE_SECRET))
            continue;
        if (v->start <= from)
            return 0;
        return MIN(n, v->start - from);
    }
    return n;
}

ssize_t mm_peek(struct mm *mm, gaddr_t from, void *to, size_t n)
{
    size_t some = before_secret(mm, from, n);

    return n && !some ? -EFAULT : mm_read(mm, from, to, some);
}

ssize_t mm_poke(struct mm *mm, gaddr_t to, const void *from, size_t n)
{
    size_t some = before_secret(mm, to, n);

    return n && !some ? -EFAULT : mm_write(mm, to, from, some);
}

uint64_t mm_locked(struct mm *mm)
{
    struct as_usage use = { 0 };

    if (!kernel.platform->as_cost || kernel.platform->as_cost(mm->as, /* exact= */ false, &use) < 0)
        return 0;
    return use.locked;
}
