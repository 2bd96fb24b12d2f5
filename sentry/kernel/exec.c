/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve. The new image always goes into a blank address space: the old one owned its blob and must
 * not survive into it.
 *
 *   COPY    strings out of the guest
 *   OPEN    the file, #! interpreters, the ELF interpreter; errors go to the caller
 *   MAP     a blank context is taken, which maps the image itself (operations)
 *   MAPPED  no error goes to the caller any more: the other threads are told to leave
 *   ALONE   they have: stack, registers, signals, descriptors; the old context ends
 *
 * The first program has no old image and comes in at OPEN (task_spawn_first).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "sentry/job.h"
#include "sentry/net/host.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/async.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/robust.h"
#include "sentry/keys/key.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/table.h"
#include "sentry/uring/uring.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

static void exec_state_free(void *p)
{
    struct exec_state *s = p;

    exec_strings_free(&s->argv);
    exec_strings_free(&s->envp);
    exec_close(s);
    if (s->ctx) { /* given up before it became the task's */
        kernel.platform->ctx_set_owner(s->ctx, NULL);
        kernel.platform->ctx_free(s->ctx);
    }
    if (s->as)
        kernel.platform->as_put(s->as);
}

/* ---- COPY ---- */

static int copy_strings(struct task *t, struct exec_state *s, gaddr_t path, gaddr_t argv,
                        gaddr_t envp)
{
    size_t budget = MIN(EXEC_STRINGS_MAX,
                        MAX(task_rlimit(t, RLIMIT_STACK)->rlim_cur / 4, (rlim_t)(128 << 10)));
    ssize_t n = copy_in_str(t, s->path, path, sizeof s->path);
    int r;

    if (n < 0)
        return (int)n;
    if (n == 0 && !(s->flags & AT_EMPTY_PATH))
        return -ENOENT;
    r = exec_strings_from_guest(t, &s->argv, argv, &budget);
    if (r == 0)
        r = exec_strings_from_guest(t, &s->envp, envp, &budget);
    if (r == 0 && s->argv.n == 0) /* as Linux since 5.18: an empty argv gets one empty string */
        r = exec_strings_add(&s->argv, "", 0);
    memcpy(s->name, s->path, sizeof s->name);
    memcpy(s->exe_path, s->path, sizeof s->exe_path);
    if (s->dfd != AT_FDCWD && s->path[0] != '/')
        snprintf(s->name, sizeof s->name, s->path[0] ? "/dev/fd/%d/%.4060s" : "/dev/fd/%d%.4060s",
                 s->dfd, s->path);
    return r;
}

/* ---- ALONE ---- */

/* The record of the new image: what is mapped from files. */
static int record(struct exec_state *s, struct mm *mm, const struct elf_image *e)
{
    for (unsigned i = 0; i < e->nsegs; i++) {
        const struct elf_seg *g = &e->segs[i];
        int r = 0;

        if (g->len)
            r = vma_add(mm, g->start + e->bias, g->len, g->prot, MAP_PRIVATE, file_ref(e->file),
                        g->offset);
        if (r < 0)
            return r;
    }
    (void)s;
    return 0;
}

static struct mm *make_mm(struct task *t, struct exec_state *s, gaddr_t *ret_sp)
{
    const struct elf_image *e = &s->image;
    struct mm *mm = mm_new(s->as);

    if (!mm)
        return NULL;
    s->as = NULL; /* mm has it */
    mm_set_exe(mm, s->file);
    mm->vdso = kernel.platform->as_vdso(mm->as);
    mm->start_code = e->start_code + e->bias, mm->end_code = e->end_code + e->bias;
    mm->start_data = e->start_data + e->bias, mm->end_data = e->end_data + e->bias;
    mm->brk_start = mm->brk = PAGE_ALIGN_UP(e->brk + e->bias) + exec_random_pages(13);
    s->as = mm->as;
    if (record(s, mm, e) < 0 || (s->interp_file && record(s, mm, &s->interp) < 0) ||
        elf_clear(e, mm->as) < 0 || (s->interp_file && elf_clear(&s->interp, mm->as) < 0) ||
        exec_build_stack(t, s, mm, ret_sp) < 0) {
        s->as = NULL;
        mm_put(mm);
        return NULL;
    }
    s->as = NULL;
    return mm;
}

/* The rights that were found at the beginning are the task's now. */
static void take_cred(struct task *t, struct exec_state *s)
{
    struct cred *was;

    lock(&kernel.tasks_lock);
    was = t->cred;
    t->cred = s->cred;
    unlock(&kernel.tasks_lock);
    s->cred = NULL;
    cred_put(was);
}

static void set_comm(struct task *t, const char *name)
{
    const char *base = strrchr(name, '/');

    base = base ? base + 1 : name;
    memset(t->comm, 0, sizeof t->comm);
    memcpy(t->comm, base, strnlen(base, sizeof t->comm - 1));
}

/* What a new image does not inherit, and whose it becomes. tasks_lock. */
static struct file *switch_locked(struct task *t, struct exec_state *s, struct mm *mm)
{
    struct tgroup *g = t->group;
    struct file *old_exe = g->exe;

    signal_pull_mask_locked(t);
    t->ctx = s->ctx;
    signal_push_mask_locked(t);
    atomic_store(&t->ctx_gone, false);
    t->mm = mm;
    g->exe = file_ref(s->file);
    g->did_exec = true;
    g->dumpable = t->cred->uid == t->cred->euid && t->cred->gid == t->cred->egid;
    t->altstack = (struct lx_sigaltstack){ .flags = SS_DISABLE };
    t->clear_child_tid = t->host_clear_tid = 0;
    t->no_tsc = false;
    if (s->secure)
        t->pdeath_signal = 0;
    t->personality &= ~0x0400000ul; /* READ_IMPLIES_EXEC */
    set_comm(t, s->name);
    sighand_exec_locked(g->sighand);
    signal_recalc_locked(t);
    return old_exe;
}

static void set_regs(struct exec_state *s, struct ctx *c, gaddr_t sp)
{
    struct regs *r = kernel.platform->ctx_regs(c);

    memset(r, 0, sizeof *r);
    r->orig_rax = (uint64_t)-1;
    r->rip = s->interp_file ? s->interp.entry + s->interp.bias : s->image.entry + s->image.bias;
    r->rsp = sp;
    r->rflags = 0x202;
}

/* Private copies of what the old threads shared with other processes. */
static int unshare_all(struct task *t)
{
    struct sighand *own = NULL, *old;

    lock(&kernel.tasks_lock);
    old = t->group->sighand;
    if (old->refs > 1) {
        own = sighand_copy_locked(old);
        if (own) {
            t->group->sighand = own;
            sighand_put_locked(old);
        }
    }
    unlock(&kernel.tasks_lock);
    if (old->refs > 1 && !own)
        return -ENOMEM;
    return t->files ? files_unshare(t) : 0;
}

/* The processor time of the old image stays the process's. */
static void note_time(struct tgroup *g, struct ctx *old)
{
    uint64_t u, s;

    if (kernel.platform->ctx_process_cputime(old, &u, &s) < 0)
        return;
    lock(&kernel.tasks_lock);
    g->utime_ns += u;
    g->stime_ns += s;
    kernel.guest_utime_ns += u;
    kernel.guest_stime_ns += s;
    unlock(&kernel.tasks_lock);
}

/* Past the point of no return: what fails here ends the process, as on Linux. */
static long finish(struct task *t, struct exec_state *s)
{
    struct ctx *old_ctx = t->ctx;
    struct mm *old_mm = t->mm, *mm;
    struct file *old_exe;
    gaddr_t sp = 0;

    async_end_all(t);
    uring_task_free(t);
    mm = make_mm(t, s, &sp);
    if (!mm || unshare_all(t) < 0) {
        mm_put(mm);
        if (s->first)
            program_start_failed(t, ENOMEM);
        return do_exit_group(t, SIGSEGV);
    }
    kfree(robust_leave(t, false)); /* marks what the old image held; nobody waits in it any more */
    futex_leave(t, /* dies= */ false);
    posix_timers_free(t->group); /* setitimer survives */
    if (t->files) {
        files_unlend(t->files, false); /* to the old image */
        files_close_exec(t);
    }
    take_cred(t, s);
    keys_exec(t);
    set_regs(s, s->ctx, sp);
    lock(&kernel.tasks_lock);
    t->group->exec_task = NULL;
    task_become_leader_locked(t);
    old_exe = switch_locked(t, s, mm);
    unlock(&kernel.tasks_lock);
    s->ctx = NULL;
    t->call.ops_ctx = NULL;
    task_tell_facts(t);
    vfork_release(t);
    file_put(old_exe);
    if (s->first)
        program_started(t);
    if (old_ctx) {
        note_time(t->group, old_ctx);
        host_lent_over(old_ctx);
        group_note_rss(t->group, old_mm);
        kernel.platform->ctx_set_owner(old_ctx, NULL);
        kernel.platform->ctx_exit(old_ctx);
    }
    mm_put(old_mm);
    return -EDETACHED;
}

/* MAPPED: the other threads are told to leave, and waited for. */
static long wait_alone(struct task *t, struct exec_state *s)
{
    struct tgroup *g = t->group;
    int r = 0;

    lock(&kernel.tasks_lock);
    if (s->step == EXEC_MAPPED) {
        if (g->exiting || (g->exec_task && g->exec_task != t)) {
            r = -EINTR; /* another one ends us */
        } else {
            g->exec_task = t;
            group_kill_others_locked(t);
            s->step = EXEC_ALONE;
        }
    }
    if (r == 0 && g->nlive > 1)
        r = task_wait(t, &g->exit_wq, WAIT_KILL);
    unlock(&kernel.tasks_lock);
    if (r == -EWAITING)
        return r;
    if (r < 0)
        return -ERESTARTNOINTR; /* a fatal signal: it is delivered on the way back */
    return finish(t, s);
}

static long take_blank(struct task *t, struct exec_state *s)
{
    int r = kernel.platform->blank(&s->ctx, &s->as);

    if (r < 0) {
        s->ctx = NULL;
        s->as = NULL;
        return r;
    }
    kernel.platform->ctx_set_owner(s->ctx, t);
    t->call.ops_ctx = s->ctx;
    s->step = EXEC_MAP;
    return call_ops(t, s->ops, s->nops);
}

/* Did the maps succeed? */
static long mapped(struct task *t, struct exec_state *s)
{
    t->call.ops_ctx = NULL;
    for (unsigned i = 0; i < s->nops; i++) {
        if (s->ops[i].ret < 0)
            return s->ops[i].ret == -EEXIST ? -ENOMEM : s->ops[i].ret;
    }
    s->step = EXEC_MAPPED;
    return wait_alone(t, s);
}

static long step(struct task *t, struct exec_state *s, gaddr_t path, gaddr_t argv, gaddr_t envp)
{
    long r;

    switch (s->step) {
    case EXEC_COPY:
        r = copy_strings(t, s, path, argv, envp);
        if (r < 0)
            return r;
        s->step = EXEC_OPEN;
        /* fall through */
    case EXEC_OPEN:
        r = exec_open_all(t, s);
        return r < 0 ? r : take_blank(t, s);
    case EXEC_MAP:
        return mapped(t, s);
    default:
        return wait_alone(t, s);
    }
}

long do_execve(struct task *t, int dfd, gaddr_t path, gaddr_t argv, gaddr_t envp, int flags)
{
    bool fresh = !t->call.scratch;
    struct exec_state *s = call_scratch(t, sizeof *s);
    long r;

    if (!s)
        return -ENOMEM;
    if (fresh) {
        t->call.scratch_free = exec_state_free;
        s->dfd = dfd;
        s->flags = flags;
        s->image.map_fd = s->interp.map_fd = -1;
    }
    r = step(t, s, path, argv, envp);
    if (r == -ERESTARTNOINTR && s->first) /* killed, and no code to go back to */
        return do_exit_group(t, SIGKILL);
    if (r < 0 && r != -EWAITING && r != -EDETACHED && s->first && t->group->job) {
        job_failed(t->group->container, t->group->job, s->name, (int)-r);
        t->group->job = 0; /* its end is no news */
        return do_exit_group(t, 127 << 8);
    }
    if (r < 0 && r != -EWAITING && r != -EDETACHED && s->first) {
        program_start_failed(t, (int)-r);
        return do_exit_group(t, 127 << 8);
    }
    return r;
}

long sys_execve(struct task *t, gaddr_t path, gaddr_t argv, gaddr_t envp)
{
    return do_execve(t, AT_FDCWD, path, argv, envp, 0);
}

long sys_execveat(struct task *t, int dfd, gaddr_t path, gaddr_t argv, gaddr_t envp, int flags)
{
    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    return do_execve(t, dfd, path, argv, envp, flags);
}

/* ---- the first program ---- */

int exec_first_path(struct task *t, const char *path)
{
    struct exec_state *s = t->call.scratch;

    if (strlen(path) >= sizeof s->exe_path)
        return -ENAMETOOLONG;
    snprintf(s->exe_path, sizeof s->exe_path, "%s", path);
    snprintf(s->name, sizeof s->name, "%s", path);
    return 0;
}

int exec_first_env(struct task *t, char *const envp[])
{
    struct exec_state *s = t->call.scratch;

    exec_strings_free(&s->envp);
    s->envp = (struct exec_strings){ 0 };
    return exec_strings_from_kernel(&s->envp, envp);
}

int task_spawn_first(const char *path, char *const argv[], char *const envp[], struct task **ret)
{
    struct exec_state *s;
    struct task *t;
    int r;

    r = task_alloc(container_here()->init->leader, 0, SIGCHLD, &t);
    if (r < 0)
        return r;
    s = kzalloc(sizeof *s);
    if (!s) {
        task_abort(t);
        return -ENOMEM;
    }
    s->first = true;
    s->step = EXEC_OPEN;
    s->dfd = AT_FDCWD;
    s->image.map_fd = s->interp.map_fd = -1;
    snprintf(s->exe_path, sizeof s->exe_path, "%s", path);
    snprintf(s->name, sizeof s->name, "%s", path);
    r = exec_strings_from_kernel(&s->argv, argv);
    if (r == 0)
        r = exec_strings_from_kernel(&s->envp, envp);
    call_begin(t, 59 /* execve */, (uint64_t[6]){ 0 });
    t->call.scratch = s;
    t->call.scratch_free = exec_state_free;
    if (r < 0) {
        call_end(t);
        task_abort(t);
        return r;
    }
    t->in_call = true;
    t->phase = PHASE_CALL;
    *ret = t;
    return 0;
}
