/* SPDX-License-Identifier: Apache-2.0 */
/* See ids.h. */
#include "sentry/kernel/ids.h"

static const struct idmap all = { .n = 1, .ranges = { { 0, 0, UINT32_MAX } } };
static const struct idmap *users = &all, *groups = &all;
static bool denied;

void ids_shown(const struct idmap *uids, const struct idmap *gids, bool groups_stay)
{
    users = uids ? uids : &all;
    groups = gids ? gids : &all;
    denied = groups_stay;
}

bool uid_known(uint32_t uid)
{
    return idmap_has(users, uid);
}

bool gid_known(uint32_t gid)
{
    return idmap_has(groups, gid);
}

bool groups_denied(void)
{
    return denied;
}

const struct idmap *ids_of_users(void)
{
    return users;
}

const struct idmap *ids_of_groups(void)
{
    return groups;
}
