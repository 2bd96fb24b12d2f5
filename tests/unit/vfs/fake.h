/* SPDX-License-Identifier: Apache-2.0 */
/* A task that is just enough for the VFS: credentials, places, an empty table of descriptors. */
#pragma once

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/vfs.h"

static struct task *fake;

static inline struct task *fake_task(uid_t uid, gid_t gid)
{
    struct task *t = calloc(1, sizeof *t);
    struct tgroup *g = calloc(1, sizeof *g);
    struct path root = { first_container.root, first_container.root->root };

    for (int i = 0; i < RLIM_NLIMITS; i++)
        g->rlim[i] = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
    t->group = g;
    t->cred = uid ? cred_new_user(uid, gid, NULL, 0) : cred_new_root();
    t->fs = fs_ctx_new(&root);
    t->files = files_new();
    atomic_init(&t->refs, 1);
    t->tid = 2;
    return t;
}

static inline void fake_task_free(struct task *t)
{
    cred_put(t->cred);
    fs_ctx_put(t->fs);
    files_put(t->files);
    free(t->group);
    free(t);
}

/* The VFS with a fresh tmpfs as root. */
static inline void fake_vfs(void)
{
    static bool done;

    if (!done)
        vfs_init();
    done = true;
    kernel.proc_fd = -1;
    ck_assert_int_eq(vfs_mount(tmpfs_new(0755, 0), NULL, 0, "tmpfs", NULL), 0);
    fake = fake_task(0, 0);
}

static inline struct file *fake_open(const char *path, unsigned flags)
{
    return vfs_open_at(fake, AT_FDCWD, path, flags, 0644);
}

static inline void put_file(const char *path, const char *text)
{
    struct file *f = fake_open(path, O_CREAT | O_TRUNC | O_WRONLY);
    struct iter it;
    loff_t pos = 0;

    ck_assert_msg(!IS_ERR(f), "%s: %d", path, IS_ERR(f) ? PTR_ERR(f) : 0);
    iter_kernel(&it, (void *)text, strlen(text));
    ck_assert_int_eq(f->ops->write(fake, f, &it, &pos), strlen(text));
    file_put(f);
    callpath_end(fake);
}

/* The whole of a file, "!ERRNO" when it cannot be opened. */
static inline const char *get_file(const char *path)
{
    static char buf[512];
    struct file *f = fake_open(path, O_RDONLY);
    ssize_t n;

    if (IS_ERR(f)) {
        snprintf(buf, sizeof buf, "!%d", -PTR_ERR(f));
        return buf;
    }
    n = vfs_read_kernel(fake, f, buf, sizeof buf - 1, 0);
    ck_assert_int_ge(n, 0);
    buf[n] = 0;
    file_put(f);
    return buf;
}

static inline int stat_of(const char *path, unsigned walk, struct kstat *st)
{
    struct path p;
    int r = walk_path(fake, AT_FDCWD, path, walk, &p);

    if (r == 0) {
        r = vfs_getattr(fake, &p, st);
        path_put(&p);
    }
    return r;
}

static inline int exists(const char *path)
{
    struct kstat st;

    return stat_of(path, 0, &st);
}

struct name_list {
    struct dirent_sink sink;
    char text[2048];
    unsigned n, limit;
};

static inline bool fake_emit(struct dirent_sink *s, const char *name, size_t len, uint64_t ino,
                             unsigned dtype, loff_t next)
{
    struct name_list *l = container_of(s, struct name_list, sink);

    (void)ino;
    (void)dtype;
    (void)next;
    if (l->limit && l->n >= l->limit)
        return false;
    l->n++;
    if (name[0] == '.')
        return true;
    strncat(l->text, name, len);
    strcat(l->text, " ");
    return true;
}

/* The names of a directory, each with a space behind it, in its order. limit: entries a call. */
static inline const char *names_of(const char *path, unsigned limit)
{
    static struct name_list l;
    struct file *f = fake_open(path, O_RDONLY | O_DIRECTORY);

    l = (struct name_list){ .sink.emit = fake_emit, .limit = limit };
    ck_assert(!IS_ERR(f));
    do {
        l.n = 0;
        ck_assert_int_eq(f->ops->readdir(fake, f, &l.sink), 0);
    } while (l.n);
    file_put(f);
    return l.text;
}

#define MKDIR(p) ck_assert_int_eq(vfs_mkdir_at(fake, AT_FDCWD, p, 0755), 0)
#define LINKSYM(target, p) ck_assert_int_eq(vfs_symlink_at(fake, target, AT_FDCWD, p), 0)
#define UNLINK(p) vfs_unlink_at(fake, AT_FDCWD, p)
#define RMDIR(p) vfs_rmdir_at(fake, AT_FDCWD, p)
#define RENAME(a, b, fl) vfs_rename_at(fake, AT_FDCWD, a, AT_FDCWD, b, fl)
#define LINK(a, b) vfs_link_at(fake, AT_FDCWD, a, AT_FDCWD, b, 0)

static inline int run_suite(Suite *s)
{
    SRunner *sr = srunner_create(s);
    int failed;

    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
