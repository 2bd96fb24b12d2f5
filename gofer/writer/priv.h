/* SPDX-License-Identifier: Apache-2.0 */
/* Between the writer's files; see apply.h. */
#pragma once

#include <sys/stat.h>

#include "gofer/writer/apply.h"

/* What an object is known by, before and after it was moved. */
struct ident {
    uint64_t dev, ino, size;
    int64_t mtime_sec;
    uint32_t mtime_nsec, mode;
};

enum op_kind {
    OP_MKDIR = 1, /* mode, less the umask; there may be a directory already */
    OP_PUT,       /* staged n goes to path, where nothing is */
    OP_SWAP,      /* staged n and path change places; old is what is expected there */
    OP_TAKE,      /* path goes to the stage as n; old */
    OP_ATTR,      /* mode and time of path, which is old */
};

#define MTIME_NONE ~0u /* as mtime_nsec: now */

struct op {
    uint32_t kind, n, mode, mtime_nsec;
    int64_t mtime_sec;
    uint64_t new_ino; /* PUT, SWAP: of the staged object */
    struct ident old;
    uint32_t path_len;
    char *path;
};

struct plan {
    struct op *ops;
    unsigned n, cap;
};

/* tree.c: names beneath the directory; no link is followed, no other file system entered. */
/* The directory that holds path's last component, *ret_name; a descriptor or -errno. */
int tree_parent(int dir, const char *path, const char **ret_name);
/* Of path itself; -ENOENT. */
int tree_stat(int dir, const char *path, struct stat *ret);
void ident_of(const struct stat *st, struct ident *ret);
/* Is it that object, unchanged? (A rename changes none of what is looked at.) */
bool ident_same(const struct stat *st, const struct ident *id);
/* Was it, or anything in it, changed after since? 1, 0, -errno. */
int tree_changed_since(int dir, const char *path, const struct timespec_ns *since);
/* Removes name beneath dir with all that is in it; -ENOENT is no error. */
int tree_remove(int dir, const char *name);

/* plan.c: the check; says what is left out. 0 or -errno (said already). */
int plan_make(const struct apply_job *job, struct plan *ret);

/* n bytes, or -errno; -ended where there are no more. journal.c */
int read_all(int fd, void *p, size_t n, int ended);

/* journal.c, and journal_move in move.c */
struct journal {
    int state, dir, stage; /* stage: -1 before it is made */
    char name[48];         /* of the stage, in dir */
    char file[64];         /* of the journal, in state */
};
/* What an earlier writer left in this directory is finished or undone; *ret_what: a text, or NULL. */
int journal_recover(int state, int dir, const char **ret_what);
/* A stage with a name that nobody has, and a journal that says so. */
int journal_begin(int state, int dir, struct journal *ret);
int journal_commit(struct journal *j, const struct plan *p);
/*
 * Does all of p, or nothing: -errno, *ret_path is where. -EREMOTEIO: could not be taken back either.
 * again: any of it may have been done before, by a writer that was interrupted.
 */
int journal_move(struct journal *j, const struct plan *p, bool again, const char **ret_path);
/* Done, or given up: the stage and then the journal go. */
int journal_end(struct journal *j);

void apply_say(const struct apply_job *job, enum apply_type type, const char *path,
               const char *why);
/* One more, zeroed; NULL: no memory. */
struct op *plan_add(struct plan *p, enum op_kind kind, const char *path);
