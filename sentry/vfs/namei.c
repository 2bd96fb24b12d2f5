/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path walks. One struct walk goes from component to component; a symbolic link in the middle is
 * walked by putting the rest of the path on a stack, one at the end by going on with its body.
 *
 * Short locks are taken for single steps only, so a walk sees each name as it is when it gets there.
 * Operations of file systems may make gofer trips; no lock is held then.
 *
 * openat2's RESOLVE_BENEATH and RESOLVE_IN_ROOT hold because '..' never goes above w->root and
 * absolute paths (of links too) start there; a rename at the same moment can move a directory out
 * from under the walk, so under these flags each '..' makes sure that root is still above.
 *
 * Over 500 lines: a walk is one machine, whose steps share its state.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/learn.h"
#include "sentry/mm/copy.h"
#include "sentry/notes.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/mount.h"

#define MAX_LINKS 40

_Thread_local int vfs_creating = -1;
_Thread_local const char *vfs_walk_rest; /* behind the body of a link: what followed the link */
_Thread_local bool vfs_walk_opens;

struct rest {   /* of a path that led through a link */
    char *body; /* kfree'd when it is done; NULL: the caller's */
    const char *at;
};

struct walk {
    struct task *t;
    unsigned flags;
    struct path root, cur;
    char *body; /* what s points into, when it is a link's */
    const char *s;
    const char *last; /* the component that is not walked yet */
    size_t len;
    int type;
    bool trailing;
    bool at_end; /* last is the last of the whole path */
    unsigned nlinks, depth;
    struct rest stack[MAX_LINKS];
};

static int walk_dir_ok(struct walk *w)
{
    struct inode *i = dentry_inode(w->cur.dentry);

    return is_dir(i) ? inode_permission(w->t, i, X_OK) : -ENOTDIR;
}

static bool at_root(const struct walk *w)
{
    return w->cur.mnt == w->root.mnt && w->cur.dentry == w->root.dentry;
}

static void set_cur(struct walk *w, struct path p)
{
    path_put(&w->cur);
    w->cur = p;
}

/* Is root (still) above cur? */
static bool beneath_root(const struct walk *w)
{
    struct mount *m = w->cur.mnt;
    struct dentry *d = w->cur.dentry;

    LOCK_SCOPE(&vfs.mounts_lock);
    LOCK_SCOPE(&vfs.dcache_lock);
    while (!(m == w->root.mnt && d == w->root.dentry)) {
        if (d == m->root) {
            if (!m->parent)
                return false;
            d = m->mountpoint;
            m = m->parent;
        } else if (d->parent == d) {
            return false;
        } else {
            d = d->parent;
        }
    }
    return true;
}

static int walk_dotdot(struct walk *w)
{
    struct path up;

    if (at_root(w))
        return w->flags & WALK_BENEATH ? -EXDEV : 0;
    while (w->cur.dentry == w->cur.mnt->root) {
        struct mount *old = w->cur.mnt;

        if (!path_ascend_mount(&w->cur))
            return 0; /* the root of all */
        if (w->flags & WALK_NO_XDEV && w->cur.mnt != old)
            return -EXDEV;
        if (at_root(w))
            return 0;
    }
    lock(&vfs.dcache_lock);
    up = (struct path){ w->cur.mnt, dentry_ref(w->cur.dentry->parent) };
    unlock(&vfs.dcache_lock);
    mount_ref(up.mnt);
    set_cur(w, up);
    if (w->cur.dentry->nmounts)
        path_descend(&w->cur);
    if (w->flags & (WALK_BENEATH | WALK_IN_ROOT) && !beneath_root(w))
        return -EAGAIN;
    return 0;
}

/* An absolute path starts, or a link's body does. */
static int walk_to_root(struct walk *w)
{
    if (w->flags & WALK_BENEATH)
        return -EXDEV;
    if (w->flags & WALK_NO_XDEV && w->cur.mnt && w->cur.mnt != w->root.mnt)
        return -EXDEV;
    set_cur(w, path_ref(w->root));
    return 0;
}

static int walk_magic(struct walk *w, struct inode *link)
{
    struct path to = {};
    int r;

    if (w->flags & WALK_NO_MAGIC)
        return -ELOOP;
    r = link->ops->follow(w->t, link, &to);
    if (r < 0)
        return r;
    if (w->flags & (WALK_BENEATH | WALK_IN_ROOT) ||
        (w->flags & WALK_NO_XDEV && to.mnt != w->cur.mnt)) {
        path_put(&to);
        return -EXDEV;
    }
    set_cur(w, to);
    return 0;
}

/* Goes on with the body of link. *ret_body: NULL when it was a magic one, and cur is its target. */
static int walk_link(struct walk *w, struct path *at, char **ret_body)
{
    struct inode *link = dentry_inode(at->dentry);
    char *body;
    ssize_t n;

    *ret_body = NULL;
    if (w->nlinks++ >= MAX_LINKS || w->flags & WALK_NO_SYMLINKS ||
        (at->mnt && at->mnt->flags & LX_MS_NOSYMFOLLOW))
        return -ELOOP;
    if (w->at_end && may_follow_link(w->t, dentry_inode(w->cur.dentry), link) < 0)
        return -EACCES;
    if (link->ops->follow)
        return walk_magic(w, link);
    body = kzalloc(PATH_MAX + 1);
    if (!body)
        return -ENOMEM;
    n = link->ops->readlink ? link->ops->readlink(w->t, link, body, PATH_MAX) : -EINVAL;
    if (n <= 0) {
        kfree(body);
        return n < 0 ? n : -ENOENT;
    }
    body[n] = 0;
    if (body[0] == '/') {
        int r = walk_to_root(w);

        if (r < 0) {
            kfree(body);
            return r;
        }
    }
    *ret_body = body;
    return 0;
}

static int lookup_child(struct walk *w, struct path *ret)
{
    struct dentry *d;

    if (w->len > NAME_MAX)
        return -ENAMETOOLONG;
    if (w->flags & WALK_CACHED) {
        d = dentry_cached(w->cur.dentry, w->last, w->len);
        if (!d)
            return -EAGAIN;
        dentry_put(d);
    }
    vfs_walk_rest = *w->s || !w->depth ? w->s : w->stack[w->depth - 1].at;
    d = vfs_lookup(w->t, w->cur.dentry, w->last, w->len);
    vfs_walk_rest = NULL;
    if (IS_ERR(d))
        return PTR_ERR(d);
    if (!dentry_inode(d)) {
        dentry_put(d);
        notes_missing(w->t, &w->cur, w->last, w->len, w->s);
        return -ENOENT;
    }
    *ret = (struct path){ mount_ref(w->cur.mnt), d };
    if (d->nmounts) {
        path_descend(ret);
        if (w->flags & WALK_NO_XDEV && ret->mnt != w->cur.mnt) {
            path_put(ret);
            return -EXDEV;
        }
    }
    return 0;
}

/* Does the component w->last. *ret_body: it was a link whose body is to be walked now. */
static int walk_component(struct walk *w, bool follow, char **ret_body)
{
    struct path p = { NULL, NULL };
    int r = walk_dir_ok(w);

    *ret_body = NULL;
    if (r < 0 || w->type == LAST_DOT)
        return r;
    if (w->type == LAST_DOTDOT)
        return walk_dotdot(w);
    r = lookup_child(w, &p);
    if (r < 0)
        return r;
    if (!S_ISLNK(dentry_inode(p.dentry)->mode) || !follow) {
        set_cur(w, p);
        return 0;
    }
    if (kernel.learn)
        learn_link(w->t, &p);
    r = walk_link(w, &p, ret_body);
    path_put(&p);
    return r;
}

/* Takes the next component off w->s. False: there is none. */
static bool next_component(struct walk *w)
{
    const char *p = w->s;

    while (*p == '/')
        p++;
    if (!*p) {
        w->s = p;
        return false;
    }
    w->last = p;
    while (*p && *p != '/')
        p++;
    w->len = p - w->last;
    w->type = LAST_NORM;
    if (w->last[0] == '.' && w->len == 1)
        w->type = LAST_DOT;
    else if (w->last[0] == '.' && w->last[1] == '.' && w->len == 2)
        w->type = LAST_DOTDOT;
    w->trailing = *p == '/';
    while (*p == '/')
        p++;
    w->s = p;
    return true;
}

static void use_body(struct walk *w, char *body)
{
    kfree(w->body);
    w->body = body;
    w->s = body;
}

/*
 * Walks all but the last component, which is left in w->last. It is the last one when nothing
 * follows it here nor on the stack. LAST_ROOT: there was none at all ("/").
 */
static int walk_to_last(struct walk *w)
{
    w->type = LAST_ROOT;
    w->trailing = w->at_end = false;
    for (;;) {
        char *body;
        int r;

        if (!next_component(w)) {
            if (!w->depth)
                return 0; /* only a bare "/" comes here */
            use_body(w, w->stack[--w->depth].body);
            w->s = w->stack[w->depth].at;
            continue;
        }
        if (!*w->s && !w->depth)
            return 0;
        r = walk_component(w, true, &body);
        if (r < 0)
            return r;
        if (!body)
            continue;
        if (*w->s) { /* come back for the rest when the link has been walked */
            w->stack[w->depth++] = (struct rest){ w->body, w->s };
            w->body = NULL;
        }
        use_body(w, body);
    }
}

/* Walks the last component too, through links at the end where that is asked for. */
static int walk_last(struct walk *w)
{
    for (;;) {
        bool dir = w->flags & WALK_DIR || w->trailing;
        char *body = NULL;
        int r = 0;

        w->at_end = true;
        if (w->type != LAST_ROOT)
            r = walk_component(w, w->flags & WALK_FOLLOW || w->trailing, &body);
        if (r < 0)
            return r;
        if (!body) {
            if (dir && !is_dir(dentry_inode(w->cur.dentry)))
                return -ENOTDIR;
            return 0;
        }
        if (dir)
            w->flags |= WALK_DIR;
        if (w->trailing) /* what it leads to is followed, too */
            w->flags |= WALK_FOLLOW;
        use_body(w, body);
        r = walk_to_last(w);
        if (r < 0)
            return r;
    }
}

static int start_at(struct walk *w, int dfd, const char *path)
{
    struct file *f;

    if (*path == '/' && !(w->flags & (WALK_IN_ROOT | WALK_BENEATH))) {
        w->root = fs_ctx_root(w->t);
        w->cur = path_ref(w->root);
        return 0;
    }
    if (dfd == AT_FDCWD) {
        w->cur = fs_ctx_cwd(w->t);
    } else {
        f = w->t ? fd_get_path(w->t, dfd) : NULL;
        if (!f)
            return -EBADF;
        if (f->path.dentry)
            w->cur = path_ref(f->path);
        file_put(f);
        if (!w->cur.dentry || (*path && !is_dir(dentry_inode(w->cur.dentry))))
            return -ENOTDIR;
    }
    if (w->flags & (WALK_IN_ROOT | WALK_BENEATH))
        w->root = path_ref(w->cur);
    else
        w->root = fs_ctx_root(w->t);
    return *path == '/' ? walk_to_root(w) : 0;
}

static void walk_done(struct walk *w)
{
    while (w->depth)
        kfree(w->stack[--w->depth].body);
    kfree(w->body);
    path_put(&w->cur);
    path_put(&w->root);
}

/* From where the cache left off, or from the start. */
static int start_from(struct walk *w, int dfd, const char *path, const struct walk_rest *rest)
{
    if (!rest->s)
        return start_at(w, dfd, path);
    w->cur = rest->cur;
    w->root = rest->root;
    w->s = rest->s;
    return 0;
}

int walk_path(struct task *t, int dfd, const char *path, unsigned flags, struct path *ret)
{
    struct walk w = { .t = t, .flags = flags, .s = path };
    struct walk_rest rest = {};
    int r;

    if (!*path && !(flags & WALK_EMPTY))
        return -ENOENT;
    r = *path ? walk_cached(t, dfd, path, flags, ret, &rest) : -EAGAIN;
    if (r != -EAGAIN)
        return r;
    r = start_from(&w, dfd, path, &rest);
    if (r == 0 && *path) {
        r = walk_to_last(&w);
        if (r == 0)
            r = walk_last(&w);
    } else if (r == 0 && flags & WALK_DIR && !is_dir(dentry_inode(w.cur.dentry))) {
        r = -ENOTDIR;
    }
    if (r == 0) {
        *ret = w.cur; /* not used and put: that would end a mount's expiring */
        w.cur = (struct path){};
    }
    walk_done(&w);
    return r;
}

static void give_parent(struct walk *w, struct nameidata_last *ret)
{
    size_t n = w->type == LAST_ROOT ? 0 : w->len;

    ret->parent = path_ref(w->cur);
    ret->type = w->type;
    ret->trailing_slash = w->trailing;
    ret->len = n;
    memcpy(ret->name, w->last, n);
    ret->name[n] = 0;
}

/*
 * While the last component is a link: goes on with where it leads, so that what is created is its
 * target. A magic link's target exists: cur is it, and the type LAST_ROOT.
 */
static int walk_links_to_last(struct walk *w)
{
    for (;;) {
        struct path p;
        char *body;
        int r;

        if (w->type != LAST_NORM || w->trailing)
            return 0;
        r = walk_dir_ok(w);
        if (r < 0)
            return r;
        r = lookup_child(w, &p);
        if (r == -ENOENT)
            return 0;
        if (r < 0)
            return r;
        if (!S_ISLNK(dentry_inode(p.dentry)->mode)) {
            path_put(&p);
            return 0;
        }
        w->at_end = true;
        r = walk_link(w, &p, &body);
        path_put(&p);
        if (r < 0)
            return r;
        if (!body) {
            w->type = LAST_ROOT;
            return 0;
        }
        use_body(w, body);
        r = walk_to_last(w);
        if (r < 0)
            return r;
    }
}

int walk_parent(struct task *t, int dfd, const char *path, unsigned flags,
                struct nameidata_last *ret)
{
    struct walk w = { .t = t, .flags = flags | WALK_PARENT, .s = path, .last = path };
    struct walk_rest rest;
    int r;

    if (!*path)
        return -ENOENT;
    r = walk_cached_parent(t, dfd, path, flags, ret, &rest);
    if (r != -EAGAIN)
        return r;
    r = start_from(&w, dfd, path, &rest);
    if (r == 0)
        r = walk_to_last(&w);
    if (r == 0 && flags & WALK_LINKS)
        r = walk_links_to_last(&w);
    if (r == 0 && w.type != LAST_ROOT)
        r = walk_dir_ok(&w);
    if (r == 0 && w.type != LAST_ROOT && w.len > NAME_MAX)
        r = -ENAMETOOLONG;
    if (r == 0)
        give_parent(&w, ret);
    walk_done(&w);
    return r;
}

int walk_user(struct task *t, int dfd, gaddr_t upath, unsigned flags, struct path *ret)
{
    char path[PATH_MAX];
    ssize_t n = 0;

    path[0] = 0;
    if (upath || !(flags & WALK_EMPTY))
        n = copy_in_str(t, path, upath, sizeof path);
    return n < 0 ? n : walk_path(t, dfd, path, flags, ret);
}
