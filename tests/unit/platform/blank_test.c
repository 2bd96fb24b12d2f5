/* SPDX-License-Identifier: Apache-2.0 */
/* Blank stubs are made again once there is room for their descriptors, or for a process. */
#include "fixture.h"
#include "shortage.h"
#include "suite.h"

#include "platform/trap/trap.h"

static pid_t zygote(void)
{
    return trap.zygote;
}

static void limit_descriptors(rlim_t n)
{
    struct rlimit rl;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &rl), 0);
    rl.rlim_cur = n;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
}

/* The listener of a blank arrives when no descriptor is left: it is lost, the next one is not. */
START_TEST(no_room_for_a_listener)
{
    struct rlimit before;
    struct aspace *as;
    struct ctx *c;
    pthread_t t;

    begin();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(P->blank(&c, &as), 0);
    give_back(c, as);
    limit_descriptors(4); /* all of these are taken */
    ck_assert_int_eq(pthread_create(&t, NULL, wait_for_blank, NULL), 0);
    usleep(300000);
    limit_descriptors(before.rlim_cur);
    pthread_join(t, NULL);
    ck_assert_int_eq(got.r, 0);
    give_back(got.c, got.as);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("blank");

    (void)start_guest; /* the fixture's; none is needed here */
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, no_room_for_a_listener);
    tcase_add_test(tc, a_shortage_is_waited_for);
    tcase_add_test(tc, a_long_shortage_is_told);
    return run_tests("blank", tc, /* light= */ false);
}
