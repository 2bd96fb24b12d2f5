/* SPDX-License-Identifier: Apache-2.0 */
/* sendfile, copy_file_range, advice. */
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

static int temp(void)
{
    char name[] = "/tmp/cp-XXXXXX";
    int fd = mkstemp(name);

    unlink(name);
    return fd;
}

static void send_file(void)
{
    int a = temp(), b = temp(), p[2], sv[2], dir;
    off_t off = 2;
    char buf[32] = "";

    CHECK_EQ(write(a, "0123456789", 10), 10);
    CHECK_EQ(sendfile(b, a, &off, 4), 4);
    CHECK_EQ(off, 6);
    CHECK_EQ(lseek(a, 0, SEEK_CUR), 10);
    CHECK_EQ(lseek(b, 0, SEEK_CUR), 4);
    lseek(a, 8, SEEK_SET);
    CHECK_EQ(sendfile(b, a, NULL, 100), 2);
    CHECK_EQ(lseek(a, 0, SEEK_CUR), 10);
    CHECK_EQ(sendfile(b, a, NULL, 100), 0);
    CHECK_EQ(pread(b, buf, 32, 0), 6);
    CHECK(memcmp(buf, "234589", 6) == 0);
    CHECK_EQ(pipe(p), 0);
    off = 0;
    CHECK_EQ(sendfile(p[1], a, &off, 3), 3);
    CHECK_EQ(read(p[0], buf, 32), 3);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    CHECK_EQ(sendfile(sv[0], a, &off, 3), 3);
    CHECK_EQ(read(sv[1], buf, 32), 3);
    CHECK(memcmp(buf, "345", 3) == 0);
    off = -1;
    CHECK_ERR(sendfile(b, a, &off, 3), EINVAL);
    CHECK_ERR(sendfile(p[0], a, NULL, 3), EBADF);
    CHECK_ERR(sendfile(b, 1000, NULL, 3), EBADF);
    CHECK_EQ(fcntl(b, F_SETFL, O_APPEND), 0);
    CHECK_ERR(sendfile(b, a, NULL, 3), EINVAL);
    dir = open("/tmp", O_RDONLY);
    CHECK_ERR(sendfile(p[1], dir, NULL, 3), EINVAL);
    close(dir);
    for (int i = 0; i < 2; i++)
        close(p[i]), close(sv[i]);
    close(a);
    close(b);
}

/* More than the pipe holds: the sender waits (after as much as fits), and nothing is lost. */
static void long_send(void)
{
    enum { N = 300000 };
    static char big[N], got[N];
    int a = temp(), p[2], st;
    size_t have = 0;
    ssize_t n;

    for (int i = 0; i < N; i++)
        big[i] = (char)(i * 7 + i / 256);
    CHECK_EQ(write(a, big, N), N);
    lseek(a, 0, SEEK_SET);
    CHECK_EQ(pipe(p), 0);
    if (fork() == 0) {
        close(p[0]);
        for (ssize_t left = N, k; left > 0; left -= k)
            if ((k = sendfile(p[1], a, NULL, (size_t)left)) <= 0)
                _exit(1);
        _exit(0);
    }
    close(p[1]);
    while ((n = read(p[0], got + have, N - have)) > 0)
        have += (size_t)n;
    CHECK_EQ(have, N);
    CHECK(memcmp(big, got, N) == 0);
    wait(&st);
    CHECK_EQ(st, 0);
    CHECK_EQ(lseek(a, 0, SEEK_CUR), N);
    close(p[0]);
    close(a);
}

static void copy_range(void)
{
    int a = temp(), b = temp(), p[2];
    off_t from = 1, to = 5;
    char buf[32] = "";

    CHECK_EQ(write(a, "abcdefgh", 8), 8);
    CHECK_EQ(copy_file_range(a, &from, b, &to, 3, 0), 3);
    CHECK_EQ(from, 4);
    CHECK_EQ(to, 8);
    CHECK_EQ(pread(b, buf, 32, 0), 8);
    CHECK(memcmp(buf, "\0\0\0\0\0bcd", 8) == 0);
    lseek(a, 6, SEEK_SET);
    CHECK_EQ(copy_file_range(a, NULL, b, NULL, 100, 0), 2);
    CHECK_EQ(lseek(a, 0, SEEK_CUR), 8);
    CHECK_EQ(lseek(b, 0, SEEK_CUR), 2);
    CHECK_EQ(copy_file_range(a, NULL, b, NULL, 100, 0), 0);
    from = 0, to = 4;
    CHECK_EQ(copy_file_range(a, &from, a, &to, 4, 0), 4);
    from = 0, to = 2;
    CHECK_ERR(copy_file_range(a, &from, a, &to, 4, 0), EINVAL);
    CHECK_ERR(copy_file_range(a, NULL, b, NULL, 1, 1), EINVAL);
    CHECK_EQ(pipe(p), 0);
    CHECK_ERR(copy_file_range(p[0], NULL, b, NULL, 1, 0), EINVAL);
    CHECK_ERR(copy_file_range(a, NULL, p[0], NULL, 1, 0), EINVAL);
    CHECK_EQ(fcntl(b, F_SETFL, O_APPEND), 0);
    CHECK_ERR(copy_file_range(a, NULL, b, NULL, 1, 0), EBADF);
    close(p[0]);
    close(p[1]);
    close(a);
    close(b);
}

static void advice(void)
{
    int a = temp(), p[2];

    CHECK_EQ(posix_fadvise(a, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
    CHECK_EQ(posix_fadvise(a, 0, 0, 77), EINVAL);
    CHECK_EQ(posix_fadvise(a, 0, -1, POSIX_FADV_NORMAL), EINVAL);
    CHECK_EQ(posix_fadvise(999, 0, 0, POSIX_FADV_NORMAL), EBADF);
    CHECK_EQ(readahead(a, 0, 4096), 0);
    CHECK_EQ(sync_file_range(a, 0, 0, SYNC_FILE_RANGE_WRITE), 0);
    CHECK_ERR(sync_file_range(a, 0, 0, 64), EINVAL);
    CHECK_ERR(sync_file_range(a, -1, 0, 0), EINVAL);
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(posix_fadvise(p[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
    CHECK_ERR(readahead(p[0], 0, 1), EINVAL);
    CHECK_ERR(sync_file_range(p[0], 0, 0, 0), ESPIPE);
    close(p[0]);
    close(p[1]);
    close(a);
}

int main(void)
{
    RUN(send_file);
    RUN(long_send);
    RUN(copy_range);
    RUN(advice);
    DONE();
}
