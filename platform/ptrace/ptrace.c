/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ptrace platform: guest code runs natively in stubs, which the host stops for us at every call
 * that is not on the native list. Slower than the trap platform (two host calls more for each call,
 * and one thread of ours for all), it needs nothing of seccomp: neither that it notifies nor, with a
 * fence less, that it is there.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/hostio.h"
#include "abi/types.h"
#include "abi/without.h"
#include "platform/ptrace/ptrace.h"
#include "platform/shared/zygote.h"

struct pt pt = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

/*
 * Yama and containers may forbid it, whatever the kernel has. The child's end is told by no signal: that
 * is how it is known from the sentry and the gofer, by who looks from outside.
 */
static bool may_trace(void)
{
    pid_t parent = getpid(), child = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
    bool may;

    if (child == 0) { /* it does not outlive who asks */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == parent)
            pause();
        _exit(0);
    }
    if (child < 0)
        return false;
    may = ptrace(PTRACE_SEIZE, child, NULL, (void *)(long)PTRACE_O_EXITKILL) == 0;
    kill(child, SIGKILL);
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
        ;
    return may;
}

static int probe(const char **ret_why)
{
    if (may_trace())
        return 0;
    *ret_why = "ptrace is forbidden here (a container, or kernel.yama.ptrace_scope above 1)";
    return -EPERM;
}

/* NULL is refused as an address where filters can be installed at all. */
static bool may_filter(void)
{
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) < 0 && errno == EFAULT;
}

static int early(const struct platform_config *cfg)
{
    struct zygote_plan plan = { .traced = true };
    struct blob_header h;
    int sv[2], r;

    pt.client = cfg->client;
    stubs.proc_fd = cfg->proc_fd;
    stubs.ours = BLOB_MAX + SCRATCH_SIZE;
    stubs.use_vm = !(cfg->without & SBX_WITHOUT_PROCESSVM) && stub_vm_allowed();
    tlist_init(&pt.wanted);
    tlist_init(&pt.errands);
    tlist_init(&pt.kills);
    pt_wait_init();
    r = zygote_prepare(&h, &plan);
    if (r < 0)
        return r;
    pt.call_at = stubs.slot + h.traced_call;
    pt.swap_at = stubs.slot + h.traced_swap;
    pt.swap_end_at = stubs.slot + h.traced_swapped;
    plan.stop = h.traced_call + 2; /* no handler begins: it is stopped before (pt_signal_frame) */
    bpf_init(&pt.filter);
    r = filter_traced(&pt.filter, (uint32_t)(stubs.slot >> 32));
    if (r < 0)
        return r;
    pt.filtered = !(cfg->without & SBX_WITHOUT_STUBFILTER) && may_filter();
    plan.base = pt.filtered ? &pt.filter : NULL;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        return -errno;
    pt.lend_sock = sv[0];
    pt.stub_sock = plan.sock;
    if (!hostfd_settle(&pt.lend_sock, HOSTFD_ZYGOTE)) {
        close(sv[1]);
        return -EMFILE;
    }
    r = zygote_make(cfg, &plan, sv[1], &pt.zygote_pid);
    close(sv[1]);
    return r;
}

static int start(void)
{
    return pt_tracer_start();
}

static void stop(void)
{
    pt_tracer_stop();
}

static const char *lost(int *ret_status)
{
    return zygote_is_lost(pt.zygote_pid, ret_status) ? "zygote" : NULL;
}

static pid_t tracee(void)
{
    return pt.zygote_pid;
}

#define BLANK_TRIES 20
#define BLANK_PAUSE_NS 20000000 /* all contexts of the sandbox wait meanwhile: 0.4 s at most */

struct blanking {
    struct ctx *c;
    int r;
};

static void make_blank(void *arg)
{
    struct blanking *b = arg;

    b->r = pt_make_blank(&b->c);
}

static int blank(struct ctx **ret_ctx, struct aspace **ret_as)
{
    struct blanking b = { .r = -EAGAIN };

    pt_errand(make_blank, &b);
    for (int i = 1; i < BLANK_TRIES && b.r == -EAGAIN; i++) {
        hostio_nap(
            BLANK_PAUSE_NS); /* the host has no room just now: what is missing may come back */
        pt_errand(make_blank, &b);
    }
    if (b.r < 0)
        return b.r == -ENOMEM ? b.r : -EAGAIN;
    *ret_ctx = b.c;
    *ret_as = b.c->stub->as;
    return 0;
}

static void set_owner(struct ctx *c, void *owner)
{
    pthread_mutex_lock(&pt.lock);
    c->owner = owner;
    pthread_mutex_unlock(&pt.lock);
}

static struct aspace *get_aspace(struct ctx *c)
{
    return c->stub->as;
}

static struct regs *get_regs(struct ctx *c)
{
    return &c->regs;
}

static const struct regs *call_regs(struct ctx *c)
{
    return &c->regs;
}

static void set_result(struct ctx *c, long ret)
{
    c->regs.rax = (uint64_t)ret;
}

static const struct fault *get_fault(struct ctx *c)
{
    return &c->fault;
}

static bool no_start(struct ctx *parent, const struct as_op *op)
{
    (void)parent, (void)op;
    return false;
}

/*
 * c may have died before its owner had it: then nobody else says so. By now the owner may have given it
 * up, and be gone itself.
 */
static void tell_if_gone(struct ctx *c)
{
    void *owner;

    if (!atomic_load(&c->gone))
        return;
    pthread_mutex_lock(&pt.lock);
    owner = c->owner;
    if (owner)
        pt.client->owner_ref(owner);
    pthread_mutex_unlock(&pt.lock);
    if (!owner)
        return;
    pt.client->event(owner, c, EV_GONE);
    pt.client->owner_put(owner);
}

static void run_ops(struct ctx *c, struct as_op *ops, unsigned n)
{
    c->ops = ops;
    c->nops = n;
    for (unsigned i = 0; i < n; i++)
        ops[i].ret = -EINTR;
    pt_ctx_get(c); /* from here on the tracer may have it, and its owner end it */
    pt_want(c, WANT_OPS);
    tell_if_gone(c);
    pt_ctx_drop(c);
}

static void resume(struct ctx *c)
{
    pt_ctx_get(c);
    if (pt_is_tracer())
        pt_resume_now(c);
    else
        pt_want(c, WANT_RESUME);
    tell_if_gone(c);
    pt_ctx_drop(c);
}

static bool is_light(struct ctx *c)
{
    return !c->whole;
}

static void want_frame(struct ctx *c)
{
    pt_want(c, WANT_FPU);
}

static void facts(struct ctx *c, const struct ctx_facts *f)
{
    (void)c, (void)f; /* every call comes here */
}

static uint64_t word(struct ctx *c, enum ctx_word w)
{
    return atomic_load(&c->words[w]);
}

static void set_word(struct ctx *c, enum ctx_word w, uint64_t v)
{
    atomic_store(&c->words[w], v);
}

static void park(struct ctx *c)
{
    (void)c; /* a stopped thread costs nothing more */
}

static void kick(struct ctx *c)
{
    if (c->tid > 1 && c->stub->pid > 1) {
        atomic_fetch_add(&pt.st.kicks, 1);
        syscall(SYS_tgkill, c->stub->pid, c->tid, SIG_KICK);
    }
}

static void kill_stub(struct ctx *c)
{
    pthread_mutex_lock(&pt.lock);
    pt_kill_locked(c->stub);
    pthread_mutex_unlock(&pt.lock);
}

static int affinity(struct ctx *c, const void *mask, size_t len)
{
    if (c->tid <= 1)
        return -ESRCH;
    return sched_setaffinity(c->tid, len, mask) < 0 ? -errno : 0;
}

static pid_t host_tid(struct ctx *c)
{
    return c->tid;
}

static int process_cputime(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns)
{
    return stub_process_cputime(c->stub->pid, ret_user_ns, ret_sys_ns);
}

static int cputime(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns)
{
    if (c->tid > 1 && c->tid == c->stub->pid && !atomic_load(&c->stub->threaded))
        return process_cputime(c, ret_user_ns, ret_sys_ns);
    return stub_thread_cputime(c->stub->pid, c->tid, 0, ret_user_ns, ret_sys_ns);
}

static bool sleeps(struct ctx *c)
{
    return stub_thread_sleeps(c->stub->pid, c->tid);
}

/* ---- memory ---- */

static ssize_t as_read(struct aspace *as, gaddr_t from, void *to, size_t n)
{
    atomic_fetch_add_explicit(&pt.st.reads, 1, memory_order_relaxed);
    return stub_read(&as->mem, from, to, n);
}

static ssize_t as_write(struct aspace *as, gaddr_t to, const void *from, size_t n, bool force)
{
    atomic_fetch_add_explicit(&pt.st.writes, 1, memory_order_relaxed);
    return stub_write(&as->mem, to, from, n, force);
}

static ssize_t as_move(struct aspace *as, bool write, const struct iovec *ours, unsigned nours,
                       const struct iovec *theirs, unsigned ntheirs)
{
    atomic_fetch_add_explicit(write ? &pt.st.writes : &pt.st.reads, 1, memory_order_relaxed);
    return stub_move(&as->mem, write, ours, nours, theirs, ntheirs);
}

static ssize_t ctx_read(struct ctx *c, gaddr_t from, void *to, size_t n)
{
    return as_read(c->stub->as, from, to, n);
}

static ssize_t ctx_write(struct ctx *c, gaddr_t to, const void *from, size_t n)
{
    return as_write(c->stub->as, to, from, n, false);
}

static int as_query(struct aspace *as, gaddr_t addr, struct as_mapping *ret)
{
    return stub_query(&as->mem, addr, ret);
}

static int as_each(struct aspace *as, bool usage, int (*fn)(const struct as_mapping *m, void *arg),
                   void *arg)
{
    return stub_each(&as->mem, usage, fn, arg);
}

static void as_pages(struct aspace *as, gaddr_t addr, uint64_t *ret, size_t n)
{
    stub_pages(&as->mem, addr, ret, n);
}

static int as_usage(struct aspace *as, struct as_usage *ret)
{
    return stub_usage(&as->mem, ret);
}

static int as_cost(struct aspace *as, bool exact, struct as_usage *ret)
{
    return stub_cost(&as->mem, exact, ret);
}

static gaddr_t vdso(struct aspace *as)
{
    (void)as;
    return stubs.vdso;
}

static gaddr_t limit(void)
{
    return stubs.slot - (1ull << SLOT_SHIFT);
}

/* The tracer cannot hand over what it is attached to: its other contexts wait. */
static void block_begin(void)
{
}

static void block_end(void)
{
}

static void stats(struct platform_stats *ret)
{
    *ret = (struct platform_stats){ .bells = pt.st.stops,
                                    .faults = pt.st.faults,
                                    .kicks = pt.st.kicks,
                                    .forks = pt.st.forks,
                                    .threads = pt.st.threads,
                                    .blanks = pt.st.blanks,
                                    .ops = pt.st.ops,
                                    .mem_reads = pt.st.reads,
                                    .mem_writes = pt.st.writes };
}

const struct platform platform_ptrace = {
    .name = "ptrace",
    .caps = { .native_memory = true, .native_futex = true, .native_fork = true },
    .probe = probe,
    .early = early,
    .start = start,
    .stop = stop,
    .lost = lost,
    .tracee = tracee,
    .blank = blank,
    .ctx_new_child = pt_ctx_new_child,
    .ctx_ref = pt_ctx_get,
    .ctx_unref = pt_ctx_drop,
    .ctx_set_owner = set_owner,
    .ctx_aspace = get_aspace,
    .ctx_regs = get_regs,
    .ctx_call_regs = call_regs,
    .ctx_set_result = set_result,
    .ctx_fault = get_fault,
    .ctx_fpu_size = pt_fpu_size,
    .ctx_fpu_get = pt_fpu_get,
    .ctx_fpu_set = pt_fpu_set,
    .ctx_fpu_reset = pt_fpu_reset,
    .ctx_start = no_start,
    .ctx_defer = pt_defer,
    .ctx_run_ops = run_ops,
    .ctx_resume = resume,
    .ctx_is_light = is_light,
    .ctx_want_frame = want_frame,
    .ctx_facts = facts,
    .ctx_word = word,
    .ctx_set_word = set_word,
    .ctx_park = park,
    .ctx_kick = kick,
    .ctx_kill = kill_stub,
    .ctx_exit = pt_ctx_exit,
    .ctx_free = pt_ctx_free,
    .ctx_affinity = affinity,
    .ctx_host_tid = host_tid,
    .ctx_sleeps = sleeps,
    .ctx_cputime = cputime,
    .ctx_process_cputime = process_cputime,
    .as_copy = pt_as_copy,
    .as_ref = pt_as_ref,
    .as_put = pt_as_put,
    .as_kill = pt_as_kill,
    .as_read = as_read,
    .as_write = as_write,
    .as_move = as_move,
    .ctx_read = ctx_read,
    .ctx_write = ctx_write,
    .as_query = as_query,
    .as_each = as_each,
    .as_pages = as_pages,
    .as_usage = as_usage,
    .as_cost = as_cost,
    .as_vdso = vdso,
    .as_limit = limit,
    .worker_block_begin = block_begin,
    .worker_block_end = block_end,
    .stats = stats,
};
