/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOCK_RAW of IPv4 and IPv6, on the loopback: they see every packet of their protocol, whoever sent it
 * (tap.h), and what they send arrives at the stack (packet_in.h). Not there: what ICMP has to say about a
 * packet is no error of the socket; a segment of TCP that is sent by hand reaches raw sockets only.
 *
 * raw_lock (LOCK_OBJECT) guards all of them: letter [R]. It is taken after a socket's own lock.
 */
#pragma once

#include "sentry/net/inet.h"

/* A packet, from its IP header on; src and dst as its header says. */
struct ip_packet {
    const uint8_t *data;
    size_t len;
    struct inet_addr src, dst;
    uint8_t proto, ttl, tos;
    const uint8_t *l4; /* what it carries: n bytes */
    size_t n;
};

/* false: it is none. */
bool ip_packet_read(const uint8_t *p, size_t len, struct ip_packet *ret);

/* -EPERM without CAP_NET_RAW, -EPROTONOSUPPORT. */
int raw_create(struct task *t, int family, int protocol, struct sock **ret);
/* A packet passes lo: who wants it gets it. raw_lock is not held; locks before it may be. */
void raw_pass(const uint8_t *data, size_t len);
/* Is there one for such a packet? */
bool raw_listens(const struct ip_packet *p);

/* rawopt.c */
int raw_setsockopt(struct task *t, struct sock *sk, int level, int opt, const void *v, socklen_t n);
int raw_getsockopt(struct task *t, struct sock *sk, int level, int opt, void *v, socklen_t *n);

extern struct lock raw_lock;
