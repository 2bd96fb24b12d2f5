/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the sentry tells what a run changed beneath one directory, over a stream socket, when the
 * program has ended and all others are killed: a head for each change, with its path and the target
 * of a link behind it, then one of kind CHANGE_END. From then on it answers requests for the content of
 * files until the other side closes. Nothing of it is trusted: paths are relative and are checked by
 * who reads them (changes_check).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum change_kind {
    CHANGE_ADDED = 'A',    /* is to be there; what has that name on the host gives way */
    CHANGE_MODIFIED = 'M', /* is the host's, with other content, mode or times */
    CHANGE_REMOVED = 'D',
    CHANGE_END = '.', /* value of size: -errno of what could not be told, as unsigned; 0: all was */
};

enum {
    CHANGE_DATA = 1,     /* a regular file whose content can be asked for */
    CHANGE_REPLACES = 2, /* ADDED: in the place of something else */
    CHANGE_GONE = 4,     /* MODIFIED: the host has removed it since, and it shows no more */
};

struct change_head {
    uint32_t kind, flags;
    uint32_t mode;     /* type and permissions; of what was there, where REMOVED */
    uint32_t path_len; /* 1 to PATH_MAX - 1, without a NUL */
    uint32_t link_len; /* of a symbolic link's target */
    uint32_t mtime_nsec;
    int64_t mtime_sec;
    uint64_t size;
    uint64_t ino; /* regular files: the same for names of one object */
};

struct change_want {
    uint32_t index; /* of the change, in the order in which they were told */
};

struct change_data {
    int64_t size; /* so many bytes follow; -errno: none */
};

/* Relative, without empty components, "." and ".."; n bytes, none of them NUL. */
bool changes_path_ok(const char *path, size_t n);
