/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Superblocks and inodes of the file system in memory: their life, limits, attributes.
 *
 * A directory's names hold their inodes, so a tree ends from its root: evict of a directory lets go
 * of its children. A guest can nest as deep as it likes, so this is no recursion: names wait on a
 * list of the thread until the outermost evict has dealt with all.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "abi/stat.h"
#include "sentry/fs/mem/data.h"
#include "sentry/fs/mem/mem.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/ipc/mqueue.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/fsflags.h"

#define SIZE_SHOWN (1ull << 30) /* of a file system without limit, where the machine's is unknown */

static _Atomic uint64_t counted; /* inodes in all file systems, and names beyond their first */

bool mem_count_take(void)
{
    return limit_take(LIMIT_INODES, &counted);
}

void mem_count_give(unsigned n)
{
    atomic_fetch_sub_explicit(&counted, n, memory_order_relaxed);
}

static void evict_names(struct names *n)
{
    static __thread struct list pending;
    static __thread bool busy;

    if (!pending.next)
        list_init(&pending);
    list_splice_tail(&pending, &n->all);
    kfree(n->buckets);
    n->buckets = NULL;
    if (busy)
        return;
    busy = true;
    while (!list_empty(&pending)) {
        struct mem_name *e = list_first(&pending, struct mem_name, order);

        list_del(&e->order);
        mem_name_free(e);
    }
    busy = false;
}

static void mem_evict(struct inode *i)
{
    struct mem_node *n = mem_node(i);

    if (!n)
        return;
    switch (i->mode & S_IFMT) {
    case S_IFDIR:
        evict_names(&n->names);
        break;
    case S_IFREG:
        data_free(&n->data);
        break;
    case S_IFLNK:
        kfree(n->target);
        break;
    }
    dentry_put(n->lower);
    mem_count_give(n->more_names + n->counted);
    if (n->mq)
        mqueue_evict(n->mq);
    kfree(n);
    atomic_fetch_sub(&mem_super(i->sb)->inodes, 1);
}

static void mem_shutdown(struct super *sb)
{
    struct mem_super *ms = mem_super(sb);

    for (;;) {
        struct inode *i = NULL;

        lock(&ms->lock);
        if (!list_empty(&ms->changed)) {
            struct mem_node *n = list_first(&ms->changed, struct mem_node, changed_link);

            list_del(&n->changed_link);
            i = n->inode;
        }
        unlock(&ms->lock);
        if (!i)
            return;
        inode_put(i);
    }
}

static void mem_put_super(struct super *sb)
{
    struct mem_super *ms = mem_super(sb);

    super_put(ms->lower);
    lock_done(&ms->lock);
    kfree(ms);
}

static int mem_statfs(struct task *t, struct super *sb, struct lx_statfs *ret)
{
    struct mem_super *ms = mem_super(sb);
    uint64_t used = atomic_load(&ms->quota.used), total = kernel.mem_total;
    uint64_t size = ms->quota.max                             ? ms->quota.max
                    : limit_of(LIMIT_FILE_BYTES) != UNLIMITED ? limit_of(LIMIT_FILE_BYTES)
                    : total                                   ? total
                                                              : SIZE_SHOWN;

    (void)t;
    ret->f_type = sb->magic;
    ret->f_bsize = ret->f_frsize = PAGE_SIZE_4K;
    ret->f_blocks = size / PAGE_SIZE_4K;
    ret->f_bfree = ret->f_bavail = used < size ? (size - used) / PAGE_SIZE_4K : 0;
    ret->f_files = ms->max_inodes ? ms->max_inodes : size / PAGE_SIZE_4K;
    ret->f_ffree = ret->f_files - MIN(ret->f_files, atomic_load(&ms->inodes));
    ret->f_namelen = 255;
    return 0;
}

static void mem_show(const struct super *sb, char *buf, size_t cap)
{
    const struct mem_super *ms = mem_super(sb);
    size_t n = 0;

#define SHOW(value, ...)                                                                           \
    if (value)                                                                                     \
    n += (size_t)snprintf(buf + n, cap - n, __VA_ARGS__)
    SHOW(ms->quota.max, ",size=%" PRIu64 "k", ms->quota.max / 1024);
    SHOW(ms->max_inodes, ",nr_inodes=%" PRIu64, ms->max_inodes);
    SHOW(ms->asked.mode && ms->asked.mode != 01777, ",mode=%03o", ms->asked.mode);
    SHOW(ms->asked.uid, ",uid=%u", ms->asked.uid);
    SHOW(ms->asked.gid, ",gid=%u", ms->asked.gid);
#undef SHOW
}

/* Is a name that was missing in dir still, as far as the lower goes? */
static int still_missing(struct task *t, struct inode *dir, const char *name, size_t len)
{
    struct mem_name *whiteout;
    int r;

    if (!mem_node(dir)->lower)
        return 1;
    lock(&dir->lock);
    whiteout = names_find(&mem_node(dir)->names, name, len);
    unlock(&dir->lock);
    if (whiteout)
        return 1;
    r = overlay_shows(t, dir, name, len);
    return r < 0 ? r : !r;
}

static int revalidate_missing(struct task *t, struct dentry *d)
{
    struct dentry *parent;
    char name[256];
    size_t len;
    int r;

    lock(&vfs.dcache_lock); /* a rename onto the name may come at any time */
    parent = dentry_ref(d->parent);
    len = d->namelen;
    memcpy(name, d->name, len);
    unlock(&vfs.dcache_lock);
    r = still_missing(t, dentry_inode(parent), name, len);
    dentry_put(parent);
    return r;
}

/* The lower may change behind us only where it says so. */
static int mem_revalidate(struct task *t, struct dentry *d)
{
    struct inode *i = dentry_inode(d);
    struct super *lsb = mem_super(d->sb)->lower;

    if (!lsb->ops->revalidate)
        return 1;
    if (!i)
        return revalidate_missing(t, d);
    if (!mem_node(i)->lower || mem_node(i)->changed)
        return 1;
    return lsb->ops->revalidate(t, mem_node(i)->lower);
}

/* Ours alone is always good, and so is what is missing in a directory of ours. */
static bool mem_fresh(const struct dentry *d)
{
    struct inode *i = dentry_inode(d);
    struct super *lsb = mem_super(d->sb)->lower;
    struct mem_node *n = mem_node(i ? i : dentry_inode(d->parent));

    assert_locked(&vfs.dcache_lock);
    if (!n->lower || (i && n->changed))
        return true;
    return i && lsb->ops->fresh && lsb->ops->fresh(n->lower);
}

static const struct super_ops tmpfs_super_ops = {
    .statfs = mem_statfs,
    .show = mem_show,
    .evict = mem_evict,
    .put_super = mem_put_super,
    .shutdown = mem_shutdown,
};

static const struct super_ops overlay_super_ops = {
    .statfs = mem_statfs,
    .evict = mem_evict,
    .put_super = mem_put_super,
    .shutdown = mem_shutdown,
    .revalidate = mem_revalidate,
    .fresh = mem_fresh,
};

static int node_new(struct super *sb, uint32_t mode, uint64_t ino, struct inode **ret)
{
    static const struct {
        const struct inode_ops *iops;
        const struct file_ops *fops;
    } kinds[] = {
        [S_IFDIR >> 12] = { &mem_dir_ops, &mem_dir_fops },
        [S_IFREG >> 12] = { &mem_file_iops, &mem_file_fops },
        [S_IFLNK >> 12] = { &mem_link_iops, NULL },
    };
    struct mem_super *ms = mem_super(sb);
    struct mem_node *n = kzalloc(sizeof *n);
    unsigned k = (mode & S_IFMT) >> 12;
    const struct inode_ops *iops = NULL;
    const struct file_ops *fops = NULL;
    struct inode *i;

    if (k < ARRAY_SIZE(kinds)) {
        iops = kinds[k].iops;
        fops = kinds[k].fops;
    }
    i = n ? inode_new(sb, iops ? iops : &mem_special_iops, fops, mode, ino) : NULL;
    if (!i) {
        kfree(n);
        return -ENOMEM;
    }
    n->inode = i;
    list_init(&n->changed_link);
    if (S_ISDIR(mode)) {
        names_init(&n->names);
        i->nlink = 2;
    } else if (S_ISREG(mode)) {
        data_init(&n->data, &ms->quota);
        n->seals = 1; /* F_SEAL_SEAL: only memfd_create makes files that can be sealed */
    }
    i->priv = n;
    atomic_fetch_add(&ms->inodes, 1);
    *ret = i;
    return 0;
}

int mem_inode_new(struct task *t, struct super *sb, struct inode *dir, uint32_t mode,
                  struct inode **ret)
{
    struct mem_super *ms = mem_super(sb);
    int r;

    if (ms->max_inodes && atomic_load(&ms->inodes) >= ms->max_inodes)
        return -ENOSPC;
    if (!mem_count_take())
        return -ENOSPC;
    r = node_new(sb, mode, 0, ret);
    if (r < 0) {
        mem_count_give(1);
        return r;
    }
    mem_node(*ret)->counted = true;
    inode_init_owner(t, *ret, dir);
    (*ret)->fsflags = dir ? dir->fsflags & LX_FS_INHERITED : 0;
    r = acl_inherit(*ret, dir);
    if (r < 0) {
        inode_put(*ret);
        return r;
    }
    mem_node(*ret)->parent_ino = dir ? dir->ino : (*ret)->ino;
    return 0;
}

int mem_inode_wrap(struct super *sb, struct dentry *lower, uint64_t ino, uint32_t mode,
                   struct inode **ret)
{
    int r = node_new(sb, mode, ino, ret);

    if (r < 0) {
        dentry_put(lower);
        return r;
    }
    mem_node(*ret)->lower = lower;
    return 0;
}

struct super *mem_super_new(const char *type, uint64_t magic, uint32_t mode, uint64_t max_bytes,
                            struct super *lower, struct dentry *lower_root)
{
    struct super *sb = super_new(type, lower ? &overlay_super_ops : &tmpfs_super_ops, magic);
    struct mem_super *ms = kzalloc(sizeof *ms);
    struct inode *root;
    int r;

    if (!sb || !ms) {
        kfree(sb);
        kfree(ms);
        return NULL;
    }
    ms->sb = sb;
    ms->quota.max = max_bytes;
    ms->lower = lower;
    sb->exports = true;
    sb->stable = !lower || lower->stable || !lower->ops->revalidate;
    lock_init(&ms->lock, LOCK_LEAF);
    list_init(&ms->changed);
    sb->priv = ms;
    if (lower) /* numbers of the lower's inodes are shown as they are; ours lie above them */
        atomic_store(&sb->next_ino, 1ull << 62);
    if (lower)
        r = mem_inode_wrap(sb, dentry_ref(lower_root), dentry_inode(lower_root)->ino,
                           dentry_inode(lower_root)->mode, &root);
    else
        r = mem_inode_new(NULL, sb, NULL, mode & S_IFMT ? mode : S_IFDIR | mode, &root);
    if (r == 0)
        mem_node(root)->parent_ino = root->ino;
    if (r == 0 && !dentry_make_root(sb, root))
        inode_put(root);
    if (!sb->root) {
        super_put(sb);
        return NULL;
    }
    return sb;
}
