/* SPDX-License-Identifier: Apache-2.0 */
/* The front end's side of serve.h. */
#include "cli/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "abi/unfenced.h"
#include "cli/error.h"
#include "cli/json.h"
#include "cli/logs.h"
#include "cli/stats.h"
#include "sentry/job.h"

static struct {
    char *name, *path;
    int listener;
    time_t since;
    uint32_t jobs; /* numbers given out */
    struct client {
        int fd;
        uint32_t job;      /* 0: none */
        bool usage, waits; /* has asked, and was not answered yet */
    } clients[SERVE_CLIENTS];
} serve = { .listener = -1 };

int named_open(const char *name)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    const char *dir;
    int other;

    if (!named_ok(name))
        return fail(EXIT_SBX, "--name %s: give letters, digits, '-', '_' and '.', at most 60",
                    name);
    dir = named_dir();
    if (!dir)
        return EXIT_SBX;
    serve.path = xjoin(dir, name);
    if (strlen(serve.path) >= sizeof at.sun_path)
        return fail(EXIT_SBX, "--name: %s is too long a path for a socket", serve.path);
    memcpy(at.sun_path, serve.path, strlen(serve.path));
    /* One that nobody serves any more was left by a front end that was killed. */
    other = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (other >= 0 && connect(other, (struct sockaddr *)&at, sizeof at) < 0 &&
        errno == ECONNREFUSED)
        unlink(serve.path);
    if (other >= 0)
        close(other);
    serve.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (serve.listener < 0 || bind(serve.listener, (struct sockaddr *)&at, sizeof at) < 0)
        return errno == EADDRINUSE
                   ? fail(EXIT_SBX, "--name %s: there is a sandbox of that name; see sbx ps", name)
                   : fail(EXIT_SBX, "--name %s: %s: %s", name, serve.path, strerror(errno));
    if (chmod(serve.path, 0600) < 0 || listen(serve.listener, 16) < 0)
        return fail(EXIT_SBX, "--name %s: %s", name, strerror(errno));
    logs_forget(name);
    serve.name = xstrdup(name);
    serve.since = time(NULL);
    for (unsigned i = 0; i < SERVE_CLIENTS; i++)
        serve.clients[i].fd = -1;
    return 0;
}

void named_close(void)
{
    if (serve.listener < 0 || !serve.name) /* another's, who has the name */
        return;
    unlink(serve.path);
    close(serve.listener);
    serve.listener = -1;
}

void named_poll(struct pollfd *fds)
{
    for (unsigned i = 0; i < SERVE_CLIENTS; i++)
        fds[i] = (struct pollfd){ .fd = serve.name ? serve.clients[i].fd : -1, .events = POLLIN };
    fds[SERVE_CLIENTS] = (struct pollfd){ .fd = serve.listener, .events = POLLIN };
}

static void answer(struct client *c, enum serve_type type, int value, const char *text, size_t n)
{
    static struct serve_msg m;

    m.type = type;
    m.value = value;
    m.len = (uint32_t)MIN(n, sizeof m.text);
    if (n)
        memcpy(m.text, text, m.len);
    send(c->fd, &m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void named_end(int status)
{
    for (unsigned i = 0; serve.name && i < SERVE_CLIENTS; i++) {
        if (serve.clients[i].fd >= 0 && serve.clients[i].waits)
            answer(&serve.clients[i], SERVE_EXITED, status, NULL, 0);
    }
}

static void drop(struct client *c)
{
    close(c->fd);
    *c = (struct client){ .fd = -1 };
}

static void tell_sentry(const struct launch *l, uint32_t type, uint64_t value, const int *fds,
                        unsigned n)
{
    const struct control_msg m = { .type = type, .value = value };

    fdmsg_send(l->control, &m, sizeof m, fds, n);
}

static void put_string(FILE *f, const char *s)
{
    fwrite(s, 1, strlen(s) + 1, f);
}

static const char *value_of(char *const *env, unsigned n, const char *name, size_t len)
{
    for (unsigned i = 0; i < n; i++) {
        if (strncmp(env[i], name, len) == 0 && env[i][len] == '=')
            return env[i];
    }
    return NULL;
}

/*
 * The client's request has arguments, what it sets of the environment, and where to start (or ""); the
 * rest is as the sandbox's own program has it.
 */
static int complete(const struct launch *l, int from)
{
    struct job_request h;
    struct stat st;
    char *text, *at, *end, **env;
    size_t n;
    int fd;
    FILE *f;

    if (fstat(from, &st) < 0 || st.st_size < (off_t)sizeof h || st.st_size > JOB_REQUEST_MAX ||
        pread(from, &h, sizeof h, 0) != (ssize_t)sizeof h)
        return -1;
    n = (size_t)st.st_size - sizeof h;
    text = xcalloc(n + 1, 1);
    if (pread(from, text, n, sizeof h) != (ssize_t)n || h.argc == 0 || h.argc > n || h.envc > n)
        return -1;
    end = text + n;
    at = text + strlen(text) + 1; /* behind cwd */
    for (uint32_t i = 0; i < h.argc; i++) {
        if (at >= end)
            return -1;
        at += strlen(at) + 1;
    }
    env = xcalloc(h.envc + 1ul, sizeof *env);
    char *env_at = at;

    for (uint32_t i = 0; i < h.envc; i++) {
        if (at >= end)
            return -1;
        env[i] = at;
        at += strlen(at) + 1;
    }
    fd = memfd_create("job", MFD_CLOEXEC);
    f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;
    if (!f)
        return -1;
    uint32_t given = h.envc;

    for (char **e = l->envp; *e; e++)
        h.envc += !value_of(env, given, *e, strcspn(*e, "="));
    h.as = (struct process_spec){ .flags = h.as.flags & PROCESS_TTY,
                                  .rows = h.as.rows,
                                  .cols = h.as.cols,
                                  .uid = l->user->uid,
                                  .gid = l->user->gid,
                                  .ngroups = MIN(l->user->ngroups, PROCESS_GROUPS) };
    for (uint32_t i = 0; i < h.as.ngroups; i++)
        h.as.groups[i] = l->user->groups[i];
    fwrite(&h, sizeof h, 1, f);
    put_string(f, *text ? text : l->shown->cwd);
    const char *argv_at = text + strlen(text) + 1;

    fwrite(argv_at, 1, (size_t)(env_at - argv_at), f);
    for (uint32_t i = 0; i < given; i++)
        put_string(f, env[i]);
    for (char **e = l->envp; *e; e++) {
        if (!value_of(env, given, *e, strcspn(*e, "=")))
            put_string(f, *e);
    }
    free(text);
    free(env);
    if (fclose(f) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void start_job(const struct launch *l, struct client *c, int fds[4])
{
    int request = complete(l, fds[0]);

    if (request < 0) {
        answer(c, SERVE_FAILED, EXIT_SBX, "a request that cannot be read", 29);
        return;
    }
    close(fds[0]);
    fds[0] = request;
    c->job = ++serve.jobs;
    tell_sentry(l, CTL_JOB, c->job, fds, 4);
}

/* In as many pieces as it takes; text is freed. */
static void tell_text(struct client *c, char *text)
{
    const size_t n = strlen(text);

    for (size_t at = 0; at < n; at += sizeof(((struct serve_msg *)0)->text))
        answer(c, SERVE_TEXT, 0, text + at, n - at);
    answer(c, SERVE_DONE, 0, NULL, 0);
    free(text);
}

static void tell_info(const struct launch *l, struct client *c)
{
    json_t *o = json_object(), *words = json_array();

    for (unsigned i = 0; i < l->options->nargs; i++)
        json_append(words, json_bytes(l->options->args[i]));
    json_put(o, "name", json_string(serve.name));
    json_put(o, "pid", json_integer(getpid()));
    json_put(o, "since", json_integer((json_int_t)serve.since));
    json_put(o, "detached", json_boolean(l->options->detach));
    json_put(o, "command", words);
    tell_text(c, json_line(o));
}

static void tell_policy(const struct launch *l, struct client *c, bool json,
                        void (*print)(const struct launch *l, FILE *f, bool json))
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    if (!f)
        return;
    print(l, f, json);
    fclose(f);
    tell_text(c, text);
}

static void put_limit(json_t *o, const char *key, uint64_t v)
{
    json_put(o, key, v == UINT64_MAX ? json_null() : json_integer((json_int_t)v));
}

/* Numbers of a sentry, which may lie: they are shown, and nothing else. */
static void tell_usage(const struct control_msg *m)
{
    struct stats_usage u;

    if (m->len != sizeof u)
        return;
    memcpy(&u, m->text, sizeof u);
    for (unsigned i = 0; i < SERVE_CLIENTS; i++) {
        json_t *o;

        if (serve.clients[i].fd < 0 || !serve.clients[i].usage)
            continue;
        serve.clients[i].usage = false;
        o = json_object();
        json_put(o, "name", json_string(serve.name));
        json_put(o, "pid", json_integer(getpid()));
        put_limit(o, "at_ns", u.at_ns);
        put_limit(o, "cpu_ns", u.cpu_ns);
        put_limit(o, "memory", u.memory);
        put_limit(o, "memory_limit", u.memory_max);
        put_limit(o, "memory_kernel", u.kernel);
        put_limit(o, "processes", u.processes);
        put_limit(o, "pids", u.tasks);
        put_limit(o, "pids_limit", u.tasks_max);
        put_limit(o, "output", u.output);
        json_put(o, "net_received", u.network ? json_integer((json_int_t)u.received) : json_null());
        json_put(o, "net_sent", u.network ? json_integer((json_int_t)u.sent) : json_null());
        tell_text(&serve.clients[i], json_line(o));
    }
}

#define RULES_ONCE 64

static void change_rules(struct launch *l, struct client *c, const struct serve_msg *m)
{
    static const enum rules_verb verbs[] = { [SERVE_NET_ALLOW] = RULES_ALLOW,
                                             [SERVE_NET_DENY] = RULES_DENY,
                                             [SERVE_NET_REMOVE] = RULES_REMOVE };
    char *texts[RULES_ONCE], *at, *end, why[256] = "a request that cannot be read";
    unsigned n = 0, cut = 0;
    int r = -EINVAL, e;

    at = xcalloc(1, sizeof m->text + 1);
    memcpy(at, m->text, sizeof m->text);
    end = at + MIN(m->len, (uint32_t)sizeof m->text);
    for (char *p = at; p < end && n < RULES_ONCE; p += strlen(p) + 1)
        texts[n++] = p;
    if (n && (unsigned)m->value < ARRAY_SIZE(verbs))
        r = rules_change(l->network, l->rules, verbs[m->value], texts, n, &cut, why);
    free(at);
    /* After the broker, whose resets are to get out. */
    e = r == 0 || r == -EIO ? netfence_update(&l->netfence, l->network) : 0;
    if (e < 0 && r == 0) {
        snprintf(why, sizeof why, "the rules hold, but not in the second fence (eBPF): %s",
                 strerror(-e));
        r = e;
    }
    if (r < 0) {
        answer(c, SERVE_FAILED, EXIT_SBX, why, strlen(why));
        return;
    }
    snprintf(why, sizeof why, "%u connection%s closed\n", cut, cut == 1 ? " was" : "s were");
    if (cut)
        answer(c, SERVE_TEXT, 0, why, strlen(why));
    answer(c, SERVE_DONE, 0, NULL, 0);
}

static void on_request(struct launch *l, struct client *c, const struct serve_msg *m, int fds[4],
                       unsigned nfds)
{
    switch (m->type) {
    case SERVE_INFO:
        tell_info(l, c);
        break;
    case SERVE_INSPECT:
        tell_policy(l, c, m->value == 1, inspect_print);
        break;
    case SERVE_NET:
        if (m->value <= SERVE_NET_JSON)
            tell_policy(l, c, m->value == SERVE_NET_JSON, inspect_network);
        else
            change_rules(l, c, m);
        break;
    case SERVE_WINSIZE:
        if (c->job)
            tell_sentry(l, CTL_JOB_WINSIZE, (uint64_t)c->job << 32 | (uint32_t)m->value, NULL, 0);
        break;
    case SERVE_KILL:
        if (m->value < 1 || m->value > 64)
            break;
        if (c->job) {
            tell_sentry(l, CTL_JOB_SIGNAL, (uint64_t)c->job << 32 | (uint32_t)m->value, NULL, 0);
            break;
        }
        tell_sentry(l, CTL_SIGNAL, (uint64_t)m->value, NULL, 0);
        answer(c, SERVE_DONE, 0, NULL, 0);
        break;
    case SERVE_USAGE:
        c->usage = true;
        tell_sentry(l, CTL_ASK_USAGE, 0, NULL, 0);
        break;
    case SERVE_WAIT:
        c->waits = true;
        break;
    case SERVE_EXEC:
        if (nfds == 4 && !c->job)
            start_job(l, c, fds);
        break;
    default:
        break;
    }
}

static void serve_client(struct launch *l, struct client *c)
{
    static struct serve_msg m;
    int fds[4];
    unsigned nfds;
    ssize_t n = fdmsg_receive(c->fd, &m, sizeof m, MSG_DONTWAIT, fds, ARRAY_SIZE(fds), &nfds);

    if (n == (ssize_t)sizeof m)
        on_request(l, c, &m, fds, nfds);
    fdmsg_close(fds, nfds);
    if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR))
        drop(c);
}

int serve_accept(int listener, uid_t user)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct ucred who;
    socklen_t len = sizeof who;

    if (fd < 0)
        return -1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
        (who.uid == user || who.uid == 0 || unfenced("peercred")))
        return fd;
    close(fd);
    return -1;
}

static void take_client(void)
{
    int fd = serve_accept(serve.listener, geteuid());

    for (unsigned i = 0; fd >= 0 && i < SERVE_CLIENTS; i++) {
        if (serve.clients[i].fd < 0) {
            serve.clients[i] = (struct client){ .fd = fd };
            return;
        }
    }
    if (fd >= 0)
        close(fd);
}

void named_serve(struct launch *l, const struct pollfd *fds)
{
    if (!serve.name)
        return;
    for (unsigned i = 0; i < SERVE_CLIENTS; i++) {
        if (fds[i].fd >= 0 && fds[i].fd == serve.clients[i].fd && fds[i].revents)
            serve_client(l, &serve.clients[i]);
    }
    if (fds[SERVE_CLIENTS].revents)
        take_client();
}

void named_control(const struct control_msg *m)
{
    uint32_t job = (uint32_t)(m->value >> 32);
    int value = (int)(uint32_t)m->value;

    if (m->type == CTL_USAGE)
        tell_usage(m);
    for (unsigned i = 0; job && m->type != CTL_USAGE && i < SERVE_CLIENTS; i++) {
        struct client *c = &serve.clients[i];

        if (c->fd < 0 || c->job != job)
            continue;
        if (m->type == CTL_JOB_EXIT)
            answer(c, SERVE_EXITED, value, NULL, 0);
        else
            answer(c, SERVE_FAILED, value, m->text, m->len);
        c->job = 0;
    }
}
