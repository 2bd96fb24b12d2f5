/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zygote: forked from the sentry while that is still small and single-threaded, left with
 * nothing but the blob, it forks blank stubs on request. It is pid 1 of the stubs' pid namespace
 * where there is one, so that all of them die with it, and it dies with the sentry.
 *
 * A blank stub: request (with a nonce) -> its listener arrives on the socket -> its first bell shows
 * the nonce -> it waits, held, in the pool. Once the guest has forked two are kept ready, so that the
 * path of an exec only takes one (pool.c); before it there is the one for the first program.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#include "abi/hostfd.h"
#include "abi/hostio.h"
#include "abi/unfenced.h"
#include "abi/without.h"
#include "platform/trap/bpf.h"
#include "platform/trap/trap.h"

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
    uint64_t stack_hi = stack_end() >> SLOT_SHIFT, vdso = trap.vdso >> SLOT_SHIFT;
    uint64_t hi = 0x7fff - 1; /* the last one is not whole */

    while (hi == stack || hi == stack_hi || hi == vdso)
        hi--;
    return hi << SLOT_SHIFT;
}

/* Handlers of everything that a stub's thread can be stopped by; forks inherit them. */
static int set_handlers(uint64_t slot)
{
    static const int sigs[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIG_KICK };
    struct ksigaction sa = { .handler = slot + trap.handler,
                             .restorer = slot + trap.restorer,
                             .flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART |
                                      0x04000000 /* SA_RESTORER */,
                             .mask = 1ull << (SIG_KICK - 1) };
    struct ksigaction ign = { .handler = 1 };

    for (unsigned i = 0; i < ARRAY_SIZE(sigs); i++) {
        if (syscall(SYS_rt_sigaction, sigs[i], &sa, NULL, 8) < 0)
            return -errno;
    }
    return syscall(SYS_rt_sigaction, SIGCHLD, &ign, NULL, 8) < 0 ? -errno : 0;
}

/* Is this page a mapping of the kernel's making? Those are not dumped, whatever is asked for. */
static bool is_kernels(uint64_t page)
{
    return madvise((void *)page, PAGE_SIZE_4K, MADV_DODUMP) < 0 && errno == EINVAL;
}

static void fill(struct zygote_data *z, int sock, const struct bpf_asm *base,
                 const struct bpf_asm *listen, uint64_t secret)
{
    z->sock = sock;
    z->slot = trap.slot;
    z->secret = secret;
    z->task_size = TASK_END;
    z->base_len = base->n;
    z->listen_len = listen->n;
    z->use_killable = trap.use_killable;
    z->use_gs = trap.use_gs;
    memcpy(z->base, base->insn, base->n * sizeof base->insn[0]);
    memcpy(z->listen, listen->insn, listen->n * sizeof listen->insn[0]);
    if (trap.vdso) { /* with the data pages before it, but nothing of ours that may adjoin */
        uint64_t lo = trap.vdso, hi = trap.vdso + PAGE_SIZE_4K;

        while (trap.vdso - lo < VDSO_AROUND && is_kernels(lo - PAGE_SIZE_4K))
            lo -= PAGE_SIZE_4K;
        while (hi - trap.vdso < VDSO_AROUND && is_kernels(hi))
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
static void become_zygote(int sock, int last, const struct bpf_asm *base,
                          const struct bpf_asm *listen, uint64_t secret, int blob_fd)
{
    struct blob_header h;
    struct zygote_data *z;
    struct rlimit core = { 1, 1 }, nproc;
    sigset_t none;

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
    if (mmap((void *)trap.slot, BLOB_MAX, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE,
             blob_fd, 0) == MAP_FAILED)
        _exit(124);
    z = mmap((void *)(trap.slot + ZDATA_OFF), ZDATA_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (z == MAP_FAILED)
        _exit(124);
    drop_rseq();
    keep_only(sock, last);
    memcpy(&h, sbx_blob, sizeof h);
    fill(z, last, base, listen, secret);
    if (set_handlers(trap.slot) < 0)
        _exit(124);
    drop_capabilities();
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the sentry reads stubs */
    ((void (*)(uint64_t))(trap.slot + h.zygote))(trap.slot);
    _exit(124);
}

static int make_blob_fd(void)
{
    int fd = memfd_create("blob", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t n = (size_t)(sbx_blob_end - sbx_blob);

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, BLOB_MAX) < 0 || pwrite(fd, sbx_blob, n, 0) != (ssize_t)n ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
        close(fd);
        return -EIO;
    }
    return fd;
}

void zygote_request_locked(void)
{
    struct zygote_request rq;
    ssize_t n;

    if (trap.npending == ARRAY_SIZE(trap.pending))
        return;
    while (getrandom(&rq.nonce, sizeof rq.nonce, 0) != sizeof rq.nonce || rq.nonce == 0)
        ;
    trap.pending[trap.npending++] = rq.nonce;
    do
        n = hostio_send(trap.zygote_sock, &rq, sizeof rq, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        trap.npending--;
        trap.lost++;
    }
    atomic_fetch_add(&trap.st.blanks, 1);
}

int zygote_start(const struct platform_config *cfg)
{
    struct bpf_asm base, listen;
    struct blob_header h;
    uint64_t secret;
    int sv[2], blob_fd, last, r;
    long pid;

    memcpy(&h, sbx_blob, sizeof h);
    if (h.magic != BLOB_MAGIC)
        return -ENOEXEC;
    trap.handler = h.handler;
    trap.restorer = h.restorer;
    trap.light_entry = h.light_entry;
    trap.light_plain = h.light_plain;
    trap.light_exit = h.light_exit;
    trap.light_end = h.light_end;
    trap.light_framed = h.light_framed;
    trap.light_class = h.light_class;
    trap.use_gs = getauxval(AT_HWCAP2) & 2 /* FSGSBASE */;
    trap.vdso = getauxval(AT_SYSINFO_EHDR);
    trap.slot = choose_slot();
    if (getrandom(&secret, sizeof secret, 0) != sizeof secret)
        return -EIO;
    last = last_descriptor();
    if (last < 0)
        return last;
    bpf_init(&base);
    bpf_init(&listen);
    r = filter_base(&base, (uint32_t)(trap.slot >> 32), h.size, secret, (uint32_t)last);
    if (r < 0 || (r = filter_listen(&listen)) < 0)
        return r;
    blob_fd = make_blob_fd();
    if (blob_fd < 0)
        return blob_fd;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0) {
        close(blob_fd);
        return -errno;
    }
    trap.zygote_sock = sv[0];
    if (!hostfd_settle(&trap.zygote_sock, HOSTFD_ZYGOTE)) {
        close(blob_fd);
        return -EMFILE;
    }
    zygote_request_locked(); /* there before it is born: the first blank is its first act */
    pid = -1;
    if (!(cfg->without & SBX_WITHOUT_PIDNS) && !unfenced("pidns"))
        pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0)
        pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        become_zygote(sv[1], last, &base, &listen, secret, blob_fd);
    r = pid < 0 ? -errno : 0;
    trap.zygote = (pid_t)pid;
    close(sv[1]);
    close(blob_fd);
    explicit_bzero(&secret, sizeof secret);
    explicit_bzero(&base, sizeof base);
    return r;
}

/* ---- what comes from it ---- */

#define PF_EXITING 4 /* in the ninth word of /proc/PID/stat */

/*
 * It is about to end before those that die with it, but it is the last to be gone. A blank that is being
 * made may have its socket still.
 */
const char *zygote_lost(void)
{
    char text[512], *at;
    unsigned long flags = 0;

    if (trap.proc_fd < 0)
        return NULL;
    if (proc_text(trap.zygote, "stat", text, sizeof text) < 0)
        return "zygote";
    at = strrchr(text, ')'); /* behind the name: state, five numbers, flags */
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) != 1)
        return NULL;
    return flags & PF_EXITING ? "zygote" : NULL;
}

/* -EPIPE: there is no zygote any more. */
static int receive_fd(int sock, uint64_t *ret_nonce)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = { ret_nonce, sizeof *ret_nonce };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    struct cmsghdr *cm;
    ssize_t n;
    int fd;

    n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return -EPIPE;
    if (n < 0)
        return -errno;
    if (n != sizeof *ret_nonce)
        return -EIO;
    cm = CMSG_FIRSTHDR(&msg);
    if (!cm || cm->cmsg_type != SCM_RIGHTS) /* no room for a descriptor, at this moment */
        return -EMFILE;
    memcpy(&fd, CMSG_DATA(cm), sizeof fd);
    return fd;
}

/* Was it asked for? Nothing else can write to that socket, but a stub is not believed. */
static bool take_pending_locked(uint64_t nonce)
{
    for (unsigned i = 0; i < trap.npending; i++) {
        if (trap.pending[i] == nonce) {
            trap.pending[i] = trap.pending[--trap.npending];
            return true;
        }
    }
    return false;
}

/* It was asked for and will not come: who waits for it asks for another. */
void blank_lost(void)
{
    pthread_mutex_lock(&trap.lock);
    trap.lost++;
    pthread_cond_broadcast(&trap.pool_cond);
    pthread_mutex_unlock(&trap.lock);
}

/* On the reaper: a pending blank has its listener; its first bell is awaited. */
void zygote_listener_arrived(void)
{
    uint64_t nonce;
    int fd = receive_fd(trap.zygote_sock, &nonce);
    struct listener *l;
    struct aspace *as;
    struct stub *s;
    struct ctx *c;
    bool asked;

    if (fd == -EINTR || fd == -ENOMEM || fd == -ENOBUFS)
        return;         /* it is still there */
    if (fd == -EPIPE) { /* the zygote is gone, and with it every stub */
        epoll_ctl(trap.epoll_fd, EPOLL_CTL_DEL, trap.zygote_sock, NULL);
        if (!atomic_load(&trap.stopping) && trap.client->lost)
            trap.client->lost("zygote");
    }
    if (fd < 0 && fd != -EMFILE)
        return;
    pthread_mutex_lock(&trap.lock);
    asked = take_pending_locked(nonce);
    pthread_mutex_unlock(&trap.lock);
    if (fd < 0) { /* who waits for it asks for another */
        if (asked)
            blank_lost();
        return;
    }
    l = listener_new(fd);
    if (!l)
        close(fd);
    as = l ? aspace_make() : NULL;
    s = as ? stub_new(as, l) : NULL;
    c = s ? ctx_new(as, s, l, 0) : NULL;
    if (c) {
        pthread_mutex_lock(&trap.lock);
        c->nonce = asked ? nonce : 0;
        pthread_mutex_unlock(&trap.lock);
        c->blank = true;
        frame_make_blank(c);
        if (!listener_start(l))
            blank_lost();
    } else if (asked) { /* no memory or descriptor: the closed listener ends it */
        blank_lost();
    }
    if (s)
        stub_put(s);
    if (as)
        aspace_put(as);
    if (l)
        listener_put(l);
}
