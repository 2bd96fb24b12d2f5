/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PR_SET_MM: what /proc shows of a program's areas, and where brk begins. PR_SET_VMA: names of
 * anonymous memory; the host keeps them, as it knows what is mapped (CONFIG_ANON_VMA_NAME; else EINVAL).
 */
#include "sentry/syscalls/prctl.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/mem.h"

#define MMAP_MIN_ADDR 0x10000
#define NAME_SIZE 80

struct areas { /* as struct prctl_mm_map */
    uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
    uint64_t arg_start, arg_end, env_start, env_end;
    uint64_t auxv;
    uint32_t auxv_size, exe_fd;
};

static void areas_get(struct mm *mm, struct areas *a)
{
    LOCK_SCOPE(&mm->lock);
    *a = (struct areas){ .start_code = mm->start_code,
                         .end_code = mm->end_code,
                         .start_data = mm->start_data,
                         .end_data = mm->end_data,
                         .start_brk = mm->brk_start,
                         .brk = mm->brk,
                         .start_stack = mm->start_stack,
                         .arg_start = mm->arg_start,
                         .arg_end = mm->arg_end,
                         .env_start = mm->env_start,
                         .env_end = mm->env_end };
}

static void areas_set(struct mm *mm, const struct areas *a)
{
    LOCK_SCOPE(&mm->lock);
    mm->start_code = a->start_code, mm->end_code = a->end_code;
    mm->start_data = a->start_data, mm->end_data = a->end_data;
    mm->brk_start = a->start_brk, mm->brk = a->brk;
    mm->start_stack = a->start_stack;
    mm->arg_start = a->arg_start, mm->arg_end = a->arg_end;
    mm->env_start = a->env_start, mm->env_end = a->env_end;
}

static bool areas_valid(struct task *t, const struct areas *a)
{
    const uint64_t all[] = { a->start_code, a->end_code,  a->start_data,  a->end_data,
                             a->start_brk,  a->brk,       a->start_stack, a->arg_start,
                             a->arg_end,    a->env_start, a->env_end };
    rlim_t data = task_rlimit(t, RLIMIT_DATA)->rlim_cur;

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i] >= kernel.platform->as_limit() || all[i] < MMAP_MIN_ADDR)
            return false;
    }
    return a->start_code < a->end_code && a->start_data <= a->end_data && a->start_brk <= a->brk &&
           a->arg_start <= a->arg_end && a->env_start <= a->env_end &&
           a->brk - a->start_brk + (a->end_data - a->start_data) <= data;
}

static long set_auxv(struct task *t, gaddr_t from, size_t len)
{
    uint64_t auxv[ARRAY_SIZE(t->mm->saved_auxv)] = { 0 };

    if (len > sizeof auxv)
        return -EINVAL;
    if (copy_in(t, auxv, from, len) < 0)
        return -EFAULT;
    auxv[ARRAY_SIZE(auxv) - 1] = auxv[ARRAY_SIZE(auxv) - 2] = 0; /* it ends */
    LOCK_SCOPE(&t->mm->lock);
    memcpy(t->mm->saved_auxv, auxv, sizeof auxv);
    t->mm->nauxv = (unsigned)(len / (2 * sizeof auxv[0]));
    return 0;
}

static long set_map(struct task *t, gaddr_t from, size_t size)
{
    struct areas a;
    long r = 0;

    if (size != sizeof a)
        return -EINVAL;
    if (get_guest(t, &a, from) < 0)
        return -EFAULT;
    if (!areas_valid(t, &a) || (a.auxv_size && (!a.auxv || a.auxv_size > 8 * 64)))
        return -EINVAL;
    if (a.exe_fd != (uint32_t)-1) /* the old one is still mapped, as far as we know */
        return task_capable(t, CAP_SYS_ADMIN) ? -EBUSY : -EPERM;
    if (a.auxv_size)
        r = set_auxv(t, a.auxv, a.auxv_size);
    if (r == 0)
        areas_set(t->mm, &a);
    return r;
}

/* The member that an option is about; those of the arguments must lie in memory. */
static uint64_t *member(struct areas *a, unsigned long opt, bool *ret_mapped)
{
    *ret_mapped = opt == PR_SET_MM_START_STACK || opt >= PR_SET_MM_ARG_START;
    switch (opt) {
    case PR_SET_MM_START_CODE:
        return &a->start_code;
    case PR_SET_MM_END_CODE:
        return &a->end_code;
    case PR_SET_MM_START_DATA:
        return &a->start_data;
    case PR_SET_MM_END_DATA:
        return &a->end_data;
    case PR_SET_MM_START_STACK:
        return &a->start_stack;
    case PR_SET_MM_START_BRK:
        return &a->start_brk;
    case PR_SET_MM_BRK:
        return &a->brk;
    case PR_SET_MM_ARG_START:
        return &a->arg_start;
    case PR_SET_MM_ARG_END:
        return &a->arg_end;
    case PR_SET_MM_ENV_START:
        return &a->env_start;
    case PR_SET_MM_ENV_END:
        return &a->env_end;
    default:
        return NULL;
    }
}

static long set_member(struct task *t, unsigned long opt, gaddr_t addr)
{
    struct as_mapping m;
    struct areas a;
    uint64_t *word;
    bool mapped;

    if (addr >= kernel.platform->as_limit() || addr < MMAP_MIN_ADDR)
        return -EINVAL;
    areas_get(t->mm, &a);
    word = member(&a, opt, &mapped);
    if (!word)
        return -EINVAL;
    *word = addr;
    if (!areas_valid(t, &a))
        return -EINVAL;
    if (mapped && (kernel.platform->as_query(t->mm->as, addr, &m) < 0 || m.start > addr))
        return -EFAULT;
    areas_set(t->mm, &a);
    return 0;
}

long prctl_set_mm(struct task *t, unsigned long opt, unsigned long addr, unsigned long arg4,
                  unsigned long arg5)
{
    uint32_t size = sizeof(struct areas);

    if (arg5 ||
        (arg4 && opt != PR_SET_MM_AUXV && opt != PR_SET_MM_MAP && opt != PR_SET_MM_MAP_SIZE))
        return -EINVAL;
    if (opt == PR_SET_MM_MAP)
        return set_map(t, addr, arg4);
    if (opt == PR_SET_MM_MAP_SIZE)
        return put_guest(t, addr, &size);
    if (!task_capable(t, CAP_SYS_RESOURCE))
        return -EPERM;
    if (opt == PR_SET_MM_EXE_FILE)
        return call_file(t, 0, (int)addr) == ERR_PTR(-EBADF) ? -EBADF : -EBUSY;
    if (opt == PR_SET_MM_AUXV)
        return set_auxv(t, addr, arg4);
    return set_member(t, opt, addr);
}

/* ---- names ---- */

/* NULL takes a name away. */
static int name_check(struct task *t, gaddr_t name)
{
    char text[NAME_SIZE];
    ssize_t n = name ? copy_in_str(t, text, name, sizeof text) : 0;

    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : (int)n;
    for (ssize_t i = 0; i < n; i++) {
        if (text[i] < ' ' || text[i] > '~' || strchr("\\`$[]", text[i]))
            return -EINVAL;
    }
    return 0;
}

long prctl_set_vma(struct task *t, unsigned long opt, unsigned long addr, unsigned long len,
                   unsigned long name)
{
    struct as_op *op;
    int r;

    if (opt != 0 /* PR_SET_VMA_ANON_NAME */)
        return -EINVAL;
    op = call_scratch(t, sizeof *op);
    if (!op)
        return -ENOMEM;
    if (t->call.phase)
        return op->ret;
    r = name_check(t, name);
    if (r == 0 && len)
        r = mem_range_check(addr, len);
    if (r < 0)
        return r;
    t->call.phase = 1;
    *op = (struct as_op){ .kind = AS_PRCTL, .fd = -1, .a = { 0x53564d41, opt, addr, len, name } };
    return call_ops(t, op, 1);
}
