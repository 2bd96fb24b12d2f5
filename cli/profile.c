/* SPDX-License-Identifier: Apache-2.0 */
/* See profile.h. */
#include "cli/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "cli/error.h"
#include "cli/results.h"
#include "cli/results_write.h"

#define SCRIPTS ".sbx.toml"
#define TRUSTED "trusted"

struct text {
    char *bytes;
    size_t n;
};

/* Once: what is shown, compared and read is the same. */
static int read_text(const char *path, struct text *ret)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    char *shown = results_escaped(path);
    struct stat st;
    ssize_t n = 0;

    ret->bytes = xcalloc(TOML_MAX + 2, 1);
    ret->n = 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(EXIT_SBX, "%s: %s; profiles are files NAME.toml there", shown, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fail(EXIT_SBX, "%s: is no file; give a profile", shown);
    while (ret->n <= TOML_MAX && (n = read(fd, ret->bytes + ret->n, TOML_MAX + 1 - ret->n)) > 0)
        ret->n += (size_t)n;
    close(fd);
    if (n < 0)
        return fail(EXIT_SBX, "%s: %s", shown, strerror(errno));
    if (ret->n > TOML_MAX)
        return fail(EXIT_SBX, "%s: is longer than 64 KiB; give a shorter profile", shown);
    return 0;
}

/* ---- the script's own: what was accepted ---- */

/* Where it is kept: by a hash of the path, which need not be a good one, as all of it is compared. */
static char *kept_name(const char *path)
{
    uint64_t h = 0xcbf29ce484222325ull;

    for (; *path; path++)
        h = (h ^ (unsigned char)*path) * 0x100000001b3ull;
    return xasprintf("%s/%016llx", TRUSTED, (unsigned long long)h);
}

/* The path stands before the text: the same words mean something else elsewhere. */
static struct text kept_form(const char *path, const struct text *t)
{
    size_t n = strlen(path) + 1;
    struct text all = { xcalloc(n + t->n + 1, 1), n + t->n };

    memcpy(all.bytes, path, n);
    memcpy(all.bytes + n, t->bytes, t->n);
    return all;
}

static bool was_accepted(int state, const char *path, const struct text *t)
{
    struct text want = kept_form(path, t), got = { xcalloc(want.n + 2, 1), 0 };
    char *name = kept_name(path);
    int fd = openat(state, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n;
    bool same;

    while (fd >= 0 && got.n <= want.n && (n = read(fd, got.bytes + got.n, want.n + 1 - got.n)) > 0)
        got.n += (size_t)n;
    same = fd >= 0 && got.n == want.n && memcmp(got.bytes, want.bytes, want.n) == 0;
    if (fd >= 0)
        close(fd);
    free(name);
    free(got.bytes);
    free(want.bytes);
    return same;
}

static int keep(int state, const char *path, const struct text *t)
{
    struct text all = kept_form(path, t);
    char *name = kept_name(path), *temp = xasprintf("%s.%d", name, (int)getpid());
    int fd, e = 0;

    mkdirat(state, TRUSTED, 0700);
    fd = openat(state, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, all.bytes, all.n) != (ssize_t)all.n || close(fd) < 0 ||
        renameat(state, temp, state, name) < 0) {
        e = fail(EXIT_SBX, "that %s was accepted cannot be written down: %s", path,
                 strerror(errno));
        unlinkat(state, temp, 0);
    }
    free(name);
    free(temp);
    free(all.bytes);
    return e;
}

/* Each line escaped: nothing in it acts on the terminal, or hides there. */
static void show(FILE *tty, const char *shown, const struct text *t)
{
    const char *at = t->bytes, *end = at + t->n;

    fprintf(tty, "%s lies beside the script, whose author asks for this sandbox:\n\n", shown);
    while (at < end) {
        size_t n = strcspn(at, "\n"); /* a NUL ends the text there, and is refused later */
        char *line = xstrndup(at, n);

        fprintf(tty, "    ");
        results_escape(tty, line);
        fprintf(tty, "\n");
        free(line);
        at += n + 1;
    }
    fprintf(tty, "\nIs that what you want, now and until the file changes? [y/N] ");
    fflush(tty);
}

static int ask(const char *shown, const struct text *t)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    FILE *tty = fd >= 0 ? fdopen(fd, "r+") : NULL;
    char answer[16] = "";

    if (!tty)
        return fail(EXIT_SBX,
                    "%s comes with the script and was not accepted yet; read it, then give "
                    "--trust-profile, or --profile=none to go without",
                    shown);
    show(tty, shown, t);
    if (!fgets(answer, sizeof answer, tty))
        answer[0] = 0;
    fclose(tty);
    if (answer[0] != 'y' && answer[0] != 'Y')
        return fail(EXIT_SBX, "nothing was run; --profile=none goes without %s", shown);
    return 0;
}

static int accept_text(const struct run_options *o, const char *path, const struct text *t)
{
    int state, e = write_state(&state);

    if (unfenced("trust"))
        return 0;
    if (e)
        return e;
    if (!was_accepted(state, path, t)) {
        if (strlen(t->bytes) != t->n)
            e = fail(EXIT_SBX, "%s: there is a NUL in it", results_escaped(path));
        else if (!o->trust)
            e = ask(results_escaped(path), t);
        if (e == 0)
            e = keep(state, path, t);
    }
    close(state);
    return e;
}

/* ---- where it leads ---- */

/* The first part of path that is a symbolic link, behind the `known` bytes at its beginning; NULL: none. */
static char *link_in(const char *path, size_t known)
{
    for (size_t n = known; path[n];) {
        char *part;
        struct stat st;

        n += strspn(path + n, "/");
        n += strcspn(path + n, "/");
        part = xstrndup(path, n);
        if (lstat(part, &st) == 0 && S_ISLNK(st.st_mode))
            return part;
        free(part);
    }
    return NULL;
}

/* What the user has read must be what is shown: the author may have made a link there, also afterwards. */
int profile_check_links(const struct profile *p, const struct run_options *o)
{
    const struct toml_key *bind = toml_find(&p->file, "bind");
    const char *home = getenv("HOME");
    int e = 0;

    for (unsigned i = 0; p->dir && bind && !unfenced("profilelinks") && e == 0 && i < o->nbinds;
         i++) {
        const char *src = o->binds[i].src;
        bool at_home = home && src[0] == '~' && src[1] == '/';
        char *path = at_home ? xasprintf("%s%s", home, src + 1) : xstrdup(src);
        size_t known = bind->values[i].text[0] == '/' ? 0 : strlen(at_home ? home : p->dir);
        char *link = link_in(path, known);

        if (link)
            e = fail(EXIT_SBX,
                     "%s:%u: %s is a symbolic link; a profile beside a script names what it shows "
                     "itself",
                     p->shown, bind->values[i].line, results_escaped(link));
        free(link);
        free(path);
    }
    return e;
}

/* ---- finding ---- */

/* The one beside the script, as it would be run; NULL: there is none. */
static char *find_beside(const struct run_options *o)
{
    const char *file = o->nargs ? o->args[0] : "", *slash = strrchr(file, '/');
    char real[PATH_MAX], *path;

    if (o->command || o->rootfs || !*file || strcmp(file, "-") == 0)
        return NULL;
    path = slash ? xasprintf("%.*s/" SCRIPTS, (int)(slash - file), file) : xstrdup(SCRIPTS);
    if (access(path, F_OK) < 0 || (!slash && access(file, F_OK) < 0) || !realpath(path, real)) {
        free(path);
        return NULL;
    }
    free(path);
    return xstrdup(real);
}

static char *own_path(const char *name)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (strchr(name, '/'))
        return xstrdup(name);
    if (base && base[0] == '/')
        return xasprintf("%s/sbx/%s.toml", base, name);
    return home && home[0] == '/' ? xasprintf("%s/.config/sbx/%s.toml", home, name) : NULL;
}

int profile_apply(struct run_options *o)
{
    struct profile p = { .shown = NULL };
    struct text t;
    char *path;
    int e;

    if (o->profile && strcmp(o->profile, "none") == 0)
        return 0;
    path = o->profile ? own_path(o->profile) : find_beside(o);
    if (!path && o->profile)
        return fail(EXIT_SBX, "--profile %s: profiles lie beneath HOME, which is not set",
                    o->profile);
    if (!path)
        return 0;
    e = read_text(path, &t);
    if (e == 0 && !o->profile) {
        e = accept_text(o, path, &t);
        p.dir = xstrndup(path, (size_t)(strrchr(path, '/') - path) + (strrchr(path, '/') == path));
    }
    p.shown = results_escaped(path);
    if (e == 0)
        e = toml_read(p.shown, t.bytes, t.n, &p.file);
    if (e == 0)
        e = options_add_profile(o, &p);
    if (e == 0)
        o->profile_path = path;
    free(t.bytes);
    return e;
}
