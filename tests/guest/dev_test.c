/* SPDX-License-Identifier: Apache-2.0 */
/* /dev: the memory devices, the links, the directories. */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "guest.h"

static void numbers(void)
{
    static const struct {
        const char *name;
        unsigned maj, min;
    } devs[] = { { "/dev/null", 1, 3 },   { "/dev/zero", 1, 5 },    { "/dev/full", 1, 7 },
                 { "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 } };
    struct stat st;

    for (unsigned i = 0; i < sizeof devs / sizeof *devs; i++) {
        CHECK_EQ(stat(devs[i].name, &st), 0);
        CHECK_EQ(st.st_mode, S_IFCHR | 0666);
        CHECK_EQ(major(st.st_rdev), devs[i].maj);
        CHECK_EQ(minor(st.st_rdev), devs[i].min);
    }
}

static void null_zero(void)
{
    char buf[64], *map;
    int fd = open("/dev/null", O_RDWR), ep = epoll_create1(0);
    struct epoll_event ev = { .events = EPOLLIN };
    struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

    CHECK_EQ(write(fd, "abc", 3), 3);
    CHECK_EQ(read(fd, buf, 3), 0);
    CHECK_EQ(lseek(fd, 100, SEEK_SET), 0);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLOUT);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED);
    CHECK_EQ(errno, ENODEV);
    close(ep);
    close(fd);
    close(open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0666));
    fd = open("/dev/zero", O_RDWR);
    memset(buf, 1, sizeof buf);
    CHECK_EQ(read(fd, buf, sizeof buf), sizeof buf);
    for (size_t i = 0; i < sizeof buf; i++)
        CHECK(buf[i] == 0);
    CHECK_EQ(pread(fd, buf, 8, 1000), 8);
    map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(map != MAP_FAILED);
    map[5000] = 1;
    CHECK(map[0] == 0);
    munmap(map, 8192);
    close(fd);
    fd = open("/dev/full", O_RDWR);
    CHECK_ERR(write(fd, "a", 1), ENOSPC);
    CHECK_EQ(read(fd, buf, 8), 8);
    close(fd);
}

static void random_bytes(void)
{
    char a[32] = "", b[32] = "";
    int fd = open("/dev/urandom", O_RDONLY);

    CHECK_EQ(read(fd, a, 32), 32);
    CHECK_EQ(read(fd, b, 32), 32);
    CHECK(memcmp(a, b, 32) != 0);
    close(fd);
    fd = open("/dev/random", O_RDONLY);
    CHECK_EQ(read(fd, b, 32), 32);
    close(fd);
}

static void links(void)
{
    struct stat st;
    char buf[64] = "";
    int p[2], fd;

    CHECK_EQ(readlink("/dev/fd", buf, sizeof buf - 1), 13);
    CHECK(strcmp(buf, "/proc/self/fd") == 0);
    CHECK_EQ(lstat("/dev/stdin", &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(stat("/dev/shm", &st), 0);
    CHECK_EQ(st.st_mode, S_IFDIR | 01777);
    CHECK_EQ(stat("/dev/pts", &st), 0);
    CHECK(S_ISDIR(st.st_mode));
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(write(p[1], "hi", 2), 2);
    snprintf(buf, sizeof buf, "/dev/fd/%d", p[0]);
    fd = open(buf, O_RDONLY);
    CHECK_EQ(read(fd, buf, 8), 2);
    close(fd);
    close(p[0]);
    close(p[1]);
    fd = open("/dev/shm/sbx-dev-test", O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(unlink("/dev/shm/sbx-dev-test"), 0);
    close(fd);
}

/* What was opened for reading can't be made writable, nor can a shared map be had of it that is. */
static void shared_zeros(void)
{
    int fd = open("/dev/zero", O_RDONLY), st;
    char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    CHECK(p != MAP_FAILED);
    CHECK_EQ(*p, 0);
    CHECK_ERR(mprotect(p, 4096, PROT_READ | PROT_WRITE), EACCES);
    CHECK_ERR(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0, EACCES);
    munmap(p, 4096);
    close(fd);
    CHECK_ERR(mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0, EBADF);
    fd = open("/dev/zero", O_RDWR);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    CHECK(p != MAP_FAILED);
    if (fork() == 0) {
        *p = 7;
        _exit(0);
    }
    wait(&st);
    CHECK_EQ(*p, 7);
    munmap(p, 4096);
}

int main(void)
{
    RUN(numbers);
    RUN(null_zero);
    RUN(random_bytes);
    RUN(links);
    RUN(shared_zeros);
    DONE();
}
