/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A taken sentry against the gofer of what is shared live, which writes: paths and links that lead
 * out, links that come under way, devices, set-id bits, names beside a single file, and messages at
 * their edges.
 */
#include "tests/hostile/gofer/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/types.h"

/* A fixed part, a path, something behind it. */
static int ask(uint16_t op, uint64_t node, uint32_t arg, const void *fixed, size_t nfixed,
               const char *path, const char *more)
{
    static char buf[GW_MAX];
    size_t n = strlen(path), m = strlen(more);

    memcpy(buf, fixed, nfixed);
    memcpy(buf + nfixed, path, n);
    memcpy(buf + nfixed + n, more, m);
    struct gw_request r = ch_request(op, node, nfixed + n + m);
    r.arg = arg;
    return ch_ask(r, buf, nfixed + n + m);
}

static uint64_t node_of_answer(void)
{
    uint64_t node;

    memcpy(&node, ch.ans.data, sizeof(node));
    return node;
}

static void forget(uint64_t node)
{
    ch_ask(ch_request(GW_FORGET, 0, sizeof(node)), &node, sizeof(node));
}

/* Opened, scribbled on, and given back. */
static int scribble(uint64_t node, const char *path, int flags)
{
    int r = ask(GW_OPENAT, node, (uint32_t)flags, "", 0, path, "");

    if (r == 0) {
        if (ch.ans.fd >= 0)
            (void)!pwrite(ch.ans.fd, "scribbled", 9, 0);
        forget(node_of_answer());
    }
    return r;
}

static int make(uint64_t node, const char *path, uint32_t mode, const char *target)
{
    struct gw_make m = { .mode = mode, .open = O_RDWR };

    int r = ask(GW_MAKE, node, (uint32_t)strlen(path), &m, sizeof(m), path, target);
    if (r == 0)
        forget(node_of_answer());
    return r;
}

static int move(uint16_t op, uint64_t from, const char *old, uint64_t to, const char *new,
                uint32_t flags)
{
    struct gw_move m = { .to = to, .oldlen = (uint32_t)strlen(old), .flags = flags };

    return ask(op, from, 0, &m, sizeof(m), old, new);
}

static int set(uint64_t node, const char *path, uint32_t valid, uint32_t mode)
{
    struct gw_setattr a = { .valid = valid, .mode = mode, .uid = 1, .gid = 1, .size = 3 };

    return ask(GW_SETATTR, node, 0, &a, sizeof(a), path, "");
}

static int set_xattr(uint64_t node, const char *path, const char *name)
{
    struct gw_setxattr x = { .pathlen = (uint32_t)strlen(path), .namelen = (uint32_t)strlen(name) };
    char more[64];

    snprintf(more, sizeof(more), "%svalue", name);
    return ask(GW_SETXATTR, node, 0, &x, sizeof(x), path, more);
}

static int watch(uint64_t node, const char *path)
{
    struct gw_watch w = { .op = GW_WATCH_NEW };

    if (ask(GW_WATCH, 0, 0, &w, sizeof(w), "", "") < 0)
        return -1;
    w = (struct gw_watch){ .op = GW_WATCH_ADD, .queue = node_of_answer(), .mask = 0xfff };
    int r = ask(GW_WATCH, node, 0, &w, sizeof(w), path, "");
    forget(w.queue);
    return r;
}

static const uint16_t looks[] = { GW_WALK,  GW_GETATTR,  GW_READLINK,  GW_LIST,  GW_OPEN,
                                  GW_FILES, GW_GETXATTR, GW_LISTXATTR, GW_STATFS };

/* Everything that can be done with a path. */
static void all_ops(uint64_t node, const char *path)
{
    char below[400];

    for (unsigned i = 0; i < ARRAY_SIZE(looks); i++)
        ch_path(looks[i], node, path);
    scribble(node, path, O_RDWR);
    scribble(node, path, O_WRONLY | O_TRUNC);
    snprintf(below, sizeof(below), "%s/new", path);
    make(node, below, S_IFREG | 0644, "");
    make(node, below, S_IFDIR | 0755, "");
    make(node, below, S_IFLNK | 0777, "/");
    make(node, path, S_IFREG | 0644, "");
    set(node, path, GW_SET_SIZE, 0);
    set(node, path, GW_SET_MODE, 0777);
    set(node, path, GW_SET_UID | GW_SET_GID, 0);
    set(node, path, GW_SET_ATIME_NOW | GW_SET_MTIME_NOW, 0);
    set_xattr(node, path, "user.x");
    ask(GW_SYNC, node, 0, "", 0, path, "");
    watch(node, path);
    move(GW_LINKAT, node, path, ch.root, "got", 0);
    ch_path(GW_OPEN, ch.root, "got");
    ask(GW_REMOVE, ch.root, 0, "", 0, "got", "");
    move(GW_RENAME, node, path, ch.root, "got", 0);
    ch_path(GW_OPEN, ch.root, "got");
    move(GW_RENAME, ch.root, "dir/sub/file", node, path, 0);
    move(GW_RENAME, ch.root, "dir/sub/file", node, path, 2 /* EXCHANGE */);
    ask(GW_REMOVE, node, 0, "", 0, path, "");
    ask(GW_REMOVE, node, 1, "", 0, path, "");
}

/* ---- paths and links ---- */

static void paths(const struct sentry_config *cfg)
{
    static const char *const bad[] = { "..",
                                       "../out",
                                       "../out/file",
                                       "../out/canary",
                                       "dir/../../out",
                                       "/",
                                       "/etc",
                                       "//",
                                       ".",
                                       "dir/..",
                                       "./../out",
                                       "../single",
                                       "dir/sub/../../../out/file" };
    char path[300];

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        all_ops(ch.root, bad[i]);
        all_ops(ch.file, bad[i]);
    }
    snprintf(path, sizeof(path), "../../../../../..%s/out/file", board->top);
    all_ops(ch.root, path);
    all_ops(ch.root, path + 18);
    ch_alive("paths that lead out");
}

static void make_links(void)
{
    (void)!symlink("../out", in_top("tree/up"));
    (void)!symlink("../out/file", in_top("tree/upfile"));
    (void)!symlink(in_top("out"), in_top("tree/abs"));
    (void)!symlink(in_top("out/file"), in_top("tree/absfile"));
    (void)!symlink("/proc/self/root", in_top("tree/magic"));
}

static void links(const struct sentry_config *cfg)
{
    static const char *const ways[] = { "up",       "up/file", "up/canary", "upfile",   "abs",
                                        "abs/file", "absfile", "magic",     "magic/etc" };

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(looks); k++)
            ch_path(looks[k], ch.root, ways[i]);
        scribble(ch.root, ways[i], O_RDWR);
        scribble(ch.root, ways[i], O_WRONLY | O_TRUNC);
        set(ch.root, ways[i], GW_SET_SIZE, 0);
        set(ch.root, ways[i], GW_SET_MODE, 0777);
        set_xattr(ch.root, ways[i], "user.x");
        watch(ch.root, ways[i]);
        if (strchr(ways[i], '/'))
            all_ops(ch.root, ways[i]);
    }
    make(ch.root, "up/new", S_IFREG | 0644, "");
    make(ch.root, "abs/new", S_IFREG | 0644, "");
    move(GW_RENAME, ch.root, "dir/file", ch.root, "up/new", 0);
    move(GW_LINKAT, ch.root, "dir/file", ch.root, "abs/new", 0);
    ch_alive("links");
}

/* Links that the sentry makes itself, and what it has open, once the directory is a link. */
static void swap_links(void)
{
    char dir[256], rel[256], abs[256], file[256], relfile[256];

    (void)!symlink("../out", in_top("tree/rel"));
    (void)!symlink(in_top("out"), in_top("tree/abs"));
    (void)!symlink("../out/file", in_top("tree/relfile"));
    put_file(in_top("tree/file"), "inside", 0644);
    strcpy(dir, in_top("tree/dir"));
    strcpy(rel, in_top("tree/rel"));
    strcpy(abs, in_top("tree/abs"));
    strcpy(file, in_top("tree/file"));
    strcpy(relfile, in_top("tree/relfile"));
    for (;;) {
        renameat2(AT_FDCWD, dir, AT_FDCWD, rel, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, file, AT_FDCWD, relfile, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, dir, AT_FDCWD, rel, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, dir, AT_FDCWD, abs, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, file, AT_FDCWD, relfile, RENAME_EXCHANGE);
        renameat2(AT_FDCWD, dir, AT_FDCWD, abs, RENAME_EXCHANGE);
    }
}

static void swaps(const struct sentry_config *cfg)
{
    taken_fence(cfg);
    ch_open(cfg);
    for (int i = 0; i < (board->bites ? 100000 : 1500) && !atomic_load(&board->reached); i++) {
        scribble(ch.root, "dir/file", O_RDWR);
        scribble(ch.root, "file", O_RDWR);
        make(ch.root, "dir/new", S_IFREG | 0644, "");
        make(ch.root, "dir/new", S_IFDIR | 0755, "");
        set(ch.root, "dir/canary", GW_SET_MODE, 0777);
        set(ch.root, "file", GW_SET_MODE, 0666);
        set(ch.root, "file", GW_SET_SIZE, 0);
        set_xattr(ch.root, "file", "user.x");
        ask(GW_REMOVE, ch.root, 0, "", 0, "dir/canary", "");
        move(GW_RENAME, ch.root, "dir/file", ch.root, "dir/new", 0);
        move(GW_RENAME, ch.root, "dir/new", ch.root, "dir/file", 0);
        move(GW_LINKAT, ch.root, "dir/canary", ch.root, "got", 0);
    }
    ch_alive("links under way");
}

/* ---- devices and set-id ---- */

static int look_at(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)type, (void)f;
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
        reached("%s: a device was made", path);
    if (!S_ISDIR(st->st_mode) && st->st_mode & (S_ISUID | S_ISGID))
        reached("%s: has set-id bits", path);
    return 0;
}

static void no_privilege(void)
{
    nftw(in_top("tree"), look_at, 8, FTW_PHYS);
}

static void kinds(const struct sentry_config *cfg)
{
    static const uint32_t modes[] = { 04755, 02755, 06777, 04000, 02010, 07777 };
    static const uint32_t types[] = { S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, 0, S_IFMT };
    struct gw_make tmp = { .mode = S_IFREG | 0755, .open = O_RDWR, .temporary = 1 };

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++)
        for (unsigned k = 0; k < ARRAY_SIZE(types); k++) {
            char name[40];
            snprintf(name, sizeof(name), "n%u-%u", i, k);
            make(ch.root, name, types[k] | modes[i], "");
            make(ch.root, name, types[k] | 0644, "");
            set(ch.root, name, GW_SET_MODE, modes[i]);
            set(ch.root, name, GW_SET_MODE | GW_SET_SIZE | GW_SET_MTIME_NOW, modes[i]);
            if (ask(GW_OPENAT, ch.root, O_RDWR, "", 0, name, "") == 0) {
                uint64_t node = node_of_answer();
                set(node, "", GW_SET_MODE, modes[i]);
                forget(node);
            }
            tmp.mode = types[k] | modes[i];
            if (ask(GW_MAKE, ch.root, 0, &tmp, sizeof(tmp), "", "") == 0) {
                uint64_t node = node_of_answer();
                set(node, "", GW_SET_MODE, modes[i]);
                move(GW_LINKAT, node, "", ch.root, "linked", 0);
                forget(node);
            }
        }
    set_xattr(ch.root, "dir/file", "security.capability");
    set_xattr(ch.root, "dir/file", "trusted.x");
    set_xattr(ch.root, "dir/file", "system.posix_acl_access");
    ch_alive("devices and set-id bits");
}

/* ---- a single file ---- */

static void single(const struct sentry_config *cfg)
{
    static const char *const others[] = { "out", "out/file", "out/canary", "tree", "tree/dir",
                                          "new", "" };

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        all_ops(ch.file, others[i]);
    ask(GW_REMOVE, ch.file, 0, "", 0, "single", "");
    move(GW_RENAME, ch.file, "single", ch.file, "other", 0);
    move(GW_RENAME, ch.root, "dir/file", ch.file, "single", 0);
    move(GW_LINKAT, ch.file, "single", ch.file, "other", 0);
    set(ch.file, "", GW_SET_MODE, 0777);
    if (scribble(ch.file, "single", O_RDWR) < 0)
        broken("the file itself cannot be opened: %d", ch.ans.rep.error);
    ch_alive("names beside a single file");
}

static void nothing_beside(void)
{
    struct stat st;

    if (access(in_top("new"), F_OK) == 0 || access(in_top("other"), F_OK) == 0 ||
        access(in_top("single"), F_OK) < 0)
        reached("a name beside the single file was changed");
    if (stat(board->top, &st) == 0 && (st.st_mode & 07777) != 0755)
        reached("its directory was changed");
}

/* ---- nonsense ---- */

static uint32_t edge(void)
{
    static const uint32_t edges[] = { 0, 1, 2, 3, 255, 4095, 4096, 65535, 65536, 0x7fffffff, ~0u };

    return ch_random() % 3 ? edges[ch_random() % ARRAY_SIZE(edges)] : (uint32_t)ch_random();
}

static void nonsense(const struct sentry_config *cfg)
{
    static const char *const names[] = { "", "dir", "dir/file", "n", "dir/sub/n", "..", "dir/sub" };
    uint64_t nodes[4] = { 0 };

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < 6000; i++) {
        uint32_t fixed[12];
        uint16_t op = (uint16_t)(GW_MAKE + ch_random() % (GW_NOPS - GW_MAKE));
        static const size_t sizes[] = { 24, 0, 0, 16, 16, 48, 16, 0, 24, 16 };
        size_t n = sizes[op - GW_MAKE];
        uint64_t node = ch_random() % 4 ? ch.root : nodes[ch_random() % 4];

        for (unsigned k = 0; k < ARRAY_SIZE(fixed); k++)
            fixed[k] = edge();
        if (op == GW_WATCH || op == GW_RENAME || op == GW_LINKAT)
            memcpy(fixed, ch_random() % 2 ? &ch.root : &nodes[ch_random() % 4], 8);
        if (ch_random() % 2)
            fixed[op == GW_SETATTR || op == GW_LOCK || op == GW_MAKE ? 0 : 2] =
                (uint32_t)ch_random() % 4;
        if (op == GW_MAKE)
            fixed[0] = (ch_random() % 2 ? S_IFREG : S_IFDIR) | (fixed[0] & 0777);
        if (ch_random() % 16 == 0)
            n = ch_random() % 48;
        int r = ask(op, node, ch_random() % 2 ? edge() : (uint32_t)(ch_random() % 9), fixed, n,
                    names[ch_random() % ARRAY_SIZE(names)], names[ch_random() % ARRAY_SIZE(names)]);
        if (r == 0 && ch.ans.rep.len >= 8) {
            uint64_t *keep = &nodes[ch_random() % 4];
            forget(*keep);
            *keep = node_of_answer();
        }
    }
    ch_alive("nonsense");
}

static const struct way *const all_ways[] = { &way_root, &way_user, &way_root_plain,
                                              &way_user_plain, NULL };

#define OUT "landlock,beneath,detached,emptyroot"
#define ATTACK(fn, ...)                                                                            \
    {                                                                                              \
        .name = #fn, .run = fn, .ways = all_ways, .shared = true, __VA_ARGS__                      \
    }

const struct attack taken_attacks[] = {
    ATTACK(paths, .bites = "names," OUT, .bites_way = &way_user),
    ATTACK(links, .prepare = make_links, .bites = "links," OUT, .bites_way = &way_root),
    ATTACK(swaps, .meanwhile = swap_links, .bites = OUT, .bites_way = &way_user),
    ATTACK(kinds, .after = no_privilege, .bites = "setid", .bites_way = &way_user),
    ATTACK(single, .after = nothing_beside, .bites = "shown,landlock", .bites_way = &way_user),
    ATTACK(nonsense, .after = no_privilege),
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
