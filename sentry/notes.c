/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user is told when a program has ended (cli/report.c prints it, in one line):
 *
 *   paths that were looked for where only made-up directories are, so that something of the host may
 *   have been meant; the front end knows the host and drops those that are not there either
 *   how many files were changed beneath shown directories
 *
 * Bounded: the first NOTES_MAX different paths, and no more work after NOTES_TRIES look-ups.
 */
#include "sentry/notes.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/start.h"
#include "sentry/vfs/vfs.h"

#define NOTES_MAX 32
#define NOTES_TRIES 2000
#define SUPERS_MAX 64

static pthread_mutex_t notes_lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf */
static char *paths[NOTES_MAX];
static unsigned npaths;
static _Atomic unsigned tries;

void notes_missing(struct task *t, const struct path *dir, const char *name, size_t len,
                   const char *rest)
{
    char buf[PATH_MAX], full[PATH_MAX];
    const char *at;
    int n;

    if (!t || !dir->mnt || strcmp(dir->mnt->sb->type, "tmpfs") != 0 ||
        atomic_fetch_add(&tries, 1) >= NOTES_TRIES)
        return;
    at = path_string(t, dir, buf, sizeof buf);
    if (IS_ERR(at))
        return;
    n = snprintf(full, sizeof full, "%s%s%.*s%s%s", at, at[1] ? "/" : "", (int)len, name,
                 rest && *rest && *rest != '/' ? "/" : "", rest ? rest : "");
    if (n < 0 || n >= (int)sizeof full || n >= (int)sizeof(((struct control_msg *)0)->text))
        return;
    pthread_mutex_lock(&notes_lock);
    for (unsigned i = 0; i < npaths; i++) {
        if (strcmp(paths[i], full) == 0)
            n = 0;
    }
    if (n && npaths < NOTES_MAX && (paths[npaths] = strdup(full)))
        npaths++;
    pthread_mutex_unlock(&notes_lock);
}

static void collect(struct mount *m, struct super **ret, unsigned *n)
{
    struct mount *child;

    if (strcmp(m->sb->type, "overlay") == 0 && *n < SUPERS_MAX)
        ret[(*n)++] = super_ref(m->sb);
    list_for_each(child, &m->children, sibling)
        collect(child, ret, n);
}

static void count(void *arg, char kind, const char *path)
{
    (void)kind;
    if (!strstr(path, "__pycache__")) /* nobody asked for those */
        ++*(uint64_t *)arg;
}

void notes_send(void)
{
    struct super *supers[SUPERS_MAX];
    uint64_t changed = 0;
    unsigned n = 0;

    pthread_mutex_lock(&notes_lock);
    for (unsigned i = 0; i < npaths; i++)
        control_send(CTL_MISSING, 0, "%s", paths[i]);
    pthread_mutex_unlock(&notes_lock);
    if (!first_container.root)
        return;
    lock(&vfs.mounts_lock);
    collect(first_container.root, supers, &n);
    unlock(&vfs.mounts_lock);
    for (unsigned i = 0; i < n; i++) {
        overlay_changes(supers[i], count, &changed);
        super_put(supers[i]);
    }
    if (changed)
        control_send(CTL_CHANGED, changed, NULL);
}
