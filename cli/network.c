/* SPDX-License-Identifier: Apache-2.0 */
/* See network.h. Without an option of the network nothing here opens, reads or makes anything. */
#include "cli/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/error.h"

#define RESOLV_CONF "/etc/resolv.conf"

static int add_rules(struct network *n, const char *option, const char *const *texts,
                     unsigned count, bool deny)
{
    const char *why;

    for (unsigned i = 0; i < count; i++) {
        struct net_rule *r = xgrow(&n->policy.rules, &n->policy.nrules, sizeof *r);

        if (net_rule_parse(texts[i], deny, r, &why) < 0)
            return fail(EXIT_SBX, "--%s %s: %s", option, texts[i], why);
        *(char **)xgrow(&n->texts, &n->ntexts, sizeof *n->texts) = xstrdup(texts[i]);
    }
    return 0;
}

static int contradiction(const struct run_options *o)
{
    for (unsigned i = 0; i < o->nallow_net; i++)
        for (unsigned k = 0; k < o->ndeny_net; k++)
            if (strcmp(o->allow_net[i], o->deny_net[k]) == 0)
                return fail(EXIT_SBX, "--allow-net and --deny-net both say %s; leave one out",
                            o->allow_net[i]);
    return 0;
}

static int check_mode(const struct run_options *o, struct net_policy *p)
{
    bool some = o->nallow_net || o->npublish, host = o->net && strcmp(o->net, "host") == 0;

    if (o->net && !host && strcmp(o->net, "none") != 0)
        return fail(EXIT_SBX, "--net %s: give none or host", o->net);
    if (o->net && !host && (some || o->ndeny_net))
        return fail(EXIT_SBX, "--net=none allows nothing; leave it out, or the other options");
    if (host && o->nallow_net)
        return fail(EXIT_SBX, "--net=host allows all; leave it out, or --allow-net");
    if (!host && !some && o->ndeny_net)
        return fail(EXIT_SBX, "--deny-net takes from what is allowed; give --allow-net as well");
    p->host = host;
    p->on = host || some;
    return 0;
}

/* An address of both kinds where none was given and the host has IPv6. shared: with our own, for now. */
static int bind_port(struct net_publish *p, bool shared)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(p->host_port) };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(p->host_port) };
    const int type = (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, on = 1;
    bool any = memcmp(p->ip.b, &in6addr_any, 16) == 0, v4 = net_is_v4(&p->ip);
    int r;

    memcpy(&in6.sin6_addr, p->ip.b, 16);
    memcpy(&in.sin_addr, p->ip.b + 12, 4);
    p->fd = v4 ? -1 : socket(AF_INET6, type, 0);
    if (p->fd < 0 && !v4 && !any)
        return -errno;
    if (p->fd < 0) {
        p->fd = socket(AF_INET, type, 0);
        v4 = true;
    }
    if (p->fd < 0)
        return -errno;
    if (!p->udp)
        setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared)
        setsockopt(p->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    r = v4 ? bind(p->fd, (struct sockaddr *)&in, sizeof in)
           : bind(p->fd, (struct sockaddr *)&in6, sizeof in6);
    return r < 0 ? -errno : 0;
}

int network_bind_again(const struct net_publish *p)
{
    const int on = 1, off = 0;
    struct net_publish again = *p;
    int r;

    if (setsockopt(p->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
        return -errno;
    r = bind_port(&again, /* shared= */ true);
    if (r == 0 && dup3(again.fd, p->fd, O_CLOEXEC) < 0)
        r = -errno;
    if (again.fd >= 0)
        close(again.fd);
    setsockopt(p->fd, SOL_SOCKET, SO_REUSEPORT, &off, sizeof off);
    return r;
}

static int publish(const struct run_options *o, struct network *n)
{
    const char *why;

    n->inside = xcalloc(o->npublish + 1, sizeof *n->inside);
    for (unsigned i = 0; i < o->npublish; i++) {
        struct net_publish *p = xgrow(&n->policy.pub, &n->policy.npub, sizeof *p);
        int r;

        if (net_publish_parse(o->publish[i], p, &why) < 0)
            return fail(EXIT_SBX, "-p %s: %s", o->publish[i], why);
        for (unsigned k = 0; k < i; k++)
            if (n->policy.pub[k].port == p->port && n->policy.pub[k].udp == p->udp)
                return fail(EXIT_SBX, "-p %s: port %u inside is published already", o->publish[i],
                            p->port);
        r = bind_port(p, /* shared= */ false);
        if (r < 0)
            return fail(EXIT_SBX, "-p %s: port %u of the host: %s", o->publish[i], p->host_port,
                        r == -EADDRINUSE ? "it is in use; give another" : strerror(-r));
        n->inside[i] = (struct sentry_port){ p->port, p->udp };
    }
    return 0;
}

static bool server_address(const char *text, struct sockaddr_in6 *ret)
{
    *ret = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(53) };
    if (inet_pton(AF_INET6, text, &ret->sin6_addr) == 1)
        return !IN6_IS_ADDR_LINKLOCAL(&ret->sin6_addr); /* which says not on which link */
    ret->sin6_addr.s6_addr[10] = ret->sin6_addr.s6_addr[11] = 0xff;
    return inet_pton(AF_INET, text, ret->sin6_addr.s6_addr + 12) == 1;
}

void network_servers(struct network *n)
{
    FILE *f = fopen(RESOLV_CONF, "re");
    char line[512], word[64];

    while (f && n->nservers < BROKER_SERVERS_MAX && fgets(line, sizeof line, f)) {
        if (sscanf(line, " nameserver %63s", word) == 1 &&
            server_address(word, &n->servers[n->nservers]))
            n->nservers++;
    }
    if (f)
        fclose(f);
}

int network_prepare(const struct run_options *o, struct network *ret)
{
    struct network n = { .nservers = 0 };
    int r = check_mode(o, &n.policy);

    if (r == 0 && n.policy.on)
        r = contradiction(o);
    if (r == 0)
        r = add_rules(&n, "allow-net", o->allow_net, o->nallow_net, false);
    if (r == 0)
        r = add_rules(&n, "deny-net", o->deny_net, o->ndeny_net, true);
    if (r == 0)
        r = publish(o, &n);
    if (r == 0 && n.policy.on)
        network_servers(&n);
    if (r == 0 && n.policy.on && n.nservers == 0) /* as the C library has it */
        n.nservers = server_address("127.0.0.1", &n.servers[0]);
    *ret = n;
    return r;
}

void network_show(const struct network *n, struct shown *s)
{
    if (!n->policy.on)
        return;
    shown_text(s, "/etc/resolv.conf", "nameserver 10.0.2.3\n");
    shown_text(s, "/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n");
}

void network_started(const struct network *n)
{
    for (unsigned i = 0; i < n->policy.npub; i++)
        close(n->policy.pub[i].fd);
}
