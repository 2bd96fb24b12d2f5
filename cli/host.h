/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host offers. Each tries the thing itself, in a child where it changes the process: version
 * numbers and files of settings say less than an attempt. 0, or an errno that says why not.
 */
#pragma once

#include <stdint.h>

int host_userns(void);
int host_pidns(void);
int host_netns(void);
int host_timens(void);
int host_mounts(void); /* detached ones: open_tree(2) */
int host_iouring(void);
int host_filter(void);   /* seccomp filters */
int host_notify(void);   /* seccomp filters with a listener */
int host_killable(void); /* whose waits only a fatal signal ends (Linux 5.19) */
int host_vm(void);       /* process_vm_readv(2) */
int host_getfd(void);    /* pidfd_getfd(2) */
int host_landlock(void);
int host_ports(void); /* Landlock that knows of TCP ports (Linux 6.7) */
int host_ping(void); /* sockets for ICMP echo, for the broker's id; EACCES: the sysctl has it not */
int host_names(void);  /* a nameserver in /etc/resolv.conf; ENOENT: none */
int host_cgroup(void); /* a cgroup of ours to divide, of either version; ENODEV: there is none */

/* A command that would bring this user namespaces, io_uring, or a cgroup of its own. */
const char *host_help_userns(void);
const char *host_help_iouring(void);
const char *host_help_cgroup(void);
