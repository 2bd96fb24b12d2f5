/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, sleeps, interval timers and timer_create. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#include "guest.h"

static volatile int hits, last_code, last_overrun, last_value;
static volatile long last_tid;

static void hit(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)uc;
    last_code = si->si_code;
    last_overrun = si->si_overrun;
    last_value = si->si_value.sival_int;
    last_tid = syscall(SYS_gettid);
    hits++; /* last: another thread may look */
}

static void catch_sig(int sig)
{
    struct sigaction sa = { .sa_sigaction = hit, .sa_flags = SA_SIGINFO };
    CHECK_EQ(sigaction(sig, &sa, NULL), 0);
    hits = 0;
}

static long long now_ns(clockid_t id)
{
    struct timespec ts = { 0 };
    CHECK_EQ(syscall(SYS_clock_gettime, id, &ts), 0);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void nap(long ns)
{
    struct timespec ts = { ns / 1000000000, ns % 1000000000 };
    while (nanosleep(&ts, &ts) && errno == EINTR)
        ;
}

static void clocks(void)
{
    const int ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC,       CLOCK_MONOTONIC_RAW,
                        CLOCK_BOOTTIME, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
                        CLOCK_TAI };
    for (unsigned i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        long long a = now_ns(ids[i]);
        struct timespec res = { 5, 5 };
        CHECK_EQ(syscall(SYS_clock_getres, ids[i], &res), 0);
        CHECK_EQ(res.tv_sec, 0);
        CHECK_EQ(syscall(SYS_clock_getres, ids[i], NULL), 0);
        CHECK(now_ns(ids[i]) >= a);
    }
    struct timespec ts;
    CHECK_ERR(syscall(SYS_clock_gettime, 77, &ts), EINVAL);
    CHECK_ERR(syscall(SYS_clock_getres, 77, &ts), EINVAL);
    CHECK_ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8), EFAULT);
    struct timeval tv;
    CHECK_EQ(syscall(SYS_gettimeofday, &tv, NULL), 0);
    long long d = tv.tv_sec * 1000000000ll + tv.tv_usec * 1000 - now_ns(CLOCK_REALTIME);
    CHECK(d < 1000000 && d > -1000000000);
    time_t t;
    CHECK_EQ(syscall(SYS_time, &t), t);
    CHECK(t - tv.tv_sec <= 1);
}

static void cpu_clocks(void)
{
    long long p = now_ns(CLOCK_PROCESS_CPUTIME_ID), t = now_ns(CLOCK_THREAD_CPUTIME_ID);
    while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < p + 5000000)
        ;
    CHECK(now_ns(CLOCK_THREAD_CPUTIME_ID) >= t + 4000000);
    long long w = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    nap(20000000);
    CHECK(now_ns(CLOCK_PROCESS_CPUTIME_ID) - w < 15000000); /* sleeping costs nothing */
    clockid_t id;
    CHECK_EQ(clock_getcpuclockid(getpid(), &id), 0);
    CHECK(now_ns(id) >= w);
    CHECK_EQ(pthread_getcpuclockid(pthread_self(), &id), 0);
    CHECK(now_ns(id) > 0);
    struct timespec ts;
    CHECK_ERR(syscall(SYS_clock_gettime, (int)(~0x0fffffffu << 3 | 2), &ts), EINVAL);
    struct tms tms;
    CHECK(times(&tms) != (clock_t)-1);
}

static void sleeps(void)
{
    struct timespec ts, rem = { 7, 7 };
    long long a = now_ns(CLOCK_MONOTONIC);
    ts = (struct timespec){ 0, 3000000 };
    CHECK_EQ(nanosleep(&ts, &rem), 0);
    CHECK(now_ns(CLOCK_MONOTONIC) - a >= 3000000);
    CHECK_EQ(rem.tv_sec, 7); /* untouched */
    const int ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME };
    for (int i = 0; i < 3; i++) {
        clock_gettime(ids[i], &ts);
        long long until = ts.tv_sec * 1000000000ll + ts.tv_nsec + 2000000;
        ts = (struct timespec){ until / 1000000000, until % 1000000000 };
        CHECK_EQ(clock_nanosleep(ids[i], TIMER_ABSTIME, &ts, NULL), 0);
        CHECK(now_ns(ids[i]) >= until);
        ts = (struct timespec){ 1, 0 }; /* long past */
        CHECK_EQ(clock_nanosleep(ids[i], TIMER_ABSTIME, &ts, NULL), 0);
    }
    ts = (struct timespec){ 0, 1000000000 };
    CHECK_ERR(nanosleep(&ts, NULL), EINVAL);
    ts = (struct timespec){ -1, 0 };
    CHECK_ERR(nanosleep(&ts, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_nanosleep, 8, NULL), EFAULT);
    ts = (struct timespec){ 0, 1 };
    CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EOPNOTSUPP);
    CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &ts, NULL), EOPNOTSUPP);
    CHECK_ERR(syscall(SYS_clock_nanosleep, 77, 0, &ts, NULL), EINVAL);
}

static void itimers(void)
{
    struct itimerval it = { .it_value = { 100, 0 } }, old;
    catch_sig(SIGALRM);
    CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
    CHECK_EQ(getitimer(ITIMER_REAL, &old), 0);
    CHECK(old.it_value.tv_sec >= 98 && old.it_value.tv_sec <= 100);
    CHECK_EQ(alarm(50), 100);
    CHECK_EQ(alarm(0), 50);
    CHECK_EQ(alarm(0), 0);
    it.it_value = (struct timeval){ 0, 2000 };
    it.it_interval = (struct timeval){ 0, 2000 };
    CHECK_EQ(setitimer(ITIMER_REAL, &it, &old), 0);
    CHECK_EQ(old.it_value.tv_sec, 0);
    for (int i = 0; i < 1000 && hits < 4; i++)
        nap(1000000);
    CHECK(hits >= 4);
    CHECK_EQ(last_code, SI_KERNEL);
    it = (struct itimerval){ 0 };
    CHECK_EQ(setitimer(ITIMER_REAL, &it, &old), 0);
    CHECK_EQ(old.it_interval.tv_usec, 2000);
    int h = hits;
    nap(6000000);
    CHECK(hits <= h + 1);
    CHECK_ERR(setitimer(7, &it, NULL), EINVAL);
    CHECK_ERR(getitimer(7, &old), EINVAL);
    it.it_value.tv_usec = 1000000;
    CHECK_ERR(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
}

static void cpu_itimers(void)
{
    const int which[] = { ITIMER_PROF, ITIMER_VIRTUAL }, sig[] = { SIGPROF, SIGVTALRM };
    for (int i = 0; i < 2; i++) {
        struct itimerval it = { .it_value = { 0, 10000 } }, old;
        catch_sig(sig[i]);
        CHECK_EQ(setitimer(which[i], &it, NULL), 0);
        nap(15000000);
        CHECK_EQ(hits, 0); /* it does not run while the process sleeps */
        long long end = now_ns(CLOCK_MONOTONIC) + 2000000000;
        while (!hits && now_ns(CLOCK_MONOTONIC) < end) {
            for (volatile int k = 0; k < 100000; k++)
                ;
        }
        CHECK_EQ(hits, 1);
        CHECK_EQ(getitimer(which[i], &old), 0);
        CHECK_EQ(old.it_value.tv_usec, 0);
    }
}

static _Atomic int taken[3]; /* by the first thread, and by two that work */
static _Thread_local int who;

static void profiled(int sig)
{
    (void)sig;
    taken[who]++;
}

static void *works(void *arg)
{
    who = *(int *)arg;
    while (taken[1] + taken[2] < 200 || !taken[1] || !taken[2])
        ;
    return NULL;
}

/* Who uses the time gets the signal that says so, not who sleeps. */
static void profile(void)
{
    struct itimerval it = { .it_value = { 0, 4000 }, .it_interval = { 0, 4000 } };
    struct sigaction sa = { .sa_handler = profiled, .sa_flags = SA_RESTART };
    pthread_t th[2];
    int number[] = { 1, 2 };

    CHECK_EQ(sigaction(SIGPROF, &sa, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_PROF, &it, NULL), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&th[i], NULL, works, &number[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(th[i], NULL);
    it = (struct itimerval){ 0 };
    CHECK_EQ(setitimer(ITIMER_PROF, &it, NULL), 0);
    CHECK(taken[0] < taken[1] + taken[2]); /* it may be that nobody runs at that moment */
}

static void posix_timers(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
                           .sigev_signo = SIGRTMIN,
                           .sigev_value.sival_int = 77 };
    struct itimerspec its = { .it_value = { 0, 1000000 } }, old;
    timer_t id;
    catch_sig(SIGRTMIN);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &id), 0);
    CHECK_EQ(timer_settime(id, 0, &its, NULL), 0);
    for (int i = 0; i < 1000 && !hits; i++)
        nap(1000000);
    CHECK_EQ(hits, 1);
    CHECK_EQ(last_code, SI_TIMER);
    CHECK_EQ(last_value, 77);
    CHECK_EQ(last_overrun, 0);
    CHECK_EQ(timer_gettime(id, &old), 0);
    CHECK_EQ(old.it_value.tv_nsec, 0);
    /* Overruns: blocked for 20 periods and more. */
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &s, NULL);
    its.it_interval = (struct timespec){ 0, 1000000 };
    CHECK_EQ(timer_settime(id, 0, &its, NULL), 0);
    nap(25000000);
    its = (struct itimerspec){ .it_value = { 1000, 0 }, .it_interval = { 1000, 0 } };
    CHECK_EQ(hits, 1);
    sigprocmask(SIG_UNBLOCK, &s, NULL);
    CHECK(hits >= 2);
    CHECK_EQ(timer_settime(id, 0, &its, &old), 0);
    CHECK_EQ(old.it_interval.tv_nsec, 1000000);
    CHECK_EQ(timer_gettime(id, &old), 0);
    CHECK(old.it_value.tv_sec >= 998);
    CHECK_EQ(old.it_interval.tv_sec, 1000);
    CHECK_EQ(timer_delete(id), 0);
}

static void overrun(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct itimerspec its = { { 0, 1000000 }, { 0, 1000000 } };
    timer_t id;
    siginfo_t si;
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigprocmask(SIG_BLOCK, &s, NULL);
    CHECK_EQ(timer_create(CLOCK_REALTIME, &ev, &id), 0);
    CHECK_EQ(timer_settime(id, 0, &its, NULL), 0);
    nap(20000000);
    CHECK_EQ(sigwaitinfo(&s, &si), SIGUSR1);
    CHECK(si.si_overrun >= 15 && si.si_overrun < 1000);
    CHECK_EQ(timer_getoverrun(id), si.si_overrun);
    CHECK_EQ(timer_delete(id), 0);
    sigprocmask(SIG_UNBLOCK, &s, NULL);
}

static void absolute_and_silent(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_NONE };
    struct itimerspec its = { 0 }, cur;
    timer_t id;
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &id), 0);
    its.it_value.tv_nsec = 100000000;
    CHECK_EQ(timer_settime(id, 0, &its, NULL), 0);
    CHECK_EQ(timer_gettime(id, &cur), 0);
    CHECK(cur.it_value.tv_nsec > 0 && cur.it_value.tv_nsec <= 100000000);
    nap(150000000);
    CHECK_EQ(timer_gettime(id, &cur), 0);
    CHECK_EQ(cur.it_value.tv_nsec, 0);
    CHECK_EQ(timer_delete(id), 0);
    catch_sig(SIGALRM);
    CHECK_EQ(timer_create(CLOCK_REALTIME, NULL, &id), 0); /* SIGALRM */
    its.it_value = (struct timespec){ 1, 0 };             /* long past: at once */
    CHECK_EQ(timer_settime(id, TIMER_ABSTIME, &its, NULL), 0);
    for (int i = 0; i < 1000 && !hits; i++)
        nap(1000000);
    CHECK_EQ(hits, 1);
    CHECK_EQ(timer_delete(id), 0);
}

static void errors(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 99 };
    struct itimerspec its = { 0 };
    int id;
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
    ev = (struct sigevent){ .sigev_notify = 55, .sigev_signo = SIGUSR1 };
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
    CHECK_ERR(syscall(SYS_timer_create, 77, NULL, &id), EINVAL);
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC_COARSE, NULL, &id), EOPNOTSUPP);
    CHECK_ERR(syscall(SYS_timer_delete, 12345), EINVAL);
    CHECK_ERR(syscall(SYS_timer_gettime, 12345, &its), EINVAL);
    CHECK_ERR(syscall(SYS_timer_getoverrun, 12345), EINVAL);
    CHECK_ERR(syscall(SYS_timer_settime, 12345, 0, &its, NULL), EINVAL);
    CHECK_EQ(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id), 0);
    CHECK_ERR(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL);
    its.it_value.tv_nsec = 1000000000;
    CHECK_ERR(syscall(SYS_timer_settime, id, 0, &its, NULL), EINVAL);
    CHECK_EQ(syscall(SYS_timer_delete, id), 0);
    CHECK_ERR(syscall(SYS_timer_delete, id), EINVAL);
}

static volatile long worker_tid;
static volatile bool leave;

static void *worker(void *arg)
{
    (void)arg;
    worker_tid = syscall(SYS_gettid);
    while (!leave)
        nap(1000000);
    return NULL;
}

static void to_a_thread(void)
{
    pthread_t th;
    int id;
    pthread_create(&th, NULL, worker, NULL);
    while (!worker_tid)
        nap(1000000);
    struct {
        long value;
        int signo, notify, tid;
        char pad[44];
    } ev = { 1, SIGUSR2, 4, (int)worker_tid, "" };
    struct itimerspec its = { .it_value = { 0, 1000000 } };
    catch_sig(SIGUSR2);
    CHECK_EQ(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), 0);
    CHECK_EQ(syscall(SYS_timer_settime, id, 0, &its, NULL), 0);
    for (int i = 0; i < 1000 && !hits; i++)
        nap(1000000);
    CHECK_EQ(hits, 1);
    CHECK_EQ(last_tid, worker_tid);
    ev.tid = 0x3fffffff;
    int other;
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &other), EINVAL);
    leave = true;
    pthread_join(th, NULL);
    CHECK_EQ(syscall(SYS_timer_delete, id), 0);
}

static void cpu_timer(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
    struct itimerspec its = { .it_value = { 0, 5000000 } };
    timer_t id;
    catch_sig(SIGUSR2);
    CHECK_EQ(timer_create(CLOCK_PROCESS_CPUTIME_ID, &ev, &id), 0);
    CHECK_EQ(timer_settime(id, 0, &its, NULL), 0);
    nap(10000000);
    CHECK_EQ(hits, 0);
    long long end = now_ns(CLOCK_MONOTONIC) + 2000000000;
    while (!hits && now_ns(CLOCK_MONOTONIC) < end)
        ;
    CHECK_EQ(hits, 1);
    CHECK_EQ(timer_delete(id), 0);
}

int main(void)
{
    RUN(clocks);
    RUN(cpu_clocks);
    RUN(sleeps);
    RUN(itimers);
    RUN(cpu_itimers);
    RUN(profile);
    RUN(posix_timers);
    RUN(overrun);
    RUN(absolute_and_silent);
    RUN(errors);
    RUN(to_a_thread);
    RUN(cpu_timer);
    DONE();
}
