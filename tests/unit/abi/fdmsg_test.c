/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors in messages: those that were sent come, no more than there is room for, and none is left open. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/fdmsg.h"

#define GUARD (-77)

static int socks[2];

static void setup(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks), 0);
}

static void teardown(void)
{
    close(socks[0]);
    close(socks[1]);
}

/* The lowest number that is free: where nothing leaks it stays. */
static int lowest(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    close(fd);
    return fd;
}

static void send_some(unsigned n)
{
    int fds[FDMSG_MAX];

    for (unsigned i = 0; i < n; i++)
        fds[i] = socks[0];
    ck_assert_int_eq(fdmsg_send(socks[0], "hello", 5, fds, n), 0);
}

START_TEST(they_come)
{
    const unsigned n = _i == 0 ? 0 : _i == 1 ? 1 : _i == 2 ? 4 : FDMSG_MAX;
    int fds[FDMSG_MAX + 1], before = lowest();
    char text[16];
    unsigned got;

    for (unsigned i = 0; i <= FDMSG_MAX; i++)
        fds[i] = GUARD;
    send_some(n);
    ck_assert_int_eq(fdmsg_receive(socks[1], text, sizeof text, 0, fds, FDMSG_MAX, &got), 5);
    ck_assert_uint_eq(got, n);
    for (unsigned i = 0; i < n; i++)
        ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fds[n], GUARD);
    fdmsg_close(fds, n);
    ck_assert_int_eq(lowest(), before);
}
END_TEST

/* Space for one in a message has room for two, as it is aligned. */
START_TEST(too_many)
{
    int fds[8], before = lowest();
    char text[16];
    unsigned got;

    for (int i = 0; i < 8; i++)
        fds[i] = GUARD;
    send_some((unsigned)_i + 1);
    ck_assert_int_eq(fdmsg_receive(socks[1], text, sizeof text, 0, fds, (unsigned)_i, &got), 5);
    ck_assert_uint_eq(got, 0);
    ck_assert_int_eq(fds[_i], GUARD);
    ck_assert_int_eq(lowest(), before);
}
END_TEST

START_TEST(ends)
{
    char text[16];
    unsigned got;

    ck_assert_int_eq(fdmsg_receive(socks[1], text, sizeof text, MSG_DONTWAIT, NULL, 0, &got),
                     -EAGAIN);
    shutdown(socks[0], SHUT_RDWR);
    ck_assert_int_eq(fdmsg_receive(socks[1], text, sizeof text, 0, NULL, 0, &got), 0);
    ck_assert_int_eq(fdmsg_send(socks[0], "x", 1, NULL, 0), -EPIPE);
    ck_assert_int_eq(fdmsg_send(socks[0], "x", 1, NULL, FDMSG_MAX + 1), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fdmsg");
    TCase *c = tcase_create("all");
    SRunner *r = srunner_create(s);

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, they_come, 0, 4);
    tcase_add_loop_test(c, too_many, 0, 6);
    tcase_add_test(c, ends);
    suite_add_tcase(s, c);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
