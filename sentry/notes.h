/* SPDX-License-Identifier: Apache-2.0 */
/* What the user is told at the end: see notes.c. */
#pragma once

#include <stddef.h>

struct path;
struct task;

/* A look-up in dir found no name[len]; rest: what would have been walked after it. Locks: none. */
void notes_missing(struct task *t, const struct path *dir, const char *name, size_t len,
                   const char *rest);
/* At the end of the sandbox. */
void notes_send(void);
