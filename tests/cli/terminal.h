/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of the terminal: a pty stands for the user's; in it a session leader plays the shell:
 * it runs a command as a foreground job (or in the background), takes the terminal back when that stops
 * or ends, says so in a line "[...]", and continues a stopped job in the foreground a moment later.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 10000

/* LATER: it is started in the background, and brought to the front without a SIGCONT. */
enum job { JOB_FOREGROUND, JOB_BACKGROUND, JOB_LATER };

struct session {
    int pty;
    pid_t shell;
    char seen[65536]; /* everything that came out */
    size_t n, from;   /* expect() looks from here */
};

static int failures;

static inline void shell_line(const char *what, int value)
{
    struct termios t;

    tcgetattr(0, &t);
    printf("[%s %d %s]\n", what, value, t.c_lflag & ICANON ? "cooked" : "raw");
    fflush(stdout);
}

/* In the session leader. */
static inline void play_shell(char **argv, enum job job)
{
    bool background = job != JOB_FOREGROUND;
    pid_t pid = fork();
    int status;

    signal(SIGTTOU, SIG_IGN);
    if (pid == 0) {
        setpgid(0, 0);
        if (!background)
            tcsetpgrp(0, getpid());
        signal(SIGTTOU, SIG_DFL);
        execv(argv[0], argv);
        _exit(99);
    }
    setpgid(pid, pid);
    if (job == JOB_LATER)
        usleep(500000);
    if (job != JOB_BACKGROUND)
        tcsetpgrp(0, pid);
    while (waitpid(pid, &status, WUNTRACED) == pid) {
        tcsetpgrp(0, getpid());
        if (!WIFSTOPPED(status)) {
            shell_line(WIFEXITED(status) ? "exit" : "signal",
                       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
            _exit(0);
        }
        shell_line("stopped", WSTOPSIG(status));
        usleep(300000); /* all of the job has stopped by then */
        tcsetpgrp(0, pid);
        kill(-pid, SIGCONT);
    }
    _exit(98);
}

static inline void start_job(struct session *s, char **argv, enum job job)
{
    struct winsize ws = { .ws_row = 30, .ws_col = 100 };

    memset(s, 0, sizeof *s);
    s->shell = forkpty(&s->pty, NULL, NULL, &ws);
    if (s->shell == 0)
        play_shell(argv, job);
}

/* Reads until text appears; says what came instead when it does not. */
static inline int expect(struct session *s, const char *text)
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

static inline void type(struct session *s, const char *keys)
{
    if (write(s->pty, keys, strlen(keys)) < 0)
        failures++;
}

static inline void end(struct session *s)
{
    kill(s->shell, SIGKILL);
    waitpid(s->shell, NULL, 0);
    close(s->pty);
}
