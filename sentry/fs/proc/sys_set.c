/* SPDX-License-Identifier: Apache-2.0 */
/* What a container's configuration sets in /proc/sys, whether that is mounted or not. */
#include <errno.h>
#include <string.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/sys_set.h"
#include "sentry/kernel/alloc.h"

static const struct pnode *child(const struct pdir *d, const char *name, size_t len)
{
    for (unsigned i = 0; i < d->nnodes; i++) {
        if (strlen(d->nodes[i].name) == len && memcmp(d->nodes[i].name, name, len) == 0)
            return &d->nodes[i];
    }
    return NULL;
}

/* Written before the first program runs. */
static struct {
    const struct pnode *n;
    char *value;
} told[16];
static unsigned ntold;

bool proc_sys_told(const struct pnode *n, struct ptext *out)
{
    for (unsigned i = 0; i < ntold; i++) {
        if (told[i].n != n)
            continue;
        pt_printf(out, "%s\n", told[i].value);
        return true;
    }
    return false;
}

static int keep_told(const struct pnode *n, const char *value)
{
    if (ntold == ARRAY_SIZE(told))
        return -EPERM;
    told[ntold].value = kstrdup(value);
    if (!told[ntold].value)
        return -ENOMEM;
    told[ntold++].n = n;
    return 0;
}

int proc_sys_set(const char *name, const char *value)
{
    /* A file of its own for each interface there is none here. */
    const bool network = strncmp(name, "net.", 4) == 0 && !strstr(name, ".conf.");
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
    if (r == -EPERM && network)
        r = keep_told(n, value);
    return r < 0 ? (int)r : 0;
}
