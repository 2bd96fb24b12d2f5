/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interpreters that live in a home. A directory of the caller's PATH is recognised by how such a tree
 * is laid out, and the tree's top is shown; never a home or what holds one, never credentials
 * (shown_forbidden). What a script, its links or its configuration say is not asked: a virtual
 * environment's link to its base interpreter may only choose an entry of the two fixed stores below.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/shown.h"

/* Stores of interpreters beneath a home: the entry below is one whole interpreter. */
static const char *const stores[] = { ".local/share/uv/python", ".pyenv/versions" };

static bool exists(const char *dir, const char *rest)
{
    char *path = xjoin(dir, rest);
    bool ok = access(path, F_OK) == 0;

    free(path);
    return ok;
}

static bool is(const char *word, const char *what)
{
    return word && strcmp(word, what) == 0;
}

/* The top of the tree that dir (a directory of PATH) belongs to, or NULL. */
static char *tree_of(const char *dir)
{
    char *top = xstrdup(dir), *slash = strrchr(top, '/');
    const char *last = slash ? slash + 1 : NULL;

    if (!slash || slash == top)
        return NULL;
    *slash = 0; /* last lives on behind it */
    if ((is(last, "shims") || is(last, "bin")) &&
        (exists(top, "libexec/pyenv") || exists(top, "bin/pyenv")))
        return top; /* pyenv */
    if ((is(last, "bin") || is(last, "condabin")) && exists(top, "conda-meta"))
        return top; /* conda */
    if (is(last, "bin") && exists(top, "pyvenv.cfg"))
        return top; /* a virtual environment */
    if (is(last, "bin") && strstr(top, "/versions/node/") && exists(top, "bin/node"))
        return top; /* nvm */
    if (is(last, "bin") && (strstr(top, "/.pyenv/versions/") || strstr(top, "/share/uv/python/")))
        return top;
    return NULL;
}

static void show_tree(struct shown *s, const struct user *u, const char *top)
{
    char real[PATH_MAX];

    if (!realpath(top, real) || shown_forbidden(u, real) || shown_forbidden(u, top))
        return;
    if (!shown_covers(s, top))
        shown_mount(s, real, top, false);
    if (strcmp(real, top) != 0 && !shown_covers(s, real))
        shown_mount(s, real, real, false);
}

/* Shows the store's entry that path lies in, if it does. */
static bool show_store_entry(struct shown *s, const struct user *u, const char *path)
{
    for (unsigned h = 0; h < ARRAY_SIZE(u->homes); h++) {
        for (unsigned i = 0; u->homes[h] && i < ARRAY_SIZE(stores); i++) {
            char *store = xasprintf("%s/%s/", u->homes[h], stores[i]);
            size_t n = strlen(store), entry = strcspn(path + MIN(n, strlen(path)), "/");

            if (strncmp(path, store, n) == 0 && entry > 0 && path[n] != '.') {
                show_tree(s, u, xstrndup(path, n + entry));
                return true;
            }
        }
    }
    return false;
}

/* Where a link leads, one step, as an absolute path; NULL: no link. */
static char *follow(const char *path)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof target - 1);

    if (n <= 0)
        return NULL;
    target[n] = 0;
    if (target[0] == '/')
        return xstrdup(target);
    return xasprintf("%.*s/%s", (int)(strrchr(path, '/') - path), path, target);
}

static void show_base(struct shown *s, const struct user *u, const char *dir)
{
    static const char *const names[] = { "python3", "python" };
    char real[PATH_MAX];

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        char *link = xjoin(dir, names[i]);

        for (int depth = 0; link && depth < 8; depth++) { /* each step may go by another name */
            show_store_entry(s, u, link);
            link = follow(link);
        }
        char *full = xjoin(dir, names[i]);

        if (realpath(full, real))
            show_store_entry(s, u, real);
        free(full);
    }
}

void shown_trees(struct shown *s, const struct user *u, const char *path)
{
    while (*path) {
        size_t n = strcspn(path, ":");
        char *dir = xstrndup(path, n);

        path += n + (path[n] == ':');
        while (n > 1 && dir[n - 1] == '/')
            dir[--n] = 0;
        if (*dir != '/')
            continue;
        char *top = shown_covers(s, dir) ? NULL : tree_of(dir);

        if (top)
            show_tree(s, u, top);
        if (exists(dir, "../pyvenv.cfg"))
            show_base(s, u, dir);
    }
}

void shown_program(struct shown *s, const struct user *u, const char *file)
{
    char *at = xstrdup(file);

    for (int depth = 0; at && depth < 16; depth++) {
        if (shown_covers(s, at) || show_store_entry(s, u, at))
            return;
        char *next = follow(at);

        if (!next) {
            shown_mount(s, at, at, false);
            return;
        }
        shown_symlink(s, at, next);
        at = next;
    }
}
