/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zygote: forked from the sentry while that is still small and single-threaded, left with
 * nothing but the blob; the first of all stubs, and the one that blank ones are forked from. It is
 * pid 1 of the stubs' pid namespace where there is one, so that all of them die with it, and it dies
 * with the sentry.
 */
#include "platform/shared/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#include "abi/hostfd.h"
#include "abi/unfenced.h"
#include "abi/without.h"
#include "platform/shared/memory.h"

#define STUB_NPROC 40000 /* more than the tasks of a sandbox, twice over */
#define TASK_END 0x7ffffffff000ull
#define VDSO_AROUND 0x10000ull

extern const char sbx_blob[], sbx_blob_end[];

/* The kernel's struct sigaction; glibc's would put its own restorer in. */
struct ksigaction {
    uint64_t handler, flags, restorer, mask;
};

static uint64_t stack_end(void)
{
    const char *name = (const char *)getauxval(AT_EXECFN);

    return PAGE_ALIGN_UP((uint64_t)name + strlen(name) + 9);
}

/* The highest slot that neither the host's stack nor its vDSO lies in. */
static uint64_t choose_slot(void)
{
    uint64_t stack = (uint64_t)__builtin_frame_address(0) >> SLOT_SHIFT;
    uint64_t stack_hi = stack_end() >> SLOT_SHIFT, vdso = stubs.vdso >> SLOT_SHIFT;
    uint64_t hi = 0x7fff - 1; /* the last one is not whole */

    while (hi == stack || hi == stack_hi || hi == vdso)
        hi--;
    return hi << SLOT_SHIFT;
}

static int set_handler(int sig, uint32_t handler, uint32_t restorer, uint64_t flags)
{
    struct ksigaction sa = { .handler = stubs.slot + handler,
                             .restorer = stubs.slot + restorer,
                             .flags = SA_SIGINFO | SA_NODEFER | 0x04000000 /* SA_RESTORER */ |
                                      flags,
                             .mask = flags & SA_ONSTACK ? 1ull << (SIG_KICK - 1) : 0 };

    return syscall(SYS_rt_sigaction, sig, &sa, NULL, 8) < 0 ? -errno : 0;
}

/* Handlers of everything that a stub's thread can be stopped by; forks inherit them. */
static int set_handlers(const struct zygote_plan *p)
{
    static const int sigs[] = { SIGSEGV, SIGBUS, SIGSYS, SIGFPE, SIGILL, SIGTRAP, SIG_KICK };
    struct ksigaction ign = { .handler = 1 };
    int r = 0;

    for (unsigned i = 0; p->handler && i < ARRAY_SIZE(sigs) && r == 0; i++)
        r = set_handler(sigs[i], p->handler, p->restorer, SA_ONSTACK | SA_RESTART);
    for (unsigned i = 0; p->stop && i < 2 && r == 0; i++)
        r = set_handler(sigs[i], p->stop, p->stop, 0);
    if (r == 0 && syscall(SYS_rt_sigaction, SIGCHLD, &ign, NULL, 8) < 0)
        r = -errno;
    return r;
}

/* Is this page a mapping of the kernel's making? Those are not dumped, whatever is asked for. */
static bool is_kernels(uint64_t page)
{
    return madvise((void *)page, PAGE_SIZE_4K, MADV_DODUMP) < 0 && errno == EINVAL;
}

static void fill(struct zygote_data *z, int sock, const struct zygote_plan *p)
{
    z->sock = sock;
    z->slot = stubs.slot;
    z->secret = p->secret;
    z->task_size = TASK_END;
    z->use_killable = p->use_killable;
    z->use_gs = p->use_gs;
    z->traced = p->traced;
    if (p->base) {
        z->base_len = p->base->n;
        memcpy(z->base, p->base->insn, p->base->n * sizeof p->base->insn[0]);
    }
    if (p->listen) {
        z->listen_len = p->listen->n;
        memcpy(z->listen, p->listen->insn, p->listen->n * sizeof p->listen->insn[0]);
    }
    if (stubs.vdso) { /* with the data pages before it, but nothing of ours that may adjoin */
        uint64_t lo = stubs.vdso, hi = stubs.vdso + PAGE_SIZE_4K;

        while (stubs.vdso - lo < VDSO_AROUND && is_kernels(lo - PAGE_SIZE_4K))
            lo -= PAGE_SIZE_4K;
        while (hi - stubs.vdso < VDSO_AROUND && is_kernels(hi))
            hi += PAGE_SIZE_4K;
        z->keep[0][0] = lo;
        z->keep[0][1] = hi;
        z->nkeep = 1;
    }
}

/*
 * glibc registers a restartable-sequence area, which the host writes at every preemption and which is
 * about to be unmapped.
 */
static void drop_rseq(void)
{
#ifdef RSEQ_SIG
    if (__rseq_size)
        syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32,
                1 /* RSEQ_FLAG_UNREGISTER */, RSEQ_SIG);
#endif
}

/* Stubs hold none; and a sentry without any could not read one that held some. */
static void drop_capabilities(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { 0 };

    if (unfenced("stubcaps"))
        return;
    if (syscall(SYS_capset, &head, none) < 0)
        _exit(124);
}

/*
 * The number that the zygote's socket gets: the last one that it may have. Its limit, and that of its
 * stubs, is put below it, so that nothing else can ever have it, a descriptor that the sentry puts
 * there (SECCOMP_IOCTL_NOTIF_ADDFD) included: the filter lets a stub send to that number.
 */
static int last_descriptor(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return -errno;
    return r.rlim_cur < 64 ? -EMFILE : (int)MIN(r.rlim_cur, (rlim_t)STUB_FILES) - 1;
}

/* Leaves sock, as number last, and nothing else of the sentry's. */
static void keep_only(int sock, int last)
{
    const struct rlimit files = { (rlim_t)last, (rlim_t)last };

    if (sock != last && dup2(sock, last) != last)
        _exit(124);
    if (hostfd_close_range(0, (unsigned)last - 1) < 0 ||
        hostfd_close_range((unsigned)last + 1, ~0u) < 0)
        _exit(124);
    if (!unfenced("stubfiles") && setrlimit(RLIMIT_NOFILE, &files) < 0)
        _exit(124);
}

/* In the child: everything of the sentry goes. Does not return. */
static void become_zygote(int sock, const struct zygote_plan *p, int blob_fd)
{
    struct blob_header h;
    struct zygote_data *z;
    struct rlimit core = { 1, 1 }, nproc;
    sigset_t none;

    if (!unfenced("deathsig"))
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "sbx-stub"); /* as its children are called too */
    setrlimit(RLIMIT_CORE, &core);  /* 0 would not stop a piped core handler of the host */
    if (getrlimit(RLIMIT_NPROC, &nproc) == 0) { /* threads that no sentry has seen */
        nproc.rlim_cur = nproc.rlim_max = MIN(nproc.rlim_max, (rlim_t)STUB_NPROC);
        setrlimit(RLIMIT_NPROC, &nproc);
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (mmap((void *)stubs.slot, BLOB_MAX, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE,
             blob_fd, 0) == MAP_FAILED)
        _exit(124);
    z = mmap((void *)(stubs.slot + ZDATA_OFF), ZDATA_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (z == MAP_FAILED)
        _exit(124);
    drop_rseq();
    keep_only(sock, p->sock);
    memcpy(&h, sbx_blob, sizeof h);
    fill(z, p->sock, p);
    if (set_handlers(p) < 0)
        _exit(124);
    drop_capabilities();
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the sentry reads stubs */
    if (p->traced &&
        send(p->sock, "", 1, MSG_NOSIGNAL) != 1) /* it may be attached to, from now on */
        _exit(124);
    ((void (*)(uint64_t))(stubs.slot + h.zygote))(stubs.slot);
    _exit(124);
}

static int make_blob_fd(void)
{
    int fd = memfd_create("blob", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t n = (size_t)(sbx_blob_end - sbx_blob);

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, BLOB_MAX) < 0 || pwrite(fd, sbx_blob, n, 0) != (ssize_t)n ||
        fcntl(fd, F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | (unfenced("blobseal") ? 0 : F_SEAL_WRITE) |
                  F_SEAL_SEAL) < 0) {
        close(fd);
        return -EIO;
    }
    return fd;
}

int zygote_prepare(struct blob_header *ret, struct zygote_plan *p)
{
    memcpy(ret, sbx_blob, sizeof *ret);
    if (ret->magic != BLOB_MAGIC)
        return -ENOEXEC;
    stubs.vdso = getauxval(AT_SYSINFO_EHDR);
    stubs.slot = choose_slot();
    p->sock = last_descriptor();
    return MIN(p->sock, 0);
}

int zygote_make(const struct platform_config *cfg, const struct zygote_plan *p, int sock,
                pid_t *ret_pid)
{
    int blob_fd = make_blob_fd();
    long pid = -1;

    if (blob_fd < 0)
        return blob_fd;
    if (!(cfg->without & SBX_WITHOUT_PIDNS) && !unfenced("pidns"))
        pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0)
        pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        become_zygote(sock, p, blob_fd);
    int err = pid < 0 ? errno : 0;

    close(blob_fd);
    *ret_pid = (pid_t)pid;
    return -err;
}

#define PF_EXITING 4 /* in the ninth word of /proc/PID/stat */

/*
 * It is about to end before those that die with it, but it is the last to be gone. A blank that is being
 * made may have its socket still.
 */
bool zygote_is_lost(pid_t pid, int *ret_status)
{
    char text[512], *at, *last;
    unsigned long flags = 0;

    *ret_status = -1;
    if (stubs.proc_fd < 0 || pid <= 1)
        return false;
    if (proc_text(pid, "stat", text, sizeof text) < 0)
        return true;
    at = strrchr(text, ')'); /* behind the name: state, five numbers, flags */
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) != 1)
        return false;
    last = strrchr(at,
                   ' '); /* its status, to who may trace it; 0 to others, and it never ends so */
    if (flags & PF_EXITING && (sscanf(last, " %d", ret_status) != 1 || *ret_status == 0))
        *ret_status = -1;
    return flags & PF_EXITING;
}
