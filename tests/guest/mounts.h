/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of mounts: a tmpfs of the test's own at `top`, natively in a mount namespace of its own.
 * Inside there is one mount namespace, and it is the test's.
 */
#pragma once

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "guest.h"

static char top[64];

static inline char *at(const char *rest)
{
    static char bufs[8][PATH_MAX];
    static unsigned n;
    char *b = bufs[n++ % 8];

    snprintf(b, PATH_MAX, "%s/%s", top, rest);
    return b;
}

static inline int there(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

static inline void mkfile(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0644);

    CHECK(fd >= 0);
    close(fd);
}

static inline void dirs(const char *names)
{
    char copy[256], *save, *s;

    snprintf(copy, sizeof copy, "%s", names);
    for (s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
        (void)mkdir(at(s), 0755);
}

/* The optional fields of the topmost mount at path, "shared:1 master:2" with numbers made x. */
static inline const char *fields(const char *path)
{
    static char ret[256];
    char line[4096], where[1024], *p, *end;
    FILE *f = fopen("/proc/self/mountinfo", "r");

    ret[0] = 0;
    snprintf(ret, sizeof ret, "not mounted");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%*d %*d %*s %*s %1023s", where) != 1 || strcmp(where, path))
            continue;
        p = line;
        for (int n = 0; n < 6 && p; n++)
            p = strchr(p + 1, ' ');
        end = p ? strstr(p, " - ") : NULL;
        ret[0] = 0;
        if (end && end > p) {
            char *to = ret;

            for (p++; p < end; p++)
                if (*p < '0' || *p > '9')
                    *to++ = *p;
            *to = 0;
        }
    }
    if (f)
        fclose(f);
    return ret;
}

#define CHECK_STR(a, b)                                                                            \
    do {                                                                                           \
        const char *a_ = (a), *b_ = (b);                                                           \
        if (strcmp(a_, b_)) {                                                                      \
            guest_failures++;                                                                      \
            printf("%s:%d: %s: failed: %s is \"%s\", wanted \"%s\"\n", __FILE__, __LINE__,         \
                   guest_current, #a, a_, b_);                                                     \
        }                                                                                          \
    } while (0)

static inline int tmpfs(const char *path)
{
    return mount("none", path, "tmpfs", 0, NULL);
}

static inline void mounts_begin(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (getuid() != 0)
        SKIP("mounts are root's");
    if (unshare(CLONE_NEWNS) == 0)
        CHECK_EQ(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
    snprintf(top, sizeof top, "/tmp/mounts-XXXXXX");
    if (!mkdtemp(top))
        SKIP("no directory in /tmp");
    CHECK_EQ(mount("none", top, "tmpfs", 0, "mode=755"), 0);
}

static inline void mounts_end(void)
{
    CHECK_EQ(umount2(top, MNT_DETACH), 0);
    CHECK_EQ(rmdir(top), 0);
}
