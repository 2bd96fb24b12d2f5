/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What calls write: each result is asked for twice, into memory that was filled differently before, so
 * that what was written is known from what was not; padding and reserved fields are zero or untouched,
 * and nothing in there looks like an address of somebody else's.
 */
#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <ucontext.h>
#include <unistd.h>

#include "crew.h"
#include "leaks.h"

#define ROOM 65536

/* Asks by fn into a: then into b. Each returns what the call did. */
static unsigned char *a, *b;

struct hole { /* bytes that mean nothing, or that Linux says are zero */
    unsigned short at, n;
};

static void look(const char *name, long (*fn)(void *buf), size_t size, const struct hole *holes)
{
    unsigned long long v;
    long r;

    memset(a, 0xa5, ROOM);
    memset(b, 0x5a, ROOM);
    r = fn(a);
    if (r < 0 || fn(b) < 0) {
        printf("note: %s is not there\n", name);
        return;
    }
    for (; holes && holes->n; holes++) {
        for (unsigned i = holes->at; i < holes->at + holes->n; i++) {
            bool untouched = a[i] == 0xa5 && b[i] == 0x5a;

            if (!untouched && (a[i] || b[i])) {
                leak(name, "byte %u of padding is %02x, %02x", i, a[i], b[i]);
                break;
            }
        }
    }
    for (size_t i = 0; i < ROOM && size; i++) { /* what was not written is told to nobody */
        if (i >= size && (a[i] != 0xa5 || b[i] != 0x5a)) {
            leak(name, "it wrote %zu bytes, and byte %zu", size, i);
            break;
        }
    }
    for (size_t i = 0; i < ROOM; i++) {
        if (a[i] == 0xa5 && b[i] == 0x5a)
            a[i] = 0;
    }
    if (!strstr(name, "getdents") && strcmp(name, "readlink") != 0 &&
        looks_foreign(a, ROOM, &v)) /* names are anything */
        leak(name, "%llx looks like an address", v);
}

#define HOLES(...)                                                                                 \
    (const struct hole[])                                                                          \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0, 0                                                                                   \
        }                                                                                          \
    }

static int fd_file, fd_dir, fd_pipe[2], fd_sock[2];

#define ASK(name, expr)                                                                            \
    static long name(void *buf)                                                                    \
    {                                                                                              \
        return (expr);                                                                             \
    }
ASK(ask_stat, syscall(SYS_stat, "/usr/bin", buf))
ASK(ask_stat_mem, syscall(SYS_stat, "/tmp", buf))
ASK(ask_fstat_pipe, syscall(SYS_fstat, fd_pipe[0], buf))
ASK(ask_fstat_sock, syscall(SYS_fstat, fd_sock[0], buf))
ASK(ask_stat_proc, syscall(SYS_stat, "/proc/self", buf))
ASK(ask_stat_dev, syscall(SYS_stat, "/dev/null", buf))
ASK(ask_newfstatat, syscall(SYS_newfstatat, AT_FDCWD, "/bin/sh", buf, 0))
ASK(ask_statx, syscall(SYS_statx, AT_FDCWD, "/bin/sh", 0, 0xfff, buf))
ASK(ask_statfs, syscall(SYS_statfs, "/tmp", buf))
ASK(ask_statfs_usr, syscall(SYS_statfs, "/usr", buf))
ASK(ask_fstatfs, syscall(SYS_fstatfs, fd_pipe[0], buf))
ASK(ask_uname, syscall(SYS_uname, buf))
ASK(ask_sysinfo, syscall(SYS_sysinfo, buf))
ASK(ask_rusage, syscall(SYS_getrusage, RUSAGE_SELF, buf))
ASK(ask_times, syscall(SYS_times, buf))
ASK(ask_timex, syscall(SYS_adjtimex, memset(buf, 0, 4)))
ASK(ask_getdents64,
    lseek(fd_dir, 0, SEEK_SET) < 0 ? -1 : syscall(SYS_getdents64, fd_dir, buf, 4096))
ASK(ask_getdents, lseek(fd_dir, 0, SEEK_SET) < 0 ? -1 : syscall(SYS_getdents, fd_dir, buf, 4096))
ASK(ask_sigaction, syscall(SYS_rt_sigaction, SIGUSR2, NULL, buf, 8))
ASK(ask_sigaltstack, syscall(SYS_sigaltstack, NULL, buf))
ASK(ask_itimer, syscall(SYS_getitimer, ITIMER_REAL, buf))
ASK(ask_rlimit, syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, buf))
ASK(ask_sched_attr, syscall(SYS_sched_getattr, 0, buf, 56, 0))
ASK(ask_sched_param, syscall(SYS_sched_getparam, 0, buf))
ASK(ask_affinity, syscall(SYS_sched_getaffinity, 0, 128, buf))
ASK(ask_groups, syscall(SYS_getgroups, 32, buf))
ASK(ask_comm, syscall(SYS_prctl, 16 /* PR_GET_NAME */, buf, 0, 0, 0))
ASK(ask_cwd, syscall(SYS_getcwd, buf, 4096))
ASK(ask_readlink, syscall(SYS_readlink, "/proc/self/exe", buf, 4096))
ASK(ask_robust, syscall(SYS_get_robust_list, 0, buf, (char *)buf + 8))
ASK(ask_sockname, (*(int *)((char *)buf + 512) = 128,
                   syscall(SYS_getsockname, fd_sock[0], buf, (char *)buf + 512)))
ASK(ask_termios, syscall(SYS_ioctl, 0, TCGETS, buf))
ASK(ask_poll, (*(struct pollfd *)buf = (struct pollfd){ fd_pipe[1], POLLOUT, 0 },
               syscall(SYS_poll, buf, 1, 0)))
ASK(ask_gettimeofday, syscall(SYS_gettimeofday, buf, (char *)buf + 64))
ASK(ask_capget, (*(uint64_t *)buf = 0x20080522, syscall(SYS_capget, buf, (char *)buf + 8)))

static long ask_epoll(void *buf)
{
    int ep = epoll_create1(0);
    struct epoll_event ev = { .events = EPOLLOUT, .data.u64 = 7 };
    long r;

    epoll_ctl(ep, EPOLL_CTL_ADD, fd_pipe[1], &ev);
    r = syscall(SYS_epoll_wait, ep, buf, 4, 0);
    close(ep);
    return r;
}

static long ask_waitid(void *buf)
{
    pid_t pid = fork();

    if (pid == 0)
        end_hard(3);
    return syscall(SYS_waitid, P_PID, pid, buf, WEXITED, (char *)buf + 256);
}

static long ask_signalfd(void *buf)
{
    sigset_t set;
    int fd;
    long r;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR2);
    fd = signalfd(-1, &set, 0);
    r = read(fd, buf, 256);
    close(fd);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return r;
}

static long ask_sigtimedwait(void *buf)
{
    struct timespec ts = { 1, 0 };
    uint64_t set = 1ull << (SIGUSR2 - 1);

    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8);
    kill(getpid(), SIGUSR2);
    return syscall(SYS_rt_sigtimedwait, &set, buf, &ts, 8);
}

static long ask_recvmsg(void *buf)
{
    struct iovec iov = { (char *)buf + 1024, 64 };
    struct msghdr m = { .msg_name = (char *)buf + 128,
                        .msg_namelen = 128,
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = (char *)buf + 256,
                        .msg_controllen = 256 };
    int on = 1;

    setsockopt(fd_sock[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    setsockopt(fd_sock[1], SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on);
    if (write(fd_sock[0], "x", 1) != 1)
        return -1;
    return syscall(SYS_recvmsg, fd_sock[1], &m, 0);
}

static long ask_inotify(void *buf)
{
    int fd = (int)syscall(SYS_inotify_init1, O_NONBLOCK);
    long r;

    syscall(SYS_inotify_add_watch, fd, "/tmp", 0x100 /* IN_CREATE */);
    close(open("/tmp/inotified", O_CREAT, 0600));
    unlink("/tmp/inotified");
    r = read(fd, buf, 4096);
    close(fd);
    return r;
}

/* The frame of a signal, from where the handler finds it down to the stack's end of it. */
static unsigned char *frame_to;

static void on_signal(int sig, siginfo_t *si, void *uc)
{
    ucontext_t *u = uc;

    (void)sig;
    memcpy(frame_to, si, sizeof *si);
    memcpy(frame_to + 128, &u->uc_mcontext.__reserved1, sizeof u->uc_mcontext.__reserved1);
    memcpy(frame_to + 256, u->uc_mcontext.fpregs, 512);
    /* the registers are our own: behind what they hold nothing is to be */
    memset(frame_to + 256 + 464, 0, 48);
}

static long ask_frame(void *buf)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

    frame_to = buf;
    sigaction(SIGUSR1, &sa, NULL);
    return raise(SIGUSR1);
}

static void check_dirents(void)
{
    memset(a, 0xa5, ROOM);
    lseek(fd_dir, 0, SEEK_SET);
    long n = syscall(SYS_getdents64, fd_dir, a, 32768);

    for (long at = 0; at < n;) {
        unsigned short len;

        memcpy(&len, a + at + 16, 2);
        size_t name = strlen((char *)a + at + 19), used = 19 + name + 1;
        unsigned long long v;

        if (looks_foreign(a + at, 16, &v))
            leak("getdents64", "%llx looks like an address", v);
        for (size_t i = used; i < len; i++) {
            if (a[at + (long)i] != 0 && a[at + (long)i] != 0xa5)
                return leak("getdents64", "padding of %s", (char *)a + at + 19);
        }
        at += len;
    }
}

static const struct hole stat_holes[] = { { 36, 4 }, { 120, 24 }, { 0, 0 } };
static const struct hole siginfo_holes[] = { { 12, 4 }, { 32, 96 }, { 0, 0 } };

void leaks_in_results(void)
{
    a = malloc(ROOM);
    b = malloc(ROOM);
    maps_load();
    fd_file = open("/bin/sh", O_RDONLY);
    fd_dir = open("/usr/bin", O_RDONLY | O_DIRECTORY);
    if (fd_dir < 0 || pipe(fd_pipe) < 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, fd_sock) < 0)
        return leak("results", "cannot be tried");
    look("stat", ask_stat, 144, stat_holes);
    look("stat of a tmpfs", ask_stat_mem, 144, stat_holes);
    look("stat of /proc", ask_stat_proc, 144, stat_holes);
    look("stat of a device", ask_stat_dev, 144, stat_holes);
    look("fstat of a pipe", ask_fstat_pipe, 144, stat_holes);
    look("fstat of a socket", ask_fstat_sock, 144, stat_holes);
    look("newfstatat", ask_newfstatat, 144, stat_holes);
    look("statx", ask_statx, 256,
         HOLES({ 30, 2 }, { 76, 4 }, { 92, 4 }, { 108, 4 }, { 124, 4 }, { 184, 72 }));
    look("statfs", ask_statfs, 120, HOLES({ 88, 32 }));
    look("statfs of the host's", ask_statfs_usr, 120, HOLES({ 88, 32 }));
    look("fstatfs", ask_fstatfs, 120, HOLES({ 88, 32 }));
    look("uname", ask_uname, 390, NULL);
    look("sysinfo", ask_sysinfo, 112, HOLES({ 82, 6 }, { 108, 4 }));
    look("getrusage", ask_rusage, 144, NULL);
    look("times", ask_times, 32, NULL);
    look("adjtimex", ask_timex, 208, HOLES({ 4, 4 }, { 44, 4 }, { 164, 44 }));
    look("getdents64", ask_getdents64, 4096, NULL);
    look("getdents", ask_getdents, 4096, NULL);
    look("rt_sigaction", ask_sigaction, 32, NULL);
    look("sigaltstack", ask_sigaltstack, 24, HOLES({ 12, 4 }));
    look("getitimer", ask_itimer, 32, NULL);
    look("prlimit64", ask_rlimit, 16, NULL);
    look("sched_getattr", ask_sched_attr, 56, NULL);
    look("sched_getparam", ask_sched_param, 4, NULL);
    look("sched_getaffinity", ask_affinity, 128, NULL);
    look("getgroups", ask_groups, 128, NULL);
    look("PR_GET_NAME", ask_comm, 16, NULL);
    look("getcwd", ask_cwd, 4096, NULL);
    look("readlink", ask_readlink, 4096, NULL);
    look("get_robust_list", ask_robust, 16, NULL);
    look("getsockname", ask_sockname, 516, NULL);
    look("TCGETS", ask_termios, 36, NULL);
    look("poll", ask_poll, 8, NULL);
    look("gettimeofday", ask_gettimeofday, 72, NULL);
    look("capget", ask_capget, 32, NULL);
    look("epoll_wait", ask_epoll, 12, NULL);
    look("waitid", ask_waitid, 400, siginfo_holes);
    look("signalfd", ask_signalfd, 128, HOLES({ 80, 48 }));
    look("rt_sigtimedwait", ask_sigtimedwait, 128, HOLES({ 12, 4 }, { 24, 104 }));
    look("recvmsg", ask_recvmsg, 0, NULL);
    look("inotify", ask_inotify, 0, NULL);
    look("signal frame", ask_frame, 0, HOLES({ 12, 4 }, { 24, 104 }, { 128, 64 }));
    check_dirents();
}
