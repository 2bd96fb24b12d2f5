/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal_test SBX: the terminal as a user of `sbx run` has it. A pty stands for the terminal; in it
 * a session leader plays the shell: it runs sbx as a foreground job, takes the terminal back when
 * that stops or ends, says so in a line "[...]", and continues a stopped job at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGS 12
#define WAIT_MS 10000

static const char *sbx;
static int failures;

struct session {
    int pty;
    pid_t shell;
    char seen[65536]; /* everything that came out */
    size_t n, from;   /* expect() looks from here */
};

static void shell_line(const char *what, int value)
{
    struct termios t;

    tcgetattr(0, &t);
    printf("[%s %d %s]\n", what, value, t.c_lflag & ICANON ? "cooked" : "raw");
    fflush(stdout);
}

/* In the session leader. */
static void play_shell(char **argv)
{
    pid_t pid = fork();
    int status;

    signal(SIGTTOU, SIG_IGN);
    if (pid == 0) {
        signal(SIGTTOU, SIG_DFL);
        setpgid(0, 0);
        tcsetpgrp(0, getpid());
        execv(argv[0], argv);
        _exit(99);
    }
    setpgid(pid, pid);
    tcsetpgrp(0, pid);
    while (waitpid(pid, &status, WUNTRACED) == pid) {
        tcsetpgrp(0, getpid());
        if (!WIFSTOPPED(status)) {
            shell_line(WIFEXITED(status) ? "exit" : "signal",
                       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
            _exit(0);
        }
        shell_line("stopped", WSTOPSIG(status));
        tcsetpgrp(0, pid);
        kill(-pid, SIGCONT);
    }
    _exit(98);
}

static void start(struct session *s, const char *const *args)
{
    struct winsize ws = { .ws_row = 30, .ws_col = 100 };
    char *argv[MAX_ARGS + 3] = { (char *)sbx, "run" };

    for (int i = 0; args[i]; i++)
        argv[i + 2] = (char *)args[i];
    memset(s, 0, sizeof *s);
    s->shell = forkpty(&s->pty, NULL, NULL, &ws);
    if (s->shell == 0)
        play_shell(argv);
}

/* Reads until text appears; says what came instead when it does not. */
static int expect(struct session *s, const char *text)
{
    struct timespec t0, t;

    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (;;) {
        char *hit = strstr(s->seen + s->from, text);
        struct pollfd fd = { .fd = s->pty, .events = POLLIN };

        if (hit) {
            s->from = (size_t)(hit - s->seen) + strlen(text);
            return 0;
        }
        clock_gettime(CLOCK_MONOTONIC, &t);
        if ((t.tv_sec - t0.tv_sec) * 1000 > WAIT_MS || s->n + 1 >= sizeof s->seen)
            break;
        if (poll(&fd, 1, 500) <= 0)
            continue;
        ssize_t n = read(s->pty, s->seen + s->n, sizeof s->seen - 1 - s->n);

        if (n <= 0)
            break;
        s->n += (size_t)n;
    }
    printf("FAILED: no \"%s\" in what came:\n%s\n--\n", text, s->seen + s->from);
    failures++;
    return -1;
}

static void type(struct session *s, const char *keys)
{
    if (write(s->pty, keys, strlen(keys)) < 0)
        failures++;
}

static void end(struct session *s)
{
    kill(s->shell, SIGKILL);
    waitpid(s->shell, NULL, 0);
    close(s->pty);
}

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void size(void)
{
    struct session s;
    struct winsize ws = { .ws_row = 40, .ws_col = 120 };

    start(&s, ARGS("bash", "-c",
                   "stty size; tty; trap 'stty size; exit 3' WINCH; echo ready; "
                   "while :; do sleep 0.05; done"));
    expect(&s, "30 100");
    expect(&s, "/dev/pts/");
    expect(&s, "ready");
    ioctl(s.pty, TIOCSWINSZ, &ws);
    expect(&s, "40 120");
    expect(&s, "[exit 3 cooked]");
    end(&s);
}

static void interrupt(void)
{
    struct session s;

    start(&s, ARGS("sh", "-c", "echo ready; exec sleep 60"));
    expect(&s, "ready");
    type(&s, "\003");
    expect(&s, "[exit 130 cooked]");
    end(&s);
}

static void quit(void)
{
    struct session s;

    start(&s, ARGS("sh", "-c",
                   "trap 'echo caught; exit 4' QUIT; echo ready; while :; do sleep 0.05; done"));
    expect(&s, "ready");
    type(&s, "\034");
    expect(&s, "caught");
    expect(&s, "[exit 4 cooked]");
    end(&s);
}

static void lines(void)
{
    struct session s;

    start(&s, ARGS("cat"));
    type(&s, "one\n");
    expect(&s, "one\r\none"); /* the echo, and the line */
    type(&s, "twx\177o\n");
    expect(&s, "\ntwo");
    type(&s, "\004");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void stop_and_go(void)
{
    struct session s;

    start(&s, ARGS("sh", "-c", "echo ready; read -r x; echo \"got $x\"; exit 6"));
    expect(&s, "ready");
    type(&s, "\032");
    expect(&s, "[stopped 20 cooked]");
    type(&s, "line\n");
    expect(&s, "got line");
    expect(&s, "[exit 6 cooked]");
    end(&s);
}

static void raw_keys(void)
{
    struct session s;

    start(&s, ARGS("bash", "-c", "read -rsn1 -p 'key? ' k; echo \"<$k>\""));
    expect(&s, "key? ");
    type(&s, "x");
    expect(&s, "<x>");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void job_control_inside(void)
{
    struct session s;

    start(&s, ARGS("bash", "--norc", "-i"));
    type(&s, "PS1='$ '; sleep 60\n");
    expect(&s, "sleep 60");
    usleep(300000);
    type(&s, "\032");
    expect(&s, "Stopped");
    type(&s, "jobs; kill %1; wait %1; echo status $?\n");
    expect(&s, "status 143");
    type(&s, "exit 5\n");
    expect(&s, "[exit 5 cooked]");
    end(&s);
}

/* sbx is told to end: the terminal is cooked again. */
static void terminated(void)
{
    struct session s;
    char inside[64];
    pid_t job;

    start(&s, ARGS("sh", "-c", "echo ready; exec sleep 60"));
    expect(&s, "ready");
    job = tcgetpgrp(s.pty);
    snprintf(inside, sizeof inside, "[exit %d cooked]", 128 + SIGTERM);
    if (job > 1)
        kill(job, SIGTERM);
    expect(&s, inside);
    end(&s);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } tests[] = { { "size", size },
                  { "interrupt", interrupt },
                  { "quit", quit },
                  { "lines", lines },
                  { "stop_and_go", stop_and_go },
                  { "raw_keys", raw_keys },
                  { "job_control_inside", job_control_inside },
                  { "terminated", terminated } };

    if (argc < 2)
        return 2;
    sbx = argv[1];
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (argc > 2 && strcmp(argv[2], tests[i].name) != 0)
            continue;
        printf("%s\n", tests[i].name);
        tests[i].fn();
    }
    printf("%d failed\n", failures);
    return failures != 0;
}
