/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "guest.h"

static uint64_t get(int fd)
{
    uint64_t v = 0;
    CHECK_EQ(read(fd, &v, 8), 8);
    return v;
}

static void put(int fd, uint64_t v)
{
    CHECK_EQ(write(fd, &v, 8), 8);
}

static int ready(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static void counter(void)
{
    int fd = eventfd(3, EFD_NONBLOCK);
    uint64_t v = UINT64_MAX;
    CHECK(fd >= 0);
    put(fd, 4);
    CHECK_EQ(get(fd), 7);
    CHECK_ERR(read(fd, &v, 8), EAGAIN);
    CHECK_ERR(read(fd, &v, 7), EINVAL);
    CHECK_ERR(write(fd, &v, 8), EINVAL);
    CHECK_ERR(write(fd, &v, 4), EINVAL);
    CHECK_EQ(ready(fd), POLLOUT);
    put(fd, UINT64_MAX - 1);
    CHECK_EQ(ready(fd), POLLIN);
    v = 1;
    CHECK_ERR(write(fd, &v, 8), EAGAIN);
    CHECK_EQ(get(fd), UINT64_MAX - 1);
    close(fd);
    CHECK_ERR(eventfd(0, 0x40), EINVAL);
}

static void semaphore(void)
{
    int fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t v;
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(get(fd), 1);
    CHECK_EQ(get(fd), 1);
    CHECK_ERR(read(fd, &v, 8), EAGAIN);
    close(fd);
}

static void *reader(void *arg)
{
    return (void *)(long)get(*(int *)arg);
}

static void blocking(void)
{
    int fd = eventfd(0, EFD_SEMAPHORE);
    pthread_t th[3];
    void *ret;
    for (int i = 0; i < 3; i++)
        pthread_create(&th[i], NULL, reader, &fd);
    put(fd, 3); /* one write has to wake all three, one after the other */
    for (int i = 0; i < 3; i++) {
        pthread_join(th[i], &ret);
        CHECK_EQ((long)ret, 1);
    }
    close(fd);
}

int main(void)
{
    RUN(counter);
    RUN(semaphore);
    RUN(blocking);
    DONE();
}
