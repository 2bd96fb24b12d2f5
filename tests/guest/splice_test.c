/* SPDX-License-Identifier: Apache-2.0 */
/* splice, tee and vmsplice. */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "guest.h"

static int temp_file(void)
{
    char name[] = "/tmp/splice_test.XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    return fd;
}

static void file_to_pipe(void)
{
    int p[2], fd = temp_file();
    char buf[32];
    CHECK(fd >= 0);
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    loff_t off = 2;
    CHECK_EQ(splice(fd, &off, p[1], NULL, 5, 0), 5);
    CHECK_EQ(off, 7);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
    CHECK_EQ(read(p[0], buf, sizeof buf), 5);
    CHECK(memcmp(buf, "23456", 5) == 0);
    lseek(fd, 8, SEEK_SET);
    CHECK_EQ(splice(fd, NULL, p[1], NULL, 100, 0), 2);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
    CHECK_EQ(splice(fd, NULL, p[1], NULL, 100, 0), 0);
    CHECK_EQ(read(p[0], buf, sizeof buf), 2);
    close(fd);
    close(p[0]);
    close(p[1]);
}

static void pipe_to_file(void)
{
    int p[2], fd = temp_file();
    char buf[32];
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(write(p[1], "abcdef", 6), 6);
    loff_t off = 3;
    CHECK_EQ(splice(p[0], NULL, fd, &off, 4, 0), 4);
    CHECK_EQ(off, 7);
    CHECK_EQ(splice(p[0], NULL, fd, NULL, 100, 0), 2);
    CHECK_EQ(pread(fd, buf, sizeof buf, 0), 7);
    CHECK(memcmp(buf, "ef\0abcd", 7) == 0);
    CHECK_ERR(splice(p[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    close(p[1]);
    CHECK_EQ(splice(p[0], NULL, fd, NULL, 1, 0), 0);
    close(p[0]);
    close(fd);
}

static void pipe_to_pipe(void)
{
    int a[2], b[2];
    char buf[32];
    CHECK_EQ(pipe(a), 0);
    CHECK_EQ(pipe(b), 0);
    CHECK_EQ(write(a[1], "abcdef", 6), 6);
    CHECK_EQ(tee(a[0], b[1], 4, 0), 4);
    CHECK_EQ(read(b[0], buf, sizeof buf), 4);
    CHECK(memcmp(buf, "abcd", 4) == 0);
    CHECK_EQ(splice(a[0], NULL, b[1], NULL, 2, 0), 2);
    CHECK_EQ(splice(a[0], NULL, b[1], NULL, 100, 0), 4);
    CHECK_EQ(read(b[0], buf, sizeof buf), 6);
    CHECK(memcmp(buf, "abcdef", 6) == 0);
    CHECK_ERR(splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERR(tee(a[0], b[1], 1, SPLICE_F_NONBLOCK), EAGAIN);
    close(a[1]);
    CHECK_EQ(tee(a[0], b[1], 1, 0), 0);
    close(a[0]);
    close(b[0]);
    close(b[1]);
}

static void refused(void)
{
    int p[2], fd = temp_file();
    loff_t off = 0;
    CHECK_EQ(pipe(p), 0);
    CHECK_ERR(splice(p[0], &off, fd, NULL, 1, 0), ESPIPE);
    CHECK_ERR(splice(fd, NULL, fd, NULL, 1, 0), EINVAL);
    CHECK_ERR(splice(p[0], NULL, p[1], NULL, 1, 0), EINVAL);
    CHECK_ERR(tee(p[0], p[1], 1, 0), EINVAL);
    CHECK_ERR(splice(p[1], NULL, fd, NULL, 1, 0), EBADF);
    CHECK_ERR(splice(fd, NULL, p[0], NULL, 1, 0), EBADF);
    CHECK_ERR(splice(fd, NULL, 999, NULL, 1, 0), EBADF);
    CHECK_ERR(splice(fd, NULL, p[1], NULL, 1, 0x100), EINVAL);
    CHECK_EQ(splice(fd, NULL, 999, NULL, 0, 0), 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    fcntl(fd, F_SETFL, O_APPEND);
    CHECK_ERR(splice(p[0], NULL, fd, NULL, 1, 0), EINVAL);
    struct iovec v = { "x", 1 };
    CHECK_ERR(vmsplice(fd, &v, 1, 0), EBADF);
    signal(SIGPIPE, SIG_IGN);
    close(p[0]);
    CHECK_ERR(splice(fd, &off, p[1], NULL, 1, 0), EPIPE);
    close(p[1]);
    close(fd);
}

static void from_memory(void)
{
    int p[2];
    char buf[32] = "", to[4];
    struct iovec v[2] = { { "abc", 3 }, { "defg", 4 } }, in = { to, sizeof to };
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(vmsplice(p[1], v, 2, 0), 7);
    CHECK_EQ(vmsplice(p[0], &in, 1, 0), 4);
    CHECK(memcmp(to, "abcd", 4) == 0);
    CHECK_EQ(read(p[0], buf, sizeof buf), 3);
    static char big[100000] __attribute__((aligned(4096)));
    struct iovec bv = { big, sizeof big };
    CHECK_EQ(vmsplice(p[1], &bv, 1, 0), 65536);
    CHECK_ERR(vmsplice(p[1], &bv, 1, SPLICE_F_NONBLOCK), EAGAIN);
    close(p[0]);
    close(p[1]);
}

/* Through two pipes and a socket, with readers and writers that wait. */
static void relay(void)
{
    int a[2], b[2], s[2];
    long sum = 0, n;
    static char buf[8192];
    CHECK_EQ(pipe(a), 0);
    CHECK_EQ(pipe(b), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    if (fork() == 0) {
        close(a[0]);
        for (int i = 0; i < 40; i++) {
            memset(buf, 'a' + i % 26, sizeof buf);
            if (write(a[1], buf, sizeof buf) != sizeof buf)
                _exit(1);
        }
        _exit(0);
    }
    close(a[1]);
    if (fork() == 0) {
        close(s[0]);
        while ((n = splice(a[0], NULL, s[1], NULL, 1 << 20, 0)) > 0)
            sum += n;
        _exit(sum != 40 * (long)sizeof buf);
    }
    close(a[0]);
    close(s[1]);
    if (fork() == 0) {
        close(b[0]);
        while ((n = splice(s[0], NULL, b[1], NULL, 1 << 20, 0)) > 0)
            sum += n;
        _exit(sum != 40 * (long)sizeof buf);
    }
    close(s[0]);
    close(b[1]);
    int wrong = 0, st;
    while ((n = read(b[0], buf, sizeof buf)) > 0) {
        for (long i = 0; i < n; i++)
            wrong += buf[i] != 'a' + (sum + i) / (long)sizeof buf % 26;
        sum += n;
    }
    CHECK_EQ(sum, 40 * (long)sizeof buf);
    CHECK_EQ(wrong, 0);
    for (int i = 0; i < 3; i++) {
        CHECK(wait(&st) > 0);
        CHECK_EQ(st, 0);
    }
    close(b[0]);
}

int main(void)
{
    RUN(file_to_pipe);
    RUN(pipe_to_file);
    RUN(pipe_to_pipe);
    RUN(refused);
    RUN(from_memory);
    RUN(relay);
    DONE();
}
