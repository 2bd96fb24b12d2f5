/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was handed over and is still ours, too: sockets of UDP and ICMP, to which more datagrams of
 * their first moment come by us; and where rules may change every socket, because there is no other
 * way to cut what the sentry holds. Who closes one says so, and is not believed: what is given up
 * here is closed for everybody who still has it.
 *
 * How a connection is cut: connect(2) to no address. That resets TCP for both ends, as if the other
 * host had, whoever holds it; of UDP it takes the peer and the port. Where a thread sleeps in such a socket
 * the host refuses it (EBUSY); shutdown(2) wakes that, and ends the socket for all as well.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi/types.h"
#include "broker/server.h"

#define BUCKETS 1024u

static struct kept {
    struct kept *next;
    int fd;
    uint32_t tag;
    bool tcp, cut;
    struct nb_addr peer; /* as it was checked */
} * kept[BUCKETS];

bool kept_wanted(uint32_t proto)
{
    return broker->rules_sock > 0 || proto != IPPROTO_TCP;
}

bool kept_add(int fd, uint32_t tag, bool tcp, const struct nb_addr *peer)
{
    struct kept *k = malloc(sizeof *k);

    if (!k)
        return false;
    *k = (struct kept){ kept[tag % BUCKETS], fd, tag, tcp, false, *peer };
    kept[tag % BUCKETS] = k;
    return true;
}

static struct kept **find(uint32_t tag)
{
    struct kept **at = &kept[tag % BUCKETS];

    while (*at && (*at)->tag != tag)
        at = &(*at)->next;
    return at;
}

void disconnect(int fd, bool tcp)
{
    const struct sockaddr none = { .sa_family = AF_UNSPEC };
    bool done = connect(fd, &none, sizeof none) == 0;

    if (!done || !tcp)
        shutdown(fd, SHUT_RDWR);
    if (!done)
        (void)connect(fd, &none, sizeof none);
}

/* As close(2) does where nobody else has it; it never waits, as SO_LINGER has no time here (option.c). */
static void end(const struct kept *k)
{
    struct linger l = { 0, 0 };
    socklen_t n = sizeof l;
    int unread = 0;

    if (k->cut)
        return;
    if (getsockopt(k->fd, SOL_SOCKET, SO_LINGER, &l, &n) < 0)
        l.l_onoff = 0;
    if (!k->tcp || l.l_onoff || (ioctl(k->fd, FIONREAD, &unread) == 0 && unread > 0))
        disconnect(k->fd, k->tcp);
    else
        shutdown(k->fd, SHUT_RDWR);
}

void kept_end(uint32_t tag)
{
    struct kept **at = find(tag), *k = *at;

    if (!k)
        return;
    *at = k->next;
    end(k);
    close(k->fd);
    free(k);
}

int kept_take(uint32_t tag)
{
    struct kept **at = find(tag), *k = *at;
    int fd = k ? k->fd : -1;

    if (k)
        *at = k->next;
    free(k);
    return fd;
}

unsigned kept_cut(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct kept *k = kept[i]; k; k = k->next) {
            if (k->cut || may_stay(&k->peer))
                continue;
            disconnect(k->fd, k->tcp);
            k->cut = true;
            n++;
        }
    }
    return n;
}

void serve_send(const struct nb_req *m, const uint8_t *data)
{
    const struct kept *k = *find(m->tag);

    if (k && !k->tcp && !k->cut)
        send(k->fd, data, m->len, MSG_DONTWAIT | MSG_NOSIGNAL);
}
