/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be run: from FILE and its arguments to the path and argument vector of the program. */
#pragma once

#include <stdbool.h>

#include "cli/view.h"

struct program {
    char *exec_path; /* absolute, inside */
    char **argv;     /* NULL at the end */
    char *file;      /* absolute path of the script or program that was asked for; NULL: stdin */
    bool by_path;    /* found through PATH: its directory is not the user's project */
    bool interp_by_path; /* exec_path is an interpreter that the ending chose */
    int stdin_fd;        /* replaces standard input when a script was read from it; else -1 */
};

/* 0, or the exit status after the error was printed. command: never taken for a script. */
int program_find(const struct view *v, char *const *args, unsigned nargs, bool command,
                 struct program *ret);
