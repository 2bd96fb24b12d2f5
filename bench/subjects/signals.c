/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals with handlers: to oneself, to another process and back, and an interval timer at 1 kHz, of
 * which the median lateness is given, and in percent what did not come.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define TICKS 400

static volatile sig_atomic_t caught;
static pid_t other;
static sigset_t without; /* the mask to wait with */

static void on_signal(int sig)
{
    (void)sig;
    caught = caught + 1;
}

static void handle(int sig, void (*handler)(int))
{
    struct sigaction act = { .sa_handler = handler };
    ok(sigaction(sig, &act, NULL), "sigaction");
}

static void to_self(const struct row *row)
{
    (void)row;
    sig_atomic_t before = caught;
    ok(kill(getpid(), SIGUSR1), "kill");
    if (caught != before + 1)
        fail("the handler did not run");
}

static void self_row(const struct row *row)
{
    handle(SIGUSR1, on_signal);
    each_us(row);
}

/* Waits for the next signal, which is blocked but here. */
static void wait_signal(sig_atomic_t *seen)
{
    while (caught == *seen)
        sigsuspend(&without);
    *seen = *seen + 1;
}

static void there_and_back(const struct row *row)
{
    static sig_atomic_t seen;
    (void)row;
    ok(kill(other, SIGUSR1), "kill");
    wait_signal(&seen);
}

static void processes_row(const struct row *row)
{
    sigset_t set;
    pid_t parent = getpid();
    handle(SIGUSR1, on_signal);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &without);
    caught = 0;
    other = (pid_t)ok(fork(), "fork");
    if (other == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (sig_atomic_t seen = 0;;) {
            wait_signal(&seen);
            ok(kill(parent, SIGUSR1), "kill");
        }
    }
    each_us(row);
    if (other > 1)
        kill(other, SIGKILL);
    ok(waitpid(other, NULL, 0), "waitpid");
}

static double stamps[2 * TICKS];
static volatile sig_atomic_t ticks;

static void on_tick(int sig)
{
    (void)sig;
    if (ticks < 2 * TICKS) {
        stamps[ticks] = now_us();
        ticks = ticks + 1;
    }
}

static void timer_row(const struct row *row)
{
    struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, off = { 0 };
    long n = bench_count(row->count);
    handle(SIGALRM, on_tick);
    double start = now_us();
    ok(setitimer(ITIMER_REAL, &every, NULL), "setitimer");
    while (now_us() < start + (double)n * 1e3 + 500)
        pause();
    ok(setitimer(ITIMER_REAL, &off, NULL), "setitimer");
    long came = ticks;
    for (long i = 0; i < came; i++) {
        double since = stamps[i] - start;
        stamps[i] = since - 1e3 * (double)(long)(since / 1e3);
    }
    if (came == 0)
        fail("no tick came");
    report(row->name, median(stamps, (size_t)came), "us");
    report("timer-1kHz-lost", came >= n ? 0 : 100 * (double)(n - came) / (double)n, "%");
}

static const struct row rows[] = {
    { "kill-self", self_row, to_self, 5500, 0, 0 },
    { "kill-processes", processes_row, there_and_back, 3300, 0, 0 },
    { "timer-1kHz", timer_row, NULL, TICKS, 0, 0 },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
