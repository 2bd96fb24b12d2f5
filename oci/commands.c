/* SPDX-License-Identifier: Apache-2.0 */
/* The commands about a container that is there: start, state, kill, delete, list, pause, resume. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/cgroup.h"
#include "oci/create.h"
#include "oci/hooks.h"
#include "oci/oci.h"
#include "oci/wire.h"

static const struct oci_option no_options[] = { { NULL, 0, false, NULL, NULL } };

/* Its configuration as it was at create; false: it is not there, or not whole. */
static bool kept_config(const struct oci_state *s, struct oci_config *c)
{
    char *path = xjoin(s->dir, "config.json"), why[OCI_WHY];
    json_t *doc;

    return oci_config_read(path, /* process_only= */ false, c, &doc, why) == 0;
}

int oci_start(int argc, char **argv)
{
    const char *id = oci_id_only(argc, argv, oci_options(argc, argv, no_options));
    static struct oci_config c;
    struct oci_state s;
    int notify;

    if (!id || oci_state_get(id, /* lock= */ true, &s))
        return 1;
    switch (oci_status_now(&s)) {
    case OCI_CREATED:
        break;
    case OCI_STOPPED:
        return oci_fail("cannot start a container that has stopped");
    case OCI_CREATING:
        return oci_fail("cannot start a container in the creating state");
    default:
        return oci_fail("cannot start an already running container");
    }
    if (!kept_config(&s, &c))
        return oci_fail("container %s: its configuration cannot be read", id);
    if (container_start(&s, &c, &notify) == 0) {
        container_notify(&s, notify);
        return 0;
    }
    if (s.status == OCI_RUNNING) /* a hook has failed, and its program was ended */
        container_remove(&s);
    return 1;
}

static int print(json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(2));

    if (!text || printf("%s\n", text) < 0 || fflush(stdout) != 0)
        return oci_fail("cannot write: %s", oci_strerror(errno));
    free(text);
    json_decref(o);
    return 0;
}

int oci_state(int argc, char **argv)
{
    const char *id = oci_id_only(argc, argv, oci_options(argc, argv, no_options));
    enum oci_status status;
    struct oci_state s;

    if (!id || oci_state_get(id, /* lock= */ false, &s))
        return 1;
    status = oci_status_now(&s);
    if (status == OCI_CREATING) /* as with runc: callers ask until there is one */
        return oci_fail("container does not exist: it is being created");
    return print(oci_state_json(&s, status, /* hook= */ false));
}

/* ---- kill ---- */

/* "9", "KILL", "SIGKILL"; in any case. -1. */
static int signal_number(const char *s)
{
    static const struct {
        const char *name;
        int nr;
    } list[] = {
        { "HUP", SIGHUP },       { "INT", SIGINT },   { "QUIT", SIGQUIT },     { "ILL", SIGILL },
        { "TRAP", SIGTRAP },     { "ABRT", SIGABRT }, { "IOT", SIGABRT },      { "BUS", SIGBUS },
        { "FPE", SIGFPE },       { "KILL", SIGKILL }, { "USR1", SIGUSR1 },     { "SEGV", SIGSEGV },
        { "USR2", SIGUSR2 },     { "PIPE", SIGPIPE }, { "ALRM", SIGALRM },     { "TERM", SIGTERM },
        { "STKFLT", SIGSTKFLT }, { "CHLD", SIGCHLD }, { "CONT", SIGCONT },     { "STOP", SIGSTOP },
        { "TSTP", SIGTSTP },     { "TTIN", SIGTTIN }, { "TTOU", SIGTTOU },     { "URG", SIGURG },
        { "XCPU", SIGXCPU },     { "XFSZ", SIGXFSZ }, { "VTALRM", SIGVTALRM }, { "PROF", SIGPROF },
        { "WINCH", SIGWINCH },   { "IO", SIGIO },     { "POLL", SIGIO },       { "PWR", SIGPWR },
        { "SYS", SIGSYS },       { "RTMIN", 34 },     { "RTMAX", 64 },
    };
    char *end;
    long n = strtol(s, &end, 10);

    if (*s && !*end)
        return n >= 0 && n <= 64 ? (int)n : -1;
    if (strncasecmp(s, "SIG", 3) == 0)
        s += 3;
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        if (strcasecmp(s, list[i].name) == 0)
            return list[i].nr;
    if (strncasecmp(s, "RTMIN+", 6) == 0 && (n = strtol(s + 6, &end, 10)) >= 0 && n <= 30 && !*end)
        return 34 + (int)n;
    if (strncasecmp(s, "RTMAX-", 6) == 0 && (n = strtol(s + 6, &end, 10)) >= 0 && n <= 30 && !*end)
        return 64 - (int)n;
    return -1;
}

/* Who kills one deletes it next, and finds that it has ended: as quickly as with a process of the host. */
#define KILLED_MS 2000

/* A signal waits until it goes on; a SIGKILL makes it go on. */
static int kill_paused(struct oci_state *s, const struct wire_msg *m)
{
    const struct wire_msg resume = { .type = WIRE_RESUME };

    if (wire_ask(s, m))
        return 1;
    if (m->value != SIGKILL)
        return 0;
    s->status = OCI_RUNNING;
    if (wire_ask(s, &resume) == 0)
        await_end(s->pid, s->start_time, KILLED_MS);
    return oci_state_save(s) < 0 ? oci_fail("cannot write the state of %s", s->id) : 0;
}

int oci_kill(int argc, char **argv)
{
    bool all = false;
    const struct oci_option list[] = { { "all", 'a', false, &all, NULL },
                                       { NULL, 0, false, NULL, NULL } };
    int at = oci_options(argc, argv, list), sig = SIGTERM;
    struct oci_state s;

    if (at < 0)
        return 1;
    if (argc - at < 1 || argc - at > 2)
        return oci_fail("kill: give an id, and a signal if it is not TERM");
    if (argc - at == 2)
        sig = signal_number(argv[at + 1]);
    if (sig < 0)
        return oci_fail("unknown signal \"%s\"", argv[at + 1]);
    if (oci_state_get(argv[at], /* lock= */ true, &s))
        return 1;
    const struct wire_msg m = { .type = WIRE_KILL, .value = sig, .all = all };

    switch (oci_status_now(&s)) {
    case OCI_STOPPED:
        return all ? 0 : oci_fail("container not running");
    case OCI_PAUSED:
        return kill_paused(&s, &m);
    default:
        if (wire_ask(&s, &m))
            return 1;
        if (sig == SIGKILL)
            await_end(s.pid, s.start_time, KILLED_MS);
        return 0;
    }
}

/* ---- delete ---- */

/* Ends what still runs. The sandbox's processes end with the proxy; the cgroup tells when they have. */
static void end_processes(struct oci_state *s)
{
    unsigned n;

    if (s->pid > 1 && oci_start_time(s->pid) == s->start_time) {
        kill(s->pid, SIGKILL);
        await_end(s->pid, s->start_time, 10000);
    }
    oci_cgroup_kill(s->cgroups);
    for (int i = 0; i < 2000; i++) {
        free(oci_cgroup_pids(s->cgroups, &n));
        if (n == 0)
            break;
        usleep(2000);
    }
}

int container_remove(struct oci_state *s)
{
    static struct oci_config c;
    char why[OCI_WHY];
    bool hooks = kept_config(s, &c);
    int r;

    end_processes(s);
    r = oci_cgroup_remove(s->cgroups, s->unit);
    if (r < 0)
        oci_log(OCI_WARNING, "the cgroup of %s cannot be removed: %s", s->id, oci_strerror(r));
    r = oci_state_remove(s);
    if (r < 0)
        return oci_fail("container %s: %s: %s", s->id, s->dir, oci_strerror(r));
    if (hooks && oci_hooks_run(&c, HOOK_POSTSTOP, s, OCI_STOPPED, why) < 0)
        oci_log(OCI_WARNING, "%s", why);
    return 0;
}

/* create was ended on the way: what it left has no state, or one of a proxy that waits for it. */
static int remove_half(struct oci_state *s)
{
    int r = oci_state_remove(s);

    return r < 0 ? oci_fail("container %s: %s", s->id, oci_strerror(r)) : 0;
}

int oci_delete(int argc, char **argv)
{
    bool force = false;
    const struct oci_option list[] = { { "force", 'f', false, &force, NULL },
                                       { NULL, 0, false, NULL, NULL } };
    const char *id = oci_id_only(argc, argv, oci_options(argc, argv, list));
    enum oci_status status;
    struct oci_state s;
    int r;

    if (!id)
        return 1;
    r = oci_state_load(id, /* lock= */ true, &s);
    if (r == -ENOENT && force)
        return 0;
    if (r == -EINVAL && force)
        return remove_half(&s);
    if (r < 0)
        return oci_state_get(id, /* lock= */ false, &s); /* which says what is wrong */
    status = oci_status_now(&s);
    if (!force && status != OCI_STOPPED && await_end(s.pid, s.start_time, 100))
        status = OCI_STOPPED; /* it was about to end */
    if (!force && status != OCI_STOPPED && status != OCI_CREATED)
        return oci_fail("cannot delete container %s that is not stopped: %s", id,
                        oci_status_name(status));
    return container_remove(&s);
}

/* ---- list ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **names(unsigned *ret_n)
{
    DIR *d = opendir(oci.root);
    struct dirent *e;
    char **list = NULL;

    *ret_n = 0;
    while (d && (e = readdir(d)))
        if (oci_id_ok(e->d_name))
            *(char **)xgrow(&list, ret_n, sizeof *list) = xstrdup(e->d_name);
    if (d)
        closedir(d);
    if (*ret_n)
        qsort(list, *ret_n, sizeof *list, by_name);
    return list;
}

int oci_list(int argc, char **argv)
{
    const char *format = "table";
    bool quiet = false;
    const struct oci_option list[] = { { "format", 'f', true, &format, NULL },
                                       { "quiet", 'q', false, &quiet, NULL },
                                       { NULL, 0, false, NULL, NULL } };
    int at = oci_options(argc, argv, list);
    json_t *all = json_array();
    unsigned n;
    char **ids;

    if (at < 0)
        return 1;
    if (strcmp(format, "table") != 0 && strcmp(format, "json") != 0)
        return oci_fail("invalid format option");
    ids = names(&n);
    if (!quiet && *format == 't')
        printf("%-28s %-11s %-11s %-32s %-32s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED",
               "OWNER");
    for (unsigned i = 0; i < n; i++) {
        struct oci_state s;

        if (oci_state_load(ids[i], /* lock= */ false, &s) < 0)
            continue; /* half made, or going */
        enum oci_status status = oci_status_now(&s);

        close(s.dir_fd);
        if (quiet)
            printf("%s\n", s.id);
        else if (*format == 't')
            printf("%-28s %-11d %-11s %-32s %-32s %s\n", s.id,
                   status == OCI_STOPPED ? 0 : (int)s.pid, oci_status_name(status), s.bundle,
                   s.created, "root");
        else
            json_array_append_new(all, oci_state_json(&s, status, /* hook= */ false));
    }
    if (*format == 't' || quiet)
        return fflush(stdout) == 0 ? 0 : 1;
    if (json_array_size(all))
        return print(all);
    puts("null");
    return 0;
}

/* ---- pause ---- */

static int freeze(int argc, char **argv, bool on)
{
    const char *id = oci_id_only(argc, argv, oci_options(argc, argv, no_options));
    enum oci_status want = on ? OCI_RUNNING : OCI_PAUSED, now;
    const struct wire_msg m = { .type = on ? WIRE_PAUSE : WIRE_RESUME };
    struct oci_state s;

    if (!id || oci_state_get(id, /* lock= */ true, &s))
        return 1;
    now = oci_status_now(&s);
    if (now != want)
        return oci_fail("container %s", on ? "not running" : "not paused");
    if (wire_ask(&s, &m))
        return 1;
    s.status = on ? OCI_PAUSED : OCI_RUNNING;
    return oci_state_save(&s) < 0 ? oci_fail("cannot write the state of %s", id) : 0;
}

int oci_pause(int argc, char **argv)
{
    return freeze(argc, argv, true);
}

int oci_resume(int argc, char **argv)
{
    return freeze(argc, argv, false);
}
