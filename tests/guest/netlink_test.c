/* SPDX-License-Identifier: Apache-2.0 */
/* What programs ask about the network: rtnetlink, getifaddrs, the ioctls; and what is not there. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "guest.h"

static void names(void)
{
    struct sockaddr_nl a = { .nl_family = AF_NETLINK }, b = { .nl_family = AF_NETLINK };
    socklen_t n = sizeof a;
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), t;

    CHECK(s >= 0);
    CHECK_EQ(getsockname(s, (void *)&a, &n), 0);
    CHECK_EQ(n, sizeof a);
    CHECK_EQ(a.nl_pid, 0);
    CHECK_EQ(bind(s, (void *)&b, sizeof b), 0);
    CHECK_EQ(getsockname(s, (void *)&a, &n), 0);
    CHECK_EQ(a.nl_pid, getpid());
    t = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    CHECK_EQ(bind(t, (void *)&b, sizeof b), 0);
    CHECK_EQ(getsockname(t, (void *)&a, &n), 0);
    CHECK((int)a.nl_pid < 0);
    CHECK_EQ(getpeername(s, (void *)&a, &n), 0);
    CHECK_EQ(a.nl_pid, 0);
    CHECK_ERR(bind(t, (void *)&b, 4), EINVAL);
    CHECK_ERR(listen(s, 1), EOPNOTSUPP);
    CHECK_ERR(socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
    CHECK_ERR(socket(AF_NETLINK, SOCK_RAW, 31), EPROTONOSUPPORT);
    close(s);
    close(t);
}

static int ask(int s, int type, int flags, int family)
{
    struct {
        struct nlmsghdr h;
        struct rtmsg m; /* as long as any of them; the family comes first in all */
        char pad[16];
    } q = { .h = { .nlmsg_len = NLMSG_LENGTH(16),
                   .nlmsg_type = (unsigned short)type,
                   .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags),
                   .nlmsg_seq = 42 },
            .m.rtm_family = (unsigned char)family };

    return (int)send(s, &q, q.h.nlmsg_len, 0);
}

/* Looks through a dump; how often what was there. */
static int dump(int s, int type, int family)
{
    static _Alignas(8) char buf[65536];
    int found = 0;

    CHECK(ask(s, type, NLM_F_DUMP, family) > 0);
    for (;;) {
        ssize_t n = recv(s, buf, sizeof buf, 0);
        struct nlmsghdr *h = (void *)buf;

        if (n <= 0)
            return -1;
        for (; NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n)) {
            CHECK_EQ(h->nlmsg_seq, 42);
            if (h->nlmsg_type == NLMSG_DONE)
                return found;
            if (h->nlmsg_type == NLMSG_ERROR)
                return -1;
            CHECK(h->nlmsg_flags & NLM_F_MULTI);
            found += h->nlmsg_type == type - 2;
        }
    }
}

static void dumps(void)
{
    int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct {
        struct nlmsghdr h;
        struct nlmsgerr e;
        char rest[64];
    } r;
    char c;

    CHECK_ERR(recv(s, &c, 1, MSG_DONTWAIT), EAGAIN);
    CHECK(dump(s, RTM_GETLINK, AF_UNSPEC) >= 1);
    CHECK(dump(s, RTM_GETADDR, AF_UNSPEC) >= 2);
    CHECK(dump(s, RTM_GETADDR, AF_INET) >= 1);
    CHECK(dump(s, RTM_GETROUTE, AF_INET) >= 2);
    CHECK(ask(s, RTM_GETLINK, 0, AF_UNSPEC) > 0); /* no such index */
    CHECK(recv(s, &r, sizeof r, 0) > 0);
    CHECK_EQ(r.h.nlmsg_type, NLMSG_ERROR);
    CHECK(r.e.error < 0);
    CHECK(ask(s, 250, 0, AF_UNSPEC) > 0);
    CHECK(recv(s, &r, sizeof r, 0) > 0);
    CHECK_EQ(r.e.error, -EOPNOTSUPP);
    close(s);
}

static void interfaces(void)
{
    struct ifaddrs *all, *i;
    int v4 = 0, v6 = 0, packet = 0;

    CHECK_EQ(getifaddrs(&all), 0);
    for (i = all; i; i = i->ifa_next) {
        if (strcmp(i->ifa_name, "lo") || !i->ifa_addr)
            continue;
        CHECK(i->ifa_flags & IFF_LOOPBACK);
        v4 += i->ifa_addr->sa_family == AF_INET;
        v6 += i->ifa_addr->sa_family == AF_INET6;
        packet += i->ifa_addr->sa_family == AF_PACKET;
    }
    freeifaddrs(all);
    CHECK_EQ(v4, 1);
    CHECK_EQ(v6, 1);
    CHECK_EQ(packet, 1);
    CHECK_EQ(if_nametoindex("lo"), 1);
}

static void ioctls(void)
{
    struct ifreq r = { .ifr_name = "lo" };
    struct ifconf c = { 0 };
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    CHECK_EQ(ioctl(s, SIOCGIFFLAGS, &r), 0);
    CHECK_EQ(r.ifr_flags, IFF_UP | IFF_LOOPBACK | IFF_RUNNING);
    CHECK_EQ(ioctl(s, SIOCGIFMTU, &r), 0);
    CHECK_EQ(r.ifr_mtu, 65536);
    CHECK_EQ(ioctl(s, SIOCGIFADDR, &r), 0);
    CHECK_EQ(ntohl(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(ioctl(s, SIOCGIFINDEX, &r), 0);
    CHECK_EQ(r.ifr_ifindex, 1);
    CHECK_EQ(ioctl(s, SIOCGIFNAME, &r), 0);
    CHECK_EQ(strcmp(r.ifr_name, "lo"), 0);
    CHECK_EQ(ioctl(s, SIOCGIFCONF, &c), 0);
    CHECK(c.ifc_len >= (int)sizeof r);
    if (geteuid() == 0) { /* to what it is */
        r.ifr_flags = IFF_UP;
        CHECK_EQ(ioctl(s, SIOCSIFFLAGS, &r), 0);
        r.ifr_mtu = 65536;
        CHECK_EQ(ioctl(s, SIOCSIFMTU, &r), 0);
        CHECK_ERR(ioctl(s, SIOCSIFFLAGS, NULL), EFAULT);
        CHECK_EQ(system("ip link set lo up >/dev/null 2>&1; [ $? = 0 -o $? = 127 ]"), 0);
    }
    strcpy(r.ifr_name, "nope0");
    CHECK_ERR(ioctl(s, SIOCGIFFLAGS, &r), ENODEV);
    CHECK_ERR(ioctl(s, TIOCGWINSZ, &r), ENOTTY);
    close(s);
}

int main(void)
{
    RUN(names);
    RUN(dumps);
    RUN(interfaces);
    RUN(ioctls);
    DONE();
}
