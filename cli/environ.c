/* SPDX-License-Identifier: Apache-2.0 */
/* See environ.h: PATH, HOME, USER, LOGNAME, SHELL, what visible_env passes on, then --env. */
#include "cli/environ.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "cli/error.h"
#include "cli/visible.h"

struct vars {
    char **v;
    unsigned n;
};

static void set(struct vars *e, const char *assignment)
{
    size_t key = strcspn(assignment, "=") + 1;

    for (unsigned i = 0; i < e->n; i++) {
        if (strncmp(e->v[i], assignment, key) == 0) {
            e->v[i] = xstrdup(assignment);
            return;
        }
    }
    *(char **)xgrow(&e->v, &e->n, sizeof *e->v) = xstrdup(assignment);
}

static void pass_on(struct vars *e)
{
    for (char **p = environ; unfenced("environ") && *p; p++)
        set(e, *p);
    for (unsigned i = 0; i < visible_env_count; i++) {
        const char *name = visible_env[i];
        size_t n = strcspn(name, "*");

        for (char **p = environ; *p; p++) {
            if (strncmp(*p, name, n) == 0 && (name[n] == '*' || (*p)[n] == '='))
                set(e, *p);
        }
    }
}

/* Variables that say where a shown tree lies; the paths are the same inside. */
static void pass_trees(struct vars *e, const struct shown *s)
{
    static const char *const names[] = { "VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT",
                                         "PYENV_VERSION" };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        const char *v = getenv(names[i]);

        if (v && (*v != '/' || shown_covers(s, v)))
            set(e, xasprintf("%s=%s", names[i], v));
    }
}

char **environ_build(const struct run_options *o, const struct shown *s, const struct user *u)
{
    const char *name = u->name ? u->name : "user";
    struct vars e = { 0 };

    set(&e, xasprintf("PATH=%s", s->path));
    set(&e, xasprintf("HOME=%s", s->home));
    set(&e, xasprintf("USER=%s", name));
    set(&e, xasprintf("LOGNAME=%s", name));
    set(&e, "SHELL=/bin/sh");
    set(&e, xasprintf("PWD=%s", s->cwd));
    pass_on(&e);
    pass_trees(&e, s);
    for (unsigned i = 0; i < o->nenv; i++) {
        const char *v = o->env[i];

        if (strchr(v, '='))
            set(&e, v);
        else if (getenv(v))
            set(&e, xasprintf("%s=%s", v, getenv(v)));
    }
    *(char **)xgrow(&e.v, &e.n, sizeof *e.v) = NULL;
    return e.v;
}
