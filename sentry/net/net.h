/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets, as the rest of the sentry sees them. The network is the sandbox's own: Unix sockets and
 * a loopback that are kernel objects of ours; no host socket is opened, and packets are made only for who
 * looks at them (tap.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "abi/types.h"

struct task;
struct inode;
struct file;

/* What /proc/net shows of one socket. */
struct net_info {
    int family, type, state; /* state: TCP_* for inet, SS_* for unix */
    struct sockaddr_storage local, remote;
    uint32_t local_len, remote_len; /* for AF_UNIX: as getsockname gives */
    uint32_t rx, tx;                /* bytes queued; a listener: waiting, backlog */
    uint32_t refs, flags;           /* AF_UNIX: 0x10000 listening */
    uint32_t uid;
    uint64_t ino;
    uint64_t drops;
    bool hidden; /* has no port: not shown */
};

/*
 * Calls fn for each socket of that family and type (0: any) until it returns non-zero; that is
 * returned. fn must take no lock above LOCK_OBJECT and must not call back into sockets.
 */
int net_each(int family, int type, int (*fn)(const struct net_info *info, void *arg), void *arg);

/* "connect to 93.184.216.34:443" : what the guest wanted and this network does not have. */
extern void (*net_refused_note)(const char *what);

/* eth0, where there is a network: it stands for what the broker reaches. */
#define NET_ETH_MAC                                                                                \
    {                                                                                              \
        0x52, 0x54, 0x00, 0x12, 0x34, 0x56                                                         \
    }
#define NET_ETH_MTU 1500
bool broker_on(void);

/* Bytes and packets that went over lo, for /proc/net/dev. */
void net_lo_stats(uint64_t *ret_bytes, uint64_t *ret_packets);

/* True for a file that is a socket. */
bool file_is_sock(const struct file *f);
