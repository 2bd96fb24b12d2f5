/* SPDX-License-Identifier: Apache-2.0 */
/* See limits.h. */
#include "sentry/kernel/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/types.h"

static const char *const names[LIMITS] = {
#define LIMIT(id, name, value, err, what) [LIMIT_##id] = name,
#include "sentry/kernel/limits.def"
#undef LIMIT
};

/* Before limits_init(): in unit tests. */
uint64_t limits[LIMITS] = { [0 ... LIMITS - 1] = UNLIMITED };

void limits_init(uint64_t ram, uint64_t ret[LIMITS])
{
#define RAM ram
#define LIMIT(id, name, value, err, what) ret[LIMIT_##id] = (value);
#include "sentry/kernel/limits.def"
#undef LIMIT
#undef RAM
}

static bool parse_value(const char *s, size_t n, uint64_t *ret)
{
    static const char units[] = "KMGTkmgt";
    const char *unit;
    uint64_t v;
    char *end;

    if (n == 4 && memcmp(s, "none", 4) == 0) {
        *ret = UNLIMITED;
        return true;
    }
    if (n == 0 || *s < '0' || *s > '9')
        return false;
    errno = 0;
    v = strtoull(s, &end, 10);
    if (errno)
        return false;
    if (end < s + n && (unit = strchr(units, *end))) {
        unsigned shift = 10 * (unsigned)((unit - units) % 4 + 1);

        if (v > UINT64_MAX >> shift)
            return false;
        v <<= shift;
        end++;
    }
    *ret = v;
    return end == s + n;
}

bool limits_value(const char *s, uint64_t *ret)
{
    return parse_value(s, strlen(s), ret);
}

static bool parse_one(const char *s, size_t n, uint64_t ret[LIMITS])
{
    const char *eq = memchr(s, '=', n);

    for (unsigned i = 0; eq && i < LIMITS; i++) {
        if (strlen(names[i]) == (size_t)(eq - s) && memcmp(names[i], s, (size_t)(eq - s)) == 0)
            return parse_value(eq + 1, n - (size_t)(eq + 1 - s), &ret[i]);
    }
    return false;
}

bool limits_parse(const char *list, uint64_t ret[LIMITS], const char **ret_bad)
{
    while (list && *list) {
        size_t n = strcspn(list, ",");

        if (n > 0 && !parse_one(list, n, ret)) {
            *ret_bad = list;
            return false;
        }
        list += n + (list[n] == ',');
    }
    return true;
}
