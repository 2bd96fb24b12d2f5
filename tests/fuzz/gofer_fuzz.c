/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's decoder under arbitrary datagrams, in this process and without its fences, so that a
 * sanitizer sees what it does. An input is a row of datagrams: two bytes of length (cut to what is
 * left), then so many bytes. A datagram's node 1 is made the root's, or hardly any would get far.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gofer/server.h"
#include "tests/fuzz/fuzz.h"

static struct gofer_export export;
static struct gofer_config config = {
    .ring_fd = -1, .exports = &export, .nexports = 1, .shared = true
};
static int reader;

static char dir[] = "/tmp/sbx-fuzz-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type, (void)f;
    return remove(path) < 0 && errno != ENOENT && errno != ENOTEMPTY;
}

/* What is shared live may have become anything. */
static void remove_tree(void)
{
    nftw(dir, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

static void fill_tree(int top)
{
    mkdirat(top, "d", 0755);
    mkdirat(top, "d/e", 0755);
    close(openat(top, "d/f", O_WRONLY | O_CREAT, 0644));
    (void)!symlinkat("d/f", top, "l");
    mkfifoat(top, "p", 0644);
}

static void make_tree(void)
{
    int top;

    umask(0);
    if (!mkdtemp(dir) || (top = open(dir, O_PATH | O_DIRECTORY)) < 0)
        abort();
    fill_tree(top);
    export.fd = top;
    export.only_fd = -1;
    atexit(remove_tree);
}

static void start(void)
{
    int sv[2];

    make_tree();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv) < 0 || nodes_init(64) < 0)
        abort();
    config.sock = sv[0];
    reader = sv[1];
    if (gofer_server_init(&config) < 0)
        abort();
}

/* Takes the answers, and closes descriptors by not asking for them. */
static void drain(void)
{
    static char buf[GW_MAX];

    while (recv(reader, buf, sizeof(buf), 0) > 0)
        ;
}

static void one_datagram(const uint8_t *p, size_t n)
{
    static unsigned char out[GW_MAX];
    unsigned char *in = malloc(n ? n : 1); /* of just this size, so that a step beyond is seen */
    struct gw_request req;
    uint64_t root = gofer_root_node(0);

    if (!in)
        abort();
    memcpy(in, p, n);
    if (n >= sizeof(req)) {
        memcpy(&req, in, sizeof(req));
        if (req.node == 1)
            req.node = root;
        memcpy(in, &req, sizeof(req));
    }
    gofer_answer(&config, in, n, out);
    free(in);
    drain();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static int started;

    if (!started++)
        start();
    else if (started++ % 1024 == 0) { /* what was removed is there again, what was made is not */
        remove_tree();
        mkdir(dir, 0700);
        fill_tree(export.fd);
    }
    while (n > 2) {
        size_t len = (size_t)p[0] | (size_t)p[1] << 8;
        p += 2;
        n -= 2;
        len = len < n ? len : n;
        one_datagram(p, len);
        p += len;
        n -= len;
    }
    return 0;
}

/* A request that means something, for the mutations of fuzz.c to start from. */
size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const char *const paths[] = { "d", "d/f", "l", "p", "", "d/e", "..", "d/none", "x" };
    const char *path = paths[i % 9];
    struct gw_request req = { .version = GW_VERSION,
                              .op = (uint16_t)(1 + i / 9 % (GW_NOPS - 1)),
                              .node = 1,
                              .len = (uint32_t)strlen(path),
                              .arg = 64 };
    static const char more[] = "\0f\0none\0e";

    if (req.op == GW_FILES) { /* siblings behind the path */
        req.arg = req.len;
        req.len += (uint32_t)sizeof(more) - 1;
    }
    /* in front of the paths of what is written stands a structure */
    static const uint8_t fixed[GW_NOPS] = {
        [GW_MAKE] = sizeof(struct gw_make),         [GW_RENAME] = sizeof(struct gw_move),
        [GW_LINKAT] = sizeof(struct gw_move),       [GW_SETATTR] = sizeof(struct gw_setattr),
        [GW_SETXATTR] = sizeof(struct gw_setxattr), [GW_LOCK] = sizeof(struct gw_lock),
        [GW_WATCH] = sizeof(struct gw_watch)
    };
    size_t front = fixed[req.op];
    req.len += (uint32_t)front;
    if (req.op >= GW_MAKE)
        req.arg = req.op == GW_MAKE ? (uint32_t)strlen(path) : i & 1;
    size_t n = sizeof(req) + req.len;

    if (cap < n + 2)
        return 0;
    buf[0] = (uint8_t)n;
    buf[1] = (uint8_t)(n >> 8);
    memcpy(buf + 2, &req, sizeof(req));
    memset(buf + 2 + sizeof(req), (int)(i & 1), front);
    memcpy(buf + 2 + sizeof(req) + front, path, strlen(path));
    if (req.op == GW_FILES)
        memcpy(buf + 2 + sizeof(req) + strlen(path), more, sizeof(more) - 1);
    return n + 2;
}
