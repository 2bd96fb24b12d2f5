/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step beneath a directory: the only place where the gofer resolves a name. A name is a single
 * component that name_check() has passed, and is opened so that neither a symbolic link, a magic
 * link nor ".." is followed: openat2 with RESOLVE_BENEATH where the host has it, else openat with
 * O_NOFOLLOW, which for one component comes to the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "gofer/gofer.h"
#include "gofer/protocol.h"

/* Looks whether openat2 is there. lone_id: see gofer_config. */
void beneath_init(bool lone_id);
/* 0; -EINVAL for "", ".", "..", a slash or a NUL in it; -ENAMETOOLONG. */
int name_check(const char *name, size_t len);
/* A descriptor or -errno. flags: O_PATH or O_RDONLY and more; O_NOFOLLOW and O_CLOEXEC are added. */
int beneath_open(int dirfd, const char *name, int flags);
/* The same with O_CREAT or O_TMPFILE. */
int beneath_create(int dirfd, const char *name, int flags, uint32_t mode);
/* Attributes of a name in dirfd, of a link itself; name "": of dirfd itself. */
int beneath_stat(int dirfd, const char *name, struct gw_attr *ret);
/* Is an object with these attributes shown by the export? */
bool export_shows(const struct gofer_export *e, const struct gw_attr *a);
/* Is the name shown at the export's root? */
bool export_names(const struct gofer_export *e, const char *name, size_t len);
