/* SPDX-License-Identifier: Apache-2.0 */
/* Who the program is inside, and which homes the caller has outside. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cli/view.h"

struct user {
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    unsigned ngroups;
    const char *name;     /* NULL: unknown */
    const char *home;     /* inside */
    const char *homes[2]; /* the caller's on the host: $HOME and passwd's, resolved; NULL: none */
};

/* spec: --user or NULL. 0, or the exit status after the error was printed. */
int user_find(const struct view *v, const char *spec, struct user *ret);
