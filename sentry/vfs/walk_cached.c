/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path walks that the cache can answer whole, without a reference to anything on the way: mounts_lock
 * and dcache_lock are held from the first component to the last, for less time than taking and
 * dropping them at each step. What is not plain (a magic link, or one whose target is not at hand, a
 * name that the cache does not know or may not trust, a file system that checks rights itself) is left
 * to namei.c, which goes on from there; from the start, where a link has been followed.
 *
 *      a walk here                                  another thread
 *      -----------                                  --------------
 *      under fs->lock: start = cwd, mount_ref       chdir: the old cwd is put
 *      lock mounts, dcache                          last dentry_put: waits for dcache_lock
 *      go down; reference at the end                rename, unlink, umount: wait too
 *      unlock; mount_put(start)
 *
 * A dentry dies under dcache_lock only, a mount below the start or above it is attached (detaching
 * takes mounts_lock); the start's own is held, and the root's where a walk comes to it, since mount_put
 * takes no lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/notes.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/mount.h"

#define LINKS_MAX 40 /* as in namei.c, which then says so */

/* What a link leads to and what followed it, two in turn: one is made of the other. */
static _Thread_local char paths[2][PATH_MAX];

struct cached {
    struct task *t;
    struct mount *start, *mnt;
    struct dentry *d;
    struct path root; /* asked for by know_root; mnt is a reference */
    unsigned nlinks;
    const char *s;    /* what is to be walked behind last */
    const char *last; /* the component at hand; len 0: there was none */
    size_t len;
    bool trailing;
};

/* Takes the next component off s. -EAGAIN: it is too long. */
static int next(struct cached *w)
{
    const char *p = w->s;

    while (*p == '/')
        p++;
    w->last = p;
    while (*p && *p != '/')
        p++;
    w->len = (size_t)(p - w->last);
    w->trailing = *p == '/';
    while (*p == '/')
        p++;
    w->s = p;
    return w->len > NAME_MAX ? -EAGAIN : 0;
}

static bool is_dot(const struct cached *w)
{
    return w->len == 1 && w->last[0] == '.';
}

static bool is_dotdot(const struct cached *w)
{
    return w->len == 2 && w->last[0] == '.' && w->last[1] == '.';
}

/* May t look into the directory at hand? */
static int dir_ok(const struct cached *w)
{
    struct inode *i = dentry_inode(w->d);

    if (!is_dir(i))
        return -ENOTDIR;
    return i->ops->permission ? -EAGAIN : inode_permission(w->t, i, X_OK);
}

/* The child of the component's name: -EAGAIN when the file system must be asked, -ENOENT. */
static int child(const struct cached *w, struct dentry **ret)
{
    struct dentry *c = dentry_find_locked(w->d, w->last, w->len);
    const struct super *sb;

    if (!c)
        return -EAGAIN;
    sb = c->sb;
    if (sb->ops->revalidate && !sb->stable && !(sb->ops->fresh && sb->ops->fresh(c)))
        return -EAGAIN;
    *ret = c;
    return dentry_inode(c) ? 0 : -ENOENT;
}

/* To c, and to what is mounted there. */
static void enter(struct cached *w, struct dentry *c)
{
    struct mount *m;

    w->d = c;
    while (__atomic_load_n(&w->d->nmounts, __ATOMIC_RELAXED) &&
           (m = mount_find_locked(w->mnt, w->d))) {
        w->mnt = m;
        w->d = m->root;
    }
}

static void know_root(struct cached *w)
{
    struct fs_ctx *fs = w->t->fs;

    if (w->root.mnt)
        return;
    LOCK_SCOPE(&fs->lock);
    w->root = (struct path){ mount_ref(fs->root.mnt), fs->root.dentry };
}

static bool at_root(const struct cached *w)
{
    return w->mnt == w->root.mnt && w->d == w->root.dentry;
}

/* "..": never above the task's root, nor above the root of all. */
static void up(struct cached *w)
{
    know_root(w);
    if (at_root(w))
        return;
    while (w->d == w->mnt->root) {
        if (!w->mnt->parent)
            return;
        w->d = w->mnt->mountpoint;
        w->mnt = w->mnt->parent;
        if (at_root(w))
            return;
    }
    enter(w, w->d->parent);
}

/* Goes on with what the link i leads to, and then with what followed it. */
static int follow(struct cached *w, const struct inode *i)
{
    char *path = paths[w->nlinks % 2];
    size_t rest = strlen(w->s), n;

    if (w->nlinks >= LINKS_MAX || !i->ops->link_cached || i->ops->follow ||
        w->mnt->flags & LX_MS_NOSYMFOLLOW)
        return -EAGAIN;
    n = i->ops->link_cached(i, path, PATH_MAX - 1);
    if (n == 0 || n + 1 + rest >= PATH_MAX)
        return -EAGAIN;
    w->nlinks++;
    if (rest)
        path[n++] = '/';
    memcpy(path + n, w->s, rest + 1);
    w->s = path;
    if (*path == '/') {
        know_root(w);
        w->mnt = w->root.mnt;
        w->d = w->root.dentry;
    }
    return 0;
}

/* All components but the last. */
static int to_last(struct cached *w)
{
    for (;;) {
        struct dentry *c = NULL;
        int r = next(w);

        if (r < 0 || !*w->s)
            return r;
        r = dir_ok(w);
        if (r == 0 && is_dot(w))
            continue;
        if (r == 0 && is_dotdot(w)) {
            up(w);
            continue;
        }
        if (r == 0)
            r = child(w, &c);
        if (r < 0)
            return r;
        if (!S_ISLNK(dentry_inode(c)->mode))
            enter(w, c);
        else if ((r = follow(w, dentry_inode(c))) < 0)
            return r;
    }
}

/* A slash behind a link at the end has it followed, and that which it leads to. */
static int to_end(struct cached *w, unsigned flags)
{
    for (;;) {
        struct dentry *c;
        int r = to_last(w);

        if (r < 0 || !w->len)
            return r;
        if (w->trailing)
            flags |= WALK_DIR | WALK_FOLLOW;
        r = dir_ok(w);
        if (r < 0 || is_dot(w))
            return r;
        if (is_dotdot(w)) {
            up(w);
            return 0;
        }
        r = child(w, &c);
        if (r < 0)
            return r;
        if (!S_ISLNK(dentry_inode(c)->mode) || !(flags & WALK_FOLLOW)) {
            enter(w, c);
            return flags & WALK_DIR && !is_dir(dentry_inode(w->d)) ? -ENOTDIR : 0;
        }
        r = may_follow_link(w->t, dentry_inode(w->d), dentry_inode(c));
        if (r == 0)
            r = follow(w, dentry_inode(c));
        if (r < 0)
            return r;
    }
}

/* The start of a walk, and the locks. False: it is for namei.c. */
static bool begin(struct cached *w, struct task *t, int dfd, const char *path, struct file **ret_f)
{
    const struct path *at;

    *ret_f = NULL;
    if (!t || !t->fs || kernel.learn) /* namei.c tells of links */
        return false;
    *w = (struct cached){ .t = t, .s = path };
    if (*path != '/' && dfd != AT_FDCWD) {
        *ret_f = fd_get_path(t, dfd);
        if (!*ret_f)
            return false;
        at = &(*ret_f)->path;
        if (!at->mnt || !at->dentry || !is_dir(dentry_inode(at->dentry))) {
            file_put(*ret_f);
            return false;
        }
        w->start = mount_ref(at->mnt);
        w->d = at->dentry;
        lock(&vfs.mounts_lock);
        lock(&vfs.dcache_lock);
    } else {
        lock(&vfs.mounts_lock);
        lock(&vfs.dcache_lock);
        lock(&t->fs->lock);
        at = *path == '/' ? &t->fs->root : &t->fs->cwd;
        w->start = mount_ref(at->mnt);
        w->d = at->dentry;
        unlock(&t->fs->lock);
    }
    w->mnt = w->start;
    return true;
}

static struct path take_locked(struct mount *m, struct dentry *d)
{
    dentry_get_locked(d);
    return (struct path){ mount_ref(m), d };
}

/* Gives where it stands: to ret when that is all, to rest with -EAGAIN. The locks go. */
static void end(struct cached *w, struct file *f, int r, struct path *ret, struct walk_rest *rest)
{
    if (ret)
        *ret = take_locked(w->mnt, w->d);
    if (r == -EAGAIN && w->nlinks == 0) {
        struct fs_ctx *fs = w->t->fs;

        rest->cur = take_locked(w->mnt, w->d);
        rest->s = w->last;
        LOCK_SCOPE(&fs->lock);
        rest->root = take_locked(fs->root.mnt, fs->root.dentry);
    }
    unlock(&vfs.dcache_lock);
    unlock(&vfs.mounts_lock);
    mount_put_unused(w->start); /* looked at only */
    mount_put_unused(w->root.mnt);
    file_put(f);
}

int walk_cached(struct task *t, int dfd, const char *path, unsigned flags, struct path *ret,
                struct walk_rest *rest)
{
    struct path missing = {};
    struct cached w;
    struct file *f;
    int r;

    rest->s = NULL;
    if (flags & ~(unsigned)(WALK_FOLLOW | WALK_DIR | WALK_EMPTY) || !begin(&w, t, dfd, path, &f))
        return -EAGAIN;
    r = to_end(&w, flags);
    end(&w, f, r, r == 0 ? ret : r == -ENOENT ? &missing : NULL, rest);
    if (r == -ENOENT) {
        notes_missing(t, &missing, w.last, w.len, w.s);
        path_put(&missing);
    }
    return r;
}

/* The last component is plain: a name, which with WALK_LINKS is no link. */
static int check_last(const struct cached *w, unsigned flags)
{
    struct dentry *c;
    int r = w->len && !is_dot(w) && !is_dotdot(w) ? dir_ok(w) : -EAGAIN;

    if (r < 0 || !(flags & WALK_LINKS) || w->trailing)
        return r;
    r = child(w, &c);
    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : S_ISLNK(dentry_inode(c)->mode) ? -EAGAIN : 0;
}

int walk_cached_parent(struct task *t, int dfd, const char *path, unsigned flags,
                       struct nameidata_last *ret, struct walk_rest *rest)
{
    struct cached w;
    struct file *f;
    int r;

    rest->s = NULL;
    if (flags & ~(unsigned)(WALK_PARENT | WALK_LINKS) || !begin(&w, t, dfd, path, &f))
        return -EAGAIN;
    r = to_last(&w);
    if (r == -ENOENT)
        r = -EAGAIN; /* namei.c takes note of it */
    if (r == 0)
        r = check_last(&w, flags);
    end(&w, f, r, r == 0 ? &ret->parent : NULL, rest);
    if (r < 0)
        return r;
    ret->type = LAST_NORM;
    ret->trailing_slash = w.trailing;
    ret->len = w.len;
    memcpy(ret->name, w.last, w.len);
    ret->name[w.len] = 0;
    return 0;
}
