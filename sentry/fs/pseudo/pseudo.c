/* SPDX-License-Identifier: Apache-2.0 */
/* Inodes and directories of table-described file systems. See pseudo.h. */
#include "sentry/fs/pseudo/pseudo.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/stat.h"
#include "sentry/fs/pseudo/pseudo_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"

struct pinode {
    const struct pnode *node;
    struct pobj obj;
};

struct pobj pobj_ref(const struct pobj *o)
{
    struct pobj n = *o;

    if (n.group)
        tgroup_ref(n.group);
    if (n.task)
        task_ref(n.task);
    return n;
}

void pobj_put(struct pobj *o)
{
    if (o->task)
        task_put(o->task);
    if (o->group)
        tgroup_put(o->group);
    *o = (struct pobj){ .num = 0 };
}

const struct pnode *pnode_of(const struct inode *i)
{
    return ((const struct pinode *)i->priv)->node;
}

const struct pobj *pobj_of(const struct inode *i)
{
    return &((const struct pinode *)i->priv)->obj;
}

struct pseudo_super {
    const struct pseudo_fs *fs;
    struct pnode root;
};

static const struct pseudo_fs *fs_of(const struct inode *i)
{
    return ((const struct pseudo_super *)i->sb->priv)->fs;
}

static void set_owner(struct inode *i)
{
    uint32_t uid = 0, gid = 0;

    if (fs_of(i)->owner)
        fs_of(i)->owner(pobj_of(i), &uid, &gid);
    LOCK_SCOPE(&i->lock);
    i->uid = uid;
    i->gid = gid;
}

/* Numbers follow from the place in the tree, so that a file has the same one each time. */
static uint64_t child_ino(const struct inode *dir, uint64_t index)
{
    uint64_t h = (dir->ino * 0x100000001b3ull ^ (index + 1)) * 0x9e3779b97f4a7c15ull;

    return (h >> 32 | 0x80000000u) & 0xffffffffu;
}

/* Of the child with that number. */
static uint64_t numbered_ino(const struct inode *dir, int64_t num)
{
    const struct pdir *d = pnode_of(dir)->dir;
    uint64_t salt = d->salt ? d->salt(pobj_of(dir), num) : 0;

    return child_ino(dir, d->nnodes + (uint64_t)num + (salt << 24));
}

static const struct inode_ops file_iops, dir_iops, link_iops, magic_iops;

static unsigned count_dirs(const struct pdir *d)
{
    unsigned n = 0;

    for (unsigned k = 0; k < d->nnodes; k++)
        n += S_ISDIR(d->nodes[k].mode);
    return n;
}

/* Takes over obj. */
static struct inode *make_inode(struct super *sb, const struct pnode *node, struct pobj obj,
                                uint64_t ino)
{
    struct pinode *p = kzalloc(sizeof *p);
    const struct inode_ops *ops = &file_iops;
    const struct file_ops *fops = node->fops ? node->fops : &pseudo_file_ops;
    struct inode *i;

    if (S_ISDIR(node->mode))
        ops = &dir_iops, fops = &pseudo_dir_ops;
    else if (S_ISLNK(node->mode))
        ops = node->follow ? &magic_iops : &link_iops, fops = NULL;
    i = p ? inode_new(sb, ops, fops, node->mode, ino) : NULL;
    if (!i) {
        kfree(p);
        pobj_put(&obj);
        return NULL;
    }
    p->node = node;
    p->obj = obj;
    i->priv = p;
    if (S_ISDIR(node->mode))
        i->nlink = 2 + count_dirs(node->dir);
    else if (S_ISREG(node->mode))
        i->size = fs_of(i)->file_size;
    set_owner(i);
    return i;
}

static const struct pnode *find_node(const struct pdir *d, const char *name, size_t len,
                                     unsigned *ret_index)
{
    for (unsigned k = 0; k < d->nnodes; k++)
        if (!strncmp(d->nodes[k].name, name, len) && !d->nodes[k].name[len]) {
            *ret_index = k;
            return &d->nodes[k];
        }
    return NULL;
}

/* prefix and a number without a sign or zeros before it; -1 when it is none. */
static int64_t child_number(const struct pdir *d, const char *name, size_t len)
{
    size_t skip = d->prefix ? strlen(d->prefix) : 0;
    int64_t v = 0;

    if (len <= skip || len - skip > 10 || (skip && strncmp(name, d->prefix, skip) != 0) ||
        (name[skip] == '0' && len > skip + 1))
        return -1;
    for (size_t k = skip; k < len; k++) {
        if (name[k] < '0' || name[k] > '9')
            return -1;
        v = v * 10 + (name[k] - '0');
    }
    return v;
}

static int dir_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                      struct inode **ret)
{
    const struct pdir *d = pnode_of(dir)->dir;
    const struct pobj *o = pobj_of(dir);
    const struct pnode *node;
    struct pobj obj;
    int64_t num = -1;
    unsigned index;
    int r = d->may_list ? d->may_list(t, o) : 0;

    if (r < 0)
        return r;
    node = find_node(d, name, len, &index);
    if (node) {
        obj = pobj_ref(o);
    } else {
        num = !d->child ? -1 : d->find ? d->find(name, len) : child_number(d, name, len);
        if (num < 0)
            return -ENOENT;
        obj = (struct pobj){ .num = num, .ns = o->ns };
        r = d->object(t, o, num, &obj);
        if (r < 0)
            return r;
        node = d->child;
        index = d->nnodes + (unsigned)num;
    }
    uint32_t bits = index >= d->nnodes && d->child_mode ? d->child_mode(&obj) : node->mode & 07777;
    *ret = make_inode(dir->sb, node, obj, num < 0 ? child_ino(dir, index) : numbered_ino(dir, num));
    if (!*ret)
        return -ENOMEM;
    (*ret)->mode = (node->mode & S_IFMT) | bits;
    return 0;
}

static int dir_readdir(struct task *t, struct file *f, struct dirent_sink *sink)
{
    struct inode *dir = f->inode;
    const struct pdir *d = pnode_of(dir)->dir;
    const struct pobj *o = pobj_of(dir);
    loff_t base = 2 + d->nnodes;
    int r = d->may_list ? d->may_list(t, o) : 0;

    if (r < 0)
        return r;
    if (fs_of(dir)->alive && !fs_of(dir)->alive(o))
        return -ENOENT;
    for (; f->pos < base; f->pos++) {
        unsigned k = (unsigned)f->pos - 2;
        const char *name = f->pos == 0 ? "." : f->pos == 1 ? ".." : d->nodes[k].name;
        uint32_t mode = f->pos < 2 ? S_IFDIR : d->nodes[k].mode;
        uint64_t ino = f->pos < 2 ? dir->ino : child_ino(dir, k);
        if (!sink->emit(sink, name, strlen(name), ino, IFTODT(mode), f->pos + 1))
            return 0;
    }
    while (d->child) {
        char name[32];
        int64_t num = d->next(t, o, f->pos - base);
        if (num < 0)
            break;
        if (d->name)
            d->name(num, name, sizeof name);
        else
            snprintf(name, sizeof name, "%s%ld", d->prefix ? d->prefix : "", (long)num);
        if (!sink->emit(sink, name, strlen(name), numbered_ino(dir, num), IFTODT(d->child->mode),
                        base + num + 1))
            break;
        f->pos = base + num + 1;
    }
    return 0;
}

const struct file_ops pseudo_dir_ops = {
    .name = "pseudo directory",
    .readdir = dir_readdir,
    .llseek = vfs_dir_llseek,
};

static int link_readlink(struct task *t, struct inode *i, char *buf, size_t cap)
{
    return (int)pnode_of(i)->readlink(t, pobj_of(i), buf, cap);
}

static int link_follow(struct task *t, struct inode *i, struct path *ret)
{
    return pnode_of(i)->follow(t, pobj_of(i), ret);
}

static int node_open(struct task *t, struct inode *i, struct file *f)
{
    const struct pnode *n = pnode_of(i);

    if (n->may_open && t) {
        int r = n->may_open(t, pobj_of(i));
        if (r < 0)
            return r;
    }
    return n->fops ? 0 : pseudo_file_open(f);
}

/* Programs truncate what they write to (echo > file): that means nothing here. */
static int node_setattr(struct task *t, struct inode *i, const struct setattr *a)
{
    (void)t, (void)i;
    return a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID) ? -EPERM : 0;
}

static int node_getattr(struct task *t, struct inode *i, struct kstat *ret)
{
    (void)t;
    set_owner(i);
    inode_fill_stat(i, ret);
    ret->blksize = fs_of(i)->file_size ? 4096 : 1024;
    return 0;
}

static const struct inode_ops file_iops = {
    .open = node_open,
    .setattr = node_setattr,
    .getattr = node_getattr,
};
static const struct inode_ops dir_iops = {
    .lookup = dir_lookup,
    .setattr = node_setattr,
    .getattr = node_getattr,
};
static const struct inode_ops link_iops = {
    .readlink = link_readlink,
    .setattr = node_setattr,
    .getattr = node_getattr,
};
static const struct inode_ops magic_iops = {
    .readlink = link_readlink,
    .follow = link_follow,
    .setattr = node_setattr,
    .getattr = node_getattr,
};

/* ---- the superblock ---- */

static void evict(struct inode *i)
{
    struct pinode *p = i->priv;

    if (!p)
        return;
    pobj_put(&p->obj);
    kfree(p);
}

static int revalidate(struct task *t, struct dentry *d)
{
    struct inode *i = dentry_inode(d);

    (void)t;
    if (!i)
        return 0;
    if (fs_of(i)->alive && !fs_of(i)->alive(pobj_of(i)))
        return 0;
    set_owner(i);
    return 1;
}

static int pseudo_statfs(struct task *t, struct super *sb, struct lx_statfs *ret)
{
    (void)t;
    *ret = (struct lx_statfs){
        .f_type = (int64_t)sb->magic, .f_bsize = 4096, .f_frsize = 4096, .f_namelen = 255
    };
    return 0;
}

static void put_super(struct super *sb)
{
    kfree(sb->priv);
}

static const struct super_ops pseudo_super_ops = {
    .statfs = pseudo_statfs,
    .evict = evict,
    .revalidate = revalidate,
    .put_super = put_super,
    .no_negative_cache = true,
};

struct super *pseudo_super_of(const struct pseudo_fs *fs, uint32_t ns)
{
    struct super *sb = super_new(fs->type, &pseudo_super_ops, fs->magic);
    struct pseudo_super *p = sb ? kzalloc(sizeof *p) : NULL;
    struct inode *root = NULL;

    if (p) {
        p->fs = fs;
        p->root = (struct pnode){ .name = "/", .mode = S_IFDIR | 0555, .dir = fs->root };
        sb->priv = p;
        root = make_inode(sb, &p->root, (struct pobj){ .ns = ns }, 1);
    }
    if (root && dentry_make_root(sb, root))
        return sb;
    inode_put(root);
    super_put(sb);
    return NULL;
}

struct super *pseudo_super_new(const struct pseudo_fs *fs)
{
    return pseudo_super_of(fs, 0);
}
