/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ids there are: the sandbox has one user namespace, and in a container that is mapped its maps are
 * shown as the host's are (/proc/PID/uid_map). To translate is the gofer's business, which is in that
 * namespace: here an id is what the container calls it. Set before the first task, then constant.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/idmap.h"

/* NULL: all ids, each itself. Both are kept. */
void ids_shown(const struct idmap *uids, const struct idmap *gids, bool groups_stay);
/* Can there be a user, a group of that number? (uid_t)-1 is none. */
bool uid_known(uint32_t uid);
bool gid_known(uint32_t gid);
/* setgroups(2) is denied: /proc/PID/setgroups. */
bool groups_denied(void);
const struct idmap *ids_of_users(void), *ids_of_groups(void);
