/* SPDX-License-Identifier: Apache-2.0 */
/* See ids.h. */
#include "cli/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi/putfile.h"
#include "cli/launch.h"

void idmap_own(const char *which, struct idmap *ret)
{
    char path[32];
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/%s", which);
    f = fopen(path, "re");
    *ret = (struct idmap){ .n = 0 };
    while (f && ret->n < IDMAP_RANGES) {
        struct idmap_range *r = &ret->ranges[ret->n];

        if (fscanf(f, "%u %u %u", &r->inside, &r->outside, &r->count) != 3)
            break;
        ret->n++;
    }
    if (f)
        fclose(f);
    if (ret->n == 0)
        *ret = (struct idmap){ .n = 1, .ranges = { { 0, 0, UINT32_MAX } } };
}

static bool has_three(const struct idmap *uids, const struct idmap *gids, uint32_t first)
{
    for (uint32_t id = first; id < first + 3; id++)
        if (!idmap_has(uids, id) || !idmap_has(gids, id))
            return false;
    return true;
}

int ids_write(pid_t pid, const char *name, const char *text)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return put_file(path, text);
}

void launch_ids(struct launch_ids *ret)
{
    uint32_t first = LAUNCH_ID_BASE + 4 * (uint32_t)getpid();
    const struct idmap_range *largest;
    struct idmap uids, gids;

    idmap_own("uid_map", &uids);
    idmap_own("gid_map", &gids);
    largest = uids.ranges;
    for (unsigned i = 1; i < uids.n; i++)
        if (uids.ranges[i].count > largest->count)
            largest = &uids.ranges[i];
    if (!has_three(&uids, &gids, first) && largest->count > 3)
        first = largest->inside + largest->count - 3;
    if (has_three(&uids, &gids, first))
        *ret = (struct launch_ids){ .gofer = first, .sentry = first + 1, .broker = first + 2 };
    else
        *ret = (struct launch_ids){ geteuid(), geteuid(), geteuid() };
}
