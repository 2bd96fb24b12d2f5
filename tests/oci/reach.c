/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two programs in two containers of a pod. `reach there` has many processes, and hands descriptors to who connects to
 * its abstract socket, which the pod has in common. `reach from` does all it can to reach these processes from
 * the other container, by their numbers and by what it was handed. It says "apart" when nothing did.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 40
#define HIGHEST 200
#define HANDED 3 /* a pidfd, /proc, / */

static int bad;

static void expect(int ok, const char *what, int nr)
{
    if (ok)
        return;
    bad = 1;
    printf("reached: %s of %d (%s)\n", what, nr, strerror(errno));
}

static struct sockaddr_un address(socklen_t *len)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0reach" };

    *len = offsetof(struct sockaddr_un, sun_path) + 6;
    return a;
}

static void send_fds(int sock, const int *fds)
{
    char c = 'x', ctl[CMSG_SPACE(HANDED * sizeof(int))] = { 0 };
    struct iovec iov = { &c, 1 };
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl
    };
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);

    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(HANDED * sizeof(int));
    memcpy(CMSG_DATA(h), fds, HANDED * sizeof(int));
    sendmsg(sock, &m, 0);
}

static int receive_fds(int sock, int *fds)
{
    char c, ctl[CMSG_SPACE(HANDED * sizeof(int))];
    struct iovec iov = { &c, 1 };
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl
    };
    struct cmsghdr *h;

    if (recvmsg(sock, &m, 0) != 1 || !(h = CMSG_FIRSTHDR(&m)))
        return -1;
    memcpy(fds, CMSG_DATA(h), HANDED * sizeof(int));
    return 0;
}

/* Its processes are there, as they were: nobody was ended, stopped or made nicer. */
static int whole(const pid_t *of)
{
    for (int i = 0; i < PROCESSES; i++)
        if (waitpid(of[i], NULL, WNOHANG | WUNTRACED) != 0 ||
            getpriority(PRIO_PROCESS, (id_t)of[i]) != 0)
            return 0;
    return 1;
}

static int there(void)
{
    socklen_t len;
    struct sockaddr_un a = address(&len);
    int l = socket(AF_UNIX, SOCK_STREAM, 0), fds[HANDED];
    pid_t of[PROCESSES];

    if (bind(l, (struct sockaddr *)&a, len) < 0 || listen(l, 5) < 0)
        return 1;
    for (int i = 0; i < PROCESSES; i++) {
        of[i] = fork();
        if (of[i] == 0)
            for (;;)
                pause();
    }
    fds[0] = (int)syscall(SYS_pidfd_open, of[0], 0);
    fds[1] = open("/proc", O_RDONLY | O_DIRECTORY);
    fds[2] = open("/", O_RDONLY | O_DIRECTORY);
    puts("there");
    fflush(stdout);
    for (;;) {
        char c;
        int s = accept(l, NULL, NULL);

        send_fds(s, fds);
        if (read(s, &c, 1) == 1 && write(s, whole(of) ? "y" : "n", 1) != 1)
            return 1;
        close(s);
    }
}

static void by_number(pid_t nr)
{
    struct iovec v = { &nr, sizeof nr };
    struct rlimit64 {
        unsigned long cur, max;
    } lim;
    cpu_set_t cpus;
    char path[64];
    struct stat st;

    expect(kill(nr, 0) < 0 && errno == ESRCH, "kill", nr);
    expect(kill(-nr, 0) < 0 && errno == ESRCH, "kill of the group", nr);
    expect(syscall(SYS_tgkill, nr, nr, 0) < 0 && errno == ESRCH, "tgkill", nr);
    expect(syscall(SYS_tkill, nr, 0) < 0 && errno == ESRCH, "tkill", nr);
    expect(syscall(SYS_rt_sigqueueinfo, nr, 0, &(siginfo_t){ .si_code = SI_QUEUE }) < 0, "sigqueue",
           nr);
    expect(syscall(SYS_pidfd_open, nr, 0) < 0 && errno == ESRCH, "pidfd_open", nr);
    expect(ptrace(PTRACE_SEIZE, nr, 0, 0) < 0, "ptrace", nr);
    expect(process_vm_readv(nr, &v, 1, &v, 1, 0) < 0 && errno == ESRCH, "process_vm_readv", nr);
    expect(process_vm_writev(nr, &v, 1, &v, 1, 0) < 0 && errno == ESRCH, "process_vm_writev", nr);
    expect(syscall(SYS_kcmp, getpid(), nr, 0 /* KCMP_FILE */, 0, 0) < 0 && errno == ESRCH, "kcmp",
           nr);
    expect(getpgid(nr) < 0 && errno == ESRCH, "getpgid", nr);
    expect(getsid(nr) < 0 && errno == ESRCH, "getsid", nr);
    expect(setpgid(nr, nr) < 0 && errno == ESRCH, "setpgid", nr);
    errno = 0;
    expect(getpriority(PRIO_PROCESS, (id_t)nr) == -1 && errno == ESRCH, "getpriority", nr);
    expect(setpriority(PRIO_PROCESS, (id_t)nr, 9) < 0 && errno == ESRCH, "setpriority", nr);
    expect(setpriority(PRIO_PGRP, (id_t)nr, 9) < 0 && errno == ESRCH, "setpriority of the group",
           nr);
    expect(sched_getaffinity(nr, sizeof cpus, &cpus) < 0 && errno == ESRCH, "sched_getaffinity",
           nr);
    expect(sched_getscheduler(nr) < 0 && errno == ESRCH, "sched_getscheduler", nr);
    expect(syscall(SYS_prlimit64, nr, RLIMIT_NOFILE, NULL, &lim) < 0 && errno == ESRCH, "prlimit",
           nr);
    expect(syscall(SYS_get_robust_list, nr, &(void *){ NULL }, &(size_t){ 0 }) < 0 &&
               errno == ESRCH,
           "get_robust_list", nr);
    expect(syscall(SYS_migrate_pages, nr, 0, NULL, NULL) < 0, "migrate_pages", nr);
    expect(syscall(SYS_ioprio_get, 1 /* PROCESS */, nr) < 0, "ioprio_get", nr);
    snprintf(path, sizeof path, "/proc/%d", nr);
    expect(stat(path, &st) < 0 && errno == ENOENT, "/proc/PID", nr);
    snprintf(path, sizeof path, "/proc/%d/root/etc", nr);
    expect(open(path, O_RDONLY) < 0 && errno == ENOENT, "/proc/PID/root", nr);
}

static void by_name(void)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d)))
        n += e->d_name[0] >= '1' && e->d_name[0] <= '9';
    expect(n >= 1 && n <= 4, "the list in /proc", n);
    if (d)
        closedir(d);
}

static void by_what_was_handed(const int fds[HANDED])
{
    char link[16];
    struct stat st;

    expect(syscall(SYS_pidfd_send_signal, fds[0], SIGKILL, NULL, 0) < 0 && errno == EINVAL,
           "pidfd_send_signal", fds[0]);
    expect(waitid((idtype_t)3 /* P_PIDFD */, (id_t)fds[0], &(siginfo_t){ 0 }, WEXITED | WNOHANG) <
               0,
           "waitid", fds[0]);
    /* As on Linux it shows what it was mounted for, and nobody of here in it. */
    expect(readlinkat(fds[1], "self", link, sizeof link) < 0 && errno == ENOENT,
           "/proc/self of the other", fds[1]);
    expect(fstatat(fds[1], "30", &st, 0) == 0, "(the other's /proc is another's)", fds[1]);
    /* A tree that was handed over can be looked at, but not changed. */
    expect(fchdir(fds[2]) == 0, "(fchdir)", fds[2]);
    expect(mount("none", "proc", "tmpfs", 0, NULL) < 0 && errno == EINVAL, "mount there", fds[2]);
    expect(umount2("proc", MNT_DETACH) < 0 && errno == EINVAL, "umount there", fds[2]);
    expect(mount(NULL, "proc", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0 && errno == EINVAL,
           "remount there", fds[2]);
    expect(mount("proc", "/tmp", NULL, MS_BIND, NULL) < 0 && errno == EINVAL, "bind of it", fds[2]);
    expect(chdir("/") == 0, "(chdir)", 0);
}

static int from(void)
{
    socklen_t len, n = sizeof(struct ucred);
    struct sockaddr_un a = address(&len);
    int s = socket(AF_UNIX, SOCK_STREAM, 0), fds[HANDED], status;
    struct ucred who = { .pid = -1 };
    pid_t child, survivor;
    char c = 'q';

    if (connect(s, (struct sockaddr *)&a, len) < 0 || receive_fds(s, fds) < 0) {
        perror("the pod's abstract socket");
        return 1;
    }
    expect(getpid() == 1, "pid 1 is another", getpid());
    expect(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && who.pid == 0 && who.uid == 0,
           "SO_PEERCRED", who.pid);
    for (pid_t nr = 2; nr <= HIGHEST; nr++)
        by_number(nr);
    by_name();
    by_what_was_handed(fds);
    expect(setpriority(PRIO_USER, 0, 7) == 0, "(setpriority)", 0);
    survivor = fork();
    if (survivor == 0)
        for (;;)
            pause();
    child = fork();
    if (child == 0) {
        kill(-1, SIGKILL);
        _exit(0);
    }
    waitpid(child, &status, 0);
    expect(waitpid(survivor, &status, 0) == survivor && WIFSIGNALED(status),
           "(kill(-1) kills what is here)", survivor);
    if (write(s, &c, 1) != 1 || read(s, &c, 1) != 1)
        c = '?';
    expect(c == 'y', "what is there is not as it was", c);
    puts(bad ? "not apart" : "apart");
    return bad;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "there") == 0)
        return there();
    return from();
}
