/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that a stub makes for us: a stopped thread is set to the `syscall` of the blob, whose text nobody
 * can change, stopped at its entry, looked at, and stopped at its end. What it would do between the two
 * and our own code is the host's: a restartable sequence of the guest's that covers this place leads
 * anywhere else whenever the thread has been stopped. So the call passes only with our number and
 * arguments, at our place; its result is taken before the thread is back in user mode; and the trap flag
 * is set, which `syscall` takes away: led elsewhere, the thread is stopped by the first instruction that
 * it carries out, and ended.
 *
 * A descriptor is lent through a socket whose one end each stub has, the only one that
 * stays open in it. What recvmsg() finds in the scratch page may be scribbled upon by other threads
 * of the guest. So nothing is read there: the new descriptor has the lowest number, 0, and a message
 * that was not taken ends the stub. One that a dead stub has left is taken and closed by the next.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "abi/types.h"
#include "platform/ptrace/ptrace.h"

#ifndef PTRACE_SYSEMU_SINGLESTEP
#define PTRACE_SYSEMU_SINGLESTEP 32
#endif
#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define OPTIONS                                                                                    \
    (PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |        \
     PTRACE_O_TRACEVFORK | PTRACE_O_TRACESECCOMP)

long pt_ptrace(long request, pid_t tid, uint64_t addr, uint64_t data)
{
    return syscall(SYS_ptrace, request, tid, addr, data) < 0 ? -errno : 0;
}

static void kill_it(struct ctx *c)
{
    syscall(SYS_tgkill, c->stub ? c->stub->pid : c->tid, c->tid, SIGKILL);
}

/* A stop that cannot be: it is not left to itself. */
static long broken(struct ctx *c)
{
    int status;

    kill_it(c);
    while (pt_await(c, &status))
        pt_ptrace(PTRACE_CONT, c->tid, 0, 0);
    return -ESRCH;
}

static bool take_regs(const struct ctx *c, struct user_regs_struct *ret)
{
    return pt_ptrace(PTRACE_GETREGS, c->tid, 0, (uint64_t)(uintptr_t)ret) == 0;
}

static int begin_call(struct ctx *c, long nr, const uint64_t a[6], long how)
{
    struct user_regs_struct r = c->raw;
    long e;

    r.rip = pt.call_at;
    r.rax = (uint64_t)nr;
    r.orig_rax = (uint64_t)-1;
    r.rdi = a[0], r.rsi = a[1], r.rdx = a[2], r.r10 = a[3], r.r8 = a[4], r.r9 = a[5];
    r.eflags = PT_STEP_FLAGS;
    e = pt_ptrace(PTRACE_SETREGS, c->tid, 0, (uint64_t)(uintptr_t)&r);
    return (int)(e < 0 ? e : pt_ptrace(how, c->tid, 0, 0));
}

static bool is_ours(const struct user_regs_struct *r, long nr, const uint64_t a[6])
{
    return r->rip == pt.call_at + 2 && r->orig_rax == (uint64_t)nr && r->rdi == a[0] &&
           r->rsi == a[1] && r->rdx == a[2] && r->r10 == a[3] && r->r8 == a[4] && r->r9 == a[5];
}

/* A signal that waits has it made again, once that has been taken. */
static bool will_restart(const struct user_regs_struct *r)
{
    return (int64_t)r->rax <= -512 && (int64_t)r->rax >= -516;
}

/*
 * How it runs up to the call: freely where the filter will stop it there. Not so where there is no filter,
 * and for native calls, which that lets pass.
 */
static long way_to(long nr, const uint64_t a[6])
{
    struct user_regs_struct r = {
        .rdi = a[0], .rsi = a[1], .rdx = a[2], .r10 = a[3], .r8 = a[4], .r9 = a[5]
    };

    r.orig_rax = (uint64_t)nr;
    r.rip = pt.call_at + 2;
    return pt.filtered && !pt_passes(&r) ? PTRACE_CONT : PTRACE_SYSCALL;
}

/*
 * c at a stop of a call: of the one that was not carried out, whose end comes first; at the entry of
 * ours (inside is false); at its end. 1: it is over; 0: go on; -EPROTO: the stop cannot be.
 */
static int on_stop(struct ctx *c, long nr, const uint64_t a[6], bool event, bool *inside,
                   struct user_regs_struct *ret)
{
    if (!take_regs(c, ret))
        return -EPROTO;
    if (*inside && !event && ret->rip == pt.call_at + 2 && ret->orig_rax == (uint64_t)nr) {
        *inside = !will_restart(ret);
        return *inside;
    }
    if (*inside || (!event && ret->rip == pt.call_at && ret->orig_rax == (uint64_t)-1))
        return *inside ? -EPROTO : 0;
    *inside = is_ours(ret, nr, a);
    return *inside ? 0 : -EPROTO;
}

long pt_call(struct ctx *c, long nr, const uint64_t a[6], pid_t *ret_new)
{
    const long way = way_to(nr, a);
    struct user_regs_struct r;
    unsigned long msg = 0;
    bool inside = false;
    int status;

    if (c->over)
        return -ESRCH;
    if (begin_call(c, nr, a, way) < 0)
        return broken(c);
    while (pt_await(c, &status)) {
        int sig = WSTOPSIG(status), event = status >> 16, pass = 0;

        if (event == PTRACE_EVENT_SECCOMP || (event == 0 && sig == (SIGTRAP | 0x80))) {
            int r_ = on_stop(c, nr, a, event, &inside, &r);

            if (r_)
                return r_ < 0 ? broken(c) : (long)r.rax;
        } else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK ||
                   event == PTRACE_EVENT_VFORK) {
            if (!ret_new || pt_ptrace(PTRACE_GETEVENTMSG, c->tid, 0, (uintptr_t)&msg) < 0)
                return broken(c);
            *ret_new = (pid_t)msg;
        } else if (event == 0 && sig == SIG_KICK) {
            c->kicked = true;
        } else if (event == 0 && sig == SIGTRAP) {
            return broken(c);
        } else if (event == 0) {
            pass = sig == SIGSEGV || sig == SIGBUS ? SIGKILL : sig; /* of the host's: it ends it */
        }
        pt_ptrace(inside ? PTRACE_SYSCALL : way, c->tid, 0, (uint64_t)pass);
    }
    return -ESRCH;
}

/* c at a stop of its step: what it has found; 1 << 32: go on; -EPROTO: the stop cannot be. */
static long on_step(struct ctx *c, int status, int *ret_pass)
{
    int sig = WSTOPSIG(status), event = status >> 16;
    struct user_regs_struct r;

    *ret_pass = 0;
    if (event == PTRACE_EVENT_STOP)
        return 1l << 32;
    if (event || sig == (SIGTRAP | 0x80) || !take_regs(c, &r))
        return -EPROTO;
    switch (sig) {
    case SIGTRAP: /* some kernels stop it at the end of the call that it was in, too */
        return r.rip == pt.swap_end_at ? (uint32_t)r.rax : r.rip == pt.swap_at ? 1l << 32 : -EPROTO;
    case SIGSEGV:
    case SIGBUS:
        return r.rip == pt.swap_at ? -EFAULT : -EPROTO;
    case SIG_KICK:
        c->kicked = true;
        return 1l << 32;
    default:
        *ret_pass = sig;
        return 1l << 32;
    }
}

/*
 * One step of the blob. A restartable sequence may lead it elsewhere, as a call: what it finds there is no
 * more than one instruction, no call of the host's among them, and it is ended.
 */
long pt_swap(struct ctx *c, gaddr_t at, uint32_t old, uint32_t new)
{
    struct user_regs_struct r = c->raw;
    int status, pass = 0;

    if (c->over)
        return -ESRCH;
    if (at >= stubs.slot)
        return -EFAULT;
    r.rip = pt.swap_at;
    r.rdi = at, r.rax = old, r.rdx = new;
    r.orig_rax = (uint64_t)-1;
    r.eflags = PT_STEP_FLAGS & ~0x100;
    if (pt_ptrace(PTRACE_SETREGS, c->tid, 0, (uint64_t)(uintptr_t)&r) < 0)
        return broken(c);
    do {
        long found;

        if (pt_ptrace(PTRACE_SYSEMU_SINGLESTEP, c->tid, 0, (uint64_t)pass) < 0 ||
            !pt_await(c, &status))
            return c->over ? -ESRCH : broken(c);
        found = on_step(c, status, &pass);
        if (found != 1l << 32)
            return found == -EPROTO ? broken(c) : found;
    } while (true);
}

int pt_signal_frame(struct ctx *c, int sig, uint64_t rsp, uint64_t *ret_rsp)
{
    struct user_regs_struct r = c->raw;
    int status;

    r.rsp = rsp;
    if (pt_ptrace(PTRACE_SETREGS, c->tid, 0, (uint64_t)(uintptr_t)&r) < 0 ||
        pt_ptrace(PTRACE_SINGLESTEP, c->tid, 0, (uint64_t)sig) < 0)
        return -ESRCH;
    while (pt_await(c, &status)) {
        if (status >> 16 == 0 && WSTOPSIG(status) == SIGTRAP && take_regs(c, &r) &&
            r.rip == pt.call_at + 2) {
            *ret_rsp = r.rsp;
            return 0;
        }
        if (status >> 16 == 0)
            return broken(c);
        pt_ptrace(PTRACE_SINGLESTEP, c->tid, 0, 0); /* stopped by the host */
    }
    return -ESRCH;
}

/* ---- the zygote ---- */

/* Its data, and its stack above. */
static int forget_data(struct ctx *z)
{
    const uint64_t below[6] = { stubs.slot + ZDATA_OFF, SCRATCH_OFF };
    const uint64_t above[6] = { SCRATCH + SCRATCH_SIZE, ZDATA_SIZE - SCRATCH_OFF - SCRATCH_SIZE };
    long r = pt_call(z, SYS_munmap, below, NULL);

    return (int)(r < 0 ? r : pt_call(z, SYS_munmap, above, NULL));
}

/* It is stopped, and runs again until it waits in the blob, all of its own done. */
static int await_ready(struct ctx *z)
{
    uint64_t end = stubs.slot + BLOB_MAX;
    int status, r;

    for (;;) {
        r = (int)pt_ptrace(PTRACE_INTERRUPT, z->tid, 0, 0);
        if (r < 0 || !pt_await(z, &status) || (r = pt_regs_take(z)) < 0)
            return r < 0 ? r : -ESRCH;
        if (z->raw.orig_rax == SYS_futex && z->raw.rip >= stubs.slot && z->raw.rip < end)
            return 0;
        pt_ptrace(PTRACE_CONT, z->tid, 0, 0);
        hostio_nap(50000);
    }
}

int pt_take_zygote(void)
{
    struct ctx *z = pt_ctx_new(NULL);
    char byte;
    int r;

    if (!z)
        return -ENOMEM;
    if (hostio_recv(pt.lend_sock, &byte, 1, 0) != 1)
        return -EPIPE;
    z->tid = pt.zygote_pid;
    r = (int)pt_ptrace(PTRACE_SEIZE, z->tid, 0, OPTIONS);
    if (r < 0)
        return r;
    pt_hash(z);
    if ((r = await_ready(z)) < 0 || (r = pt_fpu_learn(z)) < 0)
        return r;
    z->raw.fs_base = z->raw.gs_base = 0;
    z->raw.fs = z->raw.gs = 0;
    pt.zygote = z;
    return forget_data(z);
}

static void fresh_regs(struct ctx *c)
{
    const struct user_regs_struct *z = &pt.zygote->raw;

    c->raw = (struct user_regs_struct){
        .cs = z->cs, .ss = z->ss, .ds = z->ds, .es = z->es, .orig_rax = (uint64_t)-1
    };
    c->regs = (struct regs){ .orig_rax = (uint64_t)-1, .rflags = 0x202 };
}

/* A new thread of the host's, as the thread of child: it is held, unless it has ended at once. */
int pt_settle(struct ctx *child, pid_t tid)
{
    const uint64_t die[6] = { PR_SET_PDEATHSIG, SIGKILL };

    if (tid <= 0 || !pt_await_new(tid))
        return -EAGAIN;
    pt_ctx_born(child, tid);
    if (!(child->clone_flags & AS_CLONE_THREAD)) /* a thread has its process's death signal */
        pt_call(child, SYS_prctl, die, NULL);
    return 0;
}

int pt_make_blank(struct ctx **ret)
{
    const uint64_t fork_[6] = { SIGCHLD };
    struct aspace *as = pt_aspace_new();
    struct stub *s = as ? pt_stub_new(as) : NULL;
    struct ctx *c = s ? pt_ctx_new(s) : NULL;
    pid_t tid = 0;
    long r = -ENOMEM;

    if (c) {
        r = pt_call(pt.zygote, SYS_clone, fork_, &tid);
        if (r >= 0) {
            fresh_regs(c);
            r = pt_settle(c, tid);
        }
        if (r == 0)
            r = pt_fpu_blank(c);
        if (r < 0)
            pt_ctx_free(c);
    }
    if (s)
        pt_stub_put(s);
    if (r == 0) {
        atomic_fetch_add(&pt.st.blanks, 1);
        pt_as_ref(as);
        *ret = c;
    }
    if (as)
        pt_aspace_put(as);
    return r < 0 ? (int)r : 0;
}

/* ---- descriptors ---- */

static int send_fd(int fd)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } u = { 0 };
    char byte = 0;
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u.room
    };
    struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);

    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(cm), &fd, sizeof fd);
    return sendmsg(pt.lend_sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -EAGAIN;
}

/* The host's struct msghdr, an iovec, its byte, and room for one descriptor. */
static int write_msghdr(struct ctx *c)
{
    enum { IOV = 64, BYTE = 80, CONTROL = 96 };
    const uint64_t words[] = { 0, 0, SCRATCH + IOV,  1, SCRATCH + CONTROL, CMSG_SPACE(sizeof(int)),
                               0, 0, SCRATCH + BYTE, 1 };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        if (pt_ptrace(PTRACE_POKEDATA, c->tid, SCRATCH + 8 * i, words[i]) < 0)
            return -ESRCH;
    return 0;
}

int pt_lend(struct ctx *c, int fd)
{
    const uint64_t recv[6] = { (uint64_t)pt.stub_sock, SCRATCH, MSG_CMSG_CLOEXEC | MSG_DONTWAIT };
    const uint64_t first[6] = { 0 };
    int r = send_fd(fd);

    if (r < 0)
        return r;
    for (;;) {
        if (write_msghdr(c) < 0 || pt_call(c, SYS_recvmsg, recv, NULL) != 1) {
            pt.stale++;
            return (int)broken(c);
        }
        if (pt.stale == 0)
            return 0;
        pt.stale--;
        pt_call(c, SYS_close, first, NULL);
    }
}
