/* SPDX-License-Identifier: Apache-2.0 */
/* Locked and sealed memory, and what is said of the memory of others. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "guest.h"

#define PAGE 4096l
#define NR_MSEAL 462
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

static char *map(long pages)
{
    return mmap(NULL, (size_t)(pages * PAGE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
}

/* kB of VmLck */
static long locked(void)
{
    char line[256];
    long kb = -1;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof line, f))
        sscanf(line, "VmLck: %ld", &kb);
    if (f)
        fclose(f);
    return kb;
}

static int resident(char *p)
{
    unsigned char vec = 0;

    CHECK_EQ(mincore(p, PAGE, &vec), 0);
    return vec & 1;
}

static void counts(void)
{
    long before = locked();
    char *p = map(4);

    CHECK(before >= 0);
    CHECK_EQ(mlock(p, 2 * PAGE), 0);
    CHECK_EQ(locked() - before, 8);
    CHECK(resident(p + PAGE));
    CHECK_EQ(mlock(p + PAGE, 2 * PAGE), 0); /* the middle one counts once */
    CHECK_EQ(locked() - before, 12);
    CHECK_EQ(munlock(p, PAGE), 0);
    CHECK_EQ(locked() - before, 8);
    CHECK_EQ(munmap(p, 4 * PAGE), 0);
    CHECK_EQ(locked(), before);
    p = map(4);
    CHECK_EQ(mlock2(p, 4 * PAGE, MLOCK_ONFAULT), 0);
    CHECK_EQ(locked() - before, 16);
    CHECK(!resident(p));
    p[0] = 1;
    CHECK(resident(p));
    CHECK_ERR(mlock2(p, PAGE, 2), EINVAL);
    munmap(p + PAGE, PAGE);
    CHECK_ERR(mlock(p, 3 * PAGE), ENOMEM);
    CHECK_ERR(munlock(p, 3 * PAGE), ENOMEM);
    munmap(p, 4 * PAGE);
}

static void all(void)
{
    long before = locked();

    CHECK_ERR(mlockall(0), EINVAL);
    CHECK_ERR(mlockall(8), EINVAL);
    CHECK_ERR(mlockall(MCL_ONFAULT), EINVAL);
    CHECK_EQ(mlockall(MCL_CURRENT), 0);
    CHECK(locked() > before);
    CHECK_EQ(munlockall(), 0);
    CHECK_EQ(locked(), 0);
    CHECK_EQ(mlockall(MCL_FUTURE), 0);
    char *p = map(4); /* made natively inside */
    CHECK_EQ(locked(), 16);
    CHECK(resident(p + 3 * PAGE));
    pid_t pid = fork();
    if (pid == 0)
        _exit(locked() == 0 ? 0 : 1); /* not inherited */
    int st;
    waitpid(pid, &st, 0);
    CHECK_EQ(WEXITSTATUS(st), 0);
    CHECK_EQ(munlockall(), 0);
    munmap(p, 4 * PAGE);
    p = map(4);
    CHECK_EQ(locked(), 0);
    munmap(p, 4 * PAGE);
}

/* Without the right to more: RLIMIT_MEMLOCK. */
static void limits(void)
{
    int st;
    pid_t pid = fork();

    if (pid == 0) {
        struct rlimit lim = { 4 * PAGE, 4 * PAGE }, none = { 0, 0 };
        char *p = map(16);
        int bad = 0;
        setrlimit(RLIMIT_MEMLOCK, &lim);
        if (getuid() == 0 && (setgid(54321) || setuid(54321)))
            _exit(100);
        bad |= mlock(p, 4 * PAGE) != 0;
        bad |= (mlock(p, 4 * PAGE) != 0) << 1;
        bad |= (mlock(p + 4 * PAGE, PAGE) != -1 || errno != ENOMEM) << 2;
        bad |= (mlockall(MCL_CURRENT) != -1 || errno != ENOMEM) << 3;
        munlock(p, 4 * PAGE);
        setrlimit(RLIMIT_MEMLOCK, &none);
        bad |= (mlock(p, PAGE) != -1 || errno != EPERM) << 4;
        bad |= (mlockall(MCL_FUTURE) != -1 || errno != EPERM) << 5;
        bad |= (munlock(p, PAGE) != 0) << 6;
        _exit(bad);
    }
    waitpid(pid, &st, 0);
    CHECK_EQ(WEXITSTATUS(st), 0);
}

static void sealed(void)
{
    char *p = map(4);

    errno = 0;
    if (syscall(NR_MSEAL, p, 0, 0) < 0 && errno == ENOSYS) {
        printf("not there: mseal (6.10)\n");
        return;
    }
    p[PAGE] = 7;
    CHECK_ERR(syscall(NR_MSEAL, p + 1, PAGE, 0), EINVAL);
    CHECK_ERR(syscall(NR_MSEAL, p, PAGE, 1), EINVAL);
    CHECK_EQ(syscall(NR_MSEAL, p + PAGE, PAGE, 0), 0);
    CHECK_ERR(munmap(p + PAGE, PAGE), EPERM); /* native inside, as are the next */
    CHECK_ERR(mprotect(p + PAGE, PAGE, PROT_READ), EPERM);
    CHECK_ERR(mprotect(p, 4 * PAGE, PROT_READ), EPERM);
    CHECK_ERR(mremap(p + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EPERM);
    CHECK_EQ(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
             MAP_FAILED);
    CHECK_EQ(errno, EPERM);
    CHECK_EQ(p[PAGE], 7);
    p[PAGE] = 8; /* it may be written to */
    CHECK_EQ(munmap(p, PAGE), 0);
    CHECK_ERR(syscall(NR_MSEAL, p, 2 * PAGE, 0), ENOMEM);
}

static void other_part_of_a_file(void)
{
    int fd = memfd_create("pages", 0);
    volatile char *p;

    CHECK_EQ(ftruncate(fd, 4 * PAGE), 0);
    p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (int i = 0; i < 4; i++)
        p[i * PAGE] = (char)('a' + i);
    CHECK_EQ(syscall(SYS_remap_file_pages, p, PAGE, 0, 3, 0), 0);
    CHECK_EQ(p[0], 'd');
    CHECK_EQ(p[PAGE], 'b');
    p[0] = 'x';
    CHECK_EQ(p[3 * PAGE], 'x');
    CHECK_ERR(syscall(SYS_remap_file_pages, p, PAGE, PROT_READ, 1, 0), EINVAL);
    CHECK_ERR(syscall(SYS_remap_file_pages, p, 0, 0, 1, 0), EINVAL);
    char *q = map(1);
    CHECK_ERR(syscall(SYS_remap_file_pages, q, PAGE, 0, 0, 0), EINVAL);
    munmap((void *)p, 4 * PAGE);
    munmap(q, PAGE);
    close(fd);
}

static void keys_of_protection(void)
{
    char *p = map(1);

    CHECK_ERR(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
    CHECK_ERR(syscall(SYS_pkey_free, 99), EINVAL);
    CHECK_ERR(syscall(SYS_pkey_mprotect, p, PAGE, PROT_READ, 99), EINVAL);
    CHECK_EQ(syscall(SYS_pkey_mprotect, p, PAGE, PROT_READ, -1), 0);
    munmap(p, PAGE);
}

static void advice_by_pidfd(void)
{
    char *p = map(4);
    struct iovec v[2] = { { p, PAGE }, { p + 2 * PAGE, 2 * PAGE } };
    int me = (int)syscall(SYS_pidfd_open, getpid(), 0), other, st;
    pid_t pid;

    memset(p, 1, 4 * PAGE);
    CHECK_EQ(syscall(SYS_process_madvise, me, v, 2, MADV_COLD, 0), 3 * PAGE);
    CHECK_EQ(syscall(SYS_process_madvise, me, v, 2, MADV_WILLNEED, 0), 3 * PAGE);
    CHECK_ERR(syscall(SYS_process_madvise, me, v, 2, MADV_COLD, 1), EINVAL);
    CHECK_ERR(syscall(SYS_process_madvise, 0, v, 2, MADV_COLD, 0), EBADF);
    CHECK_ERR(syscall(SYS_process_madvise, me, v, 2000, MADV_COLD, 0), EINVAL);
    pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    other = (int)syscall(SYS_pidfd_open, pid, 0);
    if (geteuid() == 0) {
        CHECK_EQ(syscall(SYS_process_madvise, other, v, 2, MADV_PAGEOUT, 0), 3 * PAGE);
        CHECK_ERR(syscall(SYS_process_madvise, other, v, 2, MADV_DONTNEED, 0), EINVAL);
    }
    CHECK_ERR(syscall(SYS_process_mrelease, other, 0), EINVAL); /* it is not dying */
    CHECK_ERR(syscall(SYS_process_mrelease, other, 1), EINVAL);
    CHECK_ERR(syscall(SYS_process_mrelease, 0, 0), EBADF);
    kill(pid, SIGKILL);
    errno = 0;
    CHECK(syscall(SYS_process_mrelease, other, 0) == 0 || errno == ESRCH);
    waitpid(pid, &st, 0);
    CHECK_ERR(syscall(SYS_process_mrelease, other, 0), ESRCH);
    close(other);
    close(me);
    munmap(p, 4 * PAGE);
}

/* One word a page: is there one? */
static void page_map(void)
{
    char *p = map(3);
    uint64_t words[3] = { 0 };
    int fd = open("/proc/self/pagemap", O_RDONLY);

    p[PAGE] = 1;
    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, words, sizeof words, (long)p / PAGE * 8), sizeof words);
    CHECK_EQ(words[0] >> 63, 0);
    CHECK_EQ(words[1] >> 63, 1);
    CHECK_EQ(words[2] >> 63, 0);
    CHECK_ERR(pread(fd, words, 8, 1), EINVAL);
    CHECK_ERR(pread(fd, words, 7, 0), EINVAL);
    close(fd);
    munmap(p, 3 * PAGE);
}

/* What was opened to be read cannot be made writable. */
static void read_only(void)
{
    int fd = open("/dev/zero", O_RDONLY);
    char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

    CHECK(p != MAP_FAILED);
    CHECK_EQ(p[7], 0);
    CHECK_ERR(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
    munmap(p, PAGE);
    close(fd);
    CHECK_EQ(mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
    CHECK_EQ(errno, EBADF);
}

int main(void)
{
    RUN(counts);
    RUN(all);
    RUN(limits);
    RUN(sealed);
    RUN(other_part_of_a_file);
    RUN(keys_of_protection);
    RUN(advice_by_pidfd);
    RUN(page_map);
    RUN(read_only);
    DONE();
}
