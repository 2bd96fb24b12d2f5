/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the host's files, processes, sockets and identity, by ordinary calls (attack.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "cli/attack.h"
#include "cli/error.h"

/* ---- files ---- */

const char *attack_by_path(const struct bait *b)
{
    const char *path = xasprintf("%s/bait", b->dir), *r = reads_bait(AT_FDCWD, path, "open");
    struct stat st;

    if (!r && stat(path, &st) == 0)
        r = "stat finds it";
    if (!r && access(path, F_OK) == 0)
        r = "access finds it";
    if (!r && inotify_add_watch(inotify_init1(0), path, IN_ALL_EVENTS) >= 0)
        r = "it can be watched";
    return r;
}

/* By a handle, as a container's runtime could once be left. */
static const char *by_handle(const struct bait *b)
{
    struct {
        unsigned bytes;
        int type;
        unsigned char data[128];
    } h = { .bytes = 128 };
    const char *path = xasprintf("%s/bait", b->dir);
    int mount_id;

    if (syscall(SYS_name_to_handle_at, AT_FDCWD, path, &h, &mount_id, 0) == 0)
        return "name_to_handle_at finds it";
    h.bytes = 8;
    h.type = 1;
    h.data[0] = 2; /* inode 2: a root directory */
    int root = open("/", O_RDONLY | O_DIRECTORY);
    long fd = syscall(SYS_open_by_handle_at, root, &h, O_RDONLY);

    return fd >= 0 ? "open_by_handle_at opens a root" : NULL;
}

const char *attack_by_links(const struct bait *b)
{
    static const char *const ways[] = { "link",
                                        "link-up",
                                        "../bait",
                                        "sub/../../bait",
                                        "/proc/self/cwd/../bait",
                                        "/proc/self/root/../proc/1/cwd/../bait" };
    const char *r = NULL, *path;

    for (unsigned i = 0; !r && i < ARRAY_SIZE(ways); i++)
        r = reads_bait(AT_FDCWD, ways[i], ways[i]);
    const char *roots[] = { "/proc/1", "/proc/2", "/proc/self", xasprintf("/proc/%d", b->pid) };

    for (unsigned i = 0; !r && i < ARRAY_SIZE(roots); i++) {
        path = xasprintf("%s/root%s/bait", roots[i], b->dir);
        r = reads_bait(AT_FDCWD, path, path);
        path = xasprintf("%s/cwd/../bait", roots[i]);
        r = r ? r : reads_bait(AT_FDCWD, path, path);
    }
    for (int fd = 0; !r && fd < 64; fd++) { /* what sbx itself has open */
        path = xasprintf("/proc/self/fd/%d/../bait", fd);
        r = reads_bait(AT_FDCWD, path, path);
        path = xasprintf("..%s/bait", b->dir);
        r = r ? r : reads_bait(fd, path, "a descriptor that was left open");
    }
    return r ? r : by_handle(b);
}

/* It may seem to succeed: what is written stays inside. The self-test looks at the host afterwards. */
const char *attack_write(const struct bait *b)
{
    int fd = open("given", O_WRONLY | O_TRUNC);

    if (fd >= 0) {
        (void)!write(fd, "changed", 7);
        (void)!fchmod(fd, 0777);
        close(fd);
    }
    fd = open("new", O_WRONLY | O_CREAT, 0666);
    if (fd >= 0)
        close(fd);
    (void)!mkdir("new-dir", 0777);
    (void)!unlink("sub/gone");
    (void)!rename("sub", "moved");
    (void)!symlink("x", "new-link");
    (void)!chown("given", 12345, 12345);
    (void)!setxattr("given", "user.sbx", "x", 1, 0);
    fd = open(xasprintf("%s/bait", b->dir), O_WRONLY | O_TRUNC);
    if (fd >= 0)
        close(fd);
    fd = open("given", O_RDWR);
    char *p = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED && ftruncate(fd, 4096) == 0) {
        memset(p, 'x', 16);
        msync(p, 4096, MS_SYNC);
    }
    return NULL;
}

/* ---- sockets ---- */

static const char *connects(int domain, const void *addr, size_t len)
{
    static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        int fd = socket(domain, types[i] | SOCK_CLOEXEC, 0);

        if (fd < 0)
            continue;
        if (types[i] != SOCK_DGRAM || domain == AF_UNIX) {
            if (connect(fd, addr, (socklen_t)len) == 0)
                return "connected";
        } else if (sendto(fd, "x", 1, 0, addr, (socklen_t)len) == 1) {
            /* sent to the loopback inside, or out: the self-test looks */
        }
        close(fd);
    }
    return NULL;
}

/* Packet sockets are the sandbox's own: with one no interface of the host's is there, and nothing of it is heard. */
static const char *hears(void)
{
    struct if_nameindex *all = if_nameindex();
    struct pollfd p = { .fd = socket(AF_PACKET, SOCK_RAW, htons(3)), .events = POLLIN };
    const char *r = NULL;

    for (unsigned i = 0; p.fd >= 0 && all && all[i].if_index && !r; i++) {
        if (strcmp(all[i].if_name, "lo") != 0)
            r = through("a packet socket, and the interface %s", all[i].if_name);
    }
    if (all)
        if_freenameindex(all);
    if (p.fd >= 0 && !r && poll(&p, 1, 50) > 0)
        r = "a packet socket hears others";
    if (p.fd >= 0)
        close(p.fd);
    return r;
}

const char *attack_tcp(const struct bait *b)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)b->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
                                .sin6_port = htons((uint16_t)b->port),
                                .sin6_addr = { { { [10] = 0xff, 0xff, 127, 0, 0, 1 } } } };
    const char *r = connects(AF_INET, &in, sizeof in);

    in.sin_addr.s_addr = htonl(INADDR_ANY);
    r = r ? r : connects(AF_INET, &in, sizeof in);
    r = r ? r : connects(AF_INET6, &in6, sizeof in6);
    return r ? r : hears();
}

const char *attack_abstract(const struct bait *b)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    size_t n = MIN(strlen(b->abstract), sizeof un.sun_path - 1);

    memcpy(un.sun_path + 1, b->abstract, n);
    return connects(AF_UNIX, &un, offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

const char *attack_unix(const struct bait *b)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "sock" };
    const char *r = connects(AF_UNIX, &un, sizeof un);

    snprintf(un.sun_path, sizeof un.sun_path, "%s/work/sock", b->dir);
    return r ? r : connects(AF_UNIX, &un, sizeof un);
}

/* ---- processes ---- */

const char *attack_signal(const struct bait *b)
{
    int fd;

    if (kill(b->pid, SIGUSR1) == 0 || kill(-b->pid, SIGUSR1) == 0)
        return "kill";
    if (syscall(SYS_tgkill, b->pid, b->pid, SIGUSR1) == 0 ||
        syscall(SYS_tkill, b->pid, SIGUSR1) == 0)
        return "tgkill";
    fd = (int)syscall(SYS_pidfd_open, b->pid, 0);
    if (fd >= 0)
        return "pidfd_open";
    fd = open(".", O_RDONLY); /* a lease's or a directory's owner is signalled when it changes */
    if (fd >= 0 && fcntl(fd, F_SETOWN, b->pid) == 0 && fcntl(fd, F_GETOWN) == b->pid)
        return "F_SETOWN";
    return NULL;
}

const char *attack_see(const struct bait *b)
{
    struct stat st;

    if (stat(xasprintf("/proc/%d", b->pid), &st) == 0)
        return "/proc shows it";
    if (kill(b->pid, 0) == 0 || errno == EPERM)
        return "kill tells that it is there";
    if (getpgid(b->pid) >= 0 || getsid(b->pid) >= 0)
        return "getpgid tells its group";
    if (sched_getscheduler(b->pid) >= 0)
        return "sched_getscheduler tells of it";
    if (getpid() > 5000 || getppid() == b->pid)
        return "numbers are the host's";
    return NULL;
}

const char *attack_trace(const struct bait *b)
{
    char byte;
    struct iovec to = { &byte, 1 }, from = { (void *)(uintptr_t)&attack_trace, 1 };

    if (ptrace(PTRACE_ATTACH, b->pid, NULL, NULL) == 0 ||
        ptrace(PTRACE_SEIZE, b->pid, NULL, NULL) == 0)
        return "ptrace";
    if (process_vm_readv(b->pid, &to, 1, &from, 1, 0) >= 0)
        return "process_vm_readv";
    if (open(xasprintf("/proc/%d/mem", b->pid), O_RDONLY) >= 0)
        return "/proc/PID/mem";
    int fd = open("/proc/1/mem", O_RDWR); /* inside it is the sentry, by name */

    return fd >= 0 && pread(fd, &byte, 1, (off_t)(uintptr_t)&attack_trace) > 0 ? "process 1" : NULL;
}

/* ---- devices, mounts, namespaces ---- */

const char *attack_devices(const struct bait *b)
{
    static const char *const nodes[] = { "/dev/mem",   "/dev/kmem", "/dev/port",    "/dev/kmsg",
                                         "/dev/sda",   "/dev/vda",  "/dev/nvme0n1", "/dev/loop0",
                                         "/dev/kvm",   "/dev/fuse", "/dev/tty0",    "/dev/net/tun",
                                         "/dev/input", "/dev/dri" };
    static const struct {
        mode_t type;
        unsigned major, minor;
    } made[] = { { S_IFCHR, 1, 1 },   { S_IFCHR, 1, 11 }, { S_IFBLK, 8, 0 },
                 { S_IFBLK, 254, 0 }, { S_IFBLK, 7, 0 },  { S_IFCHR, 10, 232 } };

    (void)b;
    for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++) {
        if (open(nodes[i], O_RDONLY | O_NONBLOCK) >= 0)
            return nodes[i];
    }
    for (unsigned i = 0; i < ARRAY_SIZE(made); i++) {
        const char *name = xasprintf("/tmp/node%u", i);
        dev_t dev = makedev(made[i].major, made[i].minor);

        if (mknod(name, made[i].type | 0600, dev) == 0 && open(name, O_RDONLY | O_NONBLOCK) >= 0)
            return through("a node %u:%u that was made", made[i].major, made[i].minor);
    }
    return NULL;
}

static const char *bait_or_process(const struct bait *b, const char *root, const char *by)
{
    struct stat st;
    const char *r = reads_bait(AT_FDCWD, xasprintf("%s%s/bait", root, b->dir), by);

    if (!r && stat(xasprintf("%s/%d/status", root, b->pid), &st) == 0)
        r = by;
    return r;
}

const char *attack_mounts(const struct bait *b)
{
    static const char *const types[] = { "proc", "sysfs", "devtmpfs", "cgroup2", "debugfs" };
    const char *r = NULL;
    int up = open("/", O_PATH | O_DIRECTORY);

    (void)!mkdir("/tmp/m", 0777);
    for (unsigned i = 0; !r && i < ARRAY_SIZE(types); i++) {
        if (mount("none", "/tmp/m", types[i], 0, NULL) < 0)
            continue;
        r = bait_or_process(b, "/tmp/m", types[i]);
        r = r ? r
            : access("/tmp/m/kcore", R_OK) == 0 || access("/tmp/m/sda", F_OK) == 0 ||
                    access("/tmp/m/cgroup.controllers", F_OK) == 0
                ? types[i]
                : NULL;
    }
    if (!r && mount("/dev/vda", "/tmp/m", "ext4", MS_RDONLY, NULL) == 0)
        r = "a block device";
    if (!r && mount("/", "/tmp/m", NULL, MS_BIND | MS_REC, NULL) == 0)
        r = bait_or_process(b, "/tmp/m", "a bind mount");
    /* The sentry has file systems of its own to open, but none of these. */
    if (!r && (syscall(SYS_fsopen, "ext4", 0) >= 0 || syscall(SYS_fsopen, "cgroup2", 0) >= 0))
        r = "fsopen";
    if (!r && chroot("/tmp/m") == 0 && fchdir(up) == 0) { /* out of a chroot by what was open */
        for (int i = 0; i < 30; i++)
            (void)!chdir("..");
        (void)!chroot(".");
        r = bait_or_process(b, "", "chroot");
    }
    return r;
}

const char *attack_namespaces(const struct bait *b)
{
    static const int kinds[] = { CLONE_NEWUSER | CLONE_NEWNS,
                                 CLONE_NEWUSER,
                                 CLONE_NEWNS,
                                 CLONE_NEWPID,
                                 CLONE_NEWNET,
                                 CLONE_NEWIPC,
                                 CLONE_NEWUTS };
    static const char *const names[] = { "mnt", "pid", "net", "user" };
    const char *r = NULL;

    for (unsigned i = 0; !r && i < ARRAY_SIZE(kinds); i++) {
        pid_t pid = fork();
        int status = 0;

        if (pid == 0) { /* having them would be no harm in itself: what is seen from there counts */
            (void)!unshare(kinds[i]);
            _exit(bait_or_process(b, "", "x") || attack_tcp(b) ? 1 : 0);
        }
        if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status))
            r = through("unshare %#x", (unsigned)kinds[i]);
    }
    const int pids[] = { 1, b->pid };

    for (unsigned p = 0; !r && p < 2; p++) {
        for (unsigned i = 0; !r && i < ARRAY_SIZE(names); i++) {
            int fd = open(xasprintf("/proc/%d/ns/%s", pids[p], names[i]), O_RDONLY);

            if (fd >= 0 && setns(fd, 0) == 0)
                r = bait_or_process(b, "", "setns");
        }
    }
    return r;
}

/* ---- leaks ---- */

const char *attack_fresh_memory(const struct bait *b)
{
    const size_t n = 32u << 20;
    unsigned char *p, buf[4096];
    int fd;

    (void)b;
    p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | 0x4000000, -1, 0);
    if (p == MAP_FAILED)
        p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; p != MAP_FAILED && i < n; i += 8) {
        if (*(uint64_t *)(p + i))
            return "an anonymous map";
    }
    fd = open("/tmp/sparse", O_RDWR | O_CREAT, 0600);
    if (fd >= 0 && ftruncate(fd, 1 << 20) == 0 && pwrite(fd, "x", 1, 8191) == 1) {
        for (off_t at = 0; at < 1 << 20; at += (off_t)sizeof buf) {
            if (pread(fd, buf, sizeof buf, at) != (ssize_t)sizeof buf)
                continue;
            for (size_t i = 0; i < sizeof buf; i++) {
                if (buf[i] && at + (off_t)i != 8191)
                    return "a hole of a file";
            }
        }
    }
    return NULL;
}

static bool file_holds(const char *path, const char *words)
{
    static char text[65536];
    int fd = *words ? open(path, O_RDONLY) : -1;
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);

    if (fd >= 0)
        close(fd);
    return n > 0 && memmem(text, (size_t)n, words, strlen(words));
}

const char *attack_names(const struct bait *b)
{
    static const char *const disks[] = { "sda", "vda", "nvme0", "/mapper/" };
    struct utsname u;
    struct timespec up;

    if (uname(&u) == 0 && strcmp(u.nodename, b->hostname) == 0 && strcmp(b->hostname, "sbx") != 0)
        return "its name";
    if (file_holds("/proc/sys/kernel/random/boot_id", b->boot_id))
        return "its boot id";
    if (access("/etc/machine-id", R_OK) == 0 || access("/var/lib/dbus/machine-id", R_OK) == 0 ||
        access("/sys/class/dmi/id/product_uuid", F_OK) == 0)
        return "its machine id";
    if (clock_gettime(CLOCK_BOOTTIME, &up) == 0 && b->uptime > 120 && up.tv_sec > b->uptime - 60 &&
        up.tv_sec < b->uptime + 60)
        return "its uptime (clock_gettime)";
    if (getenv(b->secret) || file_holds("/proc/self/environ", b->secret) ||
        file_holds("/proc/1/environ", b->secret))
        return "the caller's environment";
    for (unsigned i = 0; i < ARRAY_SIZE(disks); i++) {
        if (file_holds("/proc/self/mountinfo", disks[i]) ||
            file_holds("/proc/partitions", disks[i]))
            return "its disks";
    }
    return file_holds("/proc/1/cmdline", "--self-test") ? "a command line" : NULL;
}

const char *attack_kernel(const struct bait *b)
{
    static const char *const files[] = { "/proc/kcore",        "/proc/kallsyms",
                                         "/proc/kmsg",         "/proc/self/stack",
                                         "/proc/1/stack",      "/sys/kernel/notes",
                                         "/sys/kernel/debug",  "/sys/module",
                                         "/proc/sysrq-trigger" };
    char buf[64] = "";

    (void)b;
    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        int fd = open(files[i], O_RDONLY | O_NONBLOCK);
        ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof buf);

        if (n > 0 && memcmp(buf, "0000000000000000", 16) != 0) /* kallsyms without addresses */
            return files[i];
    }
    if (open("/proc/sysrq-trigger", O_WRONLY) >= 0)
        return "/proc/sysrq-trigger";
    return syscall(SYS_syslog, 3 /* READ_ALL */, buf, sizeof buf) > 0 ? "syslog" : NULL;
}

const char *attack_ipc(const struct bait *b)
{
    if (b->shm_key && shmget(b->shm_key, 0, 0) >= 0)
        return "a SysV segment";
    if (open(xasprintf("/dev/shm/%s", b->shm), O_RDONLY) >= 0)
        return "a file of /dev/shm";
    return NULL;
}
