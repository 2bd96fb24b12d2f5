/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bombs: each takes one thing until it is refused, and says by which errno. Run by bombs.py inside
 * a sandbox whose limits are lowered, or not.
 *
 * A bomb lets go of what it took by ending.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* One that goes on beyond these has met no limit: of things, of bytes. From the environment. */
extern unsigned long bomb_cap, bomb_bytes;

enum { BOMB_BIT = 3 }; /* exit status: no limit was met */

struct bomb {
    const char *name;
    int (*run)(void); /* exit status: that of bomb_end() */
};

extern const struct bomb bombs_tasks[], bombs_memory[], bombs_files[], bombs_fds[];

/* n times it went well, then err came. 0 when err is one of those wanted, of which there are up to 4. */
int bomb_end_(unsigned long n, int err, const int wanted[4]);
#define bomb_end(n, err, ...) bomb_end_(n, err, (const int[4]){ __VA_ARGS__ })
/* Raises RLIMIT_NOFILE to its hard limit. */
void bomb_many_files(void);
/* An empty directory for this bomb, and into it. */
void bomb_scratch(void);
