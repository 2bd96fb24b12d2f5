/* SPDX-License-Identifier: Apache-2.0 */
/* The options of results.h, from what was asked for to what was done. */
#include "cli/results.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/results_write.h"

#define CHANGES_MAX 4000000u
#define TEXT_MAX (512ull << 20) /* of the list: what may be taken from a sentry that lies */

static bool asked(const struct run_options *o)
{
    return o->changes || o->diff || o->save_changes || o->apply;
}

/* The directory of the host that is shown at path inside, to be changed in memory; NULL. */
static char *host_of(const struct shown *s, const char *path)
{
    const struct sentry_mount *best = NULL;

    for (unsigned i = 0; i < s->nmounts; i++) { /* the last that holds it is on top */
        if (path_within(path, s->mounts[i].path))
            best = &s->mounts[i];
    }
    if (!best || best->kind != SM_OVERLAY)
        return NULL;
    const char *below = path + (best->path[1] ? strlen(best->path) : 0);
    const char *src = shown_of(s, best)->src;

    return *below && below[1] ? xasprintf("%s%s", src[1] ? src : "", below) : xstrdup(src);
}

static int open_scope(struct results *r, const struct view *v, const struct shown *s)
{
    const struct run_options *o = r->options;
    const char *option = o->apply     ? "--apply"
                         : o->changes ? "--changes"
                         : o->diff    ? "--diff"
                                      : "--save-changes";

    r->path = o->changes_path ? view_absolute(v, o->changes_path) : s->cwd;
    r->host = host_of(s, r->path);
    if (!r->host)
        return fail(
            EXIT_SBX,
            "%s: %s is no directory of the host's that the program may change; give one that is "
            "shown: --changes=DIR",
            option, r->path);
    r->dir = open(r->host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dir < 0)
        return fail(EXIT_SBX, "%s: %s: %s; give a directory: --changes=DIR", option, r->host,
                    strerror(errno));
    return 0;
}

/* An empty directory, made here if it is not there; by its name it is known to be the user's wish. */
static int open_save(struct results *r)
{
    const char *path = r->options->save_changes;

    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return fail(EXIT_SBX, "--save-changes %s: %s; give a directory that can be made", path,
                    strerror(errno));
    r->save = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->save < 0)
        return fail(EXIT_SBX, "--save-changes %s: %s", path, strerror(errno));
    if (!write_empty(r->save))
        return fail(EXIT_SBX, "--save-changes %s: is not empty; give a new directory", path);
    return 0;
}

/*
 * What changes from here on is newer than *ret, and what was changed before is not. A file's time is that
 * of the last tick, or (where it has been asked for, since Linux 6.13) the exact one: so it is the exact
 * time, and we go on when the next tick has been.
 */
static void mark_time(struct timespec_ns *ret)
{
    struct timespec now, tick;

    clock_gettime(CLOCK_REALTIME, &now);
    *ret = (struct timespec_ns){ now.tv_sec, (uint32_t)now.tv_nsec };
    for (int i = 0; i < 200; i++) { /* a clock that is set back meanwhile is not waited for */
        clock_gettime(CLOCK_REALTIME_COARSE, &tick);
        if (tick.tv_sec > now.tv_sec || (tick.tv_sec == now.tv_sec && tick.tv_nsec > now.tv_nsec))
            return;
        usleep(200);
    }
}

int results_prepare(struct results *r, const struct run_options *o, const struct view *v,
                    const struct shown *s, uint64_t without)
{
    int e = 0;

    *r = (struct results){
        .options = o, .dir = -1, .save = -1, .state = -1, .sock = -1, .without = without
    };
    if (!asked(o))
        return 0;
    if (o->apply)
        mark_time(&r->since);
    e = open_scope(r, v, s);
    if (e == 0 && (o->apply || o->save_changes))
        e = write_state(&r->state);
    if (e == 0 && o->apply)
        e = write_may_apply(r);
    if (e == 0 && o->save_changes)
        e = open_save(r);
    return e;
}

/* ---- from the sentry, which may have been taken over ---- */

static int take(int sock, void *p, size_t n)
{
    char *at = p;

    while (n > 0) {
        ssize_t r = recv(sock, at, n, MSG_WAITALL);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -1;
        at += r;
        n -= (size_t)r;
    }
    return 0;
}

static char *take_text(int sock, uint32_t n)
{
    char *s = xcalloc(n + 1, 1);

    return take(sock, s, n) < 0 || strlen(s) != n ? NULL : s;
}

static bool kind_ok(uint32_t kind)
{
    return kind == CHANGE_ADDED || kind == CHANGE_MODIFIED || kind == CHANGE_REMOVED;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct apply_change *)a)->path, ((const struct apply_change *)b)->path);
}

static bool head_ok(const struct change_head *h)
{
    bool link = S_ISLNK(h->mode) && h->kind != CHANGE_REMOVED && !(h->flags & CHANGE_GONE);

    return kind_ok(h->kind) && h->path_len > 0 && h->path_len < PATH_MAX &&
           h->link_len < PATH_MAX && link == (h->link_len > 0) && h->mtime_nsec < 1000000000;
}

static int receive(struct results *r)
{
    struct change_head h;
    uint64_t total = 0;

    for (;;) {
        if (take(r->sock, &h, sizeof h) < 0)
            return -1;
        if (h.kind == CHANGE_END)
            break;
        total += sizeof *r->changes + h.path_len + h.link_len;
        if (!head_ok(&h) || r->n == CHANGES_MAX || total > TEXT_MAX)
            return -1;
        struct apply_change *c = xgrow(&r->changes, &r->n, sizeof *c);

        c->head = h;
        c->index = r->n - 1;
        c->path = take_text(r->sock, h.path_len);
        c->link = h.link_len ? take_text(r->sock, h.link_len) : NULL;
        if (!c->path || (h.link_len && !c->link) || !changes_path_ok(c->path, h.path_len))
            return -1;
    }
    r->partial = h.size != 0;
    qsort(r->changes, r->n, sizeof *r->changes, by_path);
    for (unsigned i = 1; i < r->n; i++) {
        if (strcmp(r->changes[i - 1].path, r->changes[i].path) == 0)
            return -1;
    }
    return 0;
}

int results_content(struct results *r, const struct apply_change *c)
{
    const struct change_want want = { c->index };
    struct change_data head;
    char buf[16384];
    int fd = memfd_create("content", MFD_CLOEXEC);

    if (fd < 0 || send(r->sock, &want, sizeof want, MSG_NOSIGNAL) != sizeof want ||
        take(r->sock, &head, sizeof head) < 0 || head.size < 0)
        goto failed;
    while (head.size > 0) {
        size_t n = (size_t)MIN(head.size, (int64_t)sizeof buf);

        if (take(r->sock, buf, n) < 0 || write(fd, buf, n) != (ssize_t)n)
            goto failed;
        head.size -= (int64_t)n;
    }
    return fd;
failed:
    if (fd >= 0)
        close(fd);
    fail(EXIT_SBX, "the content of a changed file could not be had");
    return -1;
}

int results_finish(struct results *r, int status)
{
    const struct run_options *o = r->options;
    int e = 0;

    if (!r->path)
        return status;
    if (receive(r) < 0) {
        close(r->sock);
        return fail(EXIT_SBX, "what the program changed in %s is lost: the sandbox ended early",
                    r->host);
    }
    if (r->partial)
        note("not everything that the program changed in %s could be told", r->host);
    if (o->json)
        e = results_json(r, stderr);
    else if (o->changes || o->apply)
        results_list(r, stderr);
    if (e == 0 && o->diff)
        e = results_diff(r);
    if (e == 0 && o->save_changes)
        e = write_save(r);
    if (e == 0 && o->apply)
        e = write_apply(r);
    close(r->sock);
    return e ? e : status;
}
