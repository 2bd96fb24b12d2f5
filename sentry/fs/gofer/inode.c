/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes of the gofer file system: look-ups, attributes, links.
 *
 * A look-up that the known names cannot answer costs a trip; it asks for the whole rest of the path
 * that is being walked. When a directory has cost some, its names are listed whole, with attributes:
 * that is as dear as one trip and 0.5 to 1 us for each entry, so it pays when as much has been spent
 * on single ones. How many entries there are is not known before: the gofer is told how many would
 * pay, and lists nothing where there are more.
 */
#include <errno.h>
#include <string.h>

#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/fs/gofer/told.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/scratch.h"
#include "sentry/kernel/timer.h"
#include "sentry/vfs/dcache.h"

#define TRIPS_BEFORE_LIST 2
#define ENTRIES_A_TRIP 32 /* so many entries are listed in the time of a trip or two */
#define IN_ORDER 8        /* times as many where names are taken in the order of a listing */

bool gname_fresh_locked(const struct gofer_fs *fs, const struct gname *n)
{
    return n->attr && (fs->stable || ktime_now() - n->stamp < FRESH_FOR);
}

/* Was it told, not too long ago, that n is not there? */
static bool absent_locked(const struct gofer_fs *fs, const struct gname *n)
{
    return n->gone && n->stamp && (fs->stable || ktime_now() - n->stamp < FRESH_FOR);
}

/* Copies what is known into the inode. */
static void fill_locked(struct gofer_fs *fs, struct gname *n, struct inode *i)
{
    assert_locked(&fs->lock);
    inode_told_locked(i, n->attr);
}

/*
 * For how many entries a listing of dir with attributes pays by now; 0: not yet. n, if it is known,
 * is the name that a trip is about to be made for.
 */
static unsigned list_max_locked(struct gname *dir, const struct gname *n)
{
    struct gdir *d = dir->dir;
    unsigned max;

    if (!d)
        d = dir->dir = kzalloc(sizeof *d);
    if (!d)
        return 0;
    max = ++d->lookups * ENTRIES_A_TRIP;
    if (n && d->complete && n->index == d->last + 1)
        max *= IN_ORDER;
    d->last = n ? n->index : UINT32_MAX;
    if (d->lookups < MAX(d->list_at, TRIPS_BEFORE_LIST) || (d->complete && d->n > max))
        return 0;
    return max;
}

/* Lists dir with attributes. False: it is too large for that to pay, or cannot be listed. */
static bool list_all(struct gofer_fs *fs, struct gname *dir, unsigned max)
{
    int r = max ? gofer_fill_dir(fs, dir, /* attrs= */ true, max) : -E2BIG;

    if (!max)
        return false;
    LOCK_SCOPE(&fs->lock);
    if (r < 0 && dir->dir)
        dir->dir->list_at = dir->dir->lookups * 2;
    if (r == 0 && dir->dir && dir->dir->bare) {
        dir->dir->bare = false;
        fs->guess_paid = true;
        fs->wanted++;
    }
    return r == 0;
}

/* Asked for by its name, not by its node: another directory may have the name by now. */
int gofer_refresh(struct gofer_fs *fs, struct gname *n)
{
    struct gaddr addr;
    struct gofer_attr attr;
    int r = 0;

    lock(&fs->lock);
    uint32_t type = n->mode & S_IFMT;
    bool gone = n->gone, fresh = gone ? absent_locked(fs, n) : gname_fresh_locked(fs, n);
    unsigned max = fresh || !n->parent ? 0 : list_max_locked(n->parent, n);
    unlock(&fs->lock);
    if (fresh)
        return gone ? -ENOENT : 0;
    bool listed = list_all(fs, n->parent, max);
    lock(&fs->lock);
    fresh = listed && !n->gone && gname_fresh_locked(fs, n) && (n->mode & S_IFMT) == type;
    if (!fresh)
        r = gname_addr_locked(fs, n->parent ? n->parent : n, n->parent ? n->name : NULL, &addr);
    unlock(&fs->lock);
    if (fresh || r < 0)
        return r;
    gofer_trip_begin();
    r = gofer_getattr(fs->g, addr.node, addr.path, &attr);
    gofer_trip_end();
    LOCK_SCOPE(&fs->lock);
    if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP) { /* or what leads to it is gone */
        n->gone = true;
        n->stamp = ktime_now();
        return -ENOENT;
    }
    if (r < 0)
        return r;
    gname_told_locked(fs, n, &attr);
    return n->attr ? 0 : -ENOMEM;
}

/* A reference on n's inode if it has one that is not on its way out. */
static struct inode *live_inode_locked(struct gname *n)
{
    struct inode *i = n->inode;
    int refs = i ? atomic_load(&i->refs) : 0;

    while (refs > 0)
        if (atomic_compare_exchange_weak(&i->refs, &refs, refs + 1))
            return i;
    return NULL;
}

static struct inode *new_inode(struct gofer_fs *fs, uint32_t mode, uint64_t ino)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return inode_new(fs->sb, &gofer_dir_iops, &gofer_dir_fops, mode, ino);
    case S_IFREG:
        return inode_new(fs->sb, &gofer_file_iops, &gofer_file_fops, mode, ino);
    case S_IFLNK:
        return inode_new(fs->sb, &gofer_link_iops, NULL, mode, ino);
    default:
        return inode_new(fs->sb, &gofer_other_iops, NULL, mode, ino);
    }
}

int gofer_inode_get(struct gofer_fs *fs, struct gname *n, struct inode **ret)
{
    int r = gofer_refresh(fs, n);
    if (r < 0)
        return r;
    lock(&fs->lock);
    struct inode *i = live_inode_locked(n), *old;
    uint32_t mode = n->mode;
    uint64_t ino = n->ino;
    unlock(&fs->lock);
    if (i) {
        *ret = i;
        return 0;
    }
    i = new_inode(fs, mode, ino);
    if (!i)
        return -ENOMEM;
    lock(&fs->lock);
    i->priv = n;
    n->inodes++;
    old = live_inode_locked(n); /* another task was faster */
    if (!old) {
        n->inode = i;
        if (n->attr)
            fill_locked(fs, n, i);
    }
    unlock(&fs->lock);
    if (old)
        inode_put(i);
    *ret = old ? old : i;
    return 0;
}

/* Are the names not known to be there known not to be? */
static bool complete_locked(struct gofer_fs *fs, const struct gname *dir)
{
    const struct gdir *d = dir->dir;

    return d && d->complete && (fs->stable || ktime_now() - d->stamp < FRESH_FOR);
}

/* dir has no such name. NULL: no memory. */
static struct gname *note_absent_locked(struct gofer_fs *fs, struct gname *dir, const char *name,
                                        size_t len)
{
    const struct gofer_node_reply none = { .node = 0 };
    struct gname *n = gname_find_locked(fs, dir, name, len);

    if (!n && fs->nnames > GNAMES_MAX)
        return dir; /* who probes for ever pays by the trip */
    if (!n)
        n = gname_note_locked(fs, dir, name, len, &none, /* has_attr= */ false);
    if (!n)
        return NULL;
    n->gone = true;
    n->stamp = ktime_now();
    return n;
}

/* Notes what a walk from dir reached. The last may be a link with its target. */
static int note_walk(struct gofer_fs *fs, struct gname *dir, const char *path,
                     const struct gofer_node_reply *r, unsigned n, const char *target, int error,
                     struct gname **ret_last)
{
    LOCK_SCOPE(&fs->lock);

    for (unsigned i = 0; i < n; i++) {
        size_t len = strcspn(path, "/");

        dir = gname_note_locked(fs, dir, path, len, &r[i], /* has_attr= */ true);
        if (!dir)
            return -ENOMEM;
        if (S_ISLNK(dir->mode) && target[0] && !dir->target)
            dir->target = kstrdup(target);
        path += len + (path[len] == '/');
    }
    *ret_last = dir;
    if (error == -ENOENT && *path && !note_absent_locked(fs, dir, path, strcspn(path, "/")))
        return -ENOMEM;
    return 0;
}

/*
 * The path to ask for: name, and what is still to be walked behind it, as far as it is plain. The
 * rest is a hint: it is cut at ".", ".." and after a few components.
 */
static void whole_path(const char *name, size_t len, char *buf, size_t cap)
{
    const char *rest = vfs_walk_rest;
    size_t at = len;

    memcpy(buf, name, len);
    for (unsigned depth = 1; rest && *rest && depth < 16; depth++) {
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

/*
 * The first `above` bytes of path lead from a node to dir, which has none itself: now they get the
 * nodes that the walk made on its way. Returns how many components they are.
 */
static unsigned note_above(struct gofer_fs *fs, struct gname *dir, const char *path, size_t above,
                           const struct gofer_node_reply *r, unsigned n)
{
    unsigned skip = 0;

    for (size_t i = 0; i < above; i++)
        skip += path[i] == '/';
    LOCK_SCOPE(&fs->lock);
    for (unsigned i = skip; i-- > 0 && dir; dir = dir->parent) {
        if (i < n && dir->node)
            gofer_forget(fs->g, r[i].node);
        else if (i < n)
            dir->node = r[i].node;
    }
    return skip;
}

/* One trip for name beneath dir. -ENOENT when it is not there. */
static int walk_trip(struct gofer_fs *fs, struct gname *dir, const char *name, size_t len)
{
    char *first = scratch()->first;
    struct gofer_node_reply replies[32];
    struct gaddr *addr = kzalloc(sizeof *addr);
    char path[1024], target[1024];
    struct gofer_walk_end end = { .link = target,
                                  .linkcap = sizeof(target),
                                  .cap = sizeof(scratch()->first),
                                  .first = vfs_walk_opens ? first : NULL };
    unsigned n = 0;
    uint64_t node;

    if (!addr)
        return -ENOMEM;
    whole_path(name, len, path, sizeof(path));
    lock(&fs->lock);
    int r = gname_addr_locked(fs, dir, path, addr);
    node = addr->node;
    size_t above = r == 0 ? strlen(addr->path) - strlen(path) : 0;
    unlock(&fs->lock);
    if (r == 0) {
        gofer_trip_begin();
        r = gofer_walk(fs->g, node, addr->path, replies, ARRAY_SIZE(replies), &n, &end);
        gofer_trip_end();
    }
    struct gname *last = dir;
    unsigned skip = note_above(fs, dir, addr->path, above, replies, n);
    if (n > skip || (n == skip && r == -ENOENT)) {
        int miss = n > skip ? 0 : r;
        if (n && strlen(target) == sizeof(target) - 1)
            target[0] = 0; /* cut */
        r = note_walk(fs, dir, path, replies + skip, n - skip, n ? target : "", r, &last);
        r = r < 0 ? r : miss;
    } else if (r == 0) {
        r = -ENOENT;
    }
    struct ghandle *h = end.opened && r == 0 ? ghandle_new(&end.file, first) : NULL;
    if (h) {
        LOCK_SCOPE(&fs->lock);
        ghandle_keep_locked(fs, last, h);
    } else if (end.opened && r < 0)
        gofer_file_close(&end.file);
    kfree(addr);
    return r;
}

static int gofer_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                        struct inode **ret)
{
    struct gofer_fs *fs = gofer_fs_of(dir);
    struct gname *d = gname_of(dir), *n;
    int r = 0;

    (void)t;
    lock(&fs->lock);
    n = gname_find_locked(fs, d, name, len);
    bool complete = complete_locked(fs, d);
    bool known = n && !n->gone && (n->attr || complete);
    if (known && d->dir->guessed)
        fs->guess_paid = true;
    bool ask = !known && !(complete && (!n || n->gone)) && !(n && absent_locked(fs, n));
    /*
     * A trip that opens as well is made after a listing too, however many names are on its way. One
     * miss is no probing yet: each dynamic program looks for /etc/ld.so.preload.
     */
    bool opens = vfs_walk_opens;
    unsigned max = ask && (!opens || (d->dir && d->dir->misses > 1)) ? list_max_locked(d, n) : 0;
    unlock(&fs->lock);
    if (!ask && !known)
        return -ENOENT;
    if (ask && !list_all(fs, d, max))
        r = walk_trip(fs, d, name, len);
    if (r == -ENOENT && ask) { /* a miss is a sign of probing: more will come */
        lock(&fs->lock);
        if (d->dir) {
            d->dir->lookups += 2;
            d->dir->misses++;
        }
        unlock(&fs->lock);
    }
    if (r < 0)
        return r;
    lock(&fs->lock);
    n = gname_find_locked(fs, d, name, len);
    known = n && !n->gone;
    unlock(&fs->lock);
    return known ? gofer_inode_get(fs, n, ret) : -ENOENT;
}

static int gofer_getattr_op(struct task *t, struct inode *i, struct kstat *ret)
{
    struct gofer_fs *fs = gofer_fs_of(i);
    struct gname *n = gname_of(i);

    (void)t;
    int r = gofer_refresh(fs, n);
    if (r < 0 && r != -ENOENT)
        return r;
    lock(&i->lock);
    lock(&fs->lock);
    if (r == 0 && n->attr && n->inode == i)
        fill_locked(fs, n, i); /* else it has lost its name, and keeps what was known last */
    unlock(&fs->lock);
    unlock(&i->lock);
    inode_fill_stat(i, ret);
    return 0;
}

static int gofer_readlink_op(struct task *t, struct inode *i, char *buf, size_t cap)
{
    struct gofer_fs *fs = gofer_fs_of(i);
    struct gname *n = gname_of(i);
    struct gaddr *addr;
    ssize_t r = -1;

    (void)t;
    lock(&fs->lock);
    if (n->target) {
        r = MIN(strlen(n->target), cap);
        memcpy(buf, n->target, r);
    }
    unlock(&fs->lock);
    if (r >= 0)
        return r;
    addr = kzalloc(sizeof *addr);
    if (!addr)
        return -ENOMEM;
    lock(&fs->lock);
    r = gname_addr_locked(fs, n, NULL, addr);
    unlock(&fs->lock);
    gofer_trip_begin();
    if (r == 0)
        r = gofer_readlink(fs->g, addr->node, addr->path, buf, cap);
    gofer_trip_end();
    kfree(addr);
    lock(&fs->lock);
    if (r > 0 && (size_t)r < cap && !n->target) {
        n->target = kzalloc(r + 1);
        if (n->target)
            memcpy(n->target, buf, r);
    }
    unlock(&fs->lock);
    return r;
}

static size_t gofer_link_cached(const struct inode *i, char *buf, size_t cap)
{
    struct gofer_fs *fs = gofer_fs_of(i);
    const struct gname *n = gname_of(i);
    size_t len = 0;

    LOCK_SCOPE(&fs->lock);
    if (n->target) {
        len = MIN(strlen(n->target), cap);
        memcpy(buf, n->target, len);
    }
    return len;
}

static ssize_t xattr_trip(struct inode *i, const char *name, char *buf, size_t n)
{
    struct gofer_fs *fs = gofer_fs_of(i);
    struct gaddr *addr = kzalloc(sizeof *addr);
    ssize_t r;

    if (!addr)
        return -ENOMEM;
    lock(&fs->lock);
    r = gname_addr_locked(fs, gname_of(i), NULL, addr);
    unlock(&fs->lock);
    gofer_trip_begin();
    if (r == 0 && name)
        r = gofer_getxattr(fs->g, addr->node, addr->path, name, buf, n);
    else if (r == 0)
        r = gofer_listxattr(fs->g, addr->node, addr->path, buf, n);
    gofer_trip_end();
    kfree(addr);
    return r;
}

static ssize_t gofer_getxattr_op(struct task *t, struct inode *i, const char *name, void *buf,
                                 size_t n)
{
    (void)t;
    /* What the gofer would refuse anyway: ls -l asks for the others, for every file. */
    if (strncmp(name, "user.", 5) != 0 && strcmp(name, "security.capability") != 0)
        return strncmp(name, "security.", 9) == 0 ? -ENODATA : -EOPNOTSUPP;
    return xattr_trip(i, name, buf, n);
}

static ssize_t gofer_listxattr_op(struct task *t, struct inode *i, char *buf, size_t n)
{
    (void)t;
    return xattr_trip(i, NULL, buf, n);
}

#define COMMON_OPS                                                                                 \
    .getattr = gofer_getattr_op, .getxattr = gofer_getxattr_op, .listxattr = gofer_listxattr_op

/* Host devices, FIFOs and sockets are seen, and that is all. */
static int no_open(struct task *t, struct inode *i, struct file *f)
{
    (void)t;
    (void)i;
    (void)f;
    return -ENXIO;
}

const struct inode_ops gofer_dir_iops = { COMMON_OPS, .lookup = gofer_lookup };
const struct inode_ops gofer_file_iops = { COMMON_OPS };
const struct inode_ops gofer_link_iops = { .getattr = gofer_getattr_op,
                                           .readlink = gofer_readlink_op,
                                           .link_cached = gofer_link_cached };
const struct inode_ops gofer_other_iops = { .getattr = gofer_getattr_op, .open = no_open };
