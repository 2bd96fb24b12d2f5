/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_VSOCK over its loopback. Natively what connects is left out where the kernel has no vsock_loopback:
 * the address would be somebody else's.
 */
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "guest.h"

static struct sockaddr_vm vm(unsigned cid, unsigned port)
{
    return (struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
}

static int short_poll(int fd, int events)
{
    struct pollfd p = { .fd = fd, .events = (short)events };

    return poll(&p, 1, 1000) == 1 ? p.revents : 0;
}

static void names(void)
{
    struct sockaddr_vm a = vm(VMADDR_CID_ANY, VMADDR_PORT_ANY), b;
    int s = socket(AF_VSOCK, SOCK_STREAM, 0), t = socket(AF_VSOCK, SOCK_STREAM, 0);
    socklen_t n = sizeof b;

    CHECK(s >= 0);
    CHECK_EQ(getsockname(s, (void *)&b, &n), 0);
    CHECK_EQ(n, sizeof b);
    CHECK_EQ(b.svm_family, AF_VSOCK);
    CHECK_EQ(b.svm_port, VMADDR_PORT_ANY);
    CHECK_ERR(listen(s, 1), EINVAL);
    CHECK_ERR(bind(s, (void *)&a, sizeof a - 1), EINVAL);
    a.svm_cid = 0x12345678;
    CHECK_ERR(bind(s, (void *)&a, sizeof a), EADDRNOTAVAIL);
    a = vm(VMADDR_CID_ANY, VMADDR_PORT_ANY);
    CHECK_EQ(bind(s, (void *)&a, sizeof a), 0);
    CHECK_ERR(bind(s, (void *)&a, sizeof a), EINVAL);
    CHECK_EQ(getsockname(s, (void *)&b, &n), 0);
    CHECK_EQ(b.svm_cid, VMADDR_CID_ANY);
    CHECK(b.svm_port >= 1024 && b.svm_port != VMADDR_PORT_ANY);
    CHECK_ERR(bind(t, (void *)&b, sizeof b), EADDRINUSE);
    n = sizeof b;
    CHECK_ERR(getpeername(s, (void *)&b, &n), ENOTCONN);
    CHECK_ERR(shutdown(s, SHUT_RD), ENOTCONN);
    CHECK_ERR(send(s, "x", 1, 0), ENOTCONN);
    CHECK_ERR(recv(s, &b, 1, 0), ENOTCONN);
    CHECK_ERR(accept(t, NULL, NULL), EINVAL);
    CHECK_ERR(socket(AF_VSOCK, SOCK_RAW, 0), ESOCKTNOSUPPORT);
    CHECK_ERR(socket(AF_VSOCK, SOCK_STREAM, 1), EPROTONOSUPPORT);
    close(s);
    close(t);
}

static void options(void)
{
    int s = socket(AF_VSOCK, SOCK_STREAM, 0);
    struct timeval tv = { 0 };
    unsigned long long v = 0;
    socklen_t n = sizeof v;

    CHECK_EQ(getsockopt(s, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &v, &n), 0);
    CHECK_EQ(n, 8);
    CHECK_EQ(v, 262144);
    CHECK_EQ(getsockopt(s, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MIN_SIZE, &v, &n), 0);
    CHECK_EQ(v, 128);
    v = 1 << 20; /* no more than the limit, which can be raised */
    CHECK_EQ(setsockopt(s, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &v, n), 0);
    CHECK_EQ(getsockopt(s, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &v, &n), 0);
    CHECK_EQ(v, 262144);
    v = 65536;
    CHECK_EQ(setsockopt(s, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &v, n), 0);
    CHECK_EQ(getsockopt(s, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &v, &n), 0);
    CHECK_EQ(v, 65536);
    CHECK_ERR(setsockopt(s, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &v, 4), EINVAL);
    CHECK_ERR(setsockopt(s, AF_VSOCK, 77, &v, n), ENOPROTOOPT);
    n = sizeof tv;
    CHECK_EQ(getsockopt(s, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, &tv, &n), 0);
    CHECK_EQ(tv.tv_sec, 2);
    tv.tv_sec = -1;
    CHECK_ERR(setsockopt(s, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, &tv, n), ERANGE);
    close(s);
}

static void device(void)
{
    int fd = open("/dev/vsock", O_RDONLY);
    unsigned cid = 0;

    CHECK(fd >= 0 || !guest_inside());
    if (fd < 0)
        return;
    CHECK_EQ(ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid), 0);
    CHECK(cid > 2);
    CHECK_ERR(ioctl(fd, 0x7ff, &cid), ENOTTY);
    close(fd);
}

/* A listener, whose address is put into *a. */
static int listener(int type, struct sockaddr_vm *a)
{
    int s = socket(AF_VSOCK, type, 0);
    socklen_t n = sizeof *a;

    *a = vm(VMADDR_CID_ANY, VMADDR_PORT_ANY);
    CHECK_EQ(bind(s, (void *)a, sizeof *a), 0);
    CHECK_EQ(listen(s, 4), 0);
    CHECK_EQ(getsockname(s, (void *)a, &n), 0);
    a->svm_cid = VMADDR_CID_LOCAL;
    return s;
}

static void pair(int type, int fd[2])
{
    struct sockaddr_vm a, b;
    int l = listener(type, &a);
    socklen_t n = sizeof b;

    fd[0] = socket(AF_VSOCK, type, 0);
    CHECK_EQ(connect(fd[0], (void *)&a, sizeof a), 0);
    CHECK_ERR(connect(fd[0], (void *)&a, sizeof a), EISCONN);
    fd[1] = accept(l, (void *)&b, &n);
    CHECK(fd[1] >= 0);
    CHECK_EQ(b.svm_cid, VMADDR_CID_LOCAL);
    n = sizeof b;
    CHECK_EQ(getsockname(fd[1], (void *)&b, &n), 0);
    CHECK_EQ(b.svm_port, a.svm_port);
    CHECK_EQ(getpeername(fd[0], (void *)&b, &n), 0);
    CHECK_EQ(b.svm_port, a.svm_port);
    CHECK_EQ(b.svm_cid, VMADDR_CID_LOCAL);
    close(l);
}

static void stream(void)
{
    char b[64];
    int fd[2];

    pair(SOCK_STREAM, fd);
    CHECK_EQ(send(fd[0], "hello ", 6, 0), 6);
    CHECK_EQ(send(fd[0], "vsock", 5, 0), 5);
    CHECK(short_poll(fd[1], POLLIN) & POLLIN);
    CHECK_EQ(recv(fd[1], b, 11, MSG_WAITALL), 11);
    CHECK(memcmp(b, "hello vsock", 11) == 0);
    CHECK_ERR(recv(fd[1], b, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(send(fd[0], "x", 1, MSG_OOB), EOPNOTSUPP);
    CHECK_EQ(shutdown(fd[0], SHUT_WR), 0);
    CHECK_EQ(recv(fd[1], b, sizeof b, 0), 0);
    CHECK_ERR(send(fd[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(send(fd[1], "back", 4, 0), 4);
    CHECK_EQ(recv(fd[0], b, sizeof b, 0), 4);
    close(fd[1]);
    CHECK_EQ(recv(fd[0], b, sizeof b, 0), 0);
    CHECK(short_poll(fd[0], POLLIN) & POLLHUP);
    close(fd[0]);
}

/* What is on the way is the receiver's buffer. */
static void full(void)
{
    static char b[65536];
    unsigned long long size = 8192;
    long sent = 0, got = 0, n;
    int fd[2];

    pair(SOCK_STREAM, fd);
    CHECK_EQ(setsockopt(fd[1], AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof size), 0);
    while ((n = send(fd[0], b, sizeof b, MSG_DONTWAIT)) > 0 && sent < 1 << 22)
        sent += n;
    CHECK(sent > 0 && sent <= 262144);
    CHECK_EQ(short_poll(fd[0], POLLOUT), 0);
    while ((n = recv(fd[1], b, sizeof b, MSG_DONTWAIT)) > 0)
        got += n;
    CHECK_EQ(got, sent);
    CHECK(short_poll(fd[0], POLLOUT) & POLLOUT);
    close(fd[0]);
    close(fd[1]);
}

static void records(void)
{
    char b[64];
    int fd[2];

    pair(SOCK_SEQPACKET, fd);
    CHECK_EQ(send(fd[0], "one", 3, 0), 3);
    CHECK_EQ(send(fd[0], "three", 5, 0), 5);
    CHECK_EQ(recv(fd[1], b, 2, 0), 2); /* the rest of it is lost */
    CHECK_EQ(recv(fd[1], b, sizeof b, 0), 5);
    CHECK(memcmp(b, "three", 5) == 0);
    close(fd[0]);
    CHECK_EQ(recv(fd[1], b, sizeof b, 0), 0);
    CHECK_ERR(send(fd[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(fd[1]);
}

static void refused(void)
{
    struct sockaddr_vm a;
    int l = listener(SOCK_STREAM, &a), s, v = 0;
    socklen_t n = sizeof v;

    s = socket(AF_VSOCK, SOCK_SEQPACKET, 0);
    CHECK_ERR(connect(s, (void *)&a, sizeof a), ECONNRESET); /* of another kind */
    close(s);
    close(l);
    s = socket(AF_VSOCK, SOCK_STREAM, 0);
    CHECK_ERR(connect(s, (void *)&a, sizeof a), ECONNRESET);
    a.svm_cid = 4711;
    if (guest_inside())
        CHECK_ERR(connect(s, (void *)&a, sizeof a), ENODEV);
    close(s);
    a.svm_cid = VMADDR_CID_LOCAL;
    s = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_ERR(connect(s, (void *)&a, sizeof a), EINPROGRESS);
    CHECK(short_poll(s, POLLOUT) & POLLERR);
    CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_ERROR, &v, &n), 0);
    CHECK_EQ(v, ECONNRESET);
    close(s);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (socket(AF_VSOCK, SOCK_STREAM, 0) < 0 && !guest_inside())
        SKIP("this kernel has no AF_VSOCK");
    RUN(names);
    RUN(options);
    RUN(device);
    if (!guest_inside() && access("/sys/module/vsock_loopback", F_OK) < 0) {
        printf("no vsock_loopback here: only what does not connect was looked at\n");
        DONE();
    }
    RUN(stream);
    RUN(full);
    RUN(records);
    RUN(refused);
    DONE();
}
