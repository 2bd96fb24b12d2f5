/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A taken sentry drives the broker's channel: every message with every field at its edges, in odd orders, with
 * each kind of descriptor. What it hands over is what was asked for and what a rule allows, by what the host says
 * of it; it always answers soon; and it has no more memory and descriptors afterwards than before, counted from
 * outside. A failure of `orders` prints its seed; SBX_SEED repeats it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/types.h"
#include "broker/policy.h"
#include "broker/protocol.h"
#include "tests/hostile/gofer/net_drive.h"

/* ---- every field at its edges ---- */

static const uint32_t edges[] = { 0,
                                  1,
                                  2,
                                  3,
                                  6,
                                  17,
                                  53,
                                  58,
                                  63,
                                  64,
                                  255,
                                  256,
                                  1023,
                                  4096,
                                  8191,
                                  8192,
                                  16384,
                                  32767,
                                  65535,
                                  65536,
                                  66048,
                                  66049,
                                  1u << 20,
                                  0x7fffffff,
                                  0x80000000,
                                  0x80000001,
                                  0x80000020,
                                  0xfffe,
                                  0xffff,
                                  1u << 30,
                                  DRIVE_ALLOWED,
                                  DRIVE_ALLOWED + 1,
                                  0xfffffffe,
                                  0xffffffff };
static const char *const places[] = { "127.0.0.1",   "127.0.0.2",
                                      "0.0.0.0",     "255.255.255.255",
                                      "::1",         "::",
                                      "::127.0.0.1", "64:ff9b::127.0.0.1",
                                      "224.0.0.1",   "169.254.169.254",
                                      "10.0.2.3",    "10.0.2.15",
                                      "ff02::1",     "fe80::1",
                                      "8.8.8.8",     "2002:7f00:1::" };

/* What comes along: nothing, a socket of the broker's, and what no broker wants. */
static int thing(unsigned i)
{
    static int made[6] = { -1, -1, -1, -1, -1, -1 };

    if (made[1] < 0) {
        int p[2];

        made[1] = drive_allowed(IPPROTO_UDP, 11, NULL, 0);
        made[2] = drive_allowed(IPPROTO_TCP, 12, NULL, 0);
        made[3] = memfd_create("thing", MFD_CLOEXEC);
        made[4] = pipe(p) == 0 ? p[1] : -1;
        made[5] = drive_chan; /* its own channel */
    }
    return made[i % ARRAY_SIZE(made)];
}

/* The message as long as it says, one byte shorter, or one longer. */
static void tell_sized(const struct nb_req *m, int more, int fd)
{
    static const uint8_t zeroes[NB_DATA_MAX + 2];
    uint32_t len = MIN(m->len, NB_DATA_MAX + 1u);

    drive_tell(m, sizeof *m, zeroes, more < 0 && len > 0 ? len - 1 : len + (more > 0), fd);
}

static void fields(const struct sentry_config *cfg)
{
    struct counts before = drive_begin(cfg);

    for (unsigned op = 0; op < 72; op++) {
        const struct nb_req base = {
            .op = op, .tag = 0x100 + op, .proto = 17, .addr = drive_addr("127.0.0.1", DRIVE_ALLOWED)
        };

        for (unsigned e = 0; e < ARRAY_SIZE(edges); e++) {
            struct nb_req each[6] = { base, base, base, base, base, base };

            each[0].tag = edges[e];
            each[1].arg = edges[e];
            each[2].proto = edges[e];
            each[2].tag = edges[e] < 256 ? edges[e] << 16 | BY_PROTO : 7;
            each[3].len = edges[e];
            each[4].addr.port = (uint16_t)edges[e];
            each[5].addr.pad = (uint16_t)edges[e];
            for (unsigned k = 0; k < ARRAY_SIZE(each); k++) {
                tell_sized(&each[k], (int)(e % 3) - 1, k % 2 ? thing(e) : -1);
                tell_sized(&each[k], 0, thing(e + k));
            }
            drive_drain();
        }
        for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
            for (unsigned port = DRIVE_ALLOWED; port < DRIVE_ALLOWED + 2; port++)
                for (unsigned p = 0; p < 3; p++) {
                    struct nb_req m = base;

                    m.proto = (unsigned[]){ IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP }[p];
                    m.tag = m.proto << 16 | BY_PLACE;
                    m.addr = drive_addr(places[i], (uint16_t)port);
                    tell_sized(&m, 0, -1);
                }
        drive_drain();
        for (size_t n = 1; n < sizeof base;
             n++) /* heads that end early; one of nothing is the end */
            drive_tell(&base, n, NULL, 0, n % 2 ? thing((unsigned)n) : -1);
        drive_drain();
        for (uint32_t proto = 0; proto < 256; proto++) { /* whatever those have left */
            drive_cancel(proto << 16 | BY_PROTO);
            drive_cancel(proto << 16 | BY_PLACE);
        }
        for (unsigned e = 0; e < ARRAY_SIZE(edges); e++)
            for (int i = 0; i < 4; i++)
                drive_cancel(edges[e]);
        for (int i = 0; i < 500; i++)
            drive_cancel(0x100 + op);
        drive_drain();
    }
    for (unsigned i = 1; i < 3; i++)
        drive_cancel(10 + i);
    drive_judge(before);
}

/* ---- orders ---- */

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    return *s ^= *s << 17;
}

static struct nb_req random_request(uint64_t *seed)
{
    struct nb_req m = {
        .op = 1 + (uint32_t)(rnd(seed) % 11),
        .tag = 0x200 + (uint32_t)(rnd(seed) % 24), /* so that they meet */
        .arg = rnd(seed) % 3 ? edges[rnd(seed) % ARRAY_SIZE(edges)] : NB_FIRST | (rnd(seed) % 40),
        .len = rnd(seed) % 4 ? (uint32_t)(rnd(seed) % 64) : edges[rnd(seed) % 24],
        .proto = (unsigned[]){ 6, 17, 1, 17 }[rnd(seed) % 4],
        .addr = drive_addr(places[rnd(seed) % 4 ? 0 : rnd(seed) % ARRAY_SIZE(places)],
                           (uint16_t)(DRIVE_ALLOWED + (rnd(seed) % 4 == 0)))
    };

    return m;
}

static void orders(const struct sentry_config *cfg)
{
    static uint8_t data[NB_DATA_MAX];
    const char *given = getenv("SBX_SEED");
    struct counts before = drive_begin(cfg);
    uint64_t seed = given ? strtoull(given, NULL, 0) : 0, first;

    if (!given && getrandom(&seed, sizeof seed, 0) != sizeof seed)
        broken("no seed");
    first = seed |= 1;
    drive_gave_up = true;
    printf("orders: SBX_SEED=%llu\n", (unsigned long long)first);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 40; i++) {
            struct nb_req m = random_request(&seed);

            m.len = MIN(m.len, (uint32_t)sizeof data);
            for (unsigned k = 0; k < MIN(m.len, 600u); k++)
                data[k] = (uint8_t)(rnd(&seed) >> 40);
            if (rnd(&seed) % 2 &&
                m.len >= sizeof(struct nb_opt)) { /* an option that there is, often */
                const struct nb_opt o = { rnd(&seed) % 2 ? SOL_SOCKET : IPPROTO_TCP,
                                          (int32_t)(rnd(&seed) % 40), (int32_t)rnd(&seed) };

                memcpy(data, &o, sizeof o);
            }
            drive_tell(&m, sizeof m, data, m.len,
                       rnd(&seed) % 3 ? -1 : thing((unsigned)(rnd(&seed) >> 20)));
        }
        drive_drain();
        for (uint32_t tag = 0x200; rnd(&seed) % 4 == 0 && tag < 0x218; tag++)
            drive_cancel(tag);
    }
    for (uint32_t tag = 0x200; tag < 0x218; tag++)
        for (int i = 0; i < 2000; i++) /* as often as it was asked for */
            drive_cancel(tag);
    for (unsigned i = 1; i < 3; i++)
        drive_cancel(10 + i);
    drive_drain();
    drive_judge(before);
}

/* ---- more than it can have ---- */

static void hoard_once(struct counts before)
{
    struct nb_req m = { .op = NB_CONNECT,
                        .proto = IPPROTO_UDP,
                        .addr = drive_addr("127.0.0.1", DRIVE_ALLOWED) };
    unsigned n = 0;

    for (uint32_t i = 0; i < 24000; i++) { /* each is kept */
        m.tag = 1000 + i;
        drive_tell(&m, sizeof m, NULL, 0, -1);
        if (i % 64 == 63) {
            unsigned had = drive_have.given;

            drive_drain();
            n += drive_have.given - had;
        }
    }
    drive_drain();
    if (n < 4000 || n > 17000)
        broken("it has made %u sockets", n);
    struct counts full = drive_counted();

    if (full.fds > 17000 || full.kib > before.kib + (66u << 10))
        reached("it has %u descriptors and %u KiB", full.fds, full.kib);
    for (uint32_t i = 0; i < 24000; i++) {
        drive_cancel(1000 + i);
        if (i % 256 == 255)
            drive_drain();
    }
    /* Questions that nobody answers, more than it has room for. */
    static const uint8_t query[] = "\0\1\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1";
    for (uint32_t i = 0; i < 3000; i++) {
        const struct nb_req q = { .op = NB_DNS, .tag = i, .len = sizeof query - 1 };

        drive_tell(&q, sizeof q, query, sizeof query - 1, -1);
        if (i % 64 == 63)
            drive_drain();
    }
    drive_drain();
}

/* It keeps what it needs for its bounds, and comes to no more by the second time. */
static void hoard(const struct sentry_config *cfg)
{
    struct counts before = drive_begin(cfg), once;

    hoard_once(before);
    once = drive_counted();
    if (once.kib > before.kib + 4096)
        reached("it has kept %u KiB, from %u", once.kib, before.kib);
    before.kib = once.kib;
    hoard_once(before);
    drive_judge(before);
}

/* ---- a close that waits ---- */

/* Unsent bytes, SO_LINGER, and the last descriptor in the broker's hands: it is not kept waiting. */
static void lingers(const struct sentry_config *cfg)
{
    static const char much[65536];
    static const struct linger forever = { 1, 1000 };
    const struct nb_opt in_connect = { SOL_SOCKET, SO_LINGER, 1000 };
    struct counts before = drive_begin(cfg);

    for (int way = 0; way < 4; way++) {
        struct {
            struct nb_opt o;
            struct linger l;
        } set = { { SOL_SOCKET, SO_LINGER, 0 }, forever };
        struct nb_req m = { .op = NB_SETOPT, .tag = 5, .len = sizeof set };
        int fd = drive_allowed(IPPROTO_TCP, 77, &in_connect, way & 1 ? sizeof in_connect : 0);

        while (send(fd, much, sizeof much, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            ;
        if (way & 2)
            drive_cancel(77); /* so that what comes is the last one where rules may change, too */
        if (!(way & 1))
            drive_tell(&m, sizeof m, &set, sizeof set, fd);
        m.op = NB_GETOPT;
        m.len = sizeof set.o;
        m.arg = 8;
        drive_tell(&m, sizeof m, &set, sizeof set.o, fd); /* in the channel, while ours is closed */
        close(fd);
        drive_drain();
        drive_drain();
        drive_cancel(77);
        drive_drain();
    }
    drive_judge(before);
}

static const struct way *const two_ways[] = { &way_root, &way_user, NULL };
static const struct way *const one_way[] = { &way_root, NULL };

#define RULE                                                                                       \
    .option = "--allow-net=127.0.0.1:17181", .meanwhile = drive_watch, .prepare = drive_share

const struct attack taken_attacks[] = {
    { .name = "fields",
      .run = fields,
      .ways = two_ways,
      .bites = "netpolicy",
      .bites_way = &way_user,
      RULE },
    { .name = "orders",
      .run = orders,
      .ways = two_ways,
      .bites = "netpolicy",
      .bites_way = &way_user,
      RULE },
    { .name = "hoard", .run = hoard, .ways = one_way, RULE },
    { .name = "lingers",
      .run = lingers,
      .ways = one_way,
      .bites = "brokerlinger",
      .bites_way = &way_root,
      RULE },
    { .name = "lingers-named",
      .run = lingers,
      .ways = one_way,
      .bites = "brokerlinger",
      .bites_way = &way_root,
      .named = true,
      RULE },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
