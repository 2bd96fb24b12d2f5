/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work ROUNDS: a bit of everything that makes the sentry and the gofer call the host. Whatever fails
 * is said (`step: errno`) and left out; each round is a process of its own, so that one that the
 * kernel had to end is said as well. Prints `ready` before the rounds and `done` after them, and waits
 * for a byte on standard input each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <dirent.h>
#include <time.h>
#include <unistd.h>

static char big[300 << 10];
static const char *step;

#define TRY(call)                                                                                  \
    do {                                                                                           \
        step = #call;                                                                              \
        if ((long)(call) < 0) {                                                                    \
            say();                                                                                 \
            goto out;                                                                              \
        }                                                                                          \
    } while (0)

static void say(void)
{
    fprintf(stderr, "%s: %s\n", step, strerror(errno));
}

static void host_files(void)
{
    struct stat st;
    struct statfs sf;
    struct dirent *e;
    DIR *d = NULL;
    int fd = -1, n = 0;
    void *p;
    char name[64];

    TRY(stat("/etc/passwd", &st));
    TRY(fd = open("/etc/passwd", O_RDONLY));
    TRY(read(fd, big, sizeof big));
    TRY(pread(fd, big, 100, 10));
    TRY(fstat(fd, &st));
    TRY(fstatfs(fd, &sf));
    (void)!fgetxattr(fd, "user.none", big, 100);
    (void)!flistxattr(fd, big, 100);
    p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p != MAP_FAILED)
        munmap(p, 4096);
    close(fd);
    TRY(fd = open("/bin/bash", O_RDONLY)); /* large, and read in many ways */
    for (int i = 0; i < 4; i++)
        TRY(read(fd, big, sizeof big));
    TRY(lseek(fd, 0, SEEK_END));
    p = mmap(NULL, 1 << 20, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (p != MAP_FAILED) {
        memcpy(big, p, 8192);
        munmap(p, 1 << 20);
    }
    TRY(readlink("/proc/self/exe", big, 100));
    (void)!readlink("/etc/mtab", big, 100);
    (void)!readlink("/bin", big, 100);
    d = opendir("/usr/lib");
    while (d && (e = readdir(d)) && n++ < 40) { /* names not asked for before, round by round */
        snprintf(name, sizeof name, "/usr/lib/%.40s", e->d_name);
        (void)!lstat(name, &st);
    }
    (void)!access("/nowhere/to/be/found", R_OK);
    (void)!access("/etc/no such file", R_OK);
out:
    if (d)
        closedir(d);
    if (fd >= 0)
        close(fd);
}

static void own_files(void)
{
    int fd = -1, in = -1;
    char *p = MAP_FAILED;
    struct timespec ts[2] = { { 1, 0 }, { 2, 0 } };

    TRY(fd = open("/tmp/w/f", O_RDWR | O_CREAT | O_TRUNC, 0644));
    TRY(write(fd, big, 100));
    TRY(pwrite(fd, big, sizeof big, 5000));
    TRY(pwrite(fd, big, 5000, 9 << 20)); /* large: a memory file of the host */
    TRY(pread(fd, big, sizeof big, 8 << 20));
    TRY(fallocate(fd, 0, 1 << 20, 1 << 20));
    TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 65536));
    TRY(ftruncate(fd, 10 << 20));
    TRY(lseek(fd, 0, SEEK_HOLE));
    TRY(futimens(fd, ts));
    TRY(fsync(fd));
    TRY(flock(fd, LOCK_EX));
    (void)!fsetxattr(fd, "user.a", "b", 1, 0);
    p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) {
        memset(p, 'm', 65536);
        msync(p, 65536, MS_SYNC);
        (void)!mremap(p, 65536, 131072, MREMAP_MAYMOVE);
    }
    TRY(link("/tmp/w/f", "/tmp/w/g"));
    TRY(rename("/tmp/w/g", "/tmp/w/h"));
    TRY(symlink("h", "/tmp/w/s"));
    TRY(chmod("/tmp/w/s", 0600));
    TRY(truncate("/tmp/w/h", 100));
    TRY(in = open("/etc/passwd", O_RDONLY));
    TRY(sendfile(fd, in, NULL, 5000));
    (void)!copy_file_range(in, NULL, fd, NULL, 3000, 0);
    TRY(fd = (close(fd), open("/etc/profile", O_RDWR))); /* copied up */
    TRY(write(fd, "x", 1));
out:
    if (fd >= 0)
        close(fd);
    if (in >= 0)
        close(in);
    unlink("/tmp/w/f");
    unlink("/tmp/w/h");
    unlink("/tmp/w/s");
}

static void pipes(void)
{
    int p[2] = { -1, -1 }, q[2] = { -1, -1 };
    struct pollfd pf;

    TRY(pipe(p));
    TRY(pipe(q));
    TRY(fcntl(p[1], F_SETPIPE_SZ, 1 << 20));
    TRY(write(p[1], big, sizeof big));
    TRY(tee(p[0], q[1], 4096, 0));
    TRY(splice(p[0], NULL, q[1], NULL, 4096, SPLICE_F_NONBLOCK));
    TRY(read(p[0], big, 200000));
    pf = (struct pollfd){ p[0], POLLIN, 0 };
    TRY(poll(&pf, 1, 10));
    pf.fd = q[1];
    TRY(poll(&pf, 1, 1)); /* waits */
out:
    for (int i = 0; i < 2; i++) {
        close(p[i]);
        close(q[i]);
    }
}

static void pass_descriptor(int to, int fd)
{
    union {
        struct cmsghdr c;
        char room[CMSG_SPACE(sizeof fd)];
    } u = { .c = { CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec v = { big, 10 };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u
    };

    memcpy(CMSG_DATA(&u.c), &fd, sizeof fd);
    (void)!sendmsg(to, &m, MSG_DONTWAIT);
}

static void sockets(void)
{
    int s[2] = { -1, -1 }, l = -1, c = -1, a = -1;
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof in;
    struct timeval tv = { 0, 1000 };

    TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    pass_descriptor(s[0], s[1]);
    TRY(recv(s[1], big, 10, MSG_DONTWAIT)); /* what was passed is dropped */
    TRY(send(s[0], big, 100000, MSG_DONTWAIT));
    TRY(recv(s[1], big, 50000, 0));
    TRY(l = socket(AF_INET, SOCK_STREAM, 0));
    TRY(bind(l, (void *)&in, sizeof in));
    TRY(listen(l, 4));
    TRY(getsockname(l, (void *)&in, &n));
    TRY(c = socket(AF_INET, SOCK_STREAM, 0));
    TRY(setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    TRY(connect(c, (void *)&in, sizeof in));
    TRY(a = accept(l, NULL, NULL));
    TRY(send(c, big, 60000, MSG_DONTWAIT));
    TRY(recv(a, big, 60000, 0));
    (void)!recv(c, big, 1, 0); /* until its time is over */
out:
    close(s[0]);
    close(s[1]);
    close(l);
    close(c);
    close(a);
}

static void *thread(void *arg)
{
    char room[20000];

    memset(room, 1, sizeof room);
    sched_yield();
    syscall(SYS_getppid);
    return arg;
}

static void threads(void)
{
    pthread_t t[3];
    int n = 0;

    for (; n < 3; n++) {
        errno = pthread_create(&t[n], NULL, thread, NULL);
        if (errno) {
            step = "pthread_create";
            say();
            break;
        }
    }
    while (n > 0)
        pthread_join(t[--n], NULL);
}

static void on_signal(int sig)
{
    (void)sig;
}

static void waits(void)
{
    int e = -1, ev = -1, t = -1, i = -1;
    struct epoll_event ee = { .events = EPOLLIN };
    struct itimerspec its = { .it_value.tv_nsec = 1000000 };
    struct itimerval itv = { .it_value.tv_usec = 1000 };
    struct timespec ms = { 0, 2000000 };
    uint64_t x = 1;
    cpu_set_t cpus;

    signal(SIGALRM, on_signal);
    TRY(ev = eventfd(0, 0));
    TRY(t = timerfd_create(CLOCK_MONOTONIC, 0));
    TRY(e = epoll_create1(0));
    TRY(i = inotify_init1(0));
    (void)!inotify_add_watch(i, "/tmp", IN_CREATE);
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, ev, &ee));
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, t, &ee));
    TRY(timerfd_settime(t, 0, &its, NULL));
    TRY(epoll_wait(e, &ee, 1, 20));
    TRY(write(ev, &x, 8));
    TRY(epoll_wait(e, &ee, 1, 20));
    TRY(setitimer(ITIMER_REAL, &itv, NULL));
    nanosleep(&ms, NULL);
    kill(getpid(), SIGALRM);
    TRY(sched_getaffinity(0, sizeof cpus, &cpus));
    TRY(sched_setaffinity(0, sizeof cpus, &cpus));
    TRY(syscall(SYS_getrandom, big, 1000, 0));
out:
    close(e);
    close(ev);
    close(t);
    close(i);
}

static void kernel_files(void)
{
    static const char *const names[] = { "/proc/self/maps",   "/proc/self/status",
                                         "/proc/self/smaps",  "/proc/meminfo",
                                         "/proc/self/stat",   "/proc/stat",
                                         "/proc/self/limits", "/proc/self/mounts",
                                         "/dev/urandom" };
    struct rusage ru;
    int fd, pty;

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        fd = open(names[i], O_RDONLY);
        step = names[i];
        if (fd < 0 || read(fd, big, 4096) < 0)
            say();
        close(fd);
    }
    getrusage(RUSAGE_SELF, &ru);
    pty = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    if (pty >= 0)
        (void)!write(pty, "line\n", 5);
    close(pty);
}

static void memory(void)
{
    char *p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;
    struct iovec v = { big, 65536 }, w = { p, 65536 };
    int fd;

    step = "mmap";
    if (p == MAP_FAILED) {
        say();
        return;
    }
    memset(p, 1, 1 << 20);
    (void)!process_vm_readv(getpid(), &v, 1, &w, 1, 0);
    (void)!mprotect(p, 4096, PROT_READ | PROT_EXEC);
    (void)!mprotect(p, 4096, PROT_READ);
    q = mremap(p, 4 << 20, 8 << 20, MREMAP_MAYMOVE);
    munmap(q == MAP_FAILED ? p : q, 8 << 20);
    q = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (q != MAP_FAILED) {
        memset(q, 1, 65536);
        syscall(SYS_futex, q, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
        munmap(q, 65536);
    }
    fd = memfd_create("m", 0);
    if (fd >= 0 && write(fd, big, 65536) > 0) {
        q = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (q != MAP_FAILED)
            munmap(q, 65536);
    }
    close(fd);
    sbrk(1 << 16);
}

static int child(const char *const *argv)
{
    int status = 0;
    pid_t pid = fork();

    step = argv ? "fork and exec" : "fork";
    if (pid < 0) {
        say();
        return -1;
    }
    if (pid == 0) {
        if (!argv)
            _exit(0);
        execv(argv[0], (char **)argv);
        say();
        _exit(3);
    }
    step = "wait";
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            say();
            return -1;
        }
    }
    if (WIFSIGNALED(status))
        fprintf(stderr, "a child was ended by signal %d\n", WTERMSIG(status));
    return 0;
}

static void processes(void)
{
    static const char *const true_argv[] = { "/bin/true", "x", NULL };
    static const char *const script[] = { "/bin/sh", "-c", "echo $(echo a | cat) >/dev/null",
                                          NULL };

    child(NULL);
    child(true_argv);
    child(script);
}

static void one_round(void)
{
    host_files();
    own_files();
    pipes();
    sockets();
    threads();
    waits();
    kernel_files();
    memory();
    processes();
}

static void stop(const char *what)
{
    char c;

    for (int i = 0; i < 10 && write(1, what, strlen(what)) < 0; i++)
        ;
    (void)!read(0, &c, 1); /* one that fails may have taken it */
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 1;

    setvbuf(stderr, NULL, _IOLBF, 0);
    (void)!mkdir("/tmp/w", 0755); /* one for all: the names in it stay known as missing */
    stop("ready\n");
    for (int i = 0; i < rounds; i++) {
        int status = 0;
        pid_t pid = fork();

        step = "round";
        if (pid < 0) {
            say();
            continue;
        }
        if (pid == 0) {
            one_round();
            _exit(0);
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (status)
            fprintf(stderr, "a round ended with %#x\n", status);
    }
    stop("done\n");
    return 0;
}
