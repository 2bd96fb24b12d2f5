/* SPDX-License-Identifier: Apache-2.0 */
#include "gofer/changes.h"

#include <limits.h>
#include <string.h>

bool changes_path_ok(const char *path, size_t n)
{
    size_t at = 0;

    if (n == 0 || n >= PATH_MAX || memchr(path, 0, n))
        return false;
    while (at <= n) {
        const char *slash = at < n ? memchr(path + at, '/', n - at) : NULL;
        size_t len = slash ? (size_t)(slash - path) - at : n - at;

        if (len == 0 || len > NAME_MAX ||
            (path[at] == '.' && (len == 1 || (len == 2 && path[at + 1] == '.'))))
            return false;
        at += len + 1;
    }
    return true;
}
