/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and options of sockets: one of each kind (descriptors 0 to 8), which inputs bind, connect,
 * send to, ask and set.
 */
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/fuzz/calls.h"
#include "tests/fuzz/fuzz.h"

static void setup(struct args *a, struct ctx *c)
{
    static const struct {
        int family, type;
    } kinds[] = {
        { AF_UNIX, SOCK_STREAM }, { AF_UNIX, SOCK_DGRAM },  { AF_UNIX, SOCK_SEQPACKET },
        { AF_INET, SOCK_STREAM }, { AF_INET, SOCK_DGRAM },  { AF_INET6, SOCK_STREAM },
        { AF_INET6, SOCK_DGRAM }, { AF_NETLINK, SOCK_RAW }, { AF_INET, SOCK_STREAM },
    };

    (void)a;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        CALL(c, SYS_socket, (uint64_t)kinds[i].family, (uint64_t)kinds[i].type | SOCK_NONBLOCK, 0);
}

static const uint16_t nrs[] = { SYS_bind,        SYS_connect,     SYS_bind,       SYS_connect,
                                SYS_sendto,      SYS_recvfrom,    SYS_listen,     SYS_accept4,
                                SYS_getsockname, SYS_getpeername, SYS_setsockopt, SYS_getsockopt,
                                SYS_socket,      SYS_close,       SYS_ioctl,      SYS_shutdown,
                                SYS_poll,        SYS_fork };
static const struct calls calls = { nrs, sizeof nrs / sizeof nrs[0], setup };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    calls_run(&calls, p, n);
    return 0;
}

/* Addresses are put in as they look: family, port, and what comes behind. */
static size_t address(unsigned i, uint8_t *buf)
{
    static const uint8_t forms[][20] = {
        { ARG_BYTES, 16, 2, 0, 0x1f, 0x90, 127, 0, 0, 1 },
        { ARG_BYTES, 16, 2, 0, 0, 0, 0, 0, 0, 0 },
        { ARG_BYTES, 16, 10, 0, 0x1f, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
        { ARG_BYTES, 6, 1, 0, 'a', 'b', 0, 0 },
        { ARG_BYTES, 6, 1, 0, 0, 'a', 'b', 'c' },
        { ARG_BYTES, 12, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0 },
    };
    const uint8_t *f = forms[i % 6];

    memcpy(buf, f, 2u + f[1]);
    return 2u + f[1];
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    size_t n = 0;

    if (i % 2 || cap < 40)
        return calls_seed(&calls, i / 2, buf, cap);
    buf[n++] = 0;
    buf[n++] = (uint8_t)(i / 2 % 4);
    buf[n++] = ARG_FD;
    buf[n++] = (uint8_t)(i / 8 % 9);
    n += address(i / 16, buf + n);
    buf[n++] = ARG_U8;
    buf[n++] = i / 4 % 5 ? 16 : 28;
    return n;
}
