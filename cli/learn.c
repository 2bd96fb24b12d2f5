/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See learn.h. Of what was opened in one directory, MANY files or more are folded into the directory, and
 * what lies in it; never into a home, /, what holds one, or what holds credentials (shown_forbidden). What is
 * there is asked again of the host: the sentry only tells names.
 */
#include "cli/learn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "cli/cli.h"
#include "cli/error.h"
#include "cli/options_table.h"
#include "cli/profile.h"
#include "cli/results.h"
#include "cli/shown.h"
#include "cli/view.h"
#include "cli/visible.h"

#define MANY 4
#define LEARNED_MAX 8192 /* as the sentry has it; it may have been taken over */

struct list {
    char **of;
    unsigned n;
};

static struct {
    struct list read, written, peers, ports;
    unsigned n;
    bool more;
} got;

static void add(struct list *l, char *text)
{
    *(char **)xgrow(&l->of, &l->n, sizeof *l->of) = text;
}

static bool has(const struct list *l, const char *text)
{
    for (unsigned i = 0; i < l->n; i++) {
        if (strcmp(l->of[i], text) == 0)
            return true;
    }
    return false;
}

/* Absolute, without "..", and nothing that a profile cannot hold. */
static bool path_ok(const char *s)
{
    if (unfenced("learnnames"))
        return true;
    return s[0] == '/' && strcmp(results_escaped(s), s) == 0 && !strchr(s, ':') &&
           !strstr(s, "/../") && !strstr(s, " (deleted)");
}

static bool peer_ok(const char *s)
{
    return *s &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:[]") ==
               strlen(s);
}

void learn_message(const struct control_msg *m)
{
    char *text = xstrndup(m->text, MIN(m->len, (uint32_t)sizeof m->text));
    const char kind = text[0];

    got.more |= m->value == 1;
    if (!kind || got.n == LEARNED_MAX)
        return;
    if (kind == LEARNED_WRITTEN && strstr(text, "/__pycache__/")) /* nobody asked for those */
        return;
    got.n++;
    if ((kind == LEARNED_READ || kind == LEARNED_WRITTEN) && path_ok(text + 1))
        add(kind == LEARNED_READ ? &got.read : &got.written, text + 1);
    else if (kind == LEARNED_PEER && peer_ok(text + 1))
        add(&got.peers, text + 1);
    else if (kind == LEARNED_PORT && strspn(text + 1, "0123456789") == strlen(text + 1))
        add(&got.ports, text + 1);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct list *l)
{
    if (l->n)
        qsort(l->of, l->n, sizeof *l->of, by_text);
}

/* ---- paths ---- */

static char *dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Every sandbox sees it: of /etc the files by name that any user may read. */
static bool of_etc(const char *path)
{
    const char *name = path_within(path, "/etc") && path[4] ? path + 5 : NULL;
    struct stat st;

    for (unsigned i = 0; name && i < visible_etc_count; i++) {
        size_t n = strlen(visible_etc[i]);

        if (strncmp(name, visible_etc[i], n) == 0 && (!name[n] || name[n] == '/'))
            return stat(path, &st) == 0 && st.st_mode & S_IROTH;
    }
    return strcmp(path, "/etc") == 0;
}

static bool is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool readable(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
           access(path, S_ISDIR(st.st_mode) ? R_OK | X_OK : R_OK) == 0;
}

static bool within_any(const char *path, const struct list *dirs)
{
    for (unsigned i = 0; i < dirs->n; i++) {
        if (path_within(path, dirs->of[i]))
            return true;
    }
    return false;
}

/* Do many that were read lie directly in dir? dirs: the directory of each, sorted. */
static bool holds_many(const struct list *dirs, const char *dir)
{
    char **at = bsearch(&dir, dirs->of, dirs->n, sizeof *dirs->of, by_text);
    char **first = at, **last = at;

    while (at && first > dirs->of && last - first < MANY && strcmp(first[-1], dir) == 0)
        first--;
    while (at && last + 1 < dirs->of + dirs->n && last - first < MANY && strcmp(last[1], dir) == 0)
        last++;
    return at && last - first + 1 >= MANY;
}

/* It is of the table that every sandbox has, or above: a mount there would hide that. */
static bool holds_table(const char *dir)
{
    for (unsigned i = 0; i < visible_count; i++) {
        if (path_within(visible_table[i].path, dir))
            return true;
    }
    return false;
}

/* A secret, or a link to one, which the author of what was run may have left there. */
static bool forbidden(const struct user *u, const char *path)
{
    char real[PATH_MAX];

    return shown_forbidden(u, path) ||
           (!unfenced("learnlinks") && realpath(path, real) && shown_forbidden(u, real));
}

/* What to show for path: itself, or the directory that it is folded into. */
static char *fold(const struct user *u, const struct list *dirs, const char *path)
{
    char *dir;

    if (forbidden(u, path)) /* if the sentry were to name one */
        return NULL;
    if (is_dir(path))
        return holds_table(path) ? NULL : xstrdup(path);
    dir = dir_of(path);
    if (!forbidden(u, dir) && !holds_table(dir) && holds_many(dirs, dir))
        return dir;
    free(dir);
    return xstrdup(path);
}

static void paths(const struct user *u, const struct shown *s, struct list *ret_binds,
                  struct list *ret_left)
{
    struct list all = { NULL, 0 }, dirs = { NULL, 0 };

    for (unsigned i = 0; i < got.read.n; i++)
        add(&dirs, dir_of(got.read.of[i]));
    sort(&dirs);
    for (unsigned i = 0; i < got.read.n; i++) {
        const char *path = got.read.of[i];
        char *what;

        if (shown_covers(s, path) || of_etc(path) || !readable(path) || strcmp(path, "/") == 0)
            continue;
        what = fold(u, &dirs, path);
        if (what && !has(&all, what))
            add(&all, what);
        else if (!what)
            add(ret_left, xstrdup(path));
    }
    sort(&all); /* a directory comes before what lies in it */
    for (unsigned i = 0; i < all.n; i++) {
        if (!within_any(all.of[i], ret_binds))
            add(ret_binds, all.of[i]);
    }
}

static bool written_in(const char *dir)
{
    for (unsigned i = 0; i < got.written.n; i++) {
        if (path_within(got.written.of[i], dir))
            return true;
    }
    return false;
}

/* What was there before it was written is needed as it was. */
static void read_what_was_written(const struct shown *s)
{
    for (unsigned i = 0; i < got.written.n; i++) {
        const char *path = got.written.of[i];

        if (!shown_covers(s, path) && readable(path) && !has(&got.read, path))
            add(&got.read, xstrdup(path));
    }
}

/* dir itself in the place of what is beneath it. False: nothing is. */
static bool take_over(struct list *binds, char *dir)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < binds->n; i++) {
        if (!path_within(binds->of[i], dir))
            binds->of[kept++] = binds->of[i];
    }
    if (kept == binds->n)
        return false;
    binds->of[kept] = dir;
    binds->n = kept + 1;
    return true;
}

/* Of what was made the directory has to be there, and no more: an empty one, where nothing else of it is. */
static void made_in(const struct user *u, const struct shown *s, struct list *binds,
                    struct list *ret)
{
    for (unsigned i = 0; i < got.written.n; i++) {
        char *dir = dir_of(got.written.of[i]);

        if (!readable(got.written.of[i]) && !shown_covers(s, dir) && !within_any(dir, binds) &&
            !within_any(dir, ret) && !shown_forbidden(u, dir) && !holds_table(dir) && is_dir(dir) &&
            !take_over(binds, dir))
            add(ret, dir);
    }
}

/* ---- the network ---- */

/* HOST:PORT of one host are one rule; sorted, they stand together. */
static void peers(struct list *ret)
{
    sort(&got.peers);
    for (unsigned i = 0; i < got.peers.n; i++) {
        char *colon = strrchr(got.peers.of[i], ':'), *last = ret->n ? ret->of[ret->n - 1] : NULL;
        size_t host = colon ? (size_t)(colon - got.peers.of[i]) + 1 : 0;

        if (host && last && strncmp(last, got.peers.of[i], host) == 0 &&
            strchr(last + host, ':') == NULL)
            ret->of[ret->n - 1] = xasprintf("%s,%s", last, colon + 1);
        else
            add(ret, got.peers.of[i]);
    }
}

/* ---- the profile ---- */

static void note_list(FILE *f, const char *what, const struct list *l)
{
    if (l->n == 0)
        return;
    fprintf(f, "# %s", what);
    for (unsigned i = 0; i < l->n && i < 8; i++)
        fprintf(f, "%s %s", i ? "," : "", l->of[i]);
    if (l->n > 8)
        fprintf(f, ", and %u more", l->n - 8);
    fprintf(f, "\n");
}

static void set_row(struct run_options *o, const char *word)
{
    o->given_rows |= options_bit(word);
}

static const char **texts(const char *const *first, unsigned m, const struct list *l,
                          unsigned *ret_n)
{
    const char **all = xcalloc(m + l->n + 1ul, sizeof *all);

    for (unsigned i = 0; i < m; i++)
        all[(*ret_n)++] = first[i];
    for (unsigned i = 0; i < l->n; i++)
        all[(*ret_n)++] = l->of[i];
    return all;
}

int learn_print(FILE *f, const struct run_options *given, const struct user *u,
                const struct shown *s)
{
    struct run_options o = *given;
    struct list binds = { NULL, 0 }, left = { NULL, 0 }, reach = { NULL, 0 }, publish = { NULL, 0 };
    struct list made = { NULL, 0 };
    struct bind_option *all;
    unsigned n = 0;

    sort(&got.written);
    read_what_was_written(s);
    sort(&got.read);
    paths(u, s, &binds, &left);
    made_in(u, s, &binds, &made);
    o.tmpfs = texts(given->tmpfs, given->ntmpfs, &made, &n);
    o.ntmpfs = n;
    n = 0;
    peers(&reach);
    for (unsigned i = 0; i < got.ports.n; i++)
        add(&publish, xasprintf("%s:%s", got.ports.of[i], got.ports.of[i]));
    all = xcalloc(o.nbinds + binds.n + 1ul, sizeof *all);
    if (o.nbinds)
        memcpy(all, o.binds, o.nbinds * sizeof *all);
    for (unsigned i = 0; i < binds.n; i++)
        all[o.nbinds + i] = (struct bind_option){ .src = binds.of[i],
                                                  .ro = !written_in(binds.of[i]) };
    o.binds = all;
    o.nbinds += binds.n;
    if (given->net_learned) {
        o.net = NULL;
        o.allow_net = texts(NULL, 0, &reach, &n);
        o.nallow_net = n;
        n = 0;
        o.publish = texts(given->publish, given->npublish, &publish, &n);
        o.npublish = n;
        set_row(&o, "allow-net");
        set_row(&o, "publish");
    }
    set_row(&o, "bind");
    set_row(&o, "tmpfs");
    fprintf(f, "# Proposed by sbx learn");
    for (unsigned i = 0; i < given->nargs; i++) {
        fprintf(f, " ");
        results_escape(f, given->args[i]);
    }
    fprintf(f, "\n");
    note_list(f, "written, and gone at the end (--apply, or :rw behind a bind, keeps such):",
              &got.written);
    note_list(f, "opened too, and not proposed, as it holds a home or credentials:", &left);
    if (got.more)
        fprintf(f, "# There was more than can be recorded: run parts of it.\n");
    options_print_profile(f, &o);
    return fflush(f) == 0 ? 0
                          : fail(EXIT_SBX, "the profile cannot be written: %s", strerror(errno));
}

int cmd_learn(int argc, char **argv)
{
    const char *path = NULL;
    FILE *f = stdout;

    if (argc > 1 && strncmp(argv[1], "-o", 2) == 0) {
        bool joined = argv[1][2];

        path = joined ? argv[1] + 2 : argv[2];
        if (!path)
            return fail(EXIT_SBX, "learn: -o needs a file: sbx learn -o FILE CMD [args]");
        argv += 2 - joined;
        argc -= 2 - joined;
    }
    if (argc < 2)
        return fail(EXIT_SBX,
                    "learn: nothing to run; give sbx learn [-o FILE] [options] CMD [args]");
    if (path && !(f = fopen(path, "we")))
        return fail(EXIT_SBX, "learn: -o %s: %s; give a file that can be written", path,
                    strerror(errno));
    return run_sandbox(argc, argv, f);
}
