/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline: editing and echo, raw reads, mapping, flow, settings, and the ends. */
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "pty.h"

static int m, s;
static struct termios base;

static void settings(void)
{
    struct termios t;
    CHECK_EQ(tcgetattr(s, &t), 0);
    CHECK_EQ(t.c_iflag, ICRNL | IXON);
    CHECK_EQ(t.c_oflag, OPOST | ONLCR);
    CHECK_EQ(t.c_cflag, B38400 | CS8 | CREAD);
    CHECK_EQ(t.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
    CHECK_EQ(t.c_cc[VINTR], 3);
    CHECK_EQ(t.c_cc[VERASE], 127);
    CHECK_EQ(t.c_cc[VMIN], 1);
    CHECK_EQ(cfgetospeed(&t), B38400);
    base = t;
    CHECK(isatty(s));
    CHECK(isatty(m));
    t.c_lflag &= ~(tcflag_t)ECHO;
    CHECK_EQ(tcsetattr(m, TCSANOW, &t), 0); /* the master's settings are the slave's */
    CHECK_EQ(tcgetattr(s, &t), 0);
    CHECK_EQ(t.c_lflag & ECHO, 0);
    CHECK_EQ(tcsetattr(s, TCSANOW, &base), 0);
    struct stat st;
    CHECK_EQ(fstat(s, &st), 0);
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(major(st.st_rdev), 136);
    struct winsize w = { 24, 80, 0, 0 }, got;
    CHECK_EQ(ioctl(m, TIOCSWINSZ, &w), 0);
    CHECK_EQ(ioctl(s, TIOCGWINSZ, &got), 0);
    CHECK(got.ws_row == 24 && got.ws_col == 80);
    CHECK_ERR(ioctl(s, TIOCGPTN, &st), ENOTTY);
    CHECK_ERR(tcgetpgrp(s), ENOTTY);
}

struct old_termio { /* struct termio, which goes badly with termios.h */
    unsigned short iflag, oflag, cflag, lflag;
    unsigned char line, cc[8];
};

static void old_settings(void)
{
    struct old_termio o = { 0 };
    struct termios t;

    CHECK_EQ(ioctl(s, TCGETA, &o), 0);
    CHECK_EQ(o.lflag, base.c_lflag & 0xffff);
    CHECK_EQ(o.cflag, base.c_cflag & 0xffff);
    CHECK_EQ(o.cc[VINTR], 3);
    o.lflag &= (unsigned short)~ECHO;
    o.cc[VINTR] = 7;
    CHECK_EQ(ioctl(s, TCSETA, &o), 0);
    CHECK_EQ(tcgetattr(s, &t), 0);
    CHECK_EQ(t.c_lflag, base.c_lflag & ~(tcflag_t)ECHO);
    CHECK_EQ(t.c_cc[VINTR], 7);
    CHECK_EQ(t.c_cc[VSUSP], base.c_cc[VSUSP]); /* behind what it has */
    CHECK_ERR(ioctl(s, TCGETA, 8L), EFAULT);
    CHECK_EQ(tcsetattr(s, TCSANOW, &base), 0);
}

static void set(tcflag_t lflag_off, tcflag_t lflag_on)
{
    struct termios t = base;
    t.c_lflag = (t.c_lflag & ~lflag_off) | lflag_on;
    CHECK_EQ(tcsetattr(s, TCSANOW, &t), 0);
}

static void lines(void)
{
    char buf[64];
    pty_say(m, "ab");
    CHECK_EQ(pty_ready(s), 0);
    EXPECT(m, "ab");
    pty_say(m, "c\rde\n");
    EXPECT(m, "c\r\nde\r\n");
    CHECK_EQ(read(s, buf, 2), 2);
    CHECK_EQ(read(s, buf, sizeof buf), 2); /* "c\n": never beyond the line */
    CHECK(memcmp(buf, "c\n", 2) == 0);
    CHECK_EQ(read(s, buf, sizeof buf), 3);
    int n = -1;
    pty_say(m, "xyz\n");
    CHECK_EQ(pty_wait(s), 1);
    CHECK_EQ(ioctl(s, FIONREAD, &n), 0);
    CHECK_EQ(n, 4);
    CHECK_EQ(tcflush(s, TCIFLUSH), 0);
    CHECK_EQ(pty_ready(s), 0);
    EXPECT(m, "xyz\r\n");
    pty_say(s, "out\n");
    EXPECT(m, "out\r\n");
}

static void editing(void)
{
    pty_say(m, "abc\177\177X\n"); /* erase */
    EXPECT(m, "abc\b \b\b \bX\r\n");
    EXPECT(s, "aX\n");
    pty_say(m, "one two_3 \027x\n"); /* word erase */
    EXPECT(m, "one two_3 \b \b\b \b\b \b\b \b\b \b\b \bx\r\n");
    EXPECT(s, "one x\n");
    pty_say(m, "zap\025y\n"); /* kill */
    EXPECT(m, "zap\b \b\b \b\b \by\r\n");
    EXPECT(s, "y\n");
    pty_say(m, "a\001\177b\n"); /* a control character is two columns wide */
    EXPECT(m, "a^A\b \b\b \bb\r\n");
    EXPECT(s, "ab\n");
    pty_say(m, "a\t\177b\n"); /* a tab as wide as it was */
    EXPECT(m, "a\t\b\b\b\b\b\b\bb\r\n");
    EXPECT(s, "ab\n");
    pty_say(m, "a\026\003b\n"); /* the next one literally */
    EXPECT(m, "a^\b^Cb\r\n");
    EXPECT(s, "a\003b\n");
    pty_say(m, "re\022x\n"); /* reprint */
    EXPECT(m, "re^R\r\nrex\r\n");
    EXPECT(s, "rex\n");
    set(ECHOE | ECHOKE, ECHOPRT);
    pty_say(m, "abc\177\177d\n");
    EXPECT(m, "abc\\cb/d\r\n");
    EXPECT(s, "ad\n");
    set(ECHOE | ECHOKE, 0);
    pty_say(m, "ab\177c\025d\n");
    EXPECT(m, "ab^?c^U\r\nd\r\n");
    EXPECT(s, "d\n");
    set(ECHO, ECHONL);
    pty_say(m, "quiet\n");
    EXPECT(m, "\r\n");
    EXPECT(s, "quiet\n");
    set(0, 0);
    struct termios t = base;
    t.c_iflag |= IUTF8;
    CHECK_EQ(tcsetattr(s, TCSANOW, &t), 0);
    pty_say(m, "a\303\244\177b\n");
    EXPECT(m, "a\303\244\b \bb\r\n");
    EXPECT(s, "ab\n");
    set(0, 0);
}

static void end_of_file(void)
{
    char buf[16];
    pty_say(m, "\004");
    CHECK_EQ(read(s, buf, sizeof buf), 0);
    pty_say(m, "ab\004cd\n"); /* pushes what is there */
    CHECK_EQ(read(s, buf, sizeof buf), 2);
    CHECK_EQ(read(s, buf, sizeof buf), 3);
    pty_say(m, "ab\004");
    CHECK_EQ(read(s, buf, 2), 2); /* filled exactly: the mark goes too */
    CHECK_EQ(pty_ready(s), 0);
    EXPECT(m, "abcd\r\nab");
    struct termios t = base;
    t.c_cc[VEOL] = '.';
    CHECK_EQ(tcsetattr(s, TCSANOW, &t), 0);
    pty_say(m, "a.b\n");
    CHECK_EQ(read(s, buf, sizeof buf), 2);
    CHECK_EQ(read(s, buf, sizeof buf), 2);
    EXPECT(m, "a.b\r\n");
    set(0, 0);
}

static void raw_set(int vmin, int vtime)
{
    struct termios t = base;
    cfmakeraw(&t);
    t.c_cc[VMIN] = (cc_t)vmin;
    t.c_cc[VTIME] = (cc_t)vtime;
    CHECK_EQ(tcsetattr(s, TCSAFLUSH, &t), 0);
}

static void raw(void)
{
    char buf[16];
    raw_set(0, 0);
    CHECK_EQ(read(s, buf, sizeof buf), 0);
    raw_set(3, 0);
    pty_say(m, "\003\r\004");
    CHECK_EQ(read(s, buf, sizeof buf), 3);
    CHECK(memcmp(buf, "\003\r\004", 3) == 0);
    raw_set(3, 0);
    pty_say(m, "ab");
    CHECK_EQ(pty_ready(s), 0);
    CHECK_EQ(read(s, buf, 1), 1);
    fcntl(s, F_SETFL, O_RDWR | O_NONBLOCK);
    CHECK_EQ(read(s, buf, sizeof buf), 1);
    CHECK_ERR(read(s, buf, sizeof buf), EAGAIN);
    fcntl(s, F_SETFL, O_RDWR);
    raw_set(0, 1);
    CHECK_EQ(read(s, buf, sizeof buf), 0); /* after a tenth of a second */
    raw_set(5, 1);
    pty_say(m, "ab");
    CHECK_EQ(read(s, buf, sizeof buf), 2); /* nothing has come after the second byte */
    pty_say(s, "a\nb");
    EXPECT(m, "a\nb");
    set(0, 0);
}

static void kept_over_change(void)
{
    char buf[16];
    pty_say(m, "abc");
    EXPECT(m, "abc");
    CHECK_EQ(pty_ready(s), 0);
    set(ICANON, 0);
    CHECK_EQ(pty_ready(s), 1);
    CHECK_EQ(read(s, buf, 1), 1);
    set(0, 0);
    CHECK_EQ(pty_ready(s), 1); /* what was typed is read as it stands */
    CHECK_EQ(read(s, buf, sizeof buf), 2);
    set(0, 0);
}

static void mapping(void)
{
    struct termios t = base;
    t.c_lflag &= ~(tcflag_t)ECHO;
    t.c_iflag = INLCR | IGNCR | ISTRIP;
    t.c_lflag &= ~(tcflag_t)ICANON;
    CHECK_EQ(tcsetattr(s, TCSANOW, &t), 0);
    pty_say(m, "a\r\n\341");
    EXPECT(s, "a\ra");
    t = base;
    t.c_lflag &= ~(tcflag_t)ECHO;
    t.c_oflag = OPOST | OCRNL | ONOCR | XTABS | OLCUC;
    CHECK_EQ(tcsetattr(s, TCSANOW, &t), 0);
    tcsetattr(s, TCSANOW, &base);
    pty_say(s, "\n"); /* column 0 */
    EXPECT(m, "\r\n");
    CHECK_EQ(tcsetattr(s, TCSANOW, &t), 0);
    pty_say(s, "\rab\r\tc");
    EXPECT(m, "AB\n      C");
    t.c_oflag = OPOST | ONLCR | ONLRET | XTABS;
    CHECK_EQ(tcsetattr(s, TCSANOW, &t), 0);
    pty_say(s, "\n\tx\b\b\ty\n");
    EXPECT(m, "\r\n        x\b\b y\r\n");
    set(0, 0);
}

static void flow(void)
{
    int on = 1;
    char c;
    CHECK_EQ(ioctl(m, TIOCPKT, &on), 0); /* tells when it has arrived */
    pty_say(m, "\023");
    CHECK_EQ(read(m, &c, 1), 1);
    CHECK_EQ(c, TIOCPKT_STOP);
    fcntl(s, F_SETFL, O_RDWR | O_NONBLOCK);
    CHECK_ERR(write(s, "x", 1), EAGAIN);
    pty_say(m, "\021");
    CHECK_EQ(read(m, &c, 1), 1);
    CHECK_EQ(c, TIOCPKT_START);
    on = 0;
    CHECK_EQ(ioctl(m, TIOCPKT, &on), 0);
    CHECK_EQ(write(s, "x", 1), 1);
    EXPECT(m, "x");
    CHECK_EQ(tcflow(s, TCOOFF), 0);
    CHECK_ERR(write(s, "x", 1), EAGAIN);
    CHECK_EQ(tcflow(s, TCOON), 0);
    CHECK_EQ(write(s, "y", 1), 1);
    EXPECT(m, "y");
    fcntl(s, F_SETFL, O_RDWR);
}

/* TIOCSLCKTRMIOS: what is locked stays, whatever is set. */
static void locked_settings(void)
{
    struct termios set, got, lock = { 0 };
    int master, slave;

    CHECK(pty_open(&master, &slave) >= 0);
    CHECK_EQ(ioctl(slave, TIOCGLCKTRMIOS, &got), 0);
    CHECK_EQ(got.c_lflag, 0);
    if (geteuid() != 0) {
        CHECK_ERR(ioctl(slave, TIOCSLCKTRMIOS, &lock), EPERM);
        close(slave);
        close(master);
        return;
    }
    CHECK_EQ(ioctl(slave, TCGETS, &set), 0);
    lock.c_lflag = ECHO;
    lock.c_cc[VINTR] = 1;
    CHECK_EQ(ioctl(master, TIOCSLCKTRMIOS, &lock), 0);
    CHECK_EQ(ioctl(slave, TIOCGLCKTRMIOS, &got), 0);
    CHECK_EQ(got.c_lflag, ECHO);
    CHECK_EQ(got.c_cc[VINTR], 1);
    set.c_lflag &= ~(unsigned)(ECHO | ISIG);
    set.c_cc[VINTR] = 7;
    set.c_cc[VQUIT] = 8;
    CHECK_EQ(ioctl(slave, TCSETS, &set), 0);
    CHECK_EQ(ioctl(slave, TCGETS, &got), 0);
    CHECK_EQ(got.c_lflag & (ECHO | ISIG), ECHO);
    CHECK_EQ(got.c_cc[VINTR], 3);
    CHECK_EQ(got.c_cc[VQUIT], 8);
    close(slave);
    close(master);
}

static void *write_much(void *arg)
{
    static char big[100000];
    (void)arg;
    memset(big, 'w', sizeof big);
    return (void *)(long)write(s, big, sizeof big);
}

static void much(void)
{
    char buf[3000];
    long sum = 0, n;
    pthread_t th;
    void *ret;
    pthread_create(&th, NULL, write_much, NULL);
    while (sum < 100000 && (n = read(m, buf, sizeof buf)) > 0)
        sum += n;
    pthread_join(th, &ret);
    CHECK_EQ(sum, 100000);
    CHECK_EQ((long)ret, 100000);
    /* a line longer than the buffer still gets its end */
    set(ECHO, 0);
    memset(buf, 'l', sizeof buf);
    CHECK_EQ(write(m, buf, sizeof buf), sizeof buf);
    CHECK_EQ(write(m, buf, sizeof buf), sizeof buf);
    pty_say(m, "\n");
    sum = 0;
    while ((n = read(s, buf, sizeof buf)) > 0 && buf[n - 1] != '\n')
        sum += n;
    CHECK_EQ(sum + n, 4096);
    set(0, 0);
}

static void packet_mode(void)
{
    int on = 1;
    char buf[16];
    CHECK_EQ(ioctl(m, TIOCPKT, &on), 0);
    pty_say(s, "hi");
    CHECK_EQ(read(m, buf, sizeof buf), 3);
    CHECK(memcmp(buf, "\0hi", 3) == 0);
    CHECK_EQ(tcflush(s, TCIFLUSH), 0);
    struct pollfd p = { .fd = m, .events = POLLIN | POLLPRI };
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK_EQ(p.revents, POLLIN | POLLPRI);
    CHECK_EQ(read(m, buf, sizeof buf), 1);
    CHECK_EQ(buf[0], TIOCPKT_FLUSHREAD);
    on = 0;
    CHECK_EQ(ioctl(m, TIOCPKT, &on), 0);
}

static void peer_and_lock(void)
{
    int mm = open("/dev/ptmx", O_RDWR | O_NOCTTY), one = 1, n;
    char name[32];
    CHECK_EQ(ioctl(mm, TIOCGPTN, &n), 0);
    snprintf(name, sizeof name, "/dev/pts/%d", n);
    CHECK_ERR(open(name, O_RDWR | O_NOCTTY), EIO); /* locked at first */
    one = 0;
    CHECK_EQ(ioctl(mm, TIOCSPTLCK, &one), 0);
    int ss = ioctl(mm, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(ss >= 0);
    CHECK_EQ(fcntl(ss, F_GETFD), FD_CLOEXEC);
    pty_say(ss, "p");
    EXPECT(mm, "p");
    close(mm);
    CHECK_ERR(open(name, O_RDWR | O_NOCTTY), ENOENT);
    close(ss);
}

static void ends(void)
{
    char buf[16];
    int n;
    CHECK_EQ(ioctl(m, TIOCGPTN, &n), 0);
    pty_say(s, "last");
    close(s);
    struct pollfd p = { .fd = m, .events = POLLIN };
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK_EQ(p.revents, POLLIN | POLLHUP);
    EXPECT(m, "last");
    CHECK_ERR(read(m, buf, sizeof buf), EIO);
    snprintf(buf, sizeof buf, "/dev/pts/%d", n);
    s = open(buf, O_RDWR | O_NOCTTY);
    CHECK(s >= 0);
    pty_say(s, "again");
    EXPECT(m, "again");
    close(m);
    CHECK_EQ(read(s, buf, sizeof buf), 0);
    CHECK_ERR(write(s, "x", 1), EIO);
    struct termios t;
    CHECK_ERR(tcgetattr(s, &t), EIO);
    p.fd = s;
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLHUP | POLLERR);
    close(s);
}

int main(void)
{
    if (pty_open(&m, &s) < 0)
        SKIP("no pty to be had");
    RUN(settings);
    RUN(old_settings);
    RUN(lines);
    RUN(editing);
    RUN(end_of_file);
    RUN(raw);
    RUN(kept_over_change);
    RUN(mapping);
    RUN(flow);
    RUN(locked_settings);
    RUN(much);
    RUN(packet_mode);
    RUN(peer_and_lock);
    RUN(ends);
    DONE();
}
