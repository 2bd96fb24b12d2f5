/* SPDX-License-Identifier: Apache-2.0 */
/* Who may be bound beside whom, and who gets a packet: the rules of port.c, family by family. */
#include <check.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "sentry/net/inet.h"
#include "sentry/vfs/vfs.h"

static struct isock *open_at(int family, int type, const char *ip)
{
    struct isock *s = inet_new(NULL, family, type);

    ck_assert(!IS_ERR(s));
    if (family == AF_INET)
        inet_pton(AF_INET, ip, s->local.ip.s6_addr + 12);
    else
        inet_pton(AF_INET6, ip, &s->local.ip);
    return s;
}

static int bind_to(struct isock *s, uint16_t port)
{
    LOCK_SCOPE(port_lock(s));
    return port_bind(s, port);
}

static void set_listening(struct isock *s)
{
    LOCK_SCOPE(port_lock(s));
    ck_assert_int_eq(port_may_listen(s), 0);
    s->listening = true;
}

struct both {
    int fa;
    const char *a;
    bool a6only;
    int fb;
    const char *b;
    bool clash;
};

static const struct both pairs[] = {
    { AF_INET, "127.0.0.1", false, AF_INET, "127.0.0.1", true },
    { AF_INET, "127.0.0.1", false, AF_INET, "127.0.0.2", false },
    { AF_INET, "0.0.0.0", false, AF_INET, "127.0.0.2", true },
    { AF_INET6, "::", false, AF_INET, "127.0.0.1", true },
    { AF_INET6, "::", true, AF_INET, "127.0.0.1", false },
    { AF_INET6, "::", true, AF_INET, "0.0.0.0", false },
    { AF_INET6, "::", true, AF_INET6, "::1", true },
    { AF_INET6, "::1", false, AF_INET, "0.0.0.0", false },
    { AF_INET6, "::ffff:127.0.0.1", false, AF_INET, "127.0.0.1", true },
};

START_TEST(overlaps)
{
    const struct both *p = &pairs[_i];

    for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
        for (int order = 0; order < 2; order++) {
            struct isock *a = open_at(p->fa, type, p->a), *b = open_at(p->fb, type, p->b);

            a->v6only = p->a6only;
            ck_assert_int_eq(bind_to(order ? b : a, 4000), 0);
            ck_assert_int_eq(bind_to(order ? a : b, 4000), p->clash ? -EADDRINUSE : 0);
            sock_put(&a->sk);
            sock_put(&b->sk);
        }
    }
}
END_TEST

START_TEST(sharing)
{
    struct isock *a = open_at(AF_INET, SOCK_STREAM, "127.0.0.1");
    struct isock *b = open_at(AF_INET, SOCK_STREAM, "127.0.0.1");

    a->sk.reuseaddr = true;
    ck_assert_int_eq(bind_to(a, 4001), 0);
    ck_assert_int_eq(bind_to(b, 4001), -EADDRINUSE); /* both have to say so */
    b->sk.reuseaddr = true;
    set_listening(a);
    ck_assert_int_eq(bind_to(b, 4001), -EADDRINUSE); /* not beside a listener */
    a->sk.reuseport = b->sk.reuseport = true;
    ck_assert_int_eq(bind_to(b, 4001), 0);
    set_listening(b);
    b->sk.uid = 77;
    ck_assert_int_eq(port_lock(b) == &tcp_lock, 1);
    lock(&tcp_lock);
    ck_assert_int_eq(port_may_listen(b), -EADDRINUSE); /* another user's */
    unlock(&tcp_lock);
    sock_put(&a->sk);
    sock_put(&b->sk);
}
END_TEST

START_TEST(best_listener)
{
    struct isock *any6 = open_at(AF_INET6, SOCK_STREAM, "::");
    struct isock *one = open_at(AF_INET, SOCK_STREAM, "127.0.0.9");
    struct inet_addr dst = inet_loopback(true, 4002), src = inet_loopback(true, 50000);

    any6->sk.reuseaddr = one->sk.reuseaddr = true;
    ck_assert_int_eq(bind_to(any6, 4002), 0);
    ck_assert_int_eq(bind_to(one, 4002), 0);
    lock(&tcp_lock);
    ck_assert_ptr_null(port_find_listener(&dst, &src)); /* nobody listens */
    any6->listening = one->listening = true;
    ck_assert_ptr_eq(port_find_listener(&dst, &src), any6);
    dst.ip.s6_addr[15] = 9;
    ck_assert_ptr_eq(port_find_listener(&dst, &src), one);
    any6->v6only = true;
    dst.ip.s6_addr[15] = 1;
    ck_assert_ptr_null(port_find_listener(&dst, &src));
    unlock(&tcp_lock);
    sock_put(&any6->sk);
    sock_put(&one->sk);
}
END_TEST

START_TEST(connected_udp_first)
{
    struct isock *a = open_at(AF_INET, SOCK_DGRAM, "127.0.0.1");
    struct isock *b = open_at(AF_INET, SOCK_DGRAM, "127.0.0.1");
    struct inet_addr dst = inet_loopback(true, 4003), src = inet_loopback(true, 6000);

    a->sk.reuseaddr = b->sk.reuseaddr = true;
    ck_assert_int_eq(bind_to(a, 4003), 0);
    ck_assert_int_eq(bind_to(b, 4003), 0);
    b->remote = src;
    lock(&udp_lock);
    ck_assert_ptr_eq(port_find_udp(&dst, &src), b);
    src.port = 6001;
    ck_assert_ptr_eq(port_find_udp(&dst, &src), a);
    unlock(&udp_lock);
    sock_put(&a->sk);
    sock_put(&b->sk);
}
END_TEST

START_TEST(ephemeral)
{
    struct isock *s[200];

    for (int i = 0; i < 200; i++) {
        s[i] = open_at(AF_INET, SOCK_STREAM, "0.0.0.0");
        ck_assert_int_eq(bind_to(s[i], 0), 0);
        ck_assert_int_ge(s[i]->local.port, 32768);
        ck_assert_int_le(s[i]->local.port, 60999);
        for (int k = 0; k < i; k++)
            ck_assert_int_ne(s[k]->local.port, s[i]->local.port);
    }
    for (int i = 0; i < 200; i++)
        sock_put(&s[i]->sk);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("port");
    TCase *c = tcase_create("all");
    SRunner *sr;
    int bad;

    tcase_add_checked_fixture(c, vfs_init, NULL);
    tcase_add_loop_test(c, overlaps, 0, ARRAY_SIZE(pairs));
    tcase_add_test(c, sharing);
    tcase_add_test(c, best_listener);
    tcase_add_test(c, connected_udp_first);
    tcase_add_test(c, ephemeral);
    suite_add_tcase(s, c);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    bad = srunner_ntests_failed(sr);
    srunner_free(sr);
    return bad != 0;
}
