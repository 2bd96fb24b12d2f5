/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: registered files and buffers, provided buffers. */
#include <stdint.h>

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

static struct lx_sqe *name(int op, const char *path, unsigned len, const char *path2)
{
    struct lx_sqe *s = ring_sqe(&r, op, AT_FDCWD, 1);

    s->addr = (uintptr_t)path;
    s->len = len;
    s->addr2 = (uintptr_t)path2;
    return s;
}

static void fixed_files(void)
{
    int fds[4], fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644), p[2];
    struct lx_sqe *s;
    char c = 0;

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
    struct lx_pbuf *b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                             0);
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

int main(void)
{
    ring_need();
    scratch_begin();
    put_text("f", "fixed");
    ring_open(&r, 8);
    RUN(fixed_files);
    RUN(tags);
    RUN(fixed_buffers);
    RUN(provided);
    RUN(rings_of_buffers);
    ring_close(&r);
    scratch_end();
    DONE();
}
