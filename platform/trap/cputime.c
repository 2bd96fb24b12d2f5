/* SPDX-License-Identifier: Apache-2.0 */
/* What the host says of processor time: clocks, and how much of it was spent in its kernel. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/types.h"
#include "platform/trap/trap.h"

#define SPLIT_WORTH 20000000u /* ns: two ticks */

/* Fields 14 and 15 of a stat file, in clock ticks. */
static bool ticks_of(const char *text, unsigned long *ret_user, unsigned long *ret_sys)
{
    const char *p = strrchr(text, ')');

    return p && sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", ret_user,
                       ret_sys) == 2;
}

/* Divides what a clock has into user and system time, by the ticks that the host has seen in each. */
static void split_time(pid_t pid, const char *name, uint64_t *user_ns, uint64_t *ret_sys_ns)
{
    char text[512];
    unsigned long ut, st;

    *ret_sys_ns = 0;
    if (*user_ns < SPLIT_WORTH || proc_text(pid, name, text, sizeof text) < 0 ||
        !ticks_of(text, &ut, &st) || ut + st == 0)
        return;
    *ret_sys_ns = (uint64_t)((unsigned __int128)*user_ns * st / (ut + st));
    *user_ns -= *ret_sys_ns;
}

/* Its clock, which another process may read: nanoseconds. */
int ctx_process_cputime(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns)
{
    pid_t pid = c->stub->pid;
    clockid_t clock = (clockid_t)(~(unsigned)pid << 3 | 2u /* CPUCLOCK_SCHED */);
    struct timespec ts;

    if (pid <= 1)
        return -ENOENT;
    if (clock_gettime(clock, &ts) < 0)
        return -errno;
    *ret_user_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    split_time(pid, "stat", ret_user_ns, ret_sys_ns);
    return 0;
}

/* What stood on the clock of a ready thread at its start. The guest may write there, too. */
static uint64_t not_its_own(const struct ctx *c)
{
    return c->own ? __atomic_load_n(&c->block->cpu0, __ATOMIC_RELAXED) : 0;
}

bool ctx_sleeps(struct ctx *c)
{
    char text[512], name[48], *p;

    if (c->tid <= 1)
        return false;
    snprintf(name, sizeof name, "task/%d/stat", (int)c->tid);
    if (proc_text(c->stub->pid, name, text, sizeof text) < 0)
        return false;
    p = strrchr(text, ')');
    return p && p[1] == ' ' && p[2] == 'S';
}

/*
 * A thread's clock cannot be read from outside its process: from task/TID/schedstat, or task/TID/stat
 * (fields 14 and 15, in clock ticks).
 */
int ctx_cputime(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns)
{
    char path[64], buf[1024];
    unsigned long ut, st;
    ssize_t n;
    int fd;

    if (c->tid > 1 && c->tid == c->stub->pid && !atomic_load(&c->stub->threaded))
        return ctx_process_cputime(c, ret_user_ns, ret_sys_ns);
    if (trap.proc_fd < 0 || c->tid <= 1)
        return -ENOENT;
    snprintf(path, sizeof path, "%d/task/%d/schedstat", (int)c->stub->pid, (int)c->tid);
    fd = openat(trap.proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) { /* nanoseconds, user and system together */
        unsigned long long run;

        n = pread(fd, buf, sizeof buf - 1, 0);
        close(fd);
        if (n > 0 && (buf[n] = 0, sscanf(buf, "%llu", &run) == 1)) {
            *ret_user_ns = run - MIN(run, not_its_own(c));
            snprintf(path, sizeof path, "task/%d/stat", (int)c->tid);
            split_time(c->stub->pid, path, ret_user_ns, ret_sys_ns);
            return 0;
        }
    }
    snprintf(path, sizeof path, "%d/task/%d/stat", (int)c->stub->pid, (int)c->tid);
    fd = openat(trap.proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -ENOENT;
    n = pread(fd, buf, sizeof buf - 1, 0);
    close(fd);
    if (n <= 0)
        return -ENOENT;
    buf[n] = 0;
    if (!ticks_of(buf, &ut, &st))
        return -ENOENT;
    *ret_user_ns = ut * 10000000ull;
    *ret_sys_ns = st * 10000000ull;
    return 0;
}
