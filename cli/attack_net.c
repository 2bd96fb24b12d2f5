/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks from a sandbox that may reach one port of the host: on another one of the same address. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/attack.h"

/* Other ways to write 127.0.0.1, and addresses that an owner of the host might have. */
static const char *const forms[] = { "127.0.0.1", "127.0.0.2",          "0.0.0.0",
                                     "::1",       "::ffff:127.0.0.1",   "::",
                                     "10.0.2.2",  "64:ff9b::127.0.0.1", "::127.0.0.1" };

static socklen_t address(const char *text, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *in = (void *)ret;
    struct sockaddr_in6 *in6 = (void *)ret;

    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        return sizeof *in;
    }
    inet_pton(AF_INET6, text, &in6->sin6_addr);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    return sizeof *in6;
}

static int try_connect(const char *text, int port)
{
    struct sockaddr_storage ss;
    socklen_t n = address(text, port, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 || connect(fd, (struct sockaddr *)&ss, n) < 0 ? -1 : 0;

    if (fd >= 0)
        close(fd);
    return r;
}

/* Whether it came is for who listens to say. */
static void send_datagram(const char *text, int port)
{
    struct sockaddr_storage ss;
    socklen_t n = address(text, port, &ss);
    int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0) {
        (void)!sendto(fd, "x", 1, 0, (struct sockaddr *)&ss, n);
        close(fd);
    }
}

int attack_net(int allowed, int forbidden)
{
    if (try_connect("127.0.0.1", allowed) < 0)
        return ATTACK_NET_UNTRIED;
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (try_connect(forms[i], forbidden) == 0)
            return ATTACK_NET_THROUGH;
        send_datagram(forms[i], forbidden);
    }
    return ATTACK_NET_HELD;
}
