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
#include "tests/hostile/gofer/taken.h"

#define ALLOWED 17181    /* TCP and UDP; one after it is not */
#define BY_PROTO 0xf010u /* low half of a tag whose high half is the protocol */
#define BY_PLACE 0xf020u
#define SYNC 0xfeedu /* the tag of a question that is always answered at once */
#define ANSWER_MS 10000

/* ---- the host's side ---- */

enum { UP = 1, COUNT, COUNTED };

static struct counts {
    unsigned fds, kib;
} * counts; /* shared; of the broker, when it was asked for */

static void share_counts(void)
{
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static int server(int type, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        (type == SOCK_STREAM && listen(fd, 4096) < 0))
        broken("port %d: %s", port, strerror(errno));
    return fd;
}

static pid_t broker_pid(void)
{
    char path[64], name[32] = "";
    int pid = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)board->front, (int)board->front);
    FILE *f = fopen(path, "re");

    while (f && fscanf(f, "%d", &pid) == 1) {
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        FILE *c = fopen(path, "re");

        if (!c || !fgets(name, sizeof name, c))
            name[0] = 0;
        if (c)
            fclose(c);
        if (strcmp(name, "sbx-net\n") == 0)
            break;
        pid = 0;
    }
    if (f)
        fclose(f);
    return pid;
}

static void count(void)
{
    char path[64], line[128];
    pid_t pid = broker_pid();
    unsigned n = 0;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof line, f))
        sscanf(line, "VmData: %u", &counts->kib);
    if (f)
        fclose(f);
    for (int fd = 0; fd < 20000; fd++) {
        struct stat st;

        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        n += lstat(path, &st) == 0;
    }
    counts->fds = n;
}

/* Who comes to the forbidden ports has got out. Nobody is taken at the allowed one: its queue is long. */
static void watch(void)
{
    int tcp = server(SOCK_STREAM, ALLOWED + 1), udp = server(SOCK_DGRAM, ALLOWED + 1);

    server(SOCK_STREAM, ALLOWED);
    server(SOCK_DGRAM, ALLOWED);
    atomic_store(&board->stage, UP);
    for (;;) {
        struct pollfd p[] = { { .fd = tcp, .events = POLLIN }, { .fd = udp, .events = POLLIN } };
        char c;

        if (poll(p, 2, 5) > 0) {
            if (p[0].revents) {
                close(accept(tcp, NULL, NULL));
                reached("a TCP connection where no rule leads");
            }
            if (p[1].revents && recv(udp, &c, 1, 0) >= 0)
                reached("a datagram where no rule leads");
        }
        if (atomic_load(&board->stage) == COUNT) {
            count();
            atomic_store(&board->stage, COUNTED);
        }
    }
}

static struct counts counted(void)
{
    atomic_store(&board->stage, COUNT);
    while (atomic_load(&board->stage) != COUNTED)
        usleep(1000);
    return *counts;
}

/* ---- the channel ---- */

static int chan;
static bool gave_up; /* by the attack that runs: sockets that are under way */

static void tell(const struct nb_req *m, size_t head, const void *data, size_t n, int fd)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl = { .h = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec iov[] = { { (void *)(uintptr_t)m, head }, { (void *)(uintptr_t)data, n } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n ? 2 : 1 };

    if (fd >= 0) {
        memcpy(CMSG_DATA(&ctl.h), &fd, sizeof fd);
        msg.msg_control = &ctl;
        msg.msg_controllen = sizeof ctl.space;
    }
    struct pollfd p = { .fd = chan, .events = POLLOUT };

    if (poll(&p, 1, ANSWER_MS) != 1)
        broken("the broker takes nothing any more");
    if (sendmsg(chan, &msg, MSG_NOSIGNAL) < 0 && errno != EMSGSIZE && errno != ETOOMANYREFS)
        broken("the broker's channel: %s", strerror(errno));
    atomic_fetch_add(&board->tries, 1);
}

/* 127.0.0.1 in one of its forms; or none, of a socket that was given up on its way. */
static bool is_peer(int fd, uint16_t port, char name[INET6_ADDRSTRLEN])
{
    const struct net_ip home = { { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
    struct sockaddr_storage ss = { 0 };
    const struct sockaddr_in6 *in6 = (const void *)&ss;
    const struct sockaddr_in *in = (const void *)&ss;
    socklen_t n = sizeof ss;
    struct net_ip ip = { { [10] = 0xff, 0xff } };

    if (getpeername(fd, (struct sockaddr *)&ss, &n) < 0)
        return errno == ENOTCONN && gave_up;
    if (ss.ss_family == AF_INET)
        memcpy(ip.b + 12, &in->sin_addr, 4);
    else
        memcpy(ip.b, &in6->sin6_addr, 16);
    inet_ntop(AF_INET6, ip.b, name, INET6_ADDRSTRLEN);
    ip = net_normal(&ip);
    return ntohs(in->sin_port) == port && memcmp(&ip, &home, sizeof ip) == 0;
}

/*
 * Connected to what the rule allows, of the kind that was asked for by that tag (its high half), and with nothing
 * that would let it go elsewhere. Of TCP's nameserver it is one end of a pair.
 */
static void judge_socket(int fd, const struct nb_rep *r)
{
    char name[INET6_ADDRSTRLEN] = "none";
    int type = -1, domain = -1, listening = -1, proto = -1;
    socklen_t n = sizeof(int);

    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n);
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &n);
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n);
    if (domain == AF_UNIX && type == SOCK_STREAM && r->peer.port == 53)
        return;
    if ((domain != AF_INET && domain != AF_INET6) || listening != 0 ||
        (type != SOCK_STREAM && type != SOCK_DGRAM) ||
        (((r->tag & 0xffff) == BY_PROTO || (r->tag & 0xffff) == BY_PLACE) &&
         proto != (int)(r->tag >> 16) && proto != IPPROTO_ICMPV6))
        reached("a socket of domain %d, type %d, protocol %d, listening %d for tag %#x", domain,
                type, proto, listening, r->tag);
    else if (proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6 && !is_peer(fd, ALLOWED, name))
        reached("a socket that is connected to [%s]; tag %#x, protocol %d, %s", name, r->tag, proto,
                strerror(errno));
    if (!(fcntl(fd, F_GETFL) & O_NONBLOCK))
        reached("a socket that waits");
}

static struct {
    int last;       /* the newest socket, for those that want one */
    unsigned given; /* so many came */
    int32_t error;  /* of the newest answer */
} have = { -1, 0, 0 };

/* All answers up to that of a question which is asked last. They come in order, and soon. */
static void drain(void)
{
    static char data[NB_DATA_MAX];
    const struct nb_req sync = { .op = NB_GETOPT, .tag = SYNC };

    tell(&sync, sizeof sync, NULL, 0, -1);
    for (;;) {
        union {
            struct cmsghdr h;
            char space[CMSG_SPACE(4 * sizeof(int))];
        } ctl;
        struct nb_rep r;
        struct iovec iov[] = { { &r, sizeof r }, { data, sizeof data } };
        struct msghdr msg = {
            .msg_iov = iov, .msg_iovlen = 2, .msg_control = &ctl, .msg_controllen = sizeof ctl.space
        };
        struct pollfd p = { .fd = chan, .events = POLLIN };
        int fd = -1;

        if (poll(&p, 1, ANSWER_MS) != 1) {
            if (board->bites)
                reached("the broker hangs");
            broken("the broker does not answer");
        }
        ssize_t len = recvmsg(chan, &msg, MSG_CMSG_CLOEXEC);
        if (len < (ssize_t)sizeof r || r.len != (size_t)len - sizeof r)
            broken("an answer of %zd bytes (%s)", len, strerror(errno));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        if (c)
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
        if (c && (c->cmsg_len != CMSG_LEN(sizeof fd) || r.error))
            reached("more than one descriptor, or one with an error");
        if (r.op != NB_ANSWER && r.op != NB_POLICY)
            reached("message %u where nothing listens", r.op);
        if (r.error > 0 || r.error < -4095)
            broken("error %d", r.error);
        if (r.tag == SYNC && fd < 0)
            return;
        have.error = r.error;
        if (fd < 0)
            continue;
        judge_socket(fd, &r);
        have.given++;
        if (have.last >= 0)
            close(have.last);
        have.last = fd;
    }
}

static struct nb_addr at(const char *ip, uint16_t port)
{
    struct nb_addr a = { .port = port };

    if (inet_pton(AF_INET, ip, a.ip + 12) == 1)
        a.ip[10] = a.ip[11] = 0xff;
    else
        inet_pton(AF_INET6, ip, a.ip);
    return a;
}

/* A socket to what is allowed; it is the caller's. */
static int allowed(unsigned proto, uint32_t tag, const void *opts, uint32_t n)
{
    const struct nb_req m = {
        .op = NB_CONNECT, .tag = tag, .proto = proto, .len = n, .addr = at("127.0.0.1", ALLOWED)
    };

    while (atomic_load(&board->stage) < UP)
        usleep(1000);
    if (have.last >= 0)
        close(have.last);
    have.last = -1;
    tell(&m, sizeof m, opts, n, -1);
    for (int i = 0; i < 200 && have.last < 0; i++) {
        drain();
        usleep(have.last < 0 ? 5000 : 0);
    }
    int fd = have.last;

    have.last = -1;
    if (fd < 0)
        broken("no socket for what a rule allows: %s", strerror(-have.error));
    return fd;
}

static void give_up(uint32_t tag)
{
    const struct nb_req m = { .op = NB_CANCEL, .tag = tag };

    tell(&m, sizeof m, NULL, 0, -1);
}

/* It lives, gives what it may, and has what it had. */
static void judge_broker(struct counts before)
{
    struct counts now = { 0 };

    close(allowed(IPPROTO_UDP, 1, NULL, 0));
    give_up(1);
    drain();
    for (int i = 0; i < 50; i++) { /* queries end by their time */
        now = counted();
        if (now.fds <= before.fds && now.kib <= before.kib + 512)
            return;
        usleep(200000);
    }
    broken("the broker has %u descriptors and %u KiB, before it had %u and %u", now.fds, now.kib,
           before.fds, before.kib);
}

static struct counts begin(const struct sentry_config *cfg)
{
    chan = cfg->net.sock;
    close(allowed(IPPROTO_UDP, 1, NULL, 0)); /* what is made but once has been */
    close(allowed(IPPROTO_TCP, 2, NULL, 0));
    give_up(1);
    give_up(2);
    drain();
    return counted();
}

/* ---- every field at its edges ---- */

static const uint32_t edges[] = {
    0,      1,      2,        3,       6,           17,         53,         58,         63,
    64,     255,    256,      1023,    4096,        8191,       8192,       16384,      32767,
    65535,  65536,  66048,    66049,   1u << 20,    0x7fffffff, 0x80000000, 0x80000001, 0x80000020,
    0xfffe, 0xffff, 1u << 30, ALLOWED, ALLOWED + 1, 0xfffffffe, 0xffffffff
};
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

        made[1] = allowed(IPPROTO_UDP, 11, NULL, 0);
        made[2] = allowed(IPPROTO_TCP, 12, NULL, 0);
        made[3] = memfd_create("thing", MFD_CLOEXEC);
        made[4] = pipe(p) == 0 ? p[1] : -1;
        made[5] = chan; /* its own channel */
    }
    return made[i % ARRAY_SIZE(made)];
}

/* The message as long as it says, one byte shorter, or one longer. */
static void tell_sized(const struct nb_req *m, int more, int fd)
{
    static const uint8_t zeroes[NB_DATA_MAX + 2];
    uint32_t len = MIN(m->len, NB_DATA_MAX + 1u);

    tell(m, sizeof *m, zeroes, more < 0 && len > 0 ? len - 1 : len + (more > 0), fd);
}

static void fields(const struct sentry_config *cfg)
{
    struct counts before = begin(cfg);

    for (unsigned op = 0; op < 72; op++) {
        const struct nb_req base = {
            .op = op, .tag = 0x100 + op, .proto = 17, .addr = at("127.0.0.1", ALLOWED)
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
            drain();
        }
        for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
            for (unsigned port = ALLOWED; port < ALLOWED + 2; port++)
                for (unsigned p = 0; p < 3; p++) {
                    struct nb_req m = base;

                    m.proto = (unsigned[]){ IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP }[p];
                    m.tag = m.proto << 16 | BY_PLACE;
                    m.addr = at(places[i], (uint16_t)port);
                    tell_sized(&m, 0, -1);
                }
        drain();
        for (size_t n = 1; n < sizeof base;
             n++) /* heads that end early; one of nothing is the end */
            tell(&base, n, NULL, 0, n % 2 ? thing((unsigned)n) : -1);
        drain();
        for (uint32_t proto = 0; proto < 256; proto++) { /* whatever those have left */
            give_up(proto << 16 | BY_PROTO);
            give_up(proto << 16 | BY_PLACE);
        }
        for (unsigned e = 0; e < ARRAY_SIZE(edges); e++)
            for (int i = 0; i < 4; i++)
                give_up(edges[e]);
        for (int i = 0; i < 500; i++)
            give_up(0x100 + op);
        drain();
    }
    for (unsigned i = 1; i < 3; i++)
        give_up(10 + i);
    judge_broker(before);
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
    struct nb_req m = { .op = 1 + (uint32_t)(rnd(seed) % 11),
                        .tag = 0x200 + (uint32_t)(rnd(seed) % 24), /* so that they meet */
                        .arg = rnd(seed) % 3 ? edges[rnd(seed) % ARRAY_SIZE(edges)]
                                             : NB_FIRST | (rnd(seed) % 40),
                        .len = rnd(seed) % 4 ? (uint32_t)(rnd(seed) % 64) : edges[rnd(seed) % 24],
                        .proto = (unsigned[]){ 6, 17, 1, 17 }[rnd(seed) % 4],
                        .addr = at(places[rnd(seed) % 4 ? 0 : rnd(seed) % ARRAY_SIZE(places)],
                                   (uint16_t)(ALLOWED + (rnd(seed) % 4 == 0))) };

    return m;
}

static void orders(const struct sentry_config *cfg)
{
    static uint8_t data[NB_DATA_MAX];
    const char *given = getenv("SBX_SEED");
    struct counts before = begin(cfg);
    uint64_t seed = given ? strtoull(given, NULL, 0) : 0, first;

    if (!given && getrandom(&seed, sizeof seed, 0) != sizeof seed)
        broken("no seed");
    first = seed |= 1;
    gave_up = true;
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
            tell(&m, sizeof m, data, m.len,
                 rnd(&seed) % 3 ? -1 : thing((unsigned)(rnd(&seed) >> 20)));
        }
        drain();
        for (uint32_t tag = 0x200; rnd(&seed) % 4 == 0 && tag < 0x218; tag++)
            give_up(tag);
    }
    for (uint32_t tag = 0x200; tag < 0x218; tag++)
        for (int i = 0; i < 2000; i++) /* as often as it was asked for */
            give_up(tag);
    for (unsigned i = 1; i < 3; i++)
        give_up(10 + i);
    drain();
    judge_broker(before);
}

/* ---- more than it can have ---- */

static void hoard_once(struct counts before)
{
    struct nb_req m = { .op = NB_CONNECT, .proto = IPPROTO_UDP, .addr = at("127.0.0.1", ALLOWED) };
    unsigned n = 0;

    for (uint32_t i = 0; i < 24000; i++) { /* each is kept */
        m.tag = 1000 + i;
        tell(&m, sizeof m, NULL, 0, -1);
        if (i % 64 == 63) {
            unsigned had = have.given;

            drain();
            n += have.given - had;
        }
    }
    drain();
    if (n < 4000 || n > 17000)
        broken("it has made %u sockets", n);
    struct counts full = counted();

    if (full.fds > 17000 || full.kib > before.kib + (66u << 10))
        reached("it has %u descriptors and %u KiB", full.fds, full.kib);
    for (uint32_t i = 0; i < 24000; i++) {
        give_up(1000 + i);
        if (i % 256 == 255)
            drain();
    }
    /* Questions that nobody answers, more than it has room for. */
    static const uint8_t query[] = "\0\1\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1";
    for (uint32_t i = 0; i < 3000; i++) {
        const struct nb_req q = { .op = NB_DNS, .tag = i, .len = sizeof query - 1 };

        tell(&q, sizeof q, query, sizeof query - 1, -1);
        if (i % 64 == 63)
            drain();
    }
    drain();
}

/* It keeps what it needs for its bounds, and comes to no more by the second time. */
static void hoard(const struct sentry_config *cfg)
{
    struct counts before = begin(cfg), once;

    hoard_once(before);
    once = counted();
    if (once.kib > before.kib + 4096)
        reached("it has kept %u KiB, from %u", once.kib, before.kib);
    before.kib = once.kib;
    hoard_once(before);
    judge_broker(before);
}

/* ---- a close that waits ---- */

/* Unsent bytes, SO_LINGER, and the last descriptor in the broker's hands: it is not kept waiting. */
static void lingers(const struct sentry_config *cfg)
{
    static const char much[65536];
    static const struct linger forever = { 1, 1000 };
    const struct nb_opt in_connect = { SOL_SOCKET, SO_LINGER, 1000 };
    struct counts before = begin(cfg);

    for (int way = 0; way < 4; way++) {
        struct {
            struct nb_opt o;
            struct linger l;
        } set = { { SOL_SOCKET, SO_LINGER, 0 }, forever };
        struct nb_req m = { .op = NB_SETOPT, .tag = 5, .len = sizeof set };
        int fd = allowed(IPPROTO_TCP, 77, &in_connect, way & 1 ? sizeof in_connect : 0);

        while (send(fd, much, sizeof much, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            ;
        if (way & 2)
            give_up(77); /* so that what comes is the last one where rules may change, too */
        if (!(way & 1))
            tell(&m, sizeof m, &set, sizeof set, fd);
        m.op = NB_GETOPT;
        m.len = sizeof set.o;
        m.arg = 8;
        tell(&m, sizeof m, &set, sizeof set.o, fd); /* in the channel, while ours is closed */
        close(fd);
        drain();
        drain();
        give_up(77);
        drain();
    }
    judge_broker(before);
}

static const struct way *const two_ways[] = { &way_root, &way_user, NULL };
static const struct way *const one_way[] = { &way_root, NULL };

#define RULE .option = "--allow-net=127.0.0.1:17181", .meanwhile = watch, .prepare = share_counts

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
