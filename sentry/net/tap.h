/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What packet sockets see of the loopback. Nothing here is sent in packets, so they are made where somebody
 * looks: a frame for each datagram, and the segments that a TCP connection of Linux would have sent. Sequence
 * numbers are the positions in the streams. Where nobody looks (tap_on), nothing is done.
 *
 * Locks up to LOCK_SOCKET may be held.
 */
#pragma once

#include <stdatomic.h>

#include "sentry/net/inet.h"

#define TAP_ETH 14 /* the Ethernet header, all zeros but for the type */

extern _Atomic unsigned tap_count; /* packet and raw sockets there are */
static inline bool tap_on(void)
{
    return atomic_load_explicit(&tap_count, memory_order_relaxed) != 0;
}

/* Is the checksum of n bytes of UDP or ICMP that from p on lie right? */
bool tap_l4_good(const struct inet_addr *src, const struct inet_addr *dst, uint8_t proto,
                 const void *p, size_t n);

/* The Internet checksum, as it is stored. */
uint16_t tap_checksum(const void *p, size_t n);
/* The next identification of an IPv4 packet, as it is stored. */
uint16_t tap_ip_id(void);
/*
 * The IP header of a frame of n bytes whose payload is there; check: where in the payload its checksum
 * belongs, -1: nowhere.
 */
void tap_fill(uint8_t *frame, size_t n, uint8_t proto, const struct inet_addr *src,
              const struct inet_addr *dst, int ttl, int tos, int check);

void tap_udp(const struct inet_addr *src, const struct inet_addr *dst, const struct msg *m);
/* Nobody there: an ICMP message, about the frame that tap_udp makes of m. */
void tap_unreachable(const struct inet_addr *src, const struct inet_addr *dst, const struct msg *m);
/* An ICMP message of n bytes whose checksum (at 2) is filled in. */
void tap_icmp(const struct inet_addr *src, const struct inet_addr *dst, const void *icmp, size_t n);
/* The three segments of a connection that was just made; what a refused one gets. */
void tap_tcp_open(struct isock *client);
void tap_tcp_refused(const struct inet_addr *src, const struct inet_addr *dst);
/* n bytes that sk has sent, from that position in the stream on. The pair's lock is held for these. */
void tap_tcp_data(struct isock *s, uint64_t from, size_t n);
void tap_tcp_fin(struct isock *s);
/* s is reset by the other end. */
void tap_tcp_reset(struct isock *s);
