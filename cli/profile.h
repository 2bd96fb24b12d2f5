/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles: options that are kept in a file, beneath those of the command line.
 *
 *   --profile NAME      ~/.config/sbx/NAME.toml; NAME with a slash is a file
 *   .sbx.toml           beside the script that is run, without --profile. Its author wrote it, so it is shown
 *                       and asked about before its first use; what was accepted is kept, and compared whole
 */
#pragma once

#include "cli/options.h"
#include "cli/toml.h"

struct profile {
    char *shown; /* its path, for errors */
    const char
        *dir; /* of the script's: relative paths are meant from there; NULL: the user's own */
    struct toml_file file;
};

/* Finds the profile of this run and adds it. 0, or the exit status after the error was printed. */
int profile_apply(struct run_options *o);

/*
 * Is what a script's author binds what its text says, without a symbolic link of his on the way? o: the
 * options of the profile alone. 0, or the exit status after the error was printed.
 */
int profile_check_links(const struct profile *p, const struct run_options *o);

/* ---- options_profile.c ---- */

int options_add_profile(struct run_options *o, const struct profile *p);
/* What was given, by the command line or a profile, as a profile. */
void options_print_profile(FILE *f, const struct run_options *o);
void toml_put_string(FILE *f, const char *s);
