/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A taken sentry against the gofer of what is shared live (--bind SRC:DST:rw), which writes. It may do
 * to the tree what the caller may, and that is all: canaries beside it are to be neither read, changed,
 * moved, linked, removed nor joined by others, and in the tree no device and no set-id program is to
 * come into being. Runs confined (confine.h).
 */
#include "tests/hostile/gofer/live.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/types.h"

/* ---- paths ---- */

static void paths(const struct sentry_config *cfg)
{
    /* Each leads to a canary, to its directory, or (new) to a name beside it: nowhere else. */
    static const char *const bad[] = {
        "../out/file",
        "../out/canary",
        "../out/new",
        "dir/../../out/file",
        "dir/sub/../../../out/new",
        "./dir/../../out/file",
        "../out",
        "/../out/file",
        "dir//../../out/file",
        "../single",
        "../out/./file",
        "../tree/../out/new",
    };
    char path[200];

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        ask_all(ch.root, bad[i]);
        ask_all(ch.file, bad[i] + 3 * !strncmp(bad[i], "../", 3)); /* its directory is the top */
    }
    snprintf(path, sizeof(path), "%s/out/file", board->top);
    ask_all(ch.root, path); /* absolute */
    for (unsigned up = 1; up < 10; up++) {
        path[0] = 0;
        for (unsigned k = 0; k < up; k++)
            strcat(path, k ? "/.." : "..");
        snprintf(path + strlen(path), 100, "%s/out/file", board->top);
        ask_all(ch.root, path);
    }
    ch_alive("paths that lead out");
}

/* ---- links that the guest itself makes ---- */

static void links(const struct sentry_config *cfg)
{
    static const char *const ways[] = { "up/file", "up/canary",  "up/new",    "upfile", "abs/file",
                                        "abs/new", "absfile",    "root/file", "cwd",    "root/new",
                                        "twice",   "dir/upfile", "self/file", "newfile" };
    const struct {
        const char *name, *target;
    } made[] = {
        { "up", "../out" },
        { "upfile", "../out/file" },
        { "newfile", "../out/new" },
        { "dir/upfile", "../../out/file" },
        { "twice", "up/file" },
        { "abs", in_top("out") },
        { "absfile", in_top("out/file") },
    };
    char magic[200];

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(made); i++)
        ask_make(ch.root, made[i].name, (struct gw_make){ .mode = S_IFLNK | 0777 }, made[i].target);
    snprintf(magic, sizeof(magic), "/proc/self/root%s/out", board->top);
    ask_make(ch.root, "root", (struct gw_make){ .mode = S_IFLNK | 0777 }, magic);
    snprintf(magic, sizeof(magic), "/proc/self/cwd%s/out/file", board->top);
    ask_make(ch.root, "cwd", (struct gw_make){ .mode = S_IFLNK | 0777 }, magic);
    snprintf(magic, sizeof(magic), "/proc/%d/root%s/out", board->front, board->top);
    ask_make(ch.root, "self", (struct gw_make){ .mode = S_IFLNK | 0777 }, magic);
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        /* What is done to a link itself would take it away from those behind. */
        ask_open(ch.root, ways[i], O_RDWR);
        ask_open(ch.root, ways[i], O_WRONLY | O_TRUNC);
        ask_file(ch.root, ways[i]);
        ask_setattr(ch.root, ways[i], (struct gw_setattr){ .valid = GW_SET_MODE, .mode = 0777 });
        ask_setattr(ch.root, ways[i], (struct gw_setattr){ .valid = GW_SET_SIZE, .size = 1 });
        ask_setxattr(ch.root, ways[i], "user.x", "x", 1);
        if (strchr(ways[i], '/') && strncmp(ways[i], "dir/", 4))
            ask_all(ch.root, ways[i]);
    }
    ch_alive("links that lead out");
}

/* ---- links under way ---- */

static void make_swap(void)
{
    canaries_prepare();
    (void)!symlink("../out", in_top("tree/rel"));
    (void)!symlink(in_top("out"), in_top("tree/abs"));
    (void)!symlink("../out/file", in_top("tree/relfile"));
    put_file(in_top("tree/file"), "inside", 0644);
}

static void exchange(const char *a, const char *b)
{
    renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

static void swap_links(void)
{
    char dir[128], rel[128], abs[128], file[128], relfile[128];

    strcpy(dir, in_top("tree/dir"));
    strcpy(rel, in_top("tree/rel"));
    strcpy(abs, in_top("tree/abs"));
    strcpy(file, in_top("tree/file"));
    strcpy(relfile, in_top("tree/relfile"));
    for (;;) {
        exchange(dir, rel);
        exchange(file, relfile);
        exchange(dir, rel);
        exchange(dir, abs);
        exchange(file, relfile);
        exchange(dir, abs);
    }
}

static void swaps(const struct sentry_config *cfg)
{
    const struct gw_setattr mode = { .valid = GW_SET_MODE, .mode = 0666 };
    const struct gw_setattr size = { .valid = GW_SET_SIZE, .size = 2 };

    taken_fence(cfg);
    ch_open(cfg);
    for (int i = 0; i < (board->bites ? 20000 : 800) && !atomic_load(&board->reached); i++) {
        ask_open(ch.root, "dir/file", O_RDWR);
        ask_open(ch.root, "file", O_RDWR | O_TRUNC);
        ask_setattr(ch.root, "file", mode);
        ask_setattr(ch.root, "file", size);
        ask_setattr(ch.root, "dir/file", mode);
        ask_setxattr(ch.root, "file", "user.x", "x", 1);
        ask_file(ch.root, "dir/new");
        ask_move(GW_RENAME, ch.root, "dir/new", ch.root, "dir/newer", 0);
        ask_remove(ch.root, "dir/newer", false);
        ask_move(GW_LINKAT, ch.root, "dir/file", ch.root, "hard", 0);
        ask_remove(ch.root, "hard", false);
    }
    ch_alive("links under way");
}

bool taken_live = true;

static const struct way *const all_ways[] = { &way_root, &way_user, &way_root_plain,
                                              &way_user_plain, NULL };

#define OUT "landlock,beneath,detached,emptyroot" /* all that keeps a name that leads out inside */

const struct attack taken_attacks[] = {
    { .name = "paths",
      .run = paths,
      .prepare = canaries_prepare,
      .ways = all_ways,
      .bites = "names," OUT,
      .bites_way = &way_root },
    { .name = "links",
      .run = links,
      .prepare = canaries_prepare,
      .ways = all_ways,
      .bites = "links," OUT,
      .bites_way = &way_root },
    { .name = "swaps",
      .run = swaps,
      .prepare = make_swap,
      .meanwhile = swap_links,
      .ways = all_ways,
      .bites = OUT,
      .bites_way = &way_user },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
