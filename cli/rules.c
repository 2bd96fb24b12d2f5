/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a network while its sandbox runs: the front end keeps them, the broker is told. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cli/error.h"
#include "cli/network.h"

#define ANSWER_MS 5000

struct list { /* the rules as they will be */
    struct net_rule *rules;
    char **texts;
    unsigned n;
};

/* data: what goes along; room: for what comes. False: the broker does not answer. */
static bool ask(int sock, const struct nr_req *q, const void *data, size_t n, struct nr_rep *ret,
                void *room, size_t cap)
{
    struct iovec to[2] = { { (void *)(uintptr_t)q, sizeof *q }, { (void *)(uintptr_t)data, n } };
    struct iovec from[2] = { { ret, sizeof *ret }, { room, cap } };
    const struct msghdr out = { .msg_iov = to, .msg_iovlen = n ? 2 : 1 };
    struct msghdr in = { .msg_iov = from, .msg_iovlen = cap ? 2 : 1 };
    struct pollfd p = { .fd = sock, .events = POLLIN };
    ssize_t got;

    while (recv(sock, ret, sizeof *ret, MSG_DONTWAIT) > 0)
        continue; /* an answer that came too late */
    if (sendmsg(sock, &out, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 || poll(&p, 1, ANSWER_MS) != 1)
        return false;
    got = recvmsg(sock, &in, MSG_DONTWAIT);
    return got >= (ssize_t)sizeof *ret && ret->error == 0;
}

static bool same(const struct net_rule *a, const struct net_rule *b)
{
    return a->kind == b->kind && a->bits == b->bits && a->nports == b->nports &&
           memcmp(&a->ip, &b->ip, sizeof a->ip) == 0 && strcmp(a->name, b->name) == 0 &&
           memcmp(a->ports, b->ports, a->nports * sizeof a->ports[0]) == 0;
}

static int find(const struct list *l, const struct net_rule *r)
{
    for (unsigned i = 0; i < l->n; i++)
        if (same(&l->rules[i], r))
            return (int)i;
    return -1;
}

static int no(char why[256], const char *text, const char *what)
{
    snprintf(why, 256, "%.100s: %s", text, what);
    return -EINVAL;
}

static int add(struct list *l, const struct net_rule *r, char *text, char why[256])
{
    int at = find(l, r);

    if (at >= 0 && l->rules[at].deny == r->deny)
        return 0;
    if (at >= 0)
        return no(why, text,
                  r->deny ? "a rule allows just that; remove it first"
                          : "a rule denies just that; remove it first");
    if (l->n == NR_RULES_MAX)
        return no(why, text, "there are 256 rules, and no room for more; remove some");
    l->rules[l->n] = *r;
    l->texts[l->n++] = text;
    return 0;
}

static int change(struct list *l, enum rules_verb verb, const struct net_policy *p, char *text,
                  char why[256])
{
    const char *what;
    struct net_rule r;
    int at;

    if (net_rule_parse(text, verb == RULES_DENY, &r, &what) < 0)
        return no(why, text, what);
    if (verb == RULES_ALLOW && p->host)
        return no(why, text, "--net=host allows all; remove what denies it");
    if (verb != RULES_REMOVE)
        return add(l, &r, text, why);
    at = find(l, &r);
    if (at < 0)
        return no(why, text, "there is no such rule; see sbx net NAME");
    l->n--;
    memmove(l->rules + at, l->rules + at + 1, (l->n - (unsigned)at) * sizeof *l->rules);
    memmove(l->texts + at, l->texts + at + 1, (l->n - (unsigned)at) * sizeof *l->texts);
    return 0;
}

static void put(struct network *n, const struct list *l, char *const *given, unsigned count)
{
    char **texts = xcalloc(l->n + 1, sizeof *texts);

    for (unsigned i = 0; i < l->n; i++) {
        bool fresh = false;

        for (unsigned k = 0; k < count; k++)
            fresh |= l->texts[i] == given[k];
        texts[i] = fresh ? xstrdup(l->texts[i]) : l->texts[i];
    }
    for (unsigned i = 0; i < n->ntexts; i++) {
        bool stays = false;

        for (unsigned k = 0; k < l->n; k++)
            stays |= texts[k] == n->texts[i];
        if (!stays)
            free(n->texts[i]);
    }
    free(n->texts);
    free(n->policy.rules);
    n->policy.rules = l->rules;
    n->policy.nrules = n->ntexts = l->n;
    n->texts = texts;
}

int rules_change(struct network *n, int sock, enum rules_verb verb, char *const *texts,
                 unsigned count, unsigned *ret_cut, char why[256])
{
    struct list l = { xcalloc(NR_RULES_MAX + 1, sizeof *l.rules),
                      xcalloc(NR_RULES_MAX + 1, sizeof *l.texts), n->policy.nrules };
    struct nr_req q = { .op = NR_SET };
    struct nr_rep r;
    int e = 0;

    if (sock < 0)
        e = no(why, "no network", "the sandbox was started without one; start it with --allow-net");
    else if (l.n > NR_RULES_MAX)
        e = no(why, "too many rules", "more than 256 cannot be changed");
    if (e == 0 && l.n) {
        memcpy(l.rules, n->policy.rules, l.n * sizeof *l.rules);
        memcpy(l.texts, n->texts, l.n * sizeof *l.texts);
    }
    for (unsigned i = 0; e == 0 && i < count; i++)
        e = change(&l, verb, &n->policy, texts[i], why);
    q.n = l.n;
    if (e == 0 && !ask(sock, &q, l.rules, l.n * sizeof *l.rules, &r, NULL, 0)) {
        no(why, "the net broker",
           "it does not answer; what it still lets through is not known, end the sandbox");
        e = -EIO;
    }
    if (e == 0 || e == -EIO) {
        put(n, &l, texts, count);
        *ret_cut = e == 0 ? r.cut : 0;
    } else {
        free(l.rules);
    }
    free(l.texts);
    return e;
}

struct nr_refused *rules_refused(int sock, unsigned *ret_n, unsigned *ret_more)
{
    struct nr_refused *all = xcalloc(NR_REFUSED_MAX, sizeof *all);
    const struct nr_req q = { .op = NR_REFUSED };
    struct nr_rep r = { 0 };

    if (sock < 0 || !ask(sock, &q, NULL, 0, &r, all, NR_REFUSED_MAX * sizeof *all))
        r = (struct nr_rep){ 0 };
    *ret_n = MIN(r.n, (uint32_t)NR_REFUSED_MAX);
    *ret_more = r.more;
    for (unsigned i = 0; i < *ret_n; i++) /* the broker may be anybody's */
        all[i].target[sizeof all[i].target - 1] = 0;
    return all;
}
