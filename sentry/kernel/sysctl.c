/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel parameters, see sysctl.h. */
#include "sentry/kernel/sysctl.h"

#include <errno.h>

#include "abi/types.h"

_Atomic int64_t sysctl_values[SYSCTLS] = {
#define SYSCTL(id, value, least, greatest) [SYSCTL_##id] = (value),
#include "sentry/kernel/sysctl.def"
#undef SYSCTL
};

static const struct {
    int64_t least, greatest;
} bounds[SYSCTLS] = {
#define SYSCTL(id, value, least, greatest) [SYSCTL_##id] = { (least), (greatest) },
#include "sentry/kernel/sysctl.def"
#undef SYSCTL
};

bool sysctl_is_unsigned(enum sysctl s)
{
    return bounds[s].greatest < bounds[s].least;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == 0;
}

/* The next number of text, *at behind it; false: there is none, or too large. */
static bool number(const char *text, size_t len, size_t *at, bool *ret_minus, uint64_t *ret)
{
    uint64_t v = 0;
    size_t k = *at, start;

    *ret_minus = k < len && text[k] == '-';
    k += *ret_minus;
    for (start = k; k < len && text[k] >= '0' && text[k] <= '9'; k++) {
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text[k] - '0'), &v))
            return false;
    }
    if (k == start || (k < len && !is_space(text[k])))
        return false;
    *at = k;
    *ret = v;
    return true;
}

static int set(enum sysctl s, bool minus, uint64_t v)
{
    int64_t value = minus ? -(int64_t)v : (int64_t)v;

    if (sysctl_is_unsigned(s)) {
        if (minus)
            return -EINVAL;
    } else if (v > INT64_MAX || value < bounds[s].least || value > bounds[s].greatest) {
        return -EINVAL;
    }
    atomic_store_explicit(&sysctl_values[s], value, memory_order_relaxed);
    return 0;
}

int sysctl_write(enum sysctl first, unsigned n, const char *text, size_t len)
{
    unsigned i = 0;
    size_t at = 0;

    for (;; i++) {
        uint64_t v;
        bool minus;
        int r;

        while (at < len && is_space(text[at]))
            at++;
        if (at == len || i == n)
            return i ? 0 : -EINVAL;
        if (!number(text, len, &at, &minus, &v))
            return -EINVAL;
        r = set(first + i, minus, v);
        if (r < 0)
            return r;
    }
}
