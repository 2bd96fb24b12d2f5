/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the children: namespaces, id maps, and the steps both share. Everything is tried at its
 * best first and then with less, because containers and distributions refuse different parts.
 *
 *   started by            user namespace                   without one
 *   root                  one host uid that owns nothing   the same uid, by setresuid
 *   an ordinary user      the caller's own uid             no namespaces at all
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <grp.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/unfenced.h"
#include "abi/without.h"
#include "cli/control.h"
#include "cli/error.h"
#include "cli/ids.h"
#include "cli/launch.h"
#include "cli/sanitize.h"

#define INSIDE_ID 1u /* the number that the lone id has in its map; not 0, which means something */

/* Every id of our own namespace, mapped to itself. */
static void identity_map(const char *which, char *buf, size_t n)
{
    struct idmap map;
    size_t used = 0;

    idmap_own(which, &map);
    buf[0] = 0;
    for (unsigned i = 0; i < map.n && used < n; i++) {
        const struct idmap_range *r = &map.ranges[i];

        used += (size_t)snprintf(buf + used, n - used, "%u %u %u\n", r->inside, r->inside,
                                 r->count);
    }
}

/* Outside of all user namespaces that is one line; inside of one it is refused, and asked for. */
static int write_identity(pid_t pid, const char *which)
{
    char map[IDMAP_RANGES * 34];

    if (ids_write(pid, which, "0 0 4294967295") == 0)
        return 0;
    identity_map(which, map, sizeof map);
    return ids_write(pid, which, map);
}

static int write_maps_root(pid_t pid, uid_t host_uid, bool whole)
{
    char map[512];
    int r;

    if (!whole) {
        snprintf(map, sizeof map, "%u %u 1", INSIDE_ID, host_uid);
        r = ids_write(pid, "uid_map", map);
        return r < 0 ? r : ids_write(pid, "gid_map", map);
    }
    r = write_identity(pid, "uid_map");
    return r < 0 ? r : write_identity(pid, "gid_map");
}

static int write_maps_user(pid_t pid)
{
    char map[64];
    int r;

    snprintf(map, sizeof map, "%u %u 1", getuid(), getuid());
    r = ids_write(pid, "uid_map", map);
    if (r < 0)
        return r;
    r = ids_write(pid, "setgroups", "deny");
    if (r < 0 && r != -ENOENT)
        return r;
    snprintf(map, sizeof map, "%u %u 1", getgid(), getgid());
    return ids_write(pid, "gid_map", map);
}

/* clone(2), not clone3: containers answer the latter with ENOSYS. */
static pid_t raw_clone(unsigned flags, int *ret_pidfd)
{
    long r = syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, ret_pidfd, NULL, NULL);

    return r < 0 ? -errno : (pid_t)r;
}

/* r, or -ECANCELED: somebody has ended it, so that it says nothing about what the host can do. */
static int give_up(pid_t pid, int pidfd, int go, int r)
{
    int status = 0;

    close(go); /* it reads the end of the file and leaves */
    waitpid(pid, &status, 0);
    close(pidfd);
    return WIFSIGNALED(status) ? -ECANCELED : r;
}

/* In a user namespace that an ordinary user has made nobody may drop groups. */
static bool groups_stay(void)
{
    char text[8] = "";
    FILE *f = fopen("/proc/self/setgroups", "re");
    bool denied = f && fgets(text, sizeof text, f) && strncmp(text, "deny", 4) == 0;

    if (f)
        fclose(f);
    return denied;
}

static pid_t try_spawn(unsigned flags, bool root, uid_t host_uid, bool whole, struct spawn *ret,
                       int *ret_pidfd)
{
    struct spawn sp = {
        .flags = flags, .root = root, .uid = (uid_t)-1, .groups_stay = root && groups_stay()
    };
    int fds[2], r = 0;
    pid_t pid;

    if (root)
        sp.uid = (flags & CLONE_NEWUSER) && !whole ? INSIDE_ID : host_uid;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    sp.go = fds[0];
    pid = raw_clone(flags, ret_pidfd);
    if (pid == 0) {
        close(fds[1]);
        *ret = sp;
        return 0;
    }
    close(fds[0]);
    if (pid < 0) {
        close(fds[1]);
        return pid;
    }
    if (flags & CLONE_NEWUSER)
        r = root ? write_maps_root(pid, host_uid, whole) : write_maps_user(pid);
    if (r == 0 && write(fds[1], "g", 1) != 1)
        r = -EPIPE;
    if (r < 0) {
        return give_up(pid, *ret_pidfd, fds[1], r);
    }
    close(fds[1]);
    *ret = sp;
    return pid;
}

/* Those that a test build is told to leave out. */
static unsigned unfenced_namespaces(void)
{
    return (unfenced("userns") ? CLONE_NEWUSER : 0) | (unfenced("mountns") ? CLONE_NEWNS : 0) |
           (unfenced("pidns") ? CLONE_NEWPID : 0) | (unfenced("ipcns") ? CLONE_NEWIPC : 0) |
           (unfenced("netns") ? CLONE_NEWNET : 0) | (unfenced("utsns") ? CLONE_NEWUTS : 0);
}

pid_t spawn(unsigned want, unsigned must, uint64_t without, uid_t host_uid, bool whole,
            struct spawn *ret, int *ret_pidfd)
{
    bool root = geteuid() == 0;
    unsigned left_out = unfenced_namespaces();
    unsigned others = want & ~(unsigned)CLONE_NEWUSER;
    unsigned tries[] = { want, want & ~(unsigned)(CLONE_NEWCGROUP | CLONE_NEWNET), others,
                         others & CLONE_NEWPID, 0 };
    pid_t pid = -EPERM;

    if (without & SBX_WITHOUT_PIDNS) {
        for (unsigned i = 0; i < ARRAY_SIZE(tries); i++)
            tries[i] &= ~(unsigned)CLONE_NEWPID;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(tries); i++) {
        tries[i] &= ~left_out;
        if ((tries[i] & must) != must ||
            ((tries[i] & CLONE_NEWUSER) && (without & SBX_WITHOUT_USERNS)))
            continue;
        if (!root && tries[i] && !(tries[i] & CLONE_NEWUSER))
            continue;
        pid = try_spawn(tries[i], root, host_uid, whole, ret, ret_pidfd);
        if (pid >= 0 || pid == -ECANCELED)
            return pid;
    }
    return pid;
}

static void die_with_parent(void)
{
    if (!unfenced("deathsig"))
        prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void child_begin(struct spawn *sp)
{
    sigset_t none;
    char c;

    sanitize_child();
    die_with_parent();
    sigemptyset(&none);
    for (int sig = 1; sig < 32; sig++) /* ignored ones are inherited through an exec */
        signal(sig, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* signals of the host's terminal are the front end's to forward */
    umask(0);
    if (read(sp->go, &c, 1) != 1)
        _exit(EXIT_SBX);
    close(sp->go);
}

int child_empty_root(void)
{
    int fs = (int)syscall(SYS_fsopen, "tmpfs", 1 /* FSOPEN_CLOEXEC */), root, r = 0;

    if (fs < 0)
        return -errno;
    syscall(SYS_fsconfig, fs, 1 /* FSCONFIG_SET_STRING */, "size", "4k", 0);
    syscall(SYS_fsconfig, fs, 1, "mode", "0555", 0);
    if (syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) < 0) {
        r = -errno;
        close(fs);
        return r;
    }
    root = (int)syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */,
                        MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
    if (root < 0 || fchdir(root) < 0 || chroot(".") < 0)
        r = -errno;
    if (r < 0 && root >= 0)
        close(root);
    close(fs);
    return r < 0 ? r : root;
}

int child_become(const struct spawn *sp)
{
    if (unfenced("ids"))
        return 0;
    if (sp->uid != (uid_t)-1) {
        prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
        if ((setgroups(0, NULL) < 0 && !sp->groups_stay) ||
            setresgid(sp->uid, sp->uid, sp->uid) < 0 || setresuid(sp->uid, sp->uid, sp->uid) < 0)
            return -errno;
    }
    die_with_parent(); /* a change of ids clears it */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int child_capabilities(uint64_t keep)
{
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct d[2] = { 0 };

    if (syscall(SYS_capget, &h, d) < 0)
        return -errno;
    for (unsigned i = 0; i < 2; i++) {
        d[i].permitted &= (uint32_t)(keep >> (32 * i));
        d[i].effective = d[i].permitted;
        d[i].inheritable = 0;
    }
    return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

void child_close_all_but(const int *keep, unsigned n, int null_fd)
{
    int at = 0;

    for (;;) { /* gaps between the kept ones, from below */
        int next = -1;

        for (unsigned i = 0; i < n; i++) {
            if (keep[i] >= at && (next < 0 || keep[i] < next))
                next = keep[i];
        }
        for (; at < 3 && at != next; at++) {
            if (null_fd >= 0)
                dup2(null_fd, at);
            else
                close(at);
        }
        if (next < 0) {
            hostfd_close_range((unsigned)at, ~0u);
            return;
        }
        if (next > at)
            hostfd_close_range((unsigned)at, (unsigned)next - 1);
        at = next + 1;
    }
}

void child_fail(int sock, int status, const char *fmt, ...)
{
    struct control_msg m = { .type = CTL_ERROR, .value = (uint64_t)status };
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(m.text, sizeof m.text, fmt, ap);
    va_end(ap);
    m.len = (uint32_t)strlen(m.text);
    send(sock, &m, sizeof m, MSG_NOSIGNAL);
    _exit(EXIT_SBX);
}
