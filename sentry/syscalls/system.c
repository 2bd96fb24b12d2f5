/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the system as a whole: names, memory, randomness. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/random.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>

#include "abi/hostio.h"
#include "abi/resource.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/vfs.h"

#define NAME_MAX_LX 64
#define LX_F_SEAL_EXEC 0x20u

/* What programs are told that know no release but 2.6: 6.12 is 2.6.72. */
static void as_2_6(char *release, size_t cap)
{
    unsigned major = 0, minor = 0, dots = 0;
    char rest[32];
    const char *p;

    sscanf(release, "%u.%u", &major, &minor);
    for (p = release; *p; p++) {
        if ((*p == '.' && ++dots == 3) || (*p != '.' && (*p < '0' || *p > '9')))
            break;
    }
    snprintf(rest, sizeof rest, "%.31s", p);
    snprintf(release, cap, "2.6.%u%s", minor + 60, rest);
}

long sys_uname(struct task *t, gaddr_t buf)
{
    struct lx_utsname u = { .sysname = SBX_UTS_SYSNAME,
                            .release = SBX_UTS_RELEASE,
                            .version = SBX_UTS_VERSION,
                            .machine = SBX_UTS_MACHINE };

    lock(&kernel.tasks_lock);
    memcpy(u.nodename, kernel.hostname, sizeof u.nodename);
    memcpy(u.domainname, kernel.domainname, sizeof u.domainname);
    unlock(&kernel.tasks_lock);
    if (t->personality & UNAME26)
        as_2_6(u.release, sizeof u.release);
    return put_guest(t, buf, &u);
}

static long set_name(struct task *t, char *which, gaddr_t name, int len)
{
    char buf[NAME_MAX_LX + 1] = "";

    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (len < 0 || len > NAME_MAX_LX)
        return -EINVAL;
    if (copy_in(t, buf, name, (size_t)len) < 0)
        return -EFAULT;
    LOCK_SCOPE(&kernel.tasks_lock);
    memcpy(which, buf, sizeof buf);
    return 0;
}

long sys_sethostname(struct task *t, gaddr_t name, int len)
{
    return set_name(t, kernel.hostname, name, len);
}

long sys_setdomainname(struct task *t, gaddr_t name, int len)
{
    return set_name(t, kernel.domainname, name, len);
}

long sys_sysinfo(struct task *t, gaddr_t info)
{
    const uint64_t total = kernel.mem_total, charged = kcharged(); /* each read once */
    struct lx_sysinfo s = {
        .uptime = ktime_boot() / 1000000000,
        .totalram = total,
        .freeram = charged < total ? total - charged : 0,
        .procs = (uint16_t)MIN(atomic_load(&kernel.ntasks), UINT16_MAX),
        .mem_unit = 1,
    };

    return put_guest(t, info, &s);
}

/* In pieces; the host's pool is ready long before any sandbox, so nothing here waits. */
long sys_getrandom(struct task *t, gaddr_t buf, size_t count, unsigned flags)
{
    unsigned char chunk[1024];
    size_t done = 0;

    if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
        (flags & (GRND_INSECURE | GRND_RANDOM)) == (GRND_INSECURE | GRND_RANDOM))
        return -EINVAL;
    count = MIN(count, MAX_RW_COUNT);
    while (done < count) {
        ssize_t n = getrandom(chunk, MIN(count - done, sizeof chunk), 0), r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return done ? (long)done : -EIO;
        r = copy_out_some(t, buf + done, chunk, (size_t)n);
        if (r > 0)
            done += (size_t)r;
        if (r < n)
            return done ? (long)done : -EFAULT;
        if (done >= 65536 && task_signal_pending(t))
            break;
    }
    return (long)done;
}

/* The caller waits on this worker, on the same cpu as a rule; but never where it may not be. */
static unsigned cpu_of(struct task *t)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    const uint64_t *may = t->sched.affinity;
    int c = MAX((int)hostio_cpu(), 0);
    unsigned first = 0;

    while (first < 16 && !may[first])
        first++;
    if (first == 16 || (c < 1024 && may[c / 64] >> c % 64 & 1))
        return (unsigned)c;
    return first * 64 + (unsigned)__builtin_ctzll(may[first]);
}

long sys_getcpu(struct task *t, gaddr_t cpu, gaddr_t node, gaddr_t cache)
{
    unsigned zero = 0, nr = cpu_of(t);

    (void)cache;
    if ((cpu && put_guest(t, cpu, &nr) < 0) || (node && put_guest(t, node, &zero) < 0))
        return -EFAULT;
    return 0;
}

long sys_syslog(struct task *t, int type, gaddr_t buf, int len)
{
    (void)t;
    (void)type;
    (void)buf;
    (void)len;
    return -EPERM;
}

/* The host's own, made by the caller's thread in its address space. */
long sys_membarrier(struct task *t, int cmd, unsigned flags, int cpu_id)
{
    struct as_op *op = call_scratch(t, sizeof *op);

    if (!op)
        return -ENOMEM;
    if (t->call.phase == 0) {
        t->call.phase = 1;
        *op = (struct as_op){ .kind = AS_MEMBARRIER,
                              .fd = -1,
                              .a = { (uint64_t)cmd, flags, (uint64_t)cpu_id } };
        return call_ops(t, op, 1);
    }
    return op->ret;
}
