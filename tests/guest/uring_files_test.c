/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: reads and writes, names, fixed files and buffers, provided buffers. */
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
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

static void fixed_files(void)
{
    int fds[4], fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644), p[2];
    struct lx_sqe *s;
    char c;

    CHECK_EQ(write(fd, "abc", 3), 3);
    CHECK_EQ(pipe(p), 0);
    fds[0] = fd, fds[1] = -1, fds[2] = p[0], fds[3] = -1;
    CHECK_ERR(uring_register(&r, LX_UNREGISTER_FILES, NULL, 0), ENXIO);
    CHECK_ERR(uring_register(&r, LX_REGISTER_FILES, fds, 0), EINVAL);
    CHECK_EQ(uring_register(&r, LX_REGISTER_FILES, fds, 4), 0);
    CHECK_ERR(uring_register(&r, LX_REGISTER_FILES, fds, 4), EBUSY);
    close(fd);
    s = rw(LX_OP_READ, 0, &c, 1, 1);
    s->flags = LX_SQE_FIXED_FILE;
    CHECK_EQ(ring_do(&r, s), 1);
    CHECK_EQ(c, 'b');
    s = rw(LX_OP_READ, 1, &c, 1, 1);
    s->flags = LX_SQE_FIXED_FILE;
    CHECK_EQ(ring_do(&r, s), -EBADF);
    s = rw(LX_OP_READ, 100, &c, 1, 1);
    s->flags = LX_SQE_FIXED_FILE;
    CHECK_EQ(ring_do(&r, s), -EBADF);
    /* a new file straight into a slot, found, chosen and closed there */
    s = name(LX_OP_OPENAT, "f", 0, NULL);
    s->file_index = 1 + 1;
    CHECK_EQ(ring_do(&r, s), 0);
    s = rw(LX_OP_READ, 1, &c, 1, 2);
    s->flags = LX_SQE_FIXED_FILE;
    CHECK_EQ(ring_do(&r, s), 1);
    CHECK_EQ(c, 'c');
    s = name(LX_OP_OPENAT, "f", 0, NULL);
    s->file_index = LX_FILE_INDEX_ALLOC;
    CHECK_EQ(ring_do(&r, s), 3);
    s = name(LX_OP_OPENAT, "f", 0, NULL);
    s->file_index = LX_FILE_INDEX_ALLOC;
    CHECK_EQ(ring_do(&r, s), -ENFILE);
    s = name(LX_OP_OPENAT, "f", 0, NULL);
    s->file_index = 9;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    s = name(LX_OP_OPENAT, "f", 0, NULL);
    s->file_index = 2, s->op_flags = O_CLOEXEC;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    s = ring_sqe(&r, LX_OP_FIXED_FD_INSTALL, 3, 1);
    s->flags = LX_SQE_FIXED_FILE;
    fd = ring_do(&r, s);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
    s = ring_sqe(&r, LX_OP_CLOSE, 0, 1);
    s->file_index = 3 + 1;
    CHECK_EQ(ring_do(&r, s), 0);
    s = ring_sqe(&r, LX_OP_CLOSE, 0, 1);
    s->file_index = 3 + 1;
    CHECK_EQ(ring_do(&r, s), -EBADF);
    struct {
        uint32_t offset, resv;
        uint64_t data;
    } u = { .offset = 3, .data = (uintptr_t)&p[1] };
    CHECK_EQ(uring_register(&r, LX_REGISTER_FILES_UPDATE, &u, 1), 1);
    s = rw(LX_OP_WRITE, 3, "x", 1, 0);
    s->flags = LX_SQE_FIXED_FILE;
    CHECK_EQ(ring_do(&r, s), 1);
    u.offset = 4;
    CHECK_ERR(uring_register(&r, LX_REGISTER_FILES_UPDATE, &u, 1), EINVAL);
    int none = -1;
    s = ring_sqe(&r, LX_OP_FILES_UPDATE, -1, 1);
    s->addr = (uintptr_t)&none, s->len = 1, s->off = 3;
    CHECK_EQ(ring_do(&r, s), 1);
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_FILES, NULL, 0), 0);
    fds[0] = r.fd;
    CHECK_ERR(uring_register(&r, LX_REGISTER_FILES, fds, 1), EBADF);
    close(p[0]), close(p[1]);
}

/* A tag is told when its resource is gone. */
static void tags(void)
{
    int fd = open("f", O_RDONLY);
    uint64_t tag = 4711;
    struct lx_rsrc_register a = { .nr = 1, .data = (uintptr_t)&fd, .tags = (uintptr_t)&tag };

    CHECK_EQ(uring_register(&r, LX_REGISTER_FILES2, &a, sizeof a), 0);
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_FILES, NULL, 0), 0);
    CHECK_EQ(ring_result(&r, 4711), 0);
    a = (struct lx_rsrc_register){ .nr = 8, .flags = LX_RSRC_REGISTER_SPARSE };
    CHECK_EQ(uring_register(&r, LX_REGISTER_FILES2, &a, sizeof a), 0);
    struct lx_file_range range = { .off = 4, .len = 2 };
    CHECK_EQ(uring_register(&r, LX_REGISTER_FILE_ALLOC_RANGE, &range, 0), 0);
    struct lx_sqe *s = name(LX_OP_OPENAT, "f", 0, NULL);
    s->file_index = LX_FILE_INDEX_ALLOC;
    CHECK_EQ(ring_do(&r, s), 4);
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_FILES, NULL, 0), 0);
    CHECK_ERR(uring_register(&r, LX_REGISTER_FILES2, &a, 8), EINVAL);
    close(fd);
}

static void fixed_buffers(void)
{
    static char buf[8192];
    struct iovec v[2] = { { buf, 4096 }, { buf + 4096, 100 } };
    int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);
    struct lx_sqe *s;

    CHECK_ERR(uring_register(&r, LX_UNREGISTER_BUFFERS, NULL, 0), ENXIO);
    CHECK_EQ(uring_register(&r, LX_REGISTER_BUFFERS, v, 2), 0);
    CHECK_ERR(uring_register(&r, LX_REGISTER_BUFFERS, v, 2), EBUSY);
    strcpy(buf + 10, "fixed");
    CHECK_EQ(ring_do(&r, rw(LX_OP_WRITE_FIXED, fd, buf + 10, 5, 0)), 5);
    CHECK_TEXT("f", "fixed");
    s = rw(LX_OP_READ_FIXED, fd, buf + 4096, 5, 0);
    s->buf_index = 1;
    CHECK_EQ(ring_do(&r, s), 5);
    CHECK(!memcmp(buf + 4096, "fixed", 5));
    s = rw(LX_OP_READ_FIXED, fd, buf + 4096, 101, 0);
    s->buf_index = 1;
    CHECK_EQ(ring_do(&r, s), -EFAULT);
    s = rw(LX_OP_READ_FIXED, fd, buf, 5, 0);
    s->buf_index = 7;
    CHECK_EQ(ring_do(&r, s), -EFAULT);
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_BUFFERS, NULL, 0), 0);
    v[0].iov_base = (void *)8;
    CHECK_ERR(uring_register(&r, LX_REGISTER_BUFFERS, v, 2), EFAULT);
    close(fd);
}

static char pool[8][64];

static void provided(void)
{
    int fd = open("f", O_RDONLY), p[2];
    struct lx_sqe *s;
    struct lx_cqe c;

    s = ring_sqe(&r, LX_OP_PROVIDE_BUFFERS, 2, 1);
    s->addr = (uintptr_t)pool, s->len = 64, s->off = 5, s->buf_index = 9;
    CHECK_EQ(ring_do(&r, s), 0);
    s = rw(LX_OP_READ, fd, NULL, 3, 0);
    s->flags = LX_SQE_BUFFER_SELECT, s->buf_index = 9;
    CHECK_EQ(ring_submit_wait(&r, 1), 1);
    c = ring_next(&r);
    CHECK_EQ(c.res, 3);
    CHECK_EQ(c.flags & 0xffff, LX_CQE_BUFFER);
    CHECK_EQ(c.flags >> 16, 5);
    CHECK(!memcmp(pool[0], "fix", 3));
    CHECK_EQ(pipe(p), 0);
    s = rw(LX_OP_READ, p[0], NULL, 64, 0);
    s->flags = LX_SQE_BUFFER_SELECT, s->buf_index = 9, s->user_data = 2;
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(write(p[1], "x", 1), 1);
    c = ring_next(&r);
    CHECK_EQ(c.user_data, 2);
    CHECK_EQ(c.res, 1);
    CHECK_EQ(c.flags >> 16, 6);
    CHECK_EQ(write(p[1], "y", 1), 1);
    s = rw(LX_OP_READ, p[0], NULL, 64, 0);
    s->flags = LX_SQE_BUFFER_SELECT, s->buf_index = 9;
    CHECK_EQ(ring_do(&r, s), -ENOBUFS);
    s = ring_sqe(&r, LX_OP_PROVIDE_BUFFERS, 4, 1);
    s->addr = (uintptr_t)pool, s->len = 64, s->buf_index = 9;
    CHECK_EQ(ring_do(&r, s), 0);
    s = ring_sqe(&r, LX_OP_REMOVE_BUFFERS, 3, 1);
    s->buf_index = 9;
    CHECK_EQ(ring_do(&r, s), 3);
    s = ring_sqe(&r, LX_OP_REMOVE_BUFFERS, 3, 1);
    s->buf_index = 10;
    CHECK_EQ(ring_do(&r, s), -ENOENT);
    s = ring_sqe(&r, LX_OP_PROVIDE_BUFFERS, 0, 1);
    CHECK_EQ(ring_do(&r, s), -E2BIG);
    close(p[0]), close(p[1]), close(fd);
}

static void ring_of_buffers(unsigned flags)
{
    struct lx_pbuf *b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct lx_pbuf_reg reg = { .ring_entries = 4, .bgid = 3, .flags = (uint16_t)flags };
    struct lx_pbuf_status st = { .group = 3 };
    int p[2];
    struct lx_sqe *s;
    struct lx_cqe c;

    reg.ring_addr = flags ? 0 : (uintptr_t)b;
    CHECK_EQ(uring_register(&r, LX_REGISTER_PBUF_RING, &reg, 1), 0);
    CHECK_ERR(uring_register(&r, LX_REGISTER_PBUF_RING, &reg, 1), EEXIST);
    if (flags)
        b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd,
                 (off_t)(LX_OFF_PBUF_RING | 3ul << LX_OFF_PBUF_SHIFT));
    CHECK(b != MAP_FAILED);
    for (uint16_t i = 0; i < 3; i++) {
        b[i].addr = (uintptr_t)pool[i];
        b[i].len = 64;
        b[i].bid = (uint16_t)(20 + i);
    }
    atomic_thread_fence(memory_order_release);
    *(volatile uint16_t *)&b[0].resv = 3;
    CHECK_EQ(pipe(p), 0);
    s = ring_sqe(&r, LX_OP_READ_MULTISHOT, p[0], 7);
    s->flags = LX_SQE_BUFFER_SELECT, s->buf_index = 3, s->off = (uint64_t)-1;
    CHECK_EQ(ring_submit(&r), 1);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(write(p[1], "pool", 4), 4);
        c = ring_next(&r);
        CHECK_EQ(c.user_data, 7);
        CHECK_EQ(c.res, 4);
        CHECK_EQ(c.flags, LX_CQE_BUFFER | LX_CQE_MORE | (20 + i) << 16);
        CHECK(!memcmp(pool[i], "pool", 4));
    }
    CHECK_EQ(uring_register(&r, LX_REGISTER_PBUF_STATUS, &st, 1), 0);
    CHECK_EQ(st.head, 3);
    CHECK_EQ(write(p[1], "more", 4), 4);
    c = ring_next(&r);
    CHECK_EQ(c.res, -ENOBUFS);
    CHECK_EQ(c.flags, 0);
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_PBUF_RING, &reg, 1), flags ? -1 : 0);
    reg = (struct lx_pbuf_reg){ .bgid = 3 };
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_PBUF_RING, &reg, 1), flags ? 0 : -1);
    munmap(b, 4096);
    close(p[0]), close(p[1]);
}

static void rings_of_buffers(void)
{
    ring_of_buffers(0);
    ring_of_buffers(LX_PBUF_RING_MMAP);
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

int main(void)
{
    ring_need();
    scratch_begin();
    ring_open(&r, 8);
    RUN(reads_and_writes);
    RUN(streams);
    RUN(names);
    RUN(splices);
    RUN(fixed_files);
    RUN(tags);
    RUN(fixed_buffers);
    RUN(provided);
    RUN(rings_of_buffers);
    RUN(sets);
    RUN(messages);
    ring_close(&r);
    scratch_end();
    DONE();
}
