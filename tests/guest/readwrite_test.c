/* SPDX-License-Identifier: Apache-2.0 */
/* read, write, their positions and flags. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "guest.h"

static void *volatile nowhere = (void *)8;

static int temp(void)
{
    char name[] = "/tmp/rw-XXXXXX";
    int fd = mkstemp(name);

    if (fd < 0)
        SKIP("no /tmp");
    unlink(name);
    return fd;
}

static void positions(void)
{
    char buf[16] = "";
    int fd = temp(), d = dup(fd), st;

    CHECK_EQ(write(fd, "hello world", 11), 11);
    CHECK_EQ(lseek(d, 0, SEEK_CUR), 11);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    if (fork() == 0) {
        char c[5];
        _exit(read(d, c, 5) == 5 && memcmp(c, "hello", 5) == 0 ? 0 : 1);
    }
    wait(&st);
    CHECK_EQ(st, 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
    CHECK_EQ(read(fd, buf, sizeof buf), 6);
    CHECK(memcmp(buf, " world", 6) == 0);
    CHECK_EQ(read(fd, buf, sizeof buf), 0);
    CHECK_EQ(lseek(fd, -1, SEEK_END), 10);
    CHECK_ERR(lseek(fd, -100, SEEK_CUR), EINVAL);
    CHECK_ERR(lseek(fd, 0, 99), EINVAL);
    CHECK_ERR(lseek(-1, 0, SEEK_SET), EBADF);
    CHECK_EQ(pread(fd, buf, 4, 6), 4);
    CHECK(memcmp(buf, "worl", 4) == 0);
    CHECK_EQ(pwrite(fd, "W", 1, 6), 1);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
    CHECK_ERR(pread(fd, buf, 4, -1), EINVAL);
    CHECK_EQ(lseek(fd, 100, SEEK_SET), 100);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(pread(fd, buf, 4, 50), 4);
    CHECK(memcmp(buf, "\0\0\0\0", 4) == 0);
    close(d);
    close(fd);
}

static void append(void)
{
    char name[] = "/tmp/ap-XXXXXX", buf[16] = "";
    int fd = mkstemp(name), a = open(name, O_WRONLY | O_APPEND), st;

    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            for (int j = 0; j < 50; j++)
                if (write(a, "12345678", 8) != 8)
                    _exit(1);
            _exit(0);
        }
    for (int i = 0; i < 4; i++) {
        wait(&st);
        CHECK_EQ(st, 0);
    }
    CHECK_EQ(lseek(fd, 0, SEEK_END), 4 * 50 * 8);
    CHECK_EQ(lseek(a, 0, SEEK_SET), 0);
    CHECK_EQ(write(a, "ab", 2), 2);
    CHECK_EQ(lseek(a, 0, SEEK_CUR), 1602);
    CHECK_EQ(pwrite(a, "cd", 2, 0), 2); /* appends all the same */
    CHECK_EQ(pread(fd, buf, 4, 1600), 4);
    CHECK(memcmp(buf, "abcd", 4) == 0);
    CHECK_EQ(fcntl(a, F_SETFL, 0), 0);
    CHECK_EQ(pwrite(a, "zz", 2, 0), 2);
    CHECK_EQ(pread(fd, buf, 2, 0), 2);
    CHECK(memcmp(buf, "zz", 2) == 0);
    unlink(name);
    close(a);
    close(fd);
}

static void vectors(void)
{
    char a[4] = "", b[4] = "", c[8] = "";
    struct iovec out[3] = { { "one", 3 }, { "", 0 }, { "two", 3 } }, in[2] = { { a, 3 }, { b, 3 } };
    struct iovec bad[1] = { { NULL, (size_t)-1 } }, many[1025];
    int fd = temp();

    CHECK_EQ(writev(fd, out, 3), 6);
    CHECK_EQ(preadv(fd, in, 2, 0), 6);
    CHECK(memcmp(a, "one", 3) == 0 && memcmp(b, "two", 3) == 0);
    CHECK_EQ(readv(fd, in, 2), 0);
    CHECK_ERR(readv(fd, bad, 1), EINVAL);
    memset(many, 0, sizeof many);
    CHECK_ERR(syscall(SYS_readv, fd, many, 1025), EINVAL);
    CHECK_EQ(readv(fd, many, 1024), 0);
    CHECK_EQ(readv(fd, in, 0), 0);
    CHECK_ERR(readv(fd, nowhere, 1), EFAULT);
    CHECK_EQ(preadv2(fd, (struct iovec[]){ { c, 6 } }, 1, 0, 0), 6);
    CHECK(memcmp(c, "onetwo", 6) == 0);
    CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
    CHECK_EQ(preadv2(fd, in, 1, -1, 0), 3);
    CHECK(memcmp(a, "two", 3) == 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
    CHECK_ERR(preadv2(fd, in, 1, 0, 0x40000000), EOPNOTSUPP);
    CHECK_EQ(pwritev2(fd, (struct iovec[]){ { "ap", 2 } }, 1, 0, RWF_APPEND), 2);
    CHECK_EQ(pread(fd, c, 8, 0), 8);
    CHECK(memcmp(c, "onetwoap", 8) == 0);
    CHECK_EQ(pwritev2(fd, (struct iovec[]){ { "s", 1 } }, 1, 0, RWF_DSYNC), 1);
    CHECK_ERR(preadv(fd, in, 1, -1), EINVAL);
    close(fd);
}

static void errors(void)
{
    char buf[8], *ro;
    int fd = temp(), p[2];

    CHECK_EQ(pipe(p), 0);
    CHECK_ERR(read(p[1], buf, 1), EBADF);
    CHECK_ERR(write(p[0], buf, 1), EBADF);
    CHECK_ERR(pread(p[0], buf, 1, 0), ESPIPE);
    CHECK_ERR(pread(p[1], buf, 1, 0), ESPIPE);
    CHECK_ERR(pwrite(p[1], buf, 1, 0), ESPIPE);
    CHECK_ERR(lseek(p[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERR(read(1000, buf, 1), EBADF);
    CHECK_ERR(write(fd, nowhere, 8), EFAULT);
    CHECK_EQ(write(fd, "abcdefgh", 8), 8);
    CHECK_ERR(pread(fd, nowhere, 8, 0), EFAULT);
    CHECK_EQ(read(fd, NULL, 0), 0);
    ro = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(ro + 4096, 4096);
    CHECK_EQ(pread(fd, ro + 4092, 8, 0), 4); /* up to the fault */
    CHECK_EQ(pwrite(fd, ro + 4092, 8, 0), 4);
    close(fd);
    fd = open("/tmp", O_RDONLY | O_DIRECTORY);
    CHECK_ERR(read(fd, buf, 1), EISDIR);
    CHECK_ERR(write(fd, buf, 1), EBADF);
    close(fd);
    fd = open("/tmp", O_PATH);
    CHECK_ERR(read(fd, buf, 1), EBADF);
    CHECK_ERR(lseek(fd, 0, SEEK_SET), EBADF);
    close(fd);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(write(p[1], "x", 1), EPIPE);
    close(p[1]);
}

static void nowait(void)
{
    char buf[8];
    struct iovec v = { buf, sizeof buf };
    int p[2];

    CHECK_EQ(pipe(p), 0);
    CHECK_ERR(preadv2(p[0], &v, 1, -1, RWF_NOWAIT), EAGAIN);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    CHECK_EQ(preadv2(p[0], &v, 1, -1, RWF_NOWAIT), 3);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    RUN(positions);
    RUN(append);
    RUN(vectors);
    RUN(errors);
    RUN(nowait);
    DONE();
}
