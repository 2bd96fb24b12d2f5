/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sbx logs [-f] NAME`: what was printed to standard output goes to ours, and to standard error likewise.
 * With -f until the sandbox has ended. The files are read while they are written: a record that is not there
 * whole yet is waited for; and when the file is no longer the one of that name, what follows stands in another.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/error.h"
#include "cli/logs.h"
#include "cli/serve.h"

#define LOOK_MS 100

struct reader {
    char *path, *old;
    int fd;
    off_t at;
    uint64_t seq;
};

/* The file at path, when it follows the last one (or any does); 0 or -errno. */
static int use(struct reader *r, const char *path, bool any)
{
    struct logs_head h;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return -errno;
    if (pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h || h.magic != LOGS_MAGIC ||
        (!any && h.seq != r->seq + 1)) {
        close(fd);
        return -EAGAIN;
    }
    if (r->fd >= 0)
        close(r->fd);
    r->fd = fd;
    r->at = sizeof h;
    r->seq = h.seq;
    return 0;
}

static bool print(int stream, const char *buf, size_t n)
{
    while (n > 0) {
        ssize_t w = write(stream == 2 ? 2 : 1, buf, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        buf += w;
        n -= (size_t)w;
    }
    return true;
}

/* All records that are there. False: nobody reads what we print. */
static bool print_file(struct reader *r)
{
    static char buf[LOGS_PIECE];
    struct logs_record h;

    while (pread(r->fd, &h, sizeof h, r->at) == (ssize_t)sizeof h && h.len <= sizeof buf &&
           pread(r->fd, buf, h.len, r->at + (off_t)sizeof h) == (ssize_t)h.len) {
        if (!print((int)h.stream, buf, h.len))
            return false;
        r->at += (off_t)(sizeof h + h.len);
    }
    return true;
}

static bool is_current(const struct reader *r)
{
    struct stat mine, there;

    return fstat(r->fd, &mine) == 0 && stat(r->path, &there) == 0 && mine.st_ino == there.st_ino;
}

/* To the end of what there is now, through files that follow. */
static bool print_all(struct reader *r)
{
    for (;;) {
        const bool current = is_current(
            r); /* asked before: what is written meanwhile is read then */

        if (!print_file(r))
            return false;
        if (current || access(r->path, F_OK) < 0)
            return true;
        if (use(r, r->old, /* any= */ false) < 0 && use(r, r->path, /* any= */ false) < 0) {
            if (use(r, r->path, /* any= */ true) < 0)
                return true; /* it is just being made */
            note("some of what was printed is gone: it came faster than it was read");
        }
    }
}

static int follow(struct reader *r, int alive)
{
    struct pollfd p = { .fd = alive, .events = POLLIN };

    for (;;) {
        bool over = alive < 0 || poll(&p, 1, LOOK_MS) > 0;

        if (!print_all(r) || over)
            return 0;
    }
}

int cmd_logs(int argc, char **argv)
{
    bool f = argc > 1 && (strcmp(argv[1], "-f") == 0 || strcmp(argv[1], "--follow") == 0);
    const char *name = argc == 2 + f ? argv[1 + f] : NULL;
    struct reader r = { .fd = -1 };
    int alive;

    if (!name || name[0] == '-')
        return fail(EXIT_SBX, "logs: give a name: sbx logs [-f] NAME");
    if (!named_ok(name))
        return fail(EXIT_SBX, "there is no sandbox named %s; see sbx ps -a", name);
    alive = named_try(name);
    r.path = logs_path(".log.", name);
    r.old = logs_path(".old.", name);
    if (!r.path)
        return EXIT_SBX;
    if (use(&r, r.old, /* any= */ true) < 0 && use(&r, r.path, /* any= */ true) < 0)
        return alive >= 0 ? fail(EXIT_SBX,
                                 "%s was not started by run -d: what it prints is where it "
                                 "was started",
                                 name)
                          : fail(EXIT_SBX, "there is no sandbox named %s; see sbx ps -a", name);
    if (f)
        return follow(&r, alive);
    print_all(&r);
    return 0;
}
