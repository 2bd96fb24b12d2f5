/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gofer's tests share: a temporary tree, and a real, fenced gofer process in front of it.
 * Runs for any user; each test program includes it once.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "abi/types.h"
#include "abi/without.h"
#include "gofer/client.h"
#include "gofer/gofer.h"
#include "gofer/protocol.h"

static char fx_dir[64]; /* the temporary directory; fx_dir/tree is exported, fx_dir/out is not */
static pid_t fx_pid = -1;
static int fx_sock = -1;
static struct gofer *fx;

__attribute__((unused)) static const char *fx_path(const char *rel)
{
    static char buf[4][8192];
    static int i;

    char *p = buf[i++ % 4];
    snprintf(p, sizeof(buf[0]), "%s/%s", fx_dir, rel);
    return p;
}

__attribute__((unused)) static void fx_write(const char *rel, const void *data, size_t n)
{
    int fd = open(fx_path(rel), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, n), (ssize_t)n);
    close(fd);
}

static void fx_tree(void)
{
    strcpy(fx_dir, "/tmp/sbx-gofer-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fx_dir));
    ck_assert_int_eq(chmod(fx_dir, 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("out"), 0755), 0);
    fx_write("out/secret", "secret", 6);
}

__attribute__((unused)) static void fx_remove(void)
{
    char cmd[128];

    snprintf(cmd, sizeof(cmd), "rm -rf %s", fx_dir);
    ck_assert_int_eq(system(cmd), 0);
}

static void fx_fork(const struct gofer_export *exports, unsigned n, int ring, uint64_t without)
{
    int sv[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    fx_pid = fork();
    ck_assert_int_ge(fx_pid, 0);
    if (fx_pid == 0) {
        struct gofer_config cfg = {
            .sock = sv[1], .ring_fd = ring, .exports = exports, .nexports = n, .without = without
        };
        gofer_main(&cfg);
    }
    close(sv[1]);
    fx_sock = sv[0];
}

/* A gofer for fx_dir/tree, and a client for it. */
__attribute__((unused)) static void fx_start(int ring, uint64_t without)
{
    int fd = open(fx_path("tree"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct gofer_export e = { .fd = fd };

    ck_assert_int_ge(fd, 0);
    fx_fork(&e, 1, ring, without);
    close(fd);
    ck_assert_int_eq(gofer_client_new(fx_sock, ring, &fx), 0);
}

/* Ends the client; the gofer must then leave by itself, with status 0. */
__attribute__((unused)) static void fx_stop(void)
{
    int status = -1;

    if (fx)
        gofer_client_free(fx);
    else
        close(fx_sock);
    fx = NULL;
    ck_assert_int_gt(fx_pid, 1);
    ck_assert_int_eq(waitpid(fx_pid, &status, 0), fx_pid);
    ck_assert_msg(status == 0, "the gofer ended with wait status %#x", status);
    fx_pid = -1;
}

__attribute__((unused)) static uint64_t fx_root(void)
{
    struct gofer_node_reply r;

    ck_assert_int_eq(gofer_root(fx, 0, &r, NULL), 0);
    ck_assert(S_ISDIR(r.attr.mode));
    return r.node;
}
