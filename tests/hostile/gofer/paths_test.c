/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A taken sentry that wants files from outside the shared tree: paths that lead out, links of every
 * kind, links that come into being under the gofer's feet, a procfs, devices, FIFOs, sockets, mount
 * points, and what the descriptors that it is given can be made into.
 */
#include "tests/hostile/gofer/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/types.h"

static const uint16_t path_ops[] = { GW_WALK,  GW_GETATTR,  GW_READLINK,  GW_LIST,  GW_OPEN,
                                     GW_FILES, GW_GETXATTR, GW_LISTXATTR, GW_STATFS };

static void all_ops(uint64_t node, const char *path)
{
    for (unsigned k = 0; k < ARRAY_SIZE(path_ops); k++)
        ch_path(path_ops[k], node, path);
}

/* ---- paths ---- */

static void paths(const struct sentry_config *cfg)
{
    static const char *const bad[] = {
        "..",
        ".",
        "../out/canary",
        "../out/file",
        "dir/..",
        "dir/../..",
        "dir/../../out/canary",
        "dir/sub/../../../out/file",
        "/",
        "/etc",
        "//",
        "dir/",
        "dir//file",
        "./dir",
        "dir/.",
        "dir/./file",
        "/etc/passwd",
        "...",
        ".../..",
        "../tree/dir/file",
        "..\\out\\file",
    };
    char path[300];

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        all_ops(ch.root, bad[i]);
        if (ch.file)
            all_ops(ch.file, bad[i]);
    }
    for (unsigned i = 0; i < ch.nexports && i < GW_ROOTS_MAX; i++)
        for (unsigned up = 1; up < 12; up++) { /* of each export, to the root and down again */
            path[0] = 0;
            for (unsigned k = 0; k < up; k++)
                strcat(path, k ? "/.." : "..");
            all_ops(ch.roots[i], path);
            snprintf(path + strlen(path), 200, "%s/out/file", board->top);
            all_ops(ch.roots[i], path);
        }
    /* siblings of a file are names too */
    static const char siblings[] = "dir/file\0../file\0..\0../../out/file\0/etc/passwd";
    struct gw_request r = ch_request(GW_FILES, ch.root, sizeof(siblings) - 1);
    r.arg = 8;
    ch_ask(r, siblings, sizeof(siblings) - 1);
    ch_alive("paths that lead out");
}

/* ---- what an export does not show ---- */

static void hidden(const struct sentry_config *cfg)
{
    static const char *const secrets[] = { "shadow", "gshadow", "shadow-", "sudoers",
                                           "ssl/private" };
    static const char siblings[] = "passwd\0shadow\0gshadow";

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ch.nexports && i < GW_ROOTS_MAX; i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(secrets); k++)
            all_ops(ch.roots[i], secrets[k]);
        struct gw_request r = ch_request(GW_FILES, ch.roots[i], sizeof(siblings) - 1);
        r.arg = 6;
        ch_ask(r, siblings, sizeof(siblings) - 1);
        ch_path(GW_LIST, ch.roots[i], "");
    }
    ch_alive("names that are not shown");
}

/* ---- links ---- */

static void make_links(void)
{
    (void)!symlink("../out", in_top("tree/up"));
    (void)!symlink("../out/file", in_top("tree/upfile"));
    (void)!symlink(in_top("out"), in_top("tree/abs"));
    (void)!symlink(in_top("out/file"), in_top("tree/absfile"));
    (void)!symlink("/proc/self/root", in_top("tree/magic"));
    (void)!symlink("/proc/self/cwd", in_top("tree/cwd"));
    (void)!symlink("loop", in_top("tree/loop"));
    (void)!symlink("up/file", in_top("tree/twice"));
    (void)!symlink(in_top("out/file"), in_top("tree/dir/absfile"));
}

static void links(const struct sentry_config *cfg)
{
    static const char *const ways[] = {
        "up",       "up/file",    "up/canary", "upfile", "abs",
        "abs/file", "abs/canary", "absfile",   "magic",  "magic/etc/passwd",
        "cwd",      "loop",       "loop/loop", "twice",  "dir/absfile",
    };
    char magic[200];

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++)
        all_ops(ch.root, ways[i]);
    snprintf(magic, sizeof(magic), "magic%s/out/file", board->top);
    all_ops(ch.root, magic);
    ch_alive("links");
}

/* ---- links under way ---- */

static void make_swap(void)
{
    (void)!symlink("../out", in_top("tree/rel"));
    (void)!symlink(in_top("out"), in_top("tree/abs"));
    (void)!symlink("../out/file", in_top("tree/relfile"));
}

/* In one step each, so that there is always something of that name. */
static void swap_links(void)
{
    char dir[256], rel[256], abs[256], file[256], relfile[256];

    strcpy(dir, in_top("tree/dir"));
    strcpy(rel, in_top("tree/rel"));
    strcpy(abs, in_top("tree/abs"));
    strcpy(file, in_top("tree/dir/file"));
    strcpy(relfile, in_top("tree/relfile"));
    put_file(in_top("tree/file"), "inside", 0644);
    char top[256];
    strcpy(top, in_top("tree/file"));
    for (;;) {
        renameat2(AT_FDCWD, dir, AT_FDCWD, rel, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, top, AT_FDCWD, relfile, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, dir, AT_FDCWD, rel, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, dir, AT_FDCWD, abs, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, top, AT_FDCWD, relfile, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, dir, AT_FDCWD, abs, RENAME_EXCHANGE);
    }
}

static void swaps(const struct sentry_config *cfg)
{
    taken_fence(cfg);
    ch_open(cfg);
    for (int i = 0; i < (board->bites ? 100000 : 2000) && !atomic_load(&board->reached); i++) {
        ch_path(GW_OPEN, ch.root, "dir/file");
        ch_path(GW_WALK, ch.root, "dir/canary");
        ch_path(GW_LIST, ch.root, "dir");
        ch_path(GW_OPEN, ch.root, "file");
        ch_path(GW_FILES, ch.root, "dir/file");
    }
    ch_alive("links under way");
}

/* A directory in which we stand is taken out of the tree: ".." from there would be outside. */
static void move_out(void)
{
    char in[256], out[256];

    strcpy(in, in_top("tree/dir/sub"));
    strcpy(out, in_top("out/sub"));
    for (;;) {
        rename(in, out);
        rename(out, in);
    }
}

static void moved(const struct sentry_config *cfg)
{
    uint64_t node = 0;

    taken_fence(cfg);
    ch_open(cfg);
    for (int i = 0; i < 1000 && !node; i++)
        if (ch_path(GW_WALK, ch.root, "dir/sub") == 0 && ch.ans.rep.count == 2)
            memcpy(&node, ch.ans.data + sizeof(struct gw_entry), sizeof(node));
    if (!node)
        broken("no node for a directory that comes and goes");
    for (int i = 0; i < (board->bites ? 100000 : 1500) && !atomic_load(&board->reached); i++) {
        ch_path(GW_GETATTR, node, "..");
        ch_path(GW_OPEN, node, "../file");
        ch_path(GW_WALK, ch.root, "dir/sub/../file");
        ch_path(GW_OPEN, node, "file"); /* it was lent, and is still that directory */
    }
    ch_alive("a directory that is moved away");
}

/* ---- a procfs in the tree ---- */

static void mount_proc(void)
{
    mkdir(in_top("tree/proc"), 0755);
    if (mount("proc", in_top("tree/proc"), "proc", 0, NULL) < 0)
        perror("mounting a procfs");
}

static void procfs(const struct sentry_config *cfg)
{
    static const char *const which[] = { "root", "cwd",     "exe",  "fd/0", "fd/1",   "fd/3",
                                         "mem",  "environ", "maps", "task", "ns/mnt", "map_files" };
    const pid_t pids[] = {
        1, board->front, board->front + 1, board->front + 2, board->victim, board->harness
    };
    char path[300];

    taken_fence(cfg);
    ch_open(cfg);
    all_ops(ch.root, "proc/self/root");
    all_ops(ch.root, "proc/self");
    all_ops(ch.root, "proc/thread-self/fd");
    for (unsigned i = 0; i < ARRAY_SIZE(pids); i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(which); k++) {
            snprintf(path, sizeof(path), "proc/%d/%s", pids[i], which[k]);
            all_ops(ch.root, path);
        }
        snprintf(path, sizeof(path), "proc/%d/root%s/out/file", pids[i], board->top);
        all_ops(ch.root, path);
    }
    /* the memory of another process of the same user */
    snprintf(path, sizeof(path), "proc/%d/mem", board->victim);
    struct gw_request r = ch_request(GW_OPEN, ch.root, strlen(path));
    r.flags = GW_ALWAYS_FD; /* and no first bytes: there is nothing at 0 */
    if (ch_ask(r, path, strlen(path)) == 0 && ch.ans.fd >= 0) {
        char buf[TOKEN_LEN];
        ssize_t n = pread(ch.ans.fd, buf, sizeof(buf), (off_t)(uintptr_t)victim_secret);
        if (n > 0)
            judge_bytes(buf, (size_t)n, path);
    }
    /* files of the kernel's that wait, or do things */
    static const char *const special[] = { "proc/kmsg", "proc/kcore", "proc/sysrq-trigger",
                                           "proc/self/mem", "proc/sys/kernel/core_pattern" };
    for (unsigned i = 0; i < ARRAY_SIZE(special); i++)
        all_ops(ch.root, special[i]);
    ch_alive("a procfs in the tree");
}

/* ---- what is no file ---- */

static void make_kinds(void)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    mkfifo(in_top("tree/fifo"), 0666);
    put_file(in_top("tree/reg"), "inside", 0644);
    put_file(in_top("tree/setuid"), "inside", 06755);
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", in_top("tree/sock"));
    (void)!bind(s, (void *)&un, sizeof(un));
    close(s);
    if (geteuid() != 0)
        return;
    mknod(in_top("tree/null"), S_IFCHR | 0666, makedev(1, 3));
    mknod(in_top("tree/tty"), S_IFCHR | 0666, makedev(5, 0));
    mknod(in_top("tree/block"), S_IFBLK | 0666, makedev(7, 0));
    chmod(in_top("tree/null"), 0666);
}

/* A regular file becomes a FIFO, a device: between look and open, if it can be met. */
static void swap_kinds(void)
{
    char reg[256], fifo[256], null[256];

    strcpy(reg, in_top("tree/reg"));
    strcpy(fifo, in_top("tree/fifo"));
    strcpy(null, in_top("tree/null"));
    for (;;) {
        renameat2(AT_FDCWD, reg, AT_FDCWD, fifo, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, reg, AT_FDCWD, fifo, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, reg, AT_FDCWD, null, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, reg, AT_FDCWD, null, RENAME_EXCHANGE);
    }
}

static void kinds(const struct sentry_config *cfg)
{
    static const char *const names[] = { "fifo", "sock", "null", "tty", "block", "setuid", "dir" };

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        all_ops(ch.root, names[i]);
    for (int i = 0; i < (board->bites ? 100000 : 2500) && !atomic_load(&board->reached); i++) {
        ch_path(GW_OPEN, ch.root, "reg");
        ch_path(GW_WALK, ch.root, "reg");
        ch_path(GW_FILES, ch.root, "reg");
        ch_path(GW_GETXATTR, ch.root, "reg");
    }
    ch_alive("what is no file");
}

static const struct way *const all_ways[] = { &way_root, &way_user, &way_root_plain,
                                              &way_user_plain, NULL };

#define OUT "landlock,beneath,detached,emptyroot" /* all that keeps a name that leads out inside */

const struct attack taken_attacks[] = {
    { "paths", paths, NULL, NULL, NULL, false, false, all_ways, "names," OUT, &way_user, NULL,
      false },
    { "hidden", hidden, NULL, NULL, NULL, false, false, all_ways, "shown", &way_root, NULL, false },
    { "links", links, make_links, NULL, NULL, false, false, all_ways, "links," OUT, &way_root, NULL,
      false },
    { "swaps", swaps, make_swap, swap_links, NULL, false, false, all_ways, OUT, &way_user, NULL,
      false },
    { "moved", moved, NULL, move_out, NULL, false, false, all_ways, "names," OUT, &way_user, NULL,
      false },
    { "procfs", procfs, mount_proc, NULL, NULL, true, false, all_ways, "landlock", &way_user_plain,
      NULL, false },
    { "kinds", kinds, make_kinds, swap_kinds, NULL, false, false, all_ways,
      "kinds,detached,landlock", &way_root, NULL, false },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
