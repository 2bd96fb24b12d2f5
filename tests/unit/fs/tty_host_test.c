/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's own terminal: what is read is asked for, what is printed goes out whole, also late. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sentry/fs/tty/tty_priv.h"
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
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock), 0);
    setsockopt(sock[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    ck_assert_int_eq(tty_host_attach(sock[1], &tty_default_termios, &slave), 0);
    atomic_fetch_or(&slave->flags, O_NONBLOCK);
    fake->call.deadline = KTIME_NEVER;
}

/* Writes n bytes at most; what was taken. */
static ssize_t print(const char *buf, size_t n)
{
    struct iter it;
    iter_kernel(&it, (void *)buf, n);
    fake->call.done = 0;
    return slave->ops->write(fake, slave, &it, NULL);
}

static ssize_t try_read(char *buf, size_t n)
{
    struct iter it;
    iter_kernel(&it, buf, n);
    return slave->ops->read(fake, slave, &it, NULL);
}

/* The read is a record: what it waits for is played by the test, then it runs again. */
static ssize_t await_read(char *buf, size_t n)
{
    ssize_t r = -EWAITING;
    for (int i = 0; i < 2000 && r == -EWAITING; i++) {
        poll(NULL, 0, 1);
        wq_del(&fake->call.entries[0]);
        atomic_store(&fake->rec, REC_RUN);
        r = try_read(buf, n);
    }
    return r;
}

static void begin_read(void)
{
    fake->call.done = 0;
    fake->call.phase = 0;
}

static void expect_message(uint32_t type, uint32_t arg)
{
    struct term_msg m;
    ck_assert_int_ge(recv(sock[0], &m, sizeof m, 0), TERM_HEAD);
    ck_assert_uint_eq(m.type, type);
    ck_assert_uint_eq(m.arg, arg);
}

static void tell(uint32_t type, uint32_t arg, const char *data)
{
    struct term_msg m = { .type = type, .arg = arg };
    memcpy(m.data, data, strlen(data));
    ck_assert_int_gt(send(sock[0], &m, TERM_HEAD + strlen(data), 0), 0);
}

/* Nothing is taken from the host's terminal before somebody reads, and then what is read. */
START_TEST(typed)
{
    char buf[32] = "";
    struct pollfd quiet = { .fd = -1, .events = POLLIN };
    attach();
    quiet.fd = sock[0];
    tell(TERM_READY, 3, "");
    ck_assert_int_eq(poll(&quiet, 1, 50), 0);
    begin_read();
    ck_assert_int_eq(try_read(buf, 2), -EWAITING);
    expect_message(TERM_READ, 2);
    tell(TERM_INPUT, 0, "ls");
    ck_assert_int_eq(await_read(buf, 2), 2);
    ck_assert_str_eq(buf, "ls");
    begin_read();
    ck_assert_int_eq(try_read(buf, 9), -EWAITING); /* it does not block, but it has to ask */
    expect_message(TERM_READ, 9);
    tell(TERM_NONE, 0, "");
    ck_assert_int_eq(await_read(buf, 9), -EAGAIN);
    begin_read();
    ck_assert_int_eq(try_read(buf, 9), -EWAITING);
    expect_message(TERM_READ, 9);
    tell(TERM_INPUT, 0, "");
    ck_assert_int_eq(await_read(buf, 9), 0); /* end of file */
    ck_assert_int_eq(tty_host_signal(SIGINT), -ESRCH);
}
END_TEST

/* Settings take their turn between what was printed before and after. */
START_TEST(in_turn)
{
    struct tty *tty;
    attach();
    tty = slave->priv;
    ck_assert_int_eq(print("a", 1), 1);
    lock(&tty->lock);
    tty_host_set_locked(tty, /* flush= */ true);
    unlock(&tty->lock);
    ck_assert_int_eq(print("b", 1), 1);
    expect_message(TERM_PRINT, 0);
    expect_message(TERM_FLUSH, TCIFLUSH);
    expect_message(TERM_SET, 0);
    expect_message(TERM_PRINT, 0);
}
END_TEST

static void *read_slowly(void *arg)
{
    long sum = 0;
    struct term_msg m;
    ssize_t n;
    (void)arg;
    while ((n = recv(sock[0], &m, sizeof m, 0) - TERM_HEAD) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (m.data[i] != 'a' + (sum + i) % 26)
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
    tty_host_drain(); /* nothing of what lies on the way is lost */
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
    begin_read();
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
    tcase_add_test(tc, in_turn);
    tcase_add_test(tc, printed_whole);
    tcase_add_test(tc, hung_up);
    return run_suite(s);
}
