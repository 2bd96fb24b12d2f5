/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Superblocks and inodes: life, and the table of inodes by number.
 *
 * A superblock has two counts. refs are its active users: mounts, and file systems that stand on it.
 * When the last one goes, the cached tree is dropped. users keep the memory: an inode may outlive
 * the mount (an inotify watch, a socket's name), so put_super comes when the last inode has gone.
 *
 * inode_put may take LOCK_DCACHE and calls ops->evict without locks, so no short lock is held there.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/timer.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/fsflags.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/vfs.h"

#define INODE_BUCKETS 16384
#define INODE_FIRST 512 /* a page: a few inodes spread over all would touch a page each */

static struct inode *table[INODE_BUCKETS]; /* LOCK_DCACHE */
static unsigned nbuckets = INODE_FIRST;    /* so many of it are used; a power of two */
static unsigned nhashed;
static _Atomic uint64_t next_dev = 0x20;

struct super *super_new(const char *type, const struct super_ops *ops, uint64_t magic)
{
    struct super *sb = kzalloc(sizeof *sb);

    if (!sb)
        return NULL;
    atomic_init(&sb->refs, 1);
    atomic_init(&sb->users, 1);
    sb->ops = ops;
    sb->type = type;
    sb->magic = magic;
    sb->dev = atomic_fetch_add(&next_dev, 1); /* major 0, as the kernel's unnamed devices */
    atomic_init(&sb->next_ino, 1);
    return sb;
}

static void super_unuse(struct super *sb)
{
    if (atomic_fetch_sub(&sb->users, 1) != 1)
        return;
    if (sb->ops->put_super)
        sb->ops->put_super(sb);
    kfree(sb);
}

struct super *super_ref(struct super *sb)
{
    atomic_fetch_add(&sb->refs, 1);
    return sb;
}

void super_put(struct super *sb)
{
    if (!sb || atomic_fetch_sub(&sb->refs, 1) != 1)
        return;
    fsnotify_unmount(sb);
    if (sb->ops->shutdown)
        sb->ops->shutdown(sb);
    if (sb->root) {
        struct dentry *root = sb->root;

        dcache_shrink_super(sb);
        sb->root = NULL;
        dentry_drop(root);
        dentry_put(root);
    }
    super_unuse(sb);
}

struct inode *inode_new(struct super *sb, const struct inode_ops *ops, const struct file_ops *fops,
                        uint32_t mode, uint64_t ino)
{
    static const struct inode_ops no_ops;
    struct inode *i = kzalloc(sizeof *i);

    if (!i)
        return NULL;
    atomic_init(&i->refs, 1);
    atomic_fetch_add(&sb->users, 1);
    i->sb = sb;
    i->ops = ops ? ops : &no_ops; /* a socket's, reached through /proc/PID/fd */
    i->fops = fops;
    i->mode = mode;
    i->nlink = 1;
    i->ino = ino ? ino : atomic_fetch_add(&sb->next_ino, 1);
    tlock_init(&i->rw);
    lock_init(&i->lock, LOCK_INODE);
    list_init(&i->watches);
    i->btime = ktime_to_timespec(ktime_real());
    i->atime = i->mtime = i->ctime = i->btime;
    return i;
}

struct inode *inode_ref(struct inode *i)
{
    atomic_fetch_add(&i->refs, 1);
    return i;
}

static struct inode **bucket_of(const struct super *sb, uint64_t ino)
{
    uint64_t h = (ino ^ ((uintptr_t)sb >> 4)) * 0x9e3779b97f4a7c15ull;

    return &table[(h >> 32) % nbuckets];
}

static void unhash_locked(struct inode *i)
{
    struct inode **p = bucket_of(i->sb, i->ino);

    assert_locked(&vfs.dcache_lock);
    while (*p != i)
        p = &(*p)->hash_next;
    *p = i->hash_next;
    nhashed--;
    i->hashed = false;
}

/* Uses more of the table: what lies in a bucket stays there or goes to one of the new ones. */
static void spread_locked(void)
{
    unsigned old = nbuckets;

    assert_locked(&vfs.dcache_lock);
    nbuckets *= 2;
    for (unsigned n = 0; n < old; n++) {
        struct inode *i = table[n];

        table[n] = NULL;
        while (i) {
            struct inode *next = i->hash_next, **b = bucket_of(i->sb, i->ino);

            i->hash_next = *b;
            *b = i;
            i = next;
        }
    }
}

struct inode *inode_find(struct super *sb, uint64_t ino)
{
    LOCK_SCOPE(&vfs.dcache_lock);

    for (struct inode *i = *bucket_of(sb, ino); i; i = i->hash_next)
        if (i->sb == sb && i->ino == ino)
            return inode_ref(i);
    return NULL;
}

/* The one of that number which was there already; NULL: i is there now. */
static struct inode *enter_locked(struct inode *i)
{
    struct inode **b, *o;

    assert_locked(&vfs.dcache_lock);
    if (nhashed >= nbuckets && nbuckets < INODE_BUCKETS)
        spread_locked();
    b = bucket_of(i->sb, i->ino);
    for (o = *b; o; o = o->hash_next)
        if (o->sb == i->sb && o->ino == i->ino)
            return o;
    i->hash_next = *b;
    *b = i;
    nhashed++;
    i->hashed = true;
    return NULL;
}

void inode_publish(struct inode *i)
{
    LOCK_SCOPE(&vfs.dcache_lock);

    if (!i->hashed)
        (void)enter_locked(i);
}

struct inode *inode_enter(struct inode *i)
{
    struct inode *o;

    lock(&vfs.dcache_lock);
    o = enter_locked(i);
    if (o)
        inode_ref(o);
    unlock(&vfs.dcache_lock);
    if (!o)
        return i;
    inode_put(i);
    return o;
}

void inode_leave(struct inode *i)
{
    LOCK_SCOPE(&vfs.dcache_lock);

    if (i->hashed)
        unhash_locked(i);
}

/* The last reference of an inode in the table goes under the table's lock, or one could be found. */
static bool put_was_last(struct inode *i)
{
    int n = atomic_load(&i->refs);
    bool last;

    while (n > 1)
        if (atomic_compare_exchange_weak(&i->refs, &n, n - 1))
            return false;
    if (!__atomic_load_n(&i->hashed, __ATOMIC_ACQUIRE))
        return atomic_fetch_sub(&i->refs, 1) == 1;
    lock(&vfs.dcache_lock);
    last = atomic_fetch_sub(&i->refs, 1) == 1;
    if (last && i->hashed)
        unhash_locked(i);
    unlock(&vfs.dcache_lock);
    return last;
}

void inode_put(struct inode *i)
{
    struct super *sb;

    if (!i || !put_was_last(i))
        return;
    sb = i->sb;
    if (sb->ops->evict)
        sb->ops->evict(i);
    locks_inode_gone(i);
    simple_xattrs_free(i);
    acl_inode_gone(i);
    tlock_done(&i->rw);
    lock_done(&i->lock);
    kfree(i);
    super_unuse(sb);
}

void inode_touch(struct inode *i, unsigned which)
{
    struct timespec now = ktime_to_timespec(ktime_real());

    lock(&i->lock);
    if (which & ATTR_ATIME)
        i->atime = now;
    if (which & ATTR_MTIME)
        i->mtime = now;
    if (which & ATTR_CTIME)
        i->ctime = now;
    unlock(&i->lock);
}

/* As the mount says; relatime: once after each change. (That it is a day old moves it on Linux too.) */
void file_accessed(const struct file *f)
{
    unsigned flags = f->path.mnt ? f->path.mnt->flags : MS_RELATIME;
    struct inode *i = f->inode;
    bool newer;

    if (atomic_load(&f->flags) & O_NOATIME || i->fsflags & LX_FS_NOATIME ||
        flags & (MS_NOATIME | MS_RDONLY) || i->sb->readonly || (flags & MS_NODIRATIME && is_dir(i)))
        return;
    if (!(flags & MS_RELATIME)) {
        inode_touch(i, ATTR_ATIME);
        return;
    }

    lock(&i->lock);
    newer = i->atime.tv_sec > i->mtime.tv_sec ||
            (i->atime.tv_sec == i->mtime.tv_sec && i->atime.tv_nsec > i->mtime.tv_nsec);
    newer = newer && (i->atime.tv_sec > i->ctime.tv_sec ||
                      (i->atime.tv_sec == i->ctime.tv_sec && i->atime.tv_nsec > i->ctime.tv_nsec));
    unlock(&i->lock);
    if (!newer)
        inode_touch(i, ATTR_ATIME);
}

static struct super *anon_super(void)
{
    static const struct super_ops ops;
    static struct super *_Atomic sb;
    struct super *s = atomic_load(&sb), *none = NULL;

    if (s)
        return s;
    s = super_new("anon_inodefs", &ops, 0x09041934);
    if (s && !atomic_compare_exchange_strong(&sb, &none, s)) {
        super_put(s);
        s = none;
    }
    return s;
}

struct inode *anon_inode_new(const char *name)
{
    static const struct inode_ops ops;
    struct super *sb = anon_super();

    (void)name; /* what /proc shows is the file's own name */
    return sb ? inode_new(sb, &ops, NULL, 0600, 0) : NULL;
}
