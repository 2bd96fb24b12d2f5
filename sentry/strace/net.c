/* SPDX-License-Identifier: Apache-2.0 */
/* Printers of sockets: addresses, messages, options. See line.h. */
#include "abi/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "abi/fs.h"
#include "abi/names.h"
#include "sentry/mm/copy.h"
#include "sentry/strace/xlat.h"
#include "sentry/syscalls/table.h"

static void un_print(struct sx *s, const struct lx_sockaddr_un *un, size_t len)
{
    size_t n = len > 2 ? len - 2 : 0;

    if (!n) {
        sx_puts(s, "}");
        return;
    }
    sx_puts(s, ", sun_path=");
    if (un->path[0]) {
        sx_quote(s, un->path, strnlen(un->path, n), false);
    } else {
        sx_puts(s, "@");
        sx_quote(s, un->path + 1, n - 1, false);
    }
    sx_puts(s, "}");
}

static void addr_print(struct sx *s, gaddr_t p, size_t len)
{
    union {
        struct lx_sockaddr sa;
        struct lx_sockaddr_un un;
        struct lx_sockaddr_in in;
        struct lx_sockaddr_in6 in6;
        struct lx_sockaddr_nl nl;
        char raw[LX_SOCKADDR_MAX];
    } u = { 0 };
    char text[INET6_ADDRSTRLEN];

    if (len < 2 || len > sizeof u) {
        sx_addr(s, p);
        return;
    }
    if (!sx_fetch(s, p, &u, len))
        return;
    sx_puts(s, "{sa_family=");
    sx_value(s, &x_af, u.sa.family);
    switch (u.sa.family) {
    case AF_UNIX:
        un_print(s, &u.un, len);
        return;
    case AF_INET:
        inet_ntop(AF_INET, &u.in.addr, text, sizeof text);
        sx_printf(s, ", sin_port=htons(%u), sin_addr=inet_addr(\"%s\")}", ntohs(u.in.port), text);
        return;
    case AF_INET6:
        inet_ntop(AF_INET6, u.in6.addr, text, sizeof text);
        sx_printf(s,
                  ", sin6_port=htons(%u), sin6_flowinfo=htonl(%u), inet_pton(AF_INET6, \"%s\", "
                  "&sin6_addr), sin6_scope_id=%u}",
                  ntohs(u.in6.port), ntohl(u.in6.flowinfo), text, u.in6.scope_id);
        return;
    case AF_NETLINK:
        sx_printf(s, ", nl_pid=%u, nl_groups=%08x}", u.nl.pid, u.nl.groups);
        return;
    default:
        sx_puts(s, ", sa_data=");
        sx_quote(s, u.raw + 2, MIN(len - 2, (size_t)14), len > 16);
        sx_puts(s, "}");
    }
}

void p_sockaddr_in(struct sx *s, unsigned i)
{
    int len = (int)s->a[i + 1];

    if (len < 0)
        sx_addr(s, s->a[i]);
    else
        addr_print(s, s->a[i], (size_t)len);
}

void p_sockaddr_out(struct sx *s, unsigned i)
{
    uint32_t len;

    if (!s->a[i] || s->ret < 0 || copy_in(s->t, &len, s->a[i + 1], sizeof len))
        sx_addr(s, s->a[i]);
    else
        addr_print(s, s->a[i], MIN(len, (uint32_t)LX_SOCKADDR_MAX));
}

void p_lenp(struct sx *s, unsigned i)
{
    int32_t len;

    if (!s->a[i] || copy_in(s->t, &len, s->a[i], sizeof len))
        sx_addr(s, s->a[i]);
    else if (s->ret < 0 || len == s->len_given)
        sx_printf(s, "[%d]", s->len_given);
    else
        sx_printf(s, "[%d => %d]", s->len_given, len);
}

static void cmsg_print(struct sx *s, const struct lx_cmsghdr *c, gaddr_t data)
{
    uint64_t n = c->len - sizeof *c;
    struct lx_ucred cr;

    if (c->level == SOL_SOCKET && c->type == SCM_RIGHTS) {
        sx_puts(s, "SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[");
        for (unsigned k = 0; k < n / 4 && k < SX_ELEMENTS; k++) {
            int32_t fd;
            if (copy_in(s->t, &fd, data + 4ul * k, sizeof fd))
                break;
            sx_printf(s, "%s%d", k ? ", " : "", fd);
        }
        sx_puts(s, "]");
    } else if (c->level == SOL_SOCKET && c->type == SCM_CREDENTIALS && n >= sizeof cr &&
               copy_in(s->t, &cr, data, sizeof cr) == 0) {
        sx_printf(s, "SOL_SOCKET, cmsg_type=SCM_CREDENTIALS, cmsg_data={pid=%d, uid=%u, gid=%u}",
                  cr.pid, cr.uid, cr.gid);
    } else {
        sx_printf(s, "%#x, cmsg_type=%#x", (unsigned)c->level, (unsigned)c->type);
    }
}

static void control_print(struct sx *s, gaddr_t p, uint64_t len)
{
    const char *sep = "";

    sx_puts(s, "[");
    for (unsigned k = 0; len >= sizeof(struct lx_cmsghdr) && k < SX_ELEMENTS; k++) {
        struct lx_cmsghdr c;
        if (copy_in(s->t, &c, p, sizeof c) || c.len < sizeof c || c.len > len)
            break;
        sx_printf(s, "%s{cmsg_len=%lu, cmsg_level=", sep, (unsigned long)c.len);
        cmsg_print(s, &c, p + sizeof c);
        sx_puts(s, "}");
        sep = ", ";
        uint64_t step = MIN(LX_CMSG_ALIGN(c.len), len);
        p += step;
        len -= step;
    }
    sx_puts(s, "]");
}

/* limit: bytes in the vectors that hold data. */
static void msg_print(struct sx *s, const struct lx_msghdr *m, uint64_t limit)
{
    sx_puts(s, "{msg_name=");
    if (m->name && m->namelen > 0)
        addr_print(s, m->name, MIN((size_t)m->namelen, (size_t)LX_SOCKADDR_MAX));
    else
        sx_addr(s, m->name);
    sx_printf(s, ", msg_namelen=%d, msg_iov=", m->namelen);
    sx_iovec(s, m->iov, m->iovlen, limit);
    sx_printf(s, ", msg_iovlen=%lu", (unsigned long)m->iovlen);
    if (m->control && m->controllen) {
        sx_puts(s, ", msg_control=");
        control_print(s, m->control, m->controllen);
    }
    sx_printf(s, ", msg_controllen=%lu, msg_flags=", (unsigned long)m->controllen);
    sx_flags(s, &x_msg, m->flags);
    sx_puts(s, "}");
}

void p_msg(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_MSG_O;
    struct lx_msghdr m;

    if (out ? sx_fetch_out(s, s->a[i], &m, sizeof m) : sx_fetch(s, s->a[i], &m, sizeof m))
        msg_print(s, &m, out ? (uint64_t)s->ret : UINT64_MAX);
}

void p_mmsg(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_MMSG_O;
    uint64_t n = out ? (uint64_t)MAX(s->ret, 0l) : s->a[i + 1];
    struct lx_mmsghdr m;

    if (out && s->ret < 0) {
        sx_addr(s, s->a[i]);
        return;
    }
    sx_puts(s, "[");
    for (uint64_t k = 0; k < MIN(n, (uint64_t)SX_ELEMENTS); k++) {
        if (k)
            sx_puts(s, ", ");
        if (!sx_fetch(s, s->a[i] + k * sizeof m, &m, sizeof m))
            break;
        sx_puts(s, "{msg_hdr=");
        msg_print(s, &m.hdr, out ? m.len : UINT64_MAX);
        if (out)
            sx_printf(s, ", msg_len=%u", m.len);
        sx_puts(s, "}");
    }
    sx_puts(s, "]");
}

void p_socktype(struct sx *s, unsigned i)
{
    unsigned v = (unsigned)s->a[i];

    sx_value(s, &x_socktype, v & 0xf);
    if (v & ~0xfu) {
        sx_puts(s, "|");
        sx_flags(s, &x_sockflags, v & ~0xfu);
    }
}

void p_protocol(struct sx *s, unsigned i)
{
    static const struct xlat t_ip[] = {
        X(IPPROTO_IP),  X(IPPROTO_ICMP),   X(IPPROTO_TCP),
        X(IPPROTO_UDP), X(IPPROTO_ICMPV6), X(IPPROTO_RAW),
    };
    static const struct xset ip = { t_ip, ARRAY_SIZE(t_ip), "IPPROTO_" };
    static const struct xlat t_nl[] = {
        { 0, "NETLINK_ROUTE" },           { 4, "NETLINK_SOCK_DIAG" }, { 9, "NETLINK_AUDIT" },
        { 15, "NETLINK_KOBJECT_UEVENT" }, { 16, "NETLINK_GENERIC" },
    };
    static const struct xset nl = { t_nl, ARRAY_SIZE(t_nl), "NETLINK_" };
    int v = (int)s->a[i];

    if (s->a[0] == AF_INET || s->a[0] == AF_INET6)
        sx_value(s, &ip, (unsigned)v);
    else if (s->a[0] == AF_NETLINK)
        sx_value(s, &nl, (unsigned)v);
    else
        sx_printf(s, "%d", v);
}

static const struct xlat t_so[] = {
    X(SO_DEBUG),
    X(SO_REUSEADDR),
    X(SO_TYPE),
    X(SO_ERROR),
    X(SO_DONTROUTE),
    X(SO_BROADCAST),
    X(SO_SNDBUF),
    X(SO_RCVBUF),
    X(SO_KEEPALIVE),
    X(SO_OOBINLINE),
    X(SO_PRIORITY),
    X(SO_LINGER),
    X(SO_REUSEPORT),
    X(SO_PASSCRED),
    X(SO_PEERCRED),
    X(SO_RCVLOWAT),
    X(SO_SNDLOWAT),
    X(SO_RCVTIMEO),
    X(SO_SNDTIMEO),
    X(SO_BINDTODEVICE),
    X(SO_ATTACH_FILTER),
    X(SO_DETACH_FILTER),
    X(SO_PEERNAME),
    X(SO_TIMESTAMP),
    X(SO_ACCEPTCONN),
    X(SO_PEERSEC),
    X(SO_SNDBUFFORCE),
    X(SO_RCVBUFFORCE),
    X(SO_PASSSEC),
    X(SO_TIMESTAMPNS),
    X(SO_MARK),
    X(SO_TIMESTAMPING),
    X(SO_PROTOCOL),
    X(SO_DOMAIN),
    X(SO_RXQ_OVFL),
    X(SO_PEEK_OFF),
    X(SO_LOCK_FILTER),
    X(SO_BUSY_POLL),
    X(SO_INCOMING_CPU),
    X(SO_COOKIE),
    X(SO_PEERGROUPS),
    X(SO_ZEROCOPY),
    { 77, "SO_PEERPIDFD" },
};
static const struct xlat t_tcp[] = {
    X(TCP_NODELAY),      X(TCP_MAXSEG),       X(TCP_CORK),     X(TCP_KEEPIDLE),
    X(TCP_KEEPINTVL),    X(TCP_KEEPCNT),      X(TCP_SYNCNT),   X(TCP_LINGER2),
    X(TCP_DEFER_ACCEPT), X(TCP_WINDOW_CLAMP), X(TCP_INFO),     X(TCP_QUICKACK),
    X(TCP_CONGESTION),   X(TCP_USER_TIMEOUT), X(TCP_FASTOPEN), X(TCP_FASTOPEN_CONNECT),
};
static const struct xlat t_ipo[] = {
    X(IP_TOS),
    X(IP_TTL),
    X(IP_HDRINCL),
    X(IP_OPTIONS),
    X(IP_RECVOPTS),
    X(IP_PKTINFO),
    X(IP_MTU_DISCOVER),
    X(IP_RECVERR),
    X(IP_RECVTTL),
    X(IP_RECVTOS),
    X(IP_MTU),
    X(IP_FREEBIND),
    X(IP_TRANSPARENT),
    X(IP_MULTICAST_IF),
    X(IP_MULTICAST_TTL),
    X(IP_MULTICAST_LOOP),
    X(IP_ADD_MEMBERSHIP),
    X(IP_DROP_MEMBERSHIP),
    X(IP_BIND_ADDRESS_NO_PORT),
};
static const struct xlat t_ip6o[] = {
    X(IPV6_UNICAST_HOPS), X(IPV6_MULTICAST_IF), X(IPV6_MULTICAST_HOPS), X(IPV6_MULTICAST_LOOP),
    X(IPV6_JOIN_GROUP),   X(IPV6_LEAVE_GROUP),  X(IPV6_V6ONLY),         X(IPV6_RECVERR),
    X(IPV6_RECVPKTINFO),  X(IPV6_PKTINFO),      X(IPV6_RECVHOPLIMIT),   X(IPV6_TCLASS),
    X(IPV6_RECVTCLASS),   X(IPV6_MTU_DISCOVER),
};
static const struct xset so = { t_so, ARRAY_SIZE(t_so), "SO_" };
static const struct xset tcp = { t_tcp, ARRAY_SIZE(t_tcp), "TCP_" };
static const struct xset ipo = { t_ipo, ARRAY_SIZE(t_ipo), "IP_" };
static const struct xset ip6o = { t_ip6o, ARRAY_SIZE(t_ip6o), "IPV6_" };

void p_sockopt(struct sx *s, unsigned i)
{
    unsigned v = (unsigned)s->a[i];

    switch (s->a[1]) {
    case SOL_SOCKET:
        sx_value(s, &so, v);
        break;
    case IPPROTO_TCP:
        sx_value(s, &tcp, v);
        break;
    case IPPROTO_IP:
        sx_value(s, &ipo, v);
        break;
    case IPPROTO_IPV6:
        sx_value(s, &ip6o, v);
        break;
    default:
        sx_printf(s, "%u", v);
    }
}

void p_sockval(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_SOVAL_O;
    int32_t len = (int32_t)s->a[i + 1], v;
    struct lx_linger l;

    if (out && (s->ret < 0 || copy_in(s->t, &len, s->a[i + 1], sizeof len))) {
        sx_addr(s, s->a[i]);
    } else if (s->a[1] == SOL_SOCKET && s->a[2] == SO_LINGER && len >= 8) {
        if (sx_fetch(s, s->a[i], &l, sizeof l))
            sx_printf(s, "{l_onoff=%d, l_linger=%d}", l.onoff, l.linger);
    } else if (len == 4) {
        if (!sx_fetch(s, s->a[i], &v, sizeof v))
            return;
        sx_puts(s, "[");
        if (s->a[1] == SOL_SOCKET && s->a[2] == SO_ERROR && v > 0)
            sx_puts(s, errno_name(v) ? errno_name(v) : "?");
        else
            sx_printf(s, "%d", v);
        sx_puts(s, "]");
    } else if (len > 0) {
        sx_bytes(s, s->a[i], (uint64_t)len);
    } else {
        sx_addr(s, s->a[i]);
    }
}
