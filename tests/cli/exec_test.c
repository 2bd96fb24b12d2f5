/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_test SBX [TEST]: sbx exec -it as its user has it: a terminal inside that is the command's own, keys,
 * sizes, hang-up, several at once, and the user's own terminal left as it was.
 */
#include <sys/stat.h>

#include "terminal.h"

static const char *sbx;
static pid_t box;
static char dir[] = "/tmp/exec-test-XXXXXX", inside[64];

#define MAX_ARGS 12

static void start_sandbox(void)
{
    int up[2];
    char c;

    if (pipe(up) < 0)
        exit(2);
    box = fork();
    if (box == 0) {
        dup2(up[1], 1);
        close(0);
        open("/dev/null", O_RDONLY);
        setsid();
        execl(sbx, sbx, "run", "--name", "box", "--", "sh", "-c", "echo up; exec sleep 300",
              (char *)0);
        _exit(99);
    }
    close(up[1]);
    if (read(up[0], &c, 1) != 1) {
        printf("FAILED: no sandbox\n");
        exit(1);
    }
}

static void start(struct session *s, const char *const *args)
{
    char *argv[MAX_ARGS + 5] = { (char *)sbx, "exec", "-it", "box" };

    for (int i = 0; args[i]; i++)
        argv[i + 4] = (char *)args[i];
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

static void keys(void)
{
    struct session s;

    start(&s, ARGS("sh", "-c", "echo ready; exec sleep 60"));
    expect(&s, "ready");
    type(&s, "\003");
    expect(&s, "[exit 130 cooked]");
    end(&s);
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

/* A shell with job control inside: Ctrl-Z is for its job, not for us. */
static void jobs(void)
{
    struct session s;

    start(&s, ARGS("bash", "--norc", "--noediting", "-i"));
    type(&s, "echo $((40+2))-$TERM; sleep 50\n");
    expect(&s, "42-vt-of-the-test");
    usleep(300000);
    type(&s, "\032");
    expect(&s, "Stopped");
    type(&s, "jobs; kill %1; exit 9\n");
    expect(&s, "sleep 50");
    expect(&s, "[exit 9 cooked]");
    end(&s);
}

/* Everything that was printed is shown before the end, though the terminal is slow. */
static void flood(void)
{
    struct session s;

    start(&s, ARGS("sh", "-c", "seq 1 20000 | tail -c 40000; echo 'the'' end'; exit 6"));
    usleep(500000);
    expect(&s, "\n19999\r\n20000\r\nthe end\r\n");
    expect(&s, "[exit 6 cooked]");
    end(&s);
}

/* The user's terminal goes away: what runs inside is hung up. */
static void hangup(void)
{
    struct session s, t;
    char cmd[200];

    start(&s,
          ARGS("sh", "-c",
               "trap 'echo hup >/tmp/hup; exit' HUP; echo ready; while :; do sleep 0.05; done"));
    expect(&s, "ready");
    end(&s);
    snprintf(cmd, sizeof cmd,
             "for i in $(seq 100); do [ -s /tmp/hup ] && break; sleep 0.1; done; cat /tmp/hup");
    start(&t, ARGS("sh", "-c", cmd));
    expect(&t, "hup");
    expect(&t, "[exit 0 cooked]");
    end(&t);
}

static void several(void)
{
    struct session s[5];
    char text[80];

    for (int i = 0; i < 5; i++) {
        snprintf(text, sizeof text, "echo ready; read x; echo got-$x-%d; exit %d", i, i);
        start(&s[i], ARGS("sh", "-c", text));
    }
    for (int i = 4; i >= 0; i--) {
        expect(&s[i], "ready");
        snprintf(text, sizeof text, "line%d\n", i);
        type(&s[i], text);
        snprintf(text, sizeof text, "got-line%d-%d", i, i);
        expect(&s[i], text);
        snprintf(text, sizeof text, "[exit %d cooked]", i);
        expect(&s[i], text);
        end(&s[i]);
    }
}

static void errors(void)
{
    struct session s;

    start(&s, ARGS("no-such-program"));
    expect(&s, "sbx: no-such-program: No such file or directory");
    expect(&s, "[exit 127 cooked]");
    end(&s);
    start(&s, ARGS("sh", "-c", "kill -9 $$"));
    expect(&s, "[exit 137 cooked]");
    end(&s);
}

/* The sandbox ends while somebody is in it. Comes last. */
static void over(void)
{
    struct session s;

    start(&s, ARGS("sh", "-c", "echo ready; exec sleep 60"));
    expect(&s, "ready");
    kill(box, SIGTERM);
    expect(&s, "sbx: the sandbox box has ended");
    expect(&s, "[exit 125 cooked]");
    end(&s);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } tests[] = { { "size", size },       { "keys", keys },     { "lines", lines },
                  { "jobs", jobs },       { "flood", flood },   { "hangup", hangup },
                  { "several", several }, { "errors", errors }, { "over", over } };

    if (argc < 2 || !mkdtemp(dir))
        return 2;
    sbx = argv[1];
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
    setenv("XDG_RUNTIME_DIR", dir, 1);
    setenv("TERM", "vt-of-the-test", 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    start_sandbox();
    for (unsigned i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (argc > 2 && strcmp(argv[2], tests[i].name) != 0)
            continue;
        printf("%s\n", tests[i].name);
        tests[i].fn();
    }
    kill(box, SIGKILL);
    waitpid(box, NULL, 0);
    snprintf(inside, sizeof inside, "%s/sbx/box", dir);
    unlink(inside);
    snprintf(inside, sizeof inside, "%s/sbx", dir);
    rmdir(inside);
    rmdir(dir);
    printf("%d failed\n", failures);
    return failures != 0;
}
