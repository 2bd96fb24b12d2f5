/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mixture_test SBX [TEST]: each of standard input, output and error may be the terminal or not, other
 * programs of a pipeline share it, and what the program does not read stays for who comes after it.
 * With "native" in the place of SBX the programs run natively: what is expected here is what Linux does.
 *
 * A case is a line for sh, a job of its own; $RUN stands for `sbx run` in it.
 */
#include "terminal.h"

static void start(struct session *s, const char *line)
{
    char *argv[] = { "/bin/sh", "-c", (char *)line, NULL };

    start_job(s, argv, JOB_FOREGROUND);
}

/* ---- what is typed, and who reads it ---- */

static void typed_ahead(void)
{
    struct session s;

    start(&s, "sleep 0.3; $RUN true; exec cat");
    type(&s, "early\n");
    expect(&s, "early\r\n"); /* the echo */
    expect(&s, "early\r\n");
    type(&s, "\004");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void typed_meanwhile(void)
{
    struct session s;

    start(&s, "$RUN sh -c 'echo ready; sleep 0.5'; exec cat");
    expect(&s, "ready");
    type(&s, "twx\177o\n");
    expect(&s, "two\r\n");
    type(&s, "\004");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void second_line_stays(void)
{
    struct session s;

    start(&s, "sleep 0.3; $RUN sh -c 'read -r x; echo \"got $x\"'; exec cat");
    type(&s, "one\ntwo\n");
    expect(&s, "two\r\n");
    expect(&s, "got one\r\n");
    expect(&s, "two\r\n");
    type(&s, "\004");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void rest_of_line_stays(void)
{
    struct session s;

    start(&s, "$RUN sh -c 'echo ready; dd bs=3 count=1 status=none; echo'; exec cat");
    expect(&s, "ready");
    type(&s, "abcdef\n");
    expect(&s, "abcdef\r\n");
    expect(&s, "abc\r\n");
    expect(&s, "def\r\n");
    type(&s, "\004");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void is_there(void)
{
    struct session s;

    start(
        &s,
        "$RUN bash -c 'read -t 0 || echo none; sleep 0.7; read -t 0 && read -r x; echo \"<$x>\"'");
    expect(&s, "none");
    type(&s, "line\n");
    expect(&s, "<line>");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

/* O_NONBLOCK, and VMIN and VTIME of zero: the answer comes at once, and is right. */
static void nonblocking(void)
{
    struct session s;

    start(&s,
          "sleep 0.3; $RUN python3 -c '\n"
          "import os, time\n"
          "os.set_blocking(0, False)\n"
          "print(os.read(0, 100))\n"
          "try: print(os.read(0, 100))\n"
          "except BlockingIOError: print(\"again\")\n"
          "os.set_blocking(0, True)\n"
          "os.system(\"stty -icanon min 0 time 0\")\n"
          "print(\"zero\", os.read(0, 100))\n"
          "os.system(\"stty min 0 time 3\")\n"
          "t = time.monotonic(); print(\"timed\", os.read(0, 100), time.monotonic() - t > 0.2)\n"
          "os.system(\"stty min 3 time 0\")\n"
          "print(\"three\", os.read(0, 100)); os.system(\"stty icanon\")\n"
          "'");
    type(&s, "line\n");
    expect(&s, "b'line\\n'");
    expect(&s, "again");
    expect(&s, "zero b''");
    expect(&s, "timed b'' True");
    usleep(300000);
    type(&s, "a");
    usleep(200000);
    type(&s, "bc");
    expect(&s, "three b'abc'");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

/* ---- pipelines ---- */

static void piped_in(void)
{
    struct session s;

    start(
        &s,
        "printf 'l1\\nl2\\n' | $RUN bash -c 'cat; read -rsn1 -p \"key? \" k </dev/tty; echo \"<$k>\"'");
    expect(&s, "l1\r\nl2\r\nkey? ");
    type(&s, "x");
    expect(&s, "<x>");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void pager_inside(void)
{
    struct session s;

    if (access("/usr/bin/less", X_OK) < 0) {
        puts("less is not installed");
        return;
    }
    start(&s, "seq 1 777 | $RUN less");
    expect(&s, "29\r\n");
    type(&s, "G");
    expect(&s, "777\r\n");
    type(&s, "q");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void piped_out(void)
{
    struct session s;

    start(&s, "$RUN sh -c 'read -r k; echo \"typed $k\"' | cat");
    type(&s, "word\n");
    expect(&s, "word\r\n");
    expect(&s, "typed word\r\n");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void piped_both(void)
{
    struct session s;

    start(&s, "echo a | $RUN sh -c 'cat; read -r k <&2; echo \"typed $k\"; stty size <&2' | cat");
    expect(&s, "a\r\n");
    type(&s, "word\n");
    expect(&s, "typed word\r\n");
    expect(&s, "30 100");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

/* The terminal belongs to whoever is at the end of the pipeline. */
static void pager_outside(void)
{
    struct session s;

    start(&s, "$RUN sh -c 'echo l1; sleep 0.3; echo l2' | "
              "bash -c 'read -rsn1 -p \"key? \" k </dev/tty; echo \"<$k>\"; cat'");
    expect(&s, "key? ");
    usleep(100000);
    type(&s, "x");
    expect(&s, "<x>\r\nl1\r\nl2\r\n");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void redirected(void)
{
    struct session s;

    start(&s, "$RUN sh -c 'echo ready >/dev/tty; read -r k </dev/tty; echo \"got $k\" >/dev/tty' "
              "</dev/null >/dev/null 2>&1");
    expect(&s, "ready\r\n");
    type(&s, "word\n");
    expect(&s, "got word\r\n");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void no_terminal(void)
{
    struct session s;

    start(&s, "setsid -w $RUN sh -c 'echo x >/dev/tty && echo opened' </dev/null 2>&1 | cat");
    expect(&s, "No such device or address");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

/* ---- signals of keys ---- */

static void interrupts(void)
{
    static const char *const lines[] = {
        "sleep 60 | $RUN sh -c 'echo ready >&2; exec sleep 60'",
        "$RUN sh -c 'echo ready >&2; exec sleep 60' | cat",
        "$RUN sh -c 'echo ready >/dev/tty; exec sleep 60' </dev/null >/dev/null 2>&1",
        "sleep 60 | $RUN sh -c 'echo ready >/dev/tty; read x </dev/tty' 2>&1 | cat",
    };

    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct session s;

        start(&s, lines[i]);
        expect(&s, "ready\r\n");
        usleep(50000);
        type(&s, "\003");
        expect(&s, "^C");
        expect(&s, "[signal 2 cooked]");
        end(&s);
    }
}

/* A key is for the foreground group, kill for one process alone. */
static void told_alone(void)
{
    struct session s;

    start(&s,
          "$RUN sh -c 'trap \"echo caught; exit 3\" TERM; (trap \"echo wrong\" TERM; echo ready; "
          "sleep 2); echo after' & p=$!; sleep 1.3; kill -TERM $p; wait $p; echo \"s $?\"");
    expect(&s, "ready\r\n");
    expect(&s, "caught\r\ns 3\r\n");
    if (strstr(s.seen, "wrong")) {
        printf("FAILED: the signal came to the child too\n");
        failures++;
    }
    end(&s);
}

static void stops(void)
{
    static const char *const lines[] = {
        "echo in | $RUN sh -c 'cat; read -r x </dev/tty; echo \"got $x\"'",
        "$RUN sh -c 'echo in; read -r x; echo \"got $x\"' | cat",
        "$RUN sh -c 'echo in >/dev/tty; read x </dev/tty; echo \"got $x\" >/dev/tty' <&- >&- 2>&-",
    };

    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct session s;

        start(&s, lines[i]);
        expect(&s, "in\r\n");
        usleep(100000);
        type(&s, "\032");
        expect(&s, "[stopped 20 cooked]");
        usleep(500000);
        type(&s, "line\n");
        expect(&s, "got line");
        expect(&s, "[exit 0 cooked]");
        end(&s);
    }
}

/* Who reads in the background is stopped, and reads when it is brought to the front. */
static void background(void)
{
    struct session s;
    char *argv[] = { "/bin/sh", "-c", "exec $RUN sh -c 'read -r x; echo \"got $x\"'", NULL };

    start_job(&s, argv, JOB_BACKGROUND);
    expect(&s, "[stopped 21 cooked]");
    usleep(500000);
    type(&s, "line\n");
    expect(&s, "got line");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

static void to_the_front(void)
{
    struct session s;
    char *argv[] = { "/bin/sh", "-c",
                     "exec $RUN sh -c 'sleep 1; read -r x; stty -echo; stty echo; echo \"got $x\"'",
                     NULL };

    start_job(&s, argv, JOB_LATER);
    sleep(1);
    type(&s, "line\n");
    expect(&s, "got line");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

/* In a group that no shell would continue: an error, not a stop. */
static void orphaned(void)
{
    struct session s;

    start(&s, "perl -e 'exit if fork; setpgrp; sleep 1; exec @ARGV' "
              "$RUN sh -c 'head -c 1; echo \"status $?\"'; sleep 3");
    expect(&s, "Input/output error");
    expect(&s, "status 1");
    end(&s);
}

static void resized(void)
{
    static const char *const lines[] = {
        "echo | $RUN bash -c 'trap \"stty size </dev/tty; exit 3\" WINCH; echo ready >&2; "
        "while :; do sleep 0.05; done'",
        "$RUN bash -c 'trap \"stty size >&2; exit 3\" WINCH; echo ready >&2; "
        "while :; do sleep 0.05; done' | cat >/dev/null",
        "$RUN bash -c 'trap \"stty size </dev/tty >/dev/tty; exit 3\" WINCH; echo ready >/dev/tty; "
        "while :; do sleep 0.05; done' </dev/null >/dev/null 2>&1",
    };

    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct winsize ws = { .ws_row = 41, .ws_col = 121 };
        struct session s;

        start(&s, lines[i]);
        expect(&s, "ready");
        usleep(100000);
        ioctl(s.pty, TIOCSWINSZ, &ws);
        expect(&s, "41 121");
        end(&s);
    }
}

/* ---- settings ---- */

static void settings(void)
{
    struct session s;

    start(&s, "stty -echoctl erase ^H; $RUN stty -a; $RUN stty -iexten; stty -a");
    expect(&s, "erase = ^H");
    expect(&s, " iexten");
    expect(&s, "-echoctl");
    expect(&s, "-iexten");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

/* A program that is killed leaves no raw terminal behind; sbx's doing, Linux would leave it. */
static void put_right(void)
{
    struct session s;

    if (strcmp(getenv("RUN"), "") == 0)
        return;
    start(&s, "$RUN sh -c 'stty raw -echo; kill -9 $$'");
    expect(&s, "[exit 137 cooked]");
    end(&s);
}

static void not_echoed(void)
{
    struct session s;

    start(&s, "$RUN bash -c 'read -rsp \"secret? \" x; echo; echo \"got $x\"' | cat");
    expect(&s, "secret? ");
    usleep(50000);
    type(&s, "abc\n");
    expect(&s, "got abc");
    if (strstr(strstr(s.seen, "secret? "), "abc") != strstr(s.seen, "got abc") + 4) {
        printf("FAILED: it was echoed\n");
        failures++;
    }
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

/* Who looks at a terminal late misses nothing. */
static void read_late(void)
{
    struct session s;

    start(&s, "$RUN seq 1000 9000");
    sleep(4);
    expect(&s, "\r\n9000\r\n");
    expect(&s, "[exit 0 cooked]");
    end(&s);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } tests[] = { { "typed_ahead", typed_ahead },
                  { "typed_meanwhile", typed_meanwhile },
                  { "second_line_stays", second_line_stays },
                  { "rest_of_line_stays", rest_of_line_stays },
                  { "is_there", is_there },
                  { "nonblocking", nonblocking },
                  { "piped_in", piped_in },
                  { "pager_inside", pager_inside },
                  { "piped_out", piped_out },
                  { "piped_both", piped_both },
                  { "pager_outside", pager_outside },
                  { "redirected", redirected },
                  { "no_terminal", no_terminal },
                  { "interrupts", interrupts },
                  { "told_alone", told_alone },
                  { "stops", stops },
                  { "background", background },
                  { "to_the_front", to_the_front },
                  { "orphaned", orphaned },
                  { "resized", resized },
                  { "settings", settings },
                  { "put_right", put_right },
                  { "not_echoed", not_echoed },
                  { "read_late", read_late } };
    char run[4200] = "";

    if (argc < 2)
        return 2;
    if (strcmp(argv[1], "native") != 0)
        snprintf(run, sizeof run, "%s run", argv[1]);
    setenv("RUN", run, 1);
    setenv("TERM", "xterm", 1);
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        int before = failures;

        if (argc > 2 && strcmp(argv[2], tests[i].name) != 0)
            continue;
        tests[i].fn();
        printf("%s: %s\n", tests[i].name, failures == before ? "passed" : "FAILED");
    }
    printf("%d failed\n", failures);
    return failures != 0;
}
