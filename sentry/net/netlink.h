/* SPDX-License-Identifier: Apache-2.0 */
/* How answers of NETLINK_ROUTE are made: netlink.c has the socket, route.c what is known. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/net/sock.h"

struct nlmsghdr;

struct nl_out {
    uint8_t *buf; /* kzalloc'd */
    size_t len, cap, start;
    uint32_t seq, portid;
    bool failed; /* no memory */
};

void *nl_room(struct nl_out *o, size_t n);
/* Begins a message; its fixed part, NULL without memory. Attributes follow, then nl_end. */
void *nl_begin(struct nl_out *o, int type, int flags, size_t payload);
void nl_attr(struct nl_out *o, int type, const void *data, size_t n);
void nl_end(struct nl_out *o);

/* Is it a netlink socket? 0, -ENOTSOCK, -EINVAL. */
int netlink_check(const struct file *f);
/* A message from the kernel to f, which was checked; what does not fit is lost. */
void netlink_deliver(struct file *f, const void *bytes, size_t n);

/* Answers one request: 0, or the error to be reported. */
int route_answer(struct nl_out *o, const struct nlmsghdr *h, bool dump);
