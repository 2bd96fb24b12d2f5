/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers at the ends of their range, where a kernel's sums overflow. */
#include "guest.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>

static void microseconds(void)
{
    struct itimerval it = { .it_value = { 1, LONG_MAX } };
    struct timeval tv[2] = { { 1, LONG_MAX }, { 1, LONG_MIN } };

    CHECK_ERR(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
    it.it_value.tv_usec = LONG_MIN;
    CHECK_ERR(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_utimes, "/tmp", tv), EINVAL);
    tv[0].tv_sec = LONG_MAX;
    CHECK_ERR(syscall(SYS_select, 0, NULL, NULL, NULL, &tv[0]), EINVAL);
}

static void sync_range(void)
{
    int fd = open(".", O_RDONLY);

    CHECK_ERR(sync_file_range(fd, INT64_MAX, 1, 0), EINVAL);
    CHECK_ERR(sync_file_range(fd, 1, INT64_MAX, 0), EINVAL);
    CHECK_EQ(sync_file_range(fd, 0, INT64_MAX, 0), 0);
    close(fd);
}

static long long position(int fd)
{
    char name[64], text[32] = "";
    int info;

    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
    info = open(name, O_RDONLY);
    CHECK(read(info, text, sizeof text - 1) > 5);
    close(info);
    return atoll(text + 4); /* pos: */
}

/* Devices that produce and swallow bytes have no position to move. */
static void devices(void)
{
    static const char *const names[] = { "/dev/null", "/dev/zero", "/dev/urandom" };
    char buf[100] = "";

    for (int i = 0; i < 3; i++) {
        int fd = open(names[i], O_RDWR), some = i ? (int)sizeof buf : 0;

        CHECK(fd >= 0);
        CHECK_EQ(write(fd, buf, sizeof buf), sizeof buf);
        CHECK_EQ(read(fd, buf, sizeof buf), some);
        CHECK_EQ(position(fd), 0);
        CHECK_ERR(pwrite(fd, buf, sizeof buf, INT64_MAX - 99), EINVAL);
        CHECK_ERR(pread(fd, buf, sizeof buf, INT64_MAX - 99), EINVAL);
        CHECK_EQ(pwrite(fd, buf, sizeof buf, INT64_MAX - 100), sizeof buf);
        CHECK_EQ(pread(fd, buf, sizeof buf, INT64_MAX - 100), some);
        close(fd);
    }
}

/* The last bytes that a position can name. */
static void last_bytes(void)
{
    char buf[100] = "";
    int fd = open("/proc/self/exe", O_RDONLY);

    CHECK_ERR(pread(fd, buf, sizeof buf, INT64_MAX - 99), EINVAL);
    CHECK_ERR(pread(fd, buf, sizeof buf, INT64_MAX), EINVAL);
    CHECK_EQ(pread(fd, buf, sizeof buf, INT64_MAX - 100), 0);
    CHECK_EQ(pread(fd, buf, 0, INT64_MAX), 0);
    close(fd);
    fd = memfd_create("range", 0);
    CHECK(fd >= 0);
    CHECK_ERR(pwrite(fd, buf, sizeof buf, INT64_MAX - 99), EINVAL);
    CHECK_ERR(pread(fd, buf, sizeof buf, INT64_MAX), EINVAL);
    CHECK_EQ(lseek(fd, INT64_MAX, SEEK_SET), INT64_MAX);
    CHECK_ERR(write(fd, buf, 1), EINVAL);
    CHECK_ERR(read(fd, buf, 1), EINVAL);
    close(fd);
}

int main(void)
{
    RUN(microseconds);
    RUN(sync_range);
    RUN(devices);
    RUN(last_bytes);
    DONE();
}
