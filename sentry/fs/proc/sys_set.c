/* SPDX-License-Identifier: Apache-2.0 */
/* What a container's configuration sets in /proc/sys, whether that is mounted or not. */
#include <errno.h>
#include <string.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/sys_set.h"

static const struct pnode *child(const struct pdir *d, const char *name, size_t len)
{
    for (unsigned i = 0; i < d->nnodes; i++) {
        if (strlen(d->nodes[i].name) == len && memcmp(d->nodes[i].name, name, len) == 0)
            return &d->nodes[i];
    }
    return NULL;
}

int proc_sys_set(const char *name, const char *value)
{
    const struct pdir *dir = &proc_sys_dir;
    const struct pnode *n = NULL;
    ssize_t r;

    while (*name) {
        size_t len = strcspn(name, "./");

        n = dir ? child(dir, name, len) : NULL;
        if (!n)
            return -ENOENT;
        dir = n->dir;
        name += len + (name[len] != 0);
    }
    if (!n || !n->store)
        return -ENOENT;
    r = n->store(NULL, n, NULL, value, strlen(value));
    return r < 0 ? (int)r : 0;
}
