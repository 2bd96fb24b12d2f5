/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sbx doctor`: what this host offers, in a screenful, and the command that would improve it. Each
 * row tries the thing itself, in a child where it changes the process: version numbers and files of
 * settings say less than an attempt.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/without.h"
#include "cli/cli.h"
#include "cli/error.h"
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

/* Runs fn in a child made with these namespaces; its result is 0 or an errno. */
static int in_child(unsigned flags, int (*fn)(void))
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0)
        return errno;
    if (pid == 0)
        _exit(fn ? fn() : 0);
    if (waitpid(pid, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

/* Namespaces are asked for as the launcher does: alone as root, else within a user namespace. */
static unsigned with_user(unsigned flags)
{
    return geteuid() == 0 ? flags : flags | CLONE_NEWUSER;
}

static void result(struct finding *f, int err, const char *good)
{
    f->ok = err == 0;
    snprintf(f->detail, sizeof f->detail, "%s", err ? strerror(err) : good);
}

static void find_userns(struct finding *f)
{
    result(f, in_child(CLONE_NEWUSER | CLONE_NEWNS, NULL), "");
}

static void find_pidns(struct finding *f)
{
    result(f, in_child(with_user(CLONE_NEWPID), NULL), "");
}

static void find_netns(struct finding *f)
{
    result(f, in_child(with_user(CLONE_NEWNET), NULL), "");
}

static int try_timens(void)
{
    return unshare(0x80 /* CLONE_NEWTIME */) < 0 ? errno : 0;
}

static void find_timens(struct finding *f)
{
    result(f, in_child(with_user(CLONE_NEWNS), try_timens), "");
}

static int try_mounts(void)
{
    return syscall(SYS_open_tree, AT_FDCWD, "/usr", 1 /* OPEN_TREE_CLONE */ | 0x8000) < 0 ? errno
                                                                                          : 0;
}

static void find_mounts(struct finding *f)
{
    result(f, in_child(with_user(CLONE_NEWNS), try_mounts), "");
}

static void find_iouring(struct finding *f)
{
    struct io_uring_params p = { .flags = IORING_SETUP_R_DISABLED };
    int fd = (int)syscall(SYS_io_uring_setup, 2, &p), err = fd < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    result(f, err, "");
}

static int notify_flags(unsigned flags)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* A null filter: EFAULT when the flags are known, EINVAL when they are not. */
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL);
    return errno == EFAULT ? 0 : errno;
}

static int try_notify(void)
{
    return notify_flags(SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

static int try_killable(void)
{
    return notify_flags(SECCOMP_FILTER_FLAG_NEW_LISTENER | (1u << 5) /* WAIT_KILLABLE_RECV */);
}

static void find_notify(struct finding *f)
{
    result(f, in_child(0, try_notify), "");
}

static void find_killable(struct finding *f)
{
    result(f, in_child(0, try_killable), "");
}

static void find_sync(struct finding *f)
{
    f->ok = kernel_at_least(6, 6);
    snprintf(f->detail, sizeof f->detail, "%s", f->ok ? "" : "since Linux 6.6");
}

static void find_vm(struct finding *f)
{
    char from = 0, to;
    struct iovec l = { &to, 1 }, r = { &from, 1 };

    result(f, process_vm_readv(getpid(), &l, 1, &r, 1, 0) == 1 ? 0 : errno, "");
}

static void find_getfd(struct finding *f)
{
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int fd = self < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, self, self, 0), err = fd < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    if (self >= 0)
        close(self);
    result(f, err, "");
}

static void find_landlock(struct finding *f)
{
    long v = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    f->ok = v > 0;
    if (f->ok)
        snprintf(f->detail, sizeof f->detail, "version %ld", v);
    else
        snprintf(f->detail, sizeof f->detail, "%s", strerror(errno));
}

static void find_cgroup(struct finding *f)
{
    char line[512] = "", path[600];
    FILE *file = fopen("/proc/self/cgroup", "re");

    if (file && fgets(line, sizeof line, file) && strncmp(line, "0::", 3) == 0) {
        line[strcspn(line, "\n")] = 0;
        snprintf(path, sizeof path, "/sys/fs/cgroup%s", line + 3);
        f->ok = access(path, W_OK) == 0;
        snprintf(f->detail, sizeof f->detail, "%s", f->ok ? "" : "not ours to divide");
    } else {
        snprintf(f->detail, sizeof f->detail, "no cgroup v2");
    }
    if (file)
        fclose(file);
}

static void find_kvm(struct finding *f)
{
    f->ok = access("/dev/kvm", R_OK | W_OK) == 0;
    snprintf(f->detail, sizeof f->detail, "%s",
             f->ok ? "not used by this version" : strerror(errno));
}

static const struct check {
    const char *name;
    uint64_t without; /* bit of SBX_WITHOUT that switches it off */
    void (*find)(struct finding *f);
    const char *cost; /* of its absence */
} checks[] = {
    { "seccomp notification", 0, find_notify, "no program can run (platform trap)" },
    { "  killable waits", SBX_WITHOUT_WAITKILLABLE, find_killable,
      "a caught host signal may repeat a call (Linux 5.19)" },
    { "  synchronous wake-up", SBX_WITHOUT_SYNC, find_sync, "a call costs up to 10 times as much" },
    { "process_vm_readv", SBX_WITHOUT_PROCESSVM, find_vm,
      "a call that writes to a read-only page does so, instead of EFAULT" },
    { "pidfd_getfd", SBX_WITHOUT_PROCESSVM, find_getfd,
      "threads that call at the same time wait for one another" },
    { "user namespaces", SBX_WITHOUT_USERNS, find_userns,
      "ordinary users: no namespaces at all, only seccomp and Landlock fence" },
    { "pid namespaces", SBX_WITHOUT_PIDNS, find_pidns,
      "programs are ended one by one, host process ids can be probed" },
    { "network namespaces", 0, find_netns, "only seccomp keeps the sentry off the network" },
    { "time namespaces", SBX_WITHOUT_TIMENS, find_timens, "uptime inside is the host's" },
    { "detached mounts", 0, find_mounts, "the gofer holds plain directories, fenced by Landlock" },
    { "Landlock", SBX_WITHOUT_LANDLOCK, find_landlock, "one fence less around the gofer" },
    { "io_uring", SBX_WITHOUT_IOURING, find_iouring, "files and streams take the socket path" },
    { "cgroup v2", SBX_WITHOUT_CGROUP, find_cgroup, "memory limits are sampled, not enforced" },
    { "KVM", 0, find_kvm, "nothing yet" },
};

/* The one command that would help most, or NULL. */
static const char *improvement(const bool *ok)
{
    for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
        if (ok[i])
            continue;
        if (checks[i].find == find_userns) {
            if (access("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", F_OK) == 0)
                return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
            if (access("/proc/sys/kernel/unprivileged_userns_clone", F_OK) == 0)
                return "sudo sysctl -w kernel.unprivileged_userns_clone=1";
            return "sudo sysctl -w user.max_user_namespaces=15000";
        }
        if (checks[i].find == find_iouring &&
            access("/proc/sys/kernel/io_uring_disabled", F_OK) == 0)
            return access("/.dockerenv", F_OK) == 0
                       ? "docker run --security-opt seccomp=unconfined ..."
                       : "sudo sysctl -w kernel.io_uring_disabled=0";
        if (checks[i].find == find_sync || checks[i].find == find_killable)
            return "sudo apt install -t bookworm-backports linux-image-amd64";
        if (checks[i].find == find_cgroup && geteuid() != 0)
            return "systemd-run --user --scope -p Delegate=yes sbx run ...";
    }
    return NULL;
}

static void print_platforms(void)
{
    static const struct platform *const all[] = { &platform_trap };
    const char *why = NULL;
    const struct platform *p;

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        int r = all[i]->probe(&why);

        printf("  %-22s %s\n", all[i]->name, r == 0 ? "works" : why ? why : "does not work here");
    }
    p = platform_find("auto", &why);
    if (p)
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

    if (argc > 1)
        return fail(EXIT_SBX, "doctor takes no argument, but was given %s", argv[1]);
    uname(&u);
    sscanf(u.release, "%u.%u", &kernel_major, &kernel_minor);
    printf("Linux %s, %ld cpus, %s\nHost:\n", u.release, sysconf(_SC_NPROCESSORS_ONLN),
           geteuid() == 0 ? "started by root" : "started by an ordinary user");
    for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
        struct finding f = { 0 };
        bool off = without & checks[i].without;

        if (!off)
            checks[i].find(&f);
        ok[i] = f.ok;
        printf("  %-22s %-4s %s%s%s\n", checks[i].name, f.ok ? "yes" : "no",
               off ? "switched off by SBX_WITHOUT" : f.detail, f.ok ? "" : ": ",
               f.ok ? "" : checks[i].cost);
    }
    puts("Platforms:");
    print_platforms();
    help = improvement(ok);
    printf("%s%s\n", help ? "To improve this host: " : "Nothing to improve on this host.",
           help ? help : "");
    return 0;
}
