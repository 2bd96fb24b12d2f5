/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of /proc/net/tcp, udp, raw, unix and netlink, as net_each gives the sockets. */
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>

#include "sentry/fs/proc/net.h"
#include "sentry/net/net.h"

struct rows {
    struct ptext *out;
    enum proc_net_table table;
    unsigned n;
    bool listeners; /* this pass shows them, and nothing else */
};

static void put_addr(struct ptext *out, const struct sockaddr_storage *ss)
{
    const struct sockaddr_in6 *in6 = (const void *)ss;
    const struct sockaddr_in *in = (const void *)ss;
    uint32_t w[4];

    if (ss->ss_family == AF_INET) {
        pt_printf(out, "%08X:%04X ", in->sin_addr.s_addr, ntohs(in->sin_port));
        return;
    }
    memcpy(w, &in6->sin6_addr, sizeof w);
    pt_printf(out, "%08X%08X%08X%08X:%04X ", w[0], w[1], w[2], w[3], ntohs(in6->sin6_port));
}

static int tcp_row(const struct net_info *i, void *arg)
{
    struct rows *r = arg;

    if ((i->state == TCP_LISTEN) != r->listeners)
        return 0;
    pt_printf(r->out, "%4u: ", r->n++);
    put_addr(r->out, &i->local);
    put_addr(r->out, &i->remote);
    pt_printf(r->out,
              "%02X %08X:%08X 00:00000000 00000000 %5u        0 %" PRIu64
              " %u 0000000000000000 %s\n",
              (unsigned)i->state, r->listeners ? 0 : i->tx, i->rx, i->uid, i->ino, i->refs,
              r->listeners ? "100 0 0 10 0" : "20 0 0 10 -1");
    return 0;
}

static int dgram_row(struct rows *r, const struct net_info *i, int width, const char *end)
{
    pt_printf(r->out, "%*u: ", width, r->n++);
    put_addr(r->out, &i->local);
    put_addr(r->out, &i->remote);
    pt_printf(r->out,
              "%02X %08X:%08X 00:00000000 00000000 %5u        0 %" PRIu64
              " %u 0000000000000000 %" PRIu64 "%s\n",
              (unsigned)i->state, i->tx, i->rx, i->uid, i->ino, i->refs + 1, i->drops, end);
    return 0;
}

static int udp_row(const struct net_info *i, void *arg)
{
    return dgram_row(arg, i, 5, "        ");
}

static int raw_row(const struct net_info *i, void *arg)
{
    return dgram_row(arg, i, 4, "");
}

/* A name is shown with @ for each NUL of an abstract one. */
static void put_name(struct ptext *out, const struct net_info *i)
{
    const struct sockaddr_un *un = (const void *)&i->local;
    size_t n = i->local_len - offsetof(struct sockaddr_un, sun_path);
    char name[sizeof un->sun_path];

    if (i->local_len <= offsetof(struct sockaddr_un, sun_path))
        return;
    n = MIN(n, sizeof name);
    if (un->sun_path[0])
        n = strnlen(un->sun_path, n);
    for (size_t k = 0; k < n; k++)
        name[k] = un->sun_path[k] ? un->sun_path[k] : '@';
    pt_puts(out, " ");
    pt_bytes(out, name, n);
}

static int unix_row(const struct net_info *i, void *arg)
{
    struct rows *r = arg;

    pt_printf(r->out, "%016x: %08X %08X %08X %04X %02X %5" PRIu64, 0, i->refs + 1, 0, i->flags,
              (unsigned)i->type, (unsigned)i->state, i->ino);
    put_name(r->out, i);
    pt_puts(r->out, "\n");
    return 0;
}

static int netlink_row(const struct net_info *i, void *arg)
{
    struct rows *r = arg;

    pt_printf(r->out, "%016x %-3d %-10u %08x %-8d %-8d %-5d %-8d %-8d %-8" PRIu64 "\n", 0, 0,
              (unsigned)i->state, i->flags, 0, 0, 0, (int)i->refs + 1, 0, i->ino);
    return 0;
}

static int packet_row(const struct net_info *i, void *arg)
{
    struct rows *r = arg;

    pt_printf(r->out, "%016x %-6u %-4d %04x   %-5u %1d %-6u %-6u %-6" PRIu64 "\n", 0, i->refs + 1,
              i->type, (unsigned)i->state, i->flags, i->state != 0, i->rx, i->uid, i->ino);
    return 0;
}

void net_proc_rows(enum proc_net_table table, struct ptext *out)
{
    struct rows r = { .out = out, .table = table, .listeners = true };

    switch (table) {
    case PROC_NET_TCP:
    case PROC_NET_TCP6: {
        int family = table == PROC_NET_TCP ? AF_INET : AF_INET6;

        net_each(family, SOCK_STREAM, tcp_row, &r);
        r.listeners = false;
        net_each(family, SOCK_STREAM, tcp_row, &r);
        break;
    }
    case PROC_NET_UDP:
        net_each(AF_INET, SOCK_DGRAM, udp_row, &r);
        break;
    case PROC_NET_UDP6:
        net_each(AF_INET6, SOCK_DGRAM, udp_row, &r);
        break;
    case PROC_NET_RAW:
        net_each(AF_INET, SOCK_RAW, raw_row, &r);
        break;
    case PROC_NET_RAW6:
        net_each(AF_INET6, SOCK_RAW, raw_row, &r);
        break;
    case PROC_NET_UNIX:
        net_each(AF_UNIX, 0, unix_row, &r);
        break;
    case PROC_NET_NETLINK:
        net_each(AF_NETLINK, 0, netlink_row, &r);
        break;
    case PROC_NET_PACKET:
        net_each(AF_PACKET, 0, packet_row, &r);
        break;
    }
}
