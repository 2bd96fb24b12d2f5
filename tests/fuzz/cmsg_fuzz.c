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

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    return calls_seed(&calls, i, buf, cap);
}
