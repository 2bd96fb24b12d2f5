/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's cgroup as a scope of systemd's (--systemd-cgroup), by sbx-systemd (oci/systemd/). Beneath it is
 * a cgroup as any other: delegated, so that we make what systemd does not.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "oci/config.h"

/*
 * From "slice:prefix:name" (or nothing) to the unit, and its path in each hierarchy:
 * "/a.slice/a-b.slice/prefix-name.scope". 0, or 1 after the error was printed.
 */
int scope_names(const char *cgroups_path, const char *id, char **ret_unit, char **ret_path);
/*
 * Starts it, with the limits of r that systemd has properties for, and holds it by a process of ours until
 * scope_release(): a scope without processes goes. 0, or 1 after the error was printed.
 */
int scope_start(const char *unit, const char *path, const char *id, const struct oci_resources *r,
                bool v2);
void scope_release(void);
/* New limits, which systemd would put back else when it looks at its units again. 0, or 1 after the error. */
int scope_set(const char *unit, const struct oci_resources *r, bool v2);
/* What is left of it is forgotten. */
void scope_stop(const char *unit);
