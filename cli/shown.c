/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order matters, as later steps cover earlier ones: the table, the home, interpreters' trees, the
 * directories of the run, and last what the user asked for by options.
 */
#include "cli/shown.h"

#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/visible.h"

static struct sentry_mount *add_mount(struct shown *s, enum sentry_mount_kind kind,
                                      const char *path)
{
    struct sentry_mount *m = xgrow(&s->mounts, &s->nmounts, sizeof *m);

    m->kind = kind;
    m->path = path;
    return m;
}

static struct shown_export *add_export(struct shown *s, const char *src, unsigned *ret_id)
{
    *ret_id = s->nexports - s->nshared;
    struct shown_export *e = xgrow(&s->exports, &s->nexports, sizeof *e);

    e->src = src;
    return e;
}

void shown_mount(struct shown *s, const char *src, const char *dst, bool ro)
{
    unsigned id;

    add_export(s, xstrdup(src), &id);
    add_mount(s, ro ? SM_RO : SM_OVERLAY, xstrdup(dst))->export_id = id;
}

/* Shared live: by the name that src leads to, since a single file's last component is not followed. */
static void shown_shared(struct shown *s, const char *src, const char *dst, bool file)
{
    char real[PATH_MAX];
    struct shown_export *e = xgrow(&s->exports, &s->nexports, sizeof *e);
    struct sentry_mount *m = add_mount(s, SM_SHARED, xstrdup(dst));

    e->src = xstrdup(realpath(src, real) ? real : src);
    e->shared = true;
    m->export_id = s->nshared++;
    if (!file)
        return;
    e->dir = xstrdup(e->src);
    char *slash = strrchr(e->dir, '/');
    e->only = xstrdup(slash + 1);
    slash[slash == e->dir] = 0;
    m->target = e->only;
}

void shown_symlink(struct shown *s, const char *path, const char *target)
{
    add_mount(s, SM_SYMLINK, xstrdup(path))->target = xstrdup(target);
}

void shown_text(struct shown *s, const char *path, const char *text)
{
    add_mount(s, SM_TEXT, xstrdup(path))->target = xstrdup(text);
}

static void add_empty(struct shown *s, const char *path, unsigned mode, const struct user *owner)
{
    struct sentry_mount *m = add_mount(s, SM_TMPFS, path);

    m->mode = mode;
    if (owner) {
        m->uid = owner->uid;
        m->gid = owner->gid;
    }
}

const struct shown_export *shown_of(const struct shown *s, const struct sentry_mount *m)
{
    bool shared = m->kind == SM_SHARED;
    unsigned id = 0;

    if (!shared && m->kind != SM_OVERLAY && m->kind != SM_RO)
        return NULL;
    for (unsigned i = 0; i < s->nexports; i++) /* each gofer counts its own */
        if (s->exports[i].shared == shared && id++ == m->export_id)
            return &s->exports[i];
    return NULL;
}

bool shown_covers(const struct shown *s, const char *path)
{
    const struct sentry_mount *best = NULL;

    for (unsigned i = 0; i < s->nmounts; i++) { /* the last that holds it is on top */
        if (!s->mounts[i].learn && path_within(path, s->mounts[i].path))
            best = &s->mounts[i];
    }
    return best && best->kind != SM_TMPFS && best->kind != SM_DIR;
}

/* path lies beneath home. Is it, or is it beneath or above, one of the secrets there? */
static bool holds_secret(const char *home, const char *path)
{
    const char *below = path + strlen(home);

    while (*below == '/')
        below++;
    for (unsigned k = 0; k < visible_credentials_count; k++) {
        const char *name = visible_credentials[k];

        if (path_within(below, name))
            return true;
        if (path_within(name, below)) {
            /* A folder above secrets that is no home is the user's own project: only a tree that
             * holds one that exists is refused. */
            char *secret = xjoin(home, name);
            bool real = access(secret, F_OK) == 0;

            free(secret);
            if (real)
                return true;
        }
    }
    return false;
}

bool shown_forbidden(const struct user *u, const char *path)
{
    if (strcmp(path, "/") == 0)
        return true;
    for (unsigned i = 0; i < ARRAY_SIZE(u->homes); i++) {
        const char *home = u->homes[i];

        if (!home)
            continue;
        if (path_within(home, path))
            return true;
        if (path_within(path, home) && holds_secret(home, path))
            return true;
    }
    return false;
}

static void add_row(struct shown *s, const struct visible *row)
{
    char target[PATH_MAX];
    ssize_t n;
    unsigned id;

    switch (row->kind) {
    case V_PROC:
        add_mount(s, SM_PROC, row->path);
        return;
    case V_SYSFS:
        add_mount(s, SM_SYSFS, row->path);
        return;
    case V_DEV:
        add_mount(s, SM_DEV, row->path);
        return;
    case V_EMPTY:
        add_empty(s, row->path, row->mode, NULL);
        return;
    case V_TREE:
    case V_NAMES:
        break;
    }
    n = readlink(row->path, target, sizeof target - 1);
    if (n > 0) { /* /bin -> usr/bin: what it leads to is in the table, or it leads nowhere */
        target[n] = 0;
        shown_symlink(s, row->path, target);
        return;
    }
    if (access(row->path, R_OK | X_OK) < 0)
        return;
    struct shown_export *e = add_export(s, row->path, &id);

    e->public_only = true;
    if (row->kind == V_NAMES) {
        e->names = visible_etc;
        e->nnames = visible_etc_count;
    }
    add_mount(s, SM_OVERLAY, row->path)->export_id = id;
}

static bool fresh(const char *path) /* what is the sandbox's own is never the host's */
{
    return path_within(path, "/proc") || path_within(path, "/sys") || path_within(path, "/dev");
}

/* The current directory, or the script's: whole, or (false) not at all. */
static bool add_directory(struct shown *s, const struct user *u, const char *dir)
{
    if (shown_forbidden(u, dir) || fresh(dir))
        return false;
    if (!shown_covers(s, dir))
        shown_mount(s, dir, dir, false);
    return true;
}

static void add_project(struct shown *s, const struct view *v, const struct user *u,
                        const struct program *p)
{
    char real[PATH_MAX];

    add_directory(s, u, v->cwd);
    if (!p->file)
        return;
    if (p->by_path) {
        shown_program(s, u, p->file);
        return;
    }
    /* The name as it was given must lead there inside; its directory is that name's. */
    char *dir = xstrdup(p->file);
    char *slash = strrchr(dir, '/');

    slash[slash == dir] = 0;
    if (!realpath(dir, real))
        return;
    if (!add_directory(s, u, real) || !shown_covers(s, p->file)) {
        if (!fresh(p->file) && !shown_covers(s, p->file))
            shown_mount(s, p->file, p->file, false);
    }
}

static char *expand_home(const char *path)
{
    const char *home = getenv("HOME"); /* no shell expands --bind=~/x */

    return home && path[0] == '~' && path[1] == '/' ? xasprintf("%s%s", home, path + 1)
                                                    : xstrdup(path);
}

/* FILE:DIR, with :ro behind it where nothing there can be written to. */
static int add_image(struct shown *s, const struct view *host, const char *what)
{
    char *copy = expand_home(what), *colon = strrchr(copy, ':'), *src;
    enum sentry_mount_kind kind = SM_IMAGE;
    char magic[8] = "";
    struct stat st;
    unsigned id;
    int fd;

    if (colon && !strcmp(colon, ":ro")) {
        kind = SM_IMAGE_RO;
        *colon = 0;
        colon = strrchr(copy, ':');
    }
    if (!colon || colon == copy || colon[1] != '/')
        return fail(EXIT_SBX, "--image %s: give FILE:DIR[:ro], DIR an absolute path", what);
    *colon = 0;
    src = view_absolute(host, copy);
    fd = open(src, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(EXIT_SBX, "--image %s: %s; give an image that you can read", copy,
                    strerror(errno));
    if (S_ISREG(st.st_mode))
        (void)!(pread(fd, magic, 4, 0) + pread(fd, magic + 4, 4, 1024));
    close(fd);
    if (memcmp(magic, "hsqs", 4) != 0 && memcmp(magic + 4, "\xe2\xe1\xf5\xe0", 4) != 0)
        return fail(EXIT_SBX, "--image %s: neither a squashfs nor an EROFS image", copy);
    add_export(s, src, &id);
    add_mount(s, kind, view_absolute(host, colon + 1))->export_id = id;
    return 0;
}

static int add_options(struct shown *s, const struct run_options *o, const struct user *u)
{
    struct view host = { .root = AT_FDCWD };
    char cwd[PATH_MAX];

    host.cwd = getcwd(cwd, sizeof cwd) ? cwd : "/";
    for (unsigned i = 0; i < o->nbinds; i++) {
        const struct bind_option *b = &o->binds[i];
        char *src = view_absolute(&host, expand_home(b->src));
        struct stat st;
        int fd = open(src, O_PATH | O_CLOEXEC);

        if (fd < 0 || fstat(fd, &st) < 0)
            return fail(EXIT_SBX, "--bind %s: %s; give a file or directory that exists", b->src,
                        strerror(errno));
        close(fd);
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
            return fail(EXIT_SBX, "--bind %s: only files and directories can be shown", b->src);
        if (access(src, S_ISDIR(st.st_mode) ? R_OK | X_OK : R_OK) < 0)
            return fail(EXIT_SBX, "--bind %s: %s; you cannot read it", b->src, strerror(errno));
        const char *dst = b->dst ? view_absolute(&host, b->dst) : src;
        if (b->rw)
            shown_shared(s, src, dst, S_ISREG(st.st_mode));
        else
            shown_mount(s, src, dst, b->ro);
    }
    for (unsigned i = 0; i < o->nimages; i++) {
        int r = add_image(s, &host, o->images[i]);

        if (r)
            return r;
    }
    for (unsigned i = 0; i < o->ntmpfs; i++) {
        if (o->tmpfs[i][0] != '/')
            return fail(EXIT_SBX, "--tmpfs %s: give an absolute path", o->tmpfs[i]);
        add_empty(s, view_absolute(&host, o->tmpfs[i]), 01777, u);
    }
    return 0;
}

/* HOME=/tmp, or /usr: what lies there of the table is not covered, and serves as the home. */
static bool is_of_table(const char *home)
{
    for (unsigned i = 0; i < visible_count; i++) {
        if (path_within(visible_table[i].path, home))
            return true;
    }
    return false;
}

/*
 * `sbx learn`: what is not shown is, beneath all, but for credentials; what is opened of it is told
 * (sentry/learn.h). So is what a home, /etc and /tmp hold, which would lie above it.
 */
static void add_learned(struct shown *s, const struct user *u)
{
    for (unsigned i = 0; i < ARRAY_SIZE(u->homes); i++) {
        for (unsigned k = 0; u->homes[i] && k < visible_credentials_count; k++) {
            char *path = xjoin(u->homes[i], visible_credentials[k]);
            struct stat st;

            if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                add_empty(s, path, 0700, u);
            else if (stat(path, &st) == 0)
                shown_text(s, path, "");
        }
    }
}

static void add_host(struct shown *s, const struct view *v, const struct user *u,
                     const struct program *p, bool learn)
{
    if (learn) {
        shown_mount(s, "/", "/", false);
        s->mounts[0].learn = true;
    } else {
        add_empty(s, "/", 0755, NULL);
    }
    for (unsigned i = 0; i < visible_count; i++) {
        if (!learn || (visible_table[i].kind != V_NAMES && visible_table[i].kind != V_EMPTY))
            add_row(s, &visible_table[i]);
    }
    if (learn)
        add_learned(s, u);
    else if (!is_of_table(u->home))
        add_empty(s, u->home, 0700, u);
    shown_trees(s, u, v->path);
    if (p->interp_by_path) /* never what a #! line names */
        shown_program(s, u, p->exec_path);
    add_project(s, v, u, p);
}

static void add_rootfs(struct shown *s, const struct view *v)
{
    char real[PATH_MAX];

    shown_mount(s, realpath(v->rootfs, real) ? real : v->rootfs, "/", false);
    add_mount(s, SM_PROC, "/proc");
    add_mount(s, SM_SYSFS, "/sys");
    add_mount(s, SM_DEV, "/dev");
}

/* PATH inside: the caller's, less what cannot be seen there. */
static char *visible_path(const struct shown *s, const char *path)
{
    char *out = xcalloc(strlen(path) + 2, 1), *end = out;

    while (*path) {
        size_t n = strcspn(path, ":");

        memcpy(end, path, n);
        end[n] = 0;
        if (*end == '/' && shown_covers(s, end)) {
            end += n;
            *end++ = ':';
        }
        path += n + (path[n] == ':');
    }
    if (end == out)
        return xstrdup(VIEW_PATH);
    end[-1] = 0;
    return out;
}

int shown_build(const struct run_options *o, const struct view *v, const struct user *u,
                const struct program *p, struct shown *ret)
{
    struct shown s = { .home = u->home, .cwd = v->cwd };
    int r;

    if (v->root == AT_FDCWD)
        add_host(&s, v, u, p, o->learn);
    else
        add_rootfs(&s, v);
    r = add_options(&s, o, u);
    if (r)
        return r;
    s.path = visible_path(&s, v->path);
    *ret = s;
    return 0;
}
