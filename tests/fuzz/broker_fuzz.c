/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker under arbitrary bytes, in this process and without its fences. An input that begins with
 * an even byte is a row of requests as a hostile sentry sends them (two bytes of length, then so many
 * bytes); the policy has nothing that could be connected to. One that begins with an odd byte is a
 * client's query of its own, a nameserver's answer, or both.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/types.h"
#include "broker/dns.h"
#include "broker/server.h"
#include "tests/fuzz/fuzz.h"

static struct net_rule rules[] = { { .kind = NET_SUFFIX, .name = "example" } };
static struct net_policy policy = { .on = true, .rules = rules, .nrules = 1 };

static void requests(const uint8_t *data, size_t n)
{
    struct broker_config cfg = { .policy = &policy };
    int sv[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv) < 0)
        abort();
    cfg.sock = sv[0];
    while (n >= 2) {
        size_t len = MIN((size_t)data[0] << 8 | data[1], n - 2);

        if (send(sv[1], data + 2, len, MSG_NOSIGNAL) < 0)
            break;
        data += 2 + len;
        n -= 2 + len;
    }
    shutdown(sv[1], SHUT_WR);
    broker_serve(&cfg);
    close(sv[0]);
    close(sv[1]);
}

static void messages(const uint8_t *data, size_t n)
{
    static const uint8_t plain[] = "\0\1\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1";
    static uint8_t out[DNS_MAX];
    uint8_t query[DNS_QUESTION_MAX], random[34] = { 0 };
    struct question q;
    size_t len;
    bool cut;

    if (dns_parse(data, n, &q) != DNS_OK && dns_parse(plain, sizeof plain - 1, &q) != DNS_OK)
        abort();
    len = dns_query(&q, random, query);
    (void)dns_is_answer(query, len, data, n, &cut);
    if (n >= 12 && dns_answer(&policy, &q, data, n, out, DNS_UDP_MAX) > DNS_UDP_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    if (data[0] & 1)
        messages(data + 1, n - 1);
    else
        requests(data + 1, n - 1);
    return 0;
}

/* A query, an answer to it, and each request. */
size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const uint8_t query[] = "\0\1\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1";
    static const uint8_t answer[] = "\1\0\0\x81\x80\0\1\0\2\0\0\0\0\1a\7example\0\0\1\0\1"
                                    "\xc0\x0c\0\5\0\1\0\0\0\5\0\4\1b\xc0\x0e"
                                    "\1b\7example\0\0\1\0\1\0\0\0\5\0\4\x5d\xb8\xd8\x22";
    struct nb_req m = { .op = i % 12, .tag = i, .arg = i, .proto = i % 2 ? 6 : 17 };
    size_t len = i % 3 ? sizeof query - 1 : 0;

    if (i % 5 == 0 && sizeof answer <= cap) {
        memcpy(buf, answer, sizeof answer - 1);
        return sizeof answer - 1;
    }
    if (3 + sizeof m + len > cap)
        return 0;
    m.len = (uint32_t)len;
    m.addr.ip[15] = (uint8_t)i;
    buf[0] = 0;
    buf[1] = (uint8_t)((sizeof m + len) >> 8);
    buf[2] = (uint8_t)(sizeof m + len);
    memcpy(buf + 3, &m, sizeof m);
    memcpy(buf + 3 + sizeof m, query, len);
    return 3 + sizeof m + len;
}
