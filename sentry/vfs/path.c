/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of mount and dentry, their names, and the places of a task (root, cwd, umask). */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/dcache.h"

struct path path_ref(struct path p)
{
    if (p.mnt)
        mount_ref(p.mnt);
    if (p.dentry)
        dentry_ref(p.dentry);
    return p;
}

void path_put(struct path *p)
{
    if (p->dentry)
        dentry_put(p->dentry);
    if (p->mnt)
        mount_put(p->mnt);
    *p = (struct path){};
}

/* All there are, for pivot_root. A class before LOCK_FS, whose locks are taken under it. */
static struct lock ctxs_lock;
static struct list ctxs = LIST_INIT(ctxs);

__attribute__((constructor)) static void ctxs_init(void)
{
    lock_init(&ctxs_lock, LOCK_OBJECT);
}

static struct fs_ctx *enter(struct fs_ctx *fs)
{
    LOCK_SCOPE(&ctxs_lock);
    list_add_tail(&ctxs, &fs->all);
    return fs;
}

static bool is_path(const struct path *a, const struct path *b)
{
    return a->mnt == b->mnt && a->dentry == b->dentry;
}

void fs_ctx_replace_all(const struct path *from, const struct path *to)
{
    struct path drop = *from;
    struct fs_ctx *fs;
    unsigned n = 0;

    lock(&ctxs_lock);
    list_for_each(fs, &ctxs, all) {
        LOCK_SCOPE(&fs->lock);
        for (struct path *p = &fs->cwd; p; p = p == &fs->cwd ? &fs->root : NULL) {
            if (!is_path(p, from))
                continue;
            *p = path_ref(*to);
            n++;
        }
    }
    unlock(&ctxs_lock);
    for (; n; n--) {
        drop = *from;
        path_put(&drop);
    }
}

struct fs_ctx *fs_ctx_new(const struct path *root)
{
    struct fs_ctx *fs = kzalloc(sizeof *fs);

    if (!fs)
        return NULL;
    atomic_init(&fs->refs, 1);
    lock_init(&fs->lock, LOCK_FS);
    fs->root = path_ref(*root);
    fs->cwd = path_ref(*root);
    fs->umask = 022;
    return enter(fs);
}

struct fs_ctx *fs_ctx_copy(struct fs_ctx *fs)
{
    struct fs_ctx *n = kzalloc(sizeof *n);

    if (!n)
        return NULL;
    atomic_init(&n->refs, 1);
    lock_init(&n->lock, LOCK_FS);
    lock(&fs->lock);
    n->root = path_ref(fs->root);
    n->cwd = path_ref(fs->cwd);
    n->umask = fs->umask;
    unlock(&fs->lock);
    return enter(n);
}

struct fs_ctx *fs_ctx_ref(struct fs_ctx *fs)
{
    atomic_fetch_add(&fs->refs, 1);
    return fs;
}

void fs_ctx_put(struct fs_ctx *fs)
{
    if (!fs || atomic_fetch_sub(&fs->refs, 1) != 1)
        return;
    lock(&ctxs_lock);
    list_del(&fs->all);
    unlock(&ctxs_lock);
    path_put(&fs->cwd);
    path_put(&fs->root);
    lock_done(&fs->lock);
    kfree(fs);
}

struct path vfs_root_here(void)
{
    struct mount *top = container_here()->root;

    return path_ref((struct path){ top, top->root });
}

struct path fs_ctx_root(struct task *t)
{
    if (!t || !t->fs)
        return vfs_root_here();
    LOCK_SCOPE(&t->fs->lock);
    return path_ref(t->fs->root);
}

struct path fs_ctx_cwd(struct task *t)
{
    if (!t || !t->fs)
        return vfs_root_here();
    LOCK_SCOPE(&t->fs->lock);
    return path_ref(t->fs->cwd);
}

/* Puts s before *at in buf; NULL when it does not fit. */
static char *prepend(char *buf, char *at, const char *s, size_t n)
{
    if ((size_t)(at - buf) < n)
        return NULL;
    return memcpy(at - n, s, n);
}

/*
 * Builds the name of p as seen from root, from its end. *ret_reached: root was met on the way up.
 */
static char *build(const struct path *p, const struct path *root, char *buf, char *at,
                   bool *ret_reached)
{
    struct mount *m = p->mnt;
    struct dentry *d = p->dentry;
    char *end = at;

    LOCK_SCOPE(&vfs.mounts_lock);
    LOCK_SCOPE(&vfs.dcache_lock);
    while (at && !(m == root->mnt && d == root->dentry)) {
        if (m && d == m->root) {
            if (!m->parent)
                break;
            d = m->mountpoint;
            m = m->parent;
            continue;
        }
        if (d->parent == d)
            break;
        at = prepend(buf, at, d->name, d->namelen);
        if (at)
            at = prepend(buf, at, "/", 1);
        d = d->parent;
    }
    *ret_reached = m == root->mnt && d == root->dentry;
    return at == end ? prepend(buf, at, "/", 1) : at;
}

char *path_string_flags(struct task *t, const struct path *p, char *buf, size_t cap, bool deleted,
                        bool *ret_reached)
{
    struct path root = fs_ctx_root(t);
    char *at = buf + cap;

    if (cap)
        *--at = 0;
    if (at > buf && deleted && atomic_load(&p->dentry->unhashed))
        at = prepend(buf, at, " (deleted)", strlen(" (deleted)"));
    if (at)
        at = build(p, &root, buf, at, ret_reached);
    path_put(&root);
    return at ? at : ERR_PTR(-ENAMETOOLONG);
}

char *path_string(struct task *t, const struct path *p, char *buf, size_t cap)
{
    bool reached;

    return path_string_flags(t, p, buf, cap, /* deleted= */ true, &reached);
}

char *dentry_string(const struct dentry *d, char *buf, size_t cap)
{
    char *at = buf + cap, *end;

    *--at = 0;
    end = at;
    LOCK_SCOPE(&vfs.dcache_lock);
    for (; at && d->parent != d; d = d->parent) {
        at = prepend(buf, at, d->name, d->namelen);
        if (at)
            at = prepend(buf, at, "/", 1);
    }
    if (at == end)
        at = prepend(buf, at, "/", 1);
    return at ? at : ERR_PTR(-ENAMETOOLONG);
}
