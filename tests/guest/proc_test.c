/* SPDX-License-Identifier: Apache-2.0 */
/* procfs as programs read it: shapes, links, descriptors, memory, other processes. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "guest.h"

static char text[1 << 16];

static ssize_t slurp(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    ssize_t r = -1;

    text[0] = 0;
    if (fd < 0)
        return -1;
    while (n < sizeof text - 1 && (r = read(fd, text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)r;
    close(fd);
    text[n] = 0;
    return r < 0 ? -1 : (ssize_t)n;
}

static bool listed(const char *dir, const char *name)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    bool found = false;

    while (d && (e = readdir(d)))
        found |= !strcmp(e->d_name, name);
    if (d)
        closedir(d);
    return found;
}

static void stat_fields(void)
{
    CHECK(slurp("/proc/self/stat") > 0);
    CHECK_EQ(atoi(text), getpid());
    char *p = strrchr(text, ')');
    CHECK(p != NULL);
    int fields = 2;
    for (char *s = strtok(p + 1, " \n"); s; s = strtok(NULL, " \n"), fields++) {
        if (fields == 2)
            CHECK_EQ(*s, 'R');
        if (fields == 3)
            CHECK_EQ(atoi(s), getppid());
        if (fields == 4)
            CHECK_EQ(atoi(s), getpgrp());
        if (fields == 5)
            CHECK_EQ(atoi(s), getsid(0));
        if (fields == 19)
            CHECK_EQ(atoi(s), 1); /* threads */
    }
    CHECK_EQ(fields, 52);
    CHECK(slurp("/proc/self/statm") > 0);
    long v[7];
    CHECK_EQ(
        sscanf(text, "%ld %ld %ld %ld %ld %ld %ld", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6),
        7);
    CHECK(v[0] >= v[1] && v[1] > 0);
}

static void status_keys(void)
{
    static const char *const keys[] = {
        "Name",
        "Umask",
        "State",
        "Tgid",
        "Pid",
        "PPid",
        "TracerPid",
        "Uid",
        "Gid",
        "FDSize",
        "Groups",
        "VmPeak",
        "VmSize",
        "VmHWM",
        "VmRSS",
        "VmData",
        "VmStk",
        "VmExe",
        "VmLib",
        "Threads",
        "SigQ",
        "SigPnd",
        "ShdPnd",
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Cpus_allowed_list",
        "voluntary_ctxt_switches",
        "nonvoluntary_ctxt_switches",
    };
    char key[80];

    CHECK(slurp("/proc/self/status") > 0);
    for (unsigned k = 0; k < sizeof keys / sizeof *keys; k++) {
        snprintf(key, sizeof key, "%s%s:\t", k ? "\n" : "", keys[k]);
        if (!strstr(text, key)) {
            printf("no %s\n", keys[k]);
            CHECK(!"key is there");
        }
    }
    char *uid = strstr(text, "\nUid:\t");
    unsigned u[4] = { 0 };
    CHECK(uid && sscanf(uid, "\nUid: %u %u %u %u", u, u + 1, u + 2, u + 3) == 4);
    CHECK_EQ(u[1], geteuid());
}

static void names(char **argv)
{
    char buf[4096], want[4096];
    ssize_t n = slurp("/proc/self/cmdline");

    CHECK_EQ(n, strlen(argv[0]) + 1);
    CHECK(!strcmp(text, argv[0]));
    CHECK_EQ(prctl(PR_SET_NAME, "a (name)"), 0);
    CHECK(slurp("/proc/self/comm") > 0);
    CHECK(!strcmp(text, "a (name)\n"));
    int fd = open("/proc/self/comm", O_WRONLY | O_TRUNC);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "another-name-that-is-long\n", 26), 26);
    close(fd);
    CHECK_EQ(prctl(PR_GET_NAME, buf), 0);
    CHECK(!strcmp(buf, "another-name-th"));
    n = readlink("/proc/self/cwd", buf, sizeof buf);
    CHECK(n > 0 && getcwd(want, sizeof want) && !strncmp(buf, want, (size_t)n));
    n = readlink("/proc/self/exe", buf, sizeof buf - 1);
    CHECK(n > 0);
    struct stat a, b;
    CHECK_EQ(stat("/proc/self/exe", &a), 0);
    buf[n > 0 ? n : 0] = 0;
    CHECK_EQ(stat(buf, &b), 0);
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK(S_ISREG(a.st_mode));
    CHECK_EQ(readlink("/proc/self/root", buf, sizeof buf), 1);
    CHECK_EQ(buf[0], '/');
    n = readlink("/proc/self", buf, sizeof buf - 1);
    buf[n > 0 ? n : 0] = 0;
    CHECK_EQ(atoi(buf), getpid());
    CHECK_EQ(readlink("/proc/self/exe", buf, 3), 3);
}

static void descriptors(void)
{
    char path[64], buf[256], want[64], c = 0;
    struct stat st;
    int p[2], fd;
    ssize_t n;

    CHECK_EQ(pipe(p), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    n = readlink(path, buf, sizeof buf - 1);
    buf[n > 0 ? n : 0] = 0;
    CHECK_EQ(fstat(p[0], &st), 0);
    snprintf(want, sizeof want, "pipe:[%lu]", (unsigned long)st.st_ino);
    CHECK(!strcmp(buf, want));
    /* a link to a pipe can be opened: a new end of the same one */
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[1]);
    fd = open(path, O_WRONLY);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, 'x');
    close(fd);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", p[1]);
    CHECK(slurp(path) > 0);
    CHECK(!strncmp(text, "pos:\t0\nflags:\t0", 15));
    snprintf(path, sizeof path, "%d", p[1]);
    CHECK(listed("/proc/self/fd", path));
    close(p[0]);
    close(p[1]);
    CHECK(!listed("/proc/self/fd", path));
    /* without a writer, too, and nobody is waited for */
    CHECK_EQ(pipe(p), 0);
    close(p[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    CHECK_EQ(read(fd, &c, 1), 0);
    close(fd);
    close(p[0]);
    CHECK_ERR(readlink("/proc/self/fd/12345", buf, sizeof buf), ENOENT);
    CHECK_ERR(readlink("/proc/self/fd/x", buf, sizeof buf), ENOENT);
    CHECK_ERR(readlink("/proc/self/fd/01", buf, sizeof buf), ENOENT);

    fd = open("/tmp/proc_test.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "12345", 5), 5);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    n = readlink(path, buf, sizeof buf - 1);
    buf[n > 0 ? n : 0] = 0;
    CHECK(!strcmp(buf, "/tmp/proc_test.file"));
    CHECK_EQ(unlink("/tmp/proc_test.file"), 0);
    n = readlink(path, buf, sizeof buf - 1);
    buf[n > 0 ? n : 0] = 0;
    CHECK(!strcmp(buf, "/tmp/proc_test.file (deleted)"));
    int again = open(path, O_RDONLY); /* though it has no name any more */
    CHECK(again >= 0);
    CHECK_EQ(read(again, buf, sizeof buf), 5);
    close(again);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    CHECK(slurp(path) > 0);
    CHECK(!strncmp(text, "pos:\t5\nflags:\t0100002\n", 22));
    close(fd);
}

static int marker = 4711;

static void memory(void)
{
    unsigned long start, end;
    char perm[8], *line, *save = NULL;
    bool code = false, stack = false, heap = false;
    void *h = malloc(1 << 12);
    ssize_t n = slurp("/proc/self/maps");

    CHECK(n > 0);
    for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        CHECK_EQ(sscanf(line, "%lx-%lx %7s", &start, &end, perm), 3);
        unsigned long f = (unsigned long)memory;
        if (f >= start && f < end)
            code = perm[2] == 'x' && strstr(line, " /proc/") == NULL && strchr(line, '/');
        stack |= strstr(line, "[stack]") && (unsigned long)&n >= start && (unsigned long)&n < end;
        heap |= strstr(line, "[heap]") != NULL;
    }
    CHECK(code);
    CHECK(stack);
    CHECK(heap);
    free(h);
    int fd = open("/proc/self/mem", O_RDWR), v = 0;
    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, &v, sizeof v, (off_t)(unsigned long)&marker), sizeof v);
    CHECK_EQ(v, 4711);
    v = 4712;
    CHECK_EQ(pwrite(fd, &v, sizeof v, (off_t)(unsigned long)&marker), sizeof v);
    CHECK_EQ(marker, 4712);
    CHECK_ERR(pread(fd, &v, sizeof v, 16), EIO);
    close(fd);
    CHECK(slurp("/proc/self/smaps_rollup") > 0);
    CHECK(strstr(text, "\nRss:") != NULL);
    CHECK(slurp("/proc/self/auxv") >= 16);
}

static void *idle_thread(void *arg)
{
    char c;
    return read(*(int *)arg, &c, 1) == 1 ? NULL : arg;
}

static void others(void)
{
    char path[64];
    int p[2];
    pthread_t th;
    DIR *d;
    struct dirent *e;
    int threads = 0;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(pthread_create(&th, NULL, idle_thread, &p[0]), 0);
    d = opendir("/proc/self/task");
    CHECK(d != NULL);
    while (d && (e = readdir(d)))
        threads += isdigit((unsigned char)e->d_name[0]) != 0;
    closedir(d);
    CHECK_EQ(threads, 2);
    CHECK_EQ(write(p[1], "x", 1), 1);
    pthread_join(th, NULL);
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", syscall(SYS_gettid));
    CHECK(slurp(path) > 0);

    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    siginfo_t info;
    CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    CHECK(slurp(path) > 0);
    CHECK(strstr(text, ") Z ") != NULL);
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    CHECK_EQ(slurp(path), 0);
    snprintf(path, sizeof path, "%d", pid);
    CHECK(listed("/proc", path));
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK(!listed("/proc", path));
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    CHECK_ERR(open(path, O_RDONLY), ENOENT);
}

static void machine(void)
{
    double up, idle;
    long kib, cpus = 0;
    char uuid[64];

    CHECK(slurp("/proc/uptime") > 0);
    CHECK_EQ(sscanf(text, "%lf %lf", &up, &idle), 2);
    CHECK(slurp("/proc/meminfo") > 0);
    CHECK_EQ(sscanf(text, "MemTotal: %ld kB", &kib), 1);
    CHECK(kib > 1000);
    CHECK(strstr(text, "\nMemAvailable:") && strstr(text, "\nSwapTotal:"));
    CHECK(slurp("/proc/stat") > 0);
    CHECK(!strncmp(text, "cpu  ", 5) && strstr(text, "\ncpu0 ") && strstr(text, "\nbtime "));
    CHECK(slurp("/proc/cpuinfo") > 0);
    for (char *s = text; (s = strstr(s, "processor\t: ")); s++)
        cpus++;
    CHECK_EQ(cpus, sysconf(_SC_NPROCESSORS_ONLN));
    CHECK(slurp("/proc/loadavg") > 0);
    double l[3];
    int running, all, last;
    CHECK_EQ(sscanf(text, "%lf %lf %lf %d/%d %d", l, l + 1, l + 2, &running, &all, &last), 6);
    CHECK(slurp("/proc/version") > 0);
    CHECK(!strncmp(text, "Linux version ", 14));
    CHECK(slurp("/proc/mounts") > 0);
    /* Not " / " as well: in a chroot (natively) the root is no mount. */
    CHECK(strstr(text, " /proc proc ") != NULL);
    CHECK(slurp("/proc/self/mountinfo") > 0);
    CHECK(strstr(text, " - proc ") != NULL);
    CHECK(slurp("/proc/filesystems") > 0);
    CHECK(strstr(text, "nodev\tproc\n") != NULL);
    CHECK_EQ(slurp("/proc/sys/kernel/random/uuid"), 37);
    strcpy(uuid, text);
    CHECK_EQ(slurp("/proc/sys/kernel/random/uuid"), 37);
    CHECK(strcmp(uuid, text) != 0);
    CHECK_EQ(slurp("/proc/sys/kernel/random/boot_id"), 37);
    strcpy(uuid, text);
    CHECK_EQ(slurp("/proc/sys/kernel/random/boot_id"), 37);
    CHECK(!strcmp(uuid, text));
    CHECK(slurp("/proc/sys/kernel/ostype") > 0);
    CHECK(!strcmp(text, "Linux\n"));
    CHECK(slurp("/proc/sys/vm/overcommit_memory") == 2);
    CHECK(slurp("/proc/self/limits") > 0);
    CHECK(!strncmp(
        text, "Limit                     Soft Limit           Hard Limit           Units", 72));
}

/* A listener is in the table under its port, with the inode that its descriptor shows. */
static void sockets(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char want[64], path[64], name[64];
    unsigned long ino = 0;
    struct stat st;

    CHECK_EQ(bind(fd, (struct sockaddr *)&a, n), 0);
    CHECK_EQ(listen(fd, 5), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    CHECK_EQ(fstat(fd, &st), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(path, name, sizeof name - 1);
    name[len > 0 ? len : 0] = 0;
    snprintf(want, sizeof want, "socket:[%lu]", (unsigned long)st.st_ino);
    CHECK(!strcmp(name, want));
    CHECK_ERR(open(path, O_RDONLY), ENXIO);
    CHECK(slurp("/proc/net/tcp") > 0);
    CHECK(!strncmp(text, "  sl  local_address rem_address   st tx_queue", 44));
    snprintf(want, sizeof want, ": 0100007F:%04X 00000000:0000 0A ", ntohs(a.sin_port));
    char *line = strstr(text, want);
    CHECK(line != NULL);
    if (line)
        CHECK_EQ(sscanf(line, ": %*s %*s %*s %*s %*s %*s %*u %*u %lu", &ino), 1);
    CHECK_EQ(ino, st.st_ino);
    close(fd);
    CHECK(slurp("/proc/net/tcp") > 0);
    CHECK(strstr(text, want) == NULL);
    CHECK(slurp("/proc/net/dev") > 0);
    CHECK(strstr(text, "    lo:") != NULL);
}

static void files_as_such(void)
{
    struct stat st;
    struct statfs fs;
    char a[64], b[64];

    CHECK_EQ(stat("/proc/self/stat", &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0444);
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(st.st_uid, geteuid());
    CHECK_EQ(stat("/proc/self", &st), 0);
    CHECK_EQ(st.st_mode, S_IFDIR | 0555);
    CHECK_EQ(statfs("/proc", &fs), 0);
    CHECK_EQ(fs.f_type, 0x9fa0);
    CHECK_ERR(open("/proc/self/nothing", O_RDONLY), ENOENT);
    CHECK_ERR(open("/proc/99999999/stat", O_RDONLY), ENOENT);
    CHECK(listed("/proc", "self") && listed("/proc", "meminfo") && listed("/proc/self", "stat"));
    /* read again from the start: made anew */
    int fd = open("/proc/self/comm", O_RDONLY);
    CHECK_EQ(prctl(PR_SET_NAME, "first"), 0);
    CHECK_EQ(read(fd, a, sizeof a), 6);
    CHECK_EQ(read(fd, a + 8, 8), 0);
    CHECK_EQ(prctl(PR_SET_NAME, "second"), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(read(fd, b, sizeof b), 7);
    CHECK(!strncmp(b, "second\n", 7));
    CHECK_EQ(pread(fd, b, 3, 2), 3);
    CHECK(!strncmp(b, "con", 3));
    close(fd);
    CHECK(slurp("/sys/devices/system/cpu/online") > 0);
    CHECK_EQ(text[0], '0');
    CHECK(slurp("/sys/kernel/mm/transparent_hugepage/enabled") > 0);
    CHECK(slurp("/sys/class/net/lo/mtu") > 0);
    CHECK_EQ(atoi(text), 65536);
}

int main(int argc, char **argv)
{
    (void)argc;
    RUN(stat_fields);
    RUN(status_keys);
    guest_current = "names";
    names(argv);
    RUN(descriptors);
    RUN(memory);
    RUN(others);
    RUN(machine);
    RUN(sockets);
    RUN(files_as_such);
    DONE();
}
