/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that a C library makes no more, or makes by another that can do the same: old programs,
 * and those without a library, still do. Each by its number.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <utime.h>

#include "guest.h"
#include "scratch.h"

#define PAGE 4096l
#define LARGE (5l << 30)
#define NR_set_mempolicy_home_node 450
#define NR_fchmodat2 452
#define NR_lsm_list_modules 461
#define NR_mseal 462

/* The result of a call that only this host may not have. */
static int known(long r)
{
    if (r < 0 && errno == ENOSYS && !guest_inside())
        return 0;
    CHECK(r >= 0);
    return 1;
}

/* A call that is refused; where it is not there at all, that must be the host. */
static void refused(long r, int err)
{
    if (r < 0 && errno == ENOSYS && !guest_inside())
        return;
    CHECK_EQ(r, -1);
    CHECK_EQ(errno, err);
}

static void files(void)
{
    struct utimbuf times = { 1000, 2000 };
    struct stat st;
    int fd = open("file", O_CREAT | O_RDWR, 0644), p[2];
    char c = 'x';

    CHECK_EQ(write(fd, "bytes", 5), 5);
    CHECK_EQ(symlink("file", "link"), 0);
    CHECK_EQ(syscall(SYS_lstat, "link", &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_ERR(syscall(SYS_lstat, "none", &st), ENOENT);
    CHECK_EQ(syscall(SYS_utime, "file", &times), 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_atime, 1000);
    CHECK_EQ(st.st_mtime, 2000);
    CHECK_EQ(syscall(SYS_mknod, "fifo", S_IFIFO | 0600, 0), 0);
    CHECK_EQ(lstat("fifo", &st), 0);
    CHECK(S_ISFIFO(st.st_mode));
    CHECK_ERR(syscall(SYS_mknod, "fifo", S_IFIFO | 0600, 0), EEXIST);
    CHECK_EQ(syscall(SYS_fdatasync, fd), 0);
    CHECK_ERR(syscall(SYS_fdatasync, -1), EBADF);
    CHECK_EQ(syscall(SYS_pipe, p), 0);
    CHECK_EQ(write(p[1], &c, 1), 1);
    CHECK_EQ(read(p[0], &c, 1), 1);
    close(p[0]);
    close(p[1]);
    close(fd);
    if (guest_inside()) /* the host's disks are left alone */
        CHECK_EQ(syscall(SYS_sync), 0);
}

static void at_directories(void)
{
    int dir = (mkdir("d", 0755), open("d", O_RDONLY | O_DIRECTORY));
    struct timeval times[2] = { { 1000, 0 }, { 2000, 0 } };
    struct stat st;
    char to[8] = "";

    CHECK_EQ(syscall(SYS_mkdirat, dir, "sub", 0700), 0);
    CHECK_EQ(stat("d/sub", &st), 0);
    CHECK_EQ(syscall(SYS_fchownat, dir, "sub", st.st_uid, -1, 0), 0);
    CHECK_EQ(syscall(SYS_futimesat, dir, "sub", times), 0);
    CHECK_EQ(stat("d/sub", &st), 0);
    CHECK_EQ(st.st_mtime, 2000);
    CHECK_EQ(syscall(SYS_renameat, dir, "sub", dir, "other"), 0);
    CHECK_EQ(syscall(SYS_faccessat, dir, "other", F_OK), 0);
    CHECK_ERR(syscall(SYS_faccessat, dir, "sub", F_OK), ENOENT);
    CHECK_EQ(syscall(SYS_symlinkat, "other", dir, "link"), 0);
    CHECK_EQ(syscall(SYS_readlinkat, dir, "link", to, sizeof to), 5);
    CHECK_EQ(memcmp(to, "other", 5), 0);
    if (known(syscall(NR_fchmodat2, dir, "other", 0711, 0))) {
        CHECK_EQ(stat("d/other", &st), 0);
        CHECK_EQ(st.st_mode & 07777, 0711);
    }
    close(dir);
}

static void descriptors(void)
{
    int fd = open("file", O_RDWR);
    char bytes[] = "PW", got[3] = "";
    struct iovec v = { bytes, 2 };
    uint64_t mask = 1ull << (SIGUSR1 - 1), n = 0;
    long s = syscall(SYS_signalfd, -1, &mask, 8), e = syscall(SYS_eventfd, 3);

    CHECK(s >= 0);
    CHECK(e >= 0);
    CHECK_EQ(read((int)e, &n, 8), 8);
    CHECK_EQ(n, 3);
    CHECK_EQ(syscall(SYS_pwritev, fd, &v, 1, 1, 0), 2);
    CHECK_EQ(pread(fd, got, 2, 1), 2);
    CHECK_EQ(strcmp(got, "PW"), 0);
    CHECK_ERR(syscall(SYS_io_uring_setup, 1, NULL), guest_inside() ? EFAULT : errno);
    close((int)s);
    close((int)e);
    close(fd);
}

static void attributes(void)
{
    char list[64];
    int fd = open("file", O_RDWR);

    if (setxattr("file", "user.a", "1", 1, 0) < 0 && !guest_inside())
        return;
    CHECK_EQ(syscall(SYS_llistxattr, "file", list, sizeof list), 7);
    CHECK_EQ(memcmp(list, "user.a", 7), 0);
    CHECK_EQ(syscall(SYS_flistxattr, fd, list, sizeof list), 7);
    CHECK_EQ(syscall(SYS_llistxattr, "link", list, sizeof list), 0);
    CHECK_EQ(syscall(SYS_lremovexattr, "file", "user.a"), 0);
    CHECK_ERR(syscall(SYS_lremovexattr, "file", "user.a"), ENODATA);
    close(fd);
}

static void memory(void)
{
    int fd = open("file", O_RDWR);
    char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *large;

    p[0] = 'B';
    CHECK_EQ(syscall(SYS_msync, p, PAGE, MS_SYNC), 0);
    CHECK_ERR(syscall(SYS_msync, p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK_EQ(munmap(p, PAGE), 0);
    CHECK_ERR(syscall(SYS_msync, p, PAGE, MS_ASYNC), ENOMEM);
    close(fd);
    /* More than a host's filter looks at. */
    large = mmap(NULL, LARGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(large != MAP_FAILED);
    CHECK_EQ(syscall(SYS_mprotect, large, LARGE, PROT_READ), 0);
    CHECK_EQ(large[LARGE - 1], 0);
    CHECK_EQ(syscall(SYS_munmap, large, LARGE), 0);
    CHECK_ERR(syscall(SYS_mprotect, large, LARGE, PROT_READ), ENOMEM);
    refused(syscall(NR_mseal, large, PAGE, 1), EINVAL);
    refused(syscall(NR_set_mempolicy_home_node, 0, PAGE, 0, 1), EINVAL);
    CHECK(syscall(SYS_membarrier, 0, 0, 0) >= 0);
    CHECK_ERR(syscall(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
}

static void processes(void)
{
    struct sched_param none = { 0 }, some = { 1 };
    struct rlimit a, b;
    int st = -1;
    long pid = syscall(SYS_fork);

    if (pid == 0)
        _exit(7);
    CHECK(pid > 0);
    CHECK_EQ(waitpid((pid_t)pid, &st, 0), pid);
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 7);
    pid = fork();
    if (pid == 0) {
        char *args[] = { (char *)(uintptr_t) "by_number", (char *)(uintptr_t) "9", NULL };

        syscall(SYS_execveat, AT_FDCWD, "/proc/self/exe", args, args + 2, 0);
        _exit(1);
    }
    CHECK_EQ(waitpid((pid_t)pid, &st, 0), pid);
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 9);
    CHECK_EQ(syscall(SYS_getpgrp), getpgid(0));
    CHECK_EQ(syscall(SYS_getgid), getegid());
    CHECK_EQ(syscall(SYS_sched_setparam, 0, &none), 0);
    CHECK_ERR(syscall(SYS_sched_setparam, 0, &some), EINVAL);
    CHECK_EQ(prlimit(0, RLIMIT_NOFILE, NULL, &a), 0);
    CHECK_EQ(syscall(SYS_getrlimit, RLIMIT_NOFILE, &b), 0);
    CHECK_EQ(a.rlim_cur, b.rlim_cur);
    CHECK_EQ(a.rlim_max, b.rlim_max);
    b.rlim_cur = 100;
    CHECK_EQ(syscall(SYS_setrlimit, RLIMIT_NOFILE, &b), 0);
    CHECK_EQ(prlimit(0, RLIMIT_NOFILE, &a, &b), 0);
    CHECK_EQ(b.rlim_cur, 100);
}

static void semaphores(void)
{
    int id = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf up = { 0, 2, 0 }, down = { 0, -3, IPC_NOWAIT };

    CHECK_EQ(syscall(SYS_semop, id, &up, 1), 0);
    CHECK_EQ(semctl(id, 0, GETVAL), 2);
    CHECK_ERR(syscall(SYS_semop, id, &down, 1), EAGAIN);
    CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
}

static void time_and_system(void)
{
    struct timex tx = { 0 };
    time_t now = time(NULL), then = 0;
    char name[16] = "";
    uint64_t ids[32];
    uint32_t size = sizeof ids;
    long n;

    CHECK(syscall(SYS_time, &then) - now < 3);
    CHECK(then >= now && then - now < 3);
    CHECK(syscall(SYS_adjtimex, &tx) >= 0);
    CHECK(tx.tick > 8000 && tx.tick < 12000);
    CHECK(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &tx) >= 0);
    CHECK_ERR(syscall(SYS_clock_adjtime, 1000, &tx), EINVAL);
    known(syscall(NR_lsm_list_modules, ids, &size, 0));
    CHECK(syscall(SYS_syslog, 10, NULL, 0) > 0 || errno == EPERM); /* how large the log is */
    CHECK_ERR(syscall(SYS_setdomainname, "x", -1), geteuid() == 0 ? EINVAL : EPERM);
    n = syscall(SYS_sysfs, 1, "tmpfs");
    if (n < 0 && errno == ENOSYS && !guest_inside())
        return; /* this host was built without it */
    CHECK(n >= 0);
    CHECK_EQ(syscall(SYS_sysfs, 2, n, name), 0);
    CHECK_EQ(strcmp(name, "tmpfs"), 0);
    CHECK(syscall(SYS_sysfs, 3) > n);
    CHECK_ERR(syscall(SYS_sysfs, 1, "none such"), EINVAL);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return atoi(argv[1]);
    scratch_begin();
    RUN(files);
    RUN(at_directories);
    RUN(descriptors);
    RUN(attributes);
    RUN(memory);
    RUN(processes);
    RUN(semaphores);
    RUN(time_and_system);
    scratch_end();
    DONE();
}
