/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's own terminal: what is typed arrives, what is printed goes out whole, also late. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/event.h"
#include "tests/unit/vfs/fake.h"

static int sock[2];
static struct file *slave;

static void attach(void)
{
    struct path pts;
    int small = 4096;
    lock_init(&kernel.tasks_lock, LOCK_TASKS);
    fake_vfs();
    MKDIR("/dev");
    MKDIR("/dev/pts");
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/dev/pts", WALK_DIR, &pts), 0);
    ck_assert_int_eq(vfs_mount(devpts_new(), &pts, 0, "devpts", NULL), 0);
    path_put(&pts);
    ck_assert_int_eq(event_start(), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sock), 0);
    setsockopt(sock[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    ck_assert_int_eq(tty_host_attach(sock[1], 24, 80, &slave), 0);
    atomic_fetch_or(&slave->flags, O_NONBLOCK);
}

/* Writes n bytes at most; what was taken. */
static ssize_t print(const char *buf, size_t n)
{
    struct iter it;
    iter_kernel(&it, (void *)buf, n);
    fake->call.done = 0;
    return slave->ops->write(fake, slave, &it, NULL);
}

static ssize_t await_read(char *buf, size_t n)
{
    struct iter it;
    ssize_t r;
    for (int i = 0; i < 2000; i++) {
        iter_kernel(&it, buf, n);
        fake->call.done = 0;
        r = slave->ops->read(fake, slave, &it, NULL);
        if (r != -EAGAIN)
            return r;
        poll(NULL, 0, 1);
    }
    return -EAGAIN;
}

START_TEST(typed)
{
    char buf[32] = "";
    attach();
    ck_assert_int_eq(write(sock[0], "ls\r", 3), 3);
    ck_assert_int_eq(await_read(buf, sizeof buf), 3);
    ck_assert_str_eq(buf, "ls\n");
    ck_assert_int_eq(read(sock[0], buf, 4), 4); /* the echo */
    ck_assert_mem_eq(buf, "ls\r\n", 4);
    ck_assert_int_eq(tty_host_signal(SIGINT), -ESRCH);
}
END_TEST

static void *read_slowly(void *arg)
{
    long sum = 0;
    char buf[1000];
    ssize_t n;
    (void)arg;
    while ((n = read(sock[0], buf, sizeof buf)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (buf[i] != 'a' + (sum + i) % 26)
                return (void *)-1l;
        sum += n;
    }
    return (void *)sum;
}

START_TEST(printed_whole)
{
    enum { ALL = 200000 };
    static char text[ALL];
    pthread_t th;
    void *ret;
    long sum = 0;
    attach();
    for (int i = 0; i < ALL; i++)
        text[i] = (char)('a' + i % 26);
    while (print(text + sum, 1) == 1) /* until all buffers on the way are full */
        sum++;
    ck_assert_int_gt(sum, 4096);
    pthread_create(&th, NULL, read_slowly, NULL);
    while (sum < ALL) {
        ssize_t n = print(text + sum, (size_t)(ALL - sum));
        if (n > 0)
            sum += n;
        else
            poll(NULL, 0, 1);
    }
    tty_host_drain(5000); /* nothing of what lies on the way is lost */
    shutdown(sock[1], SHUT_WR);
    pthread_join(th, &ret);
    ck_assert_int_eq((long)ret, ALL);
}
END_TEST

START_TEST(hung_up)
{
    char c;
    attach();
    close(sock[0]);
    ck_assert_int_eq(await_read(&c, 1), 0);
    ck_assert_int_eq(print("x", 1), -EIO);
    file_put(slave);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tty_host");
    TCase *tc = tcase_create("pump");
    suite_add_tcase(s, tc);
    tcase_add_test(tc, typed);
    tcase_add_test(tc, printed_whole);
    tcase_add_test(tc, hung_up);
    return run_suite(s);
}
