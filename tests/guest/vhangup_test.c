/* SPDX-License-Identifier: Apache-2.0 */
/* vhangup: the caller's terminal is hung up for all who have it open. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "guest.h"

/* Opens a pair; neither becomes a controlling terminal. */
static int pty_open(int *ret_master, int *ret_slave)
{
    char name[32];
    int zero = 0, n = -1;

    *ret_master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    if (*ret_master < 0 || ioctl(*ret_master, TIOCSPTLCK, &zero) ||
        ioctl(*ret_master, TIOCGPTN, &n))
        return -1;
    snprintf(name, sizeof name, "/dev/pts/%d", n);
    *ret_slave = open(name, O_RDWR | O_NOCTTY);
    return *ret_slave < 0 ? -1 : n;
}

static void rights(void)
{
    int status;
    pid_t pid;

    if (getuid() != 0)
        return;
    pid = fork();
    if (pid == 0) {
        guest_failures = 0;
        CHECK_EQ(setuid(1234), 0);
        CHECK_ERR(vhangup(), EPERM);
        _exit(guest_failures != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static volatile sig_atomic_t got;

static void on_hup(int sig)
{
    got = sig;
}

static void hung(void)
{
    int master, slave = -1, status, n;
    char name[32];
    pid_t pid;

    if (getuid() != 0) {
        printf("not root: hanging up is not tested\n");
        return;
    }
    n = pty_open(&master, &slave);
    CHECK(n >= 0);
    snprintf(name, sizeof name, "/dev/pts/%d", n);
    pid = fork();
    if (pid == 0) {
        struct pollfd p = { .fd = slave, .events = POLLIN | POLLOUT };
        char c;
        int again;

        guest_failures = 0;
        CHECK(setsid() > 0);
        CHECK_EQ(ioctl(slave, TIOCSCTTY, 0), 0);
        signal(SIGHUP, on_hup);
        CHECK_EQ(write(slave, "x", 1), 1);
        CHECK_EQ(vhangup(), 0);
        for (int i = 0; i < 1000 && !got; i++)
            usleep(1000);
        CHECK_EQ(got, SIGHUP);
        CHECK_EQ(read(slave, &c, 1), 0);
        CHECK_ERR(write(slave, "x", 1), EIO);
        CHECK_ERR(ioctl(slave, FIONREAD, &n), EIO);
        CHECK_EQ(poll(&p, 1, 0), 1);
        CHECK(p.revents & POLLHUP);
        CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO); /* it controls nobody */
        again = open(name, O_RDWR | O_NOCTTY);
        CHECK(again >= 0);
        CHECK_EQ(write(again, "y", 1), 1); /* who opens it anew has it */
        _exit(guest_failures != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(slave);
    close(master);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(rights);
    RUN(hung);
    DONE();
}
