/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a taken sentry can make of the descriptors that it has: those of files that the gofer opened
 * for reading, opened again for writing by way of /proc; its standard streams; its empty root and
 * its procfs; and files by their own names, which it may try since its filter admits openat.
 */
#include "tests/hostile/gofer/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/types.h"

/* Whatever writes, on a descriptor. The test program looks at the files afterwards. */
static void write_all_ways(int fd, const char *what)
{
    char text[] = "spoiled";
    struct iovec iov = { text, 7 };

    atomic_fetch_add(&board->tries, 1);
    if (pwrite(fd, text, 7, 0) > 0 || pwritev2(fd, &iov, 1, 0, 0) > 0)
        reached("%s could be written", what);
    if (ftruncate(fd, 3) == 0 || fallocate(fd, 0, 0, 100) == 0 ||
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3) == 0)
        reached("%s could be cut", what);
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED)
        reached("%s could be mapped for writing", what);
}

/* The descriptor again, with other rights: by each procfs that may be there. */
static void reopen(const struct sentry_config *cfg, int fd, const char *what)
{
    static const int modes[] = { O_RDWR, O_WRONLY, O_RDWR | O_NONBLOCK };
    char path[64];

    for (unsigned i = 0; i < 2 * ARRAY_SIZE(modes); i++) {
        snprintf(path, sizeof(path), "%sself/fd/%d", i & 1 ? "/proc/" : "", fd);
        int again = openat(i & 1 ? AT_FDCWD : cfg->proc_fd, path, modes[i / 2] | O_CLOEXEC);
        atomic_fetch_add(&board->tries, 1);
        if (again < 0)
            continue;
        reached("%s opened again for writing", what);
        write_all_ways(again, what);
        close(again);
    }
}

static void one_file(const struct sentry_config *cfg, uint64_t node, const char *path,
                     const char *what)
{
    int r = ch_path(GW_OPEN, node, path);

    if (r < 0 || ch.ans.fd < 0)
        broken("%s cannot be opened: %d", what, r);
    write_all_ways(ch.ans.fd, what);
    fcntl(ch.ans.fd, F_SETFL, O_RDWR | O_APPEND);
    write_all_ways(ch.ans.fd, what);
    reopen(cfg, ch.ans.fd, what);
}

static void open_for_all(void)
{
    chmod(in_top("tree/dir/file"), 0666);
}

static void lent(const struct sentry_config *cfg)
{
    taken_fence(cfg);
    ch_open(cfg);
    one_file(cfg, ch.root, "dir/file", "a file of the shared tree");
    one_file(cfg, ch.file, "", "a single file");
    ch_alive("descriptors opened again");
}

/* A mount made below the tree while the sandbox runs. Where it shows it must be as fenced. */
static void prepare_mount(void)
{
    mkdir(in_top("tree/mnt"), 0755);
    mkdir(in_top("src"), 0755);
    put_file(in_top("src/late"), "inside", 0666);
}

static void mount_late(void)
{
    while (!atomic_load(&board->stage))
        usleep(500);
    if (mount(in_top("src"), in_top("tree/mnt"), NULL, MS_BIND, NULL) == 0)
        atomic_store(&board->stage, 2);
    else
        atomic_store(&board->stage, 3);
    pause();
}

static void late(const struct sentry_config *cfg)
{
    taken_fence(cfg);
    ch_open(cfg);
    atomic_store(&board->stage, 1);
    while (atomic_load(&board->stage) == 1)
        sched_yield();
    if (atomic_load(&board->stage) == 3)
        broken("the host could not mount");
    ch_path(GW_OPEN, ch.root, "mnt/late");
    if (ch.ans.fd >= 0) { /* it shows: then it is read, and no more */
        write_all_ways(ch.ans.fd, "a file of a late mount");
        reopen(cfg, ch.ans.fd, "a file of a late mount");
    }
    ch_alive("a late mount");
}

/* ---- by names ---- */

static void look(const struct sentry_config *cfg, int dirfd, const char *path)
{
    char what[300];
    static const int modes[] = { O_RDONLY, O_RDONLY | O_DIRECTORY, O_PATH, O_RDWR, O_WRONLY };

    (void)cfg;
    snprintf(what, sizeof(what), "openat %d %s", dirfd, path);
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        int fd = openat(dirfd, path, modes[i] | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        atomic_fetch_add(&board->tries, 1);
        if (fd < 0)
            continue;
        struct stat st;
        if (fstat(fd, &st) == 0)
            for (unsigned k = 0; k < board->noutside; k++)
                if (st.st_ino == board->outside[k].ino && st.st_dev == board->outside[k].dev &&
                    modes[i] != O_PATH)
                    reached("%s, mode %d", what, modes[i]);
        char buf[4096];
        ssize_t n = pread(fd, buf, sizeof(buf), 0);
        if (n > 0)
            judge_bytes(buf, (size_t)n, what);
        close(fd);
    }
}

static void names(const struct sentry_config *cfg)
{
    static const char *const procs[] = { "self/root", "self/cwd", "1/root", "self/task/1/root",
                                         "thread-self/root" };
    char path[400];

    taken_fence(cfg);
    for (int fd = -1; fd < 64; fd++) { /* from each descriptor that it has, as a directory */
        int from = fd < 0 ? AT_FDCWD : fd;
        char up[100] = "";
        look(cfg, from, "/");
        look(cfg, from, in_top("out/canary"));
        look(cfg, from, in_top("out/file"));
        for (int k = 0; k < 10; k++) {
            strcat(up, k ? "/.." : "..");
            look(cfg, from, up);
            snprintf(path, sizeof(path), "%s%s/out/canary", up, board->top);
            look(cfg, from, path);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(procs); i++) {
            snprintf(path, sizeof(path), "%s%s/out/canary", procs[i], board->top);
            look(cfg, from, path);
            snprintf(path, sizeof(path), "/proc/%s%s/out/canary", procs[i], board->top);
            look(cfg, from, path);
        }
    }
    ch_open(cfg);
    ch_alive("names");
}

static const struct way *const all_ways[] = { &way_root, &way_user, &way_root_plain,
                                              &way_user_plain, NULL };

const struct attack taken_attacks[] = {
    { "lent", lent, open_for_all, NULL, NULL, false, false, all_ways, "landlock,detached",
      &way_user, NULL, false },
    { "late", late, prepare_mount, mount_late, NULL, true, false, all_ways, "landlock,detached",
      &way_user, NULL, false },
    { "names", names, NULL, NULL, NULL, false, false, all_ways, "landlock,emptyroot", &way_user,
      NULL, false },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
