/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core dumps: which process makes one, its file, and the memory in it. What stands in front of the
 * memory is made by core_elf.c.
 *
 * The file is written by the last thread to leave, in runs: only the opening and the writing may have
 * to wait for another task's lock. What the host knows of each mapping is looked up once, before.
 */
#include "sentry/kernel/core.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/core_priv.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/vfs.h"

#define PIECE 65536
#define PIECE_PAGES (PIECE / PAGE_SIZE_4K)
#define IN_USE (3ull << 62) /* of a pagemap entry: present, or swapped out */

/* ---- kernel.core_pattern ---- */

static char pattern[CORE_PATTERN_MAX] = "core"; /* kernel.tasks_lock */

void core_pattern_get(char ret[CORE_PATTERN_MAX])
{
    LOCK_SCOPE(&kernel.tasks_lock);
    memcpy(ret, pattern, sizeof pattern);
}

int core_pattern_set(const char *text, size_t len)
{
    char fresh[CORE_PATTERN_MAX] = "";

    if (len && text[0] == '|')
        return -EPERM;
    if (len >= sizeof fresh)
        return -EINVAL;
    memcpy(fresh, text, len);
    fresh[strcspn(fresh, "\n")] = 0;
    LOCK_SCOPE(&kernel.tasks_lock);
    memcpy(pattern, fresh, sizeof pattern);
    return 0;
}

/* What %c of the pattern stands for, as a path component; *n bytes at to are left. */
static size_t expand(struct task *t, const struct core *c, char what, char *to, size_t cap)
{
    int n = 0;

    switch (what) {
    case '%':
        n = snprintf(to, cap, "%%");
        break;
    case 'p':
    case 'P':
        n = snprintf(to, cap, "%d", t->group->pid);
        break;
    case 'i':
    case 'I':
        n = snprintf(to, cap, "%d", t->tid);
        break;
    case 'u':
        n = snprintf(to, cap, "%u", t->cred->uid);
        break;
    case 'g':
        n = snprintf(to, cap, "%u", t->cred->gid);
        break;
    case 'd':
        n = snprintf(to, cap, "1");
        break;
    case 's':
        n = snprintf(to, cap, "%d", c->info.signo);
        break;
    case 't':
        n = snprintf(to, cap, "%lld", (long long)(ktime_real() / 1000000000));
        break;
    case 'h':
        n = snprintf(to, cap, "%.64s", kernel.hostname);
        break;
    case 'e':
        n = snprintf(to, cap, "%.15s", t->group->leader->comm);
        break;
    case 'c':
        n = snprintf(to, cap, "%llu", (unsigned long long)c->limit);
        break;
    }
    n = n < 0 ? 0 : MIN(n, (int)cap - 1);
    for (char *p = to; what != 'p' && p < to + n; p++)
        *p = *p == '/' ? '!' : *p;
    return (size_t)n;
}

static void name_of(struct task *t, const struct core *c, char ret[PATH_MAX])
{
    char from[CORE_PATTERN_MAX];
    size_t n = 0;

    core_pattern_get(from);
    LOCK_SCOPE(&kernel.tasks_lock);
    for (const char *p = from; *p && n < PATH_MAX - 1; p++) {
        if (*p != '%')
            ret[n++] = *p;
        else if (*++p)
            n += expand(t, c, *p, ret + n, PATH_MAX - n);
        else
            break;
    }
    ret[n] = 0;
}

/* ---- before ---- */

void core_begin_locked(struct task *t, const struct lx_siginfo *info)
{
    struct tgroup *g = t->group;
    struct core *c;

    assert_locked(&kernel.tasks_lock);
    if (g->exiting || g->core || !g->dumpable || !t->mm || !pattern[0] ||
        g->rlim[RLIMIT_CORE].rlim_cur < PAGE_SIZE_4K)
        return;
    c = kzalloc(sizeof *c);
    if (!c)
        return;
    c->info = *info;
    c->limit = MIN(g->rlim[RLIMIT_CORE].rlim_cur, 4 * kernel.mem_total); /* zeros included */
    list_init(&c->threads);
    g->core = c;
    g->core_first = t;
}

static void copy_regs(struct task *t, uint64_t *to)
{
    const struct regs *r = kernel.platform->ctx_regs(t->ctx);
    const uint64_t own[21] = { r->r15, r->r14,      r->r13, r->r12, r->rbp,    r->rbx, r->r11,
                               r->r10, r->r9,       r->r8,  r->rax, r->rcx,    r->rdx, r->rsi,
                               r->rdi, r->orig_rax, r->rip, 0x33,   r->rflags, r->rsp, 0x2b };

    memcpy(to, own, sizeof own);
}

static void note_fpu(struct task *t, struct core_thread *ct)
{
    size_t n = kernel.platform->ctx_fpu_size(t->ctx);

    ct->fpu = kzalloc(n);
    ct->nfpu = n;
    if (ct->fpu && kernel.platform->ctx_fpu_get(t->ctx, ct->fpu, n) < 0) {
        kfree(ct->fpu);
        ct->fpu = NULL;
    }
    ct->status.fpvalid = ct->fpu != NULL;
}

static void fill_status_locked(struct task *t, struct core_thread *ct)
{
    const struct tgroup *g = t->group;
    struct lx_prstatus *s = &ct->status;

    s->signo = g->core->info.signo;
    s->code = g->core->info.code;
    s->cursig = g->core_first == t ? (int16_t)s->signo : 0;
    s->sigpend = t->pending.set;
    s->sighold = t->blocked;
    s->pid = t->tid;
    s->ppid = g->parent ? g->parent->pid : 0;
    s->pgrp = group_pgid(g);
    s->sid = group_sid(g);
}

void core_note(struct task *t)
{
    struct core_thread *ct;

    if (!t->group->core || !t->ctx || atomic_load(&t->ctx_gone))
        return;
    ct = kzalloc(sizeof *ct);
    if (!ct)
        return;
    copy_regs(t, ct->status.regs);
    if (!kernel.platform->ctx_is_light(t->ctx))
        note_fpu(t, ct);
    ct->bases[0] = (struct as_op){ .kind = AS_GET_FS, .fd = -1 };
    ct->bases[1] = (struct as_op){ .kind = AS_GET_GS, .fd = -1 };
    LOCK_SCOPE(&kernel.tasks_lock);
    fill_status_locked(t, ct);
    t->core_note = ct;
    if (t->group->core_first == t)
        list_add_head(&t->group->core->threads, &ct->link);
    else
        list_add_tail(&t->group->core->threads, &ct->link);
}

struct as_op *core_bases(struct task *t, unsigned *ret_n)
{
    struct core_thread *ct = t->core_note;

    *ret_n = 2;
    return ct ? ct->bases : NULL;
}

/* ---- the file ---- */

static int open_file(struct task *t, struct core *c)
{
    char name[PATH_MAX];
    struct file *f;

    name_of(t, c, name);
    if (!c->unlinked && vfs_unlink_at(t, AT_FDCWD, name) == -EWAITING)
        return -EWAITING;
    c->unlinked = true; /* what was in the way, or nothing was */
    f = vfs_open_at(t, AT_FDCWD, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0600);
    if (IS_ERR(f))
        return PTR_ERR(f);
    c->file = f;
    return 0;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* n bytes at c->pos; beyond the limit nothing more is written. 0, 1: that was all, or -errno. */
static int put(struct task *t, struct core *c, uint8_t *from, size_t n)
{
    struct iter it;
    loff_t pos = (loff_t)c->pos;
    ssize_t did;

    if (!c->file || c->pos >= c->limit)
        return 1;
    n = MIN(n, c->limit - c->pos);
    iter_kernel(&it, from, n);
    t->call.done = 0;
    did = c->file->ops->write(t, c->file, &it, &pos);
    if (did < 0)
        return (int)did;
    c->pos += (uint64_t)did;
    return (size_t)did < n ? -ENOSPC : 0;
}

/*
 * n bytes of m, zeros where nothing is. Memory that no page stands for yet is not read, lest reading
 * made one: an address space can be much larger than what is in it.
 */
static void read_piece(struct task *t, const struct core_map *m, gaddr_t from, uint8_t *buf,
                       size_t n)
{
    uint64_t pages[PIECE_PAGES] = { 0 };
    bool of_file = m->file && !m->m.shared;

    memset(buf, 0, n);
    if (!of_file && kernel.platform->as_pages)
        kernel.platform->as_pages(t->mm->as, from, pages, (n + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K);
    for (size_t at = 0, end; at < n; at = end) {
        bool in_use = of_file || pages[at / PAGE_SIZE_4K] & IN_USE;

        for (end = at + PAGE_SIZE_4K; end < n; end += PAGE_SIZE_4K) {
            if ((of_file || pages[end / PAGE_SIZE_4K] & IN_USE) != in_use)
                break;
        }
        end = MIN(end, n);
        if (in_use && mm_peek(t->mm, from + at, buf + at, end - at) < 0)
            memset(buf + at, 0, end - at);
    }
}

/* The next piece of the map being written. */
static int put_memory(struct task *t, struct core *c, uint8_t *buf)
{
    const struct core_map *m = &c->maps[c->at];
    size_t n = MIN(m->filesz - c->done, PIECE);
    bool last = c->at + 1 == c->nmaps && c->done + n == m->filesz;
    int r = 0;

    read_piece(t, m, m->m.start + c->done, buf, n);
    if (all_zero(buf, n) && !last)
        c->pos += n; /* a hole */
    else
        r = put(t, c, buf, n);
    if (r < 0)
        return r;
    c->done += n;
    return c->pos >= c->limit ? 1 : r;
}

static int write_all(struct task *t, struct core *c, uint8_t *buf)
{
    int r = 0;

    if (!c->head)
        r = core_layout(t, c);
    if (r == 0 && !c->file)
        r = open_file(t, c);
    if (r < 0)
        return r;
    if (c->pos < c->nhead)
        r = put(t, c, c->head + c->pos, c->nhead - c->pos);
    for (; r == 0 && c->at < c->nmaps; c->at++, c->done = 0) {
        while (r == 0 && c->done < c->maps[c->at].filesz)
            r = put_memory(t, c, buf);
        if (r)
            break;
    }
    return r < 0 ? r : 0;
}

int core_write(struct task *t)
{
    struct tgroup *g = t->group;
    struct core *c = g->core;
    uint8_t *buf;
    int r;

    if (!c || c->failed || !t->mm || atomic_load(&t->ctx_gone))
        return 0;
    if (ktimer_cancel(&g->last_word)) /* all threads are held: nobody has to be forced any more */
        tgroup_put(g);
    buf = krealloc(NULL, PIECE);
    kernel.platform->worker_block_begin();
    r = buf ? write_all(t, c, buf) : -ENOMEM;
    kernel.platform->worker_block_end();
    kfree(buf);
    if (r == -EWAITING)
        return r;
    callpath_done(t, 0);
    c->failed = true; /* written or not: not again */
    if (r == 0) {
        LOCK_SCOPE(&kernel.tasks_lock);
        g->exit_code |= 0x80;
        t->exit_code |= 0x80;
    }
    return 0;
}

void core_end(struct tgroup *g)
{
    struct core *c;

    lock(&kernel.tasks_lock);
    c = g->core;
    g->core = NULL;
    unlock(&kernel.tasks_lock);
    if (!c)
        return;
    file_put(c->file);
    c->file = NULL;
    while (c->nmaps)
        file_put(c->maps[--c->nmaps].file);
    core_free(c);
}

void core_free(struct core *c)
{
    struct core_thread *ct, *tmp;

    if (!c)
        return;
    list_for_each_safe(ct, tmp, &c->threads, link) {
        kfree(ct->fpu);
        kfree(ct);
    }
    kfree(c->maps);
    kfree(c->head);
    kfree(c);
}
