/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of names. A dentry ties a name in a directory to an inode, or to the knowledge that
 * there is none (a negative one). It is only a cache: every file system can find its names again.
 *
 * Life cycle: a dentry holds its parent and its inode. While somebody holds it, it lives; when the
 * last reference goes it stays in the hash and on the lru list, of which the oldest are freed
 * beyond LRU_MAX, or when memory ends. An unhashed one (unlinked, or of a file system that wants no
 * cache) goes with its last reference. Names and parents change by rename only, and what is read of
 * them is read under vfs.dcache_lock; d->inode goes from NULL to an inode once, and stays.
 *
 *      look-up (not cached)               unlink, rename, create
 *      --------------------               ----------------------
 *      s = dir->changes                   the file system changes its names
 *      the file system's lookup()         under dcache_lock: the dentry, dir->changes++
 *      under dcache_lock: dir->changes is still s? then hash the result, else again
 *
 * so that an answer from before a change is never cached behind it.
 *
 * Memory is freed, and inodes are put, after dcache_lock is dropped: doomed dentries are chained up
 * by hash_next.
 */
#include "sentry/vfs/dcache.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/vfs/notify.h"

#define DENTRY_BUCKETS 65536
#define DENTRY_FIRST 512 /* a page: a few names spread over all would touch a page each */
#define LRU_MAX 32768

static struct dentry *table[DENTRY_BUCKETS]; /* LOCK_DCACHE, as all here */
static unsigned nbuckets = DENTRY_FIRST;     /* so many of it are used; a power of two */
static unsigned nhashed;
static struct list lru;
static unsigned lru_count;
static uint64_t hash_secret;

void dcache_init(void)
{
    list_init(&lru);
    if (getrandom(&hash_secret, sizeof hash_secret, GRND_NONBLOCK) < 0)
        hash_secret = (uintptr_t)&hash_secret; /* early boot: the address is random too */
}

static uint64_t hash_name(const struct dentry *parent, const char *name, size_t len)
{
    return XXH3_64bits_withSeed(name, len, hash_secret ^ (uintptr_t)parent);
}

static struct dentry **bucket(uint64_t hash)
{
    return &table[hash % nbuckets];
}

static struct dentry *alloc_dentry(struct super *sb, const char *name, size_t len)
{
    struct dentry *d = kzalloc(sizeof *d);

    if (!d)
        return NULL;
    d->name = kzalloc(len + 1);
    if (!d->name) {
        kfree(d);
        return NULL;
    }
    memcpy(d->name, name, len);
    d->namelen = len;
    atomic_init(&d->refs, 1);
    d->sb = sb;
    d->parent = d;
    d->unhashed = true;
    list_init(&d->children);
    list_init(&d->sibling);
    list_init(&d->lru);
    return d;
}

/* ---- all of these with dcache_lock held ---- */

static void lru_add(struct dentry *d)
{
    if (list_empty(&d->lru)) {
        list_add_head(&lru, &d->lru);
        lru_count++;
    }
}

static void lru_del(struct dentry *d)
{
    if (!list_empty(&d->lru)) {
        list_del(&d->lru);
        lru_count--;
    }
}

static void get_locked(struct dentry *d)
{
    if (atomic_fetch_add(&d->refs, 1) == 0)
        lru_del(d);
}

/* Uses more of the table: what lies in a bucket stays there or goes to one of the new ones. */
static void spread_locked(void)
{
    unsigned old = nbuckets;

    nbuckets *= 2;
    for (unsigned i = 0; i < old; i++) {
        struct dentry *d = table[i];

        table[i] = NULL;
        while (d) {
            struct dentry *next = d->hash_next, **b = bucket(d->hash);

            d->hash_next = *b;
            *b = d;
            d = next;
        }
    }
}

static void hash_locked(struct dentry *d)
{
    struct dentry **b;

    if (++nhashed > nbuckets && nbuckets < DENTRY_BUCKETS)
        spread_locked();
    d->hash = hash_name(d->parent, d->name, d->namelen);
    b = bucket(d->hash);
    d->hash_next = *b;
    *b = d;
    d->unhashed = false;
}

static void unhash_locked(struct dentry *d)
{
    struct dentry **p;

    if (d->unhashed)
        return;
    for (p = bucket(d->hash); *p != d; p = &(*p)->hash_next)
        ;
    *p = d->hash_next;
    nhashed--;
    d->hash_next = NULL;
    d->unhashed = true;
    list_del(&d->sibling);
}

static void set_inode_locked(struct dentry *d, struct inode *i)
{
    if (i && S_ISDIR(i->mode))
        i->dir_dentry = d;
    __atomic_store_n(&d->inode, i, __ATOMIC_RELEASE);
}

static void changed_locked(struct dentry *parent)
{
    if (parent->inode)
        atomic_fetch_add(&parent->inode->changes, 1);
}

static struct dentry *find_locked(struct dentry *parent, const char *name, size_t len, uint64_t h)
{
    for (struct dentry *d = *bucket(h); d; d = d->hash_next)
        if (d->hash == h && d->parent == parent && d->namelen == len && !memcmp(d->name, name, len))
            return d;
    return NULL;
}

/* Chains d (without references), and the parents that only it held, to doomed. */
static void doom_locked(struct dentry *d, struct dentry **doomed)
{
    for (;;) {
        struct dentry *parent = d->parent;

        lru_del(d);
        unhash_locked(d);
        if (d->inode && d->inode->dir_dentry == d)
            d->inode->dir_dentry = NULL;
        d->hash_next = *doomed;
        *doomed = d;
        if (parent == d || atomic_fetch_sub(&parent->refs, 1) != 1)
            return;
        if (!parent->unhashed && !parent->sb->ops->no_negative_cache) {
            lru_add(parent);
            return;
        }
        d = parent;
    }
}

static void shrink_locked(unsigned max, struct super *sb, struct dentry **doomed)
{
    struct dentry *d, *tmp;

    if (!sb) {
        while (lru_count > max)
            doom_locked(list_entry(lru.prev, struct dentry, lru), doomed);
        return;
    }
    for (bool again = true; again;) { /* parents come onto the list as their children go */
        again = false;
        list_for_each_safe(d, tmp, &lru, lru) {
            if (d->sb != sb)
                continue;
            doom_locked(d, doomed);
            again = true;
            break;
        }
    }
}

/* ---- without it ---- */

static void free_doomed(struct dentry *doomed)
{
    while (doomed) {
        struct dentry *d = doomed;

        doomed = d->hash_next;
        if (d->inode) {
            if (d->inode->nlink == 0)
                fsnotify_gone(d->inode);
            inode_put(d->inode);
        }
        kfree(d->name);
        kfree(d);
    }
}

static void shrink(unsigned max, struct super *sb)
{
    struct dentry *doomed = NULL;

    lock(&vfs.dcache_lock);
    shrink_locked(max, sb, &doomed);
    unlock(&vfs.dcache_lock);
    free_doomed(doomed);
}

void dcache_shrink_super(struct super *sb)
{
    shrink(0, sb);
}

static struct dentry *alloc_or_shrink(struct super *sb, const char *name, size_t len)
{
    struct dentry *d = alloc_dentry(sb, name, len);

    if (!d) {
        shrink(0, NULL);
        d = alloc_dentry(sb, name, len);
    }
    return d;
}

struct dentry *dentry_ref(struct dentry *d)
{
    atomic_fetch_add(&d->refs, 1); /* the caller holds it, or something that does */
    return d;
}

void dentry_put(struct dentry *d)
{
    struct dentry *doomed = NULL;
    int n;

    if (!d)
        return;
    n = atomic_load(&d->refs);
    while (n > 1)
        if (atomic_compare_exchange_weak(&d->refs, &n, n - 1))
            return;
    lock(&vfs.dcache_lock);
    if (atomic_fetch_sub(&d->refs, 1) == 1) {
        if (d->unhashed || d->sb->ops->no_negative_cache) {
            doom_locked(d, &doomed);
        } else {
            lru_add(d);
            if (lru_count > LRU_MAX)
                shrink_locked(LRU_MAX - 256, NULL, &doomed);
        }
    }
    unlock(&vfs.dcache_lock);
    free_doomed(doomed);
}

struct dentry *dentry_make_root(struct super *sb, struct inode *root)
{
    struct dentry *d = alloc_dentry(sb, "/", 1);

    if (!d)
        return NULL;
    sb->root = d; /* in no directory: it lives by the reference that the superblock has */
    LOCK_SCOPE(&vfs.dcache_lock);
    set_inode_locked(d, root);
    hash_locked(d);
    return d;
}

struct dentry *dentry_new_unhashed(struct dentry *parent, const char *name, size_t len)
{
    struct dentry *d = alloc_or_shrink(parent->sb, name, len);

    if (d)
        d->parent = dentry_ref(parent);
    return d;
}

struct dentry *dentry_new_anon(struct inode *inode)
{
    struct dentry *d = alloc_or_shrink(inode->sb, "anon", 4);

    if (!d) {
        inode_put(inode);
        return NULL;
    }
    LOCK_SCOPE(&vfs.dcache_lock);
    set_inode_locked(d, inode);
    return d;
}

struct dentry *dentry_find_locked(struct dentry *parent, const char *name, size_t len)
{
    assert_locked(&vfs.dcache_lock);
    return find_locked(parent, name, len, hash_name(parent, name, len));
}

void dentry_get_locked(struct dentry *d)
{
    assert_locked(&vfs.dcache_lock);
    get_locked(d);
}

struct dentry *dentry_cached(struct dentry *parent, const char *name, size_t len)
{
    uint64_t h = hash_name(parent, name, len);
    struct dentry *d;

    LOCK_SCOPE(&vfs.dcache_lock);
    d = find_locked(parent, name, len, h);
    if (d)
        get_locked(d);
    return d;
}

struct dentry *dentry_add_checked(struct dentry *parent, const char *name, size_t len,
                                  struct inode *inode, const uint32_t *seq, bool *ret_stale)
{
    struct dentry *d = dentry_new_unhashed(parent, name, len), *there;

    if (ret_stale)
        *ret_stale = false;
    if (!d) {
        inode_put(inode);
        return NULL;
    }
    lock(&vfs.dcache_lock);
    there = find_locked(parent, name, len, hash_name(parent, name, len));
    if (there) {
        get_locked(there);
    } else if (seq && atomic_load(&parent->inode->changes) != *seq) {
        *ret_stale = true;
    } else {
        set_inode_locked(d, inode);
        hash_locked(d);
        list_add_head(&parent->children, &d->sibling);
        there = d;
    }
    unlock(&vfs.dcache_lock);
    if (there == d)
        return d;
    dentry_put(d);
    inode_put(inode);
    return there;
}

struct dentry *dentry_add(struct dentry *parent, const char *name, size_t len, struct inode *inode)
{
    return dentry_add_checked(parent, name, len, inode, NULL, NULL);
}

/* What was missing in a directory that is removed would hold that, and its inode, until it is old. */
static void drop_children_locked(struct dentry *d, struct dentry **doomed)
{
    struct dentry *child, *tmp;

    list_for_each_safe(child, tmp, &d->children, sibling) {
        if (!list_empty(&child->lru))
            doom_locked(child, doomed);
    }
}

void dentry_drop(struct dentry *d)
{
    struct dentry *doomed = NULL;

    lock(&vfs.dcache_lock);
    changed_locked(d->parent);
    unhash_locked(d);
    drop_children_locked(d, &doomed);
    unlock(&vfs.dcache_lock);
    free_doomed(doomed);
}

void dentry_instantiate(struct dentry *d, struct inode *inode)
{
    LOCK_SCOPE(&vfs.dcache_lock);

    changed_locked(d->parent);
    set_inode_locked(d, inode);
}

struct dentry *inode_dir_dentry(struct inode *dir)
{
    LOCK_SCOPE(&vfs.dcache_lock);

    if (dir->dir_dentry)
        get_locked(dir->dir_dentry);
    return dir->dir_dentry;
}

/* Gives d the name and parent of where nd stands; dcache_lock held, both unhashed. */
static void rename_locked(struct dentry *d, struct dentry *parent, char *name, uint32_t len)
{
    d->parent = parent;
    d->name = name;
    d->namelen = len;
    hash_locked(d);
    list_add_head(&parent->children, &d->sibling);
}

int dentry_move(struct dentry *d, struct dentry *nd, bool exchange)
{
    struct dentry *dp, *np;
    char *dname, *nname;
    uint32_t dlen, nlen;

    lock(&vfs.dcache_lock);
    dp = d->parent;
    np = nd->parent;
    dname = d->name;
    nname = nd->name;
    dlen = d->namelen;
    nlen = nd->namelen;
    changed_locked(dp);
    changed_locked(np);
    unhash_locked(d);
    unhash_locked(nd);
    rename_locked(d, np, nname, nlen);
    nd->parent = dp; /* references to the parents, and names, simply change hands */
    nd->name = dname;
    nd->namelen = dlen;
    if (exchange)
        rename_locked(nd, dp, dname, dlen);
    unlock(&vfs.dcache_lock);
    return 0;
}
