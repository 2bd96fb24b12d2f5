/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devpts: /dev/pts with ptmx and a node for each pair whose master is open. There is one instance,
 * which every mount shows.
 *
 * The table of numbers is guarded by a leaf lock and holds no references: a pair is taken out when
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
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

#define PTY_MAX 4096 /* /proc/sys/kernel/pty/max */
#define TTY_GID 5
#define DEVPTS_MAGIC 0x1cd1
#define INO_PTMX 2
#define INO_FIRST 3

static struct lock table_lock;
static struct tty *table[PTY_MAX]; /* table_lock */
static struct super *devpts;       /* made once, kept for ever */
static struct inode *ptmx_inode;

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
    (void)t;
    (void)dir;
    if (len == 4 && memcmp(name, "ptmx", 4) == 0) {
        *ret = inode_ref(ptmx_inode);
        return 0;
    }
    int n = index_of(name, len);
    if (n < 0)
        return -ENOENT;
    LOCK_SCOPE(&table_lock);
    if (!table[n] || !table[n]->inode)
        return -ENOENT;
    *ret = inode_ref(table[n]->inode);
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
        bool there = table[n];
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
    return table[tty->index] == tty;
}

static void devpts_evict(struct inode *i)
{
    tty_put(i->priv);
}

static const struct super_ops devpts_ops = {
    .evict = devpts_evict,
    .revalidate = devpts_revalidate,
    .no_negative_cache = true,
};

struct super *devpts_new(void)
{
    if (!devpts) {
        struct super *sb = super_new("devpts", &devpts_ops, DEVPTS_MAGIC);
        struct inode *root = sb ? inode_new(sb, &dir_ops, &dir_fops, S_IFDIR | 0755, 1) : NULL;
        ptmx_inode = root ? inode_new(sb, &node_ops, NULL, S_IFCHR | 0666, INO_PTMX) : NULL;
        if (!ptmx_inode)
            return NULL; /* start-up ends here */
        ptmx_inode->rdev = makedev(5, 2);
        root->nlink = 2;
        sb->root = dentry_make_root(sb, root);
        devpts = sb;
    }
    return super_ref(devpts);
}

static int take_number(struct tty *tty)
{
    LOCK_SCOPE(&table_lock);
    for (int n = 0; n < PTY_MAX; n++) {
        if (!table[n]) {
            table[n] = tty;
            tty->index = n;
            return 0;
        }
    }
    return -ENOSPC;
}

int devpts_add(struct task *t, struct tty *tty)
{
    if (!devpts)
        super_put(devpts_new());
    if (!devpts)
        return -ENOMEM;
    int r = take_number(tty);
    if (r)
        return r;
    struct inode *i = inode_new(devpts, &node_ops, NULL, S_IFCHR | 0620,
                                (uint64_t)tty->index + INO_FIRST);
    if (!i) {
        lock(&table_lock);
        table[tty->index] = NULL;
        unlock(&table_lock);
        return -ENOMEM;
    }
    i->rdev = makedev(136, (unsigned)tty->index);
    i->uid = t ? t->cred->fsuid : 0;
    i->gid = TTY_GID;
    i->priv = tty_ref(tty);
    lock(&table_lock);
    tty->inode = i;
    unlock(&table_lock);
    return 0;
}

void devpts_remove(struct tty *tty)
{
    lock(&table_lock);
    struct inode *i = tty->inode;
    if (table[tty->index] == tty)
        table[tty->index] = NULL;
    tty->inode = NULL;
    unlock(&table_lock);
    if (!i)
        return;
    char name[8];
    snprintf(name, sizeof name, "%d", tty->index);
    struct dentry *d = dentry_cached(devpts->root, name, strlen(name));
    if (d) {
        if (dentry_inode(d) == i)
            dentry_drop(d);
        dentry_put(d);
    }
    inode_put(i);
}

static int find_mount(struct mount *m, void *arg)
{
    struct mount **ret = arg;
    if (m->sb != devpts)
        return 0;
    *ret = mount_ref(m);
    return 1;
}

struct file *devpts_open_slave(struct task *t, struct tty *tty, unsigned flags)
{
    struct mount *m = NULL;
    char name[8];
    vfs_each_mount(find_mount, &m);
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
