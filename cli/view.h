/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree that the front end looks programs up in: the host's own, or --rootfs, inside which no
 * link and no ".." leads out. It reads with the caller's rights, before anything runs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct view {
    int root; /* O_PATH of --rootfs; AT_FDCWD: the host */
    const char *rootfs;
    const char *path;    /* PATH, as the program will see it or as the caller has it */
    const char *cwd;     /* absolute: what relative names are looked up from */
    bool moved;          /* the program starts elsewhere: it gets absolute names */
    const char **images; /* FILE:DIR[:ro]: what lies there is not looked at before the start */
    unsigned nimages;
};

#define VIEW_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Absolute path inside, lexically: relative ones beneath cwd. "." and "//" are taken out. */
char *view_absolute(const struct view *v, const char *path);
int view_open(const struct view *v, const char *path, int flags); /* descriptor or -errno */
int view_stat(const struct view *v, const char *path, struct stat *ret);
bool view_executable(const struct view *v, const char *path); /* a regular file that may be run */
/* First bytes of a regular file: how many, or -errno. */
ssize_t view_head(const struct view *v, const char *path, void *buf, size_t n);
/* Looks a name without slash up in PATH: the path found, or NULL (*ret_err: EACCES or ENOENT). */
char *view_which(const struct view *v, const char *name, int *ret_err);

/* Does path, which is absolute, lie where an image will be? */
bool view_in_image(const struct view *v, const char *path);
/* Is path equal to or beneath dir? Both absolute and without "." or "//". */
bool path_within(const char *path, const char *dir);
