/* SPDX-License-Identifier: Apache-2.0 */
/* File locks: flock, POSIX and OFD records, between processes. */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "guest.h"

#ifndef F_OFD_SETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

static char name[] = "/tmp/lk-XXXXXX";

static int set(int fd, int cmd, int type, off_t start, off_t len)
{
    struct flock l = {
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
    };

    return fcntl(fd, cmd, &l);
}

/* Type of the lock in the way of a write lock; *at: where it starts, *pid: whose. */
static int get(int fd, int cmd, off_t start, off_t len, off_t *at, pid_t *pid)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

    if (fcntl(fd, cmd, &l) < 0)
        return -1;
    *at = l.l_start;
    *pid = l.l_pid;
    return l.l_type;
}

static int child_status(pid_t p)
{
    int st = -1;

    waitpid(p, &st, 0);
    return st;
}

static void records(void)
{
    int fd = open(name, O_RDWR), d;
    pid_t pid, me = getpid();
    off_t at;

    CHECK_EQ(set(fd, F_SETLK, F_WRLCK, 10, 20), 0);
    CHECK_EQ(set(fd, F_SETLK, F_RDLCK, 15, 5), 0);        /* splits */
    CHECK_EQ(get(fd, F_GETLK, 0, 0, &at, &pid), F_UNLCK); /* one's own are in nobody's way */
    if (fork() == 0) {
        int e = open(name, O_RDWR), bad = 0;
        bad |= (get(e, F_GETLK, 0, 0, &at, &pid) != F_WRLCK || at != 10 || pid != me) << 0;
        bad |= (get(e, F_GETLK, 15, 5, &at, &pid) != F_RDLCK || at != 15) << 1;
        bad |= (set(e, F_SETLK, F_RDLCK, 16, 2) != 0) << 2;
        bad |= (set(e, F_SETLK, F_WRLCK, 16, 2) != -1 || errno != EAGAIN) << 3;
        bad |= (set(e, F_SETLK, F_WRLCK, 0, 10) != 0) << 4;
        bad |= (set(e, F_SETLK, F_RDLCK, 29, 1) != -1) << 5;
        bad |= (set(e, F_SETLK, F_RDLCK, 30, 1) != 0) << 6;
        _exit(bad);
    }
    CHECK_EQ(child_status(-1), 0);
    CHECK_EQ(set(fd, F_SETLK, F_UNLCK, 0, 0), 0);
    CHECK_ERR(set(fd, F_SETLK, 77, 0, 0), EINVAL);
    CHECK_ERR(set(fd, F_SETLK, F_RDLCK, -5, 1), EINVAL);
    /* closing any descriptor of the file drops them */
    CHECK_EQ(set(fd, F_SETLK, F_WRLCK, 0, 0), 0);
    d = open(name, O_RDONLY);
    CHECK_ERR(set(d, F_SETLK, F_WRLCK, 0, 0), EBADF);
    close(d);
    if (fork() == 0) {
        int e = open(name, O_RDWR);
        _exit(set(e, F_SETLK, F_WRLCK, 0, 0) != 0);
    }
    CHECK_EQ(child_status(-1), 0);
    close(fd);
}

static void waits(void)
{
    int fd = open(name, O_RDWR), p[2], st;
    char c;
    pid_t kid;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(set(fd, F_SETLK, F_WRLCK, 0, 10), 0);
    if ((kid = fork()) == 0) {
        int e = open(name, O_RDWR);
        if (write(p[1], "r", 1) != 1 || set(e, F_SETLKW, F_WRLCK, 5, 1) != 0)
            _exit(1);
        _exit(write(p[1], "l", 1) != 1);
    }
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(set(fd, F_SETLK, F_UNLCK, 0, 10), 0);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, 'l');
    CHECK_EQ(child_status(kid), 0);
    /* a lock that is waited for goes to the waiter when its holder dies */
    if ((kid = fork()) == 0) {
        int e = open(name, O_RDWR);
        if (set(e, F_SETLK, F_WRLCK, 0, 1) != 0 || write(p[1], "h", 1) != 1)
            _exit(1);
        pause();
    }
    CHECK_EQ(read(p[0], &c, 1), 1);
    if (fork() == 0) {
        kill(kid, SIGKILL);
        _exit(0);
    }
    CHECK_EQ(set(fd, F_SETLKW, F_WRLCK, 0, 1), 0);
    while (wait(&st) > 0)
        ;
    close(p[0]);
    close(p[1]);
    close(fd);
}

static void nothing(int sig)
{
    (void)sig;
}

static void interrupted(void)
{
    struct sigaction sa = { .sa_handler = nothing };
    int fd = open(name, O_RDWR), p[2];
    char c;
    pid_t kid;

    CHECK_EQ(pipe(p), 0);
    sigaction(SIGALRM, &sa, NULL);
    if ((kid = fork()) == 0) {
        int e = open(name, O_RDWR);
        if (set(e, F_SETLK, F_WRLCK, 0, 0) != 0 || flock(e, LOCK_EX) != 0 ||
            write(p[1], "h", 1) != 1)
            _exit(1);
        pause();
    }
    CHECK_EQ(read(p[0], &c, 1), 1);
    alarm(1);
    CHECK_ERR(set(fd, F_SETLKW, F_RDLCK, 0, 0), EINTR);
    CHECK_ERR(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    kill(kid, SIGKILL);
    child_status(kid);
    CHECK_EQ(flock(fd, LOCK_SH), 0);
    close(p[0]);
    close(p[1]);
    close(fd);
}

static void deadlock(void)
{
    int fd = open(name, O_RDWR), p[2], st;
    char c;
    pid_t kid;
    int mine, theirs;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(set(fd, F_SETLK, F_WRLCK, 0, 1), 0);
    if ((kid = fork()) == 0) {
        int e = open(name, O_RDWR), r;
        if (set(e, F_SETLK, F_WRLCK, 1, 1) != 0 || write(p[1], "x", 1) != 1)
            _exit(1);
        r = set(e, F_SETLKW, F_WRLCK, 0, 1);
        _exit(r == 0 ? 0 : errno == EDEADLK ? 2 : 3);
    }
    CHECK_EQ(read(p[0], &c, 1), 1);
    mine = set(fd, F_SETLKW, F_WRLCK, 1, 1) == 0 ? 0 : errno;
    if (mine)
        set(fd, F_SETLK, F_UNLCK, 0, 1);
    waitpid(kid, &st, 0);
    theirs = WEXITSTATUS(st);
    CHECK((mine == EDEADLK && theirs == 0) || (mine == 0 && theirs == 2));
    close(p[0]);
    close(p[1]);
    close(fd);
}

static void ofd(void)
{
    int a = open(name, O_RDWR), b = open(name, O_RDWR), d;
    off_t at;
    pid_t pid;

    CHECK_EQ(set(a, F_OFD_SETLK, F_WRLCK, 0, 5), 0);
    CHECK_ERR(set(b, F_OFD_SETLK, F_WRLCK, 4, 1), EAGAIN);
    CHECK_ERR(set(b, F_SETLK, F_WRLCK, 4, 1), EAGAIN);
    CHECK_EQ(set(b, F_OFD_SETLK, F_WRLCK, 5, 1), 0);
    CHECK_EQ(get(b, F_OFD_GETLK, 0, 1, &at, &pid), F_WRLCK);
    CHECK_EQ(pid, -1);
    d = dup(a);
    close(a); /* stays: the description lives */
    CHECK_ERR(set(b, F_OFD_SETLK, F_WRLCK, 4, 1), EAGAIN);
    if (fork() == 0)
        _exit(set(d, F_OFD_SETLK, F_UNLCK, 0, 0) != 0); /* shared with the child */
    CHECK_EQ(child_status(-1), 0);
    CHECK_EQ(set(b, F_OFD_SETLK, F_WRLCK, 4, 1), 0);
    close(b);
    CHECK_EQ(set(d, F_OFD_SETLK, F_WRLCK, 0, 0), 0);
    close(d);
}

static void whole(void)
{
    int a = open(name, O_RDWR), b = open(name, O_RDONLY), p[2];
    char c;

    CHECK_EQ(flock(a, LOCK_EX), 0);
    CHECK_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_EQ(flock(a, LOCK_SH), 0);
    CHECK_EQ(flock(b, LOCK_SH | LOCK_NB), 0);
    CHECK_ERR(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_EQ(flock(b, LOCK_UN), 0);
    CHECK_EQ(flock(a, LOCK_EX | LOCK_NB), 0);
    CHECK_EQ(set(b, F_SETLK, F_RDLCK, 0, 0), 0); /* the two kinds do not meet */
    CHECK_EQ(pipe(p), 0);
    if (fork() == 0) {
        int e = open(name, O_RDWR);
        close(a); /* the same description as the parent's */
        if (write(p[1], "r", 1) != 1 || flock(e, LOCK_EX) != 0)
            _exit(1);
        _exit(write(p[1], "l", 1) != 1);
    }
    CHECK_EQ(read(p[0], &c, 1), 1);
    close(a); /* releases */
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, 'l');
    CHECK_EQ(child_status(-1), 0);
    CHECK_ERR(flock(b, 0), EINVAL);
    CHECK_ERR(flock(999, LOCK_SH), EBADF);
    close(b);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    close(mkstemp(name));
    RUN(records);
    RUN(waits);
    RUN(interrupted);
    RUN(deadlock);
    RUN(ofd);
    RUN(whole);
    unlink(name);
    DONE();
}
