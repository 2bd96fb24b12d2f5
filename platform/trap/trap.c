/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trap platform: guest code runs natively in stubs, every call that is not on the native list
 * raises SIGSYS into the blob, which rings a doorbell that seccomp notifies the sentry of.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/without.h"
#include "platform/trap/trap.h"

struct trap trap = { .lock = PTHREAD_MUTEX_INITIALIZER,
                     .pool_cond = PTHREAD_COND_INITIALIZER,
                     .spare_cond = PTHREAD_COND_INITIALIZER,
                     .ops_cond = PTHREAD_COND_INITIALIZER };

/*
 * Where we are filtered already, that may refuse a filter with a listener, or have a listener itself:
 * there is one for a process. So it is tried, in a child.
 */
static bool may_listen(void)
{
    struct sock_filter allow = { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
    struct sock_fprog prog = { 1, &allow };
    int status = 0;
    pid_t child;

    if (prctl(PR_GET_SECCOMP) == 0)
        return true;
    child = fork();
    if (child == 0)
        _exit(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
              syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                      &prog) < 0);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int probe(const char **ret_why)
{
    uint32_t act = SECCOMP_RET_USER_NOTIF;

    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &act) < 0) {
        *ret_why =
            "the kernel has no seccomp user notification (Linux 5.0), or it is forbidden here";
        return -ENOSYS;
    }
    if (!may_listen()) {
        *ret_why = "seccomp user notification is forbidden here, or taken (a container's)";
        return -EBUSY;
    }
    return 0;
}

/* Some containers forbid it, on oneself too. */
static bool getfd_allowed(void)
{
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int fd = self < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, self, self, 0);

    if (fd >= 0)
        close(fd);
    if (self >= 0)
        close(self);
    return fd >= 0;
}

static int early(const struct platform_config *cfg)
{
    int r;

    trap.client = cfg->client;
    stubs.proc_fd = cfg->proc_fd;
    stubs.ours = CHANNEL_SIZE;
    trap.max_workers = cfg->max_workers;
    sched_getaffinity(0, sizeof trap.cpus, &trap.cpus);
    trap.use_sync = !(cfg->without & SBX_WITHOUT_SYNC);
    trap.use_killable = !(cfg->without & SBX_WITHOUT_WAITKILLABLE);
    stubs.use_vm = !(cfg->without & SBX_WITHOUT_PROCESSVM) && stub_vm_allowed();
    trap.use_getfd = !(cfg->without & SBX_WITHOUT_PROCESSVM) && getfd_allowed();
    for (unsigned i = 0; i < TID_HASH; i++)
        tlist_init(&trap.tids[i]);
    tlist_init(&trap.unborn);
    tlist_init(&trap.dying);
    trap.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (trap.epoll_fd < 0)
        return -errno;
    workers_open();
    r = house_open();
    return r < 0 ? r : zygote_start(cfg);
}

static int start(void)
{
    return workers_start();
}

static void stop(void)
{
    workers_stop();
}

static void set_owner(struct ctx *c, void *owner)
{
    pthread_mutex_lock(&trap.lock);
    c->owner = owner;
    pthread_mutex_unlock(&trap.lock);
}

static struct aspace *get_aspace(struct ctx *c)
{
    return c->stub->as;
}

static struct regs *get_regs(struct ctx *c)
{
    light_complete(c);
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

static int affinity(struct ctx *c, const void *mask, size_t len)
{
    if (c->tid <= 1)
        return -ESRCH;
    atomic_store(&c->affinity, true);
    return sched_setaffinity(c->tid, len, mask) < 0 ? -errno : 0;
}

static pid_t host_tid(struct ctx *c)
{
    return c->tid;
}

static bool is_light(struct ctx *c)
{
    return c->light;
}

static void facts(struct ctx *c, const struct ctx_facts *f)
{
    static const struct ctx_facts none;
    const uint32_t *v = f ? &f->pid : &none.pid;
    const uint64_t known = f ? 1ull << 32 : 0;
    _Static_assert(sizeof *f == 6 * sizeof *v && FACT_PID == 1 && FACT_EGID == 6, "same order");

    for (unsigned i = 0; i < 6; i++)
        __atomic_store_n(&c->block->facts[FACT_PID - 1 + i], known | v[i], __ATOMIC_RELAXED);
    __atomic_store_n(&c->block->keeps, f != NULL, __ATOMIC_RELAXED);
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

static void stats(struct platform_stats *ret)
{
    *ret = (struct platform_stats){ .bells = trap.st.bells,
                                    .light = trap.st.light,
                                    .posts = trap.st.posts,
                                    .patches = trap.st.patches,
                                    .local = trap.st.local,
                                    .faults = trap.st.faults,
                                    .kicks = trap.st.kicks,
                                    .parks = trap.st.parks,
                                    .forks = trap.st.forks,
                                    .threads = trap.st.threads,
                                    .splits = trap.st.splits,
                                    .moves = trap.st.moves,
                                    .blanks = trap.st.blanks,
                                    .ops = trap.st.ops,
                                    .mem_reads = trap.st.reads,
                                    .mem_writes = trap.st.writes };
}

static void ctx_kill(struct ctx *c)
{
    stub_kill(c->stub);
}

const struct platform platform_trap = {
    .name = "trap",
    .caps = { .native_memory = true, .native_futex = true, .native_fork = true },
    .probe = probe,
    .early = early,
    .start = start,
    .stop = stop,
    .blank = trap_blank,
    .ctx_new_child = ctx_new_child,
    .ctx_ref = ctx_get,
    .ctx_unref = ctx_drop,
    .ctx_set_owner = set_owner,
    .ctx_aspace = get_aspace,
    .ctx_regs = get_regs,
    .ctx_call_regs = call_regs,
    .ctx_set_result = set_result,
    .ctx_fault = get_fault,
    .ctx_fpu_size = frame_fpu_size,
    .ctx_fpu_get = frame_fpu_get,
    .ctx_fpu_set = frame_fpu_set,
    .ctx_fpu_reset = frame_fpu_reset,
    .ctx_start = ctx_start,
    .ctx_defer = ctx_defer,
    .ctx_run_ops = ctx_run_ops,
    .ctx_is_light = is_light,
    .ctx_want_frame = ctx_want_frame,
    .ctx_facts = facts,
    .ctx_lend = ctx_lend,
    .ctx_lends = ctx_lends,
    .as_lent = as_lent,
    .as_unlend = as_unlend,
    .ctx_word = ctx_word,
    .ctx_set_word = ctx_set_word,
    .ctx_resume = ctx_resume,
    .ctx_park = ctx_park,
    .ctx_kick = ctx_kick,
    .ctx_kill = ctx_kill,
    .ctx_exit = ctx_exit,
    .ctx_free = ctx_free,
    .ctx_affinity = affinity,
    .ctx_host_tid = host_tid,
    .ctx_sleeps = ctx_sleeps,
    .ctx_cputime = ctx_cputime,
    .ctx_process_cputime = ctx_process_cputime,
    .as_copy = trap_as_copy,
    .as_ref = as_ref,
    .as_put = as_put,
    .as_kill = aspace_kill,
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
    .lost = zygote_lost,
    .as_vdso = vdso,
    .as_limit = limit,
    .worker_block_begin = worker_block_begin,
    .worker_block_end = worker_block_end,
    .stats = stats,
};
