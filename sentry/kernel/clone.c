/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clone: a new thread, a forked process, or a vfork child. The host makes it (AS_CLONE, by the
 * caller's own context); the sentry makes the task first and publishes it, so that it can be found
 * from the moment its number is known, and only then lets the host go.
 *
 *   START --> (task made, published) --AS_CLONE, or a ready thread--> MADE --> done, or for vfork HELD until the child
 *   has execed or left
 *
 * The child's first event is EV_BORN, on whichever worker; it may come before the parent's EV_OPS.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "abi/sched.h"
#include "sentry/ipc/pidfd.h"
#include "sentry/ipc/sysv/sem.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"
#include "sentry/keys/key.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#define CAP_SYS_ADMIN 21

enum { START, MADE, HELD };

struct clone_state { /* the record's scratch */
    struct clone_args args;
    struct as_op op;
    struct task *child; /* a reference */
    pid_t tid;
    int pidfd;
};

static void clone_state_free(void *p)
{
    struct clone_state *s = p;

    task_put(s->child);
}

#define CLONE_CLEAR_SIGHAND LX_CLONE_CLEAR_SIGHAND
#define CLONE_INTO_CGROUP LX_CLONE_INTO_CGROUP
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* Namespaces are not offered inside: what an unprivileged caller gets. */
#define CLONE_NS                                                                                   \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | CLONE_NEWTIME)

static int check(struct task *t, const struct clone_args *a)
{
    uint64_t f = a->flags;

    if ((f & CLONE_FS) && (f & (CLONE_NEWNS | CLONE_NEWUSER)))
        return -EINVAL;
    if ((f & CLONE_THREAD) && (f & (CLONE_NEWUSER | CLONE_NEWPID)))
        return -EINVAL;
    if (f & CLONE_NS)
        return -EPERM;
    if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
        return -EINVAL;
    if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
        return -EINVAL;
    if ((f & CLONE_SIGHAND) && (f & CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if ((f & CLONE_PIDFD) && (f & CLONE_DETACHED))
        return -EINVAL;
    if ((f & CLONE_PARENT) && t->group->is_init)
        return -EINVAL;
    if (f & CLONE_NS)
        return -EPERM;
    if ((f & CLONE_SETTLS) && a->tls >= 0x7ffffffff000ull)
        return -EPERM;
    if (f & CLONE_PTRACE)
        return -EPERM;
    return 0;
}

/* clone3 with the numbers that the child is to have: one for each namespace, and there is one. */
static int wanted_tid(struct task *t, const struct clone_args *a, pid_t *ret)
{
    *ret = 0;
    if (!a->set_tid)
        return 0;
    if (a->set_tid_size > 1)
        return -EINVAL;
    if (get_guest(t, ret, a->set_tid) < 0)
        return -EFAULT;
    if (*ret < 1)
        return -EINVAL;
    return task_capable(t, CAP_CHECKPOINT_RESTORE) || task_capable(t, CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static int share(struct task *child, struct task *t, uint64_t flags)
{
    if ((flags & (CLONE_FILES | CLONE_VM)) == CLONE_FILES)
        files_unlend(t->files, true);
    child->files = flags & CLONE_FILES ? files_ref(t->files) : files_copy(t->files);
    if (IS_ERR(child->files)) {
        int r = PTR_ERR(child->files);

        child->files = NULL;
        return r;
    }
    keys_fork(child, t);
    child->fs = flags & CLONE_FS ? fs_ctx_ref(t->fs) : fs_ctx_copy(t->fs);
    return child->fs ? sem_clone(child, t, flags & CLONE_SYSVSEM) : -ENOMEM;
}

static unsigned host_flags(const struct clone_args *a)
{
    return (a->flags & CLONE_VM ? AS_CLONE_VM : 0) |
           (a->flags & CLONE_THREAD ? AS_CLONE_THREAD : 0) |
           (a->flags & CLONE_SETTLS ? AS_CLONE_SETTLS : 0) |
           (a->flags & CLONE_CHILD_CLEARTID ? AS_CLONE_CLEARTID : 0);
}

/* The child's context and address space. */
static int make_ctx(struct task *child, struct task *t, const struct clone_args *a)
{
    struct ctx *c = kernel.platform->ctx_new_child(t->ctx, host_flags(a));
    struct aspace *as;

    if (!c)
        return -EAGAIN;
    if (a->flags & CLONE_VM) {
        child->mm = mm_ref(t->mm);
    } else {
        as = kernel.platform->ctx_aspace(c);
        kernel.platform->as_ref(as);
        child->mm = mm_copy(t->mm, as);
        if (!child->mm) {
            kernel.platform->ctx_free(c);
            kernel.platform->as_put(as);
            return -ENOMEM;
        }
    }
    child->ctx = c;
    lock(&kernel.tasks_lock);
    signal_push_mask_locked(child);
    unlock(&kernel.tasks_lock);
    kernel.platform->ctx_set_owner(c, child);
    return 0;
}

static int make_pidfd(struct task *t, struct clone_state *s)
{
    gaddr_t where = s->args.pidfd;
    struct file *f;
    int32_t fd;

    s->pidfd = -1;
    if (!(s->args.flags & CLONE_PIDFD))
        return 0;
    f = s->args.flags & CLONE_THREAD ? pidfd_new_thread(s->child, 0)
                                     : pidfd_new(s->child->group, 0);
    if (IS_ERR(f))
        return PTR_ERR(f);
    fd = fd_install(t, f, 0, true);
    if (fd < 0)
        return fd;
    s->pidfd = fd;
    return put_guest(t, where, &fd);
}

/* After a failure: the task was published perhaps, but the host never made it. */
static void undo(struct task *t, struct clone_state *s)
{
    struct task *child = s->child;
    struct ctx *c = child->ctx;
    bool published = child->published;

    if (s->pidfd >= 0)
        (void)fd_close(t, s->pidfd);
    lock(&kernel.tasks_lock);
    child->ctx = NULL;
    unlock(&kernel.tasks_lock);
    if (c)
        kernel.platform->ctx_free(c);
    if (!published) {
        s->child = NULL;
        task_put(child); /* the record's; task_abort takes the first one */
        task_abort(child);
        return;
    }
    task_drop_resources(child);
    lock(&kernel.tasks_lock);
    child->dead = true;
    child->group->nlive--;
    if (child->group->leader == child) {
        child->group->exiting = child->group->zombie = true;
        group_release_locked(child->group);
    } else {
        task_unlink_locked(child);
    }
    unlock(&kernel.tasks_lock);
}

/*
 * The result of the operation is what a stub says, or what its death left there; the child may live
 * all the same, or have died and been told so. Who is first decides: its first event, or this.
 */
static bool never_born(struct task *child)
{
    int st = BORN_NOT;

    return atomic_compare_exchange_strong(&child->born, &st, BORN_UNDONE);
}

static long hold_for_vfork(struct task *t, struct clone_state *s)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    int r;

    if (!s->child->vfork_pending)
        return s->tid;
    r = task_wait(t, &s->child->vfork_wq, WAIT_KILL);
    return r == -EWAITING ? r : s->tid;
}

static long made(struct task *t, struct clone_state *s)
{
    if (!(s->args.flags & CLONE_VFORK))
        return s->tid;
    t->call.phase = HELD;
    return hold_for_vfork(t, s);
}

static long start(struct task *t, struct clone_state *s)
{
    const struct clone_args *a = &s->args;
    struct task *child;
    pid_t wanted;
    int r = check(t, a);

    if (r < 0)
        return r;
    s->pidfd = -1;
    r = wanted_tid(t, a, &wanted);
    if (r < 0)
        return r;
    r = task_alloc_at(t, a->flags, a->exit_signal, wanted, &child);
    if (r < 0)
        return r;
    s->child = task_ref(child);
    s->tid = child->tid;
    child->born_stack = a->stack;
    child->born_settid = a->flags & CLONE_CHILD_SETTID ? a->child_tid : 0;
    child->clear_child_tid = a->flags & CLONE_CHILD_CLEARTID ? a->child_tid : 0;
    child->host_clear_tid = child->clear_child_tid;
    child->vfork_pending = a->flags & CLONE_VFORK;
    atomic_store(&child->where, IN_GUEST);
    r = share(child, t, a->flags);
    if (r == 0)
        r = make_ctx(child, t, a);
    if (r == 0)
        r = make_pidfd(t, s);
    if (r == 0 && (a->flags & CLONE_PARENT_SETTID))
        r = put_guest(t, a->parent_tid, &s->tid);
    if (r == 0)
        r = task_publish(child);
    if (r < 0) {
        undo(t, s);
        return r;
    }
    s->op = (struct as_op){ .kind = AS_CLONE,
                            .fd = -1,
                            .child = child->ctx,
                            .a = { host_flags(a), a->tls, a->child_tid } };
    t->call.phase = MADE;
    if (kernel.platform->ctx_start(t->ctx, &s->op))
        return made(t, s);
    return call_ops(t, &s->op, 1);
}

long do_clone(struct task *t, const struct clone_args *a)
{
    struct clone_state *s = call_scratch(t, sizeof *s);

    if (!s)
        return -ENOMEM;
    switch (t->call.phase) {
    case START:
        t->call.scratch_free = clone_state_free;
        s->args = *a;
        return start(t, s);
    case MADE:
        if (s->op.ret < 0 && never_born(s->child)) {
            undo(t, s);
            return s->op.ret == -EINTR ? -ERESTARTNOINTR : s->op.ret;
        }
        return made(t, s);
    default:
        return hold_for_vfork(t, s);
    }
}

/* The child is there, held: what it is to find when it starts. */
void clone_child_born(struct task *t)
{
    struct regs *r = kernel.platform->ctx_regs(t->ctx);

    r->rax = 0;
    r->orig_rax = (uint64_t)-1;
    if (t->born_stack)
        r->rsp = t->born_stack;
    if (t->born_settid) {
        int32_t tid = t->tid;

        (void)!put_guest(t, t->born_settid, &tid);
    }
}

/* ---- system calls ---- */

long sys_clone(struct task *t, unsigned long flags, gaddr_t stack, gaddr_t parent_tid,
               gaddr_t child_tid, gaddr_t tls)
{
    struct clone_args a = { .flags = (uint32_t)flags & ~(uint64_t)CSIGNAL,
                            .pidfd = parent_tid,
                            .child_tid = child_tid,
                            .parent_tid = parent_tid,
                            .exit_signal = (int)(flags & CSIGNAL),
                            .stack = stack,
                            .tls = tls };

    if (t->call.phase == START && (flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID))
        return -EINVAL;
    return do_clone(t, &a);
}

long sys_fork(struct task *t)
{
    return do_clone(t, &(struct clone_args){ .exit_signal = SIGCHLD });
}

long sys_vfork(struct task *t)
{
    return do_clone(
        t, &(struct clone_args){ .flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD });
}

static long read_args(struct task *t, gaddr_t uargs, size_t size, struct clone_args *ret)
{
    struct lx_clone_args u = { 0 };
    char rest[64];

    if (size < 64)
        return -EINVAL;
    if (size > PAGE_SIZE_4K)
        return -E2BIG;
    if (copy_in(t, &u, uargs, MIN(size, sizeof u)) < 0)
        return -EFAULT;
    for (size_t off = sizeof u; off < size; off += sizeof rest) {
        size_t n = MIN(size - off, sizeof rest);

        if (copy_in(t, rest, uargs + off, n) < 0)
            return -EFAULT;
        for (size_t i = 0; i < n; i++) {
            if (rest[i])
                return -E2BIG;
        }
    }
    if ((u.flags & CSIGNAL) || u.exit_signal > LX_NSIG || (u.flags & CLONE_DETACHED) ||
        (u.flags & ~(0xffffffffull | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP)) ||
        (!u.stack != !u.stack_size) || (!u.set_tid != !u.set_tid_size))
        return -EINVAL;
    if ((u.flags & (CLONE_THREAD | CLONE_PARENT)) && u.exit_signal)
        return -EINVAL;
    if (u.flags & CLONE_INTO_CGROUP)
        return -EBADF;
    *ret = (struct clone_args){ .flags = u.flags,
                                .pidfd = u.pidfd,
                                .child_tid = u.child_tid,
                                .parent_tid = u.parent_tid,
                                .exit_signal = (int)u.exit_signal,
                                .stack = u.stack ? u.stack + u.stack_size : 0,
                                .tls = u.tls,
                                .set_tid = u.set_tid,
                                .set_tid_size = u.set_tid_size };
    return 0;
}

long sys_clone3(struct task *t, gaddr_t uargs, size_t size)
{
    struct clone_args a = { 0 };
    long r;

    if (t->call.phase == START) {
        r = read_args(t, uargs, size, &a);
        if (r < 0)
            return r;
    }
    return do_clone(t, &a);
}
