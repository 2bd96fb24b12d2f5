/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/hostile/gofer/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/types.h"

#define TEMPLATE "/tmp/sbx-hostile-XXXXXX"
#define VARIABLE "SBX_HOSTILE_BASE" /* for those that are exec'd */

static char base[] = TEMPLATE;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "not confined, nothing is attacked: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static int set_mounts(const char *path, unsigned flags, uint64_t set, uint64_t clear)
{
    struct mount_attr attr = { .attr_set = set, .attr_clr = clear };

    return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attr, sizeof(attr));
}

/* Wherever an attack might lead by mistake nothing can be written; here it can. */
static void look(void)
{
    static const char *const host[] = { "/",        "/bin",       "/boot",
                                        "/dev",     "/etc",       "/home",
                                        "/lib",     "/opt",       "/proc/sys/kernel/hostname",
                                        "/root",    "/run",       "/srv",
                                        "/sys",     "/sys/fs",    "/sys/fs/cgroup",
                                        "/dev/shm", "/tmp",       "/usr",
                                        "/usr/bin", "/usr/share", "/var",
                                        "/mnt",     "/var/tmp",   "/etc/passwd",
                                        "/var/lib", "/media" };

    for (unsigned i = 0; i < ARRAY_SIZE(host); i++) {
        bool held = faccessat(AT_FDCWD, host[i], W_OK, AT_EACCESS) < 0 &&
                    (errno == EROFS || errno == ENOENT);
        must(held, host[i]);
    }
    must(faccessat(AT_FDCWD, base, W_OK, AT_EACCESS) == 0, base);
}

static void enter(void)
{
    static const char *const in_proc[] = { "/proc/sys", "/proc/sysrq-trigger" };
    char proc[sizeof(base) + 8];

    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
    must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0, "a procfs");
    must(mount(base, base, NULL, MS_BIND, NULL) == 0, base);
    /* One that nothing covers, or the kernel gives a sandbox none; no attack knows its name. */
    snprintf(proc, sizeof(proc), "%s/procfs", base);
    must(mkdir(proc, 0700) == 0 && mount("proc", proc, "proc", 0, NULL) == 0, "another procfs");
    for (unsigned i = 0; i < ARRAY_SIZE(in_proc); i++)
        must(mount(in_proc[i], in_proc[i], NULL, MS_BIND, NULL) == 0 || errno == ENOENT,
             in_proc[i]);
    must(set_mounts("/", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0) == 0, "all of it read-only");
    must(set_mounts(base, AT_RECURSIVE, 0, MOUNT_ATTR_RDONLY) == 0, base);
    must(set_mounts("/proc", 0, 0, MOUNT_ATTR_RDONLY) == 0, "/proc"); /* ids are mapped there */
    look();
}

/* Waits for pid; what its parent is to exit with. */
static int end_of(pid_t pid)
{
    int status = -1;

    must(pid >= 0, "fork");
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

const char *confine_enter(void)
{
    char cmd[sizeof(base) + 64];
    pid_t pid;

    if (geteuid() != 0) {
        printf("skipped: not started by root, who alone can make the host read-only for it\n");
        exit(77);
    }
    must(mkdtemp(base) != NULL && chmod(base, 0755) == 0, base);
    setenv(VARIABLE, base, 1);
    pid = fork();
    if (pid) {
        int r = end_of(pid);
        snprintf(cmd, sizeof(cmd), "rm -rf --one-file-system %s", base);
        (void)!system(cmd);
        exit(r);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    must(unshare(CLONE_NEWNS | CLONE_NEWPID) == 0, "unshare");
    pid = fork(); /* number 1 there: with it all the others end */
    if (pid)
        _exit(end_of(pid));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    enter();
    return base;
}

const char *confine_again(void)
{
    const char *was = getenv(VARIABLE);

    must(was && strlen(was) == strlen(TEMPLATE) && !strncmp(was, TEMPLATE, strlen(TEMPLATE) - 6) &&
             !strchr(was + strlen(TEMPLATE) - 6, '/'),
         "no directory is told");
    strcpy(base, was);
    look();
    return base;
}
