/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mask of blocked signals, where it may be changed without a call of the kernel: from sites that
 * are hot by then, and from one that can never be made so. No signal is lost between threads that
 * block and unblock it, and each call says what Linux says.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "callsite.h"
#include "guest.h"

SITE_EAX(site_mask, 14);
SITE_EAX(site_robust, 273);
SITE_EAX(site_rseq, 334);

/* Something stands between the number and the call: it always traps. */
__asm__(
    SITE_HEAD(cold_mask) "mov %rcx, %r10\n\tmov $14, %eax\n\tcmp %eax, %eax\n\tsyscall\n\tret\n");
extern long cold_mask(long, ...);

#define BIT(sig) (1ull << ((sig)-1))
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))

static long (*const sites[])(long, ...) = { site_mask, cold_mask };

static void warm_up(void)
{
    uint64_t none = 0, old;

    for (int i = 0; i < WARM; i++) {
        for (int k = 0; k < 2; k++)
            CHECK_EQ(sites[k](SIG_BLOCK, &none, &old, 8L), 0);
    }
}

static uint64_t now_blocked(long (*site)(long, ...))
{
    uint64_t old = ~0ull;

    CHECK_EQ(site(SIG_BLOCK, NULL, &old, 8L), 0);
    return old;
}

/* What each way of asking does, seen by the other way too. */
static void ways(void)
{
    for (int k = 0; k < 2; k++) {
        long (*site)(long, ...) = sites[k], (*other)(long, ...) = sites[!k];
        uint64_t a = BIT(SIGUSR1) | BIT(40), b = BIT(SIGUSR2), all = ~0ull, none = 0, old = 1;

        CHECK_EQ(site(SIG_SETMASK, &a, &old, 8L), 0);
        CHECK_EQ(old, 0);
        CHECK_EQ(site(SIG_BLOCK, &b, &old, 8L), 0);
        CHECK_EQ(old, a);
        CHECK_EQ(now_blocked(other), a | b);
        CHECK_EQ(site(SIG_UNBLOCK, &a, NULL, 8L), 0);
        CHECK_EQ(now_blocked(other), b);
        CHECK_EQ(site(SIG_SETMASK, &all, NULL, 8L), 0);
        CHECK_EQ(now_blocked(site), all & ~UNBLOCKABLE);
        CHECK_EQ(now_blocked(other), all & ~UNBLOCKABLE);
        CHECK_EQ(site(SIG_SETMASK, &none, &none, 8L), 0); /* the set is read before it is written */
        CHECK_EQ(none, all & ~UNBLOCKABLE);
        CHECK_EQ(now_blocked(site), 0);
    }
}

static void errors(void)
{
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t one = BIT(SIGUSR1), none = 0;

    CHECK(page != MAP_FAILED);
    for (int k = 0; k < 2; k++) {
        long (*site)(long, ...) = sites[k];

        CHECK_EQ(site(SIG_BLOCK, &one, NULL, 4L), -EINVAL);
        CHECK_EQ(site(7, &one, NULL, 8L), -EINVAL);
        CHECK_EQ(site(7, NULL, NULL, 8L), 0);
        CHECK_EQ(site(SIG_BLOCK, 8L, NULL, 8L), -EFAULT);
        CHECK_EQ(site(SIG_BLOCK, -1L, NULL, 8L), -EFAULT);
        CHECK_EQ(now_blocked(site), 0);
        /* the mask is changed by then */
        CHECK_EQ(site(SIG_BLOCK, &one, page, 8L), -EFAULT);
        CHECK_EQ(now_blocked(site), one);
        CHECK_EQ(site(SIG_SETMASK, &none, NULL, 8L), 0);
        CHECK_EQ(site(SIG_SETMASK, page, page, 8L), -EFAULT);
        CHECK_EQ(now_blocked(site), 0);
    }
    munmap(page, 4096);
}

static _Atomic int caught;

static void on_signal(int sig)
{
    (void)sig;
    atomic_fetch_add(&caught, 1);
}

static void handle(int sig)
{
    struct sigaction sa = { .sa_handler = on_signal };

    CHECK_EQ(sigaction(sig, &sa, NULL), 0);
}

/* Blocked, sent, pending, unblocked: it comes before the call that lets it in returns. */
static void pending(void)
{
    handle(SIGUSR1);
    for (int i = 0; i < 200; i++) {
        long (*site)(long, ...) = sites[i & 1];
        uint64_t one = BIT(SIGUSR1), set = 0;
        int before = caught;

        CHECK_EQ(site(SIG_BLOCK, &one, NULL, 8L), 0);
        CHECK_EQ(i & 2 ? kill(getpid(), SIGUSR1) : raise(SIGUSR1), 0);
        CHECK_EQ(caught, before);
        CHECK_EQ(syscall(SYS_rt_sigpending, &set, 8L), 0);
        CHECK_EQ(set, one);
        CHECK_EQ(now_blocked(site), one);
        CHECK_EQ(site(SIG_UNBLOCK, &one, NULL, 8L), 0);
        CHECK_EQ(caught, before + 1);
        CHECK_EQ(syscall(SYS_rt_sigpending, &set, 8L), 0);
        CHECK_EQ(set, 0);
    }
}

/* The handler's mask, the frame's, and that of a call that waits. */
static void in_handlers(void)
{
    struct sigaction sa = { .sa_handler = on_signal };
    uint64_t one = BIT(SIGUSR1), none = 0;
    sigset_t empty;
    int before = caught;

    sigemptyset(&empty);
    sigaddset(&sa.sa_mask, SIGUSR2);
    CHECK_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    CHECK_EQ(site_mask(SIG_BLOCK, &one, NULL, 8L), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_ERR(sigsuspend(&empty), EINTR);
    CHECK_EQ(caught, before + 1);
    CHECK_EQ(now_blocked(site_mask), one);
    CHECK_EQ(site_mask(SIG_SETMASK, &none, NULL, 8L), 0);
}

/* A forked child and a thread begin with what their maker has set; what they do is their own. */
static void *thread_inherits(void *arg)
{
    uint64_t all = ~0ull;

    (void)arg;
    CHECK_EQ(now_blocked(cold_mask), BIT(SIGUSR2));
    CHECK_EQ(cold_mask(SIG_SETMASK, &all, NULL, 8L), 0);
    return NULL;
}

static void inherited(void)
{
    uint64_t one = BIT(SIGUSR2), none = 0;
    pthread_t th;
    int status;
    pid_t pid;

    CHECK_EQ(site_mask(SIG_SETMASK, &one, NULL, 8L), 0);
    pid = fork();
    if (pid == 0) {
        for (int k = 0; k < 2; k++) {
            CHECK_EQ(now_blocked(sites[k]), one);
            CHECK_EQ(sites[k](SIG_SETMASK, &none, NULL, 8L), 0);
            CHECK_EQ(now_blocked(sites[k]), 0);
            CHECK_EQ(sites[k](SIG_SETMASK, &one, NULL, 8L), 0);
        }
        fflush(stdout);
        _exit(guest_failures != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(now_blocked(site_mask), one);
    CHECK_EQ(pthread_create(&th, NULL, thread_inherits, NULL), 0);
    CHECK_EQ(pthread_join(th, NULL), 0);
    CHECK_EQ(now_blocked(site_mask), one);
    CHECK_EQ(site_mask(SIG_SETMASK, &none, NULL, 8L), 0);
}

/*
 * One thread, then two, block and unblock the signal all the time while another process sends it to
 * this one: each is taken by somebody, or is pending at the end.
 */
static _Atomic bool stop;

static void *blinks(void *arg)
{
    long (*site)(long, ...) = sites[(long)arg & 1];
    uint64_t one = BIT(SIGUSR1), none = 0;

    while (!atomic_load(&stop)) {
        CHECK_EQ(site(SIG_SETMASK, &one, NULL, 8L), 0);
        CHECK_EQ(site(SIG_SETMASK, &none, NULL, 8L), 0);
    }
    CHECK_EQ(site(SIG_SETMASK, &one, NULL, 8L), 0);
    return NULL;
}

#define SENT 60

static void sender(pid_t to)
{
    for (int i = 0; i < SENT; i++) {
        if (kill(to, SIGUSR1) < 0)
            _exit(1);
        for (volatile int k = 0; k < i * 20; k++)
            ;
    }
    _exit(0);
}

static void none_is_lost(long threads)
{
    struct timespec patience = { .tv_sec = 20 };
    uint64_t one = BIT(SIGUSR1), usr2 = BIT(SIGUSR2);
    pthread_t th[2];
    sigset_t last;
    int status;
    pid_t pid;

    handle(SIGUSR1);
    atomic_store(&stop, false);
    CHECK_EQ(site_mask(SIG_BLOCK, &one, NULL, 8L), 0);
    for (long i = 0; i < threads; i++)
        CHECK_EQ(pthread_create(&th[i], NULL, blinks, (void *)i), 0);
    pid = fork();
    if (pid == 0)
        sender(getppid());
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    /* one that is sent now is taken while they blink */
    for (int i = 0; i < SENT; i++) {
        int before = atomic_load(&caught);
        struct timespec a, b;

        CHECK_EQ(kill(getpid(), SIGUSR1), 0);
        clock_gettime(CLOCK_MONOTONIC, &a);
        do {
            sched_yield();
            clock_gettime(CLOCK_MONOTONIC, &b);
        } while (atomic_load(&caught) == before && b.tv_sec - a.tv_sec < 20);
        CHECK(atomic_load(&caught) > before);
        if (guest_failures)
            break;
    }
    /* nobody takes it any more: it is pending, and this thread gets it */
    atomic_store(&stop, true);
    for (long i = 0; i < threads; i++)
        CHECK_EQ(pthread_join(th[i], NULL), 0);
    sigemptyset(&last);
    sigaddset(&last, SIGUSR1);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK_EQ(sigtimedwait(&last, NULL, &patience), SIGUSR1);
    CHECK_EQ(site_mask(SIG_SETMASK, &usr2, NULL, 8L), 0);
}

static void one_blinks(void)
{
    none_is_lost(1);
}

static void two_blink(void)
{
    none_is_lost(2);
}

/*
 * One thread blinks until the signal has been sent, and keeps it blocked from then on; the other never
 * blocks it. Whoever was to take it, it is taken.
 */
static _Atomic int sent;

static void *blinks_until(void *arg)
{
    uint64_t one = BIT(SIGUSR1), none = 0;

    (void)arg;
    while (!atomic_load(&stop)) {
        while (atomic_load(&sent) && !atomic_load(&stop))
            sched_yield();
        CHECK_EQ(site_mask(SIG_SETMASK, &none, NULL, 8L), 0);
        CHECK_EQ(site_mask(SIG_SETMASK, &one, NULL, 8L), 0);
    }
    return NULL;
}

static void *never_blocks(void *arg)
{
    uint64_t none = 0;

    (void)arg;
    CHECK_EQ(site_mask(SIG_SETMASK, &none, NULL, 8L), 0);
    while (!atomic_load(&stop))
        sched_yield();
    return NULL;
}

static void passed_on(void)
{
    struct timespec nap = { .tv_nsec = 200000 };
    uint64_t one = BIT(SIGUSR1), none = 0;
    pthread_t th[2];

    handle(SIGUSR1);
    atomic_store(&stop, false);
    CHECK_EQ(site_mask(SIG_BLOCK, &one, NULL, 8L), 0);
    CHECK_EQ(pthread_create(&th[0], NULL, blinks_until, NULL), 0);
    CHECK_EQ(pthread_create(&th[1], NULL, never_blocks, NULL), 0);
    for (int i = 0; i < SENT && !guest_failures; i++) {
        int before = atomic_load(&caught);

        atomic_store(&sent, 0);
        nanosleep(&nap, NULL);
        CHECK_EQ(kill(getpid(), SIGUSR1), 0);
        atomic_store(&sent, 1);
        for (int k = 0; k < 10000 && atomic_load(&caught) == before; k++)
            nanosleep(&nap, NULL);
        CHECK_EQ(atomic_load(&caught), before + 1);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(th[i], NULL), 0);
    CHECK_EQ(site_mask(SIG_SETMASK, &none, NULL, 8L), 0);
}

/* The head of the robust list and the rseq area are kept in the same way. */
static void kept_words(void)
{
    static uint64_t head[3] = { (uint64_t)head, 0, 0 };
    uint64_t old = 0, was = 0, size = 0;

    CHECK_EQ(syscall(SYS_get_robust_list, 0, &was, &size), 0);
    for (int i = 0; i < WARM; i++)
        CHECK_EQ(site_robust((long)head, 24L), 0);
    CHECK_EQ(syscall(SYS_get_robust_list, 0, &old, &size), 0);
    CHECK_EQ(old, (uint64_t)head);
    CHECK_EQ(size, 24);
    CHECK_EQ(site_robust((long)was, 23L), -EINVAL);
    CHECK_EQ(site_robust((long)was, 24L), 0);
    for (int i = 0; i < WARM; i++)
        CHECK_EQ(site_rseq(1L, 32L, 0L, 0L), -EINVAL);
}

int main(void)
{
    warm_up();
    RUN(ways);
    RUN(errors);
    RUN(pending);
    RUN(in_handlers);
    RUN(inherited);
    RUN(kept_words);
    RUN(one_blinks);
    RUN(two_blink);
    RUN(passed_on);
    DONE();
}
