/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink: an input is a row of datagrams (two bytes of length, then so many bytes) sent to the kernel
 * over a route socket; all answers are read, in buffers of changing size.
 */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/fuzz/args.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct take t = { p, n };
    struct args a;
    struct ctx *c;
    uint8_t how;

    mock_boot();
    c = mock_spawn();
    args_init(&a);
    how = take8(&t);
    CALL(c, SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK,
         how & 1 ? how >> 1 & 31 : NETLINK_ROUTE);
    if (how & 2)
        CALL(c, SYS_bind, 0, args_put(&a, c, "\20\0\0\0\1\0\0\0\1\0\0\0", 12), 12);
    while (t.n) {
        size_t len = take16(&t) & 0x3fff, got;
        const uint8_t *bytes = take_bytes(&t, len, &got);

        CALL(c, SYS_sendto, 0, args_put(&a, c, bytes, got), got, how & 4 ? MSG_DONTWAIT : 0, 0, 0);
        for (int i = 0; i < 20; i++)
            if (CALL(c, SYS_recvfrom, 0, MOCK_DATA + 0x20000, i & 1 ? 0x8000 : 40,
                     i == 3 ? MSG_PEEK | MSG_TRUNC : 0, 0, 0) <= 0)
                break;
    }
    mock_ctx_put(c);
    mock_end();
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const uint16_t types[] = { RTM_GETLINK,  RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH,
                                      RTM_NEWADDR,  RTM_SETLINK, RTM_GETRULE,  NLMSG_NOOP,
                                      RTM_NEWROUTE, RTM_DELADDR };
    static const uint8_t attributes[] = { 8,   0, 3, 0, 'l', 'o', 0,  0, 8, 0, 1, 0,
                                          127, 0, 0, 1, 8,   0,   29, 0, 1, 0, 0, 0 };
    struct nlmsghdr h = { .nlmsg_type = types[i % 10],
                          .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (i & 16 ? NLM_F_DUMP : 0) |
                                                    (i & 32 ? NLM_F_ACK : 0)),
                          .nlmsg_seq = i };
    size_t body = i / 10 % 3 == 0 ? 16 : i / 10 % 3 == 1 ? 1 : 12, more = i / 30 % 4 * 8;
    size_t n = sizeof h + ((body + 3) & ~3u) + more;

    if (cap < n + 3)
        return 0;
    h.nlmsg_len = i / 7 % 8 ? (uint32_t)n : i / 56 % 40; /* or what it should not be */
    memset(buf, 0, n + 3);
    buf[1] = (uint8_t)n;
    memcpy(buf + 3, &h, sizeof h);
    buf[3 + sizeof h] = i & 64 ? 2 : i & 128 ? 10 : 0;
    memcpy(buf + 3 + n - more, attributes, more);
    return n + 3;
}
