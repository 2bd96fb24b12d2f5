/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that do nothing but call get about as much each, whichever of them was there first. Natively
 * the host shares out its cpus, which may be at other work: there none of it is held to anything.
 */
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

#define CHILDREN 6
#define LONG_MS 700
#define SHARE 50 /* the least: this part of an equal one; the host has others to run */

static long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static long calls_until(long end)
{
    char c;
    long n = 0;

    while (now_ms() < end) {
        for (int i = 0; i < 10; i++, n++)
            CHECK(read(-1, &c, 1) < 0 && errno == EBADF);
    }
    return n;
}

static void shares(void)
{
    long n[CHILDREN], sum = 0;
    int p[CHILDREN][2];
    long end = now_ms() + 200 + LONG_MS;

    for (int i = 0; i < CHILDREN; i++) {
        CHECK_EQ(pipe(p[i]), 0);
        if (fork() == 0) {
            long mine;

            while (now_ms() < end - LONG_MS)
                usleep(1000);
            mine = calls_until(end);
            _exit(write(p[i][1], &mine, sizeof mine) != sizeof mine);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        CHECK_EQ(read(p[i][0], &n[i], sizeof n[i]), (ssize_t)sizeof n[i]);
        sum += n[i];
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status;

        CHECK(wait(&status) > 0 && status == 0);
        CHECK(!guest_inside() || n[i] >= sum / CHILDREN / SHARE);
        printf("%d: %ld\n", i, n[i]);
    }
}

int main(void)
{
    RUN(shares);
    DONE();
}
