/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: whatever a compromised process of ours does, the kernel lets it open nothing but what
 * lies beneath a few descriptors. What a host's Landlock knows besides is refused whole: TCP (since
 * its ABI 4), abstract sockets and signals to processes outside (since ABI 6).
 */
#pragma once

#include <stdint.h>

#define LANDLOCK_WRITE_FILE (1ull << 1)
#define LANDLOCK_READ_FILE (1ull << 2)
#define LANDLOCK_READ_DIR (1ull << 3)
#define LANDLOCK_REMOVE_DIR (1ull << 4)
#define LANDLOCK_REMOVE_FILE (1ull << 5)
#define LANDLOCK_MAKE_DIR (1ull << 7)
#define LANDLOCK_MAKE_REG (1ull << 8)
#define LANDLOCK_MAKE_SOCK (1ull << 9)
#define LANDLOCK_MAKE_FIFO (1ull << 10)
#define LANDLOCK_MAKE_SYM (1ull << 12)
#define LANDLOCK_REFER (1ull << 13)    /* ABI 2 */
#define LANDLOCK_TRUNCATE (1ull << 14) /* ABI 3 */

#define LANDLOCK_TCP_BIND (1ull << 0) /* ABI 4 */
#define LANDLOCK_TCP_CONNECT (1ull << 1)

/* The ABI version of this host; 0: it has none, or not for us. */
int landlock_abi(void);

/*
 * A new ruleset, a descriptor for landlock_allow() and landlock_enter(), which closes it, also when
 * it fails. -EOPNOTSUPP: this host has no Landlock; else -errno.
 */
int landlock_new(void);
/*
 * The same for who has to do with the network: what else there is is refused, and of TCP (where the
 * ABI knows it) what tcp names: LANDLOCK_TCP_BIND, and LANDLOCK_TCP_CONNECT but to the ports that
 * landlock_allow_connect() gives.
 */
int landlock_new_net(uint64_t tcp);
int landlock_allow_connect(int ruleset, uint16_t port);
/* Beneath fd these rights are given; of a file only those that files have. 0 or -errno. */
int landlock_allow(int ruleset, int fd, uint64_t rights);
/* Sets no_new_privs; from here on for this thread and those it makes. 0 or -errno. */
int landlock_enter(int ruleset);
