/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A taken sentry that floods: a hundred thousand requests whose answers it does not read, nodes and
 * slots without end. What waits is bounded by the host's socket buffers, what the gofer holds by its
 * tables: its memory and its descriptors are looked at from outside while it is flooded.
 */
#include "tests/hostile/gofer/channel.h"

#include <errno.h>
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "abi/types.h"

#define MESSAGES 100000

static long status_of(pid_t pid, const char *key)
{
    char path[64], line[256];
    long v = -1;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, key, strlen(key)))
            v = strtol(line + strlen(key), NULL, 10);
    if (f)
        fclose(f);
    return v;
}

/* The gofer, as the test program sees it: a child of the front end by that name. */
static pid_t find_gofer(void)
{
    char path[300], comm[32];
    struct dirent *e;
    pid_t found = -1;

    DIR *d = opendir("/proc");
    while (d && found < 0 && (e = readdir(d))) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid < 1 || status_of(pid, "PPid:") != board->front)
            continue;
        snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        FILE *f = fopen(path, "r");
        if (f && fgets(comm, sizeof(comm), f) && !strcmp(comm, "sbx-gofer\n"))
            found = pid;
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return found;
}

static long count_fds(pid_t pid)
{
    char path[64];
    long n = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *d = opendir(path);
    if (!d)
        return -1; /* only root may look at a gofer */
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* In the test program's helper: from stage 1 on it looks. */
static void watch_for(long grows_kb, long grows_fds)
{
    long before, now, fds, fds_before;
    pid_t pid;

    while (atomic_load(&board->stage) != 1)
        usleep(500);
    pid = find_gofer();
    before = status_of(pid, "VmData:");
    fds_before = count_fds(pid);
    atomic_store(&board->stage, 2);
    while (before > 0) {
        now = status_of(pid, "VmData:");
        fds = count_fds(pid);
        if (now > before + grows_kb)
            reached("the gofer's data grew from %ld to %ld kB", before, now);
        if (fds_before > 0 && fds > fds_before + grows_fds)
            reached("the gofer held %ld descriptors, and holds %ld", fds_before, fds);
        usleep(2000);
    }
    broken("no gofer seen (%d)", pid);
}

static void watch(void)
{
    watch_for(24576 /* four workers with buffers and stacks, a whole table of nodes */,
              65536 + 128);
}

/* For requests of which nothing is to stay. */
static void watch_closely(void)
{
    watch_for(4096, 16);
}

static void begin(const struct sentry_config *cfg)
{
    taken_fence(cfg);
    ch_open(cfg);
    atomic_store(&board->stage, 1);
    while (atomic_load(&board->stage) != 2)
        sched_yield();
}

/* Sends as much as the channel takes; how many went. Waits no longer than patience_ms for room. */
static unsigned pour(uint16_t op, const char *path, uint32_t flags, unsigned n, int patience_ms)
{
    unsigned char buf[sizeof(struct gw_request) + 64];
    struct gw_request r = ch_request(op, ch.root, strlen(path));
    unsigned sent = 0;

    r.flags = flags;
    r.arg = op == GW_OPEN ? 4096 : 0;
    memcpy(buf, &r, sizeof(r));
    memcpy(buf + sizeof(r), path, r.len);
    while (sent < n) {
        ssize_t k = ch_try(buf, sizeof(r) + r.len, MSG_DONTWAIT);
        if (k < 0 && errno == EAGAIN && ch_ready(POLLOUT, patience_ms))
            continue;
        if (k < 0 && errno == EAGAIN)
            break; /* full, and nobody takes from it */
        if (k < 0)
            broken("the gofer is gone in a flood: %s", strerror(errno));
        sent++;
    }
    atomic_fetch_add(&board->tries, sent);
    return sent;
}

static void drain(unsigned n)
{
    for (unsigned i = 0; i < n;) {
        ch_recv(&ch.ans, "an answer of a flood");
        if (ch.ans.fd >= 0)
            close(ch.ans.fd);
        i += !(ch.ans.rep.flags & GW_MORE);
    }
}

/* Nobody reads: the gofer waits, and so must we. Read at last, all are there. */
static void unread(const struct sentry_config *cfg)
{
    static const struct {
        uint16_t op;
        const char *path;
        uint32_t flags;
    } floods[] = {
        { GW_LIST, "", GW_WANT_ATTR | GW_BUSY },
        { GW_OPEN, "dir/file", GW_ALWAYS_FD | GW_BUSY },
        { GW_GETATTR, "dir/none", GW_BUSY },
        { GW_WALK, "dir/sub", GW_WANT_NODES | GW_BUSY },
    };

    begin(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(floods); i++) {
        unsigned n = pour(floods[i].op, floods[i].path, floods[i].flags, MESSAGES, 200);
        if (n == MESSAGES)
            broken("%u messages went, and no answer was read: what holds them?", n);
        drain(n);
    }
    /* Those without an answer are worked off, however many. */
    if (pour(GW_FORGET, "12345678", 0, MESSAGES, 10000) != MESSAGES)
        broken("messages without an answer get stuck");
    ch_alive("a flood");
}

/* Nodes and slots until the tables are full: the gofer goes on. */
static void hoard(const struct sentry_config *cfg)
{
    unsigned with = 0, slots = 0;
    uint64_t node;

    begin(cfg);
    for (unsigned i = 0; i < 80000; i++) {
        struct gw_request r = ch_request(GW_WALK, ch.root, 3);
        r.flags = GW_WANT_NODES;
        if (ch_ask(r, "dir", 3) != 0)
            broken("walk %u gives %d", i, ch.ans.rep.error);
        memcpy(&node, ch.ans.data, sizeof(node));
        with += node != 0;
        if (!node && i > with + 50)
            break; /* full */
    }
    if (with < 100)
        broken("only %u nodes", with);
    for (unsigned i = 0; i < 600; i++) { /* more than there are slots */
        struct gw_request r = ch_request(GW_OPEN, ch.root, 8);
        r.flags = GW_WANT_SLOT;
        if (ch_ask(r, "dir/file", 8) != 0)
            broken("open %u with full tables gives %d", i, ch.ans.rep.error);
        slots += !!(ch.ans.rep.flags & GW_SLOT);
        if ((ch.ans.rep.flags & GW_SLOT) && ch.ans.rep.value >= 512)
            broken("slot %llu", (unsigned long long)ch.ans.rep.value);
    }
    if (cfg->gofer_ring >= 0 && slots != 512)
        broken("%u slots", slots);
    ch_path(GW_LIST, ch.root, "dir");
    if (ch.ans.rep.error)
        broken("a listing with full tables gives %d", ch.ans.rep.error);
    ch_alive("full tables");
}

/* Each op with every kind of end, again and again; nodes and slots are given back. */
static void steady(const struct sentry_config *cfg)
{
    static const char *const some[] = { "",         "dir",           "dir/file",   "dir/sub/file",
                                        "dir/none", "none",          "dir/file/x", "..",
                                        "dir/sub",  "dir/sub/none/x" };
    uint64_t nodes[GW_DEPTH_MAX];

    begin(cfg);
    for (unsigned i = 0; i < 20000; i++) {
        const char *path = some[ch_random() % ARRAY_SIZE(some)];
        struct gw_request r = ch_request((uint16_t)(1 + ch_random() % (GW_NOPS - 1)),
                                         ch_random() % 8 ? ch.root : ch.file, strlen(path));
        if (r.op == GW_FORGET || r.op == GW_CLOSE)
            continue;
        r.flags = (uint32_t)ch_random() & GW_FLAGS & ~(uint32_t)GW_BUSY;
        r.arg = r.op == GW_LIST ? 1 : r.len;
        ch_ask(r, path, r.len);
        unsigned n = r.op == GW_WALK ? ch.ans.rep.count : 0;
        for (unsigned k = 0; k < n; k++)
            memcpy(&nodes[k], ch.ans.data + k * sizeof(struct gw_entry), 8);
        uint32_t slot = (uint32_t)ch.ans.rep.value;
        if (ch.ans.rep.flags & GW_SLOT)
            ch_ask(ch_request(GW_CLOSE, 0, 4), &slot, 4);
        if (n)
            ch_ask(ch_request(GW_FORGET, 0, 8 * n), nodes, 8 * n);
    }
    ch_ready(POLLIN, 50); /* time for the helper to look */
    ch_alive("requests of which nothing stays");
}

static const struct way *const all_ways[] = { &way_root, &way_user, NULL };

const struct attack taken_attacks[] = {
    { "steady", steady, NULL, watch_closely, NULL, false, false, all_ways, NULL, NULL, NULL,
      false },
    { "steady-ring", steady, NULL, watch_closely, NULL, false, true, all_ways, NULL, NULL, NULL,
      false },
    { "unread", unread, NULL, watch, NULL, false, false, all_ways, NULL, NULL, NULL, false },
    { "hoard", hoard, NULL, watch, NULL, false, false, all_ways, NULL, NULL, NULL, false },
    { "hoard-ring", hoard, NULL, watch, NULL, false, true, all_ways, NULL, NULL, NULL, false },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
