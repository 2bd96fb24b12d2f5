/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A taken sentry against processes: its gofer, its front end, and a victim that is any other process
 * of the host, of the same user where the sandbox is an ordinary user's. It may not stop, signal,
 * trace, read or write one. Host calls that are not on its list are tried each by a child of its
 * own, for they are death; those that are, are turned against every number there may be.
 */
#include "tests/hostile/gofer/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/types.h"

#define PIDS 600 /* numbers tried in its own namespace, beside those that the host knows */

static pid_t others[4];

static void find_others(void)
{
    others[0] = board->victim;
    others[1] = board->front;
    others[2] = board->harness;
    others[3] = 0;
}

/* Its own: itself, and children that it made itself before its fences. */
static bool own(pid_t pid)
{
    return pid == getpid();
}

/* ---- host calls that its filter admits ---- */

static void read_memory(pid_t pid)
{
    char got[TOKEN_LEN] = "";
    struct iovec to = { got, sizeof(got) }, from = { victim_secret, sizeof(got) };
    char what[64];

    snprintf(what, sizeof(what), "the memory of %d", pid);
    if (process_vm_readv(pid, &to, 1, &from, 1, 0) > 0)
        judge_bytes(got, sizeof(got), what);
    if (process_vm_writev(pid, &to, 1, &from, 1, 0) > 0 && !own(pid))
        reached("%s could be written", what);
}

static void signal_it(pid_t pid)
{
    if (syscall(SYS_tgkill, pid, pid, 0) == 0) /* 0 asks whether one could be sent */
        reached("process %d can be sent signals", pid);
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return;
    /* Its filter has no 0 here. Only the victim: a fence that fails is not to cost the host. */
    if (pid == board->victim && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0)
        reached("process %d can be killed by its pidfd", pid);
    for (int k = 0; k < 20; k++) {
        int got = (int)syscall(SYS_pidfd_getfd, fd, k, 0);
        if (got >= 0)
            reached("descriptor %d of process %d", k, pid);
    }
    close(fd);
}

static void look_in_proc(const struct sentry_config *cfg, pid_t pid)
{
    static const char *const files[] = { "mem",     "environ", "maps",       "fd",   "root/etc",
                                         "cwd",     "ns/user", "task",       "auxv", "stack",
                                         "syscall", "io",      "personality" };
    static const int modes[] = { O_RDONLY, O_RDWR };
    char path[64];

    for (unsigned i = 0; i < ARRAY_SIZE(files) * 2 * 2; i++) {
        const char *file = files[i / 4];
        snprintf(path, sizeof(path), "%s%d/%s", i & 1 ? "/proc/" : "", pid, file);
        int fd = openat(i & 1 ? AT_FDCWD : cfg->proc_fd, path, modes[i / 2 % 2] | O_CLOEXEC);
        if (fd < 0)
            continue;
        char got[TOKEN_LEN];
        /* maps, io and the like open for anybody and tell nothing; what can be read counts */
        if (!strcmp(file, "mem") &&
            pread(fd, got, sizeof(got), (off_t)(uintptr_t)victim_secret) == sizeof(got))
            reached("%s can be read", path);
        else if ((!strcmp(file, "environ") || !strcmp(file, "maps") || !strcmp(file, "auxv")) &&
                 pread(fd, got, 1, 0) > 0)
            reached("%s can be read", path);
        else if (!strcmp(file, "root/etc") || !strcmp(file, "cwd") || !strcmp(file, "ns/user"))
            reached("%s can be opened", path);
        close(fd);
    }
}

static void against(const struct sentry_config *cfg, pid_t pid)
{
    atomic_fetch_add(&board->tries, 1);
    read_memory(pid);
    signal_it(pid);
    look_in_proc(cfg, pid);
    syscall(SYS_sched_setaffinity, pid, 0, NULL);
}

static void admitted(const struct sentry_config *cfg)
{
    taken_fence(cfg);
    find_others();
    for (unsigned i = 0; others[i]; i++)
        if (!own(others[i]))
            against(cfg, others[i]);
    for (pid_t pid = 1; pid < PIDS; pid++) /* whoever is in its namespace */
        if (!own(pid))
            against(cfg, pid);
    ch_open(cfg);
    ch_alive("attacks on processes");
}

/* ---- those that it does not ---- */

static pid_t target;
static unsigned deed;

static int sig_all(int nr)
{
    siginfo_t si = { .si_signo = SIGKILL, .si_code = SI_QUEUE };

    switch (nr) {
    case 0:
        return kill(target, SIGKILL);
    case 1:
        return (int)syscall(SYS_rt_sigqueueinfo, target, SIGKILL, &si);
    case 2:
        return (int)syscall(SYS_rt_tgsigqueueinfo, target, target, SIGKILL, &si);
    default:
        return -1;
    }
}

static const struct {
    const char *name;
    long nr, arg[6];
} calls[] = {
    { "kill", -1, { 0 } },
    { "rt_sigqueueinfo", -1, { 1 } },
    { "rt_tgsigqueueinfo", -1, { 2 } },
    { "ptrace", SYS_ptrace, { PTRACE_SEIZE, -1, 0, 0 } },
    { "ptrace", SYS_ptrace, { PTRACE_ATTACH, -1, 0, 0 } },
    { "process_madvise", SYS_process_madvise, { 0 } },
    { "kcmp", SYS_kcmp, { -1, -1, 0, 0, 0 } },
    { "prlimit64", SYS_prlimit64, { -1, RLIMIT_NOFILE, 0, 0 } },
    { "setpriority", SYS_setpriority, { PRIO_PROCESS, -1, 19 } },
    { "sched_setscheduler", SYS_sched_setscheduler, { -1, 0, 0 } },
    { "migrate_pages", SYS_migrate_pages, { -1, 0, 0, 0 } },
    { "move_pages", SYS_move_pages, { -1, 0, 0, 0, 0, 0 } },
    { "perf_event_open", SYS_perf_event_open, { 0, -1, 0, -1, 0 } },
    { "bpf", SYS_bpf, { 0 } },
    { "userfaultfd", SYS_userfaultfd, { 0 } },
    { "socket", SYS_socket, { 1, 1, 0 } },
    { "socketpair", SYS_socketpair, { 1, 1, 0, 0 } },
    { "connect", SYS_connect, { 0 } },
    { "fork", SYS_fork, { 0 } },
    { "vfork", SYS_fork, { 0 } },
    { "clone", SYS_clone, { SIGCHLD, 0, 0, 0, 0 } },
    { "clone of a namespace", SYS_clone, { CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0 } },
    { "execve", SYS_execve, { 0 } },
    { "execveat", SYS_execveat, { 0 } },
    { "unshare", SYS_unshare, { CLONE_NEWUSER } },
    { "setns", SYS_setns, { 0 } },
    { "mount", SYS_mount, { 0 } },
    { "open_tree", SYS_open_tree, { 0 } },
    { "move_mount", SYS_move_mount, { 0 } },
    { "fsopen", SYS_fsopen, { 0 } },
    { "pivot_root", SYS_pivot_root, { 0 } },
    { "chroot", SYS_chroot, { 0 } },
    { "chdir", SYS_chdir, { 0 } },
    { "fchdir", SYS_fchdir, { 0 } },
    { "open_by_handle_at", SYS_open_by_handle_at, { 0 } },
    { "openat2", SYS_openat2, { 0 } },
    { "open", SYS_creat, { 0 } },
    { "unlinkat", SYS_unlinkat, { 0 } },
    { "linkat", SYS_linkat, { 0 } },
    { "renameat2", SYS_renameat2, { 0 } },
    { "setuid", SYS_setuid, { 0 } },
    { "setresuid", SYS_setresuid, { 0 } },
    { "setgroups", SYS_setgroups, { 0 } },
    { "capset", SYS_capset, { 0 } },
    { "seccomp", SYS_seccomp, { 0 } },
    { "keyctl", SYS_keyctl, { 0 } },
    { "add_key", SYS_add_key, { 0 } },
    { "shmget", SYS_shmget, { 0, 4096, 0600 } },
    { "msgget", SYS_msgget, { 0 } },
    { "mq_open", SYS_mq_open, { 0 } },
    { "setsockopt", SYS_setsockopt, { 0 } },
    { "dup2", SYS_dup2, { 0, 1 } },
    { "accept4", SYS_accept4, { 0 } },
    { "init_module", SYS_init_module, { 0 } },
    { "reboot", SYS_reboot, { 0 } },
    { "personality", SYS_personality, { 0 } },
    { "ioperm", SYS_ioperm, { 0 } },
    { "executable memory", SYS_mmap, { 0, 4096, 5, 0x22, -2, 0 } },
    { "executable memory", SYS_mprotect, { 0, 0, 4 } },
    { "F_SETOWN", SYS_fcntl, { 0, F_SETOWN, -1 } },
    { "F_SETSIG", SYS_fcntl, { 0, F_SETSIG, SIGKILL } },
    { "F_SETLEASE", SYS_fcntl, { 0, F_SETLEASE, F_RDLCK } },
    { "F_SETPIPE_SZ", SYS_fcntl, { 0, F_SETPIPE_SZ, 1048576 } },
    { "TIOCSTI", SYS_ioctl, { 0, 0x5412, 0 } },
    { "files made", SYS_openat, { AT_FDCWD, 0, O_CREAT | O_RDWR, 0600 } },
};

/* Which of these a kernel does not have: then its filter is what is asked for ENOSYS. */
static void do_deed(const struct sentry_config *cfg)
{
    long a[6];

    (void)cfg;
    if (calls[deed].nr < 0) {
        if (sig_all((int)calls[deed].arg[0]) == 0)
            reached("%s of process %d", calls[deed].name, target);
        _exit(1);
    }
    for (unsigned i = 0; i < 6; i++)
        a[i] = calls[deed].arg[i] == -1   ? target
               : calls[deed].arg[i] == -2 ? -1
                                          : calls[deed].arg[i];
    long r = syscall(calls[deed].nr, a[0], a[1], a[2], a[3], a[4], a[5]);

    /* Where it bites it has succeeded, and what it made would outlive us. */
    if (calls[deed].nr == SYS_shmget && r >= 0)
        syscall(SYS_shmctl, r, IPC_RMID, 0);
    if (calls[deed].nr == SYS_msgget && r >= 0)
        syscall(SYS_msgctl, r, IPC_RMID, 0);
    _exit(1);
}

static void refused(const struct sentry_config *cfg)
{
    find_others();
    for (deed = 0; deed < ARRAY_SIZE(calls); deed++)
        for (unsigned i = 0; i < 2; i++) {
            target = i ? 1 : others[0]; /* the victim as the host knows it; the first of its own */
            if (target == 1 && calls[deed].nr < 0)
                continue; /* that would be ourselves */
            int status = taken_child(cfg, do_deed);
            atomic_fetch_add(&board->tries, 1);
            if (!board->bites && (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS))
                reached("%s is not death: wait status %#x", calls[deed].name, status);
        }
    taken_fence(cfg);
    ch_open(cfg);
    ch_alive("host calls that are death");
}

/* ---- the same by a taken gofer ---- */

/* On its list with these arguments, so that it is not death. */
static bool gofer_may(long nr)
{
    return nr == SYS_openat2;
}

static void gofer_refused(const struct gofer_config *cfg)
{
    find_others();
    target = others[0];
    for (deed = 0; deed < ARRAY_SIZE(calls); deed++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            taken_gofer_fence(cfg);
            do_deed(NULL);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            broken("a child of the gofer: %s", strerror(errno));
        atomic_fetch_add(&board->tries, 1);
        if (!board->bites && !gofer_may(calls[deed].nr) &&
            (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS))
            reached("%s is not death: wait status %#x", calls[deed].name, status);
    }
}

static const struct way *const all_ways[] = { &way_root, &way_user, &way_root_plain,
                                              &way_user_plain, NULL };

const struct attack taken_attacks[] = {
    { "admitted", admitted, NULL, NULL, NULL, false, false, all_ways, "landlock", &way_user_plain,
      NULL, false },
    { "refused", refused, NULL, NULL, NULL, false, false, all_ways, "sentryfilter,landlock",
      &way_user_plain, NULL, false },
    { "gofer-refused", NULL, NULL, NULL, gofer_refused, false, false, all_ways,
      "goferfilter,landlock", &way_user_plain, NULL, false },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
