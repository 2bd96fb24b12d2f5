/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options.c, for who fills options from elsewhere than the command line. */
#pragma once

#include "cli/options.h"

enum take {
    T_STRING,
    T_FLAG,
    T_LIST,
    T_BIND,
    T_DURATION,
    T_LEVEL,
    T_STRACE,
    T_STATS,
    T_LIMIT,
    T_CPUS,
    T_REQUIRE,
    T_CHANGES,
    T_APPLY,
    T_RO_BIND,
    T_NOTHING,
    T_HELP
};

struct option_row {
    const char *word;
    int letter; /* 0: none */
    int has_arg;
    enum take take;
    size_t where, count; /* count: of a T_LIST */
    const char *value, *help;
};

extern const struct option_row option_rows[];
extern const unsigned option_rows_count; /* at most 64: run_options.given_rows */

uint64_t options_bit(const char *word); /* of run_options.given_rows */

/* One value, as on the command line (v NULL: none). 0, or the exit status after the error was printed. */
int option_take(struct run_options *o, const struct option_row *r, const char *v);
