/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: reads and writes, names, splices, messages between rings. */
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "abi/stat.h"
#include "scratch.h"
#include "uring.h"

static struct ring r;

static struct lx_sqe *rw(int op, int fd, const void *buf, unsigned n, int64_t off)
{
    struct lx_sqe *s = ring_sqe(&r, op, fd, 1);

    s->addr = (uintptr_t)buf;
    s->len = n;
    s->off = (uint64_t)off;
    return s;
}

static void reads_and_writes(void)
{
    char a[8] = "", b[8] = "";
    struct iovec v[2] = { { a, 2 }, { b, 3 } };
    int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);
    int ro = open("f", O_RDONLY), ap = open("f", O_WRONLY | O_APPEND);

    CHECK_EQ(ring_do(&r, rw(LX_OP_WRITE, fd, "hello", 5, 0)), 5);
    CHECK_EQ(ring_do(&r, rw(LX_OP_WRITE, fd, "J", 1, -1)), 1); /* at its own position */
    CHECK_EQ(ring_do(&r, rw(LX_OP_READ, fd, a, 8, -1)), 4);
    CHECK(!memcmp(a, "ello", 4));
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
    CHECK_EQ(ring_do(&r, rw(LX_OP_WRITE, ap, "end", 3, 0)), 3);
    CHECK_TEXT("f", "Jelloend");
    CHECK_EQ(ring_do(&r, rw(LX_OP_READV, fd, v, 2, 1)), 5);
    CHECK(!memcmp(a, "el", 2) && !memcmp(b, "loe", 3));
    v[0].iov_base = "AB", v[1].iov_base = "CDE";
    CHECK_EQ(ring_do(&r, rw(LX_OP_WRITEV, fd, v, 2, 0)), 5);
    CHECK_TEXT("f", "ABCDEend");
    CHECK_EQ(ring_do(&r, rw(LX_OP_READ, fd, a, 8, 100)), 0);
    CHECK_EQ(ring_do(&r, rw(LX_OP_WRITE, ro, "x", 1, 0)), -EBADF);
    CHECK_EQ(ring_do(&r, rw(LX_OP_READ, ap, a, 1, 0)), -EBADF);
    CHECK_EQ(ring_do(&r, rw(LX_OP_READ, fd, (void *)8, 1, 0)), -EFAULT);
    CHECK_EQ(ring_do(&r, rw(LX_OP_READV, fd, (void *)8, 1, 0)), -EFAULT);
    CHECK_EQ(ring_do(&r, rw(LX_OP_READV, fd, v, 2000, 0)), -EINVAL);
    struct lx_sqe *s = rw(LX_OP_READ, fd, a, 1, 0);
    s->op_flags = 1u << 30;
    CHECK_EQ(ring_do(&r, s), -EOPNOTSUPP);
    s = rw(LX_OP_READ, fd, a, 1, 0);
    s->ioprio = 5 << 13;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    CHECK_EQ(ring_do(&r, ring_sqe(&r, LX_OP_FSYNC, fd, 1)), 0);
    s = ring_sqe(&r, LX_OP_FSYNC, fd, 1);
    s->op_flags = 1;
    CHECK_EQ(ring_do(&r, s), 0);
    s = ring_sqe(&r, LX_OP_FSYNC, fd, 1);
    s->op_flags = 2;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    s = ring_sqe(&r, LX_OP_SYNC_FILE_RANGE, fd, 1);
    s->len = 4, s->op_flags = 2;
    CHECK_EQ(ring_do(&r, s), 0);
    s = ring_sqe(&r, LX_OP_FALLOCATE, fd, 1);
    s->off = 0, s->addr = 100;
    CHECK_EQ(ring_do(&r, s), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 100);
    s = ring_sqe(&r, LX_OP_FTRUNCATE, fd, 1);
    s->off = 8;
    CHECK_EQ(ring_do(&r, s), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 8);
    s = ring_sqe(&r, LX_OP_FADVISE, fd, 1);
    s->len = 8, s->op_flags = POSIX_FADV_SEQUENTIAL;
    CHECK_EQ(ring_do(&r, s), 0);
    close(fd), close(ro), close(ap);
}

static volatile int signals;

static void count(int sig)
{
    (void)sig;
    signals++;
}

static void streams(void)
{
    int p[2], e;
    char buf[8];
    uint64_t n = 3;

    CHECK_EQ(pipe2(p, O_NONBLOCK), 0);
    rw(LX_OP_READ, p[0], buf, 8, 0); /* it waits all the same */
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(write(p[1], "z", 1), 1);
    CHECK_EQ(ring_result(&r, 1), 1);
    fcntl(p[0], F_SETFL, 0);
    struct lx_sqe *s = rw(LX_OP_READ, p[0], buf, 8, 0);
    s->op_flags = RWF_NOWAIT;
    CHECK_EQ(ring_do(&r, s), -EAGAIN);
    rw(LX_OP_READ, p[0], buf, 8, 0);
    CHECK_EQ(ring_submit(&r), 1);
    rw(LX_OP_WRITE, p[1], "abc", 3, 0)->user_data = 2;
    CHECK_EQ(ring_submit_wait(&r, 2), 1);
    int sum = 0;
    for (int i = 0; i < 2; i++)
        sum += ring_next(&r).res;
    CHECK_EQ(sum, 6);
    CHECK(!memcmp(buf, "abc", 3));
    close(p[1]);
    CHECK_EQ(ring_do(&r, rw(LX_OP_READ, p[0], buf, 8, 0)), 0);
    close(p[0]);
    e = eventfd(0, 0);
    CHECK_EQ(ring_do(&r, rw(LX_OP_WRITE, e, &n, 8, 0)), 8);
    n = 0;
    CHECK_EQ(ring_do(&r, rw(LX_OP_READ, e, &n, 8, 0)), 8);
    CHECK_EQ(n, 3);
    CHECK_EQ(ring_do(&r, rw(LX_OP_WRITE, e, &n, 4, 0)), -EINVAL);
    close(e);
    CHECK_EQ(pipe(p), 0);
    close(p[0]);
    signal(SIGPIPE, count);
    CHECK_EQ(ring_do(&r, rw(LX_OP_WRITE, p[1], "x", 1, 0)), -EPIPE);
    CHECK_EQ(signals, 1);
    close(p[1]);
}

static struct lx_sqe *name(int op, const char *path, unsigned len, const char *path2)
{
    struct lx_sqe *s = ring_sqe(&r, op, AT_FDCWD, 1);

    s->addr = (uintptr_t)path;
    s->len = len;
    s->addr2 = (uintptr_t)path2;
    return s;
}

static void names(void)
{
    struct lx_statx x;
    struct lx_sqe *s;
    struct {
        uint64_t flags, mode, resolve;
    } how = { O_RDWR | O_CREAT, 0600, 0 };
    char buf[8] = "";
    int fd;

    s = name(LX_OP_OPENAT, "g", 0640, NULL);
    s->op_flags = O_RDWR | O_CREAT;
    fd = ring_do(&r, s);
    CHECK(fd >= 0);
    CHECK_EQ(ring_do(&r, rw(LX_OP_WRITE, fd, "g", 1, 0)), 1);
    CHECK_EQ(ring_do(&r, ring_sqe(&r, LX_OP_CLOSE, fd, 1)), 0);
    CHECK_EQ(ring_do(&r, ring_sqe(&r, LX_OP_CLOSE, fd, 1)), -EBADF);
    CHECK_EQ(ring_do(&r, ring_sqe(&r, LX_OP_CLOSE, r.fd, 1)), -EBADF);
    s = name(LX_OP_OPENAT2, "h", sizeof how, (char *)&how);
    fd = ring_do(&r, s);
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQ(ring_do(&r, name(LX_OP_OPENAT, "missing", 0, NULL)), -ENOENT);
    s = name(LX_OP_OPENAT, "g", 0, NULL);
    s->flags = LX_SQE_FIXED_FILE;
    CHECK_EQ(ring_do(&r, s), -EBADF);
    s = name(LX_OP_STATX, "g", 0x7ff, (char *)&x);
    CHECK_EQ(ring_do(&r, s), 0);
    CHECK_EQ(x.stx_size, 1);
    CHECK_EQ(ring_do(&r, name(LX_OP_MKDIRAT, "d", 0755, NULL)), 0);
    CHECK_EQ(ring_do(&r, name(LX_OP_MKDIRAT, "d", 0755, NULL)), -EEXIST);
    CHECK_EQ(ring_do(&r, name(LX_OP_RENAMEAT, "g", (unsigned)AT_FDCWD, "d/g")), 0);
    s = name(LX_OP_LINKAT, "d/g", (unsigned)AT_FDCWD, "hard");
    CHECK_EQ(ring_do(&r, s), 0);
    s = ring_sqe(&r, LX_OP_SYMLINKAT, AT_FDCWD, 1);
    s->addr = (uintptr_t) "hard", s->addr2 = (uintptr_t) "soft";
    CHECK_EQ(ring_do(&r, s), 0);
    CHECK_EQ(readlink("soft", buf, 8), 4);
    CHECK_TEXT("soft", "g");
    if (setxattr("hard", "user.k", "v", 1, 0) == 0) {
        s = ring_sqe(&r, LX_OP_GETXATTR, 0, 1);
        s->addr = (uintptr_t) "user.k", s->addr2 = (uintptr_t)buf, s->len = 8;
        s->addr3 = (uintptr_t) "hard";
        CHECK_EQ(ring_do(&r, s), 1);
        s = ring_sqe(&r, LX_OP_SETXATTR, 0, 1);
        s->addr = (uintptr_t) "user.l", s->addr2 = (uintptr_t) "ab", s->len = 2;
        s->addr3 = (uintptr_t) "hard";
        CHECK_EQ(ring_do(&r, s), 0);
        CHECK_EQ(getxattr("hard", "user.l", buf, 8), 2);
    }
    CHECK_EQ(ring_do(&r, name(LX_OP_UNLINKAT, "soft", 0, NULL)), 0);
    CHECK_EQ(ring_do(&r, name(LX_OP_UNLINKAT, "d", 0, NULL)), -EISDIR);
    s = name(LX_OP_UNLINKAT, "d", 0, NULL);
    s->op_flags = AT_REMOVEDIR;
    CHECK_EQ(ring_do(&r, s), -ENOTEMPTY);
    CHECK_EQ(ring_do(&r, name(LX_OP_UNLINKAT, "d/g", 0, NULL)), 0);
    s = name(LX_OP_UNLINKAT, "d", 0, NULL);
    s->op_flags = AT_REMOVEDIR;
    CHECK_EQ(ring_do(&r, s), 0);
}

static struct lx_sqe *splice_sqe(int op, int in, int64_t off_in, int out, int64_t off_out,
                                 unsigned n)
{
    struct lx_sqe *s = ring_sqe(&r, op, out, 1);

    s->splice_fd_in = in;
    s->splice_off_in = (uint64_t)off_in;
    s->off = (uint64_t)off_out;
    s->len = n;
    return s;
}

static void splices(void)
{
    int p[2], q[2], fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char buf[16] = "";

    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(pipe(q), 0);
    CHECK_EQ(ring_do(&r, splice_sqe(LX_OP_SPLICE, fd, 2, p[1], -1, 4)), 4);
    CHECK_EQ(ring_do(&r, splice_sqe(LX_OP_TEE, p[0], 0, q[1], 0, 4)), 4);
    CHECK_EQ(ring_do(&r, splice_sqe(LX_OP_SPLICE, p[0], -1, fd, 10, 4)), 4);
    CHECK_EQ(read(q[0], buf, 16), 4);
    CHECK(!memcmp(buf, "2345", 4));
    CHECK_TEXT("f", "01234567892345");
    CHECK_EQ(ring_do(&r, splice_sqe(LX_OP_SPLICE, 999, -1, p[1], -1, 4)), -EBADF);
    CHECK_EQ(ring_do(&r, splice_sqe(LX_OP_SPLICE, fd, 0, fd, 0, 4)), -EINVAL);
    CHECK_EQ(ring_do(&r, splice_sqe(LX_OP_SPLICE, p[0], 0, fd, 0, 4)), -ESPIPE);
    splice_sqe(LX_OP_SPLICE, p[0], -1, q[1], -1, 4); /* waits */
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(write(p[1], "late", 4), 4);
    CHECK_EQ(ring_result(&r, 1), 4);
    close(p[0]), close(p[1]), close(q[0]), close(q[1]), close(fd);
}

static void sets(void)
{
    int ep = epoll_create1(0), e = eventfd(1, 0);
    struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 5 };
    struct lx_sqe *s = ring_sqe(&r, LX_OP_EPOLL_CTL, ep, 1);

    s->addr = (uintptr_t)&ev, s->len = EPOLL_CTL_ADD, s->off = (uint64_t)e;
    CHECK_EQ(ring_do(&r, s), 0);
    ev.data.u64 = 0;
    CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
    CHECK_EQ(ev.data.u64, 5);
    s = ring_sqe(&r, LX_OP_EPOLL_CTL, ep, 1);
    s->addr = (uintptr_t)&ev, s->len = EPOLL_CTL_ADD, s->off = (uint64_t)e;
    CHECK_EQ(ring_do(&r, s), -EEXIST);
    close(ep), close(e);
}

static void messages(void)
{
    struct ring other;
    struct lx_sqe *s;
    struct lx_cqe c;

    ring_open(&other, 4);
    s = ring_sqe(&r, LX_OP_MSG_RING, other.fd, 1);
    s->off = 0x1234, s->len = 42;
    CHECK_EQ(ring_do(&r, s), 0);
    c = ring_next(&other);
    CHECK_EQ(c.user_data, 0x1234);
    CHECK_EQ(c.res, 42);
    s = ring_sqe(&r, LX_OP_MSG_RING, 0, 1);
    CHECK_EQ(ring_do(&r, s), -EBADFD);
    int fd = open("f", O_RDONLY);
    struct lx_rsrc_register a = { .nr = 2, .flags = LX_RSRC_REGISTER_SPARSE };
    CHECK_EQ(uring_register(&r, LX_REGISTER_FILES, &fd, 1), 0);
    CHECK_EQ(uring_register(&other, LX_REGISTER_FILES2, &a, sizeof a), 0);
    s = ring_sqe(&r, LX_OP_MSG_RING, other.fd, 1);
    s->addr = LX_MSG_SEND_FD, s->off = 7, s->addr3 = 0, s->file_index = LX_FILE_INDEX_ALLOC;
    CHECK_EQ(ring_do(&r, s), 0);
    CHECK_EQ(ring_result(&other, 7), 0);
    char ch;
    s = ring_sqe(&other, LX_OP_READ, 0, 8);
    s->flags = LX_SQE_FIXED_FILE, s->addr = (uintptr_t)&ch, s->len = 1;
    CHECK_EQ(ring_do(&other, s), 1);
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_FILES, NULL, 0), 0);
    close(fd);
    ring_close(&other);
}

static struct lx_sqe *advise(void *at, size_t len, int advice, uint64_t user_data)
{
    struct lx_sqe *s = ring_sqe(&r, LX_OP_MADVISE, -1, user_data);

    s->addr = (uintptr_t)at, s->len = (uint32_t)len, s->op_flags = (uint32_t)advice;
    return s;
}

static void advice(void)
{
    char *m = mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), b;
    struct lx_sqe *s;
    int p[2];

    memset(m, 'x', 32768);
    CHECK_EQ(ring_do(&r, advise(m, 4096, MADV_DONTNEED, 1)), 0);
    CHECK_EQ(m[0], 0);
    CHECK_EQ(m[4096], 'x');
    CHECK_EQ(ring_do(&r, advise(m, 4096, 4711, 1)), -EINVAL);
    CHECK_EQ(ring_do(&r, advise(m + 1, 4096, MADV_DONTNEED, 1)), -EINVAL);
    CHECK_EQ(ring_do(&r, advise((void *)4096, 4096, MADV_NORMAL, 1)), -ENOMEM);
    s = advise(m, 4096, MADV_DONTNEED, 1);
    s->buf_index = 1;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    /* Many at once, and those that do not wait for results. */
    for (int i = 0; i < 7; i++)
        advise(m + i * 4096, 4096, MADV_DONTNEED, 7);
    CHECK_EQ(ring_submit(&r), 7);
    for (int i = 0; i < 7; i++)
        CHECK_EQ(ring_result(&r, 7), 0);
    CHECK_EQ(m[6 * 4096], 0);
    CHECK_EQ(m[7 * 4096], 'x');
    /* Behind what has to wait: whoever waits for results does it. */
    CHECK_EQ(pipe(p), 0);
    s = rw(LX_OP_READ, p[0], &b, 1, 0);
    s->flags = LX_SQE_LINK, s->user_data = 1;
    advise(m + 7 * 4096, 4096, MADV_DONTNEED, 2);
    CHECK_EQ(ring_submit(&r), 2);
    CHECK_EQ(m[7 * 4096], 'x');
    if (fork() == 0) {
        usleep(100000);
        _exit(write(p[1], "z", 1) != 1);
    }
    CHECK_EQ(uring_enter(&r, 0, 2, LX_ENTER_GETEVENTS), 0);
    CHECK_EQ(ring_result(&r, 1), 1);
    CHECK_EQ(ring_result(&r, 2), 0);
    CHECK_EQ(m[7 * 4096], 0);
    wait(NULL);
    /* One that nobody comes to do any more is cancelled with its ring, or done; either way it ends. */
    s = rw(LX_OP_READ, p[0], &b, 1, 0);
    s->flags = LX_SQE_LINK, s->user_data = 1;
    advise(m, 4096, MADV_DONTNEED, 2);
    CHECK_EQ(ring_submit(&r), 2);
    CHECK_EQ(write(p[1], "z", 1), 1);
    close(p[0]), close(p[1]);
    munmap(m, 32768);
}

int main(void)
{
    ring_need();
    scratch_begin();
    ring_open(&r, 8);
    RUN(reads_and_writes);
    RUN(streams);
    RUN(names);
    RUN(splices);
    RUN(sets);
    RUN(messages);
    RUN(advice);
    ring_close(&r);
    scratch_end();
    DONE();
}
