/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devpts: /dev/pts with ptmx and a node for each pair whose master is open. There is one instance for a
 * container, which every mount of it shows.
 *
 * A table of numbers is guarded by a leaf lock and holds no references: a pair is taken out when
 * its master is closed, before its own reference goes. A node's inode holds a reference to its pair
 * until the inode is evicted, the pair one to the inode until its master is closed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sentry/fs/tty/tty_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

#define PTY_MAX 4096 /* /proc/sys/kernel/pty/max */
#define TTY_GID 5
#define DEVPTS_MAGIC 0x1cd1
#define INO_PTMX 2
#define INO_FIRST 3

static struct lock table_lock;

struct devpts {                 /* super->priv */
    struct tty *table[PTY_MAX]; /* table_lock */
};

static struct devpts *pts_of(const struct super *sb)
{
    return sb->priv;
}

__attribute__((constructor)) static void devpts_start(void)
{
    lock_init(&table_lock, LOCK_LEAF);
}

static const struct inode_ops node_ops = { .open = tty_chrdev_open };

/* The number that name spells; -1. */
static int index_of(const char *name, size_t len)
{
    int n = 0;
    if (len == 0 || len > 4 || (name[0] == '0' && len > 1))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        n = n * 10 + (name[i] - '0');
    }
    return n < PTY_MAX ? n : -1;
}

static int devpts_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                         struct inode **ret)
{
    const struct devpts *p = pts_of(dir->sb);
    (void)t;
    if (len == 4 && memcmp(name, "ptmx", 4) == 0) {
        struct inode *i = inode_new(dir->sb, &node_ops, NULL, S_IFCHR | 0666, INO_PTMX);
        if (!i)
            return -ENOMEM;
        i->rdev = makedev(5, 2);
        *ret = inode_enter(i);
        return 0;
    }
    int n = index_of(name, len);
    if (n < 0)
        return -ENOENT;
    LOCK_SCOPE(&table_lock);
    if (!p->table[n] || !p->table[n]->inode)
        return -ENOENT;
    *ret = inode_ref(p->table[n]->inode);
    return 0;
}

static bool emit(struct dirent_sink *s, struct file *f, const char *name, uint64_t ino,
                 unsigned dtype, loff_t next)
{
    if (!s->emit(s, name, strlen(name), ino, dtype, next))
        return false;
    f->pos = next;
    return true;
}

static int devpts_readdir(struct task *t, struct file *f, struct dirent_sink *s)
{
    (void)t;
    if (f->pos == 0 && !emit(s, f, ".", f->inode->ino, DT_DIR, 1))
        return 0;
    if (f->pos == 1 && !emit(s, f, "..", f->inode->ino, DT_DIR, 2))
        return 0;
    if (f->pos == 2 && !emit(s, f, "ptmx", INO_PTMX, DT_CHR, 3))
        return 0;
    for (int n = (int)(f->pos - 3); n >= 0 && n < PTY_MAX; n++) {
        char name[8];
        lock(&table_lock);
        bool there = pts_of(f->inode->sb)->table[n];
        unlock(&table_lock);
        snprintf(name, sizeof name, "%d", n);
        if (there && !emit(s, f, name, (uint64_t)n + INO_FIRST, DT_CHR, n + 4))
            return 0;
    }
    return 0;
}

static const struct inode_ops dir_ops = { .lookup = devpts_lookup };
static const struct file_ops dir_fops = {
    .name = "devpts",
    .readdir = devpts_readdir,
    .llseek = vfs_dir_llseek,
};

/* A number is used again by another pair: the cached name must not show the old one. */
static int devpts_revalidate(struct task *t, struct dentry *d)
{
    (void)t;
    struct inode *i = dentry_inode(d);
    struct tty *tty = i ? i->priv : NULL;
    if (!tty)
        return i != NULL;
    LOCK_SCOPE(&table_lock);
    return pts_of(d->sb)->table[tty->index] == tty;
}

static void devpts_evict(struct inode *i)
{
    tty_put(i->priv);
}

static void devpts_put_super(struct super *sb)
{
    kfree(sb->priv);
}

static const struct super_ops devpts_ops = {
    .evict = devpts_evict,
    .put_super = devpts_put_super,
    .revalidate = devpts_revalidate,
    .no_negative_cache = true,
};

static struct super *make_super(void)
{
    struct super *sb = super_new("devpts", &devpts_ops, DEVPTS_MAGIC);
    struct devpts *p = sb ? kzalloc(sizeof *p) : NULL;
    struct inode *root = p ? inode_new(sb, &dir_ops, &dir_fops, S_IFDIR | 0755, 1) : NULL;
    if (sb)
        sb->priv = p;
    if (root)
        root->nlink = 2;
    if (root && dentry_make_root(sb, root))
        return sb;
    inode_put(root);
    super_put(sb);
    return NULL;
}

/* A reference to that of container c, made when it is first asked for. */
static struct super *of_container(struct container *c)
{
    lock(&table_lock);
    struct super *sb = c->devpts ? super_ref(c->devpts) : NULL, *mine;
    unlock(&table_lock);
    if (sb)
        return sb;
    mine = make_super();
    if (!mine)
        return NULL;
    lock(&table_lock);
    if (!c->devpts) {
        c->devpts = mine;
        mine = NULL;
    }
    sb = super_ref(c->devpts);
    unlock(&table_lock);
    super_put(mine);
    return sb;
}

struct super *devpts_new(void)
{
    return of_container(container_here());
}

static int take_number(struct devpts *p, struct tty *tty)
{
    LOCK_SCOPE(&table_lock);
    for (int n = 0; n < PTY_MAX; n++) {
        if (!p->table[n]) {
            p->table[n] = tty;
            tty->index = n;
            return 0;
        }
    }
    return -ENOSPC;
}

int devpts_add(struct task *t, struct tty *tty)
{
    struct super *sb = of_container(t ? t->group->container : container_here());
    if (!sb)
        return -ENOMEM;
    int r = take_number(pts_of(sb), tty);
    if (r) {
        super_put(sb);
        return r;
    }
    struct inode *i = inode_new(sb, &node_ops, NULL, S_IFCHR | 0620,
                                (uint64_t)tty->index + INO_FIRST);
    if (!i) {
        lock(&table_lock);
        pts_of(sb)->table[tty->index] = NULL;
        unlock(&table_lock);
        super_put(sb);
        return -ENOMEM;
    }
    i->rdev = makedev(136, (unsigned)tty->index);
    i->uid = t ? t->cred->fsuid : 0;
    i->gid = TTY_GID;
    i->priv = tty_ref(tty);
    lock(&table_lock);
    tty->inode = i; /* and by it all of sb that is needed */
    tty->devpts = sb;
    unlock(&table_lock);
    super_put(sb);
    return 0;
}

void devpts_remove(struct tty *tty)
{
    lock(&table_lock);
    struct inode *i = tty->inode;
    if (i)
        pts_of(i->sb)->table[tty->index] = NULL;
    tty->inode = NULL;
    unlock(&table_lock);
    if (!i)
        return;
    char name[8];
    snprintf(name, sizeof name, "%d", tty->index);
    struct dentry *root = i->sb->root; /* NULL: its container has ended */
    struct dentry *d = root ? dentry_cached(root, name, strlen(name)) : NULL;
    if (d) {
        if (dentry_inode(d) == i)
            dentry_drop(d);
        dentry_put(d);
    }
    inode_put(i);
}

struct found {
    const struct super *sb;
    struct mount *m;
};

static int find_mount(struct mount *m, void *arg)
{
    struct found *f = arg;
    if (m->sb != f->sb)
        return 0;
    f->m = mount_ref(m);
    return 1;
}

struct file *devpts_open_slave(struct task *t, struct tty *tty, unsigned flags)
{
    struct found where = { .sb = tty->devpts };
    char name[8];
    vfs_each_mount(find_mount, &where);
    struct mount *m = where.m;
    if (!m)
        return ERR_PTR(-ENOENT);
    snprintf(name, sizeof name, "%d", tty->index);
    struct dentry *d = vfs_lookup(t, m->root, name, strlen(name));
    if (IS_ERR(d)) {
        mount_put(m);
        return (struct file *)d;
    }
    struct path p = { m, d };
    struct file *f = dentry_inode(d) ? vfs_open_inode(t, &p, flags) : ERR_PTR(-EIO);
    path_put(&p);
    return f;
}
