/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of a core file: ELF header, program headers, notes; and which memory follows. As Linux
 * has it, a mapping is whole in the file, or not at all, or with its first page when that is an ELF
 * header; /proc/PID/coredump_filter and MADV_DONTDUMP decide.
 */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/core_priv.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/vfs.h"

#define MAPS_MAX 65000 /* beyond PN_XNUM the header would count them elsewhere */
#define FP_LEGACY 512
#define FP_XCR0_AT 464 /* where debuggers look for what the image holds */

enum { ANON_PRIVATE = 1, ANON_SHARED = 2, FILE_PRIVATE = 4, FILE_SHARED = 8, ELF_HEADERS = 16 };

/* ---- what memory ---- */

struct stock {
    struct core *c;
    struct mm *mm;
};

static int take_map(const struct as_mapping *m, void *arg)
{
    struct stock *s = arg;
    struct core *c = s->c;
    struct core_map *more;

    if (c->nmaps == MAPS_MAX)
        return -ENOMEM;
    if (c->nmaps == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 64;
        more = krealloc(c->maps, c->cap * sizeof *more);
        if (!more)
            return -ENOMEM;
        c->maps = more;
    }
    more = &c->maps[c->nmaps++];
    *more = (struct core_map){ .m = *m };
    LOCK_SCOPE(&s->mm->lock);
    struct vma *v = vma_find_locked(s->mm, m->start);
    if (m->ino && v && v->file) {
        more->file = file_ref(v->file);
        more->m.offset = v->offset + (m->start - v->start);
    }
    return 0;
}

static bool is_elf(struct mm *mm, gaddr_t at)
{
    char magic[SELFMAG];

    return mm_read(mm, at, magic, sizeof magic) == sizeof magic && !memcmp(magic, ELFMAG, SELFMAG);
}

static uint64_t wanted(struct mm *mm, const struct core_map *cm, unsigned filter)
{
    const struct as_mapping *m = &cm->m;
    uint64_t whole = m->end - m->start;

    if (m->nodump)
        return 0;
    if (m->shared) {
        bool named = cm->file && cm->file->inode && cm->file->inode->nlink > 0;

        return filter & (named ? FILE_SHARED : ANON_SHARED) ? whole : 0;
    }
    if ((!cm->file || m->anon) && filter & ANON_PRIVATE)
        return whole;
    if (!cm->file)
        return 0;
    if (filter & FILE_PRIVATE)
        return whole;
    if (filter & ELF_HEADERS && m->offset == 0 && is_elf(mm, m->start))
        return PAGE_SIZE_4K;
    return 0;
}

/* ---- the head ---- */

static int add(struct core *c, const void *bytes, size_t n)
{
    if (c->nhead + n > c->head_cap) {
        size_t cap = MAX(2 * c->head_cap, PAGE_ALIGN_UP(c->nhead + n));
        uint8_t *more = krealloc(c->head, cap);

        if (!more)
            return -ENOMEM;
        c->head = more;
        c->head_cap = cap;
    }
    if (bytes)
        memcpy(c->head + c->nhead, bytes, n);
    else
        memset(c->head + c->nhead, 0, n);
    c->nhead += n;
    return 0;
}

static int pad(struct core *c, size_t to)
{
    return c->nhead % to ? add(c, NULL, to - c->nhead % to) : 0;
}

static int note(struct core *c, const char *owner, uint32_t type, const void *desc, size_t n)
{
    Elf64_Nhdr h = { .n_namesz = (uint32_t)strlen(owner) + 1, .n_descsz = (uint32_t)n, type };
    int r = add(c, &h, sizeof h);

    if (r == 0)
        r = add(c, owner, h.n_namesz);
    if (r == 0)
        r = pad(c, 4);
    if (r == 0)
        r = add(c, desc, n);
    return r == 0 ? pad(c, 4) : r;
}

static int note_process(struct task *t, struct core *c)
{
    const struct tgroup *g = t->group;
    struct lx_prpsinfo p = { .sname = 'R', .uid = t->cred->uid, .gid = t->cred->gid };
    size_t n = MIN(t->mm->arg_end - t->mm->arg_start, sizeof p.psargs - 1);

    lock(&kernel.tasks_lock);
    p.nice = (char)t->sched.nice;
    p.pid = g->pid;
    p.ppid = g->parent ? g->parent->pid : 0;
    p.pgrp = group_pgid(g);
    p.sid = group_sid(g);
    memcpy(p.fname, g->leader->comm, sizeof p.fname);
    unlock(&kernel.tasks_lock);
    if (mm_read(t->mm, t->mm->arg_start, p.psargs, n) < 0)
        n = 0;
    for (size_t i = 0; i + 1 < n; i++)
        p.psargs[i] = p.psargs[i] ? p.psargs[i] : ' ';
    return note(c, "CORE", NT_PRPSINFO, &p, sizeof p);
}

/* NT_FILE: how many, the unit, from, to and offset of each, and then the names. */
static int note_files(struct task *t, struct core *c)
{
    struct core names = { 0 };
    char buf[PATH_MAX];
    uint64_t head[2] = { 0, PAGE_SIZE_4K };
    struct core list = { 0 };
    int r = add(&list, head, sizeof head);

    for (size_t i = 0; i < c->nmaps && r == 0; i++) {
        const struct core_map *cm = &c->maps[i];
        uint64_t entry[3] = { cm->m.start, cm->m.end, cm->m.offset / PAGE_SIZE_4K };
        const char *name = cm->file && cm->file->path.dentry
                               ? path_string(t, &cm->file->path, buf, sizeof buf)
                               : ERR_PTR(-ENOENT);

        if (IS_ERR(name))
            continue;
        r = add(&list, entry, sizeof entry);
        if (r == 0)
            r = add(&names, name, strlen(name) + 1);
        head[0]++;
    }
    if (r == 0)
        r = add(&list, names.head, names.nhead);
    if (r == 0) {
        memcpy(list.head, head, sizeof head);
        r = note(c, "CORE", NT_FILE, list.head, list.nhead);
    }
    kfree(list.head);
    kfree(names.head);
    return r;
}

static int note_fpu(struct core *c, struct core_thread *ct)
{
    uint64_t features;
    int r;

    if (!ct->fpu || ct->nfpu < FP_LEGACY)
        return 0;
    r = note(c, "CORE", NT_FPREGSET, ct->fpu, FP_LEGACY);
    if (r < 0 || ct->nfpu <= FP_LEGACY + sizeof features)
        return r;
    memcpy(&features, ct->fpu + FP_LEGACY, sizeof features);
    memcpy(ct->fpu + FP_XCR0_AT, &features, sizeof features);
    return note(c, "LINUX", NT_X86_XSTATE, ct->fpu, ct->nfpu);
}

static int notes(struct task *t, struct core *c)
{
    struct core_thread *ct;
    bool first = true;
    int r = 0;

    list_for_each(ct, &c->threads, link) {
        uint64_t bases[2] = { (uint64_t)ct->bases[0].ret, (uint64_t)ct->bases[1].ret };

        memcpy(&ct->status.regs[21], bases, sizeof bases);
        r = note(c, "CORE", NT_PRSTATUS, &ct->status, sizeof ct->status);
        if (r == 0 && first) {
            r = note_process(t, c);
            if (r == 0)
                r = note(c, "CORE", NT_SIGINFO, &c->info, sizeof c->info);
            if (r == 0)
                r = note(c, "CORE", NT_AUXV, t->mm->saved_auxv, t->mm->nauxv * sizeof(uint64_t));
            if (r == 0)
                r = note_files(t, c);
        }
        if (r == 0)
            r = note_fpu(c, ct);
        if (r < 0)
            return r;
        first = false;
    }
    return r;
}

static void fill_headers(struct core *c, size_t notes_at, size_t notes_size)
{
    Elf64_Ehdr *e = (Elf64_Ehdr *)(void *)c->head;
    Elf64_Phdr *p = (Elf64_Phdr *)(void *)(c->head + sizeof *e);
    uint64_t at = c->nhead;

    *e = (Elf64_Ehdr){ .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                                    EV_CURRENT },
                       .e_type = ET_CORE,
                       .e_machine = EM_X86_64,
                       .e_version = EV_CURRENT,
                       .e_phoff = sizeof *e,
                       .e_ehsize = sizeof *e,
                       .e_phentsize = sizeof *p,
                       .e_phnum = (uint16_t)(c->nmaps + 1) };
    *p++ = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = notes_at, .p_filesz = notes_size };
    for (size_t i = 0; i < c->nmaps; i++) {
        const struct core_map *cm = &c->maps[i];
        uint32_t prot = cm->m.prot;

        *p++ = (Elf64_Phdr){ .p_type = PT_LOAD,
                             .p_flags = (prot & PROT_READ ? PF_R : 0u) |
                                        (prot & PROT_WRITE ? PF_W : 0u) |
                                        (prot & PROT_EXEC ? PF_X : 0u),
                             .p_offset = at,
                             .p_vaddr = cm->m.start,
                             .p_filesz = cm->filesz,
                             .p_memsz = cm->m.end - cm->m.start,
                             .p_align = PAGE_SIZE_4K };
        at += cm->filesz;
    }
}

int core_layout(struct task *t, struct core *c)
{
    struct stock s = { c, t->mm };
    unsigned filter = t->group->core_filter;
    size_t at;
    int r = kernel.platform->as_each(t->mm->as, /* usage= */ true, take_map, &s);

    if (r < 0)
        return r;
    for (size_t i = 0; i < c->nmaps; i++)
        c->maps[i].filesz = wanted(t->mm, &c->maps[i], filter);
    r = add(c, NULL, sizeof(Elf64_Ehdr) + (c->nmaps + 1) * sizeof(Elf64_Phdr));
    at = c->nhead;
    if (r == 0)
        r = notes(t, c);
    if (r < 0)
        return r;
    size_t size = c->nhead - at;
    r = pad(c, PAGE_SIZE_4K);
    if (r == 0)
        fill_headers(c, at, size);
    return r;
}
