/* SPDX-License-Identifier: Apache-2.0 */
/* The live file system (live.h): its superblock, inodes, and where they are on the host. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/stat.h"
#include "sentry/fs/gofer/told.h"
#include "sentry/fs/live/live.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/timer.h"
#include "sentry/vfs/notify.h"

#define LIVE_MAGIC 0x01021997 /* as 9p, which is what comes nearest */
#define DEPTH_MAX 30u         /* of a path beneath a node: the gofer's limit, and a name more */

static void handle_free(struct live_fs *fs, struct live_handle *h)
{
    close(h->fd);
    gofer_close(fs->g, h->node);
    kfree(h);
}

void live_handle_put(struct live_fs *fs, struct live_handle *h)
{
    lock(&fs->lock);
    bool last = --h->refs == 0;
    if (last)
        list_del(&h->link);
    unlock(&fs->lock);
    if (last)
        handle_free(fs, h);
}

struct live_handle *live_handle_new(struct inode *i, const struct gofer_opened *o, int flags)
{
    struct live_fs *fs = live_fs_of(i);
    struct live_handle *h = kzalloc(sizeof *h);

    if (!h) {
        close(o->fd);
        gofer_close(fs->g, o->node);
        return NULL;
    }
    h->node = o->node;
    h->fd = o->fd;
    h->flags = flags;
    h->refs = 1;
    LOCK_SCOPE(&fs->lock);
    list_add_tail(&live_of(i)->handles, &h->link);
    return h;
}

void live_made(struct inode *i, const struct gofer_opened *o, int flags)
{
    struct live_handle *h = live_handle_new(i, o, flags), *old;
    struct live_fs *fs = live_fs_of(i);

    if (!h)
        return;
    lock(&fs->lock);
    old = live_of(i)->made;
    live_of(i)->made = h;
    unlock(&fs->lock);
    if (old)
        live_handle_put(fs, old);
}

static int put_front(struct live_addr *a, size_t *at, const char *name, size_t len)
{
    bool slash = a->path[*at];

    if (len + slash > *at)
        return -ENAMETOOLONG;
    if (slash)
        a->path[--*at] = '/';
    *at -= len;
    memcpy(a->path + *at, name, len);
    return 0;
}

static int addr_locked(const struct inode *i, const char *extra, size_t len, struct live_addr *a)
{
    size_t at = sizeof(a->path) - 1;
    int r = extra ? put_front(a, &at, extra, len) : 0;

    for (unsigned depth = 0; r == 0; depth++) {
        const struct live_inode *li = live_of(i);

        if (li->node) {
            a->node = li->node;
            memmove(a->path, a->path + at, sizeof(a->path) - at);
            return 0;
        }
        if (!li->parent)
            return -ENOENT;
        r = depth > DEPTH_MAX ? -ENAMETOOLONG : put_front(a, &at, li->name, strlen(li->name));
        i = li->parent;
    }
    return r;
}

struct live_addr *live_addr(struct inode *i, const char *extra, size_t len)
{
    struct live_fs *fs = live_fs_of(i);
    struct live_addr *a = kzalloc(sizeof *a);

    if (!a)
        return ERR_PTR(-ENOMEM);
    lock(&fs->lock);
    int r = addr_locked(i, extra, len, a);
    unlock(&fs->lock);
    if (r == 0)
        return a;
    kfree(a);
    return ERR_PTR(r);
}

struct live_addr *live_addr_file(struct inode *i, int access)
{
    struct live_fs *fs = live_fs_of(i);
    struct live_addr *a = kzalloc(sizeof *a);
    struct live_handle *h;
    int r = -ENOENT;

    if (!a)
        return ERR_PTR(-ENOMEM);
    lock(&fs->lock);
    list_for_each(h, &live_of(i)->handles, link) {
        if (access == O_WRONLY && (h->flags & O_ACCMODE) == O_RDONLY)
            continue;
        h->refs++;
        a->handle = h;
        a->node = h->node;
        break;
    }
    if (!a->handle)
        r = addr_locked(i, NULL, 0, a);
    unlock(&fs->lock);
    if (a->handle || r == 0)
        return a;
    kfree(a);
    return ERR_PTR(r);
}

void live_addr_put(struct inode *i, struct live_addr *a)
{
    if (a->handle)
        live_handle_put(live_fs_of(i), a->handle);
    kfree(a);
}

void live_fill(struct inode *i, const struct gofer_attr *a)
{
    struct live_fs *fs = live_fs_of(i);

    lock(&fs->lock);
    live_of(i)->told = (struct timespec){ a->ctime_s, a->ctime_ns };
    unlock(&fs->lock);
    LOCK_SCOPE(&i->lock);
    inode_told_locked(i, a);
}

static int look(int fd, struct stat *st)
{
    gofer_trip_begin();
    int r = fstat(fd, st) < 0 ? -errno : 0;
    gofer_trip_end();
    return r;
}

static void fill_from_locked(struct inode *i, const struct stat *st)
{
    i->nlink = (uint32_t)st->st_nlink;
    i->size = (uint64_t)st->st_size;
    i->blocks = (uint64_t)st->st_blocks;
    i->atime = st->st_atim;
    i->mtime = st->st_mtim;
    i->ctime = st->st_ctim;
}

/*
 * Owners are not seen by us as the gofer sees them (our ids are those of another namespace), so they
 * must be as they were told: whoever changes them changes ctime. A change in the same tick of the
 * host's clock may not show in ctime, so one that is recent is not believed.
 */
#define TICKS 20000000ll /* ns */

bool live_told_by_fd(struct inode *i, int fd)
{
    struct live_fs *fs = live_fs_of(i);
    struct timespec told, now = ktime_to_timespec(ktime_real() - TICKS);
    struct stat st;

    if (look(fd, &st) < 0)
        return false;
    lock(&fs->lock);
    told = live_of(i)->told;
    unlock(&fs->lock);
    if (st.st_ctim.tv_sec != told.tv_sec || st.st_ctim.tv_nsec != told.tv_nsec ||
        told.tv_sec > now.tv_sec || (told.tv_sec == now.tv_sec && told.tv_nsec > now.tv_nsec))
        return false;
    LOCK_SCOPE(&i->lock);
    i->mode = (i->mode & S_IFMT) | (st.st_mode & 07777);
    fill_from_locked(i, &st);
    return true;
}

int live_fill_size(struct inode *i, int fd)
{
    struct stat st;
    int r = look(fd, &st);

    if (r < 0)
        return r;
    LOCK_SCOPE(&i->lock);
    fill_from_locked(i, &st);
    return 0;
}

bool live_same(const struct inode *i, const struct gofer_attr *a)
{
    const struct live_inode *li = live_of(i);

    return li->hino == a->ino && li->hdev == a->dev && !((i->mode ^ a->mode) & S_IFMT) &&
           li->btime_s == a->btime_s && li->btime_ns == a->btime_ns;
}

/* The number shown for it. */
static uint64_t shown_ino(struct live_fs *fs, const struct gofer_attr *a)
{
    unsigned i;

    if (a->dev == fs->dev)
        return a->ino;
    LOCK_SCOPE(&fs->lock);
    for (i = 0; i < fs->ndevs && fs->devs[i] != a->dev; i++)
        ;
    if (i == fs->ndevs && fs->ndevs < ARRAY_SIZE(fs->devs))
        fs->devs[fs->ndevs++] = a->dev;
    return a->ino ^ (uint64_t)(i + 1) << 60;
}

static struct inode *new_inode(struct live_fs *fs, const struct gofer_attr *a)
{
    struct live_inode *li = kzalloc(sizeof *li);
    const struct inode_ops *ops = &live_other_iops;
    const struct file_ops *fops = NULL;
    struct inode *i;

    if (!li)
        return NULL;
    if (S_ISDIR(a->mode))
        ops = &live_dir_iops, fops = &live_dir_fops;
    else if (S_ISREG(a->mode))
        ops = &live_file_iops, fops = &live_file_fops;
    else if (S_ISLNK(a->mode))
        ops = &live_link_iops;
    list_init(&li->handles);
    list_init(&li->owners);
    li->hdev = a->dev;
    li->hino = a->ino;
    li->btime_s = a->btime_s;
    li->btime_ns = a->btime_ns;
    i = inode_new(fs->sb, ops, fops, a->mode, shown_ino(fs, a));
    if (i)
        i->priv = li;
    else
        kfree(li);
    return i;
}

int live_named(struct inode *i, struct inode *dir, const char *name, size_t len)
{
    struct live_fs *fs = live_fs_of(i);
    struct live_inode *li = live_of(i);
    struct inode *old = NULL;
    char *copy, *oldname = NULL;

    lock(&fs->lock);
    bool known = li->parent == dir && li->name && strlen(li->name) == len &&
                 memcmp(li->name, name, len) == 0;
    unlock(&fs->lock);
    if (known)
        return 0;
    copy = kzalloc(len + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, name, len);
    inode_ref(dir);
    lock(&fs->lock);
    old = li->parent;
    oldname = li->name;
    li->parent = dir;
    li->name = copy;
    unlock(&fs->lock);
    kfree(oldname);
    inode_put(old);
    return 0;
}

int live_inode_get(struct inode *dir, const char *name, size_t len, const struct gofer_attr *a,
                   uint64_t node, struct inode **ret)
{
    struct live_fs *fs = live_fs_of(dir);
    struct inode *i = inode_find(fs->sb, shown_ino(fs, a));
    int r = -ENOMEM;

    if (i && !live_same(i, a)) { /* the host has given the number to another file */
        inode_leave(i);
        inode_put(i);
        i = NULL;
    }
    if (!i) {
        i = new_inode(fs, a);
        i = i ? inode_enter(i) : NULL;
    }
    if (i)
        r = live_named(i, dir, name, len);
    if (r == 0) {
        live_fill(i, a);
        lock(&fs->lock);
        if (node && !live_of(i)->node && S_ISDIR(i->mode)) {
            live_of(i)->node = node;
            node = 0;
        }
        unlock(&fs->lock);
        *ret = i;
    } else if (i) {
        inode_put(i);
    }
    gofer_forget(fs->g, node);
    return r;
}

static int live_statfs(struct task *t, struct super *sb, struct lx_statfs *ret)
{
    struct live_fs *fs = sb->priv;
    struct live_addr *a = live_addr(dentry_inode(sb->root), NULL, 0);
    struct gofer_statfs st;

    (void)t;
    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    int r = gofer_statfs(fs->g, a->node, a->path, &st);
    gofer_trip_end();
    live_addr_put(dentry_inode(sb->root), a);
    if (r < 0)
        return r;
    *ret = statfs_told(sb, &st);
    return 0;
}

static int live_sync(struct task *t, struct super *sb)
{
    struct live_fs *fs = sb->priv;
    struct live_addr *a = live_addr(dentry_inode(sb->root), NULL, 0);

    (void)t;
    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    int r = gofer_sync(fs->g, a->node, a->path, /* whole= */ true);
    gofer_trip_end();
    live_addr_put(dentry_inode(sb->root), a);
    return r;
}

static void live_evict(struct inode *i)
{
    struct live_fs *fs = live_fs_of(i);
    struct live_inode *li = live_of(i);

    if (!li)
        return;
    if (li->made)
        live_handle_put(fs, li->made);
    live_owners_free(fs, li);
    if (li->parent) /* the root's is the mount's */
        gofer_forget(fs->g, li->node);
    inode_put(li->parent);
    kfree(li->name);
    kfree(li);
}

static void live_put_super(struct super *sb)
{
    struct live_fs *fs = sb->priv;

    if (!fs)
        return;
    gofer_client_put(fs->g);
    lock_done(&fs->lock);
    kfree(fs);
}

static const struct super_ops live_super_ops = {
    .revalidate = live_revalidate,
    .statfs = live_statfs,
    .sync = live_sync,
    .lock = live_lock,
    .lock_test = live_lock_test,
    .lock_gone = live_lock_gone,
    .host_events = true,
    .evict = live_evict,
    .put_super = live_put_super,
};

/* The root is a directory, or in it (which itself is not shown) the one file. */
static struct inode *root_inode(struct live_fs *fs, const struct gofer_node_reply *root,
                                const char *file)
{
    struct gofer_attr attr = root->attr;
    struct inode *dir, *i;
    int r;

    if (file)
        attr = (struct gofer_attr){ .dev = root->attr.dev, .mode = S_IFDIR };
    dir = new_inode(fs, &attr);
    if (!dir)
        return NULL;
    live_of(dir)->node = root->node;
    live_fill(dir, &attr);
    if (!file)
        return inode_enter(dir);
    r = live_lookup(NULL, dir, file, strlen(file), &i);
    inode_put(dir);
    return r < 0 ? NULL : i;
}

struct super *live_fs_new(unsigned export_id, const char *file)
{
    struct gofer *g = container_here()->shared;
    struct gofer_node_reply root;
    struct inode *i;

    if (!g || gofer_root(g, export_id, &root, NULL) < 0)
        return NULL;
    struct super *sb = super_new("live", &live_super_ops, LIVE_MAGIC);
    if (!sb)
        return NULL;
    struct live_fs *fs = kzalloc(sizeof *fs);
    if (!fs)
        goto fail;
    sb->priv = fs;
    fs->g = gofer_client_ref(g);
    fs->sb = sb;
    fs->dev = root.attr.dev;
    lock_init(&fs->lock, LOCK_LEAF);
    i = root_inode(fs, &root, file);
    if (!i)
        goto fail;
    sb->root = dentry_make_root(sb, i);
    if (sb->root)
        return sb;
fail:
    super_put(sb);
    return NULL;
}
