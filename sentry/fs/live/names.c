/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups and attributes. A walk of a/b/c asks once for all three: the answer lies in the thread's
 * memo, from which each look-up behind the first takes its own, once, in the same run of the same
 * call. So does the stat that follows a walk, and a second look in the same run, as there is one before
 * something is made (the host says EEXIST if it is there by then). A walk for an open that reads opens the file
 * as well. Nothing is kept beyond.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sentry/fs/live/live.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/dcache.h"

#define AHEAD 12u

struct run { /* one run of one call */
    const struct task *t;
    uint64_t serial;
    unsigned runs;
};

static _Thread_local struct {
    struct run run;
    const struct inode *above; /* where the next component is to be looked up; no reference */
    unsigned at, n;
    int error; /* of what is behind the last */
    struct gofer_attr attr[AHEAD];
    char path[1024];
    const char *next;           /* in path */
    struct live_fs *opened_fs;  /* NULL: nothing is open */
    struct gofer_opened opened; /* what the last of attr is of */
} memo;

static _Thread_local struct {
    struct run run;
    const struct inode *i;
} told;

static _Thread_local struct {
    struct run run;
    const struct inode *dir, *i; /* no references; i NULL: it is not there */
    size_t len;
    char name[256];
} seen;

static struct run run_of(const struct task *t)
{
    return (struct run){ t, t ? t->call.serial : 0, t ? t->call.runs : 0 };
}

static bool same_run(const struct run *a, const struct task *t)
{
    return t && a->t == t && a->serial == t->call.serial && a->runs == t->call.runs;
}

/* name, and the plain components that are to be walked behind it. */
static void whole_path(const char *name, size_t len, char *buf, size_t cap)
{
    const char *rest = vfs_walk_rest;
    size_t at = len;

    memcpy(buf, name, len);
    for (unsigned depth = 1; rest && *rest && depth < AHEAD; depth++) {
        size_t n = strcspn(rest, "/");
        bool dots = rest[0] == '.' && (n == 1 || (n == 2 && rest[1] == '.'));

        if (dots || n > 255 || at + 1 + n >= cap)
            break;
        buf[at++] = '/';
        memcpy(buf + at, rest, n);
        at += n;
        rest += n;
        rest += strspn(rest, "/");
    }
    buf[at] = 0;
}

/* From the memo: 1 it is there, -ENOENT and the like: it is not, 0: it says nothing. */
static int recall(const struct task *t, const struct inode *dir, const char *name, size_t len,
                  struct gofer_attr *ret)
{
    size_t n;

    if (!same_run(&memo.run, t) || memo.above != dir || !memo.next || !*memo.next)
        return 0;
    n = strcspn(memo.next, "/");
    if (n != len || memcmp(memo.next, name, len) != 0)
        return 0;
    memo.next += n + (memo.next[n] == '/');
    memo.above = NULL; /* until the inode of this one is known */
    if (memo.at < memo.n) {
        *ret = memo.attr[memo.at++];
        return 1;
    }
    memo.next = NULL;
    return memo.error == -ENOENT ? -ENOENT : 0;
}

/* The component just told of is i: what the memo has next lies in it. */
static void follows(const struct task *t, struct inode *i)
{
    if (same_run(&memo.run, t))
        memo.above = i;
    if (memo.opened_fs == live_fs_of(i) && live_same(i, &memo.opened.attr)) {
        memo.opened_fs = NULL;
        live_made(i, &memo.opened, O_RDONLY);
    }
    told.run = run_of(t);
    told.i = i;
}

/* What was opened and not called for: the walk went another way. */
static void drop_opened(void)
{
    if (!memo.opened_fs)
        return;
    close(memo.opened.fd);
    gofer_close(memo.opened_fs->g, memo.opened.node);
    memo.opened_fs = NULL;
}

static void note_seen(const struct task *t, const struct inode *dir, const char *name, size_t len,
                      const struct inode *i)
{
    seen.run = run_of(t);
    seen.dir = dir;
    seen.i = i;
    seen.len = len;
    memcpy(seen.name, name, MIN(len, sizeof(seen.name)));
}

/* Was i (NULL: nothing) seen there in this run? Once: who asks again wants to know. */
static bool just_seen(const struct task *t, const struct inode *dir, const char *name, size_t len,
                      const struct inode *i)
{
    bool r = same_run(&seen.run, t) && seen.dir == dir && seen.i == i && seen.len == len &&
             memcmp(seen.name, name, len) == 0;

    seen.dir = NULL;
    return r;
}

/* Asks for name in dir. node: wanted for a directory, else NULL. */
static int ask(const struct task *t, struct inode *dir, const char *name, size_t len,
               uint64_t *node, struct gofer_attr *ret)
{
    struct live_fs *fs = live_fs_of(dir);
    struct gofer_node_reply replies[32];
    struct gofer_walk_end end = { .no_nodes = !node, .open = vfs_walk_opens };
    struct live_addr *a;
    unsigned n = 0, skip = 0;

    memo.next = NULL;
    drop_opened();
    if (node) {
        if (vfs_walk_rest && *vfs_walk_rest)
            end.open = false; /* a directory, or nothing */
        memcpy(memo.path, name, len);
        memo.path[len] = 0;
    } else {
        whole_path(name, len, memo.path, sizeof(memo.path));
    }
    a = live_addr(dir, memo.path, strlen(memo.path));
    if (IS_ERR(a))
        return PTR_ERR(a);
    for (const char *p = a->path; *p; p++)
        skip += *p == '/';
    for (const char *p = memo.path; *p; p++)
        skip -= *p == '/';
    gofer_trip_begin();
    int r = gofer_walk(fs->g, a->node, a->path, replies, ARRAY_SIZE(replies), &n, &end);
    gofer_trip_end();
    live_addr_put(dir, a);
    if (end.opened) {
        memo.opened_fs = fs;
        memo.opened = (struct gofer_opened){ end.node, end.file.fd, end.file.attr };
    }
    for (unsigned i = 0; i < skip && i < n; i++)
        gofer_forget(fs->g, replies[i].node);
    if (n <= skip)
        return r < 0 ? (r == -ENOTDIR || r == -ELOOP || r == -ESTALE ? -ENOENT : r) : -ENOENT;
    *ret = replies[skip].attr;
    if (node)
        *node = replies[skip].node;
    if (node || n - skip > AHEAD)
        return 0;
    memo.run = run_of(t);
    memo.above = NULL;
    memo.at = 0;
    memo.n = n - skip - 1;
    memo.error = r;
    for (unsigned i = 0; i < memo.n; i++)
        memo.attr[i] = replies[skip + 1 + i].attr;
    memo.next = memo.path + len + (memo.path[len] == '/');
    return 0;
}

int live_lookup(struct task *t, struct inode *dir, const char *name, size_t len, struct inode **ret)
{
    struct gofer_attr attr;
    uint64_t node = 0;
    int r = recall(t, dir, name, len, &attr);

    if (r == 0)
        r = ask(t, dir, name, len, &node, &attr);
    if (r == -ENOENT)
        note_seen(t, dir, name, len, NULL);
    if (r < 0)
        return r;
    if (S_ISDIR(attr.mode) && !node) {
        r = ask(t, dir, name, len, &node, &attr); /* one that is new to us is held open */
        if (r < 0)
            return r;
    }
    r = live_inode_get(dir, name, len, &attr, node, ret);
    if (r == 0) {
        note_seen(t, dir, name, len, *ret);
        follows(t, *ret);
    }
    return r;
}

int live_revalidate(struct task *t, struct dentry *d)
{
    struct inode *i = dentry_inode(d), *dir;
    char name[256];
    struct gofer_attr attr;
    size_t len;
    int r;

    lock(&vfs.dcache_lock);
    dir = d->parent != d && d->parent->inode ? inode_ref(d->parent->inode) : NULL;
    len = d->namelen;
    memcpy(name, d->name, MIN(len, sizeof name));
    unlock(&vfs.dcache_lock);
    if (!dir)
        return 1;
    if (just_seen(t, dir, name, len, i)) {
        inode_put(dir);
        return 1;
    }
    r = recall(t, dir, name, len, &attr);
    if (r == 0)
        r = ask(t, dir, name, len, NULL, &attr);
    if (!i) {
        if (r == -ENOENT)
            note_seen(t, dir, name, len, NULL);
        r = r == -ENOENT ? 1 : MIN(r, 0); /* still not there; or it is, and is looked up */
    } else if (r >= 0 && live_same(i, &attr)) {
        live_fill(i, &attr);
        r = live_named(i, dir, name, len);
        if (r == 0) {
            note_seen(t, dir, name, len, i);
            follows(t, i);
        }
        r = r < 0 ? r : 1;
    } else if (r >= 0 || r == -ENOENT) {
        r = 0;
    }
    inode_put(dir);
    return r;
}

int live_getattr(struct task *t, struct inode *i, struct kstat *ret)
{
    struct live_fs *fs = live_fs_of(i);
    struct gofer_attr attr;
    bool just = same_run(&told.run, t) && told.i == i;
    int r = 0;

    told.i = NULL;
    if (!just) {
        struct live_addr *a = live_addr_file(i, O_RDONLY);

        r = IS_ERR(a) ? PTR_ERR(a) : 0;
        if (r == 0 && a->handle && live_told_by_fd(i, a->handle->fd)) {
            live_addr_put(i, a);
            inode_fill_stat(i, ret);
            return 0;
        }
        if (r == 0) {
            gofer_trip_begin();
            r = gofer_getattr(fs->g, a->node, a->path, &attr);
            gofer_trip_end();
            live_addr_put(i, a);
        }
        if (r == 0 && live_same(i, &attr))
            live_fill(i, &attr);
        else if (r == 0 || r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -ESTALE)
            r = 0; /* it has lost its name: what was known last */
    }
    if (r == 0)
        inode_fill_stat(i, ret);
    return r;
}
