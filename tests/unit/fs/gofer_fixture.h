/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the gofer file system share: a tree, a real gofer, and the VFS in front of it. */
#pragma once

#include <dirent.h>
#include <sys/mman.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/vfs/vfs.h"
#include "tests/unit/gofer/fixture.h"

static struct super *sb;
static char big[200000];

__attribute__((unused)) static void start(bool public_only)
{
    int fd = open(fx_path("tree"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct gofer_export e = { .fd = fd, .public_only = public_only };

    fx_fork(&e, 1, -1, 0);
    close(fd);
    ck_assert_int_eq(gofer_client_new(fx_sock, -1, &fx), 0);
    first_container.gofer = fx;
    vfs_init();
    sb = gofer_fs_new(0);
    ck_assert_ptr_nonnull(sb);
}

__attribute__((unused)) static void populate(void)
{
    char rel[64];

    fx_tree();
    ck_assert_int_eq(mkdir(fx_path("tree/a"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/a/b"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/a/b/c"), 0755), 0);
    fx_write("tree/a/b/c/file", "hello\n", 6);
    ck_assert_int_eq(symlink("b/c", fx_path("tree/a/link")), 0);
    ck_assert_int_eq(mkfifo(fx_path("tree/fifo"), 0644), 0);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i % 251);
    fx_write("tree/big", big, sizeof(big));
    fx_write("tree/hidden", "x", 1);
    ck_assert_int_eq(chmod(fx_path("tree/hidden"), 0640), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/many"), 0755), 0);
    for (int i = 0; i < 500; i++) {
        snprintf(rel, sizeof(rel), "tree/many/n%d", i);
        fx_write(rel, rel, (size_t)(i % 10));
    }
}

__attribute__((unused)) static void setup_stable(void)
{
    populate();
    start(true);
}

__attribute__((unused)) static void setup_shared(void)
{
    populate();
    start(false);
}

__attribute__((unused)) static void teardown(void)
{
    super_put(sb);
    fx_stop();
    fx_remove();
}

__attribute__((unused)) static uint64_t trips(void)
{
    return gofer_trips(fx);
}

/* The dentry of a path from the root, links not followed; ERR_PTR. */
__attribute__((unused)) static struct dentry *find(const char *path)
{
    struct dentry *d = dentry_ref(sb->root);

    while (*path) {
        size_t n = strcspn(path, "/");
        const char *rest = path + n + (path[n] == '/');

        vfs_walk_rest = rest;
        struct dentry *next = vfs_lookup(NULL, d, path, n);
        vfs_walk_rest = NULL;
        dentry_put(d);
        if (IS_ERR(next))
            return next;
        if (!dentry_inode(next)) {
            dentry_put(next);
            return ERR_PTR(-ENOENT);
        }
        d = next;
        path = rest;
    }
    return d;
}

__attribute__((unused)) static int find_error(const char *path)
{
    struct dentry *d = find(path);

    if (IS_ERR(d))
        return PTR_ERR(d);
    dentry_put(d);
    return 0;
}

__attribute__((unused)) static struct file *open_path(const char *path)
{
    struct dentry *d = find(path);

    ck_assert(!IS_ERR(d));
    struct path p = { .dentry = d };
    struct file *f = vfs_open_inode(NULL, &p, O_RDONLY);
    dentry_put(d);
    return f;
}
