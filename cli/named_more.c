/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about named sandboxes that show, wait and tidy up: ps, wait, stop, rm. */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/error.h"
#include "cli/json.h"
#include "cli/launch.h"
#include "cli/logs.h"
#include "cli/options.h"
#include "cli/results.h"
#include "cli/serve.h"

/* ---- ps ---- */

/* Those that run, then (all) those that have ended and left a log. */
static json_t *gather(bool all)
{
    json_t *list = json_array();
    unsigned n;
    char **names = named_list(&n);

    for (unsigned i = 0; i < n; i++) {
        int fd = named_try(names[i]); /* else left by one that was killed */
        char *text = fd >= 0 ? named_text(fd, SERVE_INFO, 0) : NULL;
        json_t *o = text ? json_loads(text, 0, NULL) : NULL;

        if (o)
            json_append(list, o);
        free(text);
        if (fd >= 0)
            close(fd);
    }
    const char *path = all ? named_dir() : NULL;
    DIR *d = path ? opendir(path) : NULL;
    struct dirent *e;

    while (d && (e = readdir(d))) {
        const char *name = strncmp(e->d_name, ".log.", 5) == 0 ? e->d_name + 5 : NULL;
        json_t *o;

        if (!name || named_alive(name))
            continue;
        o = logs_ended(name);
        if (!o) { /* its front end was killed */
            o = json_object();
            json_put(o, "name", json_string(name));
            json_put(o, "status", json_null());
        }
        json_append(list, o);
    }
    if (d)
        closedir(d);
    return list;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static void print_row(const json_t *o)
{
    time_t since = (time_t)json_integer_value(json_object_get(o, "since"));
    const json_t *pid = json_object_get(o, "pid"), *status = json_object_get(o, "status"), *word;
    char when[32] = "-", how[32] = "killed";
    struct tm tm;
    size_t i;

    if (since)
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&since, &tm));
    if (pid)
        snprintf(how, sizeof how, "%" JSON_INTEGER_FORMAT, json_integer_value(pid));
    else if (json_is_integer(status))
        snprintf(how, sizeof how, "exit %" JSON_INTEGER_FORMAT, json_integer_value(status));
    printf("%-20s %-8s %-20s ", text_of(o, "name"), how, when);
    json_array_foreach(json_object_get(o, "command"), i, word)
    {
        fputs(i ? " " : "", stdout);
        results_escape(stdout, json_string_value(word) ? json_string_value(word) : "");
    }
    printf("\n");
}

int cmd_ps(int argc, char **argv)
{
    bool all = false, json = false;
    const json_t *o;
    json_t *list;
    size_t i;

    for (int k = 1; k < argc; k++) {
        if (strcmp(argv[k], "-a") == 0 || strcmp(argv[k], "--all") == 0)
            all = true;
        else if (strcmp(argv[k], "--json") == 0)
            json = true;
        else
            return fail(EXIT_SBX, "ps: unknown argument %s; give sbx ps [-a] [--json]", argv[k]);
    }
    if (!named_dir())
        return EXIT_SBX;
    list = gather(all);
    if (json)
        return json_print(list, stdout);
    printf("%-20s %-8s %-20s %s\n", "NAME", all ? "PID/END" : "PID", "SINCE", "COMMAND");
    json_array_foreach(list, i, o)
    {
        print_row(o);
    }
    return fflush(stdout) == 0 ? 0 : EXIT_SBX;
}

/* ---- wait and stop ---- */

/* Until it has ended, or (ms >= 0) so long. True: *ret_status is its exit status, -1: nobody knows. */
static bool await(int fd, int ms, int *ret_status)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    static struct serve_msg m;

    if (poll(&p, 1, ms) == 0)
        return false;
    *ret_status = recv(fd, &m, sizeof m, 0) == sizeof m && m.type == SERVE_EXITED ? m.value : -1;
    return true;
}

static int begin_wait(const char *name)
{
    struct serve_msg m = { .type = SERVE_WAIT };
    int fd = named_try(name);

    if (fd >= 0 && send(fd, &m, sizeof m, MSG_NOSIGNAL) != sizeof m) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* As docker has it: the status is printed. */
int cmd_wait(int argc, char **argv)
{
    if (argc < 2)
        return fail(EXIT_SBX, "wait: give a name: sbx wait NAME...");
    for (int i = 1; i < argc; i++) {
        int fd = named_ok(argv[i]) ? begin_wait(argv[i]) : -1, status = -1;
        json_t *o;

        if (fd >= 0)
            (void)await(fd, -1, &status);
        /* It was about to end when it was asked, or had. */
        o = status < 0 && named_ok(argv[i]) ? logs_ended(argv[i]) : NULL;
        if (o)
            status = (int)json_integer_value(json_object_get(o, "status"));
        else if (fd < 0)
            return fail(EXIT_SBX, "there is no sandbox named %s; see sbx ps -a", argv[i]);
        if (fd >= 0)
            close(fd);
        if (status < 0)
            return fail(EXIT_SBX, "%s has ended without a status: it was killed", argv[i]);
        printf("%d\n", status);
    }
    return fflush(stdout) == 0 ? 0 : EXIT_SBX;
}

static int stop_one(const char *name, uint64_t patience_ns)
{
    static struct serve_msg m;
    int fd = named_connect(name), waits = fd >= 0 ? begin_wait(name) : -1, status;

    if (fd < 0)
        return EXIT_SBX;
    if (waits < 0 || !named_ask(fd, SERVE_KILL, SIGTERM, &m)) {
        close(fd);
        return 0; /* it has ended meanwhile */
    }
    if (!await(waits, (int)MIN(patience_ns / 1000000, 1000000000ull), &status)) {
        (void)named_ask(fd, SERVE_KILL, SIGKILL, &m);
        (void)await(waits, -1, &status);
    }
    close(waits);
    close(fd);
    return 0;
}

int cmd_stop(int argc, char **argv)
{
    uint64_t patience = 10000000000ull;
    int at = 1, e = 0;

    if (argc > 2 && strcmp(argv[1], "-t") == 0) {
        if (parse_duration(argv[2], &patience) < 0)
            return fail(EXIT_SBX, "stop: -t %s: no time; give seconds", argv[2]);
        at = 3;
    }
    if (argc <= at)
        return fail(EXIT_SBX, "stop: give a name: sbx stop [-t SECONDS] NAME...");
    for (; e == 0 && at < argc; at++)
        e = stop_one(argv[at], patience);
    return e;
}

int cmd_rm(int argc, char **argv)
{
    if (argc < 2)
        return fail(EXIT_SBX, "rm: give a name: sbx rm NAME...");
    for (int i = 1; i < argc; i++) {
        char *path = named_ok(argv[i]) ? logs_path(".log.", argv[i]) : NULL;

        if (!path || access(path, F_OK) < 0)
            return fail(EXIT_SBX, "nothing is left of a sandbox named %s; see sbx ps -a", argv[i]);
        if (named_alive(argv[i]))
            return fail(EXIT_SBX, "%s runs; sbx stop %s ends it", argv[i], argv[i]);
        logs_forget(argv[i]);
        free(path);
    }
    return 0;
}
