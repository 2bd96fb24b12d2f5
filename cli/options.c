/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table: the word, its letter, what its value is and where it goes. The help text, the parser,
 * profiles (options_profile.c) and (by `sbx run --help`) the manual page's test read the same rows.
 */
#include "cli/options_table.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/error.h"
#include "cli/require.h"

#define AT(member) offsetof(struct run_options, member)

const struct option_row option_rows[] = {
    { "rootfs", 0, 1, T_STRING, AT(rootfs), 0, "DIR", "run in this tree, not the host's" },
    { "bind", 'v', 1, T_BIND, 0, 0, "SRC[:DST][:ro|:rw]", "show a file or directory of the host" },
    { "ro-bind", 0, 1, T_RO_BIND, 0, 0, "SRC DST", "the same as bwrap has it: read-only" },
    { "image", 0, 1, T_LIST, AT(images), AT(nimages), "FILE:DIR[:ro]",
      "show what a squashfs or EROFS image holds" },
    { "tmpfs", 0, 1, T_LIST, AT(tmpfs), AT(ntmpfs), "DIR", "an empty directory in memory" },
    { "cwd", 'w', 1, T_STRING, AT(cwd), 0, "DIR", "start in this directory" },
    { "env", 'e', 1, T_LIST, AT(env), AT(nenv), "K=V", "set a variable (K alone: pass it on)" },
    { "user", 'u', 1, T_STRING, AT(user), 0, "USER[:GROUP]", "user inside, by name or number" },
    { "name", 0, 1, T_STRING, AT(name), 0, "NAME", "for sbx ps, exec, logs, ..." },
    { "detach", 'd', 0, T_FLAG, AT(detach), 0, NULL, "run it behind; print its name" },
    { "profile", 0, 1, T_STRING, AT(profile), 0, "NAME", "options of a file; none" },
    { "trust-profile", 0, 0, T_FLAG, AT(trust), 0, NULL, "take the script's profile" },
    { "print-profile", 0, 0, T_FLAG, AT(print_profile), 0, NULL, "print all as TOML" },
    { "hostname", 0, 1, T_STRING, AT(hostname), 0, "NAME", "host name inside (sbx)" },
    { "timeout", 0, 1, T_DURATION, 0, 0, "TIME", "end it after 5, 1.5s, 2m, 1h: status 124" },
    { "memory", 'm', 1, T_LIMIT, LIMIT_MEMORY, 0, "SIZE", "at most so much memory: 300M, 2G" },
    { "pids", 0, 1, T_LIMIT, LIMIT_TASKS, 0, "N", "at most so many processes and threads" },
    { "cpus", 0, 1, T_CPUS, 0, 0, "N", "at most so many cpus at once: 1, 0.5" },
    { "cpu-time", 0, 1, T_LIMIT, LIMIT_CPU_TIME, 0, "TIME", "at most so much processor time: 124" },
    { "file-size", 0, 1, T_LIMIT, LIMIT_FILE_SIZE, 0, "SIZE", "no file longer than this" },
    { "disk", 0, 1, T_LIMIT, LIMIT_FILE_BYTES, 0, "SIZE", "at most so much in files" },
    { "output", 0, 1, T_LIMIT, LIMIT_OUTPUT, 0, "SIZE", "at most so much output: status 153" },
    { "net", 0, 1, T_STRING, AT(net), 0, "MODE", "none, or host: all that the host reaches" },
    { "allow-net", 0, 1, T_LIST, AT(allow_net), AT(nallow_net), "WHAT",
      "let it reach NAME, *.NAME or CIDR, :PORT,..." },
    { "deny-net", 0, 1, T_LIST, AT(deny_net), AT(ndeny_net), "WHAT", "but not this" },
    { "publish", 'p', 1, T_LIST, AT(publish), AT(npublish), "[IP:]PORT:PORT",
      "let the host's PORT reach one inside" },
    { "changes", 0, 2, T_CHANGES, 0, 0, "DIR", "list what was changed there (where it starts)" },
    { "diff", 0, 0, T_FLAG, AT(diff), 0, NULL, "show changed text" },
    { "save-changes", 0, 1, T_STRING, AT(save_changes), 0, "DIR", "copy what was changed" },
    { "apply", 0, 2, T_APPLY, 0, 0, "WHEN", "write changes to the host: ask or always" },
    { "json", 0, 0, T_FLAG, AT(json), 0, NULL, "list changes as JSON" },
    { "require", 0, 1, T_REQUIRE, 0, 0, "LIST", "refuse to run without these: see sbx(1)" },
    { "platform", 0, 1, T_STRING, AT(platform), 0, "NAME", "auto, trap or ptrace" },
    { "strace", 0, 2, T_STRACE, 0, 0, "FILE", "print the system calls, as strace does" },
    { "stats", 0, 2, T_STATS, 0, 0, "json", "print times and counts at the end" },
    { "log", 0, 1, T_STRING, AT(log_file), 0, "FILE", "what sbx itself has to say" },
    { "log-level", 0, 1, T_LEVEL, 0, 0, "LEVEL", "error, warning, info or debug" },
    { "interactive", 'i', 0, T_NOTHING, 0, 0, NULL, "as always: it reads your input" },
    { "tty", 't', 0, T_NOTHING, 0, 0, NULL, "as always: it has your terminal" },
    { "rm", 0, 0, T_FLAG, AT(rm), 0, NULL, "as always; with -d: keep no log of it" },
    { "help", 'h', 0, T_HELP, 0, 0, NULL, "this text" },
};
const unsigned option_rows_count = ARRAY_SIZE(option_rows);

#define LONG_BASE 1000

int parse_duration(const char *s, uint64_t *ret_ns)
{
    static const struct {
        const char *suffix;
        double factor;
    } units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
    char *end;
    double v;

    if (*s != '.' && (*s < '0' || *s > '9')) /* no sign, no "inf" */
        return -EINVAL;
    v = strtod(s, &end);
    for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
        if (end != s && strcmp(end, units[i].suffix) == 0) {
            v *= units[i].factor;
            if (!isfinite(v) || v > 1e9) /* thirty years will do */
                return -EINVAL;
            *ret_ns = v > 0 && v < 1e-9 ? 1 : (uint64_t)(v * 1e9);
            return 0;
        }
    }
    return -EINVAL;
}

int parse_bind(const char *s, struct bind_option *ret)
{
    char *copy = xstrdup(s), *last = strrchr(copy, ':');
    struct bind_option b = { 0 };

    if (last && (strcmp(last, ":ro") == 0 || strcmp(last, ":rw") == 0)) {
        b.ro = last[2] == 'o';
        b.rw = !b.ro;
        *last = 0;
    }
    b.src = copy;
    b.dst = strchr(copy, ':');
    if (b.dst)
        *b.dst++ = 0;
    if (!*b.src || (b.dst && (*b.dst != '/' || strchr(b.dst, ':'))))
        return -EINVAL;
    *ret = b;
    return 0;
}

static int parse_level(const char *s, int *ret)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(s, names[i]) == 0 || (s[0] == (char)('0' + i) && !s[1])) {
            *ret = (int)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int take_bind(struct run_options *o, const char *v)
{
    struct bind_option b;

    if (parse_bind(v, &b) < 0)
        return fail(EXIT_SBX, "--bind %s: give SRC[:DST][:ro|:rw], DST an absolute path", v);
    struct bind_option *slot = xgrow(&o->binds, &o->nbinds, sizeof b);
    *slot = b;
    return 0;
}

/* The second value is the next word. */
static int take_ro_bind(struct run_options *o, const char *src, const char *dst)
{
    struct bind_option *slot;

    if (!*src || !dst || *dst != '/')
        return fail(EXIT_SBX, "--ro-bind %s: give both: --ro-bind SRC DST, DST an absolute path",
                    src);
    slot = xgrow(&o->binds, &o->nbinds, sizeof *slot);
    *slot = (struct bind_option){ .src = xstrdup(src), .dst = xstrdup(dst), .ro = true };
    o->given_rows |= options_bit("bind");
    return 0;
}

static int take_limit(struct run_options *o, const struct option_row *r, const char *v)
{
    uint64_t *at = &o->limit[r->where];
    bool time = r->where == LIMIT_CPU_TIME;

    o->given |= 1u << r->where;
    if (time ? parse_duration(v, at) < 0 : !limits_value(v, at))
        return fail(EXIT_SBX, "--%s %s: give %s", r->word, v,
                    time                      ? "seconds, or 2m, 1h"
                    : r->where == LIMIT_TASKS ? "a number"
                                              : "a size, as 300M or 2G");
    if (*at == 0)
        return fail(EXIT_SBX, "--%s %s: nothing can run with none; leave it out for no limit",
                    r->word, v);
    return 0;
}

static int take_cpus(struct run_options *o, const char *v)
{
    char *end;

    o->cpus = *v >= '0' && *v <= '9' ? strtod(v, &end) : 0;
    if (!(o->cpus >= 0.01 && o->cpus <= 1e6) || *end)
        return fail(EXIT_SBX, "--cpus %s: give a number of cpus, as 2 or 0.5", v);
    return 0;
}

int option_take(struct run_options *o, const struct option_row *r, const char *v)
{
    char *base = (char *)o;

    o->given_rows |= 1ull << (r - option_rows);
    switch (r->take) {
    case T_STRING:
        *(const char **)(base + r->where) = v;
        return 0;
    case T_FLAG:
        *(bool *)(base + r->where) = true;
        return 0;
    case T_LIST:
        *(const char **)xgrow(base + r->where, (unsigned *)(base + r->count), sizeof v) = v;
        return 0;
    case T_BIND:
        return take_bind(o, v);
    case T_DURATION:
        if (parse_duration(v, &o->timeout_ns) < 0)
            return fail(EXIT_SBX, "--timeout %s: no time; give seconds, or 2m, 1h", v);
        return 0;
    case T_LEVEL:
        if (parse_level(v, &o->log_level) < 0)
            return fail(EXIT_SBX, "--log-level %s: give error, warning, info or debug", v);
        return 0;
    case T_STRACE:
        o->strace = true;
        o->strace_file = v;
        return 0;
    case T_STATS:
        if (v && strcmp(v, "json") != 0)
            return fail(EXIT_SBX, "--stats=%s: give --stats or --stats=json", v);
        o->stats = v ? STATS_JSON : STATS_TEXT;
        return 0;
    case T_REQUIRE:
        return require_parse(v, &o->require);
    case T_LIMIT:
        return take_limit(o, r, v);
    case T_CPUS:
        return take_cpus(o, v);
    case T_CHANGES:
        if (v && !*v)
            return fail(EXIT_SBX, "--changes=: give a directory, or --changes alone");
        o->changes = true;
        o->changes_path = v;
        return 0;
    case T_APPLY:
        if (v && strcmp(v, "ask") != 0 && strcmp(v, "always") != 0)
            return fail(EXIT_SBX, "--apply=%s: give ask or always", v);
        o->apply = v && strcmp(v, "always") == 0 ? APPLY_ALWAYS : APPLY_ASK;
        return 0;
    case T_HELP:
        o->help = true;
        return 0;
    case T_NOTHING:
    case T_RO_BIND: /* options_parse */
        return 0;
    }
    return fail(EXIT_SBX, "--%s is not handled", r->word);
}

static void make_tables(struct option *longs, char *shorts)
{
    *shorts++ = '+'; /* what stands behind FILE is the program's */
    *shorts++ = ':';
    for (unsigned i = 0; i < ARRAY_SIZE(option_rows); i++) {
        longs[i] = (struct option){ option_rows[i].word, option_rows[i].has_arg, NULL,
                                    LONG_BASE + (int)i };
        if (option_rows[i].letter) {
            *shorts++ = (char)option_rows[i].letter;
            if (option_rows[i].has_arg)
                *shorts++ = ':';
        }
    }
    *shorts = 0;
}

static const struct option_row *find_row(int c)
{
    for (unsigned i = 0; i < ARRAY_SIZE(option_rows); i++) {
        if (c == LONG_BASE + (int)i || (c == option_rows[i].letter && c))
            return &option_rows[i];
    }
    return NULL;
}

static int refuse(int c, char **argv, int index)
{
    const struct option_row *r = find_row(optopt);

    if (c == ':')
        return r && r->word ? fail(EXIT_SBX, "--%s needs a value: --%s %s", r->word, r->word,
                                   r->value ? r->value : "")
                            : fail(EXIT_SBX, "an option lacks its value; see `sbx run --help`");
    if (optopt > 0 && optopt < LONG_BASE)
        return fail(EXIT_SBX, "unknown option -%c; see `sbx run --help`", optopt);
    if (r)
        return fail(EXIT_SBX, "--%s takes no value; see `sbx run --help`", r->word);
    return fail(EXIT_SBX, "unknown option %s; see `sbx run --help`", argv[index]);
}

int options_parse(int argc, char **argv, struct run_options *ret)
{
    struct run_options o = OPTIONS_INIT;
    struct option longs[ARRAY_SIZE(option_rows) + 1] = { 0 };
    char shorts[3 * ARRAY_SIZE(option_rows) + 3];
    int c, r;

    make_tables(longs, shorts);
    optind = 0; /* glibc: start afresh */
    opterr = 0;
    for (;;) {
        int index = optind > 0 ? optind : 1;

        c = getopt_long(argc, argv, shorts, longs, NULL);
        if (c < 0)
            break;
        const struct option_row *row = c == '?' || c == ':' ? NULL : find_row(c);

        r = row ? option_take(&o, row, optarg) : refuse(c, argv, index);
        if (row && row->take == T_RO_BIND) {
            r = take_ro_bind(&o, optarg, optind < argc ? argv[optind] : NULL);
            optind++;
        }
        if (r)
            return r;
    }
    o.command = optind > 1 && strcmp(argv[optind - 1], "--") == 0;
    o.args = argv + optind;
    o.nargs = (unsigned)(argc - optind);
    if (!o.help && !o.print_profile && o.nargs == 0)
        return fail(EXIT_SBX, "nothing to run; give a FILE: sbx run script.py");
    *ret = o;
    return 0;
}

int options_check(const struct run_options *o)
{
    if (o->json && !o->changes && !o->apply && !o->save_changes && !o->diff)
        return fail(EXIT_SBX, "--json lists changes; give --changes with it");
    if (o->detach && o->apply == APPLY_ASK)
        return fail(EXIT_SBX, "--apply=ask asks at a terminal, and -d leaves it; give "
                              "--apply=always, or no -d");
    if (o->learn && (o->rootfs || o->detach))
        return fail(EXIT_SBX,
                    "learn watches a program on this host's files, and stays with it; leave "
                    "--rootfs and -d out");
    return 0;
}

void options_usage(FILE *out)
{
    fputs("Usage: sbx run [options] FILE [args]\n"
          "       sbx run [options] -- CMD [args]\n"
          "Runs a script or program under a kernel of its own. FILE `-` is a script on standard\n"
          "input; a FILE without a slash that is not here is looked up in PATH.\n\n",
          out);
    for (unsigned i = 0; i < ARRAY_SIZE(option_rows); i++) {
        const struct option_row *r = &option_rows[i];
        char left[64], shortopt[8] = "    ";

        if (r->letter)
            snprintf(shortopt, sizeof shortopt, "-%c, ", r->letter);
        snprintf(left, sizeof left, "%s--%s%s%s%s", shortopt, r->word,
                 r->has_arg == 2 ? "[=" : (r->has_arg ? " " : ""), r->value ? r->value : "",
                 r->has_arg == 2 ? "]" : "");
        fprintf(out, "  %-30s %s\n", left, r->help);
    }
}
