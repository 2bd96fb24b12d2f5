/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system that is being set up, or set up anew: mount(2) makes one from its string of options,
 * fsopen and fspick hold one in an open file. Which types there are, and which options each has,
 * stands in fscontext.c.
 */
#pragma once

#include "sentry/vfs/vfs.h"

struct fs_type;

enum { /* which of the options below were given */
       FSOPT_MODE = 1,
       FSOPT_UID = 2,
       FSOPT_GID = 4,
       FSOPT_SIZE = 8,
       FSOPT_INODES = 16,
};

struct fs_context {
    const struct fs_type *type;
    char *source; /* NULL: none was given */
    unsigned given;
    uint32_t mode, uid, gid;
    uint64_t size, inodes;
    char *lower, *upper, *work; /* an overlay's */
    unsigned sb_flags, sb_mask; /* MS_RDONLY and its kin that were set or cleared by name */
};

/* -ENODEV. The context is the caller's memory; fscontext_done frees what it came to hold. */
int fscontext_init(struct fs_context *fc, const char *type);
void fscontext_done(struct fs_context *fc);
/* One option; value NULL: it has none. -EINVAL, -ENOMEM. */
int fscontext_option(struct fs_context *fc, const char *key, const char *value);
/* One of those that all have; whatever value comes with it does not count. False: it is none. */
bool fscontext_general(struct fs_context *fc, const char *key);
/* "a=b,c": what mount(2) is given. Changes opts. */
int fscontext_options(struct fs_context *fc, char *opts);
/* The superblock that was asked for, paths as t sees them; ERR_PTR. */
struct super *fscontext_create(struct task *t, struct fs_context *fc);
/* The options for a file system that is there. */
int fscontext_reconfigure(struct fs_context *fc, struct super *sb);

/* The n-th type there is; NULL: there are no more. nodev: none of a file's. */
const char *fs_type_name(unsigned n, bool *ret_nodev);
/* The number of a type; -1: there is none of that name. */
int fs_type_index(const char *name);
