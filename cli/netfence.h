/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second fence of the network: an eBPF program on a cgroup (version 2) of the net broker's own. It looks
 * at each packet that leaves a socket which the broker has made, whoever holds that by now, and knows
 * the rules by address and port (broker/policy.h, net_flatten). So a broker that was taken over is still
 * held, as far as the rules go without names. From a published port it may answer who came to it. The host's
 * root alone may put it there.
 */
#pragma once

#include "cli/network.h"

struct netfence {
    int dir;   /* of the cgroup; -1: there is no fence */
    int prog;  /* attached */
    int peers; /* a map: who came to published ports; -1: there are none */
    char *path;
};

/*
 * Makes it, with the rules in force, and moves the published ports into it (their descriptors keep their
 * numbers). 0 or -errno: then f->dir is -1, and nothing is left.
 */
int netfence_open(struct netfence *f, const struct network *n);
/* The broker is born outside, and put in before it may go on. 0 or -errno. */
int netfence_enter(const struct netfence *f, pid_t pid);
/* The rules have changed. 0, or -errno: those from before hold on. */
int netfence_update(struct netfence *f, const struct network *n);
/* At the end, when the broker has ended: the cgroup is removed. */
void netfence_close(struct netfence *f);
/* Does this host let us? 0 or an errno. */
int host_netfence(void);
