/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A taken sentry that talks nonsense: every field of every message at its edges, and messages in
 * every order. The gofer answers each whole request once, stays in step, and lives.
 */
#include "tests/hostile/gofer/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/types.h"

static const uint64_t edges[] = { 0,
                                  1,
                                  2,
                                  7,
                                  31,
                                  32,
                                  33,
                                  63,
                                  64,
                                  65,
                                  127,
                                  128,
                                  255,
                                  256,
                                  511,
                                  512,
                                  513,
                                  4095,
                                  4096,
                                  4097,
                                  0x7fff,
                                  0x8000,
                                  32767,
                                  32769,
                                  61440,
                                  65503,
                                  65504,
                                  65535,
                                  65536,
                                  0x7fffffff,
                                  0x80000000,
                                  0xfffffffe,
                                  0xffffffff,
                                  0x100000000ull,
                                  0x100000001ull,
                                  0xffffffff00000001ull,
                                  0x7fffffffffffffffull,
                                  0x8000000000000000ull,
                                  ~0ull };

struct payload {
    const char *p;
    size_t n;
};

static char slashes[4200], names[4200], zeros[8200], deep[200];

static const struct payload payloads[] = {
    { "", 0 },          { "dir", 3 },
    { "dir/file", 8 },  { "..", 2 },
    { "/", 1 },         { "\0", 1 },
    { "dir\0file", 8 }, { "dir/file\0file\0..", 16 },
    { slashes, 4095 },  { names, 4095 },
    { names, 4096 },    { names, 255 },
    { names, 256 },     { zeros, 8192 },
    { deep, 65 },       { deep, 63 },
    { "file\0", 5 },    { "dir/fileuser.x", 14 },
};

static void make_payloads(void)
{
    memset(slashes, '/', sizeof(slashes));
    memset(names, 'a', sizeof(names));
    for (unsigned i = 0; i < sizeof(deep); i++)
        deep[i] = i & 1 ? '/' : 'a';
}

static void one_header(uint16_t op, const struct payload *pl)
{
    struct gw_request r;

    for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
        uint32_t e = (uint32_t)edges[i];
        r = ch_request(op, edges[i], pl->n);
        ch_ask(r, pl->p, pl->n);
        r = ch_request(op, ch.root, pl->n);
        r.arg = e;
        ch_ask(r, pl->p, pl->n);
        r.flags = e;
        ch_ask(r, pl->p, pl->n);
        r.arg = (uint32_t)pl->n;
        ch_ask(r, pl->p, pl->n);
        r = ch_request(op, ch.root, pl->n);
        r.cpu = e;
        ch_ask(r, pl->p, pl->n);
        r = ch_request(op, ch.root, pl->n);
        r.len = e;
        if (ch_ask(r, pl->p, pl->n) == 0 && e != pl->n)
            broken("op %u: length %u passes for %zu bytes", op, e, pl->n);
        r = ch_request(op, ch.root, pl->n);
        r.version = (uint16_t)e;
        if (ch_ask(r, pl->p, pl->n) != -EPROTO && r.version != GW_VERSION)
            broken("op %u: version %u passes", op, r.version);
    }
}

/* Is asked again after an edge that means "any number". */
static void edges_that_mean_something(void)
{
    struct gw_request r = ch_request(GW_LIST, ch.root, 0);

    r.arg = 0xffffffff;
    if (ch_ask(r, "", 0) != 0)
        broken("a listing of at most 2^32-1 entries gives %d", ch.ans.rep.error);
    r = ch_request(GW_NOPS, ch.root, 0);
    if (ch_ask(r, "", 0) != -ENOSYS)
        broken("an unknown op gives %d", ch.ans.rep.error);
}

static void headers(const struct sentry_config *cfg)
{
    static unsigned char most[GW_MAX];
    struct gw_request r;

    make_payloads();
    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned op = 0; op < GW_NOPS + 2u; op++)
        for (unsigned k = 0; k < ARRAY_SIZE(payloads); k++)
            one_header((uint16_t)op, &payloads[k]);
    for (unsigned i = 0; i < ARRAY_SIZE(edges); i++)
        ch_ask(ch_request((uint16_t)edges[i], ch.root, 3), "dir", 3);
    edges_that_mean_something();
    for (size_t n = 1; n < sizeof(r); n++)
        ch_send(most, n);                       /* no whole header: no answer */
    for (unsigned op = 1; op < GW_NOPS; op++) { /* the longest, and longer */
        r = ch_request((uint16_t)op, ch.root, sizeof(most) - sizeof(r));
        ch_ask(r, most, sizeof(most) - sizeof(r));
    }
    ch_alive("headers at their edges");
}

/* A datagram that is too long is cut by the host, and must not be taken for a whole one. */
static void too_long(const struct sentry_config *cfg)
{
    static unsigned char big[120000];
    struct gw_request r;

    taken_fence(cfg);
    ch_open(cfg);
    for (size_t n = GW_MAX - 2; n < GW_MAX + 3; n++) {
        r = ch_request(GW_GETATTR, ch.root, n - sizeof(r));
        memcpy(big, &r, sizeof(r));
        ch_send(big, n);
        if (n <= GW_MAX)
            ch_recv(&ch.ans, "the longest datagram");
    }
    r = ch_request(GW_GETATTR, ch.root, sizeof(big) - sizeof(r));
    memcpy(big, &r, sizeof(r));
    ch_send(big, sizeof(big));
    ch_alive("datagrams too long");
}

/* ---- orders ---- */

#define POOL 64

struct pool {
    uint64_t nodes[POOL];
    uint32_t slots[POOL];
    unsigned nnodes, nslots;
};

static uint64_t some_node(const struct pool *p)
{
    switch (ch_random() % 8) {
    case 0:
        return ch.root;
    case 1:
        return ch_random();
    case 2:
        return ch.file;
    case 3:
        return ch.roots[ch_random() % (ch.nexports ? ch.nexports : 1) % GW_ROOTS_MAX];
    default:
        return p->nnodes ? p->nodes[ch_random() % p->nnodes] : ch.root;
    }
}

/* Nodes and slots that an answer told, to be used, used after their end, and ended twice. */
static void remember(struct pool *p, uint16_t op)
{
    uint64_t node;

    for (unsigned i = 0; op == GW_WALK && i < ch.ans.rep.count; i++) {
        memcpy(&node, ch.ans.data + i * sizeof(struct gw_entry), sizeof(node));
        if (node)
            p->nodes[p->nnodes < POOL ? p->nnodes++ : ch_random() % POOL] = node;
    }
    if (ch.ans.rep.flags & GW_SLOT)
        p->slots[p->nslots < POOL ? p->nslots++ : ch_random() % POOL] = (uint32_t)ch.ans.rep.value;
}

static void forget_some(const struct pool *p)
{
    uint64_t nodes[9];
    uint32_t slots[9];
    unsigned n = (unsigned)(ch_random() % 9);

    for (unsigned i = 0; i < n; i++) {
        nodes[i] = some_node(p);
        slots[i] = p->nslots && ch_random() % 4 ? p->slots[ch_random() % p->nslots]
                                                : (uint32_t)ch_random() % 520;
    }
    if (n > 1 && ch_random() % 2) {
        nodes[n - 1] = nodes[0]; /* twice in one message */
        slots[n - 1] = slots[0];
    }
    size_t cut = ch_random() % 8 ? 0 : n;
    if (ch_random() % 2)
        ch_ask(ch_request(GW_FORGET, 0, 8 * n - cut), nodes, 8 * n - cut);
    else
        ch_ask(ch_request(GW_CLOSE, 0, 4 * n - cut), slots, 4 * n - cut);
}

static void orders(const struct sentry_config *cfg)
{
    static const char *const some[] = { "dir", "dir/file", "dir/sub", "file", "sub/file",
                                        "",    "none",     "..",      "sub",  "dir/sub/file" };
    static struct pool p;

    taken_fence(cfg);
    ch.sock = cfg->gofer_sock;
    ch_ask(ch_request(GW_OPEN, 0x100000001ull, 3), "dir", 3); /* before any HELLO */
    ch_open(cfg);
    for (int i = 0; i < 20000; i++) {
        if (ch_random() % 6 == 0) {
            forget_some(&p);
            continue;
        }
        const char *path = some[ch_random() % ARRAY_SIZE(some)];
        struct gw_request r = ch_request((uint16_t)(ch_random() % (GW_NOPS + 1)), some_node(&p),
                                         strlen(path));
        if (r.op == GW_FORGET || r.op == GW_CLOSE)
            continue;
        r.flags = (uint32_t)ch_random() & GW_FLAGS;
        r.arg = ch_random() % 3 ? r.len : (uint32_t)edges[ch_random() % ARRAY_SIZE(edges)];
        ch_ask(r, path, r.len);
        remember(&p, r.op);
    }
    /* The roots cannot be forgotten, whatever was tried. */
    if (ch_ask(ch_request(GW_GETATTR, ch.root, 0), "", 0) != 0)
        broken("the root is gone: %d (seed %llu)", ch.ans.rep.error, (unsigned long long)ch_seeded);
    ch_alive("messages in any order");
}

/* ---- descriptors passed to it ---- */

static void send_with(const void *p, size_t n, const int *fds, unsigned nfds)
{
    char ctl[CMSG_SPACE(253 * sizeof(int))] = { 0 };
    struct iovec iov = { (void *)(uintptr_t)p, n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl };
    struct cmsghdr *c = (void *)ctl;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
    memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
    msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
    if (sendmsg(ch.sock, &msg, MSG_NOSIGNAL) != (ssize_t)n)
        broken("sendmsg with descriptors: %s", strerror(errno));
    atomic_fetch_add(&board->tries, 1);
}

/* A pipe's end sent to it must be dropped: then its reader sees the end of the file. */
static void passed(const struct sentry_config *cfg)
{
    int fds[253], pipes[2];
    char c;

    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0) /* before the fence, which has no pipe2 */
        broken("pipe2");
    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned n = 1; n <= 253; n += 63) {
        struct gw_request r = ch_request(GW_HELLO, 0, 0);
        for (unsigned i = 0; i < n; i++)
            fds[i] = i & 1 ? ch.sock : pipes[1];
        send_with(&r, sizeof(r), fds, n);
        ch_recv(&ch.ans, "a request with descriptors");
        send_with(&r, 7, fds, n); /* and with what is no request */
    }
    ch_alive("descriptors passed");
    close(pipes[1]);
    if (preadv2(pipes[0], &(struct iovec){ &c, 1 }, 1, -1, 0) != 0)
        reached("the gofer holds a descriptor that it was sent");
}

static const struct way *const all_ways[] = { &way_root, &way_user_plain, NULL };

const struct attack taken_attacks[] = {
    { "headers", headers, NULL, NULL, NULL, false, false, all_ways, NULL, NULL, NULL, false },
    { "headers-ring", headers, NULL, NULL, NULL, false, true, all_ways, NULL, NULL, NULL, false },
    { "too-long", too_long, NULL, NULL, NULL, false, false, all_ways, NULL, NULL, NULL, false },
    { "orders", orders, NULL, NULL, NULL, false, false, all_ways, "names,landlock,beneath,detached",
      &way_user, NULL, false },
    { "orders-ring", orders, NULL, NULL, NULL, false, true, all_ways, NULL, NULL, NULL, false },
    { "passed", passed, NULL, NULL, NULL, false, false, all_ways, NULL, NULL, NULL, false },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
