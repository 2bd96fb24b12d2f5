/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve, step OPEN: the file, the interpreters of #! lines, the ELF interpreter; and where the image
 * is to lie. Errors of all of it go to the caller, whose old image is untouched.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "sentry/kernel/cred.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/kernel.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#define SCRIPT_DEPTH 5
#define STACK_MAX (1ull << 30)
#define STACK_MIN (128ull << 10)

void exec_close(struct exec_state *s)
{
    elf_done(&s->image);
    elf_done(&s->interp);
    if (s->file) {
        inode_allow_write(s->file->inode);
        file_put(s->file);
        s->file = NULL;
    }
    file_put(s->interp_file);
    s->interp_file = NULL;
    cred_put(s->cred);
    s->cred = NULL;
}

static struct file *open_image(struct task *t, int dfd, const char *path, int flags)
{
    unsigned walk = flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
    struct file *f = vfs_open_waited(t);
    struct path p;
    int r;

    if (f) /* a listener has said something, or a lease is gone: the walk was done before */
        return f;
    if (flags & AT_EMPTY_PATH)
        walk |= WALK_EMPTY;
    vfs_walk_opens = true; /* what is found is mapped: let the walk bring it along */
    r = walk_path(t, dfd, path, walk, &p);
    vfs_walk_opens = false;
    if (r < 0)
        return ERR_PTR(r);
    if (S_ISLNK(p.dentry->inode->mode))
        r = -ELOOP;
    else if (!S_ISREG(p.dentry->inode->mode) || (p.mnt && p.mnt->flags & MS_NOEXEC))
        r = -EACCES;
    else
        r = inode_permission(t, p.dentry->inode, X_OK);
    /* Linux reads a program that its user may only execute: no R_OK is asked for here. */
    f = r < 0 ? ERR_PTR(r) : vfs_open_inode(t, &p, O_RDONLY | LX_O_EXEC);
    path_put(&p);
    return f;
}

static int script(struct task *t, struct exec_state *s, const char *head, size_t n)
{
    char interp[256], arg[256];
    const char *front[3];
    unsigned k = 0;
    int r = exec_parse_script(head, n, interp, arg, sizeof interp);

    (void)t;
    if (r < 0)
        return r;
    if (++s->depth > SCRIPT_DEPTH)
        return -ELOOP;
    front[k++] = interp;
    if (arg[0])
        front[k++] = arg;
    front[k++] = s->depth == 1 ? s->name : s->exe_path;
    r = exec_strings_replace_first(&s->argv, front, k);
    if (r < 0)
        return r;
    snprintf(s->exe_path, sizeof s->exe_path, "%s", interp);
    s->dfd = AT_FDCWD;
    s->flags = 0;
    return 1;
}

/* Opens s->exe_path. 1: it is a script, whose interpreter is to be opened now. */
static int open_one(struct task *t, struct exec_state *s)
{
    struct file *f = open_image(t, s->dfd, s->exe_path, s->flags);
    char head[256];
    ssize_t n;
    int r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    r = inode_deny_write(f->inode);
    if (r < 0) {
        file_put(f);
        return r;
    }
    s->file = f;
    n = vfs_read_kernel(t, f, head, sizeof head, 0);
    if (n < 0)
        return (int)n;
    if (n >= 2 && head[0] == '#' && head[1] == '!') {
        exec_close(s);
        return script(t, s, head, (size_t)n);
    }
    return elf_read(t, f, &s->image);
}

static int open_interp(struct task *t, struct exec_state *s)
{
    struct file *f;

    if (!s->image.interp[0])
        return 0;
    f = open_image(t, AT_FDCWD, s->image.interp, 0);
    if (IS_ERR(f))
        return PTR_ERR(f);
    s->interp_file = f;
    return elf_read(t, f, &s->interp) == -ENOEXEC ? -ELIBBAD : s->interp.nsegs ? 0 : -ELIBBAD;
}

uint64_t exec_random_pages(unsigned bits)
{
    uint64_t r = 0;

    if (getrandom(&r, sizeof r, 0) != sizeof r)
        r = (uint64_t)ktime_now();
    return (r & ((1ull << bits) - 1)) << 12;
}

/*
 * One of 2^bits pages from base on. A blank address space holds nothing that could be in the way but the
 * host's vDSO, which lies anywhere between 0x7eff00000000 and the top.
 */
static gaddr_t place(const struct task *t, gaddr_t base, unsigned bits, uint64_t len)
{
    if (!(t->personality & 0x0040000 /* ADDR_NO_RANDOMIZE */))
        base += exec_random_pages(bits);
    return elf_beside(kernel.platform->as_vdso(NULL), base, len);
}

static void lay_out(struct task *t, struct exec_state *s)
{
    uint64_t size = task_rlimit(t, RLIMIT_STACK)->rlim_cur;
    struct elf_image *e = &s->image, *i = &s->interp;

    size = PAGE_ALIGN_UP(MAX(MIN(size, STACK_MAX), STACK_MIN));
    if (e->pie)
        e->bias = place(t, e->interp[0] ? 0x555555554000ull : 0x7e8000000000ull, 28,
                        e->end - e->first) -
                  e->first;
    if (s->interp_file && i->pie)
        i->bias = place(t, 0x7e0000000000ull, 26, i->end - i->first) - i->first;
    s->stack_low = place(t, 0x7fd000000000ull - size, 22, size);
    s->stack_top = s->stack_low + size;
}

static int make_ops(struct exec_state *s)
{
    int prot = PROT_READ | PROT_WRITE | (s->image.exec_stack ? PROT_EXEC : 0), r;

    s->ops[s->nops++] = (struct as_op){ .kind = AS_SET_FS, .fd = -1 };
    s->ops[s->nops++] = (struct as_op){ .kind = AS_SET_GS, .fd = -1 };
    s->stack_op = s->nops;
    s->ops[s->nops++] = (struct as_op){
        .kind = AS_MMAP,
        .fd = -1,
        .a = { s->stack_low, s->stack_top - s->stack_low, (uint64_t)prot,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | MAP_FIXED_NOREPLACE }
    };
    r = elf_ops(&s->image, s->ops, &s->nops, AS_OPS_MAX);
    if (r == 0 && s->interp_file)
        r = elf_ops(&s->interp, s->ops, &s->nops, AS_OPS_MAX);
    return r;
}

int exec_open_all(struct task *t, struct exec_state *s)
{
    int r = 0;

    while (!s->file && (r = open_one(t, s)) == 1)
        ;
    if (r == 0)
        r = open_interp(t, s);
    if (r < 0)
        return r;
    exec_file_caps(t, s);
    r = exec_new_cred(t, s);
    if (r < 0)
        return r;
    lay_out(t, s);
    return make_ops(s);
}
