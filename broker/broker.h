/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The net broker: the one process of a sandbox with sockets in the host's network. It checks each
 * address against the policy and hands over connected sockets; data does not pass through it, but for
 * names and published UDP. One thread, one epoll. It trusts nothing that the sentry says, and nothing
 * that comes from the network.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

#include "broker/policy.h"

#define BROKER_SERVERS_MAX 3

struct broker_config {
    int sock;       /* SEQPACKET to the sentry */
    int root_fd;    /* the empty root, kept open; 0: none */
    int rules_sock; /* to the front end, which changes the rules (broker/rules.h); 0: nobody does */
    struct net_policy *policy;
    struct sockaddr_in6 servers[BROKER_SERVERS_MAX]; /* nameservers, v4-mapped for IPv4 */
    unsigned nservers;
    uint64_t without; /* SBX_WITHOUT_* */
    bool tell_names;  /* with each connection, the name that its address was resolved for */
};

/*
 * In a child of its own that has no other thread; the front end has entered its namespaces and
 * changed its ids. Fences itself before it reads the first foreign byte. Never returns.
 */
void broker_main(const struct broker_config *cfg) __attribute__((noreturn));
/* The fence alone: 0 or -errno. */
int broker_fence(const struct broker_config *cfg);
/* Serves until the sentry is gone; made apart for tests, which need no fence. */
void broker_serve(const struct broker_config *cfg);
