/* SPDX-License-Identifier: Apache-2.0 */
/* Two leaders that are called on one cpu: who is told to go elsewhere, and who stays. */
#include <sched.h>
#include <string.h>

#include "platform/trap/trap.h"
#include "suite.h"

#define WINDOW (1u << 22) /* as spread.c has it */

static struct listener a, b;

#define STEP 100000 /* between two calls */

static uint64_t now; /* goes on from test to test: the table of who was called where has no end */

static void begin_two(void)
{
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    trap.use_sync = true;
    CPU_ZERO(&trap.cpus);
    CPU_SET(0, &trap.cpus);
    CPU_SET(1, &trap.cpus);
    now += 10ull * WINDOW;
}

/* n calls by l's on cpu in each step; where it is told to go, or -1 */
static int call(struct listener *l, int cpu, unsigned n, unsigned nwaits)
{
    return spread_called(l, cpu, now, n, nwaits);
}

/* Both are called for so many windows, a on cpu 0; the first answer. */
static int work(unsigned windows, unsigned n, unsigned nwaits, int cpu_b)
{
    uint64_t end = now + (uint64_t)windows * WINDOW;
    int to = -1;

    for (; to < 0 && now < end; now += STEP) {
        to = call(&a, 0, n, nwaits);
        if (to < 0)
            to = call(&b, cpu_b, n, nwaits);
    }
    return to;
}

static int work_alone(unsigned windows, struct listener *l, int cpu, unsigned n)
{
    uint64_t end = now + (uint64_t)windows * WINDOW;
    int to = -1;

    for (; to < 0 && now < end; now += STEP)
        to = call(l, cpu, n, 0);
    return to;
}

START_TEST(busy_ones_part)
{
    begin_two();
    ck_assert_int_eq(work(10, 1, 0, 0), 1);
}
END_TEST

START_TEST(who_waits_stays)
{
    begin_two();
    ck_assert_int_eq(work(20, 7, 1, 0), -1);
}
END_TEST

START_TEST(apart_they_stay)
{
    begin_two();
    ck_assert_int_eq(work(20, 1, 0, 1), -1);
}
END_TEST

START_TEST(nobody_goes_where_another_is)
{
    static struct listener c;

    begin_two();
    memset(&c, 0, sizeof c);
    for (unsigned i = 0; i < 400; i++, now += STEP) {
        ck_assert_int_eq(call(&a, 0, 1, 0), -1);
        ck_assert_int_eq(call(&b, 0, 1, 0), -1);
        ck_assert_int_eq(call(&c, 1, 1, 1), -1);
    }
}
END_TEST

/* Called half as often where it went: it goes back, and does not try again soon. */
START_TEST(a_lost_bet_is_undone)
{
    struct listener *who;

    begin_two();
    ck_assert_int_eq(work(10, 4, 0, 0), 1);
    who = a.pace.bet ? &a : &b;
    ck_assert_int_eq(work_alone(10, who, 1, 2), 0);
    ck_assert_uint_gt(who->pace.skip, 0);
}
END_TEST

START_TEST(what_makes_no_difference_stays)
{
    struct listener *who;

    begin_two();
    ck_assert_int_eq(work(10, 4, 0, 0), 1);
    who = a.pace.bet ? &a : &b;
    ck_assert_int_eq(work_alone(10, who, 1, 4), -1);
    ck_assert_uint_eq(who->pace.bet, 0);
    ck_assert_uint_gt(who->pace.skip, 0);
}
END_TEST

START_TEST(a_won_bet_stands)
{
    struct listener *who;

    begin_two();
    ck_assert_int_eq(work(10, 2, 0, 0), 1);
    who = a.pace.bet ? &a : &b;
    ck_assert_int_eq(work_alone(10, who, 1, 4), -1);
    ck_assert_uint_eq(who->pace.bet, 0);
    ck_assert_uint_eq(who->pace.skip, 0);
}
END_TEST

/* A stub says itself where it is. */
START_TEST(wrong_cpus_are_nobody_s)
{
    begin_two();
    ck_assert_int_eq(call(&a, -1, 1, 0), -1);
    ck_assert_int_eq(call(&a, CPU_SETSIZE, 1, 0), -1);
    spread_take(&a, CPU_SETSIZE, now);
    ck_assert(!cpu_is_taken(CPU_SETSIZE, &b, 0));
    ck_assert(!cpu_is_taken(-1, &b, 0));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("spread");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, busy_ones_part);
    tcase_add_test(tc, who_waits_stays);
    tcase_add_test(tc, apart_they_stay);
    tcase_add_test(tc, nobody_goes_where_another_is);
    tcase_add_test(tc, what_makes_no_difference_stays);
    tcase_add_test(tc, a_lost_bet_is_undone);
    tcase_add_test(tc, a_won_bet_stands);
    tcase_add_test(tc, wrong_cpus_are_nobody_s);
    return run_tests("spread", tc, /* light= */ false);
}
