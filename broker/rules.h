/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between front end and broker, where rules may change (a named sandbox): a SEQPACKET socket, one
 * question at a time. The front end keeps the rules and sends all of them, so that a change is one
 * step; the answer comes when every connection was looked at.
 *
 *   NR_SET      n; struct net_rule[n]          answer: cut, how many connections were ended
 *   NR_REFUSED  none                           answer: n; struct nr_refused[n]; more: others
 */
#pragma once

#include <stdint.h>

#include "broker/policy.h"

#define NR_RULES_MAX 256
#define NR_REFUSED_MAX 64

enum nr_op { NR_SET = 1, NR_REFUSED };

struct nr_req {
    uint32_t op, n;
};

struct nr_rep {
    int32_t error;
    uint32_t cut, n, more;
};

struct nr_refused {
    uint32_t count;
    char target[NET_NAME_MAX + 8]; /* a name or an address, and :PORT where there is one */
};
