/* SPDX-License-Identifier: Apache-2.0 */
/* Pending signals: masks, coalescing, order, siginfo, limits, what is dropped when. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static volatile int order[64], values[64], codes[64], n;
static volatile pid_t from;

static void note(int sig, siginfo_t *si, void *uc)
{
    (void)uc;
    if (n < 64) {
        order[n] = sig;
        values[n] = si->si_value.sival_int;
        codes[n] = si->si_code;
        from = si->si_pid;
        n++;
    }
}

static void catch_sig(int sig, int flags)
{
    struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | flags };
    sigfillset(&sa.sa_mask);
    CHECK_EQ(sigaction(sig, &sa, NULL), 0);
}

static void mask(int how, int a, int b)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, a);
    if (b)
        sigaddset(&s, b);
    CHECK_EQ(sigprocmask(how, &s, NULL), 0);
}

static bool pending(int sig)
{
    sigset_t s;
    CHECK_EQ(sigpending(&s), 0);
    return sigismember(&s, sig);
}

static void coalescing(void)
{
    catch_sig(SIGUSR1, 0);
    mask(SIG_BLOCK, SIGUSR1, 0);
    n = 0;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK(pending(SIGUSR1));
    CHECK_EQ(n, 0);
    mask(SIG_UNBLOCK, SIGUSR1, 0);
    CHECK_EQ(n, 1);
    CHECK_EQ(codes[0], SI_USER);
    CHECK_EQ(from, getpid());
    CHECK(!pending(SIGUSR1));
}

static void realtime_order(void)
{
    int hi = SIGRTMIN + 3, lo = SIGRTMIN + 1;
    catch_sig(hi, 0);
    catch_sig(lo, 0);
    catch_sig(SIGUSR2, 0);
    mask(SIG_BLOCK, hi, lo);
    mask(SIG_BLOCK, SIGUSR2, 0);
    n = 0;
    CHECK_EQ(sigqueue(getpid(), hi, (union sigval){ .sival_int = 1 }), 0);
    CHECK_EQ(sigqueue(getpid(), lo, (union sigval){ .sival_int = 2 }), 0);
    CHECK_EQ(sigqueue(getpid(), hi, (union sigval){ .sival_int = 3 }), 0);
    CHECK_EQ(sigqueue(getpid(), lo, (union sigval){ .sival_int = 4 }), 0);
    CHECK_EQ(kill(getpid(), SIGUSR2), 0);
    sigset_t all;
    sigemptyset(&all);
    CHECK_EQ(sigprocmask(SIG_SETMASK, &all, NULL), 0);
    /* All frames are built before the first handler runs, but each mask is full: so one by one. */
    int want[] = { SIGUSR2, lo, lo, hi, hi }, val[] = { 0, 2, 4, 1, 3 };
    CHECK_EQ(n, 5);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(order[i], want[i]);
        if (i)
            CHECK_EQ(values[i], val[i]);
    }
    CHECK_EQ(codes[1], SI_QUEUE);
}

static void thread_and_process(void)
{
    catch_sig(SIGUSR1, 0);
    mask(SIG_BLOCK, SIGUSR1, 0);
    n = 0;
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK_EQ(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1), 0);
    mask(SIG_UNBLOCK, SIGUSR1, 0);
    CHECK_EQ(n, 2); /* one pending for the thread, one for the process */
    CHECK_EQ(codes[0], SI_TKILL);
    CHECK_EQ(codes[1], SI_USER);
}

static void ignoring_drops(void)
{
    catch_sig(SIGUSR1, 0);
    mask(SIG_BLOCK, SIGUSR1, 0);
    n = 0;
    kill(getpid(), SIGUSR1);
    CHECK(pending(SIGUSR1));
    signal(SIGUSR1, SIG_IGN);
    CHECK(!pending(SIGUSR1));
    kill(getpid(), SIGUSR1); /* blocked: kept, although ignored now */
    CHECK(pending(SIGUSR1));
    catch_sig(SIGUSR1, 0);
    mask(SIG_UNBLOCK, SIGUSR1, 0);
    CHECK_EQ(n, 1);
    signal(SIGUSR1, SIG_IGN);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK(!pending(SIGUSR1));
}

static void stop_and_continue_cancel(void)
{
    catch_sig(SIGCONT, 0);
    catch_sig(SIGTSTP, 0);
    mask(SIG_BLOCK, SIGCONT, SIGTSTP);
    n = 0;
    kill(getpid(), SIGTSTP);
    CHECK(pending(SIGTSTP));
    kill(getpid(), SIGCONT);
    CHECK(!pending(SIGTSTP));
    CHECK(pending(SIGCONT));
    kill(getpid(), SIGTSTP);
    CHECK(!pending(SIGCONT));
    CHECK(pending(SIGTSTP));
    mask(SIG_UNBLOCK, SIGCONT, SIGTSTP);
    CHECK_EQ(n, 1);
    CHECK_EQ(order[0], SIGTSTP);
    signal(SIGTSTP, SIG_DFL);
    signal(SIGCONT, SIG_DFL);
}

static void limit(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        int sig = SIGRTMIN + 5, i, e = 0;
        struct rlimit rl = { 0, 0 };
        mask(SIG_BLOCK, sig, SIGUSR1);
        CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &rl), 0);
        CHECK_ERR(sigqueue(getpid(), sig, (union sigval){ 0 }), EAGAIN);
        CHECK_ERR(syscall(SYS_tgkill, getpid(), getpid(), sig), EAGAIN);
        CHECK_EQ(kill(getpid(), SIGUSR1), 0); /* standard ones go beyond */
        CHECK(pending(SIGUSR1));
        for (i = 0; i < 2; i++)
            e |= kill(getpid(), sig); /* and kill's real-time ones lose their siginfo */
        CHECK_EQ(e, 0);
        CHECK(pending(sig));
        _exit(guest_failures);
    }
    int st;
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
}

static void timedwait(void)
{
    sigset_t s;
    siginfo_t si;
    struct timespec zero = { 0, 0 }, ms = { 0, 5000000 }, bad = { 0, 1000000000 };
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &s, NULL);
    CHECK_ERR(sigtimedwait(&s, &si, &zero), EAGAIN);
    CHECK_ERR(sigtimedwait(&s, &si, &ms), EAGAIN);
    CHECK_ERR(sigtimedwait(&s, &si, &bad), EINVAL);
    sigqueue(getpid(), SIGRTMIN + 2, (union sigval){ .sival_int = 42 });
    kill(getpid(), SIGUSR1);
    CHECK_EQ(sigwaitinfo(&s, &si), SIGUSR1);
    CHECK_EQ(si.si_code, SI_USER);
    CHECK_EQ(sigwaitinfo(&s, &si), SIGRTMIN + 2);
    CHECK_EQ(si.si_code, SI_QUEUE);
    CHECK_EQ(si.si_value.sival_int, 42);
    CHECK_EQ(si.si_uid, getuid());
    /* One that comes while it waits, from a child. */
    pid_t me = getpid(), pid = fork();
    if (pid == 0) {
        kill(me, SIGUSR1);
        _exit(0);
    }
    CHECK_EQ(sigwaitinfo(&s, &si), SIGUSR1);
    CHECK_EQ(si.si_pid, pid);
    waitpid(pid, NULL, 0);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &s, NULL);
}

static void suspend(void)
{
    sigset_t s, old;
    catch_sig(SIGUSR1, 0);
    catch_sig(SIGUSR2, 0);
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGUSR2);
    sigprocmask(SIG_BLOCK, &s, &old);
    n = 0;
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    sigdelset(&s, SIGUSR1);
    CHECK_ERR(sigsuspend(&s), EINTR);
    CHECK_EQ(n, 1);
    CHECK_EQ(order[0], SIGUSR1);
    CHECK(pending(SIGUSR2));
    sigset_t now;
    sigprocmask(SIG_SETMASK, &old, &now);
    CHECK(sigismember(&now, SIGUSR1) && sigismember(&now, SIGUSR2));
    CHECK_EQ(n, 2);
}

static void errors(void)
{
    struct {
        void *h;
        unsigned long f;
        void *r;
        unsigned long m;
    } sa = { 0 };
    unsigned long set = ~0ul, old;
    CHECK_ERR(syscall(SYS_rt_sigaction, 0, &sa, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, 65, &sa, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGKILL, &sa, NULL, 8), EINVAL);
    CHECK_EQ(syscall(SYS_rt_sigaction, SIGKILL, NULL, &sa, 8), 0);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, &sa, NULL, 4), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, (void *)1, NULL, 8), EFAULT);
    CHECK_ERR(syscall(SYS_rt_sigprocmask, 7, &set, NULL, 8), EINVAL);
    CHECK_EQ(syscall(SYS_rt_sigprocmask, 7, NULL, &old, 8), 0);
    CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, NULL, 8), EFAULT);
    /* KILL and STOP stay out of a mask. */
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, &old, 8), 0);
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, &set, 8), 0);
    CHECK_EQ(set, ~(1ul << 8 | 1ul << 18));
    CHECK_ERR(kill(getpid(), 65), EINVAL);
    CHECK_ERR(kill(getpid(), -1), EINVAL);
    CHECK_ERR(kill(0x3fffffff, 0), ESRCH);
    CHECK_ERR(kill(-0x3fffffff, 0), ESRCH);
    CHECK_ERR(syscall(SYS_tgkill, 0, 1, 0), EINVAL);
    CHECK_ERR(syscall(SYS_tgkill, getpid(), -1, 0), EINVAL);
    CHECK_ERR(syscall(SYS_tgkill, 0x3fffffff, getpid(), 0), ESRCH);
    CHECK_ERR(syscall(SYS_tkill, 0, 0), EINVAL);
    siginfo_t si = { .si_code = SI_USER };
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &si), EPERM);
    CHECK_EQ(syscall(SYS_rt_sigqueueinfo, getpid(), 0, &si), 0);
    CHECK_ERR(syscall(SYS_rt_sigpending, &set, 16), EINVAL);
}

static void *thread_gets_it(void *arg)
{
    sigset_t *s = arg;
    siginfo_t si;
    return (void *)(long)sigwaitinfo(s, &si);
}

/* A process signal goes to whichever thread takes it. */
static void other_thread(void)
{
    sigset_t s;
    pthread_t th;
    void *r;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    CHECK_EQ(pthread_create(&th, NULL, thread_gets_it, &s), 0);
    CHECK_EQ(kill(getpid(), SIGUSR2), 0);
    CHECK_EQ(pthread_join(th, &r), 0);
    CHECK_EQ((long)r, SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
}

static void flags(void)
{
    catch_sig(SIGUSR1, SA_RESETHAND);
    n = 0;
    raise(SIGUSR1);
    struct sigaction sa;
    sigaction(SIGUSR1, NULL, &sa);
    CHECK(sa.sa_handler == SIG_DFL);
    CHECK_EQ(n, 1);
    struct {
        void *h;
        unsigned long f;
        void *r;
        unsigned long m;
    } raw = { SIG_IGN, ~0ul, 0, ~0ul };
    CHECK_EQ(syscall(SYS_rt_sigaction, SIGUSR1, &raw, NULL, 8), 0);
    CHECK_EQ(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &raw, 8), 0);
    CHECK_EQ(raw.f, 0xdc000807ul);
    CHECK_EQ(raw.m, ~(1ul << 8 | 1ul << 18));
    signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
    RUN(coalescing);
    RUN(realtime_order);
    RUN(thread_and_process);
    RUN(ignoring_drops);
    RUN(stop_and_continue_cancel);
    RUN(limit);
    RUN(timedwait);
    RUN(suspend);
    RUN(errors);
    RUN(other_thread);
    RUN(flags);
    DONE();
}
