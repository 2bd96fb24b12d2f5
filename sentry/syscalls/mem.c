/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory calls. The common anonymous ones never come here (they are native); what does is carried
 * out by the caller's own context (call_ops) and noted in the record of the address space.
 *
 * Each handler runs twice: first it checks and hands over its operations, then it reads results.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "abi/types.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mempolicy.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/mem.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define MMAP_MIN_ADDR 0x10000
#define MAP_KNOWN                                                                                  \
    (MAP_SHARED | MAP_PRIVATE | MAP_SHARED_VALIDATE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN |  \
     MAP_DENYWRITE | MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |   \
     MAP_STACK | MAP_FIXED_NOREPLACE | MAP_SYNC)

struct map_state { /* in the record's scratch */
    struct as_op op;
    struct mmap_request req;
    struct file *file; /* a reference for the vma */
    int type, prot, flags;
    uint64_t len, offset;
    gaddr_t at; /* where it was mapped, while something more is done with it */
};

static void map_state_free(void *p)
{
    struct map_state *s = p;

    if (s->req.ret_fd_owned)
        close(s->req.ret_fd);
    if (s->req.ret_keep)
        s->req.ret_let_go(s->req.ret_keep);
    file_put(s->file);
}

int mem_range_check(gaddr_t addr, uint64_t len)
{
    gaddr_t limit = kernel.platform->as_limit();

    return addr >= limit || len > limit - addr ? -ENOMEM : 0;
}

static int check_file(struct file *f, const struct map_state *s)
{
    int acc = (int)f->mode;

    if (!(acc & FMODE_READ))
        return -EACCES;
    if (s->type != MAP_PRIVATE && (s->prot & PROT_WRITE) && !(acc & FMODE_WRITE))
        return -EACCES;
    if (f->path.mnt && (f->path.mnt->flags & MS_NOEXEC) && (s->prot & PROT_EXEC))
        return -EPERM;
    return f->ops->mmap ? 0 : -ENODEV;
}

static int prepare_map_of(struct task *t, struct map_state *s, struct file *f)
{
    int r;

    if (s->offset + s->len < s->offset)
        return -EOVERFLOW;
    s->req = (struct mmap_request){ .offset = s->offset,
                                    .len = s->len,
                                    .prot = s->prot,
                                    .flags = s->flags,
                                    .ret_fd = -1,
                                    .ret_offset = s->offset };
    r = f->ops->mmap(t, f, &s->req);
    if (r < 0)
        return r;
    if (!s->req.ret_no_file)
        s->file = file_ref(f);
    return 0;
}

static int prepare_file(struct task *t, struct map_state *s, int fd)
{
    struct file *f = call_file(t, 0, fd);
    int r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    r = check_file(f, s);
    return r < 0 ? r : prepare_map_of(t, s, f);
}

/* Anonymous shared memory is a file without a name, so that forked children go on sharing it. */
static int prepare_shared_anon(struct task *t, struct map_state *s)
{
    struct file *f = shmem_file_new("dev/zero", s->len, O_RDWR);
    int r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    s->req = (struct mmap_request){
        .len = s->len, .prot = s->prot, .flags = s->flags, .ret_fd = -1
    };
    r = f->ops->mmap(t, f, &s->req);
    if (r < 0) {
        file_put(f);
        return r;
    }
    s->file = f;
    s->offset = 0;
    return 0;
}

static void put_op(struct map_state *s, gaddr_t addr)
{
    s->op = (struct as_op){ .kind = AS_MMAP, .fd = s->req.ret_fd };
    s->op.a[0] = addr;
    s->op.a[1] = s->len;
    s->op.a[2] = (uint64_t)(unsigned)s->prot;
    s->op.a[3] = (uint64_t)(unsigned)(s->flags & ~(MAP_DENYWRITE | MAP_EXECUTABLE));
    s->op.a[4] = s->req.ret_offset;
    if (s->req.ret_secret)
        s->op.a[3] |= MAP_LOCKED;
    if (s->req.ret_anon) {
        s->op.fd = -1;
        s->op.a[3] |= MAP_ANONYMOUS;
        s->op.a[4] = 0;
    } else {
        s->op.a[3] &= ~(uint64_t)MAP_ANONYMOUS;
    }
}

static int mmap_prepare(struct task *t, struct map_state *s, gaddr_t addr, int fd)
{
    bool fixed = s->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    int r;

    s->type = s->flags & MAP_TYPE;
    if (!(s->flags & MAP_ANONYMOUS) && IS_ERR(call_file(t, 0, fd)))
        return -EBADF;
    if (s->len == 0)
        return -EINVAL;
    s->len = PAGE_ALIGN_UP(s->len);
    if (s->len == 0)
        return -ENOMEM;
    if (s->offset & (PAGE_SIZE_4K - 1))
        return -EINVAL;
    if (s->type != MAP_SHARED && s->type != MAP_PRIVATE && s->type != MAP_SHARED_VALIDATE)
        return -EINVAL;
    if (s->type == MAP_SHARED_VALIDATE && (s->flags & ~MAP_KNOWN))
        return -EOPNOTSUPP;
    if (s->flags & MAP_HUGETLB)
        return s->flags & MAP_ANONYMOUS ? -ENOMEM : -EINVAL; /* no huge page files here */
    if (fixed) {
        if (addr & (PAGE_SIZE_4K - 1))
            return -EINVAL;
        r = mem_range_check(addr, s->len);
        if (r < 0)
            return r;
        if (addr < MMAP_MIN_ADDR && !task_capable(t, 17 /* CAP_SYS_RAWIO */))
            return -EPERM;
    } else if (mem_range_check(addr, s->len) < 0) {
        addr = 0; /* a hint that cannot be */
    }
    if (!(s->flags & MAP_ANONYMOUS))
        r = prepare_file(t, s, fd);
    else if (s->type != MAP_PRIVATE)
        r = prepare_shared_anon(t, s);
    else
        s->req = (struct mmap_request){ .ret_fd = -1, .ret_anon = true }, r = 0;
    if (r < 0)
        return r;
    put_op(s, addr);
    return 0;
}

/* It is mapped: the record says so. */
static void note_map(struct task *t, struct map_state *s)
{
    gaddr_t at = (gaddr_t)s->op.ret;
    struct file *f = s->file;

    mm_policy_set(t->mm, at, at + s->len, NULL);
    s->file = NULL;
    if (f || (s->prot & PROT_EXEC))
        (void)!vma_add(t->mm, at, s->len, s->prot, s->flags, f, s->offset);
    else
        vma_remove(t->mm, at, s->len);
}

long sys_mmap(struct task *t, gaddr_t addr, size_t len, unsigned long prot, unsigned long flags,
              int fd, unsigned long off)
{
    struct map_state *s = call_scratch(t, sizeof *s);
    int r;

    if (!s)
        return -ENOMEM;
    if (t->call.phase == 0) {
        s->prot = (int)prot, s->flags = (int)flags, s->len = len, s->offset = off;
        s->req.ret_fd = -1;
        t->call.scratch_free = map_state_free;
        r = mmap_prepare(t, s, addr, fd);
        if (r < 0)
            return r;
        t->call.phase = 1;
        return call_ops(t, &s->op, 1);
    }
    if (t->call.phase == 2)
        return (long)s->at;
    if (s->op.ret < 0)
        return s->op.ret;
    note_map(t, s);
    if (!s->req.ret_secret)
        return s->op.ret;
    s->at = (gaddr_t)s->op.ret;
    s->op = (struct as_op){ .kind = AS_MADVISE, .fd = -1, .a = { s->at, s->len, MADV_DONTDUMP } };
    t->call.phase = 2;
    return call_ops(t, &s->op, 1);
}

/* From before shared files could be mapped in pieces: another part of the file at the same place. */
static int remap_prepare(struct task *t, struct map_state *s, gaddr_t start, uint64_t len,
                         unsigned long pgoff)
{
    struct vma *v;
    struct file *f = NULL;
    int r;

    lock(&t->mm->lock);
    v = vma_find_locked(t->mm, start);
    if (v && v->file && (v->flags & MAP_TYPE) != MAP_PRIVATE && len <= v->end - start) {
        f = file_ref(v->file);
        s->prot = v->prot;
    }
    unlock(&t->mm->lock);
    if (!f)
        return -EINVAL;
    s->len = len;
    s->offset = pgoff * PAGE_SIZE_4K;
    s->type = MAP_SHARED;
    r = prepare_map_of(t, s, call_keep_file(t, 0, f));
    if (r == 0)
        put_op(s, start);
    return r;
}

long sys_remap_file_pages(struct task *t, gaddr_t addr, size_t size, unsigned long prot,
                          unsigned long pgoff, unsigned long flags)
{
    gaddr_t start = PAGE_ALIGN_DOWN(addr);
    uint64_t len = PAGE_ALIGN_DOWN(size);
    struct map_state *s;
    int r;

    if (prot || start + len <= start || pgoff + len / PAGE_SIZE_4K < pgoff)
        return -EINVAL;
    s = call_scratch(t, sizeof *s);
    if (!s)
        return -ENOMEM;
    if (t->call.phase == 0) {
        s->flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE | (int)(flags & MAP_NONBLOCK);
        s->req.ret_fd = -1;
        t->call.scratch_free = map_state_free;
        r = remap_prepare(t, s, start, len, pgoff);
        if (r < 0)
            return r;
        t->call.phase = 1;
        return call_ops(t, &s->op, 1);
    }
    if (s->op.ret < 0)
        return s->op.ret;
    note_map(t, s);
    return 0;
}

long mem_op(struct task *t, enum as_op_kind kind, gaddr_t addr, uint64_t len, uint64_t arg)
{
    struct as_op *op = call_scratch(t, sizeof *op);
    int r;

    if (!op)
        return -ENOMEM;
    if (t->call.phase == 0) {
        if (addr & (PAGE_SIZE_4K - 1))
            return -EINVAL;
        r = mem_range_check(addr, len);
        if (r < 0)
            return kind == AS_MUNMAP ? -EINVAL : r;
        *op = (struct as_op){ .kind = kind, .fd = -1, .a = { addr, len, arg } };
        t->call.phase = 1;
        return call_ops(t, op, 1);
    }
    return op->ret;
}

long sys_munmap(struct task *t, gaddr_t addr, size_t len)
{
    long r;

    if (t->call.phase == 0 && len == 0)
        return -EINVAL;
    r = mem_op(t, AS_MUNMAP, addr, len, 0);
    if (r == 0) {
        vma_remove(t->mm, addr, PAGE_ALIGN_UP(len));
        mm_policy_set(t->mm, addr, addr + PAGE_ALIGN_UP(len), NULL);
    }
    return r;
}

/*
 * PROT_GROWSDOWN changes all from the start of the mapping on, of one that grows. The host knows those of
 * MAP_GROWSDOWN; the first program's stack grows as well, for who looks at it from inside, but is mapped
 * whole. The C library asks so where a library wants an executable stack.
 */
static long protect(struct task *t, gaddr_t addr, uint64_t len, unsigned long prot)
{
    struct as_mapping m;
    gaddr_t sp;

    if (t->call.phase == 0 && (prot & (PROT_GROWSDOWN | PROT_GROWSUP)) == PROT_GROWSDOWN && len &&
        !(addr & (PAGE_SIZE_4K - 1)) && mem_range_check(addr, len) == 0 &&
        kernel.platform->as_query(t->mm->as, addr, &m) == 0 && m.start <= addr) {
        lock(&t->mm->lock);
        sp = t->mm->start_stack;
        unlock(&t->mm->lock);
        if (m.start <= sp && sp < m.end) {
            len += addr - m.start;
            addr = m.start;
            prot &= ~(unsigned long)PROT_GROWSDOWN;
        }
    }
    return mem_op(t, AS_MPROTECT, addr, len, prot);
}

long sys_mprotect(struct task *t, gaddr_t addr, size_t len, unsigned long prot)
{
    return protect(t, addr, len, prot);
}

/* Taken away from a range for good, by the host, which is asked by native calls, too. */
long sys_mseal(struct task *t, gaddr_t addr, size_t len, unsigned long flags)
{
    uint64_t size = PAGE_ALIGN_UP(len);

    if (flags || (addr & (PAGE_SIZE_4K - 1)) || size < len || addr + size < addr)
        return -EINVAL;
    return size ? mem_op(t, AS_MSEAL, addr, size, 0) : 0;
}

/* ---- protection keys: as on a processor without them, all of which the one key is that there is ---- */

long sys_pkey_alloc(struct task *t, unsigned long flags, unsigned long init_val)
{
    (void)t;
    return flags || init_val & ~3ul ? -EINVAL : -ENOSPC;
}

long sys_pkey_free(struct task *t, int pkey)
{
    (void)t, (void)pkey;
    return -EINVAL;
}

long sys_pkey_mprotect(struct task *t, gaddr_t addr, size_t len, unsigned long prot, int pkey)
{
    return pkey == -1 ? protect(t, addr, len, prot) : -EINVAL;
}

int madvise_check(int advice)
{
    switch (advice) {
    case MADV_NORMAL ... MADV_DONTNEED:
    case MADV_FREE ... MADV_DOFORK: /* blob and channel rely on DONTFORK, guests may use it */
    case MADV_HUGEPAGE ... 25:      /* MADV_COLLAPSE */
        return 0;
    default: /* poisoning pages; merging equal ones, which tells of others; guard pages (6.13) */
        return -EINVAL;
    }
}

long sys_madvise(struct task *t, gaddr_t addr, size_t len, int advice)
{
    int e = madvise_check(advice);

    return e < 0 ? e : mem_op(t, AS_MADVISE, addr, len, (uint64_t)(unsigned)advice);
}

long sys_msync(struct task *t, gaddr_t addr, size_t len, int flags)
{
    return mem_op(t, AS_MSYNC, addr, len, (uint64_t)(unsigned)flags);
}

long sys_mincore(struct task *t, gaddr_t addr, size_t len, gaddr_t vec)
{
    return mem_op(t, AS_MINCORE, addr, len, vec);
}

long sys_mremap(struct task *t, gaddr_t old, size_t olen, size_t nlen, unsigned long flags,
                gaddr_t new)
{
    struct as_op *op = call_scratch(t, sizeof *op);
    struct vma *v, keep = { 0 };

    if (!op)
        return -ENOMEM;
    if (t->call.phase == 0) {
        if (mem_range_check(old, olen) < 0)
            return -EFAULT;
        if ((flags & MREMAP_FIXED) && mem_range_check(new, nlen) < 0)
            return -EINVAL;
        *op = (struct as_op){ .kind = AS_MREMAP, .fd = -1, .a = { old, olen, nlen, flags, new } };
        t->call.phase = 1;
        return call_ops(t, op, 1);
    }
    if (op->ret < 0)
        return op->ret;
    lock(&t->mm->lock);
    v = vma_find_locked(t->mm, old);
    if (v && v->file) {
        keep = *v;
        keep.offset += old - v->start;
        vma_file_ref(keep.file);
    }
    unlock(&t->mm->lock);
    if (olen && !(flags & 4 /* MREMAP_DONTUNMAP */))
        vma_remove(t->mm, old, PAGE_ALIGN_UP(olen));
    if (keep.file)
        (void)!vma_add(t->mm, (gaddr_t)op->ret, PAGE_ALIGN_UP(nlen), keep.prot, keep.flags,
                       keep.file, keep.offset);
    return op->ret;
}

/* brk: an anonymous map that grows at its end, from where exec has put it. */
long sys_brk(struct task *t, gaddr_t brk)
{
    struct as_op *op = call_scratch(t, sizeof *op);
    struct mm *mm = t->mm;
    gaddr_t old_end, new_end, was;

    lock(&mm->lock);
    was = mm->brk;
    unlock(&mm->lock);
    if (!op)
        return (long)was;
    old_end = PAGE_ALIGN_UP(was);
    new_end = PAGE_ALIGN_UP(brk);
    if (t->call.phase == 0) {
        if (brk < mm->brk_start || brk - mm->brk_start > task_rlimit(t, RLIMIT_DATA)->rlim_cur ||
            mem_range_check(mm->brk_start, new_end - mm->brk_start) < 0)
            return (long)was;
        if (new_end == old_end) {
            lock(&mm->lock);
            mm->brk = brk;
            unlock(&mm->lock);
            return (long)brk;
        }
        if (new_end > old_end)
            *op = (struct as_op){ .kind = AS_MMAP,
                                  .fd = -1,
                                  .a = { old_end, new_end - old_end, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE } };
        else
            *op = (struct as_op){ .kind = AS_MUNMAP,
                                  .fd = -1,
                                  .a = { new_end, old_end - new_end } };
        t->call.phase = 1;
        return call_ops(t, op, 1);
    }
    if (op->ret < 0)
        return (long)was;
    lock(&mm->lock);
    mm->brk = brk;
    unlock(&mm->lock);
    return (long)brk;
}
