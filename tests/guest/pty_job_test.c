/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals and job control: controlling terminals, keys, background access, hang-ups. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "pty.h"

static int m, s;
static char s_name[32];
static volatile int got[65];

static void note(int sig)
{
    got[sig]++;
}

static void catch (int sig)
{
    struct sigaction sa = { .sa_handler = note };
    sigaction(sig, &sa, NULL);
}

/* Typed characters arrive by and by on Linux. */
static int comes(int sig, int n)
{
    struct timespec ms = { 0, 1000000 };
    for (int i = 0; i < 2000 && got[sig] < n; i++)
        nanosleep(&ms, NULL);
    return got[sig];
}

/* Runs fn in a child that leads a session of its own; its result is the child's status. */
static void in_session(int (*fn)(void))
{
    int st;
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        guest_failures = 0;
        _exit(fn() + guest_failures);
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
}

static int take_terminal(void)
{
    int fd, sid = 0;
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    CHECK_ERR(tcgetpgrp(s), ENOTTY);
    fd = open(s_name, O_RDWR | O_NOCTTY);
    CHECK(fd >= 0);
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    close(fd);
    fd = open(s_name, O_RDWR); /* the first terminal that a leader opens becomes its own */
    CHECK(fd >= 0);
    CHECK_EQ(tcgetpgrp(fd), getpid());
    CHECK_EQ(ioctl(fd, TIOCGSID, &sid), 0);
    CHECK_EQ(sid, getpid());
    CHECK_EQ(tcgetpgrp(m), getpid());
    int tty = open("/dev/tty", O_RDWR);
    CHECK(tty >= 0);
    pty_say(tty, "t");
    EXPECT(m, "t");
    CHECK_EQ(ioctl(fd, TIOCSCTTY, 0), 0); /* it is ours already */
    signal(SIGHUP, SIG_IGN);
    CHECK_EQ(ioctl(fd, TIOCNOTTY), 0);
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    CHECK_EQ(ioctl(fd, TIOCSCTTY, 0), 0);
    CHECK_EQ(tcgetpgrp(fd), getpid());
    CHECK_ERR(tcsetpgrp(fd, 1 << 21), ESRCH);
    CHECK_ERR(tcsetpgrp(fd, -1), EINVAL);
    return 0;
}

static int keys(void)
{
    CHECK_EQ(ioctl(s, TIOCSCTTY, 0), 0);
    char buf[16];
    catch (SIGINT);
    catch (SIGQUIT);
    catch (SIGTSTP);
    catch (SIGWINCH);
    pty_say(m, "typed\003");
    CHECK_EQ(comes(SIGINT, 1), 1);
    pty_say(m, "\034\032");
    CHECK_EQ(comes(SIGQUIT, 1), 1);
    CHECK_EQ(comes(SIGTSTP, 1), 1);
    pty_say(m, "ok\n"); /* "typed" was flushed */
    CHECK_EQ(read(s, buf, sizeof buf), 3);
    tcflush(m, TCIFLUSH);
    struct termios t, old;
    tcgetattr(s, &old);
    t = old;
    t.c_lflag |= NOFLSH;
    tcsetattr(s, TCSANOW, &t);
    pty_say(m, "kept\003\n");
    CHECK_EQ(comes(SIGINT, 2), 2);
    CHECK_EQ(read(s, buf, sizeof buf), 5);
    EXPECT(m, "kept^C\r\n");
    tcsetattr(s, TCSANOW, &old);
    struct winsize w = { 10, 20, 0, 0 };
    CHECK_EQ(ioctl(m, TIOCSWINSZ, &w), 0);
    CHECK_EQ(got[SIGWINCH], 1);
    CHECK_EQ(ioctl(m, TIOCSWINSZ, &w), 0);
    CHECK_EQ(got[SIGWINCH], 1); /* no change */
    return 0;
}

/* A child in a group of its own, in the background; stops, or says what it met. */
static pid_t background(int (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        _exit(fn());
    }
    setpgid(pid, pid);
    return pid;
}

static int try_read(void)
{
    char c;
    return read(s, &c, 1) == 1 ? 0 : errno;
}

static int try_read_ignoring(void)
{
    signal(SIGTTIN, SIG_IGN);
    return try_read();
}

static int try_write(void)
{
    return write(s, "w", 1) == 1 ? 0 : errno;
}

static int try_set(void)
{
    struct termios t;
    tcgetattr(s, &t);
    return tcsetattr(s, TCSANOW, &t) == 0 ? 0 : errno;
}

static int try_set_blocking(void)
{
    sigset_t b;
    sigemptyset(&b);
    sigaddset(&b, SIGTTOU);
    sigprocmask(SIG_BLOCK, &b, NULL);
    return try_set();
}

static int job_control(void)
{
    int st;
    CHECK_EQ(ioctl(s, TIOCSCTTY, 0), 0);
    signal(SIGTTOU, SIG_IGN);
    pid_t pid = background(try_read);
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK(WIFSTOPPED(st));
    CHECK_EQ(WSTOPSIG(st), SIGTTIN);
    CHECK_EQ(tcsetpgrp(s, pid), 0); /* into the foreground */
    CHECK_EQ(tcgetpgrp(s), pid);
    kill(-pid, SIGCONT);
    pty_say(m, "\n");
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
    CHECK_EQ(tcsetpgrp(s, getpid()), 0);
    pid = background(try_read_ignoring);
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK_EQ(WEXITSTATUS(st), EIO);
    signal(SIGTTOU, SIG_DFL);
    pid = background(try_write); /* allowed, without TOSTOP */
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK_EQ(st, 0);
    pid = background(try_set);
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK(WIFSTOPPED(st));
    CHECK_EQ(WSTOPSIG(st), SIGTTOU);
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    pid = background(try_set_blocking);
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK_EQ(st, 0);
    struct termios t;
    tcgetattr(s, &t);
    t.c_lflag |= TOSTOP;
    tcsetattr(s, TCSANOW, &t);
    pid = background(try_write);
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK(WIFSTOPPED(st));
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    t.c_lflag &= ~(tcflag_t)TOSTOP;
    tcsetattr(s, TCSANOW, &t);
    return 0;
}

/* The group's leader is gone and nobody is left to continue it: reading is an error. */
static int orphans(void)
{
    int p[2], st;
    char c = 1;
    CHECK_EQ(ioctl(s, TIOCSCTTY, 0), 0);
    CHECK_EQ(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        int go[2];
        if (pipe(go))
            _exit(1);
        if (fork() == 0) {
            close(go[1]);
            c = (char)read(go[0], &c, 1); /* until the parent is gone */
            c = (char)try_read();
            _exit(write(p[1], &c, 1) != 1);
        }
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, EIO);
    return 0;
}

static int hang_up_leader(void)
{
    int mm, ss;
    char c;
    CHECK(pty_open(&mm, &ss) >= 0);
    CHECK_EQ(ioctl(ss, TIOCSCTTY, 0), 0);
    catch (SIGHUP);
    catch (SIGCONT);
    close(mm);
    CHECK_EQ(comes(SIGHUP, 1), 1);
    CHECK_EQ(comes(SIGCONT, 1), 1);
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    CHECK_EQ(read(ss, &c, 1), 0);
    return 0;
}

/* The leader's end: SIGHUP to the foreground group. The terminal goes on without a session. */
static void leader_exit(void)
{
    int p[2], st;
    char c = 0;
    CHECK_EQ(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        if (ioctl(s, TIOCSCTTY, 0))
            _exit(1);
        int ready[2];
        if (pipe(ready))
            _exit(1);
        pid_t fg = fork();
        if (fg == 0) {
            setpgid(0, 0);
            catch (SIGHUP);
            sigset_t b, old;
            sigemptyset(&b);
            sigaddset(&b, SIGHUP);
            sigprocmask(SIG_BLOCK, &b, &old);
            c = 'r';
            if (write(ready[1], &c, 1) != 1)
                _exit(1);
            while (!got[SIGHUP])
                sigsuspend(&old);
            c = write(s, "alive", 5) == 5 ? 'y' : 'n';
            _exit(write(p[1], &c, 1) != 1);
        }
        setpgid(fg, fg);
        signal(SIGTTOU, SIG_IGN);
        if (read(ready[0], &c, 1) != 1 || tcsetpgrp(s, fg))
            _exit(2);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, 'y');
    EXPECT(m, "alive");
    close(p[0]);
    close(p[1]);
}

#define RUN_IN_SESSION(fn)                                                                         \
    do {                                                                                           \
        guest_current = #fn;                                                                       \
        in_session(fn);                                                                            \
    } while (0)

int main(void)
{
    int n = pty_open(&m, &s);
    setvbuf(stdout, NULL, _IONBF, 0); /* children report too */
    if (n < 0)
        SKIP("no pty to be had");
    snprintf(s_name, sizeof s_name, "/dev/pts/%d", n);
    RUN_IN_SESSION(take_terminal);
    RUN_IN_SESSION(keys);
    tcflush(m, TCIFLUSH);
    RUN_IN_SESSION(job_control);
    tcflush(m, TCIFLUSH);
    RUN_IN_SESSION(orphans);
    RUN_IN_SESSION(hang_up_leader);
    tcflush(m, TCIFLUSH);
    RUN(leader_exit);
    DONE();
}
