/* SPDX-License-Identifier: Apache-2.0 */
/* What cgroup.c and cgroup_limit.c share: files of one directory. 0 or -errno. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

int cg_put(const char *dir, const char *name, const char *text);
int cg_get(const char *dir, const char *name, char *buf, size_t cap);
bool cg_has(const char *dir, const char *name);
