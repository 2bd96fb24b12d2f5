/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX message queues: names, order, waiting both ways, notification, attributes, errors. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

static char name[32];

static mqd_t open_new(long maxmsg, long msgsize, int flags)
{
    struct mq_attr a = { .mq_maxmsg = maxmsg, .mq_msgsize = msgsize };
    mqd_t q;

    mq_unlink(name);
    q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &a);
    CHECK(q >= 0);
    return q;
}

static void end(mqd_t q)
{
    CHECK(mq_close(q) == 0);
    CHECK(mq_unlink(name) == 0);
}

static void wait_ok(pid_t pid)
{
    int st = -1;

    CHECK(waitpid(pid, &st, 0) == pid);
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

static struct timespec in_ms(int ms)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += ms * 1000000l;
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    return ts;
}

static void names(void)
{
    mqd_t q;
    struct stat st;

    CHECK_ERR(mq_open(name, O_RDWR), ENOENT);
    CHECK_ERR(mq_unlink(name), ENOENT);
    q = open_new(3, 10, 0);
    CHECK_ERR(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
    CHECK(fstat(q, &st) == 0);
    CHECK(S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600 && st.st_size == 80);
    CHECK(fcntl(q, F_GETFD) == FD_CLOEXEC);
    CHECK_ERR(syscall(SYS_mq_open, "a/b", O_RDWR, 0, NULL), EACCES);
    CHECK_ERR(syscall(SYS_mq_open, "", O_RDWR, 0, NULL), ENOENT);
    CHECK_ERR(syscall(SYS_mq_open, ".", O_RDWR, 0, NULL), EACCES);
    CHECK_ERR(syscall(SYS_mq_open, (char *)8, O_RDWR, 0, NULL), EFAULT);
    CHECK(mq_unlink(name) == 0);
    CHECK(mq_send(q, "x", 1, 0) == 0); /* it lives as long as it is open */
    CHECK_ERR(mq_open(name, O_RDWR), ENOENT);
    CHECK(mq_close(q) == 0);
}

static void order(void)
{
    mqd_t q = open_new(4, 10, 0);
    char buf[10];
    unsigned prio;

    CHECK(mq_send(q, "low", 3, 1) == 0);
    CHECK(mq_send(q, "high", 4, 9) == 0);
    CHECK(mq_send(q, "higher", 6, 9) == 0);
    CHECK(mq_send(q, "", 0, 5) == 0);
    CHECK(mq_receive(q, buf, sizeof buf, &prio) == 4 && prio == 9 && !memcmp(buf, "high", 4));
    CHECK(mq_receive(q, buf, sizeof buf, &prio) == 6 && prio == 9);
    CHECK(mq_receive(q, buf, sizeof buf, &prio) == 0 && prio == 5);
    CHECK(mq_receive(q, buf, sizeof buf, NULL) == 3);
    end(q);
}

static void errors(void)
{
    mqd_t q = open_new(2, 10, O_NONBLOCK), w;
    struct timespec past = { 1, 0 }, bad = { 0, -1 };
    char buf[10];
    int fds[2];

    CHECK_ERR(mq_receive(q, buf, 9, NULL), EMSGSIZE);
    CHECK_ERR(mq_send(q, buf, 11, 0), EMSGSIZE);
    CHECK_ERR(mq_send(q, buf, 1, 32768), EINVAL);
    CHECK_ERR(mq_receive(q, buf, 10, NULL), EAGAIN);
    CHECK(mq_send(q, buf, 1, 0) == 0 && mq_send(q, buf, 1, 0) == 0);
    CHECK_ERR(mq_send(q, buf, 1, 0), EAGAIN);
    CHECK(pipe(fds) == 0);
    CHECK_ERR(mq_send(fds[1], buf, 1, 0), EBADF);
    CHECK_ERR(mq_send(-1, buf, 1, 0), EBADF);
    w = mq_open(name, O_WRONLY);
    CHECK_ERR(mq_receive(w, buf, 10, NULL), EBADF);
    CHECK_ERR(mq_timedsend(w, buf, 1, 0, &past), ETIMEDOUT);
    CHECK_ERR(mq_timedsend(w, buf, 1, 0, &bad), EINVAL);
    CHECK_ERR(syscall(SYS_mq_timedsend, w, (char *)8, 1, 0, NULL), EFAULT);
    CHECK_ERR(write(q, "x", 1), EINVAL);
    mq_close(w);
    end(q);
    CHECK_ERR(mq_open(name, O_CREAT | O_RDWR, 0600,
                      (&(struct mq_attr){ .mq_maxmsg = 0, .mq_msgsize = 1 })),
              EINVAL);
    CHECK_ERR(mq_open(name, O_CREAT | O_RDWR, 0600,
                      (&(struct mq_attr){ .mq_maxmsg = 1, .mq_msgsize = -1 })),
              EINVAL);
    CHECK_ERR(mq_open(name, O_CREAT | O_RDWR, 0600,
                      (&(struct mq_attr){ .mq_maxmsg = 100000, .mq_msgsize = 10 })),
              EINVAL);
}

static void attributes(void)
{
    mqd_t q = open_new(5, 20, 0);
    struct mq_attr a, old;
    char text[128] = "";

    CHECK(mq_getattr(q, &a) == 0);
    CHECK(a.mq_flags == 0 && a.mq_maxmsg == 5 && a.mq_msgsize == 20 && a.mq_curmsgs == 0);
    a.mq_flags = O_NONBLOCK;
    a.mq_maxmsg = 77; /* not looked at */
    CHECK(mq_setattr(q, &a, &old) == 0 && old.mq_flags == 0);
    CHECK(mq_send(q, "abc", 3, 0) == 0);
    CHECK(mq_getattr(q, &a) == 0);
    CHECK(a.mq_flags == O_NONBLOCK && a.mq_maxmsg == 5 && a.mq_curmsgs == 1);
    CHECK(fcntl(q, F_GETFL) & O_NONBLOCK);
    a.mq_flags = O_APPEND;
    CHECK_ERR(mq_setattr(q, &a, NULL), EINVAL);
    CHECK(pread(q, text, sizeof text - 1, 0) > 0);
    CHECK(!strncmp(text, "QSIZE:3 ", 8));
    end(q);
    q = mq_open(name, O_CREAT | O_RDWR, 0600, NULL);
    CHECK(mq_getattr(q, &a) == 0 && a.mq_maxmsg == 10 && a.mq_msgsize == 8192);
    end(q);
}

static void waiting(void)
{
    mqd_t q = open_new(2, 10, 0);
    struct timespec soon = in_ms(30);
    char buf[10];
    pid_t pid;

    CHECK_ERR(mq_timedreceive(q, buf, 10, NULL, &soon), ETIMEDOUT);
    pid = fork();
    if (pid == 0)
        _exit(!(mq_receive(q, buf, 10, NULL) == 2 && !memcmp(buf, "hi", 2)));
    usleep(30000);
    CHECK(mq_send(q, "hi", 2, 0) == 0);
    wait_ok(pid);

    CHECK(mq_send(q, "1", 1, 0) == 0 && mq_send(q, "2", 1, 0) == 0);
    soon = in_ms(30);
    CHECK_ERR(mq_timedsend(q, "x", 1, 0, &soon), ETIMEDOUT);
    pid = fork();
    if (pid == 0)
        _exit(mq_send(q, "first", 5, 7) != 0);
    usleep(30000);
    CHECK(mq_receive(q, buf, 10, NULL) == 1 && buf[0] == '1');
    wait_ok(pid);
    CHECK(mq_receive(q, buf, 10, NULL) == 5); /* of the waiting sender, by its priority */
    CHECK(mq_receive(q, buf, 10, NULL) == 1 && buf[0] == '2');

    for (int i = 0; i < 1000; i++) {
        pid = i ? pid : fork();
        if (pid == 0 && mq_send(q, "ping", 4, 0) != 0)
            _exit(1);
        if (pid != 0 && mq_receive(q, buf, 10, NULL) != 4)
            break;
    }
    if (pid == 0)
        _exit(0);
    wait_ok(pid);
    end(q);
}

static volatile sig_atomic_t told;
static volatile int told_value, told_code, told_pid;

static void on_signal(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)uc;
    told++;
    told_value = si->si_value.sival_int;
    told_code = si->si_code;
    told_pid = si->si_pid;
}

static void notified(void)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    mqd_t q = open_new(4, 10, 0);
    char buf[10];
    pid_t pid;

    ev.sigev_value.sival_int = 4711;
    sigaction(SIGUSR1, &sa, NULL);
    CHECK(mq_notify(q, &ev) == 0);
    CHECK_ERR(mq_notify(q, &ev), EBUSY);
    pid = fork();
    if (pid == 0)
        _exit(mq_send(q, "a", 1, 0) != 0);
    while (!told)
        usleep(1000);
    wait_ok(pid);
    CHECK(told == 1 && told_value == 4711 && told_code == SI_MESGQ && told_pid == pid);
    CHECK(mq_send(q, "b", 1, 0) == 0); /* once, and not for one that is not empty */
    CHECK(mq_notify(q, &ev) == 0);
    CHECK(mq_send(q, "c", 1, 0) == 0);
    usleep(10000);
    CHECK(told == 1);
    while (mq_receive(q, buf, 10, NULL) > 0 && buf[0] != 'c')
        ;
    CHECK(mq_notify(q, NULL) == 0);
    CHECK(mq_send(q, "d", 1, 0) == 0);
    CHECK(told == 1);
    ev.sigev_notify = 99;
    CHECK_ERR(syscall(SYS_mq_notify, q, &ev), EINVAL);
    CHECK_ERR(mq_notify(0, NULL), EBADF);
    end(q);
}

static void polled(void)
{
    mqd_t q = open_new(1, 10, 0);
    struct pollfd p = { .fd = q, .events = POLLIN | POLLOUT };
    pid_t pid;

    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
    CHECK(mq_send(q, "x", 1, 0) == 0);
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    p.events = POLLOUT;
    pid = fork();
    if (pid == 0) {
        char buf[10];
        usleep(20000);
        _exit(mq_receive(q, buf, 10, NULL) != 1);
    }
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLOUT);
    wait_ok(pid);
    end(q);
}

static void limits(void)
{
    struct rlimit rl = { 5000, 5000 };
    struct mq_attr a = { .mq_maxmsg = 10, .mq_msgsize = 1000 };
    pid_t pid = fork();

    if (pid == 0) {
        int bad = setrlimit(RLIMIT_MSGQUEUE, &rl);
        bad |= mq_open(name, O_CREAT | O_RDWR, 0600, &a) != -1 || errno != EMFILE;
        _exit(bad);
    }
    wait_ok(pid);
    CHECK_ERR(mq_unlink(name), ENOENT);
}

static void rights(void)
{
    mqd_t q;
    pid_t pid;

    if (geteuid() != 0)
        return;
    q = open_new(2, 10, 0);
    pid = fork();
    if (pid == 0) {
        int bad = 0;

        if (setgid(4711) || setuid(4711))
            _exit(1);
        bad |= mq_open(name, O_RDONLY) != -1 || errno != EACCES;
        bad |= mq_unlink(name) != -1 || errno != EACCES;
        _exit(bad);
    }
    wait_ok(pid);
    end(q);
}

static volatile int called;

static void in_a_thread(union sigval v)
{
    called = v.sival_int;
}

/* SIGEV_THREAD: libc's thread waits at a netlink socket for what mq_notify was given. */
static void told_in_a_thread(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD,
                           .sigev_notify_function = in_a_thread,
                           .sigev_value.sival_int = 42 };
    char cookie[32] = "a cookie of thirty-two bytes", got[64];
    struct sigevent raw = { .sigev_notify = SIGEV_THREAD };
    mqd_t q = open_new(2, 10, 0);
    int s = socket(AF_NETLINK, SOCK_RAW, 0);

    CHECK_EQ(mq_notify(q, &ev), 0);
    CHECK_ERR(mq_notify(q, &ev), EBUSY);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    for (int i = 0; i < 500 && !called; i++)
        usleep(2000);
    CHECK_EQ(called, 42);
    CHECK_EQ(mq_receive(q, got, 10, NULL), 1);
    raw.sigev_signo = s;
    raw.sigev_value.sival_ptr = cookie;
    CHECK_EQ(syscall(SYS_mq_notify, q, &raw), 0);
    CHECK_EQ(syscall(SYS_mq_notify, q, NULL), 0);
    CHECK_EQ(recv(s, got, sizeof got, MSG_DONTWAIT), 32);
    CHECK(memcmp(got, cookie, 31) == 0);
    CHECK_EQ(got[31], 2); /* it was withdrawn */
    CHECK_EQ(syscall(SYS_mq_notify, q, &raw), 0);
    CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_EQ(recv(s, got, sizeof got, MSG_DONTWAIT), 32);
    CHECK_EQ(got[31], 1); /* a message came */
    CHECK_ERR(recv(s, got, sizeof got, MSG_DONTWAIT), EAGAIN);
    raw.sigev_value.sival_ptr = (void *)8;
    CHECK_ERR(syscall(SYS_mq_notify, q, &raw), EFAULT);
    raw.sigev_value.sival_ptr = cookie;
    raw.sigev_signo = 99;
    CHECK_ERR(syscall(SYS_mq_notify, q, &raw), EBADF);
    raw.sigev_signo = q;
    CHECK_ERR(syscall(SYS_mq_notify, q, &raw), ENOTSOCK);
    raw.sigev_signo = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERR(syscall(SYS_mq_notify, q, &raw), EINVAL);
    close(raw.sigev_signo);
    close(s);
    end(q);
}

int main(void)
{
    snprintf(name, sizeof name, "/sbx-mqueue-%d", getpid());
    RUN(names);
    RUN(order);
    RUN(errors);
    RUN(attributes);
    RUN(waiting);
    RUN(notified);
    RUN(told_in_a_thread);
    RUN(polled);
    RUN(limits);
    RUN(rights);
    DONE();
}
