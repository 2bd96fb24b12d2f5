/* SPDX-License-Identifier: Apache-2.0 */
/* See host.h. */
#include "cli/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/landlock.h"
#include "cli/cgroup.h"
#include "cli/launch.h"
#include "cli/network.h"

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

int host_userns(void)
{
    return in_child(CLONE_NEWUSER | CLONE_NEWNS, NULL);
}

int host_pidns(void)
{
    return in_child(with_user(CLONE_NEWPID), NULL);
}

int host_netns(void)
{
    return in_child(with_user(CLONE_NEWNET), NULL);
}

static int try_timens(void)
{
    return unshare(0x80 /* CLONE_NEWTIME */) < 0 ? errno : 0;
}

int host_timens(void)
{
    return in_child(with_user(CLONE_NEWNS), try_timens);
}

static int try_mounts(void)
{
    return syscall(SYS_open_tree, AT_FDCWD, "/usr", 1 /* OPEN_TREE_CLONE */ | 0x8000) < 0 ? errno
                                                                                          : 0;
}

int host_mounts(void)
{
    return in_child(with_user(CLONE_NEWNS), try_mounts);
}

int host_iouring(void)
{
    struct io_uring_params p = { .flags = IORING_SETUP_R_DISABLED };
    int fd = (int)syscall(SYS_io_uring_setup, 2, &p);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int notify_flags(unsigned flags)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* A null filter: EFAULT when the flags are known, EINVAL when they are not. */
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL);
    return errno == EFAULT ? 0 : errno;
}

static int try_filter(void)
{
    return notify_flags(0);
}

int host_filter(void)
{
    return in_child(0, try_filter);
}

static int try_notify(void)
{
    return notify_flags(SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

static int try_killable(void)
{
    return notify_flags(SECCOMP_FILTER_FLAG_NEW_LISTENER | (1u << 5) /* WAIT_KILLABLE_RECV */);
}

int host_notify(void)
{
    return in_child(0, try_notify);
}

int host_killable(void)
{
    return in_child(0, try_killable);
}

int host_vm(void)
{
    char from = 0, to;
    struct iovec l = { &to, 1 }, r = { &from, 1 };

    return process_vm_readv(getpid(), &l, 1, &r, 1, 0) == 1 ? 0 : errno;
}

int host_getfd(void)
{
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int fd = self < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, self, self, 0), err = fd < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    if (self >= 0)
        close(self);
    return err;
}

int host_landlock(void)
{
    return landlock_abi() > 0 ? 0 : errno;
}

int host_ports(void)
{
    int v = landlock_abi();

    return v <= 0 ? errno : v < 4 ? EOPNOTSUPP : 0;
}

/* Asked of the sysctl: the broker's group is not ours, when root starts it (cli/launch.c). */
int host_ping(void)
{
    unsigned long low, high, group = geteuid() == 0 ? LAUNCH_ID_BASE : getegid();
    FILE *file = fopen("/proc/sys/net/ipv4/ping_group_range", "re");
    int n = file ? fscanf(file, "%lu %lu", &low, &high) : 0;

    if (file)
        fclose(file);
    return n == 2 && low <= group && group <= high ? 0 : EACCES;
}

int host_names(void)
{
    struct network n = { .nservers = 0 };

    network_servers(&n);
    return n.nservers ? 0 : ENOENT;
}

int host_cgroup(void)
{
    return cgroup_version() > 0 ? 0 : ENODEV;
}

const char *host_help_userns(void)
{
    if (access("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", F_OK) == 0)
        return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
    if (access("/proc/sys/kernel/unprivileged_userns_clone", F_OK) == 0)
        return "sudo sysctl -w kernel.unprivileged_userns_clone=1";
    return "sudo sysctl -w user.max_user_namespaces=15000";
}

const char *host_help_iouring(void)
{
    if (access("/proc/sys/kernel/io_uring_disabled", F_OK) < 0)
        return "a kernel with io_uring, Linux 5.10 or later";
    return access("/.dockerenv", F_OK) == 0 ? "docker run --security-opt seccomp=unconfined ..."
                                            : "sudo sysctl -w kernel.io_uring_disabled=0";
}

const char *host_help_cgroup(void)
{
    return "systemd-run --user --scope -p Delegate=yes sbx run ...";
}
