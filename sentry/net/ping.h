/* SPDX-License-Identifier: Apache-2.0 */
/* Ping sockets; see ping.c. */
#pragma once

#include <stdbool.h>

struct inet_addr;
struct isock;
struct msg;
struct task;

/* Is one of t's groups among those of net.ipv4.ping_group_range? */
bool ping_allowed(const struct task *t);
/*
 * An echo request on the loopback, and its answer into s's queue; udp_lock held. 1: m was used up; 0: it
 * was not; -EINVAL: it is no echo request.
 */
int ping_transmit(struct isock *s, struct msg *m, const struct inet_addr *src,
                  const struct inet_addr *dst);
