/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that a stub makes for us: a stopped thread is set to the blob's `syscall`, behind which a
 * breakpoint stops it again. The blob's text can be changed by nobody; where there is a filter the
 * call stops in it as well, and passes only if it is ours. A guest that goes there by itself finds its
 * call told to the sentry as any other.
 *
 * A descriptor is lent through a socket whose one end each stub has as descriptor 3, the only one that
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

#define STUB_SOCK 3
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

static bool stopped_at(const struct ctx *c, uint64_t off, long orig, struct user_regs_struct *ret)
{
    return pt_ptrace(PTRACE_GETREGS, c->tid, 0, (uint64_t)(uintptr_t)ret) == 0 &&
           ret->rip == pt.call_at + off && (orig < 0 || ret->orig_rax == (uint64_t)orig);
}

static int begin_call(struct ctx *c, long nr, const uint64_t a[6])
{
    struct user_regs_struct r = c->raw;
    long e;

    r.rip = pt.call_at;
    r.rax = (uint64_t)nr;
    r.orig_rax = (uint64_t)-1;
    r.rdi = a[0], r.rsi = a[1], r.rdx = a[2], r.r10 = a[3], r.r8 = a[4], r.r9 = a[5];
    r.eflags = 0x202;
    e = pt_ptrace(PTRACE_SETREGS, c->tid, 0, (uint64_t)(uintptr_t)&r);
    return (int)(e < 0 ? e : pt_ptrace(PTRACE_CONT, c->tid, 0, 0));
}

long pt_call(struct ctx *c, long nr, const uint64_t a[6], pid_t *ret_new)
{
    struct user_regs_struct r;
    unsigned long msg = 0;
    bool passed = false;
    int status;

    if (c->over)
        return -ESRCH;
    if (begin_call(c, nr, a) < 0)
        return broken(c);
    while (pt_await(c, &status)) {
        int sig = WSTOPSIG(status), pass = 0;

        switch (status >> 16) {
        case PTRACE_EVENT_SECCOMP:
            if (passed || !stopped_at(c, 2, nr, &r))
                return broken(c);
            passed = true;
            break;
        case PTRACE_EVENT_CLONE:
        case PTRACE_EVENT_FORK:
        case PTRACE_EVENT_VFORK:
            if (!ret_new || pt_ptrace(PTRACE_GETEVENTMSG, c->tid, 0, (uintptr_t)&msg) < 0)
                return broken(c);
            *ret_new = (pid_t)msg;
            break;
        case 0:
            if (sig == SIGTRAP)
                return stopped_at(c, 3, -1, &r) ? (long)r.rax : broken(c);
            if (sig == SIG_KICK)
                c->kicked = true;
            else
                pass = sig; /* of the host's: what ends it ends it */
            break;
        default:
            break;
        }
        pt_ptrace(PTRACE_CONT, c->tid, 0, (uint64_t)pass);
    }
    return -ESRCH;
}

int pt_signal_frame(struct ctx *c, int sig, uint64_t rsp, uint64_t *ret_rsp)
{
    struct user_regs_struct r = c->raw;
    int status;

    r.rsp = rsp;
    if (pt_ptrace(PTRACE_SETREGS, c->tid, 0, (uint64_t)(uintptr_t)&r) < 0 ||
        pt_ptrace(PTRACE_CONT, c->tid, 0, (uint64_t)sig) < 0)
        return -ESRCH;
    while (pt_await(c, &status)) {
        if (status >> 16 == 0 && WSTOPSIG(status) == SIGTRAP) {
            if (!stopped_at(c, 3, -1, &r))
                break;
            *ret_rsp = r.rsp;
            return 0;
        }
        if (status >> 16 == 0 && WSTOPSIG(status) != SIG_KICK)
            break;
        c->kicked |= WSTOPSIG(status) == SIG_KICK;
        pt_ptrace(PTRACE_CONT, c->tid, 0, 0);
    }
    return c->over ? -ESRCH : -EFAULT;
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
    const uint64_t recv[6] = { STUB_SOCK, SCRATCH, MSG_CMSG_CLOEXEC | MSG_DONTWAIT };
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
