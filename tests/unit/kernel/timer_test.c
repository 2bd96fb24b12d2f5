/* SPDX-License-Identifier: Apache-2.0 */
/* The timer heap and the event thread that sleeps for it. */
#include "sentry/kernel/timer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sentry/kernel/event.h"
#include "sentry/kernel/list.h"

#define MS 1000000ll

struct probe {
    struct ktimer tm;
    int id;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int order[64], n_order;

static void fired(struct ktimer *tm)
{
    struct probe *p = container_of(tm, struct probe, tm);

    pthread_mutex_lock(&mutex);
    order[n_order++] = p->id;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
}

static void await(int n)
{
    pthread_mutex_lock(&mutex);
    while (n_order < n)
        pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void start(void)
{
    ck_assert_int_eq(event_start(), 0);
}

START_TEST(in_order_of_deadlines)
{
    struct probe p[20];
    ktime_t base = ktime_now() + 5 * MS;

    start();
    for (int i = 0; i < 20; i++) {
        ktimer_init(&p[i].tm, fired);
        p[i].id = i * 7 % 20;
        ktimer_arm(&p[i].tm, base + p[i].id * 1000);
    }
    await(20);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(order[i], i);
    ck_assert_int_ge(ktime_now(), base);
}
END_TEST

START_TEST(cancel_and_move)
{
    struct probe a = { .id = 1 }, b = { .id = 2 }, c = { .id = 3 };

    start();
    ktimer_init(&a.tm, fired);
    ktimer_init(&b.tm, fired);
    ktimer_init(&c.tm, fired);
    ck_assert(!ktimer_cancel(&a.tm));
    ktimer_arm(&a.tm, ktime_now() + 20 * MS);
    ktimer_arm(&b.tm, ktime_now() + 3600000 * MS);
    ktimer_arm(&c.tm, ktime_now() + 30 * MS);
    ck_assert(ktimer_cancel(&a.tm));
    ktimer_arm(&b.tm, ktime_now() + 1 * MS); /* nearer than what the thread sleeps for */
    await(2);
    ck_assert_int_eq(order[0], 2);
    ck_assert_int_eq(order[1], 3);
    ktimer_arm(&a.tm, 0); /* long past */
    await(3);
    ck_assert_int_eq(order[2], 1);
    ck_assert(!ktimer_cancel_sync(&a.tm));
    ktimer_arm(&a.tm, KTIME_NEVER);
    ck_assert(!ktimer_cancel(&a.tm));
}
END_TEST

START_TEST(conversions)
{
    struct timespec ts = { .tv_sec = 1, .tv_nsec = 5 };
    ktime_t k, d;

    ck_assert_int_eq(timespec_to_ktime(&ts, &k), 0);
    ck_assert_int_eq(k, 1000000005);
    ts.tv_nsec = 1000000000;
    ck_assert_int_eq(timespec_to_ktime(&ts, &k), -EINVAL);
    ts = (struct timespec){ .tv_sec = -1 };
    ck_assert_int_eq(timespec_to_ktime(&ts, &k), -EINVAL);
    ts = (struct timespec){ .tv_sec = INT64_MAX };
    ck_assert_int_eq(timespec_to_ktime(&ts, &k), 0);
    ck_assert_int_eq(k, KTIME_NEVER);
    ts = ktime_to_timespec(-1);
    ck_assert_int_eq(ts.tv_sec, -1);
    ck_assert_int_eq(ts.tv_nsec, 999999999);
    ck_assert_int_eq(ktime_add(KTIME_NEVER, 1), KTIME_NEVER);
    ck_assert_int_eq(ktime_add(5, -7), -2);
    ck_assert_int_eq(kclock_deadline(77, false, 0, &d), -EINVAL);
    ck_assert_int_eq(kclock_deadline(CLOCK_REALTIME, true, ktime_real() + 1000 * MS, &d), 0);
    ck_assert_int_le(d, ktime_now() + 1000 * MS);
    ck_assert_int_ge(d, ktime_now() + 900 * MS);
    ck_assert_int_eq(kclock_deadline(CLOCK_MONOTONIC, false, KTIME_NEVER, &d), 0);
    ck_assert_int_eq(d, KTIME_NEVER);
}
END_TEST

static void readable(void *arg, uint32_t events)
{
    pthread_mutex_lock(&mutex);
    order[n_order++] = *(int *)arg;
    ck_assert(events & EPOLLIN);
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
}

START_TEST(watches)
{
    int p[2], id = 7, file = open("/proc/self/exe", O_RDONLY);

    start();
    ck_assert_int_eq(pipe(p), 0);
    ck_assert_int_eq(event_watch(file, EPOLLIN, readable, &id), -EPERM);
    ck_assert_int_eq(event_watch(p[0], EPOLLIN | EPOLLONESHOT, readable, &id), 0);
    ck_assert_int_eq(event_watch(p[0], EPOLLIN, readable, &id), -EEXIST);
    ck_assert_int_eq(write(p[1], "x", 1), 1);
    await(1);
    usleep(2000);
    ck_assert_int_eq(n_order, 1); /* one shot */
    ck_assert_int_eq(event_rearm(p[0], EPOLLIN | EPOLLONESHOT), 0);
    await(2);
    event_unwatch(p[0]);
    ck_assert_int_eq(event_rearm(p[0], EPOLLIN), -ENOENT);
    ck_assert_int_eq(event_watch(p[0], EPOLLIN | EPOLLET, readable, &id), 0);
    await(3);
    event_unwatch(p[0]);
    event_unwatch(p[0]); /* harmless */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("timer");
    TCase *c = tcase_create("timer");
    SRunner *r;
    int failed;

    tcase_add_test(c, in_order_of_deadlines);
    tcase_add_test(c, cancel_and_move);
    tcase_add_test(c, conversions);
    tcase_add_test(c, watches);
    suite_add_tcase(s, c);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
