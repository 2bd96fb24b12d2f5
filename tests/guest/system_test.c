/* SPDX-License-Identifier: Apache-2.0 */
/* Limits, scheduling, prctl, names, memory files. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "guest.h"

static volatile int xfsz;

static void on_xfsz(int sig)
{
    xfsz += sig == SIGXFSZ;
}

static void file_size(void)
{
    char name[] = "/tmp/fs-XXXXXX";
    struct rlimit old, lim;
    int fd = mkstemp(name);

    unlink(name);
    signal(SIGXFSZ, on_xfsz);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    lim = old;
    lim.rlim_cur = 10;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &lim), 0);
    CHECK_EQ(write(fd, "0123456789ab", 12), 10);
    CHECK_EQ(xfsz, 0);
    CHECK_ERR(write(fd, "c", 1), EFBIG);
    CHECK_EQ(xfsz, 1);
    CHECK_ERR(ftruncate(fd, 11), EFBIG);
    CHECK_EQ(xfsz, 2);
    CHECK_EQ(pwrite(fd, "x", 1, 3), 1);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK_EQ(write(fd, "c", 1), 1);
    close(fd);
}

static void limits(void)
{
    struct rlimit l, m;
    int st;

    CHECK_EQ(getrlimit(RLIMIT_CORE, &l), 0);
    m = (struct rlimit){ 5, 4 };
    CHECK_ERR(setrlimit(RLIMIT_CORE, &m), EINVAL);
    CHECK_ERR(getrlimit(99, &l), EINVAL);
    CHECK_EQ(getrlimit(RLIMIT_SIGPENDING, &l), 0);
    m = l;
    m.rlim_cur = 3;
    CHECK_EQ(prlimit(getpid(), RLIMIT_SIGPENDING, &m, &l), 0);
    CHECK_EQ(prlimit(0, RLIMIT_SIGPENDING, NULL, &l), 0);
    CHECK_EQ(l.rlim_cur, 3);
    if (fork() == 0) { /* inherited */
        getrlimit(RLIMIT_SIGPENDING, &l);
        _exit(l.rlim_cur != 3);
    }
    wait(&st);
    CHECK_EQ(st, 0);
    m.rlim_cur = m.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &m), 0);
    CHECK_ERR(prlimit(1 << 22, RLIMIT_CORE, NULL, &l), ESRCH);
    m = (struct rlimit){ 2000000, 2000000 };
    CHECK_ERR(setrlimit(RLIMIT_NOFILE, &m), EPERM);
}

static void scheduling(void)
{
    struct sched_param p = { 0 };
    cpu_set_t set, one;
    int n, policy = sched_getscheduler(0);

    CHECK_EQ(policy, SCHED_OTHER);
    CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
    CHECK_EQ(sched_get_priority_min(SCHED_RR), 1);
    CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
    CHECK_ERR(sched_get_priority_max(77), EINVAL);
    CHECK_EQ(sched_getparam(0, &p), 0);
    CHECK_EQ(p.sched_priority, 0);
    CHECK_EQ(sched_setscheduler(0, SCHED_BATCH, &p), 0);
    CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
    CHECK_EQ(sched_setscheduler(0, SCHED_OTHER, &p), 0);
    p.sched_priority = 5;
    CHECK_ERR(sched_setscheduler(0, SCHED_OTHER, &p), EINVAL);
    CHECK_ERR(sched_getscheduler(1 << 22), ESRCH);
    CHECK_EQ(sched_yield(), 0);
    CHECK((n = (int)syscall(SYS_sched_getaffinity, 0, sizeof set, &set)) > 0);
    CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL);
    CPU_ZERO(&set);
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
            break;
        }
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CPU_ZERO(&one);
    CHECK_EQ(sched_getaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(CPU_COUNT(&one), 1);
    CHECK(CPU_ISSET(sched_getcpu(), &one));
    CHECK_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    CPU_ZERO(&one);
    CHECK_ERR(sched_setaffinity(0, sizeof one, &one), EINVAL);
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
    CHECK_EQ(setpriority(PRIO_PROCESS, 0, 3), 0);
    CHECK_EQ(getpriority(PRIO_PROCESS, getpid()), 3);
    CHECK_EQ(setpriority(PRIO_PROCESS, 0, 99), 0);
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
    CHECK_ERR(getpriority(9, 0), EINVAL);
    CHECK_ERR(getpriority(PRIO_PROCESS, 1 << 22), ESRCH);
}

static void controls(void)
{
    char name[16] = "";
    int v = -1;

    CHECK_EQ(prctl(PR_SET_NAME, "a name that is much too long"), 0);
    CHECK_EQ(prctl(PR_GET_NAME, name), 0);
    CHECK(strcmp(name, "a name that is ") == 0);
    CHECK_EQ(prctl(PR_GET_PDEATHSIG, &v), 0);
    CHECK_EQ(v, 0);
    CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0);
    CHECK_EQ(prctl(PR_GET_PDEATHSIG, &v), 0);
    CHECK_EQ(v, SIGUSR1);
    CHECK_ERR(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 0), 0);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    CHECK_ERR(prctl(PR_SET_DUMPABLE, 2), EINVAL);
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 50000);
    CHECK_EQ(prctl(PR_SET_TIMERSLACK, 1), 0);
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 1);
    CHECK_EQ(prctl(PR_SET_TIMERSLACK, 0), 0);
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 50000);
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    CHECK_EQ(prctl(PR_GET_CHILD_SUBREAPER, &v), 0);
    CHECK_EQ(v, 1);
    CHECK_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
    CHECK_ERR(prctl(PR_SET_THP_DISABLE, 1, 5, 0, 0), EINVAL);
    CHECK_ERR(prctl(9999), EINVAL);
}

static void names(void)
{
    struct utsname u;
    struct sysinfo s;
    char a[16] = "", b[16] = "";

    CHECK_EQ(uname(&u), 0);
    CHECK(strcmp(u.sysname, "Linux") == 0);
    CHECK(strcmp(u.machine, "x86_64") == 0);
    CHECK_EQ(sysinfo(&s), 0);
    CHECK(s.totalram > 0 && s.procs > 0 && s.uptime >= 0);
    CHECK_EQ(getrandom(a, 16, 0), 16);
    CHECK_EQ(getrandom(b, 16, GRND_NONBLOCK), 16);
    CHECK(memcmp(a, b, 16) != 0);
    CHECK_ERR(getrandom(a, 16, 64), EINVAL);
    CHECK_ERR(syscall(SYS_getrandom, 8L, 16, 0), EFAULT);
    CHECK_EQ(syscall(SYS_personality, 0xffffffff), 0);
    CHECK_EQ(personality(UNAME26), 0);
    CHECK_EQ(uname(&u), 0);
    CHECK(strncmp(u.release, "2.6.", 4) == 0 && atoi(u.release + 4) >= 60);
    CHECK_EQ(personality(0), UNAME26);
}

static void memory_file(void)
{
    int fd = (int)syscall(SYS_memfd_create, "name", 2 /* ALLOW_SEALING */ | 1 /* CLOEXEC */);
    struct stat st;
    char *p;

    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | 0100000);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0777);
    CHECK_EQ(ftruncate(fd, 8192), 0);
    p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    strcpy(p + 4096, "shared");
    {
        char buf[8] = "";
        CHECK_EQ(pread(fd, buf, 7, 4096), 7);
        CHECK(strcmp(buf, "shared") == 0);
    }
    munmap(p, 8192);
    CHECK_EQ(fcntl(fd, 1034 /* F_GET_SEALS */), 0);
    CHECK_EQ(fcntl(fd, 1033 /* F_ADD_SEALS */, 2 /* SHRINK */), 0);
    CHECK_EQ(fcntl(fd, 1034), 2);
    CHECK_ERR(ftruncate(fd, 10), EPERM);
    CHECK_EQ(fcntl(fd, 1033, 1 /* SEAL */), 0);
    CHECK_ERR(fcntl(fd, 1033, 4), EPERM);
    close(fd);
    fd = (int)syscall(SYS_memfd_create, "x", 0);
    CHECK_EQ(fcntl(fd, 1034), 1);
    close(fd);
    CHECK_ERR(syscall(SYS_memfd_create, "x", 0x8000), EINVAL);
    CHECK_ERR(syscall(SYS_memfd_create, 8L, 0), EFAULT);
}

/* What old programs ask of file systems. */
static void file_systems(void)
{
    struct {
        int tfree;
        unsigned long tinode;
        char fname[6], fpack[6];
    } u = { .tfree = -1, .fname = "x" };
    char name[64] = "";
    struct stat st;
    long n = syscall(SYS_sysfs, 3), tmpfs = syscall(SYS_sysfs, 1, "tmpfs");

    if (n < 0 && errno == ENOSYS) {
        printf("SKIP: no sysfs(2) on this kernel\n");
        return;
    }
    CHECK(n > 3);
    CHECK(tmpfs >= 0 && tmpfs < n);
    CHECK_EQ(syscall(SYS_sysfs, 2, tmpfs, name), 0);
    CHECK(strcmp(name, "tmpfs") == 0);
    CHECK_ERR(syscall(SYS_sysfs, 2, n, name), EINVAL);
    CHECK_ERR(syscall(SYS_sysfs, 1, "no such"), EINVAL);
    CHECK_ERR(syscall(SYS_sysfs, 1, 8L), EFAULT);
    CHECK_ERR(syscall(SYS_sysfs, 4), EINVAL);
    CHECK_EQ(stat("/proc", &st), 0);
    CHECK_EQ(syscall(SYS_ustat, (unsigned)st.st_dev, &u), 0);
    CHECK_EQ(u.tfree, 0);
    CHECK_EQ(u.fname[0], 0);
    CHECK_ERR(syscall(SYS_ustat, -1u, &u), EINVAL);
    CHECK_ERR(syscall(SYS_ustat, (unsigned)st.st_dev, 8L), EFAULT);
}

int main(void)
{
    RUN(file_systems);
    RUN(file_size);
    RUN(limits);
    RUN(scheduling);
    RUN(controls);
    RUN(names);
    RUN(memory_file);
    DONE();
}
