/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A taken sentry against the gofer of what is shared live: programs and devices that others of the host
 * would run into, handles of one tree used on another, a single file's neighbours, nonsense, and
 * answers that nobody reads. Runs confined (confine.h).
 */
#include "tests/hostile/gofer/live.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "abi/types.h"

static uint64_t node_of_answer(void)
{
    uint64_t node = 0;

    if (ch.ans.rep.error == 0 && ch.ans.rep.count >= 1)
        memcpy(&node, ch.ans.data + (ch.ans.rep.count - 1) * sizeof(struct gw_entry), sizeof(node));
    return node;
}

static uint64_t open_node(const char *path, int flags)
{
    if (ask_open(ch.root, path, flags) < 0)
        broken("%s cannot be opened: %d", path, ch.ans.rep.error);
    return node_of_answer();
}

/* ---- set-id and devices ---- */

static void make_suid(void)
{
    canaries_prepare();
    mkdir(in_top("tree/sgid"), 0755);
    chmod(in_top("tree/sgid"), 02777);
}

static void set_bits(uint64_t node, const char *path)
{
    for (unsigned bits = 0; bits < 8; bits++)
        ask_setattr(node, path,
                    (struct gw_setattr){ .valid = GW_SET_MODE, .mode = bits << 9 | 0755 });
}

static void make_kind(const char *path, uint32_t type, unsigned bits)
{
    struct gw_make m = { .mode = type | bits << 9 | 0755, .open = GW_MAKE_CLOSED };

    ask_make(ch.root, path, m, type == S_IFLNK ? "dir/file" : NULL);
    m.open = O_RDWR;
    ask_make(ch.root, path, m, NULL);
    m.temporary = 1;
    if (ask_make(ch.root, "", m, NULL) == 0)
        ask_move(GW_LINKAT, node_of_answer(), "", ch.root, path, 0);
}

static void kinds(const struct sentry_config *cfg)
{
    /* Capabilities version 2, effective, CAP_SETUID. */
    static const unsigned char caps[20] = { 1, 0, 0, 2, 0x80 };
    static const char *const names[] = { "security.capability",
                                         "trusted.x",
                                         "system.posix_acl_access",
                                         "security.selinux",
                                         "user",
                                         "user.",
                                         "" };
    char path[32];

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned type = 0; type < 16; type++)
        for (unsigned bits = 0; bits < 8; bits++) {
            snprintf(path, sizeof(path), "%s-%u-%u", bits & 1 ? "sgid/k" : "k", type, bits);
            make_kind(path, type << 12, bits);
            if (type << 12 != S_IFDIR)
                set_bits(ch.root, path);
        }
    set_bits(ch.root, "dir/file");
    set_bits(open_node("dir/file", O_RDWR), "");
    set_bits(ch.file, "single");
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        ask_setxattr(ch.root, "dir/file", names[i], caps, sizeof(caps));
    ch_alive("set-id bits and devices");
}

/* A directory and a file of one name by turns: the bits are for the directory. */
static void swap_kinds(void)
{
    char dir[128], file[128];

    strcpy(dir, in_top("tree/dir/sub"));
    strcpy(file, in_top("tree/dir/file"));
    for (;;) {
        renameat2(AT_FDCWD, dir, AT_FDCWD, file, RENAME_EXCHANGE);
        for (volatile unsigned i = 0; i < 20000; i++)
            ;
    }
}

static void bits_race(const struct sentry_config *cfg)
{
    const struct gw_setattr set = { .valid = GW_SET_MODE, .mode = 06755 };

    taken_fence(cfg);
    ch_open(cfg);
    for (int i = 0; i < (board->bites ? 200 : 6000) && !atomic_load(&board->reached); i++) {
        ask_setattr(ch.root, "dir/sub", set);
        ask_setattr(ch.root, "dir/file", set);
    }
    ch_alive("set-id bits for what was a directory");
}

/* ---- handles of another tree, and of another kind ---- */

static void refuse(int err, const char *what)
{
    if (err == 0)
        reached("%s went well", what);
}

static void foreign(const struct sentry_config *cfg)
{
    const struct gw_watch new = { .op = GW_WATCH_NEW };
    struct gw_lock l = { .op = GW_LOCK_FLOCK, .type = F_WRLCK };
    struct gw_request lock;

    taken_fence(cfg);
    ch_open(cfg);
    refuse(ask_move(GW_RENAME, ch.root, "dir/file", ch.file, "new", 0), "a rename between trees");
    refuse(ask_move(GW_LINKAT, ch.file, "single", ch.root, "hard", 0), "a link between trees");
    refuse(ask_move(GW_LINKAT, ch.root, "dir/file", ch.file, "new", 0), "a link between trees");
    refuse(ask_move(GW_RENAME, ch.file, "single", ch.root, "dir/file", RENAME_EXCHANGE),
           "an exchange between trees");
    uint64_t file = open_node("dir/file", O_RDWR);
    refuse(ask_open(file, "x", O_RDWR), "a name in an open file");
    refuse(ask_file(file, "x"), "a file in an open file");
    refuse(ask_file(file, ""), "a file without a name");
    refuse(ask_remove(file, "", false), "an open file removed");
    refuse(ask_move(GW_LINKAT, file, "", ch.file, "new", 0), "an open file's link elsewhere");
    refuse(ask_watch(ch.root, "dir", new), "a queue at a path");
    ask_watch(0, "", new);
    uint64_t queue = node_of_answer();
    refuse(ask_open(queue, "dir/file", O_RDWR), "a name in a queue");
    refuse(ask_file(queue, "x"), "a file in a queue");
    refuse(ask_setattr(queue, "", (struct gw_setattr){ .valid = GW_SET_MODE }), "a queue's mode");
    refuse(ask_move(GW_LINKAT, queue, "", ch.root, "q", 0), "a queue's link");
    for (unsigned i = 0; i < 2; i++) {
        lock = ch_request(GW_LOCK, i ? queue : ch.root, sizeof(l));
        refuse(ch_ask(lock, &l, sizeof(l)), "a lock of what is no open file");
    }
    struct gw_watch w = { .op = GW_WATCH_ADD, .queue = file, .mask = IN_ALL_EVENTS };
    refuse(ask_watch(ch.root, "", w), "a watch in an open file");
    w.queue = ch.root;
    refuse(ask_watch(ch.root, "", w), "a watch in a directory");
    w.queue = queue;
    refuse(ask_watch(file, "", w), "a watch of a name that an open file has not");
    ch_ask(ch_request(GW_FORGET, 0, sizeof(file)), &file, sizeof(file));
    refuse(ask_setattr(file, "", (struct gw_setattr){ .valid = GW_SET_MODE }), "a forgotten node");
    for (uint64_t n = 1; n < 3000; n++) /* forged */
        if (n != ch.root && n != ch.file)
            ask_setattr(n % 300 | n / 300 << 32, "", (struct gw_setattr){ .valid = 0 });
    ch_alive("handles of another tree");
}

/* ---- a single file's neighbours ---- */

static void single(const struct sentry_config *cfg)
{
    static const char *const names[] = { "out/file", "out/canary", "out/new", "new",
                                         "tree/../out/file" };

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        ask_all(ch.file, names[i]);
    refuse(ask_remove(ch.file, "single", false), "the single file removed");
    refuse(ask_file(ch.file, "new"), "a file beside it");
    refuse(ask_setattr(ch.file, "", (struct gw_setattr){ .valid = GW_SET_MODE, .mode = 0700 }),
           "its directory's mode");
    refuse(ask_make(ch.file, "",
                    (struct gw_make){ .mode = S_IFREG | 0600, .open = O_RDWR, .temporary = 1 },
                    NULL),
           "a temporary file beside it");
    refuse(ch_path(GW_LIST, ch.file, ""), "its directory's list");
    ch_alive("a single file's neighbours");
}

/* ---- nonsense ---- */

static const uint16_t ops[] = { GW_MAKE,    GW_OPENAT,   GW_REMOVE, GW_RENAME, GW_LINKAT,
                                GW_SETATTR, GW_SETXATTR, GW_SYNC,   GW_LOCK,   GW_WATCH };

static uint64_t edge(void)
{
    static const uint64_t edges[] = { 0,          1,          2,          7,           8,
                                      255,        4095,       4096,       65535,       65536,
                                      0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, INT64_MAX,
                                      1ull << 63, UINT64_MAX };

    return ch_random() % 3 ? edges[ch_random() % ARRAY_SIZE(edges)] : ch_random();
}

/* Whatever the fields say, its paths are those that stand in the datagram, which are harmless. */
static void nonsense(const struct sentry_config *cfg)
{
    static const char paths[] = "dir/file";
    unsigned char buf[4200];

    taken_fence(cfg);
    ch_open(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
        for (size_t n = 0; n <= 80; n++) { /* each length around that of its structure */
            memset(buf, 0, sizeof(buf));
            ch_ask(ch_request(ops[i], ch.root, n), buf, n);
            memset(buf, 0xff, sizeof(buf));
            ch_ask(ch_request(ops[i], ch.root, n), buf, n);
        }
    for (int i = 0; i < 20000; i++) {
        size_t n = ch_random() % 4 ? 8 + ch_random() % 120 : 4000 + ch_random() % 200;
        struct gw_request r;

        for (size_t at = 0; at + 8 <= sizeof(buf); at += 8) {
            uint64_t v = at < 48 ? edge() : 0;
            memcpy(buf + at, v || at < 48 ? (void *)&v : (void *)(uintptr_t)paths, 8);
        }
        r = ch_request(ops[ch_random() % ARRAY_SIZE(ops)], ch_random() % 2 ? ch.root : edge(), n);
        r.arg = ch_random() % 2 ? (uint32_t)edge() : 0;
        r.flags = (uint32_t)(ch_random() % 2 ? edge() : 0);
        ch_ask(r, buf, n);
    }
    ch_alive("nonsense");
}

/* ---- answers that nobody reads; tables that run full ---- */

static void unread(const struct sentry_config *cfg)
{
    struct gw_request r = ch_request(GW_OPENAT, 0, 8);
    unsigned char buf[sizeof(r) + 8];
    unsigned sent = 0;

    taken_fence(cfg);
    ch_open(cfg);
    r.node = ch.root;
    r.arg = O_RDWR;
    r.tag = 1;
    memcpy(buf, &r, sizeof(r));
    memcpy(buf + sizeof(r), "dir/file", 8);
    for (int i = 0; i < 100000 && ch_ready(POLLOUT, 100); i++)
        if (ch_try(buf, sizeof(buf), MSG_DONTWAIT) > 0)
            sent++;
    atomic_fetch_add(&board->tries, sent);
    if (sent == 100000)
        broken("a gofer whose answers nobody reads takes any number of requests");
    while (sent--) {
        ch_recv(&ch.ans, "an answer that was waited for");
        if (ch.ans.fd >= 0)
            close(ch.ans.fd);
        ch.ans.fd = -1;
    }
    ch_alive("answers that nobody read");
}

static void hoard(const struct sentry_config *cfg)
{
    const struct gw_watch new = { .op = GW_WATCH_NEW };
    unsigned files = 0, queues = 0;

    taken_fence(cfg);
    ch_open(cfg);
    while (files < 200000 && ask_open(ch.root, "dir/file", O_RDWR) == 0)
        files++;
    if (files == 200000)
        broken("open files without end");
    while (queues < 200000 && ask_watch(0, "", new) == 0)
        queues++;
    if (queues == 200000)
        broken("queues without end");
    /* Full: names and attributes are served still, and what is let go can be had again. */
    if (ask_setattr(ch.root, "dir/file",
                    (struct gw_setattr){ .valid = GW_SET_MODE, .mode = 0600 }) < 0)
        broken("with all its nodes taken a gofer changes no mode: %d", ch.ans.rep.error);
    for (uint64_t i = 1; i < 70000; i++) {
        uint64_t node = 1ull << 32 | i;
        ch_ask(ch_request(GW_FORGET, 0, sizeof(node)), &node, sizeof(node));
    }
    if (ask_open(ch.root, "dir/file", O_RDWR) < 0)
        broken("what was let go cannot be had again: %d", ch.ans.rep.error);
    ch_alive("all its nodes taken");
}

bool taken_live = true;

static const struct way *const all_ways[] = { &way_root, &way_user, &way_root_plain,
                                              &way_user_plain, NULL };

const struct attack taken_attacks[] = {
    { .name = "kinds",
      .run = kinds,
      .prepare = make_suid,
      .ways = all_ways,
      .bites = "setid",
      .bites_way = &way_user },
    { .name = "devices",
      .run = kinds,
      .prepare = make_suid,
      .ways = all_ways,
      .bites = "devices,goferfilter,landlock",
      .bites_way = &way_root },
    { .name = "bits",
      .run = bits_race,
      .prepare = canaries_prepare,
      .meanwhile = swap_kinds,
      .ways = all_ways,
      .bites = "setid",
      .bites_way = &way_user },
    { .name = "foreign", .run = foreign, .prepare = canaries_prepare, .ways = all_ways },
    { .name = "single",
      .run = single,
      .prepare = canaries_prepare,
      .ways = all_ways,
      .bites = "shown,landlock",
      .bites_way = &way_root },
    { .name = "nonsense", .run = nonsense, .prepare = canaries_prepare, .ways = all_ways },
    { .name = "unread", .run = unread, .prepare = canaries_prepare, .ways = all_ways },
    { .name = "hoard", .run = hoard, .prepare = canaries_prepare, .ways = all_ways },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
