/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages: Unix sockets of all three types (descriptors 0 to 5, in pairs) and a UDP socket (6),
 * over which inputs send and receive messages with names, pieces and control data of their own.
 */
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/fuzz/calls.h"
#include "tests/fuzz/fuzz.h"

static void setup(struct args *a, struct ctx *c)
{
    static const int on = 1;
    gaddr_t one = args_put(a, c, &on, sizeof on), out = args_put(a, c, "\0\0\0\0\0\0\0", 8);

    for (int type = SOCK_STREAM, i = 0; i < 3; type = ++i == 1 ? SOCK_DGRAM : SOCK_SEQPACKET) {
        CALL(c, SYS_socketpair, AF_UNIX, (uint64_t)type, 0, out);
        CALL(c, SYS_setsockopt, (uint64_t)(2 * i + 1), SOL_SOCKET, SO_PASSCRED, one, sizeof on);
    }
    CALL(c, SYS_socket, AF_INET, SOCK_DGRAM, 0);
}

static const uint16_t nrs[] = { SYS_sendmsg,  SYS_recvmsg,  SYS_sendmsg,    SYS_recvmsg,
                                SYS_sendmmsg, SYS_recvmmsg, SYS_close,      SYS_dup,
                                SYS_poll,     SYS_read,     SYS_setsockopt, SYS_socketpair,
                                SYS_fork,     SYS_shutdown, SYS_pipe2 };
static const struct calls calls = { nrs, sizeof nrs / sizeof nrs[0], setup };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    calls_run(&calls, p, n);
    return 0;
}

/* sendmsg with a control message or two of descriptors or credentials, of right and wrong lengths. */
static size_t with_control(unsigned i, uint8_t *buf)
{
    uint8_t control[2 * 32] = { 0 };
    size_t at = 0, n = 0;

    for (unsigned k = 0; k <= i % 2; k++) {
        struct cmsghdr h = { .cmsg_len = sizeof h + (i / 2 % 4 ? 4 * (i / 2 % 4) : i / 8 % 50),
                             .cmsg_level = SOL_SOCKET,
                             .cmsg_type = k == i / 160 % 2 ? SCM_RIGHTS : SCM_CREDENTIALS };

        if (i / 320 % 8 == 0)
            h.cmsg_len = i / 2560 % 32;
        memcpy(control + at, &h, sizeof h);
        memset(control + at + sizeof h, (int)(i / 40 % 7), 1);
        at += 32;
    }
    buf[n++] = 0;
    buf[n++] = 0;
    buf[n++] = ARG_FD;
    buf[n++] = (uint8_t)(i / 5 % 7);
    buf[n++] = ARG_MSG;
    buf[n++] = 1; /* no name */
    buf[n++] = 1; /* one piece, */
    buf[n++] = 1; /* of one byte */
    buf[n++] = 'x';
    buf[n++] = (uint8_t)at;
    memcpy(buf + n, control, at);
    n += at;
    buf[n++] = ARG_ZERO;
    return n;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    return i % 2 && cap >= 128 ? with_control(i / 2, buf) : calls_seed(&calls, i / 2, buf, cap);
}
