/* SPDX-License-Identifier: Apache-2.0 */
/* The programs and maps of the network's second fence (netfence.h). */
#pragma once

#include <linux/bpf.h>
#include <stdint.h>

#include "broker/policy.h"

struct netfence_key { /* of the rules: bits of ip */
    uint32_t bits;
    uint8_t ip[16];
};

struct netfence_peer { /* who came to which published port; in the order of bytes of the network */
    uint8_t ip[16];
    uint16_t port, our_port;
};

/* bpf(2): its result or -errno. */
int netfence_bpf(int cmd, union bpf_attr *a);
/*
 * Looks at what leaves. rules: a map of netfence_key to sorted ranges of ports; peers: one of
 * netfence_peer to 32 bits, or -1. A descriptor or -errno.
 */
int netfence_egress(int rules, int peers);
/* Notes in peers who sends to the published ports. */
int netfence_ingress(int peers, const struct net_publish *pub, unsigned npub);
