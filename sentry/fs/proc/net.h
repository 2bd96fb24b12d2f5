/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of /proc/net whose rows the owners of sockets make. */
#pragma once

#include "sentry/fs/pseudo/pseudo.h"

enum proc_net_table {
    PROC_NET_TCP,
    PROC_NET_TCP6,
    PROC_NET_UDP,
    PROC_NET_UDP6,
    PROC_NET_RAW,
    PROC_NET_RAW6,
    PROC_NET_UNIX,
    PROC_NET_NETLINK,
    PROC_NET_PACKET,
};

/* Appends the rows of a table, each with its newline, as Linux prints them. May take any lock. Set by
 * the owner of the sockets at start-up; NULL: the tables are empty. */
extern void (*proc_net_rows)(enum proc_net_table table, struct ptext *out);
void net_proc_rows(enum proc_net_table table, struct ptext *out); /* net/procnet.c: it */
