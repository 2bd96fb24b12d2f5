/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that change while the sandbox runs, and what was refused so far. Here no answer is sent to the
 * sentry, as this is also done while one waits for a sentry that does not read (reply()).
 */
#include "broker/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "abi/types.h"
#include "abi/unfenced.h"
#include "broker/server.h"

static struct nr_refused refused[NR_REFUSED_MAX];
static unsigned nrefused, more_refused;

void note_refused(const char *name, const struct nb_addr *a)
{
    char ip[INET6_ADDRSTRLEN + 2] = "", port[8] = "", target[sizeof refused[0].target];
    struct net_ip n;

    if (a && a->port)
        snprintf(port, sizeof port, ":%u", a->port);
    if (a && !name) {
        memcpy(n.b, a->ip, sizeof n.b);
        if (net_is_v4(&n)) {
            inet_ntop(AF_INET, n.b + 12, ip, sizeof ip);
        } else {
            ip[0] = '[';
            inet_ntop(AF_INET6, n.b, ip + 1, sizeof ip - 2);
            strcat(ip, "]");
        }
    }
    snprintf(target, sizeof target, "%.*s%s", NET_NAME_MAX, name ? name : ip, port);
    for (unsigned i = 0; i < nrefused; i++) {
        if (strcmp(refused[i].target, target) == 0) {
            refused[i].count += refused[i].count < UINT32_MAX;
            return;
        }
    }
    if (nrefused == NR_REFUSED_MAX) {
        more_refused += more_refused < UINT32_MAX;
        return;
    }
    strcpy(refused[nrefused].target, target);
    refused[nrefused++].count = 1;
}

static void answer(const struct nr_rep *r, const void *data, size_t n)
{
    const struct iovec iov[2] = { { (void *)(uintptr_t)r, sizeof *r },
                                  { (void *)(uintptr_t)data, n } };
    const struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov,
                                .msg_iovlen = n ? 2 : 1 };

    sendmsg(broker->rules_sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static unsigned set(const struct net_rule *rules, unsigned n)
{
    static struct net_rule now[NR_RULES_MAX];

    memcpy(now, rules, n * sizeof *rules);
    broker->policy->rules = now;
    broker->policy->nrules = n;
    rules_changed();
    return unfenced("cut") ? 0 : connects_cut() + kept_cut();
}

bool rules_serve(void)
{
    static struct net_rule rules[NR_RULES_MAX];
    struct nr_req q = { 0 };
    struct iovec iov[2] = { { &q, sizeof q }, { rules, sizeof rules } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
    struct nr_rep r = { 0 };
    ssize_t n = recvmsg(broker->rules_sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    if (q.op == NR_SET && q.n <= NR_RULES_MAX && (size_t)n == sizeof q + q.n * sizeof rules[0]) {
        r.cut = set(rules, q.n);
    } else if (q.op == NR_REFUSED && (size_t)n == sizeof q) {
        r.n = nrefused;
        r.more = more_refused;
    } else {
        r.error = -EPROTO;
    }
    answer(&r, refused, r.n * sizeof refused[0]);
    return true;
}

static void on_rules(struct watch *w, uint32_t events)
{
    (void)events;
    if (!rules_serve())
        watch_free(w, /* keep= */ true); /* the front end is gone, and we are about to be */
}

void rules_init(void)
{
    if (broker->rules_sock > 0)
        watch_new(broker->rules_sock, EPOLLIN, on_rules);
}
