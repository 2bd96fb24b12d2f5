/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket of the host's that was lent to the stub (docs/decisions/sockets-lent-to-stubs.md): used by the
 * blob's own `syscall` for more than bytes to its peer, kept after its close, and used after the rules have
 * changed. tests/network/lent.py has the servers, changes the rules, and looks at what came.
 *
 *     lentnet PORT FORBIDDEN [changes]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#define ANOTHER 2048 /* numbers that are looked at */

static struct sockaddr_in local(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* As often as it takes until the sites are patched, and it is lent. Its number there, or 0. */
static int lent_as(int fd)
{
    const uint32_t *words = (void *)(stub.slot + CHANNEL_OFF +
                                     ((uint64_t)LENT_BLOCK << BLOCK_SHIFT));
    char c = 'x';

    for (int i = 0; i < 100; i++) {
        if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
            return 0;
    }
    return (int)(((volatile const uint32_t *)words)[fd] & LENT_NUMBER);
}

static void misuse(int n, int forbidden)
{
    struct sockaddr_in to = local(forbidden);
    struct iovec iov = { "m", 1 };
    struct msghdr msg = {
        .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &iov, .msg_iovlen = 1
    };
    static const int flags[] = { MSG_OOB, MSG_FASTOPEN, 0x4000000 /* MSG_ZEROCOPY */, MSG_MORE, 0 };
    int one = 1;

#define TRY(what, ...)                                                                             \
    do {                                                                                           \
        if (by_blob(__VA_ARGS__) >= 0)                                                             \
            printf("REACHED %s\n", what);                                                          \
    } while (0)
    TRY("sendto an address", SYS_sendto, n, (long)"a", 1, SEND_FLAGS, (long)&to, sizeof to);
    for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        TRY("sendto with flags", SYS_sendto, n, (long)"f", 1, SEND_FLAGS | (i < 4 ? flags[i] : -1),
            0, 0);
        TRY("fast open", SYS_sendto, n, (long)"f", 1, flags[i], (long)&to, sizeof to);
    }
    TRY("sendmsg", SYS_sendmsg, n, (long)&msg, SEND_FLAGS, 0, 0, 0);
    TRY("recvmsg", SYS_recvmsg, n, (long)&msg, MSG_DONTWAIT, 0, 0, 0);
    TRY("connect", SYS_connect, n, (long)&to, sizeof to, 0, 0, 0);
    TRY("bind", SYS_bind, n, (long)&to, sizeof to, 0, 0, 0);
    TRY("listen", SYS_listen, n, 1, 0, 0, 0, 0);
    TRY("setsockopt", SYS_setsockopt, n, SOL_SOCKET, SO_REUSEADDR, (long)&one, sizeof one, 0);
    TRY("fcntl", SYS_fcntl, n, 3, 0, 0, 0, 0);
    TRY("dup", SYS_dup, n, 0, 0, 0, 0, 0);
    TRY("write", SYS_write, n, (long)"w", 1, 0, 0, 0);
    TRY("read", SYS_read, n, (long)&to, 1, 0, 0, 0);
#undef TRY
}

static void look_at_others(int n)
{
    char c;

    for (int i = 0; i < ANOTHER; i++) {
        long r = i == n ? -EBADF : by_blob(SYS_recvfrom, i, (long)&c, 1, MSG_DONTWAIT, 0, 0);

        if (r != -EBADF && r != -ENOTSOCK)
            printf("REACHED descriptor %d: %ld\n", i, r);
    }
}

/* close(2) of fd, without doing what the sentry answers. */
static long close_and_keep(int fd)
{
    struct block *b = stub_block();

    b->call.nr = SYS_close;
    b->call.args[0] = (uint64_t)fd;
    b->call.in_len = b->call.out_cap = 0;
    return ring(BELL_CALL, b->index, ++b->seq);
}

static bool moves(int n)
{
    char c;
    long r = by_blob(SYS_sendto, n, (long)"k", 1, SEND_FLAGS, 0, 0);

    if (r != 1)
        return false;
    for (int i = 0; i < 2000; i++) {
        r = by_blob(SYS_recvfrom, n, (long)&c, 1, MSG_DONTWAIT, 0, 0);
        if (r != -EAGAIN)
            return r == 1 && c == 'k';
        usleep(1000);
    }
    return false;
}

/* A connection that was lent, as *ret_n. -1 */
static int connected(int port, int *ret_n)
{
    struct sockaddr_in to = local(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (void *)&to, sizeof to) < 0 || write(fd, "E", 1) != 1)
        return -1;
    *ret_n = lent_as(fd);
    if (*ret_n && moves(*ret_n))
        return fd;
    printf("FAILED: nothing is lent: this attacks nothing\n");
    return -1;
}

/* In a named sandbox, where the broker has it, too: it ends what is closed, and what the rules forbid. */
static bool changes(int port, int n)
{
    int other, fd = connected(port, &other);

    if (fd < 0 || close_and_keep(fd) != ANS_GO)
        return false;
    usleep(200000);
    if (moves(other))
        printf("REACHED the peer, after the close\n");
    printf("kept\n");
    for (int i = 0; i < 400 && by_blob(SYS_sendto, n, (long)"k", 1, SEND_FLAGS, 0, 0) == 1; i++)
        usleep(50000);
    printf(moves(n) ? "REACHED the peer, against the rules\n" : "cut\n");
    return true;
}

bool lentnet_all(int argc, char **argv)
{
    int n, fd = argc > 1 ? connected(atoi(argv[0]), &n) : -1;
    long ans;

    if (fd < 0)
        return false;
    misuse(n, atoi(argv[1]));
    look_at_others(n);
    if (argc > 2)
        return changes(atoi(argv[0]), n);
    ans = close_and_keep(fd);
    if (ans != ANS_GO || !moves(n)) {
        printf("FAILED: it could not be kept (%ld)\n", ans);
        return false;
    }
    printf("kept\n");
    return true;
}
