/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's table of nodes: directories (and single exported files) that it holds open for the
 * sentry. A number is generation << 32 | index + 1, so an old number of a slot that was filled
 * again is not found (-ESTALE) and 0 is never a node. The table is bounded; when it is full no node
 * is made, and the sentry goes by paths from the nodes it has.
 *
 * One mutex guards the table; a node in use is referenced, so that a forget by another worker does
 * not close a descriptor under a request.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gofer/gofer.h"

struct node {
    int fd;   /* O_PATH of a directory; of a single file's export one open for reading */
    int refs; /* users under way, and one while it is in the table */
    uint32_t gen;
    bool live;    /* in the table */
    bool is_root; /* of an export: never forgotten; its names are held against the export's list */
    bool is_file;
    bool
        is_open; /* made by an open of a shared file (or an inotify queue): fd is what was opened */
    const struct gofer_export *export;
    uint32_t index, next_free;
};

int nodes_init(unsigned max);
/* An open file of a shared export, the same way. */
uint64_t node_add_open(int fd, const struct gofer_export *export);
/* Takes over fd. The number, or 0 when the table is full (fd is closed then). */
uint64_t node_add(int fd, const struct gofer_export *export, bool is_root, bool is_file);
struct node *node_get(uint64_t number); /* a reference; NULL: stale or forged */
void node_put(struct node *n);
void node_forget(uint64_t number); /* unknown numbers and roots are ignored */
unsigned nodes_live(void);
