/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: options of all commands, then a command with its own. Flags of runc, crun and runsc are
 * known alike, as people have them in daemon.json; one that has no meaning here is taken in silence, one
 * that would promise what is not there is refused with what to do instead.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/ids.h"
#include "oci/oci.h"

#ifndef SBX_COMMIT
#define SBX_COMMIT "unknown"
#endif

struct oci_globals oci;

bool oci_called(const char *argv0)
{
    static const char *const names[] = { "sbx-oci", "runc", "crun", "runsc" };
    const char *slash = strrchr(argv0, '/'), *name = slash ? slash + 1 : argv0;

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

bool oci_id_ok(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-");

    return n > 0 && n <= 1024 && !id[n] && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}

const char *oci_id_only(int argc, char **argv, int at)
{
    if (at < 0)
        return NULL;
    if (argc - at != 1) {
        oci_fail("%s: \"%s\" requires exactly 1 argument", argv[0], argv[0]);
        return NULL;
    }
    if (!oci_id_ok(argv[at])) {
        oci_fail("invalid container ID format: %s (an invalid character in the container ID)",
                 argv[at]);
        return NULL;
    }
    return argv[at];
}

/* ---- one option ---- */

static bool truth(const char *s, bool *ret)
{
    static const char *const yes[] = { "true", "1", "t", "T", "TRUE", "True" };
    static const char *const no[] = { "false", "0", "f", "F", "FALSE", "False" };

    for (unsigned i = 0; i < ARRAY_SIZE(yes); i++)
        if (strcmp(s, yes[i]) == 0)
            return *ret = true;
    for (unsigned i = 0; i < ARRAY_SIZE(no); i++)
        if (strcmp(s, no[i]) == 0) {
            *ret = false;
            return true;
        }
    return false;
}

static const struct oci_option *find(const struct oci_option *list, const char *name, size_t n)
{
    for (; list->name; list++) {
        if (strncmp(list->name, name, n) == 0 && !list->name[n])
            return list;
    }
    return NULL;
}

static const struct oci_option *find_letter(const struct oci_option *list, char c)
{
    for (; list->name; list++) {
        if (list->letter == c)
            return list;
    }
    return NULL;
}

static void add(char ***list, const char *value)
{
    unsigned n = 0;

    while (*list && (*list)[n])
        n++;
    *list = xreallocarray(*list, n + 2, sizeof **list);
    (*list)[n] = xstrdup(value);
    (*list)[n + 1] = NULL;
}

/* value NULL: none was given behind a "=". Returns how many further words it took; -1: an error. */
static int take(const char *cmd, const struct oci_option *o, const char *value, const char *next)
{
    bool flag = true;

    if (!o->takes_value) {
        if (o->to == &oci.rootless) {
            const char *word = value ? value : next;

            if (word && strcmp(word, "auto") == 0)
                return value ? 0 : 1; /* that was found out */
            if (!value && next && truth(next, &flag)) {
                oci.rootless = flag;
                return 1; /* runc has its value in the next word, runsc has none */
            }
        }
        if (value && !truth(value, &flag)) {
            oci_fail("%s: invalid boolean value \"%s\" for --%s", cmd, value, o->name);
            return -1;
        }
        if (o->to)
            *(bool *)o->to = flag;
        return 0;
    }
    if (!value && !next) {
        oci_fail("%s: flag needs an argument: --%s", cmd, o->name);
        return -1;
    }
    if (o->list)
        add(o->list, value ? value : next);
    else if (o->to)
        *(const char **)o->to = value ? value : next;
    return value ? 0 : 1;
}

/* Of one command; it ends there. */
static int usage(const char *cmd, const struct oci_option *list)
{
    printf("Usage: sbx-oci [options] %s [options] ...\n\n", cmd);
    for (; list->name; list++)
        printf("  --%s%s\n", list->name, list->takes_value ? " VALUE" : "");
    exit(fflush(stdout) == 0 ? 0 : 1);
}

int oci_options(int argc, char **argv, const struct oci_option *list)
{
    int i = 1;

    while (i < argc && argv[i][0] == '-' && argv[i][1]) {
        const char *word = argv[i] + 1, *value;
        const struct oci_option *o;
        int r;

        if (strcmp(word, "-") == 0)
            return i + 1;
        if (strcmp(word, "-help") == 0 || strcmp(word, "h") == 0)
            return usage(argv[0], list);
        word += *word == '-';
        value = strchr(word, '=');
        o = find(list, word, value ? (size_t)(value - word) : strlen(word));
        if (!o && argv[i][1] != '-' && (!word[1] || value == word + 1))
            o = find_letter(list, word[0]);
        if (!o) {
            oci_fail("%s: flag provided but not defined: %s", argv[0], argv[i]);
            return -1;
        }
        r = take(argv[0], o, value ? value + 1 : NULL, i + 1 < argc ? argv[i + 1] : NULL);
        if (r < 0)
            return -1;
        i += 1 + r;
    }
    return i;
}

/* ---- all commands ---- */

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    { "create", oci_create, "make a container, its program held" },
    { "start", oci_start, "let the program of a container run" },
    { "run", oci_run, "create and start, wait, and delete" },
    { "state", oci_state, "the state of a container, as JSON" },
    { "kill", oci_kill, "send a signal to the program of a container" },
    { "delete", oci_delete, "what is left of a container goes" },
    { "list", oci_list, "the containers of this root" },
    { "exec", oci_exec, "run another program in a container" },
    { "ps", oci_ps, "processes of a container, as the host sees them" },
    { "pause", oci_pause, "freeze a container" },
    { "resume", oci_resume, "let it go on" },
    { "update", oci_update, "change its limits" },
    { "events", oci_events, "its figures" },
    { "features", oci_features, "what this runtime can do, as JSON" },
    { "spec", oci_spec, "write an example config.json" },
};

static int help(void)
{
    puts("sbx as an OCI runtime: containers under a kernel of their own, in user space.\n\n"
         "Usage: sbx-oci [options] COMMAND [options] [ID ...]\n");
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].help);
    puts("\nOptions: --root DIR, --log FILE, --log-format text|json, --debug, --systemd-cgroup,\n"
         "--cgroup-manager cgroupfs|systemd|disabled, --rootless true|false|auto, --version");
    return 0;
}

static int version(void)
{
    printf("sbx version " SBX_VERSION "\ncommit: " SBX_COMMIT "\nspec: " OCI_VERSION "\n");
    return 0;
}

static int later(const char *what)
{
    return oci_fail("%s is not supported", what);
}

static int command(int argc, char **argv)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(argv[0], commands[i].name) == 0)
            return commands[i].run(argc, argv);
    if (strcmp(argv[0], "checkpoint") == 0 || strcmp(argv[0], "restore") == 0)
        return later(argv[0]);
    if (strcmp(argv[0], "help") == 0)
        return help();
    if (strcmp(argv[0], "version") == 0)
        return version();
    return oci_fail("No help topic for '%s'", argv[0]);
}

static struct idmap users;

/* Root of a user namespace has not the rights of root: podman without it, and Docker's rootlesskit, start us so. */
static bool find_rootless(void)
{
    idmap_own("uid_map", &users);
    return geteuid() != 0 || users.ranges[0].outside != 0 || users.ranges[0].count != UINT32_MAX;
}

static const char *default_root(bool rootless)
{
    const char *base = getenv("XDG_RUNTIME_DIR");

    if (!rootless)
        return "/run/sbx-oci";
    return base && *base == '/' ? xjoin(base, "sbx-oci")
                                : xasprintf("/tmp/sbx-oci-%u", (unsigned)users.ranges[0].outside +
                                                                   (unsigned)geteuid());
}

int oci_main(int argc, char **argv)
{
    static const char *log_format, *manager, *none;
    static bool show_version, systemd, seccomp, ignore_cgroups;
    const struct oci_option list[] = {
        { "root", 0, true, &oci.root, NULL },
        { "log", 0, true, &oci.log, NULL },
        { "log-format", 0, true, &log_format, NULL },
        { "debug", 0, false, &oci.debug, NULL },
        { "systemd-cgroup", 0, false, &systemd, NULL },
        { "cgroup-manager", 0, true, &manager, NULL },
        { "rootless", 0, false, &oci.rootless, NULL },
        { "criu", 0, true, &none, NULL },
        { "version", 'v', false, &show_version, NULL },
        /* of runsc */
        { "ignore-cgroups", 0, false, &ignore_cgroups, NULL },
        { "network", 0, true, &oci.net, NULL },
        { "oci-seccomp", 0, false, &seccomp, NULL },
        { "platform", 0, true, &none, NULL },
        { "debug-log", 0, true, &none, NULL },
        { "debug-log-format", 0, true, &none, NULL },
        { "debug-command", 0, true, &none, NULL },
        { "panic-log", 0, true, &none, NULL },
        { "alsologtostderr", 0, false, NULL, NULL },
        { "file-access", 0, true, &none, NULL },
        { "file-access-mounts", 0, true, &none, NULL },
        { "directfs", 0, false, NULL, NULL },
        { "vfs2", 0, false, NULL, NULL },
        { "fuse", 0, false, NULL, NULL },
        { "lisafs", 0, false, NULL, NULL },
        { "host-uds", 0, true, &none, NULL },
        { "net-raw", 0, false, NULL, NULL },
        { "watchdog-action", 0, true, &none, NULL },
        { "cpu-num-from-quota", 0, false, NULL, NULL },
        { "allow-flag-override", 0, false, NULL, NULL },
        { NULL, 0, false, NULL, NULL },
    };
    bool rootless;
    int at;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return help();
    rootless = oci.rootless = find_rootless();
    at = oci_options(argc, argv, list);
    if (at < 0)
        return 1;
    if (log_format && strcmp(log_format, "json") != 0 && strcmp(log_format, "text") != 0 &&
        strcmp(log_format, "json-k8s") != 0)
        return oci_fail("invalid log-format: %s", log_format);
    oci.json = log_format && log_format[0] == 'j';
    oci.systemd_cgroup = systemd || (manager && strcmp(manager, "systemd") == 0);
    oci.no_cgroup = ignore_cgroups || (manager && strcmp(manager, "disabled") == 0);
    if (!oci.root || !*oci.root)
        oci.root = default_root(rootless);
    if (show_version)
        return version();
    if (at >= argc)
        return help();
    if (oci_log_open() != 0)
        return 1;
    if (seccomp)
        return oci_fail("--oci-seccomp is not supported: the guest's calls never reach the host; "
                        "leave the flag out");
    return command(argc - at, argv + at);
}
