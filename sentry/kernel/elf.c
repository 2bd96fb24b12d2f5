/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading ELF. The file is hostile: every offset and size is checked before it is used, sums are
 * checked for overflow, and nothing is mapped outside [MMAP_MIN, as_limit).
 */
#include "sentry/kernel/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/kernel/kernel.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#define MMAP_MIN 0x10000ull
#define PHDRS_MAX 64

static int read_exact(struct task *t, struct file *f, void *buf, size_t n, uint64_t pos)
{
    ssize_t r = vfs_read_kernel(t, f, buf, n, (loff_t)pos);

    if (r < 0)
        return (int)r;
    return (size_t)r == n ? 0 : -ENOEXEC;
}

static int check_header(const Elf64_Ehdr *h)
{
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
        h->e_machine != EM_X86_64 || (h->e_type != ET_EXEC && h->e_type != ET_DYN))
        return -ENOEXEC;
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 || h->e_phnum > PHDRS_MAX)
        return -ENOEXEC;
    return 0;
}

static int prot_of(const Elf64_Phdr *p)
{
    return (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
           (p->p_flags & PF_X ? PROT_EXEC : 0);
}

static int add_segment(struct elf_image *e, const Elf64_Phdr *p)
{
    gaddr_t limit = kernel.platform->as_limit();
    uint64_t skew = p->p_vaddr & (PAGE_SIZE_4K - 1);
    struct elf_seg *s;

    if (p->p_memsz == 0)
        return 0;
    if (p->p_filesz > p->p_memsz || p->p_vaddr >= limit || p->p_memsz > limit - p->p_vaddr)
        return -EINVAL;
    if (p->p_filesz && (p->p_offset & (PAGE_SIZE_4K - 1)) != skew)
        return -EINVAL;
    if (e->nsegs == ELF_MAX_SEGS)
        return -ENOEXEC;
    s = &e->segs[e->nsegs];
    *s = (struct elf_seg){ .start = PAGE_ALIGN_DOWN(p->p_vaddr),
                           .prot = prot_of(p),
                           .offset = p->p_offset - skew,
                           .file_end = p->p_vaddr + p->p_filesz,
                           .mem_end = p->p_vaddr + p->p_memsz };
    s->len = p->p_filesz ? PAGE_ALIGN_UP(s->file_end) - s->start : 0;
    if (e->nsegs && s->start < PAGE_ALIGN_UP(e->segs[e->nsegs - 1].mem_end))
        return -EINVAL; /* not in rising order, or overlapping */
    if (e->nsegs++ == 0)
        e->first = s->start;
    e->end = PAGE_ALIGN_UP(s->mem_end);
    if (p->p_flags & PF_X) {
        e->start_code = e->start_code ? e->start_code : p->p_vaddr;
        e->end_code = s->file_end;
    }
    if (p->p_flags & PF_W) {
        e->start_data = e->start_data ? e->start_data : p->p_vaddr;
        e->end_data = s->file_end;
    }
    e->brk = MAX(e->brk, s->mem_end);
    return 0;
}

static int read_interp(struct task *t, struct file *f, const Elf64_Phdr *p, struct elf_image *e)
{
    int r;

    if (p->p_filesz < 2 || p->p_filesz > sizeof e->interp)
        return -ENOEXEC;
    r = read_exact(t, f, e->interp, p->p_filesz, p->p_offset);
    if (r < 0)
        return r;
    return e->interp[p->p_filesz - 1] == 0 ? 0 : -ENOEXEC;
}

static int one_phdr(struct task *t, struct file *f, const Elf64_Ehdr *h, const Elf64_Phdr *p,
                    struct elf_image *e)
{
    switch (p->p_type) {
    case PT_LOAD:
        if (h->e_phoff >= p->p_offset && h->e_phoff - p->p_offset < p->p_filesz)
            e->phdr = p->p_vaddr + (h->e_phoff - p->p_offset);
        return add_segment(e, p);
    case PT_INTERP:
        return e->interp[0] ? 0 : read_interp(t, f, p, e);
    case PT_GNU_STACK:
        e->exec_stack = p->p_flags & PF_X;
        return 0;
    default:
        return 0;
    }
}

static int get_map_fd(struct task *t, struct file *f, struct elf_image *e)
{
    struct mmap_request rq = {
        .len = PAGE_SIZE_4K, .prot = PROT_READ | PROT_EXEC, .flags = MAP_PRIVATE, .ret_fd = -1
    };
    int r;

    if (!f->ops->mmap)
        return -ENOEXEC;
    r = f->ops->mmap(t, f, &rq);
    if (r < 0)
        return r;
    e->map_fd = rq.ret_fd;
    e->map_fd_owned = rq.ret_fd_owned;
    return rq.ret_fd < 0 || rq.ret_offset != 0 ? -ENOEXEC : 0;
}

int elf_read(struct task *t, struct file *f, struct elf_image *e)
{
    Elf64_Phdr ph[PHDRS_MAX];
    Elf64_Ehdr h;
    int r;

    memset(e, 0, sizeof *e);
    e->file = f;
    e->map_fd = -1;
    r = read_exact(t, f, &h, sizeof h, 0);
    if (r < 0)
        return r;
    r = check_header(&h);
    if (r < 0)
        return r;
    r = read_exact(t, f, ph, h.e_phnum * sizeof ph[0], h.e_phoff);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        r = one_phdr(t, f, &h, &ph[i], e);
        if (r < 0)
            return r;
    }
    if (e->nsegs == 0)
        return -ENOEXEC;
    e->pie = h.e_type == ET_DYN;
    if (!e->pie && e->first < MMAP_MIN)
        return -EPERM;
    e->entry = h.e_entry;
    e->phnum = h.e_phnum;
    return get_map_fd(t, f, e);
}

void elf_done(struct elf_image *e)
{
    if (e->map_fd_owned && e->map_fd >= 0)
        close(e->map_fd);
    e->map_fd = -1;
}

static int push(struct as_op *ops, unsigned *n, unsigned max, gaddr_t at, gaddr_t len, int prot,
                int flags, int fd, uint64_t off)
{
    if (*n == max)
        return -ENOEXEC;
    ops[(*n)++] = (struct as_op){ .kind = AS_MMAP,
                                  .fd = fd,
                                  .a = { at, len, (uint64_t)(unsigned)prot,
                                         (uint64_t)(unsigned)flags, off } };
    return 0;
}

#define VDSO_ROOM (16ull << 20) /* with its data pages, to both sides */

gaddr_t elf_beside(gaddr_t vdso, gaddr_t at, uint64_t len)
{
    if (vdso && at + len > vdso - VDSO_ROOM && at < vdso + VDSO_ROOM)
        return PAGE_ALIGN_UP(vdso + VDSO_ROOM);
    return at;
}

int elf_ops(const struct elf_image *e, struct as_op *ops, unsigned *n, unsigned max)
{
    for (unsigned i = 0; i < e->nsegs; i++) {
        const struct elf_seg *s = &e->segs[i];
        gaddr_t at = s->start + e->bias, bss = at + s->len,
                end = PAGE_ALIGN_UP(s->mem_end) + e->bias;
        int r = 0;

        if (s->len)
            r = push(ops, n, max, at, s->len, s->prot, MAP_PRIVATE | MAP_FIXED_NOREPLACE, e->map_fd,
                     s->offset);
        if (r == 0 && end > bss)
            r = push(ops, n, max, bss, end - bss, s->prot,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (r < 0)
            return r;
    }
    return 0;
}

int elf_clear(const struct elf_image *e, struct aspace *as)
{
    static const char zeros[4096];

    for (unsigned i = 0; i < e->nsegs; i++) {
        const struct elf_seg *s = &e->segs[i];
        gaddr_t stop = MIN(s->start + s->len, s->mem_end);
        size_t n = stop > s->file_end ? stop - s->file_end : 0;

        /* A segment that may not be written has nothing to be cleared, as on Linux. */
        if (n == 0 || !(s->prot & PROT_WRITE))
            continue;
        n = PAGE_ALIGN_UP(s->file_end) - s->file_end;
        if (kernel.platform->as_write(as, s->file_end + e->bias, zeros, n, false) != (ssize_t)n)
            return -EFAULT;
    }
    return 0;
}
