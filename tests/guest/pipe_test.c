/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and FIFOs: bytes, ends, atomicity, packets, sizes, opens that wait for each other. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

static void bytes_and_end(void)
{
    int p[2], n;
    char buf[16];
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(write(p[1], "hello", 5), 5);
    CHECK_EQ(write(p[1], "world", 5), 5);
    CHECK_EQ(ioctl(p[0], FIONREAD, &n), 0);
    CHECK_EQ(n, 10);
    CHECK_EQ(read(p[0], buf, 7), 7);
    CHECK(memcmp(buf, "hellowo", 7) == 0);
    close(p[1]);
    CHECK_EQ(read(p[0], buf, sizeof buf), 3);
    CHECK_EQ(read(p[0], buf, sizeof buf), 0);
    CHECK_ERR(write(p[0], "x", 1), EBADF);
    CHECK_ERR(lseek(p[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERR(pread(p[0], buf, 1, 0), ESPIPE);
    close(p[0]);
}

static void what_it_is(void)
{
    int p[2];
    struct stat a, b;
    CHECK_EQ(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_EQ(fstat(p[0], &a), 0);
    CHECK_EQ(fstat(p[1], &b), 0);
    CHECK(S_ISFIFO(a.st_mode));
    CHECK_EQ(a.st_mode & 0777, 0600);
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    CHECK_EQ(fcntl(p[1], F_GETFL), O_WRONLY | O_NONBLOCK);
    CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
    close(p[0]);
    close(p[1]);
    CHECK_ERR(pipe2(p, O_APPEND), EINVAL);
    CHECK_ERR(syscall(SYS_pipe2, 8, 0), EFAULT);
}

static void broken(void)
{
    int p[2];
    sigset_t set, old;
    CHECK_EQ(pipe(p), 0);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(write(p[1], "x", 1), EPIPE);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, &old);
    CHECK_ERR(write(p[1], "x", 1), EPIPE);
    siginfo_t info;
    struct timespec none = { 0, 0 };
    CHECK_EQ(sigtimedwait(&set, &info, &none), SIGPIPE);
    CHECK_EQ(info.si_pid, getpid());
    sigprocmask(SIG_SETMASK, &old, NULL);
    struct pollfd pf = { .fd = p[1], .events = POLLOUT };
    CHECK_EQ(poll(&pf, 1, 0), 1);
    CHECK_EQ(pf.revents, POLLOUT | POLLERR);
    close(p[1]);
}

static void full(void)
{
    int p[2];
    static char buf[65536];
    CHECK_EQ(pipe2(p, O_NONBLOCK), 0);
    CHECK_EQ(fcntl(p[1], F_GETPIPE_SZ), 65536);
    CHECK_EQ(write(p[1], buf, sizeof buf), 65536);
    CHECK_ERR(write(p[1], buf, 1), EAGAIN);
    struct pollfd pf = { .fd = p[1], .events = POLLOUT };
    CHECK_EQ(poll(&pf, 1, 0), 0);
    CHECK_EQ(read(p[0], buf, 100), 100);
    CHECK_EQ(poll(&pf, 1, 0), 0); /* no whole slot is free yet */
    CHECK_ERR(write(p[1], buf, 100), EAGAIN);
    CHECK_EQ(read(p[0], buf, 4000), 4000);
    CHECK_EQ(poll(&pf, 1, 0), 1);
    CHECK_EQ(write(p[1], buf, 5000), 4096); /* beyond PIPE_BUF as much as fits */
    close(p[0]);
    close(p[1]);
}

static void sizes(void)
{
    int p[2];
    static char buf[8192];
    CHECK_EQ(pipe2(p, O_NONBLOCK), 0);
    CHECK_EQ(fcntl(p[0], F_SETPIPE_SZ, 5000), 8192);
    CHECK_EQ(fcntl(p[0], F_GETPIPE_SZ), 8192);
    CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 0), 4096);
    CHECK_EQ(write(p[1], buf, sizeof buf), 4096);
    CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 8192), 8192);
    CHECK_EQ(write(p[1], buf, 1), 1);
    CHECK_ERR(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
    CHECK_EQ(read(p[0], buf, sizeof buf), 4097);
    CHECK_ERR(fcntl(p[1], F_SETPIPE_SZ, 0x90000000u), EINVAL);
    close(p[0]);
    close(p[1]);
}

static void packets(void)
{
    int p[2];
    char buf[32];
    CHECK_EQ(pipe2(p, O_DIRECT | O_NONBLOCK), 0);
    CHECK_EQ(write(p[1], "one", 3), 3);
    CHECK_EQ(write(p[1], "three", 5), 5);
    CHECK_EQ(read(p[0], buf, sizeof buf), 3);
    CHECK_EQ(read(p[0], buf, 2), 2); /* the rest of a packet is lost */
    CHECK_ERR(read(p[0], buf, sizeof buf), EAGAIN);
    close(p[0]);
    close(p[1]);
}

static void *write_big(void *arg)
{
    static char big[200000];
    memset(big, 'b', sizeof big);
    return (void *)(long)write(*(int *)arg, big, sizeof big);
}

static void blocking_writer(void)
{
    int p[2];
    char buf[7000];
    long sum = 0, n;
    pthread_t th;
    void *ret;
    CHECK_EQ(pipe(p), 0);
    pthread_create(&th, NULL, write_big, &p[1]);
    while (sum < 200000 && (n = read(p[0], buf, sizeof buf)) > 0)
        sum += n;
    pthread_join(th, &ret);
    CHECK_EQ(sum, 200000);
    CHECK_EQ((long)ret, 200000);
    close(p[0]);
    close(p[1]);
}

static void many_readers(void)
{
    int p[2], done[2];
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(pipe(done), 0);
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            char c;
            long n = read(p[0], &c, 1);
            n = write(done[1], &c, n == 1);
            _exit(n != 1);
        }
    }
    CHECK_EQ(write(p[1], "abcd", 4), 4); /* one wake has to be passed on */
    int seen = 0, st;
    char c;
    for (int i = 0; i < 4 && read(done[0], &c, 1) == 1; i++)
        seen |= 1 << (c - 'a');
    CHECK_EQ(seen, 15);
    for (int i = 0; i < 4; i++) {
        CHECK(wait(&st) > 0);
        CHECK_EQ(st, 0);
    }
    for (int i = 0; i < 2; i++)
        close(p[i]), close(done[i]);
}

static char fifo_name[64];

static void fifo_nonblock(void)
{
    CHECK_EQ(mkfifo(fifo_name, 0600), 0);
    CHECK_ERR(open(fifo_name, O_WRONLY | O_NONBLOCK), ENXIO);
    int r = open(fifo_name, O_RDONLY | O_NONBLOCK);
    CHECK(r >= 0);
    struct pollfd pf = { .fd = r, .events = POLLIN };
    CHECK_EQ(poll(&pf, 1, 0), 0); /* no hang-up before the first writer */
    char c;
    CHECK_EQ(read(r, &c, 1), 0);
    int w = open(fifo_name, O_WRONLY | O_NONBLOCK);
    CHECK(w >= 0);
    CHECK_ERR(read(r, &c, 1), EAGAIN);
    CHECK_EQ(write(w, "x", 1), 1);
    close(w);
    CHECK_EQ(poll(&pf, 1, 0), 1);
    CHECK_EQ(pf.revents, POLLIN | POLLHUP);
    CHECK_EQ(read(r, &c, 1), 1);
    CHECK_EQ(poll(&pf, 1, 0), 1);
    CHECK_EQ(pf.revents, POLLHUP);
    close(r);
    int rw = open(fifo_name, O_RDWR);
    CHECK(rw >= 0);
    CHECK_EQ(write(rw, "y", 1), 1);
    CHECK_EQ(read(rw, &c, 1), 1);
    CHECK_EQ(c, 'y');
    close(rw);
}

static void fifo_blocking(void)
{
    char c = 0;
    int st;
    pid_t pid = fork();
    if (pid == 0) {
        int w = open(fifo_name, O_WRONLY); /* waits for the reader */
        _exit(w < 0 || write(w, "z", 1) != 1);
    }
    int r = open(fifo_name, O_RDONLY);
    CHECK(r >= 0);
    CHECK_EQ(read(r, &c, 1), 1);
    CHECK_EQ(c, 'z');
    CHECK_EQ(read(r, &c, 1), 0);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
    close(r);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void fifo_interrupted(void)
{
    struct sigaction sa = { .sa_handler = on_alarm };
    sigaction(SIGALRM, &sa, NULL);
    ualarm(20000, 0);
    CHECK_ERR(open(fifo_name, O_RDONLY), EINTR);
    CHECK_ERR(open(fifo_name, O_WRONLY | O_NONBLOCK), ENXIO); /* it has left no reader behind */
    unlink(fifo_name);
}

static void interrupted(void)
{
    int p[2];
    char c;
    struct sigaction sa = { .sa_handler = on_alarm };
    CHECK_EQ(pipe(p), 0);
    sigaction(SIGALRM, &sa, NULL);
    ualarm(20000, 0);
    CHECK_ERR(read(p[0], &c, 1), EINTR);
    close(p[0]);
    close(p[1]);
}

static void reopened(void)
{
    int p[2];
    char name[64], c;
    CHECK_EQ(pipe(p), 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", p[0]);
    int w = open(name, O_WRONLY);
    CHECK(w >= 0);
    CHECK_EQ(write(w, "q", 1), 1);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, 'q');
    close(w);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    snprintf(fifo_name, sizeof fifo_name, "/tmp/pipe_test.%d", getpid());
    RUN(bytes_and_end);
    RUN(what_it_is);
    RUN(broken);
    RUN(full);
    RUN(sizes);
    RUN(packets);
    RUN(blocking_writer);
    RUN(many_readers);
    RUN(interrupted);
    RUN(fifo_nonblock);
    RUN(fifo_blocking);
    RUN(fifo_interrupted);
    RUN(reopened);
    DONE();
}
