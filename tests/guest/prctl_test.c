/* SPDX-License-Identifier: Apache-2.0 */
/* Options of prctl and arch_prctl, and the calls about security modules. */
#include <asm/prctl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#define PR_GET_IO_FLUSHER 58
#endif
#define PAGE 4096l

static int ctl(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    return (int)syscall(SYS_prctl, op, a, b, c, d);
}

static int in_maps(const char *what)
{
    char line[512];
    int n = 0;
    FILE *f = fopen("/proc/self/maps", "r");

    while (f && fgets(line, sizeof line, f))
        n += strstr(line, what) != NULL;
    if (f)
        fclose(f);
    return n;
}

static void names_of_memory(void)
{
    char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (ctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, (unsigned long)p, PAGE, (unsigned long)"a name") <
        0) {
        CHECK_EQ(errno, EINVAL);
        printf("not there: CONFIG_ANON_VMA_NAME\n");
        return;
    }
    CHECK_EQ(in_maps("[anon:a name]"), 1);
    CHECK_EQ(ctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, (unsigned long)p, PAGE, 0), 0);
    CHECK_EQ(in_maps("[anon:a name]"), 0);
    CHECK_ERR(ctl(PR_SET_VMA, 1, (unsigned long)p, PAGE, 0), EINVAL);
    CHECK_ERR(ctl(PR_SET_VMA, 0, (unsigned long)p, PAGE, (unsigned long)"[x]"), EINVAL);
    CHECK_ERR(ctl(PR_SET_VMA, 0, (unsigned long)p + 1, PAGE, (unsigned long)"x"), EINVAL);
    CHECK_ERR(ctl(PR_SET_VMA, 0, (unsigned long)p, PAGE, 8), EFAULT);
    munmap(p, 3 * PAGE);
    CHECK_ERR(ctl(PR_SET_VMA, 0, (unsigned long)p, PAGE, (unsigned long)"x"), ENOMEM);
}

static sigjmp_buf back;

static void on_fault(int sig)
{
    (void)sig;
    siglongjmp(back, 1);
}

static int counter_faults(void)
{
    signal(SIGSEGV, on_fault);
    if (sigsetjmp(back, 1))
        return 1;
    __asm__ volatile("rdtsc" ::: "eax", "edx");
    return 0;
}

static void *in_thread(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)counter_faults();
}

static int time_stamps(void)
{
    int mode = 0, bad = 0, st;
    pthread_t th;
    void *r;

    bad |= ctl(PR_GET_TSC, (unsigned long)&mode, 0, 0, 0) != 0 || mode != PR_TSC_ENABLE;
    bad |= counter_faults() << 1;
    bad |= (ctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) != 0) << 2;
    bad |= (!counter_faults()) << 3;
    for (int i = 0; i < 300;
         i++) /* calls that are frequent go on, though nobody may look at the clock */
        bad |= (syscall(SYS_getuid) < 0 || access("/", F_OK) != 0) << 4;
    pthread_create(&th, NULL, in_thread, NULL);
    pthread_join(th, &r);
    bad |= !r << 5;
    pid_t pid = fork();
    if (pid == 0)
        _exit(counter_faults() && ctl(PR_GET_TSC, (unsigned long)&mode, 0, 0, 0) == 0 &&
                      mode == PR_TSC_SIGSEGV
                  ? 0
                  : 1);
    waitpid(pid, &st, 0);
    bad |= (WEXITSTATUS(st) != 0) << 6;
    bad |= (ctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0) != 0 || counter_faults()) << 7;
    return bad;
}

static void counter(void)
{
    int st;
    pid_t pid = fork();

    if (pid == 0)
        _exit(time_stamps());
    waitpid(pid, &st, 0);
    CHECK_EQ(st, 0);
    CHECK_ERR(ctl(PR_SET_TSC, 9, 0, 0, 0), EINVAL);
}

/* CAP_SYS_RESOURCE */
static int may_use_resources(void)
{
    unsigned long caps = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof line, f))
        sscanf(line, "CapEff: %lx", &caps);
    if (f)
        fclose(f);
    return caps >> 24 & 1;
}

static void areas(void)
{
    uint32_t size = 0;
    unsigned long words[13];

    CHECK_EQ(ctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, (unsigned long)&size, 0, 0), 0);
    CHECK_EQ(size, sizeof words);
    CHECK_ERR(ctl(PR_SET_MM, PR_SET_MM_MAP, (unsigned long)words, 8, 0), EINVAL);
    CHECK_ERR(ctl(PR_SET_MM, PR_SET_MM_ARG_START, 0, 0, 1), EINVAL);
    if (!may_use_resources()) {
        CHECK_ERR(ctl(PR_SET_MM, PR_SET_MM_ARG_START, (unsigned long)words, 0, 0), EPERM);
        return;
    }
    static char text[] = "another\0name";
    char buf[64] = "";
    CHECK_EQ(ctl(PR_SET_MM, PR_SET_MM_ARG_START, (unsigned long)text, 0, 0), 0);
    CHECK_EQ(ctl(PR_SET_MM, PR_SET_MM_ARG_END, (unsigned long)(text + sizeof text), 0, 0), 0);
    FILE *f = fopen("/proc/self/cmdline", "r");
    CHECK_EQ(fread(buf, 1, sizeof buf, f), sizeof text);
    CHECK(!memcmp(buf, text, sizeof text));
    fclose(f);
    CHECK_ERR(ctl(PR_SET_MM, PR_SET_MM_ARG_START, 8, 0, 0), EINVAL);
    CHECK_ERR(ctl(PR_SET_MM, 99, (unsigned long)text, 0, 0), EINVAL);
}

static void flags(void)
{
    CHECK_EQ(ctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_DEFAULT);
    CHECK_EQ(ctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0), 0);
    CHECK_EQ(ctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_EARLY);
    CHECK_EQ(ctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0), 0);
    CHECK_ERR(ctl(PR_MCE_KILL, PR_MCE_KILL_SET, 3, 0, 0), EINVAL);
    CHECK_ERR(ctl(PR_MCE_KILL, 5, 0, 0, 0), EINVAL);
    if (may_use_resources()) {
        CHECK_EQ(ctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0), 0);
        CHECK_EQ(ctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0), 1);
        CHECK_EQ(ctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0), 0);
    } else {
        CHECK_ERR(ctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0), EPERM);
    }
    CHECK_ERR(ctl(PR_GET_SPECULATION_CTRL, 0, 1, 0, 0), EINVAL);
    CHECK_ERR(ctl(PR_GET_SPECULATION_CTRL, 99, 0, 0, 0), ENODEV);
    CHECK(ctl(PR_GET_SPECULATION_CTRL, 0, 0, 0, 0) >= 0);
    CHECK_EQ(ctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
    CHECK_EQ(ctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
    CHECK_EQ(ctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
    CHECK_EQ(ctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
    CHECK_ERR(ctl(12345, 0, 0, 0, 0), EINVAL);
}

static void of_the_processor(void)
{
    uint64_t features = 0;
    long r;

    CHECK_EQ(syscall(SYS_arch_prctl, 0x1011, 0), 1);
    r = syscall(SYS_arch_prctl, 0x1012, 1); /* CPUID goes on as before */
    CHECK(r == 0 || errno == ENODEV);
    CHECK_EQ(syscall(SYS_arch_prctl, 0x1022, &features), 0);
    CHECK_EQ(features & 3, 3);
    CHECK_ERR(syscall(SYS_arch_prctl, 0x1023, 1), EOPNOTSUPP);
    CHECK_ERR(syscall(SYS_arch_prctl, 0x9999, 1), EINVAL);
}

static void modules(void)
{
    uint64_t ids[32];
    uint32_t size = sizeof ids, small = 0;
    long n;

    n = syscall(461, ids, &size, 0);
    if (n < 0 && errno == ENOSYS) {
        printf("not there: lsm_list_modules (6.8)\n");
        return;
    }
    CHECK(n >= 1);
    CHECK_EQ(size, n * 8);
    long capability = 0;
    for (long i = 0; i < n; i++)
        capability += ids[i] == 100;
    CHECK_EQ(capability, 1);
    CHECK_ERR(syscall(461, ids, &small, 0), E2BIG);
    CHECK_EQ(small, size);
    CHECK_ERR(syscall(461, ids, &size, 1), EINVAL);
    CHECK_ERR(syscall(461, ids, NULL, 0), EFAULT);
    CHECK_ERR(syscall(459, 0, NULL, &size, 0), EINVAL);
    CHECK_ERR(syscall(459, 100, NULL, NULL, 0), EINVAL);
    CHECK_ERR(syscall(460, 100, ids, 8, 0), EINVAL);
}

int main(void)
{
    RUN(names_of_memory);
    RUN(counter);
    RUN(areas);
    RUN(flags);
    RUN(of_the_processor);
    RUN(modules);
    DONE();
}
