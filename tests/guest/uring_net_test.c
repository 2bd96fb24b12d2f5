/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: sockets. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "abi/socket.h"
#include "uring.h"

static struct ring r;

static struct lx_sqe *io(int op, int fd, const void *buf, unsigned n, uint64_t user_data)
{
    struct lx_sqe *s = ring_sqe(&r, op, fd, user_data);

    s->addr = (uintptr_t)buf;
    s->len = n;
    return s;
}

static int got[16];
static unsigned got_flags[16];

static void collect(unsigned n)
{
    memset(got, 1, sizeof got);
    while (n--) {
        struct lx_cqe c = ring_next(&r);

        if (c.user_data < 16) {
            got[c.user_data] = c.res;
            got_flags[c.user_data] = c.flags & ~(unsigned)LX_CQE_SOCK_NONEMPTY;
        }
    }
}

static int listener(struct sockaddr_in *a, int flags)
{
    socklen_t n = sizeof *a;
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

    *a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK_EQ(bind(fd, (void *)a, sizeof *a), 0);
    CHECK_EQ(listen(fd, 16), 0);
    CHECK_EQ(getsockname(fd, (void *)a, &n), 0);
    return fd;
}

static struct lx_sqe *connect_sqe(int fd, const struct sockaddr_in *a, uint64_t user_data)
{
    struct lx_sqe *s = ring_sqe(&r, LX_OP_CONNECT, fd, user_data);

    s->addr = (uintptr_t)a;
    s->off = sizeof *a;
    return s;
}

static void connections(int flags)
{
    struct sockaddr_in a, from;
    socklen_t n = sizeof from;
    int l = listener(&a, flags), c = socket(AF_INET, SOCK_STREAM | flags, 0), s;
    struct lx_sqe *e;
    char buf[8] = "";

    e = ring_sqe(&r, LX_OP_ACCEPT, l, 1);
    e->addr = (uintptr_t)&from, e->addr2 = (uintptr_t)&n, e->op_flags = SOCK_CLOEXEC;
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_ready(&r), 0);
    connect_sqe(c, &a, 2);
    CHECK_EQ(ring_submit(&r), 1);
    collect(2);
    CHECK_EQ(got[2], 0);
    s = got[1];
    CHECK(s >= 0);
    CHECK_EQ(fcntl(s, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(from.sin_family, AF_INET);
    io(LX_OP_RECV, s, buf, 8, 1);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_do(&r, io(LX_OP_SEND, c, "hello", 5, 2)), 5);
    CHECK_EQ(ring_result(&r, 1), 5);
    CHECK(!memcmp(buf, "hello", 5));
    e = io(LX_OP_RECV, s, buf, 8, 1);
    e->op_flags = MSG_DONTWAIT;
    CHECK_EQ(ring_do(&r, e), -EAGAIN);
    CHECK_EQ(ring_do(&r, io(LX_OP_SHUTDOWN, c, NULL, SHUT_WR, 1)), 0);
    CHECK_EQ(ring_do(&r, io(LX_OP_RECV, s, buf, 8, 1)), 0);
    close(s);
    CHECK_EQ(ring_do(&r, io(LX_OP_RECV, 999, buf, 8, 1)), -EBADF);
    CHECK_EQ(ring_do(&r, io(LX_OP_RECV, r.fd, buf, 8, 1)), -ENOTSOCK);
    CHECK_EQ(ring_do(&r, ring_sqe(&r, LX_OP_ACCEPT, r.fd, 1)), -ENOTSOCK);
    e = ring_sqe(&r, LX_OP_ACCEPT, l, 1);
    e->len = 1;
    CHECK_EQ(ring_do(&r, e), -EINVAL);
    close(c), close(l);
    c = socket(AF_INET, SOCK_STREAM | flags, 0);
    connect_sqe(c, &a, 2);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_result(&r, 2), -ECONNREFUSED);
    close(c);
}

static void connections_both(void)
{
    connections(0);
    connections(SOCK_NONBLOCK); /* a request waits all the same */
}

static void many_accepted(void)
{
    struct sockaddr_in a;
    int l = listener(&a, 0), c[3];

    ring_sqe(&r, LX_OP_ACCEPT, l, 1)->ioprio = LX_ACCEPT_MULTISHOT;
    CHECK_EQ(ring_submit(&r), 1);
    for (int i = 0; i < 3; i++) {
        c[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQ(connect(c[i], (void *)&a, sizeof a), 0);
        collect(1);
        CHECK(got[1] >= 0);
        CHECK_EQ(got_flags[1], LX_CQE_MORE);
        close(got[1]);
        close(c[i]);
    }
    ring_sqe(&r, LX_OP_ASYNC_CANCEL, -1, 2)->addr = 1;
    CHECK_EQ(ring_submit(&r), 1);
    collect(2);
    CHECK_EQ(got[1], -ECANCELED);
    CHECK_EQ(got_flags[1], 0);
    /* into slots of the ring */
    struct lx_rsrc_register reg = { .nr = 2, .flags = LX_RSRC_REGISTER_SPARSE };
    CHECK_EQ(uring_register(&r, LX_REGISTER_FILES2, &reg, sizeof reg), 0);
    struct lx_sqe *s = ring_sqe(&r, LX_OP_ACCEPT, l, 1);
    s->ioprio = LX_ACCEPT_MULTISHOT, s->file_index = LX_FILE_INDEX_ALLOC;
    CHECK_EQ(ring_submit(&r), 1);
    for (int i = 0; i < 3; i++) {
        c[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQ(connect(c[i], (void *)&a, sizeof a), 0);
        collect(1);
        CHECK_EQ(got[1], i < 2 ? i : -ENFILE);
        CHECK_EQ(got_flags[1], i < 2 ? LX_CQE_MORE : 0);
        close(c[i]);
    }
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_FILES, NULL, 0), 0);
    close(l);
}

static void messages(void)
{
    int p[2], fds[2];
    char a[4] = "", b[4] = "";
    struct iovec out[2] = { { "abc", 3 }, { "def", 3 } }, in[2] = { { a, 3 }, { b, 3 } };
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr h;
    } ctl = { 0 };
    struct msghdr m = {
        .msg_iov = out, .msg_iovlen = 2, .msg_control = &ctl, .msg_controllen = sizeof ctl
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
    CHECK_EQ(pipe(fds), 0);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fds[0], sizeof(int));
    CHECK_EQ(ring_do(&r, io(LX_OP_SENDMSG, p[0], &m, 1, 1)), 6);
    m.msg_iov = in;
    memset(&ctl, 0, sizeof ctl);
    CHECK_EQ(ring_do(&r, io(LX_OP_RECVMSG, p[1], &m, 1, 1)), 6);
    CHECK(!strcmp(a, "abc") && !strcmp(b, "def"));
    c = CMSG_FIRSTHDR(&m);
    CHECK(c && c->cmsg_type == SCM_RIGHTS);
    if (c)
        close(*(int *)(void *)CMSG_DATA(c));
    /* a ring does not travel */
    m = (struct msghdr){
        .msg_iov = out, .msg_iovlen = 2, .msg_control = &ctl, .msg_controllen = sizeof ctl
    };
    c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &r.fd, sizeof(int));
    CHECK_EQ(ring_do(&r, io(LX_OP_SENDMSG, p[0], &m, 1, 1)), -EINVAL);
    signal(SIGPIPE, SIG_DFL);
    close(p[1]);
    CHECK_EQ(ring_do(&r, io(LX_OP_SEND, p[0], "x", 1, 1)), -EPIPE);
    close(p[0]), close(fds[0]), close(fds[1]);
}

static char pool[4][256];

static void provide(void)
{
    struct lx_sqe *s = ring_sqe(&r, LX_OP_PROVIDE_BUFFERS, 4, 1);

    s->addr = (uintptr_t)pool, s->len = 256, s->buf_index = 1;
    CHECK_EQ(ring_do(&r, s), 0);
}

static void unprovide(void)
{
    struct lx_sqe *s = ring_sqe(&r, LX_OP_REMOVE_BUFFERS, 4, 1);

    s->buf_index = 1;
    CHECK(ring_do(&r, s) >= 0);
}

static void many_received(void)
{
    int p[2];
    struct lx_sqe *s;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
    provide();
    s = io(LX_OP_RECV, p[0], NULL, 0, 1);
    s->ioprio = LX_RECV_MULTISHOT;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    s = io(LX_OP_RECV, p[0], NULL, 0, 1);
    s->ioprio = LX_RECV_MULTISHOT, s->flags = LX_SQE_BUFFER_SELECT, s->buf_index = 1;
    CHECK_EQ(ring_submit(&r), 1);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(write(p[1], "multi", 5), 5);
        collect(1);
        CHECK_EQ(got[1], 5);
        CHECK_EQ(got_flags[1], LX_CQE_BUFFER | LX_CQE_MORE | i << 16);
        CHECK(!memcmp(pool[i], "multi", 5));
    }
    close(p[1]);
    collect(1);
    CHECK_EQ(got[1], 0);
    CHECK_EQ(got_flags[1], 0);
    unprovide();
    close(p[0]);
}

static void messages_into_buffers(void)
{
    struct sockaddr_in a, b;
    socklen_t n = sizeof a;
    int s1 = socket(AF_INET, SOCK_DGRAM, 0), s2 = socket(AF_INET, SOCK_DGRAM, 0);
    struct msghdr m = { .msg_namelen = sizeof a };
    struct lx_sqe *s;

    a = b = (struct sockaddr_in){ .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK_EQ(bind(s1, (void *)&a, sizeof a), 0);
    CHECK_EQ(bind(s2, (void *)&b, sizeof b), 0);
    getsockname(s1, (void *)&a, &n);
    getsockname(s2, (void *)&b, &n);
    provide();
    s = io(LX_OP_RECVMSG, s1, &m, 1, 1);
    s->ioprio = LX_RECV_MULTISHOT, s->flags = LX_SQE_BUFFER_SELECT, s->buf_index = 1;
    CHECK_EQ(ring_submit(&r), 1);
    for (unsigned i = 0; i < 2; i++) {
        struct lx_recvmsg_out *o = (void *)pool[i];
        struct sockaddr_in *from = (void *)(o + 1);

        CHECK_EQ(sendto(s2, "datagram", 8, 0, (void *)&a, sizeof a), 8);
        collect(1);
        CHECK_EQ(got[1], sizeof *o + sizeof a + 8);
        CHECK_EQ(got_flags[1], LX_CQE_BUFFER | LX_CQE_MORE | i << 16);
        CHECK_EQ(o->namelen, sizeof a);
        CHECK_EQ(o->controllen, 0);
        CHECK_EQ(o->payloadlen, 8);
        CHECK_EQ(o->flags, 0);
        CHECK_EQ(from->sin_port, b.sin_port);
        CHECK(!memcmp(from + 1, "datagram", 8));
    }
    ring_sqe(&r, LX_OP_ASYNC_CANCEL, -1, 2)->addr = 1;
    CHECK_EQ(ring_submit(&r), 1);
    collect(2);
    CHECK_EQ(got[1], -ECANCELED);
    /* one message, one buffer */
    struct iovec v = { NULL, 4 };
    struct sockaddr_in from = { 0 };
    m = (struct msghdr){
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &v, .msg_iovlen = 1
    };
    s = io(LX_OP_RECVMSG, s1, &m, 1, 1);
    s->flags = LX_SQE_BUFFER_SELECT, s->buf_index = 1;
    CHECK_EQ(ring_submit(&r), 1);
    s = io(LX_OP_SEND, s2, "datagram", 8, 2); /* with the address in the entry */
    s->addr2 = (uintptr_t)&a, s->addr_len = sizeof a;
    CHECK_EQ(ring_submit(&r), 1);
    collect(2);
    CHECK_EQ(got[2], 8);
    CHECK_EQ(got[1], 4);
    CHECK_EQ(got_flags[1], LX_CQE_BUFFER | 2 << 16);
    CHECK_EQ(m.msg_flags & MSG_TRUNC, MSG_TRUNC);
    CHECK_EQ(from.sin_port, b.sin_port);
    unprovide();
    close(s1), close(s2);
}

static void made_here(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct lx_sqe *s = ring_sqe(&r, LX_OP_SOCKET, AF_INET, 1);
    int fd;

    s->off = SOCK_STREAM;
    fd = ring_do(&r, s);
    CHECK(fd >= 0);
    s = ring_sqe(&r, LX_OP_BIND, fd, 1);
    s->addr = (uintptr_t)&a, s->addr2 = sizeof a;
    CHECK_EQ(ring_do(&r, s), 0);
    s = ring_sqe(&r, LX_OP_LISTEN, fd, 1);
    s->len = 5;
    CHECK_EQ(ring_do(&r, s), 0);
    close(fd);
    s = ring_sqe(&r, LX_OP_SOCKET, 77, 1);
    s->off = SOCK_STREAM;
    CHECK_EQ(ring_do(&r, s), -EAFNOSUPPORT);
}

int main(void)
{
    ring_need();
    ring_open(&r, 16);
    RUN(connections_both);
    RUN(many_accepted);
    RUN(messages);
    RUN(many_received);
    RUN(messages_into_buffers);
    RUN(made_here);
    ring_close(&r);
    DONE();
}
