/* SPDX-License-Identifier: Apache-2.0 */
/* Policies, nice values, I/O priorities, cpus: what is set is told, under the rules of who may. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

#define RESET 0x40000000

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
};

static int set(int policy, int priority)
{
    struct sched_param p = { priority };

    return (int)syscall(SYS_sched_setscheduler, 0, policy, &p);
}

static int policy(void)
{
    return (int)syscall(SYS_sched_getscheduler, 0);
}

static int in_child(int (*fn)(void))
{
    int st;
    pid_t pid = fork();

    if (pid == 0)
        _exit(fn());
    waitpid(pid, &st, 0);
    return WIFEXITED(st) ? WEXITSTATUS(st) : 255;
}

static void give_up_rights(void)
{
    if (getuid() == 0 && (setgid(54321) || setuid(54321)))
        _exit(100);
}

static int ordinary_ones(void)
{
    struct timespec ts;
    int bad = 0;

    bad |= set(SCHED_BATCH, 0) != 0 || policy() != SCHED_BATCH;
    bad |= (set(SCHED_BATCH, 1) != -1 || errno != EINVAL) << 1;
    bad |= (set(99, 0) != -1 || errno != EINVAL) << 2;
    bad |= (set(SCHED_IDLE, 0) != 0 || policy() != SCHED_IDLE) << 3;
    bad |= (sched_get_priority_max(SCHED_FIFO) != 99 || sched_get_priority_min(SCHED_RR) != 1 ||
            sched_get_priority_max(SCHED_OTHER) != 0 || sched_get_priority_max(77) != -1)
           << 4;
    bad |= (sched_rr_get_interval(0, &ts) != 0 || ts.tv_sec != 0) << 5;
    bad |= (sched_rr_get_interval(1 << 22, &ts) != -1 || errno != ESRCH) << 6;
    return bad;
}

static int without_rights(void)
{
    struct rlimit none = { 0, 0 };
    int bad = 0;

    setrlimit(RLIMIT_RTPRIO, &none);
    setrlimit(RLIMIT_NICE, &none);
    give_up_rights();
    bad |= set(SCHED_FIFO, 1) != -1 || errno != EPERM;
    bad |= (set(SCHED_FIFO, 0) != -1 || errno != EINVAL) << 1;
    bad |= (setpriority(PRIO_PROCESS, 0, 5) != 0 || getpriority(PRIO_PROCESS, 0) != 5) << 2;
    bad |= (setpriority(PRIO_PROCESS, 0, 0) != -1 || errno != EACCES) << 3;
    bad |= (setpriority(PRIO_PROCESS, 1, 6) != -1 || (errno != EPERM && errno != ESRCH)) << 4;
    bad |= (set(SCHED_IDLE, 0) != 0 || set(SCHED_OTHER, 0) != -1 || errno != EPERM) << 5;
    bad |= (syscall(SYS_ioprio_set, 1, 0, 1 << 13 | 4) != -1 || errno != EPERM) << 6;
    return bad;
}

/* With a limit that allows some. */
static int with_limits(void)
{
    struct rlimit rt = { 10, 10 }, nice_ = { 25, 25 };
    int bad = 0;

    if (setrlimit(RLIMIT_RTPRIO, &rt) || setrlimit(RLIMIT_NICE, &nice_))
        return errno != EPERM; /* no right to raise them: nothing to see */
    give_up_rights();
    bad |= set(SCHED_RR, 10) != 0 || policy() != SCHED_RR;
    bad |= (set(SCHED_RR, 11) != -1 || errno != EPERM) << 1;
    bad |= (set(SCHED_OTHER, 0) != 0) << 2;
    bad |= (setpriority(PRIO_PROCESS, 0, -5) != 0) << 3;
    bad |= (setpriority(PRIO_PROCESS, 0, -6) != -1 || errno != EACCES) << 4;
    return bad;
}

static int child_policy(void)
{
    return policy();
}

static int real_time(void)
{
    struct attr a = { 0 };
    struct timespec ts;
    int bad = 0;

    if (set(SCHED_RR | RESET, 5) < 0)
        return errno == EPERM ? 0 : 200; /* no right to it here: nothing to see */
    bad |= policy() != (SCHED_RR | RESET);
    bad |= (in_child(child_policy) != SCHED_OTHER) << 1;
    bad |= (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) != 0 || a.priority != 5 ||
            a.policy != SCHED_RR)
           << 2;
    bad |= (sched_rr_get_interval(0, &ts) != 0 || ts.tv_nsec == 0) << 3;
    bad |= (set(SCHED_FIFO, 100) != -1 || errno != EINVAL) << 4;
    bad |= (set(SCHED_OTHER, 0) != 0) << 5;
    return bad;
}

static int attributes(void)
{
    struct attr a = { .size = sizeof a, .policy = SCHED_BATCH, .nice = 7 }, got = { 0 };
    struct {
        struct attr a;
        uint64_t more;
    } longer = { .a = a, .more = 1 };
    int bad = 0;

    longer.a.size = sizeof longer;
    bad |= syscall(SYS_sched_setattr, 0, &a, 0) != 0;
    bad |= (syscall(SYS_sched_getattr, 0, &got, sizeof got, 0) != 0 || got.nice != 7 ||
            got.policy != SCHED_BATCH || got.size != sizeof got)
           << 1;
    bad |= (getpriority(PRIO_PROCESS, 0) != 7) << 2;
    bad |= (syscall(SYS_sched_setattr, 0, &longer, 0) != -1 || errno != E2BIG) << 3;
    bad |= (syscall(SYS_sched_setattr, 0, &a, 1) != -1 || errno != EINVAL) << 4;
    bad |= (syscall(SYS_sched_getattr, 0, &got, 8, 0) != -1 || errno != EINVAL) << 5;
    a.flags = 1ull << 40;
    bad |= (syscall(SYS_sched_setattr, 0, &a, 0) != -1 || errno != EINVAL) << 6;
    return bad;
}

static void *nice_of_thread(void *arg)
{
    (void)arg;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 9);
    return (void *)(intptr_t)getpriority(PRIO_PROCESS, 0);
}

/* A nice value is a thread's own. */
static int of_threads(void)
{
    int before = getpriority(PRIO_PROCESS, 0);
    pthread_t th;
    void *r;

    pthread_create(&th, NULL, nice_of_thread, NULL);
    pthread_join(th, &r);
    return (intptr_t)r != 9 || getpriority(PRIO_PROCESS, 0) != before;
}

static int io_priorities(void)
{
    int bad = 0;

    bad |= syscall(SYS_ioprio_set, 1, 0, 3 << 13) != 0 || syscall(SYS_ioprio_get, 1, 0) != 3 << 13;
    bad |= (syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6) != 0 ||
            syscall(SYS_ioprio_get, 1, 0) != (2 << 13 | 6))
           << 1;
    bad |= (syscall(SYS_ioprio_set, 1, 0, 7 << 13) != -1 || errno != EINVAL) << 2;
    bad |= (syscall(SYS_ioprio_set, 4, 0, 2 << 13) != -1 || errno != EINVAL) << 3;
    bad |= (syscall(SYS_ioprio_get, 1, 1 << 22) != -1 || errno != ESRCH) << 4;
    bad |= (syscall(SYS_ioprio_set, 1, 0, 4) != -1 || errno != EINVAL) << 5;
    return bad;
}

static void *cpu_of_thread(void *arg)
{
    cpu_set_t has;

    (void)arg;
    sched_getaffinity(0, sizeof has, &has);
    return (void *)(intptr_t)(CPU_COUNT(&has) == 1 ? sched_getcpu() : -2);
}

/* The host's thread runs where the guest wants it. */
static void cpus(void)
{
    cpu_set_t all, one, none;
    unsigned cpu;
    char line[256], want[32];
    int shown = 0;
    pthread_t th;
    void *r;

    CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
        for (int tries = 0; tries < 1000; tries++) { /* another may be moving it at this moment */
            CHECK_EQ(syscall(SYS_getcpu, &cpu, NULL, NULL), 0);
            if (cpu == (unsigned)i)
                break;
            usleep(1000);
        }
        CHECK_EQ(cpu, i);
        pthread_create(&th, NULL, cpu_of_thread, NULL);
        pthread_join(th, &r);
        CHECK_EQ((intptr_t)r, i);
        snprintf(want, sizeof want, "Cpus_allowed_list:\t%d\n", i);
        shown = 0;
        FILE *f = fopen("/proc/self/status", "r");
        while (f && fgets(line, sizeof line, f))
            shown += !strcmp(line, want);
        if (f)
            fclose(f);
        CHECK_EQ(shown, 1);
    }
    CPU_ZERO(&none);
    CHECK_ERR(sched_setaffinity(0, sizeof none, &none), EINVAL);
    CHECK_ERR(sched_setaffinity(1 << 22, sizeof one, &one), ESRCH);
    CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
}

static void rules(void)
{
    CHECK_EQ(in_child(ordinary_ones), 0);
    CHECK_EQ(in_child(without_rights), 0);
    CHECK_EQ(in_child(with_limits), 0);
    CHECK_EQ(in_child(real_time), 0);
    CHECK_EQ(in_child(attributes), 0);
    CHECK_EQ(in_child(of_threads), 0);
    CHECK_EQ(in_child(io_priorities), 0);
    CHECK_ERR(sched_setscheduler(1 << 22, SCHED_OTHER, &(struct sched_param){ 0 }), ESRCH);
    CHECK_ERR(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getparam, 0, NULL), EINVAL);
}

int main(void)
{
    RUN(rules);
    RUN(cpus);
    DONE();
}
