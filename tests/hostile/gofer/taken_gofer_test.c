/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second line: a gofer that has been taken over, by a sentry or by a file system that lies to
 * it. It reads what it shows, which is its work; it writes nowhere, and reads nothing else.
 */
#include "tests/hostile/gofer/taken.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/types.h"

static int open_as(int dirfd, const char *path, uint64_t flags)
{
    struct open_how how = { .flags = flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                            .mode = flags & O_CREAT ? 0600 : 0 };

    atomic_fetch_add(&board->tries, 1);
    return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

/* openat2's flags are where no filter sees them: Landlock and read-only mounts are what holds. */
static void outside(int dirfd, const char *path)
{
    static const uint64_t modes[] = { O_RDONLY, O_RDONLY | O_DIRECTORY, O_RDWR, O_WRONLY };
    char got[4096], what[300];

    snprintf(what, sizeof(what), "a gofer opens %s from %d", path, dirfd);
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        int fd = open_as(dirfd, path, modes[i]);
        if (fd < 0)
            continue;
        ssize_t n = pread(fd, got, sizeof(got), 0);
        if (n > 0)
            judge_bytes(got, (size_t)n, what);
        if (modes[i] & O_DIRECTORY) {
            struct statx st;
            if (statx(fd, "", AT_EMPTY_PATH, STATX_INO, &st) == 0)
                for (unsigned k = 0; k < board->noutside; k++)
                    if (st.stx_ino == board->outside[k].ino && st.stx_dev_major)
                        reached("%s", what);
        }
        close(fd);
    }
}

static void read_outside(const struct gofer_config *cfg)
{
    char path[400];

    taken_gofer_fence(cfg);
    for (unsigned i = 0; i <= cfg->nexports; i++) {
        int from = i < cfg->nexports ? cfg->exports[i].fd : AT_FDCWD;
        char up[100] = "";
        outside(from, in_top("out/canary"));
        snprintf(path, sizeof(path), "/proc/self/root%s", in_top("out/canary"));
        outside(from, path);
        for (unsigned k = 0; k < 10; k++) {
            strcat(up, k ? "/.." : "..");
            snprintf(path, sizeof(path), "%s%s", up, in_top("out/canary"));
            outside(from, path);
            snprintf(path, sizeof(path), "%s/out/canary", up);
            outside(from, path);
        }
    }
}

static void may_write(void)
{
    chmod(in_top("tree/dir/file"), 0666);
    chmod(in_top("tree"), 0777);
}

static void write_inside(const struct gofer_config *cfg)
{
    static const uint64_t modes[] = { O_RDWR,
                                      O_WRONLY,
                                      O_RDWR | O_TRUNC,
                                      O_WRONLY | O_APPEND,
                                      O_RDWR | O_CREAT,
                                      O_WRONLY | O_CREAT | O_EXCL,
                                      O_RDWR | O_TMPFILE };
    static const char *const names[] = { "dir/file", "new", ".", "dir", "" };

    taken_gofer_fence(cfg);
    for (unsigned i = 0; i < cfg->nexports; i++)
        for (unsigned k = 0; k < ARRAY_SIZE(modes); k++)
            for (unsigned n = 0; n < ARRAY_SIZE(names); n++) {
                int fd = open_as(cfg->exports[i].fd, names[n], modes[k]);
                if (fd >= 0)
                    reached("a gofer opens \"%s\" for writing (%#llx)", names[n],
                            (unsigned long long)modes[k]);
                if (fd >= 0)
                    close(fd);
            }
}

static const struct way *const all_ways[] = { &way_root, &way_user, &way_root_plain,
                                              &way_user_plain, NULL };

const struct attack taken_attacks[] = {
    { "read-outside", NULL, NULL, NULL, read_outside, false, false, all_ways,
      "landlock,detached,emptyroot", &way_user, NULL, false },
    { "write-inside", NULL, may_write, NULL, write_inside, false, false, all_ways,
      "landlock,detached", &way_user, NULL, false },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
