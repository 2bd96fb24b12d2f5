/* SPDX-License-Identifier: Apache-2.0 */
/* memfd_secret: what can be done with its file, and who does not see what is mapped of it. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "guest.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#define PAGE 4096l
#define NOBODY 54321

static int secret(unsigned flags)
{
    return (int)syscall(SYS_memfd_secret, flags);
}

static char *map(int fd, long pages)
{
    return mmap(NULL, (size_t)(pages * PAGE), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void the_file(void)
{
    int fd = secret(0), more;
    struct pollfd p = { fd, POLLIN | POLLOUT, 0 };
    char link[64], name[64] = "", c = 0;
    struct stat st;

    CHECK(fd >= 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0600);
    CHECK_EQ(st.st_size, 0);
    CHECK_ERR(read(fd, &c, 1), EINVAL);
    CHECK_ERR(write(fd, &c, 1), EINVAL);
    CHECK_ERR(pread(fd, &c, 1, 0), ESPIPE);
    CHECK_ERR(lseek(fd, 0, SEEK_SET), ESPIPE);
    CHECK_ERR(fsync(fd), EINVAL);
    CHECK_ERR(fallocate(fd, 0, 0, PAGE), EOPNOTSUPP);
    CHECK_ERR(fcntl(fd, F_GET_SEALS), EINVAL);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLOUT);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    CHECK(readlink(link, name, sizeof name - 1) > 0);
    CHECK_EQ(strcmp(name, "/secretmem (deleted)"), 0);
    CHECK_ERR(open(link, O_RDWR), ENXIO);
    CHECK_ERR(secret(4), EINVAL);
    CHECK_ERR(secret(1u << 31), EINVAL);
    more = secret(O_CLOEXEC);
    CHECK_EQ(fcntl(more, F_GETFD), FD_CLOEXEC);
    close(more);
    close(fd);
}

static void one_size(void)
{
    int fd = secret(0);

    CHECK_EQ(ftruncate(fd, 2 * PAGE), 0);
    CHECK_ERR(ftruncate(fd, PAGE), EINVAL);
    CHECK_ERR(ftruncate(fd, 0), EINVAL);
    close(fd);
}

static void mapped(void)
{
    int fd = secret(0), pipes[2], st;
    char *p, c = 0;

    CHECK_EQ(ftruncate(fd, 2 * PAGE), 0);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EINVAL);
    p = map(fd, 2);
    CHECK(p != MAP_FAILED);
    strcpy(p, "secret");
    CHECK_EQ(pipe(pipes), 0); /* its owner's calls see it */
    CHECK_EQ(write(pipes[1], p, 1), 1);
    CHECK_EQ(read(pipes[0], p + PAGE, 1), 1);
    CHECK_EQ(p[PAGE], 's');
    if (fork() == 0) { /* and so do children */
        p[1] = 'E';
        _exit(p[0] != 's');
    }
    wait(&st);
    CHECK_EQ(st, 0);
    CHECK_EQ(p[1], 'E');
    if (fork() == 0) { /* beyond the end */
        char *q = map(fd, 4);

        c = q[3 * PAGE];
        _exit(c);
    }
    wait(&st);
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGBUS);
    close(pipes[0]);
    close(pipes[1]);
    munmap(p, 2 * PAGE);
    close(fd);
}

static void not_seen(void)
{
    int fd = secret(0), mem = open("/proc/self/mem", O_RDWR);
    char plain[] = "plain", got[8] = "", *p;
    struct iovec here = { got, 4 }, there = { NULL, 4 };

    CHECK_EQ(ftruncate(fd, PAGE), 0);
    p = map(fd, 1);
    strcpy(p, "secret");
    there.iov_base = plain;
    CHECK_EQ(process_vm_readv(getpid(), &here, 1, &there, 1, 0), 4);
    CHECK_EQ(memcmp(got, "plai", 4), 0);
    there.iov_base = p;
    CHECK_ERR(process_vm_readv(getpid(), &here, 1, &there, 1, 0), EFAULT);
    CHECK_ERR(process_vm_writev(getpid(), &here, 1, &there, 1, 0), EFAULT);
    CHECK_EQ(pread(mem, got, 4, (off_t)(uintptr_t)plain), 4);
    CHECK_ERR(pread(mem, got, 4, (off_t)(uintptr_t)p), EIO);
    CHECK_ERR(pwrite(mem, got, 4, (off_t)(uintptr_t)p), EIO);
    CHECK_EQ(strcmp(p, "secret"), 0);
    munmap(p, PAGE);
    close(mem);
    close(fd);
}

static long field(const char *path, const char *name)
{
    char line[256];
    long kb = -1;
    FILE *f = fopen(path, "r");

    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name)))
            kb = atol(line + strlen(name));
    if (f)
        fclose(f);
    return kb;
}

static void counts_as_locked(void)
{
    long before = field("/proc/self/status", "VmLck:");
    struct rlimit few = { PAGE, PAGE };
    int fd = secret(0), st;
    char *p;

    CHECK_EQ(ftruncate(fd, 4 * PAGE), 0);
    p = map(fd, 2);
    CHECK_EQ(field("/proc/self/status", "VmLck:") - before, 8);
    munmap(p, 2 * PAGE);
    CHECK_EQ(field("/proc/self/status", "VmLck:"), before);
    if (fork() == 0) {
        CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &few), 0);
        if (getuid() == 0)
            CHECK_EQ(setuid(NOBODY), 0);
        CHECK(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EAGAIN);
        CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
        _exit(guest_failures != 0);
    }
    wait(&st);
    CHECK_EQ(st, 0);
    close(fd);
}

int main(void)
{
    int fd = secret(0);

    if (fd < 0 && errno == ENOSYS && !guest_inside())
        SKIP("this host has no memfd_secret");
    close(fd);
    RUN(the_file);
    RUN(one_size);
    RUN(mapped);
    RUN(not_seen);
    RUN(counts_as_locked);
    DONE();
}
