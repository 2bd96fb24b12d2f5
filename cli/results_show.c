/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of changes, for people and for programs; and text changes, by diff(1). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/json.h"
#include "cli/results.h"
#include "cli/utf8.h"

#define DEPTH_MAX 200

/* Controls, and what turns the direction of writing, or shows nothing. */
static bool harmless(uint32_t c)
{
    return c >= ' ' && !(c >= 0x7f && c < 0xa0) && c != 0x61c && !(c >= 0x200b && c <= 0x200f) &&
           !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff &&
           !(c >= 0xfff9 && c <= 0xfffb) && !(c >= 0xe0000 && c <= 0xe007f);
}

static void escape(FILE *f, const char *text, bool backslash)
{
    const unsigned char *s = (const unsigned char *)text;

    while (*s) {
        uint32_t c = 0;
        unsigned n = utf8_decode(s, &c);

        if (n && (harmless(c) || (c == '\t' && !backslash)) && !(c == '\\' && backslash))
            fwrite(s, 1, n, f);
        else
            for (unsigned i = 0; i < (n ? n : 1); i++)
                fprintf(f, s[i] == '\\' ? "\\\\" : "\\x%02x", s[i]);
        s += n ? n : 1;
    }
}

void results_escape(FILE *f, const char *text)
{
    escape(f, text, true);
}

char *results_escaped(const char *text)
{
    char *s = NULL;
    size_t n;
    FILE *f = open_memstream(&s, &n);

    if (!f)
        return xstrdup("?");
    results_escape(f, text);
    return fclose(f) == 0 ? s : xstrdup("?");
}

static const char *type_name(uint32_t mode)
{
    return S_ISREG(mode)   ? "file"
           : S_ISDIR(mode) ? "directory"
           : S_ISLNK(mode) ? "symlink"
                           : "special";
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **names_in(int dir, const char *path, unsigned *ret_n)
{
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    char **names = NULL;
    struct dirent *e;

    *ret_n = 0;
    while (d && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            *(char **)xgrow(&names, ret_n, sizeof *names) = xjoin(path, e->d_name);
    }
    if (d)
        closedir(d);
    if (names)
        qsort(names, *ret_n, sizeof *names, by_name);
    return names;
}

/* What lies in a directory that was removed goes too: every name is shown. */
static void list_removed(int dir, const char *path, FILE *f, unsigned depth)
{
    unsigned n;
    char **names = names_in(dir, path, &n);

    for (unsigned i = 0; i < n; i++) {
        struct stat st;
        bool is_dir = fstatat(dir, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);

        fprintf(f, "D ");
        results_escape(f, names[i]);
        fprintf(f, is_dir ? "/\n" : "\n");
        if (is_dir && depth < DEPTH_MAX)
            list_removed(dir, names[i], f, depth + 1);
        free(names[i]);
    }
    free(names);
}

void results_list(const struct results *r, FILE *f)
{
    for (unsigned i = 0; i < r->n; i++) {
        const struct apply_change *c = &r->changes[i];

        fprintf(f, "%c ", (char)c->head.kind);
        results_escape(f, c->path);
        fprintf(f, S_ISDIR(c->head.mode) ? "/" : "");
        if (c->link) {
            fprintf(f, " -> ");
            results_escape(f, c->link);
        }
        fprintf(f, "\n");
        if (c->head.kind == CHANGE_REMOVED && S_ISDIR(c->head.mode))
            list_removed(r->dir, c->path, f, 0);
    }
}

static json_t *change_json(const struct apply_change *c)
{
    const bool removed = c->head.kind == CHANGE_REMOVED;
    json_t *o = json_object();
    char mode[8];

    json_put(o, "change",
             json_string(c->head.kind == CHANGE_ADDED      ? "added"
                         : c->head.kind == CHANGE_MODIFIED ? "modified"
                                                           : "removed"));
    json_put_bytes(o, "path", c->path);
    json_put(o, "type", json_string(type_name(c->head.mode)));
    snprintf(mode, sizeof mode, "%04o", c->head.mode & 07777);
    if (!removed)
        json_put(o, "mode", json_string(mode));
    if (!removed && S_ISREG(c->head.mode))
        json_put(o, "size", json_integer((json_int_t)c->head.size));
    if (c->link)
        json_put_bytes(o, "target", c->link);
    return o;
}

int results_json(const struct results *r, FILE *f)
{
    json_t *top = json_object(), *list = json_array();

    json_put_bytes(top, "directory", r->host);
    json_put(top, "complete", json_boolean(!r->partial));
    for (unsigned i = 0; i < r->n; i++)
        json_append(list, change_json(&r->changes[i]));
    json_put(top, "changes", list);
    return json_print(top, f);
}

/* ---- differences ---- */

/* Its output, without what a terminal would take for more than text. */
static void copy_clean(int from)
{
    FILE *in = fdopen(from, "r");
    char *line = NULL;
    size_t cap = 0;

    while (in && getline(&line, &cap, in) > 0) {
        line[strcspn(line, "\n")] = 0;
        escape(stderr, line, false); /* text, that patch(1) is to read again */
        fputc('\n', stderr);
    }
    free(line);
    if (in)
        fclose(in);
}

static int run_diff(const char *old_label, const char *new_label, int old_fd, int new_fd)
{
    char old_path[32], new_path[32];
    int out[2], status = 0;
    pid_t pid;

    if (pipe2(out, O_CLOEXEC) < 0)
        return fail(EXIT_SBX, "--diff: %s", strerror(errno));
    fflush(stderr);
    pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        dup2(old_fd, 10);
        dup2(new_fd, 11);
        snprintf(old_path, sizeof old_path, "/dev/fd/10");
        snprintf(new_path, sizeof new_path, "/dev/fd/11");
        execlp("diff", "diff", "-u", "--label", old_label, "--label", new_label, old_path, new_path,
               (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    copy_clean(out[0]);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return fail(EXIT_SBX, "--diff: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return fail(EXIT_SBX, "--diff needs diff(1), which is not here; install diffutils");
    return 0;
}

int results_diff(struct results *r)
{
    int e = 0, null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    for (unsigned i = 0; e == 0 && i < r->n; i++) {
        const struct apply_change *c = &r->changes[i];
        bool removed = c->head.kind == CHANGE_REMOVED;
        int old = -1, new = -1;

        if (!S_ISREG(c->head.mode) || (!removed && !(c->head.flags & CHANGE_DATA)))
            continue;
        if (c->head.kind != CHANGE_ADDED || (c->head.flags & CHANGE_REPLACES))
            old = openat(r->dir, c->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (!removed && (new = results_content(r, c)) < 0)
            e = EXIT_SBX;
        char *a = xjoin("a", c->path), *b = xjoin("b", c->path);

        if (e == 0)
            e = run_diff(old < 0 ? "/dev/null" : a, removed ? "/dev/null" : b, old < 0 ? null : old,
                         new < 0 ? null : new);
        free(a);
        free(b);
        if (old >= 0)
            close(old);
        if (new >= 0)
            close(new);
    }
    close(null);
    return e;
}
