/* SPDX-License-Identifier: Apache-2.0 */
/* What the network namespace that this process is in has: for the sentry, which shows it inside. */
#pragma once

/* A socket that can be read when links, addresses or routes have changed; -1: none. */
int network_watch(void);
/* Drops what is in it: that there was something is enough. */
void network_drain(int watch);
/* Links, addresses, routes and neighbours, as NETLINK_ROUTE answers, in a memfd. -1 with errno. */
int network_snapshot(void);
