/* SPDX-License-Identifier: Apache-2.0 */
/* See without.h. */
#include "abi/without.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    uint64_t bit;
} features[] = {
    { "userns", SBX_WITHOUT_USERNS },
    { "pidns", SBX_WITHOUT_PIDNS },
    { "iouring", SBX_WITHOUT_IOURING },
    { "sync", SBX_WITHOUT_SYNC },
    { "waitkillable", SBX_WITHOUT_WAITKILLABLE },
    { "timens", SBX_WITHOUT_TIMENS },
    { "landlock", SBX_WITHOUT_LANDLOCK },
    { "cgroup", SBX_WITHOUT_CGROUP },
    { "processvm", SBX_WITHOUT_PROCESSVM },
    { "seccomp", SBX_WITHOUT_SECCOMP },
    { "notify", SBX_WITHOUT_NOTIFY },
    { "stubfilter", SBX_WITHOUT_STUBFILTER },
    { "bpf", SBX_WITHOUT_BPF },
};

uint64_t without_parse(const char *list, const char **ret_bad)
{
    uint64_t bits = 0;

    *ret_bad = NULL;
    while (list && *list) {
        size_t n = strcspn(list, ","), i;

        for (i = 0; i < sizeof features / sizeof features[0]; i++) {
            if (strlen(features[i].name) == n && memcmp(features[i].name, list, n) == 0)
                break;
        }
        if (i < sizeof features / sizeof features[0])
            bits |= features[i].bit;
        else if (n > 0 && !*ret_bad)
            *ret_bad = list;
        list += n + (list[n] == ',');
    }
    return bits;
}
