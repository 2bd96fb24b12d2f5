/* SPDX-License-Identifier: Apache-2.0 */
/* See logs.h: the files. */
#include "cli/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "cli/error.h"
#include "cli/json.h"
#include "cli/serve.h"

static struct {
    char *path, *old;
    int fd;
    uint64_t seq, lost; /* bytes that could not be written */
    size_t size;
    time_t since;
} logs = { .fd = -1 };

char *logs_path(const char *what, const char *name)
{
    const char *dir = named_dir();

    return dir ? xasprintf("%s/%s%s", dir, what, name) : NULL;
}

static int fresh(void)
{
    const struct logs_head h = { LOGS_MAGIC, ++logs.seq };

    logs.fd = open(logs.path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (logs.fd < 0)
        return -errno;
    logs.size = sizeof h;
    return write(logs.fd, &h, sizeof h) == (ssize_t)sizeof h ? 0 : -EIO;
}

/* Of those that have ended only the last ones are kept. */
static void forget_old(void)
{
    const char *dir = named_dir();

    for (;;) {
        DIR *d = dir ? opendir(dir) : NULL;
        char *oldest = NULL;
        struct timespec when = { 0, 0 };
        unsigned n = 0;
        struct dirent *e;
        struct stat st;

        while (d && (e = readdir(d))) {
            if (strncmp(e->d_name, ".log.", 5) != 0 || fstatat(dirfd(d), e->d_name, &st, 0) < 0 ||
                named_alive(e->d_name + 5))
                continue;
            if (n++ == 0 || st.st_mtim.tv_sec < when.tv_sec ||
                (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec < when.tv_nsec)) {
                free(oldest);
                oldest = xstrdup(e->d_name + 5);
                when = st.st_mtim;
            }
        }
        if (d)
            closedir(d);
        if (n > LOGS_ENDED)
            logs_forget(oldest);
        free(oldest);
        if (n <= LOGS_ENDED)
            return;
    }
}

int logs_open(const char *name)
{
    int r;

    logs.path = logs_path(".log.", name);
    logs.old = logs_path(".old.", name);
    if (!logs.path)
        return EXIT_SBX;
    logs_forget(name);
    forget_old();
    logs.since = time(NULL);
    r = fresh();
    return r < 0 ? fail(EXIT_SBX, "-d: %s: %s", logs.path, strerror(-r)) : 0;
}

void logs_add(int stream, const char *buf, size_t n)
{
    struct timespec now;
    struct logs_record r = { (uint32_t)n, (uint32_t)stream, 0 };
    struct iovec iov[] = { { &r, sizeof r }, { (char *)(uintptr_t)buf, n } };

    clock_gettime(CLOCK_REALTIME, &now);
    r.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (!unfenced("logbound") && logs.size + sizeof r + n > LOGS_HALF &&
        logs.size > sizeof(struct logs_head)) {
        close(logs.fd);
        rename(logs.path, logs.old);
        if (fresh() < 0 && logs.fd >= 0) {
            close(logs.fd);
            logs.fd = -1;
        }
    }
    /* A record in part (the host's disk is full) would hide all behind it: it is taken back. */
    if (logs.fd >= 0 && writev(logs.fd, iov, 2) == (ssize_t)(sizeof r + n)) {
        logs.size += sizeof r + n;
        return;
    }
    logs.lost += n;
    if (logs.fd >= 0 && ftruncate(logs.fd, (off_t)logs.size) < 0) {
        close(logs.fd);
        logs.fd = -1;
    }
}

void logs_close(const char *name, int status, char *const *command, bool keep)
{
    char *path = logs_path(".end.", name), *line;
    json_t *o = json_object(), *words = json_array();
    FILE *f;

    if (logs.lost) {
        line = xasprintf("sbx: %llu bytes could not be kept: the disk is full\n",
                         (unsigned long long)logs.lost);
        logs_add(2, line, strlen(line));
    }
    if (!keep) {
        logs_forget(name);
        return;
    }
    for (; *command; command++)
        json_append(words, json_bytes(*command));
    json_put(o, "name", json_string(name));
    json_put(o, "status", json_integer(status));
    json_put(o, "since", json_integer((json_int_t)logs.since));
    json_put(o, "ended", json_integer((json_int_t)time(NULL)));
    json_put(o, "command", words);
    if (path && !unfenced("endlink")) /* what was put there meanwhile is not written through */
        unlink(path);
    f = path ? fopen(path, unfenced("endlink") ? "we" : "wxe") : NULL;
    if (f) {
        fchmod(fileno(f), 0600);
        fputs(json_line(o), f);
        fclose(f);
    }
}

void logs_forget(const char *name)
{
    static const char *const all[] = { ".log.", ".old.", ".end." };

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        char *path = logs_path(all[i], name);

        if (path)
            unlink(path);
        free(path);
    }
}

json_t *logs_ended(const char *name)
{
    char *path = logs_path(".end.", name);
    json_t *o = path ? json_load_file(path, 0, NULL) : NULL;

    free(path);
    return o;
}
