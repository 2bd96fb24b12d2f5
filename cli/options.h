/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `sbx run`, parsed and checked for form; nothing is looked up on the host here. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sentry/kernel/limits.h"

struct bind_option {
    char *src, *dst; /* dst NULL: where src is */
    bool ro, rw;     /* neither: writes stay in the sandbox */
};

enum stats_mode { STATS_OFF, STATS_TEXT, STATS_JSON };
enum apply_mode { APPLY_NEVER, APPLY_ASK, APPLY_ALWAYS };

struct run_options {
    const char *rootfs, *cwd, *user, *hostname, *platform, *name;
    struct bind_option *binds;
    unsigned nbinds;
    const char **images; /* FILE:DIR[:ro] */
    unsigned nimages;
    const char **tmpfs;
    unsigned ntmpfs;
    const char **env; /* K=V, or K: the caller's value */
    unsigned nenv;
    uint64_t timeout_ns;    /* 0: none */
    uint64_t limit[LIMITS]; /* what was given, where given has the bit; CPU_TIME in nanoseconds */
    unsigned given;
    double cpus; /* 0: all */
    bool strace;
    const char *strace_file, *log_file;
    int log_level;
    enum stats_mode stats;
    unsigned require; /* REQUIRE_* of require.h */
    bool changes, diff, json;
    const char *changes_path; /* NULL: where the program starts */
    const char *save_changes;
    enum apply_mode apply;

    const char *net; /* none, host; NULL: as the rules say */
    const char **allow_net, **deny_net, **publish;
    unsigned nallow_net, ndeny_net, npublish;

    bool detach, rm, trust, print_profile;
    const char *profile;      /* --profile */
    const char *profile_path; /* what was read of one, by whatever way; NULL: none */
    uint64_t given_rows;      /* of options_table.h: which options were given at all */

    bool learn;       /* `sbx learn`: shows all, and records what is used of it (cli/learn.h) */
    bool net_learned; /* what is reached is recorded too: no option spoke of the network */

    bool command; /* behind "--": a command, never a script */
    char **args;  /* FILE and its arguments, NULL at the end */
    unsigned nargs;
    bool help;
};

#define OPTIONS_INIT                                                                               \
    {                                                                                              \
        .platform = "auto", .log_level = 1                                                         \
    }

/* 0, or the exit status after the error was printed. argv[0] is the command's own name. */
int options_parse(int argc, char **argv, struct run_options *ret);
/* Once a profile has been added: do they go together? The same. */
int options_check(const struct run_options *o);
void options_usage(FILE *out);

/* "1.5", "10s", "2m", "1h", "1d". 0 or -EINVAL. */
int parse_duration(const char *s, uint64_t *ret_ns);
int parse_bind(const char *s, struct bind_option *ret);
