/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first stack of a program, as the x86-64 ABI has it, from the top down: 8 zero bytes, the file
 * name, environment and argument strings, the platform's name, 16 random bytes, then aligned to 16
 * the auxiliary vector, envp, argv and argc.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm.h"

#define AUX_MAX 32

struct stack { /* built in our memory, for the addresses that it will have */
    char *buf;
    size_t size;
    gaddr_t top; /* address of buf + size */
    size_t at;   /* offset of what was put last */
};

static gaddr_t put(struct stack *s, const void *p, size_t n)
{
    s->at -= n;
    if (n > 0) /* a program may have no environment at all */
        memcpy(s->buf + s->at, p, n);
    return s->top - s->size + s->at;
}

static void fill_auxv(struct task *t, const struct exec_state *x, uint64_t *av, unsigned *n,
                      gaddr_t execfn, gaddr_t platform, gaddr_t random)
{
    const struct elf_image *e = &x->image;
    const struct cred *c = t->cred;
    const uint64_t pairs[][2] = {
        { AT_SYSINFO_EHDR, kernel.platform->as_vdso(x->as) },
        { 51 /* AT_MINSIGSTKSZ */, getauxval(51) ? getauxval(51) : 2048 },
        { AT_HWCAP, getauxval(AT_HWCAP) },
        { AT_PAGESZ, PAGE_SIZE_4K },
        { AT_CLKTCK, 100 },
        { AT_PHDR, e->phdr + e->bias },
        { AT_PHENT, sizeof(Elf64_Phdr) },
        { AT_PHNUM, e->phnum },
        { AT_BASE, x->interp_file ? x->interp.bias : 0 },
        { AT_FLAGS, 0 },
        { AT_ENTRY, e->entry + e->bias },
        { AT_UID, c->uid },
        { AT_EUID, c->euid },
        { AT_GID, c->gid },
        { AT_EGID, c->egid },
        { AT_SECURE, x->secure },
        { AT_RANDOM, random },
        { AT_HWCAP2, getauxval(AT_HWCAP2) },
        { AT_EXECFN, execfn },
        { AT_PLATFORM, platform },
        { AT_NULL, 0 },
    };

    _Static_assert(ARRAY_SIZE(pairs) <= AUX_MAX, "fits struct mm");
    *n = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
        if (pairs[i][0] == AT_SYSINFO_EHDR && pairs[i][1] == 0)
            continue; /* a host without a vDSO */
        av[2 * *n] = pairs[i][0];
        av[2 * *n + 1] = pairs[i][1];
        ++*n;
    }
}

/* Pointers to n strings that lie one behind the other from at on, and a NULL. */
static void put_vector(char *to, const struct exec_strings *s, gaddr_t at)
{
    const char *p = s->buf;

    for (unsigned i = 0; i < s->n; i++) {
        gaddr_t a = at + (gaddr_t)(p - s->buf);

        memcpy(to + 8ul * i, &a, 8);
        p += strlen(p) + 1;
    }
    memset(to + 8ul * s->n, 0, 8);
}

int exec_build_stack(struct task *t, struct exec_state *x, struct mm *mm, gaddr_t *ret_sp)
{
    size_t vectors = 8ul * (3 + x->argv.n + x->envp.n);
    struct stack s = { .top = x->stack_top };
    uint64_t av[2 * AUX_MAX], argc = x->argv.n;
    gaddr_t execfn, env, arg, platform, rnd;
    char random[16];
    unsigned nav;
    ssize_t w;

    s.size = x->argv.len + x->envp.len + strlen(x->name) + vectors + sizeof av + 512;
    if (s.size > x->stack_top - x->stack_low)
        return -E2BIG;
    s.buf = kzalloc(s.size);
    if (!s.buf)
        return -ENOMEM;
    s.at = s.size - 8;
    execfn = put(&s, x->name, strlen(x->name) + 1);
    env = put(&s, x->envp.buf, x->envp.len);
    arg = put(&s, x->argv.buf, x->argv.len);
    platform = put(&s, "x86_64", 7);
    if (getrandom(random, sizeof random, 0) != sizeof random)
        memset(random, 0x5a, sizeof random);
    s.at &= ~15ul;
    rnd = put(&s, random, sizeof random);
    fill_auxv(t, x, av, &nav, execfn, platform, rnd);
    s.at -= vectors + 16ul * nav;
    s.at -= (s.top - s.size + s.at) & 15; /* the stack pointer is a multiple of 16 */
    *ret_sp = s.top - s.size + s.at;
    memcpy(s.buf + s.at, &argc, 8);
    put_vector(s.buf + s.at + 8, &x->argv, arg);
    put_vector(s.buf + s.at + 16 + 8ul * x->argv.n, &x->envp, env);
    memcpy(s.buf + s.at + vectors, av, 16ul * nav);
    w = kernel.platform->as_write(x->as, *ret_sp, s.buf + s.at, s.size - s.at, false);
    kfree(s.buf);
    if (w != (ssize_t)(s.top - *ret_sp))
        return -EFAULT;
    mm->arg_start = arg, mm->arg_end = arg + x->argv.len;
    mm->env_start = env, mm->env_end = env + x->envp.len;
    mm->start_stack = *ret_sp;
    memcpy(mm->saved_auxv, av, MIN(16ul * nav, sizeof mm->saved_auxv));
    mm->nauxv = nav;
    return 0;
}
