/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>

#include "guest.h"

#define MS 1000000

static void once(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec v = { .it_value = { 0, 20 * MS } }, old;
    uint64_t n = 0;
    CHECK(fd >= 0);
    CHECK_ERR(read(fd, &n, 8), EAGAIN);
    CHECK_EQ(timerfd_settime(fd, 0, &v, NULL), 0);
    CHECK_EQ(timerfd_gettime(fd, &old), 0);
    CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 20 * MS);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK_ERR(read(fd, &n, 4), EINVAL);
    CHECK_EQ(read(fd, &n, 8), 8);
    CHECK_EQ(n, 1);
    CHECK_EQ(timerfd_gettime(fd, &old), 0);
    CHECK_EQ(old.it_value.tv_sec + old.it_value.tv_nsec, 0);
    close(fd);
}

static void interval(void)
{
    int fd = timerfd_create(CLOCK_BOOTTIME, 0);
    struct itimerspec v = { .it_value = { 0, 1 }, .it_interval = { 0, 5 * MS } }, old;
    uint64_t n = 0, sum = 0;
    CHECK_EQ(timerfd_settime(fd, 0, &v, NULL), 0);
    while (sum < 4 && read(fd, &n, 8) == 8)
        sum += n;
    CHECK(sum >= 4);
    memset(&v, 0, sizeof v);
    CHECK_EQ(timerfd_settime(fd, 0, &v, &old), 0);
    CHECK_EQ(old.it_interval.tv_nsec, 5 * MS);
    CHECK(old.it_value.tv_nsec > 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    CHECK_ERR(read(fd, &n, 8), EAGAIN); /* disarmed: nothing is left */
    close(fd);
}

static void absolute(void)
{
    int fd = timerfd_create(CLOCK_REALTIME, 0);
    struct itimerspec v = { 0 };
    uint64_t n = 0;
    clock_gettime(CLOCK_REALTIME, &v.it_value);
    v.it_value.tv_sec -= 10; /* long ago: at once, and once each second since */
    v.it_interval.tv_sec = 1;
    CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &v, NULL), 0);
    CHECK_EQ(read(fd, &n, 8), 8);
    CHECK(n == 11 || n == 10);
    close(fd);
}

static void refused(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec v = { .it_value = { 0, 1000 * MS } };
    CHECK_ERR(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    CHECK_ERR(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    CHECK_ERR(timerfd_settime(fd, 0, &v, NULL), EINVAL);
    v.it_value = (struct timespec){ -1, 0 };
    CHECK_ERR(timerfd_settime(fd, 0, &v, NULL), EINVAL);
    v.it_value = (struct timespec){ 1, 0 };
    CHECK_ERR(timerfd_settime(fd, 8, &v, NULL), EINVAL);
    CHECK_ERR(timerfd_settime(1, 0, &v, NULL), EINVAL);
    CHECK_ERR(timerfd_settime(-1, 0, &v, NULL), EBADF);
    CHECK_ERR(timerfd_settime(fd, 0, NULL, NULL), EFAULT);
    CHECK_ERR(timerfd_gettime(1, &v), EINVAL);
    CHECK_ERR(write(fd, &v, 8), EINVAL);
    close(fd);
}

int main(void)
{
    RUN(once);
    RUN(interval);
    RUN(absolute);
    RUN(refused);
    DONE();
}
