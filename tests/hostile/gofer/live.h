/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the gofer of what is shared live, and who judges what became of the host. */
#pragma once

#include "tests/hostile/gofer/channel.h"

/* Each is one request and its answer; the error. A descriptor that came for writing is written to. */
int ask_make(uint64_t node, const char *path, struct gw_make m, const char *target);
int ask_file(uint64_t node, const char *path);
int ask_open(uint64_t node, const char *path, int flags);
int ask_remove(uint64_t node, const char *path, bool dir);
int ask_move(uint16_t op, uint64_t node, const char *from, uint64_t to, const char *name,
             unsigned flags);
int ask_setattr(uint64_t node, const char *path, struct gw_setattr a);
int ask_setxattr(uint64_t node, const char *path, const char *name, const void *value, size_t n);
int ask_watch(uint64_t node, const char *path, struct gw_watch w);
/* All that can be done to the file at path. */
void ask_all(uint64_t node, const char *path);

/* In the test program: canaries are to have these times, and are looked at in the end. */
void canaries_prepare(void);
void canaries_judge(void);
