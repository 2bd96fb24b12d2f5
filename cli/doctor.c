/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sbx doctor`: what this host offers (host.h), in a screenful, and the command that would improve it;
 * with --self-test, what attacks on it come to (selftest.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "abi/landlock.h"
#include "abi/without.h"
#include "cli/cgroup.h"
#include "cli/cli.h"
#include "cli/error.h"
#include "cli/host.h"
#include "cli/netfence.h"
#include "cli/selftest.h"
#include "platform/platform.h"

struct finding {
    bool ok;
    char detail[96];
};

static unsigned kernel_major, kernel_minor;

static bool kernel_at_least(unsigned major, unsigned minor)
{
    return kernel_major > major || (kernel_major == major && kernel_minor >= minor);
}

static void result(struct finding *f, int err)
{
    f->ok = err == 0;
    snprintf(f->detail, sizeof f->detail, "%s", err ? strerror(err) : "");
}

static void find_sync(struct finding *f)
{
    f->ok = kernel_at_least(6, 6);
    snprintf(f->detail, sizeof f->detail, "%s", f->ok ? "" : "since Linux 6.6");
}

static void find_landlock(struct finding *f)
{
    int v = landlock_abi();

    result(f, v > 0 ? 0 : errno);
    if (v > 0)
        snprintf(f->detail, sizeof f->detail, "version %d", v);
}

static void find_cgroup(struct finding *f)
{
    int v = cgroup_version();

    f->ok = v > 0;
    if (v > 0)
        snprintf(f->detail, sizeof f->detail, "version %d holds memory and cpus", v);
    else
        snprintf(f->detail, sizeof f->detail, "none is ours to divide");
}

static const struct check {
    const char *name;
    uint64_t without;                /* bit of SBX_WITHOUT that switches it off */
    void (*find)(struct finding *f); /* NULL: probe says it all */
    int (*probe)(void);
    const char *cost; /* of its absence */
} checks[] = {
    { "seccomp filters", SBX_WITHOUT_SECCOMP, NULL, host_filter,
      "namespaces and Landlock alone fence, and calls are caught by ptrace" },
    { "  notification", SBX_WITHOUT_NOTIFY, NULL, host_notify,
      "calls are caught by ptrace, which takes several times as long" },
    { "  killable waits", SBX_WITHOUT_WAITKILLABLE, NULL, host_killable,
      "a caught host signal may repeat a call (Linux 5.19)" },
    { "  synchronous wake-up", SBX_WITHOUT_SYNC, find_sync, NULL,
      "a call costs up to 10 times as much" },
    { "process_vm_readv", SBX_WITHOUT_PROCESSVM, NULL, host_vm,
      "a call that writes to a read-only page does so, instead of EFAULT" },
    { "pidfd_getfd", SBX_WITHOUT_PROCESSVM, NULL, host_getfd,
      "threads that call at the same time wait for one another" },
    { "user namespaces", SBX_WITHOUT_USERNS, NULL, host_userns,
      "ordinary users: no namespaces at all, only seccomp and Landlock fence" },
    { "pid namespaces", SBX_WITHOUT_PIDNS, NULL, host_pidns,
      "programs are ended one by one, host process ids can be probed" },
    { "network namespaces", 0, NULL, host_netns, "only seccomp keeps the sentry off the network" },
    { "time namespaces", SBX_WITHOUT_TIMENS, NULL, host_timens, "uptime inside is the host's" },
    { "detached mounts", 0, NULL, host_mounts,
      "the gofer holds plain directories, fenced by Landlock" },
    { "Landlock", SBX_WITHOUT_LANDLOCK, find_landlock, NULL,
      "one fence less around all processes" },
    { "  TCP ports", SBX_WITHOUT_LANDLOCK, NULL, host_ports,
      "a net broker that was taken over is not held to the ports of the rules (Linux 6.7)" },
    { "eBPF", SBX_WITHOUT_BPF, NULL, host_netfence,
      "a net broker that was taken over is held to no address of the rules (root, cgroup v2)" },
    { "nameserver", 0, NULL, host_names, "no name is resolved by --allow-net, only numbers work" },
    { "ping sockets", 0, NULL, host_ping,
      "no ICMP echo by --allow-net (net.ipv4.ping_group_range)" },
    { "io_uring", SBX_WITHOUT_IOURING, NULL, host_iouring,
      "files and streams take the socket path" },
    { "cgroup", SBX_WITHOUT_CGROUP, find_cgroup, NULL, "memory limits are sampled, not enforced" },
};

/* The one command that would help most, or NULL. */
static const char *improvement(const bool *ok)
{
    for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
        if (ok[i])
            continue;
        if (checks[i].probe == host_userns)
            return host_help_userns();
        if (checks[i].probe == host_iouring &&
            access("/proc/sys/kernel/io_uring_disabled", F_OK) == 0)
            return host_help_iouring();
        if (checks[i].find == find_sync || checks[i].probe == host_killable)
            return "sudo apt install -t bookworm-backports linux-image-amd64";
        if (checks[i].find == find_cgroup && geteuid() != 0)
            return host_help_cgroup();
    }
    return NULL;
}

static void print_platforms(uint64_t without)
{
    static const struct platform *const all[] = { &platform_trap, &platform_ptrace };
    const char *why = NULL;
    const struct platform *p;

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        const char *no = NULL;
        bool works = platform_find(all[i]->name, without, &no) && !no && all[i]->probe(&no) == 0;

        printf("  %-22s %s\n", all[i]->name, works ? "works" : no ? no : "does not work here");
    }
    p = platform_find("auto", without, &why);
    if (p && why)
        printf("--platform=auto chooses %s, which is slower: %s\n", p->name, why);
    else if (p)
        printf("--platform=auto chooses %s: the best of those that work\n", p->name);
    else
        printf("--platform=auto finds none: %s\n", why ? why : "none works");
}

int cmd_doctor(int argc, char **argv)
{
    const char *bad, *help;
    uint64_t without = without_parse(getenv("SBX_WITHOUT"), &bad);
    bool ok[ARRAY_SIZE(checks)];
    struct utsname u;

    if (argc == 2 && strcmp(argv[1], "--self-test") == 0)
        return selftest();
    if (argc > 1)
        return fail(EXIT_SBX, "doctor: unknown argument %s; give nothing or --self-test", argv[1]);
    uname(&u);
    sscanf(u.release, "%u.%u", &kernel_major, &kernel_minor);
    printf("Linux %s, %ld cpus, %s:\n", u.release, sysconf(_SC_NPROCESSORS_ONLN),
           geteuid() == 0 ? "started by root" : "started by an ordinary user");
    for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
        struct finding f = { 0 };
        bool off = without & checks[i].without;

        if (!off && checks[i].probe)
            result(&f, checks[i].probe());
        else if (!off)
            checks[i].find(&f);
        ok[i] = f.ok;
        printf("  %-22s %-4s %s%s%s\n", checks[i].name, f.ok ? "yes" : "no",
               off ? "switched off by SBX_WITHOUT" : f.detail, f.ok ? "" : ": ",
               f.ok ? "" : checks[i].cost);
    }
    puts("Platforms:");
    print_platforms(without);
    help = improvement(ok);
    printf("%s%s\n", help ? "To improve this host: " : "Nothing to improve on this host.",
           help ? help : "");
    return 0;
}
