/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal_test SBX [TEST]: the terminal as a user of `sbx run` has it, when all three standard streams
 * are the terminal's. Mixtures: mixture_test.c.
 */
#include "terminal.h"

#define MAX_ARGS 12

static const char *sbx;

static void start(struct session *s, const char *const *args)
{
    char *argv[MAX_ARGS + 3] = { (char *)sbx, "run" };

    for (int i = 0; args[i]; i++)
        argv[i + 2] = (char *)args[i];
    start_job(s, argv, JOB_FOREGROUND);
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
    expect(&s, "bash-"); /* before, ^Z is the host's */
    type(&s, "PS1='$ '; sh -c 'echo \"g\"o; exec sleep 60'\n");
    expect(&s, "go\r\n"); /* the echo has quotes */
    usleep(100000);
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
