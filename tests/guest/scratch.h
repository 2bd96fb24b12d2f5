/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of the test's own (in SBX_SCRATCH or /tmp), as its working directory; gone at the end. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "guest.h"

static char scratch_dir[256];

static void scratch_clear_(int dfd)
{
    DIR *d = fdopendir(dfd);
    struct dirent *e;

    if (!d)
        return;
    while ((e = readdir(d))) {
        int sub;

        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0) == 0)
            continue;
        (void)!fchmodat(dirfd(d), e->d_name, 0700, 0);
        sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (sub >= 0)
            scratch_clear_(sub);
        unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
    }
    closedir(d);
}

static inline void scratch_end(void)
{
    int fd = open(scratch_dir, O_RDONLY | O_DIRECTORY);

    if (fd >= 0)
        scratch_clear_(fd);
    if (chdir("/") == 0)
        rmdir(scratch_dir);
}

static inline void scratch_begin(void)
{
    const char *in = getenv("SBX_SCRATCH");

    snprintf(scratch_dir, sizeof scratch_dir, "%s/sbx-guest-XXXXXX", in ? in : "/tmp");
    if (!mkdtemp(scratch_dir) || chdir(scratch_dir) < 0)
        SKIP("no directory of its own in /tmp");
}

/* A file with that text. */
static inline void put_text(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static inline void check_text(const char *path, const char *want, int line)
{
    char buf[256];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);

    buf[n < 0 ? 0 : n] = 0;
    if (n < 0 || strcmp(buf, want)) {
        guest_failures++;
        printf("line %d: %s: %s holds \"%s\" (%d), not \"%s\"\n", line, guest_current, path, buf,
               (int)n, want);
    }
    if (fd >= 0)
        close(fd);
}
#define CHECK_TEXT(path, want) check_text(path, want, __LINE__)
