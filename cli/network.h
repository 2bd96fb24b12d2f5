/* SPDX-License-Identifier: Apache-2.0 */
/* What the options say about the network: the policy, bound ports, the files that programs read. */
#pragma once

#include <netinet/in.h>

#include "broker/broker.h"
#include "broker/rules.h"
#include "cli/options.h"
#include "cli/shown.h"
#include "sentry/sentry.h"

struct network {
    struct net_policy policy;
    char **texts; /* of policy.rules, as they were given */
    unsigned ntexts;
    struct sentry_port *inside; /* of policy.pub */
    struct sockaddr_in6 servers[BROKER_SERVERS_MAX];
    unsigned nservers;
};

/* 0, or the exit status after the error was printed. Published ports are bound. */
int network_prepare(const struct run_options *o, struct network *ret);
/*
 * A socket bound as p->fd is, made by the caller now, takes its place and its number. For sockets that
 * do not listen yet. 0 or -errno: the old one is still there.
 */
int network_bind_again(const struct net_publish *p);
/* The nameservers of the host's resolv.conf that can be asked: n->nservers is 0 before. */
void network_servers(struct network *n);
/* Puts the sandbox's own resolv.conf and hosts into what is shown, where there is a network. */
void network_show(const struct network *n, struct shown *s);
enum rules_verb { RULES_SHOW, RULES_ALLOW, RULES_DENY, RULES_REMOVE };
/*
 * rules.c: changes the rules in force, all that are given or none. sock: the broker's, or -1: there is no
 * network. 0; or one line for the user and -EINVAL, or -EIO: they are changed, but the broker does not answer.
 */
int rules_change(struct network *n, int sock, enum rules_verb verb, char *const *texts,
                 unsigned count, unsigned *ret_cut, char why[256]);
/* What was refused so far: free() it. NULL and *ret_n 0 where the broker does not answer, too. */
struct nr_refused *rules_refused(int sock, unsigned *ret_n, unsigned *ret_more);

/* The broker has the bound ports: ours are closed. */
void network_started(const struct network *n);
