/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/results_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/launch.h"

static int make_dirs(char *path)
{
    for (char *p = path + 1;; p++) {
        if (*p != '/' && *p)
            continue;
        char c = *p;

        *p = 0;
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return -errno;
        *p = c;
        if (!c)
            return 0;
    }
}

int write_state(int *ret_fd)
{
    const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *path;
    int r = 0;

    if (base && base[0] == '/')
        path = xasprintf("%s/sbx", base);
    else if (home && home[0] == '/')
        path = xasprintf("%s/.local/state/sbx", home);
    else
        return fail(EXIT_SBX, "there is no place for a journal; set HOME or XDG_STATE_HOME");
    r = make_dirs(path);
    *ret_fd = r < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0)
        return fail(EXIT_SBX, "%s: %s; a journal must be written there, or in XDG_STATE_HOME", path,
                    strerror(r < 0 ? -r : errno));
    return 0;
}

bool write_empty(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    bool empty = d != NULL;

    while (empty && (e = readdir(d)))
        empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    if (d)
        closedir(d);
    return empty;
}

static int open_terminal(void)
{
    return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

int write_may_apply(const struct results *r)
{
    int tty = r->options->apply == APPLY_ASK ? open_terminal() : -1;

    if (r->options->apply == APPLY_ASK && tty < 0)
        return fail(EXIT_SBX, "--apply asks at a terminal, and there is none; give --apply=always");
    if (tty >= 0)
        close(tty);
    if (faccessat(r->dir, ".", W_OK | X_OK, 0) < 0)
        return fail(EXIT_SBX, "--apply: %s: %s; you cannot write there", r->host, strerror(errno));
    return 0;
}

/* ---- the writer ---- */

struct said {
    unsigned skipped, written;
    bool done, failed;
};

static void tell(const struct results *r, struct said *s, struct apply_msg *m)
{
    m->why[sizeof m->why - 1] = m->path[sizeof m->path - 1] = 0;
    if (m->type == APPLY_DONE) {
        s->done = true;
        s->written = m->count;
        return;
    }
    s->skipped += m->type == APPLY_SKIPPED;
    s->failed |= m->type == APPLY_FAILED;
    fprintf(stderr, "sbx: ");
    if (m->type == APPLY_FAILED && *m->path)
        fprintf(stderr, "nothing was written: ");
    if (*m->path) {
        results_escape(stderr, m->path);
        fprintf(stderr, m->type == APPLY_SKIPPED ? " is left as it is: " : ": ");
    } else if (m->type == APPLY_FAILED) {
        fprintf(stderr, "nothing was written to %s: ", r->host);
    } else if (m->type == APPLY_RECOVERED) {
        fprintf(stderr, "%s: ", r->host);
    }
    results_escape(stderr, m->why);
    fprintf(stderr, "\n");
}

static void writer_child(const struct results *r, int dir, int report, bool into)
{
    int keep[] = { 2, dir, r->state, r->sock, report };
    struct apply_job job = { .dir = dir,
                             .state = r->state,
                             .source = r->sock,
                             .report = report,
                             .into = into,
                             .changes = r->changes,
                             .n = r->n,
                             .since = r->since,
                             .without = r->without,
                             .root = geteuid() == 0 };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    child_close_all_but(keep, ARRAY_SIZE(keep), -1);
    apply_main(&job);
}

/* Runs it to its end. 0, or the exit status after an error. */
static int run_writer(struct results *r, int dir, bool into, struct said *ret)
{
    static struct apply_msg m;
    struct said s = { 0 };
    int pair[2], status = 0;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return fail(EXIT_SBX, "no socket to the writer: %s", strerror(errno));
    fflush(stderr);
    pid = fork();
    if (pid == 0)
        writer_child(r, dir, pair[1], into);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return fail(EXIT_SBX, "cannot start the writer: %s", strerror(errno));
    }
    while (recv(pair[0], &m, sizeof m, 0) == sizeof m)
        tell(r, &s, &m);
    close(pair[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    *ret = s;
    if (s.done)
        return 0;
    if (s.failed)
        return EXIT_SBX;
    return fail(EXIT_SBX,
                "the writer was ended; the next --apply there undoes or finishes what it did");
}

int write_save(struct results *r)
{
    struct said s;
    int e = run_writer(r, r->save, /* into= */ true, &s);

    if (e == 0)
        note("what was changed is in %s", r->options->save_changes);
    return e;
}

/* y or yes, by who sits at the terminal; the list has been shown. */
static bool agreed(const struct results *r)
{
    char line[16] = "";
    size_t n = 0;
    int tty = open_terminal();
    double bytes = 0;
    char c;

    if (tty < 0)
        return false;
    for (unsigned i = 0; i < r->n; i++)
        bytes += (double)r->changes[i].head.size;
    dprintf(tty, "sbx: write these %u changes, %.1f MiB, to %s? [y/N] ", r->n, bytes / 1048576,
            r->host);
    while (read(tty, &c, 1) == 1 && c != '\n') {
        if (n < sizeof line - 1)
            line[n++] = c;
    }
    close(tty);
    return !strcmp(line, "y") || !strcmp(line, "Y") || !strcmp(line, "yes");
}

int write_apply(struct results *r)
{
    struct said s;
    int e;

    if (r->n == 0) { /* what was agreed to before is done, or undone, all the same */
        e = apply_interrupted(r->state, r->dir) ? run_writer(r, r->dir, /* into= */ false, &s) : 0;
        if (e)
            return e;
        note("nothing was changed in %s", r->host);
        return 0;
    }
    if (r->options->apply == APPLY_ASK && !agreed(r)) {
        note("nothing was written to %s", r->host);
        return 0;
    }
    e = run_writer(r, r->dir, /* into= */ false, &s);
    if (e == 0)
        note("%u changes were written to %s%s", r->n - s.skipped, r->host,
             s.skipped ? ", but for those above" : "");
    return e == 0 && s.skipped ? EXIT_SBX : e;
}
