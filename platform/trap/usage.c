/* SPDX-License-Identifier: Apache-2.0 */
/* What the host says of a stub's threads: how long they ran, and whether they sleep. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/types.h"
#include "platform/trap/trap.h"

bool ctx_sleeps(struct ctx *c)
{
    char name[48], text[512], *end;
    pid_t pid = c->stub->pid;
    ssize_t n;
    int fd;

    if (trap.proc_fd < 0 || pid <= 1 || c->tid <= 1)
        return false;
    snprintf(name, sizeof name, "%d/task/%d/stat", (int)pid, (int)c->tid);
    fd = openat(trap.proc_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    end = strrchr(text, ')');
    return end && end[1] && end[2] == 'S';
}

/* Its clock, which another process may read: nanoseconds, user and system together. */
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
    *ret_sys_ns = 0;
    return 0;
}

/* What stood on the clock of a ready thread at its start. The guest may write there, too. */
static uint64_t not_its_own(const struct ctx *c)
{
    return c->own ? __atomic_load_n(&c->block->cpu0, __ATOMIC_RELAXED) : 0;
}

/*
 * A thread's clock cannot be read from outside its process: from task/TID/schedstat, or task/TID/stat
 * (fields 14 and 15, in clock ticks).
 */
int ctx_cputime(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns)
{
    char path[64], buf[1024], *p;
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
            *ret_sys_ns = 0;
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
    p = strrchr(buf, ')');
    if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut, &st) != 2)
        return -ENOENT;
    *ret_user_ns = ut * 10000000ull;
    *ret_sys_ns = st * 10000000ull;
    return 0;
}
