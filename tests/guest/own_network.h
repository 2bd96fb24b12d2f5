/* SPDX-License-Identifier: Apache-2.0 */
/* Natively, tests of the loopback have one of their own. */
#pragma once

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

/* A network namespace whose lo is up and has these flags too; skips where there is none to be had. */
static inline void to_own_network(int flags)
{
    struct ifreq r = { .ifr_name = "lo", .ifr_flags = (short)(IFF_UP | flags) };
    int s;

    if (guest_inside())
        return;
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        SKIP("no network namespace to be had");
    s = socket(AF_INET, SOCK_DGRAM, 0);
    if (ioctl(s, SIOCSIFFLAGS, &r) < 0)
        SKIP("lo cannot be set up");
    close(s);
}
