/* SPDX-License-Identifier: Apache-2.0 */
/* Options that only raw sockets have. The others are IP's (inetopt.c). */
#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>

#include "sentry/kernel/task.h"
#include "sentry/net/raw.h"

#define ICMP_FILTER_ 1 /* linux/icmp.h */
#define IP_NODEFRAG_ 22
#define IPV6_HDRINCL_ 36

static int set_icmp_filter(struct isock *s, const void *v, socklen_t n)
{
    if (s->sk.protocol != IPPROTO_ICMP)
        return -EOPNOTSUPP;
    LOCK_SCOPE(&raw_lock);
    memcpy(&s->raw.icmp_not, v, MIN(n, sizeof s->raw.icmp_not));
    return 0;
}

static int set_icmp6_filter(struct isock *s, const void *v, socklen_t n)
{
    LOCK_SCOPE(&raw_lock);
    memcpy(s->raw.icmp6_not, v, MIN(n, sizeof s->raw.icmp6_not));
    return 0;
}

/* Where the sum stands; Linux computes ICMPv6's itself, at its place. */
static int set_checksum(struct isock *s, int at)
{
    if (s->sk.protocol == IPPROTO_ICMPV6)
        return -EINVAL;
    if (at > 0 && (at & 1))
        return -EINVAL;
    LOCK_SCOPE(&raw_lock);
    s->raw.checksum = at < 0 ? -1 : at;
    return 0;
}

int raw_setsockopt(struct task *t, struct sock *sk, int level, int opt, const void *v, socklen_t n)
{
    struct isock *s = inet_sk(sk);
    bool v6 = sk->family == AF_INET6;
    int val = 0;

    if (level == SOL_RAW && !v6)
        return opt == ICMP_FILTER_ ? set_icmp_filter(s, v, n) : -ENOPROTOOPT;
    if (level == SOL_ICMPV6 && v6 && sk->protocol == IPPROTO_ICMPV6)
        return opt == ICMP6_FILTER ? set_icmp6_filter(s, v, n) : -ENOPROTOOPT;
    if (n >= sizeof val)
        memcpy(&val, v, sizeof val);
    else if (n && level == SOL_IP)
        val = *(const uint8_t *)v;
    if (v6 && (level == SOL_RAW || level == SOL_IPV6) && opt == IPV6_CHECKSUM)
        return n < sizeof val ? -EINVAL : set_checksum(s, val);
    if ((level == SOL_IP && opt == IP_HDRINCL && !v6) ||
        (v6 && (level == SOL_RAW || level == SOL_IPV6) && opt == IPV6_HDRINCL_)) {
        if (n < (v6 ? sizeof val : 1))
            return -EINVAL;
        LOCK_SCOPE(&raw_lock);
        s->raw.hdrincl = val != 0;
        return 0;
    }
    if (level == SOL_IP && opt == IP_NODEFRAG_ && !v6)
        return 0; /* nothing comes in parts */
    if (level == SOL_RAW || (level == SOL_IPV6 && opt == IPV6_ADDRFORM))
        return -ENOPROTOOPT;
    return inet_setsockopt(t, sk, level, opt, v, n);
}

static int get_bytes(const void *from, size_t size, void *v, socklen_t *n)
{
    *n = (socklen_t)MIN((size_t)*n, size);
    LOCK_SCOPE(&raw_lock);
    memcpy(v, from, *n);
    return 0;
}

static int get_int(int val, void *v, socklen_t *n)
{
    *n = (socklen_t)MIN((size_t)*n, sizeof val);
    memcpy(v, &val, *n);
    return 0;
}

int raw_getsockopt(struct task *t, struct sock *sk, int level, int opt, void *v, socklen_t *n)
{
    struct isock *s = inet_sk(sk);
    bool v6 = sk->family == AF_INET6;

    if (level == SOL_RAW && !v6) {
        if (opt != ICMP_FILTER_)
            return -ENOPROTOOPT;
        if (sk->protocol != IPPROTO_ICMP)
            return -EOPNOTSUPP;
        return get_bytes(&s->raw.icmp_not, sizeof s->raw.icmp_not, v, n);
    }
    if (level == SOL_ICMPV6 && v6 && sk->protocol == IPPROTO_ICMPV6)
        return opt == ICMP6_FILTER ? get_bytes(s->raw.icmp6_not, sizeof s->raw.icmp6_not, v, n)
                                   : -ENOPROTOOPT;
    if (v6 && (level == SOL_RAW || level == SOL_IPV6)) {
        if (opt == IPV6_CHECKSUM)
            return get_int(s->raw.checksum, v, n);
        if (opt == IPV6_HDRINCL_)
            return get_int(s->raw.hdrincl, v, n);
    }
    if (level == SOL_IP && opt == IP_HDRINCL && !v6)
        return get_int(s->raw.hdrincl, v, n);
    return level == SOL_RAW ? -ENOPROTOOPT : inet_getsockopt(t, sk, level, opt, v, n);
}
