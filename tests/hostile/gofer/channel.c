/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/hostile/gofer/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000 /* far beyond what a loaded machine takes: who waits so long is hung */

struct channel ch = { .sock = -1, .ans.fd = -1 };
uint64_t ch_seeded;
static uint64_t state = 1;

void ch_seed(void)
{
    const char *given = getenv("SBX_SEED");
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    ch_seeded = given ? strtoull(given, NULL, 0) : (uint64_t)ts.tv_nsec | 1;
    state = ch_seeded;
}

uint64_t ch_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

bool ch_ready(short what, int ms)
{
    struct pollfd p = { .fd = ch.sock, .events = what };
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

    return ppoll(&p, 1, &ts, NULL) == 1;
}

ssize_t ch_try(const void *p, size_t n, int flags)
{
    struct iovec iov = { (void *)(uintptr_t)p, n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    return sendmsg(ch.sock, &msg, MSG_NOSIGNAL | flags);
}

static void wait_for(short what, const char *doing)
{
    if (!ch_ready(what, PATIENCE_MS))
        broken("the gofer hangs: %s (seed %llu)", doing, (unsigned long long)ch_seeded);
}

void ch_send(const void *p, size_t n)
{
    wait_for(POLLOUT, "it takes no request");
    if (ch_try(p, n, 0) != (ssize_t)n)
        broken("the gofer is gone: send: %s (seed %llu)", strerror(errno),
               (unsigned long long)ch_seeded);
    atomic_fetch_add(&board->tries, 1);
}

void ch_recv(struct answer *a, const char *what)
{
    char ctl[CMSG_SPACE(4 * sizeof(int))];
    struct iovec iov[2] = { { &a->rep, sizeof(a->rep) }, { a->data, sizeof(a->data) } };
    struct msghdr msg = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = ctl, .msg_controllen = sizeof(ctl)
    };

    wait_for(POLLIN, what);
    ssize_t n = recvmsg(ch.sock, &msg, MSG_CMSG_CLOEXEC);
    if (n < (ssize_t)sizeof(a->rep))
        broken("the gofer is gone: recvmsg gives %zd (%s; seed %llu)", n, what,
               (unsigned long long)ch_seeded);
    n -= (ssize_t)sizeof(a->rep);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    a->fd = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        memcpy(&a->fd, CMSG_DATA(c), sizeof(int));
        if (c->cmsg_len != CMSG_LEN(sizeof(int)))
            reached("%s: several descriptors in one answer", what);
    }
    if (a->rep.len != (size_t)n || a->rep.version != GW_VERSION)
        broken("%s: an answer of %zd bytes says %u, version %u", what, n, a->rep.len,
               a->rep.version);
    if ((a->fd >= 0) != !!(a->rep.flags & GW_FD))
        broken("%s: descriptor %d with flags %#x", what, a->fd, a->rep.flags);
    judge_bytes(a->data, (size_t)n, what);
    if (a->fd >= 0)
        judge_fd(a->fd, what);
}

bool ch_answers(const struct gw_request *r, size_t n)
{
    return !((r->op == GW_FORGET || r->op == GW_CLOSE) && r->version == GW_VERSION && r->len == n &&
             !(r->flags & ~(uint32_t)GW_FLAGS));
}

int ch_ask(struct gw_request req, const void *payload, size_t n)
{
    static unsigned char buf[GW_MAX];
    char what[160];

    req.tag = ++ch.tag;
    snprintf(what, sizeof(what), "op %u node %#llx len %u flags %#x arg %#x \"%.*s\"", req.op,
             (unsigned long long)req.node, req.len, req.flags, req.arg, (int)(n < 40 ? n : 40),
             (const char *)payload);
    for (char *p = what; *p; p++)
        *p = *p < ' ' || *p > '~' ? '.' : *p;
    memcpy(buf, &req, sizeof(req));
    memcpy(buf + sizeof(req), payload, n);
    ch_send(buf, sizeof(req) + n);
    if (!ch_answers(&req, n))
        return 0;
    do {
        if (ch.ans.fd >= 0)
            close(ch.ans.fd);
        ch_recv(&ch.ans, what);
        if (ch.ans.rep.tag != ch.tag || ch.ans.rep.op != req.op)
            broken("%s: the answer is of another: op %u tag %u", what, ch.ans.rep.op,
                   ch.ans.rep.tag);
    } while (ch.ans.rep.flags & GW_MORE);
    return ch.ans.rep.error;
}

struct gw_request ch_request(uint16_t op, uint64_t node, size_t len)
{
    return (
        struct gw_request){ .version = GW_VERSION, .op = op, .node = node, .len = (uint32_t)len };
}

int ch_path(uint16_t op, uint64_t node, const char *path)
{
    size_t n = strlen(path);
    struct gw_request r = ch_request(op, node, n);

    r.flags = op == GW_WALK   ? GW_WANT_NODES | GW_WALK_OPEN | GW_ALWAYS_FD
              : op == GW_OPEN ? GW_ALWAYS_FD
              : op == GW_LIST ? GW_WANT_ATTR
                              : 0;
    r.arg = op == GW_OPEN || op == GW_WALK ? 4096 : op == GW_LIST ? 0 : (uint32_t)n;
    if (op != GW_GETXATTR)
        return ch_ask(r, path, n);
    char both[GW_PATH_MAX + 20];
    int len = snprintf(both, sizeof(both), "%suser.canary", path);
    r.len = (uint32_t)len;
    return ch_ask(r, both, (size_t)len);
}

void ch_open(const struct sentry_config *cfg)
{
    ch.sock = taken_live ? cfg->shared_sock : cfg->gofer_sock;
    ch_seed();
    if (ch_ask(ch_request(GW_HELLO, 0, 0), "", 0) < 0)
        broken("no HELLO: %d", ch.ans.rep.error);
    ch.nexports = ch.ans.rep.count;
    for (unsigned i = 0; i < ch.nexports && i < GW_ROOTS_MAX; i++)
        memcpy(&ch.roots[i], ch.ans.data + i * sizeof(struct gw_root), sizeof(uint64_t));
    for (unsigned i = 0; i < cfg->nmounts; i++) {
        const struct sentry_mount *m = &cfg->mounts[i];
        bool ours = taken_live ? m->kind == SM_SHARED : m->kind == SM_OVERLAY || m->kind == SM_RO;
        if (ours && !strcmp(m->path, "/tree"))
            ch.root = ch.roots[m->export_id];
        if (ours && !strcmp(m->path, "/single"))
            ch.file = ch.roots[m->export_id];
    }
    if (!ch.root)
        broken("the shared tree is not among %u exports", ch.nexports);
}

void ch_alive(const char *after)
{
    if (ch_ask(ch_request(GW_HELLO, 0, 0), "", 0) < 0)
        broken("after %s HELLO gives %d", after, ch.ans.rep.error);
}
