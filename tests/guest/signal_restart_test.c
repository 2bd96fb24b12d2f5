/* SPDX-License-Identifier: Apache-2.0 */
/* What a signal does to a call that waits: EINTR, restarted, or gone on with. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

/* Until an alarm comes: the call that it is to interrupt has long begun by then, on a busy machine
 * too. */
#define AHEAD 100

static volatile int hits;
static int fds[2];

static void hit(int sig)
{
    (void)sig;
    hits++;
}

static void hit_and_write(int sig)
{
    (void)sig;
    hits++;
    if (write(fds[1], "x", 1) != 1)
        hits = 100;
}

static void catch_alarm(void (*fn)(int), int flags)
{
    struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };
    CHECK_EQ(sigaction(SIGALRM, &sa, NULL), 0);
    hits = 0;
}

static void alarm_in_ms(int ms)
{
    struct itimerval it = { .it_value = { ms / 1000, ms % 1000 * 1000 } };
    CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
}

static long ms_since(const struct timespec *a)
{
    struct timespec b;
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (b.tv_sec - a->tv_sec) * 1000 + (b.tv_nsec - a->tv_nsec) / 1000000;
}

static void read_interrupted(void)
{
    char c;
    catch_alarm(hit, 0);
    alarm_in_ms(AHEAD);
    CHECK_ERR(read(fds[0], &c, 1), EINTR);
    CHECK_EQ(hits, 1);
}

static void read_restarted(void)
{
    char c = 0;
    catch_alarm(hit_and_write, SA_RESTART);
    alarm_in_ms(AHEAD);
    CHECK_EQ(read(fds[0], &c, 1), 1);
    CHECK_EQ(c, 'x');
    CHECK_EQ(hits, 1);
}

/* Never restarted after a handler, whatever SA_RESTART says. */
static void never_restarted(void)
{
    struct pollfd p = { .fd = fds[0], .events = POLLIN };
    struct timespec sec = { 1, 0 }, rem = { 0, 0 }, t0;
    catch_alarm(hit, SA_RESTART);
    alarm_in_ms(AHEAD);
    CHECK_ERR(poll(&p, 1, 1000), EINTR);
    alarm_in_ms(AHEAD);
    CHECK_ERR(pause(), EINTR);
    alarm_in_ms(AHEAD);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    CHECK_ERR(nanosleep(&sec, &rem), EINTR);
    long took = ms_since(&t0);
    CHECK(rem.tv_sec == 0 && rem.tv_nsec > 0);
    CHECK(took >= AHEAD - 1 && took + rem.tv_nsec / 1000000 >= 990 &&
          took + rem.tv_nsec / 1000000 <= 1500);
    alarm_in_ms(AHEAD);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    t0.tv_sec++;
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t0, NULL), EINTR);
    CHECK_EQ(hits, 4);
}

static void wait_restarts(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec ts = { 0, 30000000 };
        nanosleep(&ts, NULL);
        _exit(3);
    }
    int st = 0;
    catch_alarm(hit, SA_RESTART);
    alarm_in_ms(5);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(WEXITSTATUS(st), 3);
    CHECK_EQ(hits, 1);
}

/* A stop without a handler: a sleep goes on to its old end, a read and a poll simply go on. */
static void stopped_and_continued(int what)
{
    int out[2];
    CHECK_EQ(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec ts = { 0, 60000000 }, t0;
        struct pollfd p = { .fd = fds[0], .events = POLLIN };
        char c = 0;
        bool ok = false;
        clock_gettime(CLOCK_MONOTONIC, &t0);
        if (write(out[1], "r", 1) != 1)
            _exit(2);
        if (what == 0)
            ok = nanosleep(&ts, NULL) == 0;
        else if (what == 1)
            ok = read(fds[0], &c, 1) == 1 && c == 'y';
        else
            ok = poll(&p, 1, 60) == 0;
        long took = ms_since(&t0);
        if (what != 1 && (took < 59 || took > 400))
            ok = false;
        _exit(ok ? 0 : 1);
    }
    char c;
    int st;
    struct timespec nap = { 0, 10000000 };
    CHECK_EQ(read(out[0], &c, 1), 1);
    nanosleep(&nap, NULL);
    CHECK_EQ(kill(pid, SIGSTOP), 0);
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK(WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
    nanosleep(&nap, NULL);
    CHECK_EQ(kill(pid, SIGCONT), 0);
    CHECK_EQ(waitpid(pid, &st, WCONTINUED), pid);
    CHECK(WIFCONTINUED(st));
    if (what == 1)
        CHECK_EQ(write(fds[1], "y", 1), 1);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
    close(out[0]);
    close(out[1]);
}

static void stop_sleep(void)
{
    stopped_and_continued(0);
}

static void stop_read(void)
{
    stopped_and_continued(1);
}

static void stop_poll(void)
{
    stopped_and_continued(2);
}

/* An ignored signal does not disturb a wait at all. */
static void ignored(void)
{
    struct timespec ts = { 0, 20000000 };
    signal(SIGALRM, SIG_IGN);
    alarm_in_ms(5);
    CHECK_EQ(nanosleep(&ts, NULL), 0);
    struct pollfd p = { .fd = fds[0], .events = POLLIN };
    alarm_in_ms(5);
    CHECK_EQ(poll(&p, 1, 20), 0);
}

/* ppoll's mask holds for the call only, and lets the signal in. */
static void ppoll_mask(void)
{
    sigset_t blocked, none, now;
    struct timespec sec = { 1, 0 };
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    catch_alarm(hit, 0);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    CHECK_EQ(raise(SIGALRM), 0);
    CHECK_EQ(hits, 0);
    CHECK_ERR(ppoll(NULL, 0, &sec, &none), EINTR);
    CHECK_EQ(hits, 1);
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGALRM));
    /* One that times out restores the mask too. */
    sec = (struct timespec){ 0, 1000000 };
    CHECK_EQ(ppoll(NULL, 0, &sec, &none), 0);
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGALRM));
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

static void restart_alone(void)
{
    errno = 0;
    CHECK_ERR(syscall(SYS_restart_syscall), EINTR);
}

int main(void)
{
    CHECK_EQ(pipe(fds), 0);
    RUN(restart_alone);
    RUN(read_interrupted);
    RUN(read_restarted);
    RUN(never_restarted);
    RUN(wait_restarts);
    RUN(stop_sleep);
    RUN(stop_read);
    RUN(stop_poll);
    RUN(ignored);
    RUN(ppoll_mask);
    DONE();
}
