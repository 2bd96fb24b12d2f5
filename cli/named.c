/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about named sandboxes: exec, kill, inspect; more stand in named_more.c. Each asks a front end
 * (cli/serve.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "abi/unfenced.h"
#include "cli/cli.h"
#include "cli/error.h"
#include "cli/exec_tty.h"
#include "cli/results.h"
#include "cli/serve.h"
#include "cli/signals.h"
#include "sentry/job.h"

#define NOBODY 65534 /* of whom the host's root is shown as, in a user namespace */

bool named_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

    return n > 0 && n <= 60 && name[n] == 0 && name[0] != '.' && name[0] != '-';
}

/*
 * Ours, and nobody else's to write in: else anybody could answer in a sandbox's name. Nor to put another in its
 * place, as who owns the directory above could, or anybody where that is open to all and not sticky.
 */
static bool is_ours(const char *dir)
{
    char *above = xasprintf("%s/..", dir);
    struct stat st, up;
    bool ours = lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
                (st.st_mode & 022) == 0 && stat(above, &up) == 0 &&
                (up.st_uid == geteuid() || up.st_uid == 0 || up.st_uid == NOBODY) &&
                ((up.st_mode & 022) == 0 || (up.st_mode & S_ISVTX));

    free(above);
    return ours || unfenced("namesdir");
}

const char *named_dir(void)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    char *dir = base && base[0] == '/' ? xjoin(base, "sbx")
                : geteuid() == 0       ? xstrdup("/run/sbx")
                                       : xasprintf("/tmp/sbx-%u", (unsigned)geteuid());

    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        fail(EXIT_SBX, "%s: %s; names of sandboxes lie there, or in XDG_RUNTIME_DIR", dir,
             strerror(errno));
        return NULL;
    }
    if (!is_ours(dir)) {
        fail(EXIT_SBX, "%s is not yours alone; names of sandboxes cannot lie there", dir);
        return NULL;
    }
    return dir;
}

int named_try(const char *name)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    const char *dir = named_dir();
    char *path = dir ? xjoin(dir, name) : NULL;
    int fd = -1;

    if (path && strlen(path) < sizeof at.sun_path) {
        memcpy(at.sun_path, path, strlen(path));
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    }
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) < 0) {
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

int named_connect(const char *name)
{
    int fd = named_ok(name) ? named_try(name) : -1;

    if (fd < 0)
        fail(EXIT_SBX, "there is no sandbox named %s; see sbx ps", name);
    return fd;
}

bool named_alive(const char *name)
{
    int fd = named_try(name);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

bool named_ask(int fd, enum serve_type type, int value, struct serve_msg *ret)
{
    *ret = (struct serve_msg){ .type = type, .value = value };
    if (send(fd, ret, sizeof *ret, MSG_NOSIGNAL) != sizeof *ret)
        return false;
    return recv(fd, ret, sizeof *ret, 0) == sizeof *ret && ret->len <= sizeof ret->text;
}

#define TEXT_MAX (16u << 20) /* more nobody says */

char *named_text(int fd, enum serve_type type, int value)
{
    static struct serve_msg m;
    char *text = xstrdup("");
    size_t n = 0;
    bool ok = named_ask(fd, type, value, &m);

    while (ok && m.type == SERVE_TEXT && m.len <= sizeof m.text && n < TEXT_MAX) {
        text = xreallocarray(text, n + m.len + 1, 1);
        memcpy(text + n, m.text, m.len);
        n += m.len;
        text[n] = 0;
        ok = recv(fd, &m, sizeof m, 0) == sizeof m;
    }
    if (ok && m.type == SERVE_DONE && n > 0)
        return text;
    free(text);
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **named_list(unsigned *ret_n)
{
    const char *path = named_dir();
    DIR *d = path ? opendir(path) : NULL;
    char **names = NULL;
    struct dirent *e;

    *ret_n = 0;
    while (d && (e = readdir(d))) {
        if (named_ok(e->d_name))
            *(char **)xgrow(&names, ret_n, sizeof *names) = xstrdup(e->d_name);
    }
    if (d)
        closedir(d);
    if (*ret_n)
        qsort(names, *ret_n, sizeof *names, by_name);
    return names;
}

int cmd_kill(int argc, char **argv)
{
    static struct serve_msg m;
    int sig = SIGTERM, at = 1, fd;

    if (argc > 1 && argv[1][0] == '-') {
        sig = signal_number(argv[1] + (strncmp(argv[1], "--signal=", 9) == 0 ? 9 : 1));
        at = 2;
        if (sig <= 0)
            return fail(EXIT_SBX, "kill: no signal %s; give -KILL or -9", argv[1]);
    }
    if (argc - at < 1)
        return fail(EXIT_SBX, "kill: give a name: sbx kill [-SIGNAL] NAME");
    for (; at < argc; at++) {
        fd = named_connect(argv[at]);
        if (fd < 0)
            return EXIT_SBX;
        if (!named_ask(fd, SERVE_KILL, sig, &m))
            return fail(EXIT_SBX, "%s has ended", argv[at]);
        close(fd);
    }
    return 0;
}

int cmd_inspect(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    char *text;
    int fd;

    if (argc != 2 + json)
        return fail(EXIT_SBX, "inspect: give a name: sbx inspect [--json] NAME");
    fd = named_connect(argv[1 + json]);
    if (fd < 0)
        return EXIT_SBX;
    text = named_text(fd, SERVE_INSPECT, json);
    if (!text)
        return fail(EXIT_SBX, "%s has ended", argv[1 + json]);
    fputs(text, stdout);
    return fflush(stdout) == 0 ? 0 : EXIT_SBX;
}

/* ---- exec ---- */

struct exec_options {
    const char *cwd;
    char **env;
    unsigned nenv;
    bool tty, input;
};

static int write_request(const struct exec_options *o, char **args, uint32_t winsize)
{
    struct job_request h = { .envc = o->nenv,
                             .as = { .flags = o->tty ? PROCESS_TTY : 0,
                                     .rows = (uint16_t)(winsize >> 16),
                                     .cols = (uint16_t)winsize } };
    int fd = memfd_create("job", MFD_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;

    if (!f)
        return -1;
    while (args[h.argc])
        h.argc++;
    fwrite(&h, sizeof h, 1, f);
    fwrite(o->cwd ? o->cwd : "", 1, o->cwd ? strlen(o->cwd) + 1 : 1, f);
    for (char **a = args; *a; a++)
        fwrite(*a, 1, strlen(*a) + 1, f);
    for (unsigned i = 0; i < o->nenv; i++)
        fwrite(o->env[i], 1, strlen(o->env[i]) + 1, f);
    return fclose(f) == 0 ? fd : -1;
}

/* far: the other end of a terminal; -1: none. */
static bool send_request(int sock, int request, int far)
{
    static struct serve_msg m = { .type = SERVE_EXEC };
    int fds[4] = { request, 0, 1, 2 };

    for (int i = 1; i < 4 && far >= 0; i++)
        fds[i] = far;             /* the first one counts */
    for (int i = 1; i < 4; i++) { /* a closed one becomes nothing */
        if (fcntl(fds[i], F_GETFD) < 0)
            fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    return fdmsg_send(sock, &m, sizeof m, fds, ARRAY_SIZE(fds)) == 0;
}

/* What is passed on to the command: from before it can begin, as it may be answered at once. */
static int hold_signals(void)
{
    static const int forwarded[] = { SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM,
                                     SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT };
    sigset_t set;

    sigemptyset(&set);
    for (unsigned i = 0; i < ARRAY_SIZE(forwarded); i++)
        sigaddset(&set, forwarded[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* False: the terminal has hung up, and the command's has with it. */
static bool on_signal(int sock, int sig, struct exec_tty *t)
{
    struct serve_msg m = { .type = SERVE_KILL, .value = sig };

    if (sig == SIGCONT && t)
        exec_tty_raw(t); /* who stopped us has changed it */
    if (sig == SIGWINCH || sig == SIGCONT) {
        m.type = SERVE_WINSIZE;
        m.value = t ? (int32_t)exec_tty_size(t) : 0;
    }
    if (sig == SIGHUP && t)
        return false;
    if (t || m.type == SERVE_KILL)
        send(sock, &m, sizeof m, MSG_NOSIGNAL);
    return true;
}

/* The end of the command, or the exit status of an error that was printed; -1: neither. */
static int on_answer(int sock, const char *name, const char *command, struct exec_tty *t)
{
    static struct serve_msg m;

    if (recv(sock, &m, sizeof m, 0) == sizeof m) {
        if (m.type == SERVE_EXITED)
            return WIFEXITED(m.value) ? WEXITSTATUS(m.value) : 128 + WTERMSIG(m.value);
        if (m.type != SERVE_FAILED)
            return -1;
    } else {
        m = (struct serve_msg){ .type = SERVE_DONE };
    }
    if (t)
        exec_tty_leave(t);
    if (m.type == SERVE_DONE)
        return fail(EXIT_SBX, "the sandbox %s has ended", name);
    return fail(m.value, "%s: %.*s", command, (int)MIN(m.len, (uint32_t)sizeof m.text), m.text);
}

/* t: the terminal, or NULL; what was printed there is shown to its end. */
static int await_end(int sock, int signals, const char *name, const char *command,
                     struct exec_tty *t)
{
    int status = -1;

    while (status < 0 || (t && !exec_tty_done(t))) {
        enum { SOCK, SIGNALS, TTY, COUNT = TTY + EXEC_TTY_FDS };
        struct pollfd fds[COUNT] = { { .fd = status < 0 ? sock : -1, .events = POLLIN },
                                     { .fd = signals, .events = POLLIN } };
        struct signalfd_siginfo si;

        if (t)
            exec_tty_poll(t, fds + TTY);
        if (poll(fds, t ? COUNT : TTY, -1) < 0 && errno != EINTR)
            return fail(EXIT_SBX, "cannot wait: %s", strerror(errno));
        while (signals >= 0 && read(signals, &si, sizeof si) == sizeof si) {
            if (!on_signal(sock, (int)si.ssi_signo, t))
                return 128 + (int)si.ssi_signo;
            if (status >= 0 && si.ssi_signo != SIGWINCH && si.ssi_signo != SIGCONT)
                return status; /* nobody waits for the rest of it */
        }
        if (t)
            exec_tty_run(t, fds + TTY);
        if (fds[SOCK].revents & (POLLIN | POLLHUP))
            status = on_answer(sock, name, command, t);
    }
    return status;
}

/* The kind of terminal is ours, where -e says no other. */
static void pass_term(struct exec_options *o)
{
    const char *term = getenv("TERM");

    for (unsigned i = 0; i < o->nenv; i++)
        if (strncmp(o->env[i], "TERM=", 5) == 0)
            return;
    *(char **)xgrow(&o->env, &o->nenv, sizeof *o->env) = xasprintf("TERM=%s",
                                                                   term && *term ? term : "xterm");
}

int cmd_exec(int argc, char **argv)
{
    static const struct option longs[] = { { "cwd", 1, NULL, 'w' },
                                           { "env", 1, NULL, 'e' },
                                           { "tty", 0, NULL, 't' },
                                           { "interactive", 0, NULL, 'i' },
                                           { 0 } };
    struct exec_options o = { 0 };
    static struct exec_tty tty;
    int c, sock, request, signals, far = -1;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "+w:e:it", longs, NULL)) >= 0) {
        if (c == 'w')
            o.cwd = optarg;
        else if (c == 'e' && strchr(optarg, '=') && optarg[0] != '=')
            *(char **)xgrow(&o.env, &o.nenv, sizeof *o.env) = optarg;
        else if (c == 't')
            o.tty = true;
        else if (c == 'i')
            o.input = true;
        else
            return fail(EXIT_SBX, "exec: %s; give sbx exec [-it] [-w DIR] [-e K=V] NAME CMD [args]",
                        c == 'e' ? "-e needs NAME=VALUE"
                                 : "unknown option, or one without its value");
    }
    if (argc - optind < 2)
        return fail(EXIT_SBX, "exec: give a name and a command: sbx exec NAME CMD [args]");
    sock = named_connect(argv[optind]);
    if (sock < 0)
        return EXIT_SBX;
    if (o.tty && (c = exec_tty_open(&tty, o.input, &far)) != 0)
        return c;
    if (o.tty)
        pass_term(&o);
    request = write_request(&o, argv + optind + 1, o.tty ? exec_tty_size(&tty) : 0);
    signals = hold_signals();
    if (o.tty)
        exec_tty_raw(&tty);
    if (request < 0 || !send_request(sock, request, far))
        return fail(EXIT_SBX, "the sandbox %s cannot be asked: %s", argv[optind], strerror(errno));
    if (far >= 0)
        close(far);
    return await_end(sock, signals, argv[optind], argv[optind + 1], o.tty ? &tty : NULL);
}
