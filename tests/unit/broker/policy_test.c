/* SPDX-License-Identifier: Apache-2.0 */
/* Rules as people write them, and what they let through. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy.h"

static struct net_ip ip(const char *text)
{
    struct net_ip r = { { 0 } };

    if (inet_pton(AF_INET, text, r.b + 12) == 1)
        r.b[10] = r.b[11] = 0xff;
    else
        ck_assert_msg(inet_pton(AF_INET6, text, r.b) == 1, "%s", text);
    return r;
}

/* Rules, '!' before one that denies; space between. */
static struct net_policy policy(const char *rules)
{
    struct net_policy p = { .on = true };
    char copy[256], *save, *one;
    const char *why = "";

    strcpy(copy, rules);
    p.rules = calloc(16, sizeof *p.rules);
    for (one = strtok_r(copy, " ", &save); one; one = strtok_r(NULL, " ", &save)) {
        bool deny = *one == '!';

        ck_assert_msg(net_rule_parse(one + deny, deny, &p.rules[p.nrules++], &why) == 0, "%s: %s",
                      one, why);
    }
    return p;
}

static const char *known_name; /* of every address */

static bool names(void *arg, const struct net_ip *a, const struct net_rule *r)
{
    (void)arg, (void)a;
    return known_name && net_rule_name(r, known_name);
}

static const struct {
    const char *rules, *name, *addr;
    unsigned port;
    bool yes;
} cases[] = {
    { "1.2.3.4", NULL, "1.2.3.4", 1, true },
    { "1.2.3.4", NULL, "1.2.3.5", 1, false },
    { "1.2.3.4", NULL, "::ffff:1.2.3.4", 1, true },
    { "1.2.3.4", NULL, "64:ff9b::1.2.3.4", 1, true },
    { "1.2.3.4", NULL, "::1.2.3.4", 1, false },
    { "1.2.3.4:80,443", NULL, "1.2.3.4", 443, true },
    { "1.2.3.4:80,443", NULL, "1.2.3.4", 81, false },
    { "1.2.3.4:80-90", NULL, "1.2.3.4", 90, true },
    { "1.2.3.4:80-90", NULL, "1.2.3.4", 91, false },
    { "1.2.3.0/24", NULL, "1.2.3.255", 1, true },
    { "1.2.3.0/24", NULL, "1.2.4.0", 1, false },
    { "1.2.2.0/23", NULL, "1.2.3.9", 1, true },
    { "0.0.0.0/0", NULL, "169.254.169.254", 80, true }, /* said by number */
    { "0.0.0.0/0", NULL, "2606::1", 80, false },
    { "::/0", NULL, "2606::1", 80, true },
    { "2606::/16", NULL, "2606:1::1", 80, true },
    { "[2606::/16]:80", NULL, "2606:1::1", 81, false },
    { "1.2.3.0/24 !1.2.3.4", NULL, "1.2.3.4", 1, false },
    { "!1.2.3.4 1.2.3.0/24", NULL, "1.2.3.4", 1, false },
    { "1.2.3.0/24 !1.2.3.4:80", NULL, "1.2.3.4", 81, true },
    { "1.2.3.0/24 !1.2.3.4:80", NULL, "64:ff9b::1.2.3.4", 80, false },
    { "127.0.0.1", NULL, "0.0.0.0", 1, true }, /* where the host would go */
    { "*", NULL, "0.0.0.0", 1, false },
    { "*", NULL, "8.8.8.8", 1, true },
    { "*", NULL, "10.0.0.1", 1, false },
    { "*", NULL, "100.64.0.1", 1, false },
    { "*", NULL, "100.128.0.1", 1, true },
    { "*", NULL, "172.31.0.1", 1, false },
    { "*", NULL, "172.32.0.1", 1, true },
    { "*", NULL, "192.168.1.1", 1, false },
    { "*", NULL, "169.254.169.254", 1, false },
    { "*", NULL, "224.0.0.1", 1, false },
    { "*", NULL, "255.255.255.255", 1, false },
    { "*", NULL, "127.0.0.1", 1, false },
    { "*", NULL, "::1", 1, false },
    { "*", NULL, "::", 1, false },
    { "*", NULL, "fd00:ec2::254", 1, false },
    { "*", NULL, "fe80::1", 1, false },
    { "*", NULL, "fec0::1", 1, false },
    { "*", NULL, "ff02::1", 1, false },
    { "*", NULL, "2002:a9fe:a9fe::1", 1, false },
    { "*", NULL, "::ffff:10.0.0.1", 1, false },
    { "*", NULL, "64:ff9b::10.0.0.1", 1, false },
    { "*", NULL, "64:ff9b:1::1", 1, false },
    { "a.example", "a.example", "8.8.8.8", 1, true },
    { "a.example", "b.example", "8.8.8.8", 1, false },
    { "a.example", "a.example", "10.0.0.1", 1, false },
    { "a.example 10.0.0.0/8", "a.example", "10.0.0.1", 1, true },
    { "a.example:443", "a.example", "8.8.8.8", 80, false },
    { "*.example", "a.example", "8.8.8.8", 1, true },
    { "*.example", "a.b.example", "8.8.8.8", 1, true },
    { "*.example", "example", "8.8.8.8", 1, false },
    { "*.example", "aexample", "8.8.8.8", 1, false },
    { "*.example !b.example", "b.example", "8.8.8.8", 1, false },
    { "A.Example.", "a.example", "8.8.8.8", 1, true },
};

START_TEST(matching)
{
    struct net_policy p = policy(cases[_i].rules);
    struct net_ip a = ip(cases[_i].addr);

    known_name = cases[_i].name;
    ck_assert_msg(net_allows(&p, &a, (uint16_t)cases[_i].port, names, NULL) == cases[_i].yes,
                  "%s: %s port %u", cases[_i].rules, cases[_i].addr, cases[_i].port);
    p.on = false;
    ck_assert(!net_allows(&p, &a, (uint16_t)cases[_i].port, names, NULL));
    free(p.rules);
}
END_TEST

static const char *const bad[] = {
    "",
    ".",
    "a..b",
    "-a b",
    "a.b:",
    "a.b:0",
    "a.b:65536",
    "a.b:80,",
    "a.b:90-80",
    "a.b:x",
    "1.2.3",
    "1.2.3.256",
    "1.2.3.4/33",
    "1.2.3.4/",
    "1.2.3.4/x",
    "10.0.0.1/8",
    "::1/129",
    "[::1",
    "[::1]x",
    "[1.2.3]:1",
    "::g",
    "a*.b",
    "**",
    "*.",
    "*.*.b",
    "localhost",
    "a.b:+1",
    "a.b/8",
    "\xc3\xa4.example",
    "a.b:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b",
};

START_TEST(refused)
{
    struct net_rule r;
    const char *why = NULL;

    ck_assert_msg(net_rule_parse(bad[_i], false, &r, &why) == -EINVAL, "%s", bad[_i]);
    ck_assert(why && *why);
}
END_TEST

START_TEST(publishing)
{
    struct net_publish p;
    const char *why;

    ck_assert_int_eq(net_publish_parse("8080:80", &p, &why), 0);
    ck_assert(p.host_port == 8080 && p.port == 80 && !p.udp);
    ck_assert_int_eq(net_publish_parse("127.0.0.1:53:5353/udp", &p, &why), 0);
    ck_assert(p.host_port == 53 && p.port == 5353 && p.udp && net_is_v4(&p.ip));
    ck_assert_int_eq(net_publish_parse("[::1]:53:53/tcp", &p, &why), 0);
    ck_assert(p.ip.b[15] == 1 && !p.udp);
    static const char *const wrong[] = { "80",     "a:80",      "80:",    ":80",
                                         "0:80",   "80:0",      "1:2:3",  "80:80/sctp",
                                         "80:80/", "1.2.3.4:5", "99999:1" };
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(net_publish_parse(wrong[i], &p, &why) == -EINVAL, "%s", wrong[i]);
}
END_TEST

START_TEST(asking)
{
    struct net_policy p = policy("a.example:80 *.b.example !x.b.example !y.b.example:22");

    ck_assert(net_allows_name(&p, "a.example"));
    ck_assert(net_allows_name(&p, "z.b.example"));
    ck_assert(!net_allows_name(&p, "b.example"));
    ck_assert(!net_allows_name(&p, "x.b.example"));
    ck_assert(net_allows_name(&p, "y.b.example"));
    ck_assert(!net_reaches_loopback(&p));
    free(p.rules);
    p = policy("127.0.0.0/24");
    ck_assert(net_reaches_loopback(&p));
    free(p.rules);
    p = policy("0.0.0.0/0 !127.0.0.1");
    ck_assert(net_reaches_loopback(&p));
    free(p.rules);
}
END_TEST

static const struct net_flat *longest(const struct net_flat *all, unsigned n,
                                      const struct net_ip *a)
{
    const struct net_flat *best = NULL;

    for (unsigned i = 0; i < n; i++)
        if (net_within(a, &all[i].ip, all[i].bits) && (!best || all[i].bits > best->bits))
            best = &all[i];
    return best;
}

/* As the program on the cgroup reads it. */
static bool flat_allows(const struct net_flat *f, unsigned port)
{
    for (unsigned i = 0; i < NET_FLAT_RANGES; i++) {
        if (f->ports[i].from > port)
            return false;
        if (f->ports[i].to >= port)
            return true;
    }
    return false;
}

static unsigned seed = 1;
static unsigned some(unsigned n)
{
    seed = seed * 1103515245 + 12345;
    return seed >> 8 & 0xffff ? (seed >> 8) % n : 0;
}

/* Rules without names, flattened, say the same as the rules, of any address and port near them. */
START_TEST(flattened)
{
    static const char *const nets[] = { "1.2.3.4",        "1.2.3.0/24",     "1.2.0.0/16",
                                        "0.0.0.0/0",      "10.0.0.0/8",     "10.9.9.9",
                                        "127.0.0.0/8",    "2606:2800::/32", "2606:2800::1",
                                        "fd00::/8",       "::/0",           "*",
                                        "169.254.0.0/16", "fe80::/10" };
    static const char *const ports[] = {
        "", ":80", ":80,443", ":1-1024", ":81-65535,22", ":65535"
    };
    static const char *const addrs[] = { "1.2.3.4",   "1.2.3.5",          "1.2.4.1",
                                         "1.3.1.1",   "10.9.9.9",         "10.1.1.1",
                                         "127.0.0.1", "2606:2800::1",     "2606::1",
                                         "fd00::1",   "fe80::1",          "169.254.169.254",
                                         "::1",       "64:ff9b::1.2.3.4", "64:ff9b::10.9.9.9",
                                         "8.8.8.8" };
    static const unsigned at[] = { 0, 1, 22, 79, 80, 81, 443, 1024, 1025, 65534, 65535 };
    const struct net_ip server = ip("127.0.0.53");

    for (int round = 0; round < 400; round++) {
        char rules[256] = "";
        unsigned n;

        for (unsigned i = some(5); i < 5; i++) {
            const char *net = nets[some(14)], *port = ports[some(6)];
            bool v6 = strchr(net, ':');

            snprintf(rules + strlen(rules), sizeof rules - strlen(rules), "%s%s%s%s%s ",
                     some(3) ? "" : "!", v6 ? "[" : "", net, v6 ? "]" : "", port);
        }
        struct net_policy p = policy(rules);
        p.host = some(4) == 0;
        struct net_flat *all = net_flatten(&p, &server, 1, &n);
        for (unsigned i = 0; i < 16; i++)
            for (unsigned k = 0; k < 11; k++) {
                struct net_ip a = ip(addrs[i]);
                bool flat = flat_allows(longest(all, n, &a), at[k]);

                ck_assert_msg(flat == net_allows(&p, &a, (uint16_t)at[k], NULL, NULL),
                              "%s, host %d: %s:%u is %d", rules, p.host, addrs[i], at[k], flat);
            }
        ck_assert(flat_allows(longest(all, n, &server), 53));
        free(all);
        free(p.rules);
    }
}
END_TEST

/* A name is any public address, with its ports. */
START_TEST(flattened_names)
{
    struct net_policy p = policy("a.example:443 *.b.example:22 !c.example 10.0.0.0/8:1");
    struct net_ip pub = ip("8.8.8.8"), priv = ip("10.1.1.1"), link = ip("169.254.169.254");
    unsigned n;
    struct net_flat *all = net_flatten(&p, NULL, 0, &n);

    ck_assert(flat_allows(longest(all, n, &pub), 443) && flat_allows(longest(all, n, &pub), 22));
    ck_assert(!flat_allows(longest(all, n, &pub), 80) && !flat_allows(longest(all, n, &pub), 0));
    ck_assert(flat_allows(longest(all, n, &priv), 1) && !flat_allows(longest(all, n, &priv), 443));
    ck_assert(!flat_allows(longest(all, n, &link), 443));
    free(all);
    free(p.rules);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("policy");
    TCase *t = tcase_create("policy");

    tcase_add_loop_test(t, matching, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(t, refused, 0, sizeof bad / sizeof *bad);
    tcase_add_test(t, publishing);
    tcase_add_test(t, asking);
    tcase_add_test(t, flattened);
    tcase_add_test(t, flattened_names);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
