/* SPDX-License-Identifier: Apache-2.0 */
/* An image as the VFS sees it: superblock, inodes, names. See image.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "abi/stat.h"
#include "sentry/fs/image/image.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/vfs/xattr.h"

#define BLOCK 512

static int image_statfs(struct task *t, struct super *sb, struct lx_statfs *ret)
{
    const struct image *im = image_of(sb);

    (void)t;
    *ret = (struct lx_statfs){
        .f_type = (int64_t)sb->magic,
        .f_bsize = im->block_size,
        .f_frsize = im->block_size,
        .f_blocks = im->nblocks,
        .f_files = im->files,
        .f_ffree = im->files_free,
        .f_fsid = { (int32_t)sb->dev, 0 },
        .f_namelen = IMAGE_NAME_MAX,
    };
    return 0;
}

static void node_free(struct image_node *n)
{
    if (!n)
        return;
    file_put(atomic_load(&n->copy));
    kfree(atomic_load(&n->table));
    kfree(n);
}

static void image_evict(struct inode *i)
{
    node_free(i->priv);
}

static void image_put_super(struct super *sb)
{
    struct image *im = sb->priv;

    if (!im)
        return;
    im->ops->unmount(im);
    image_done(im);
    kfree(im);
}

static const struct super_ops image_super_ops = {
    .statfs = image_statfs,
    .evict = image_evict,
    .put_super = image_put_super,
};

/* ---- inodes ---- */

static int image_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                        struct inode **ret);

static int image_readlink(struct task *t, struct inode *i, char *buf, size_t cap)
{
    size_t n = MIN(i->size, cap);
    int r = image_read_node(image_of(i->sb), i->priv, 0, buf, n);

    (void)t;
    if (r < 0)
        return r;
    return memchr(buf, 0, n) ? -EUCLEAN : (int)n;
}

static ssize_t get_xattr(struct task *t, struct inode *i, const char *name, void *buf, size_t n)
{
    (void)t;
    return simple_xattr_get(i, name, buf, n);
}

static ssize_t list_xattrs(struct task *t, struct inode *i, char *buf, size_t n)
{
    (void)t;
    return simple_xattr_list(i, buf, n);
}

#define COMMON .getxattr = get_xattr, .listxattr = list_xattrs
static const struct inode_ops dir_iops = { .lookup = image_lookup, COMMON };
static const struct inode_ops link_iops = { .readlink = image_readlink, COMMON };
static const struct inode_ops other_iops = { COMMON };

static int take_xattr(void *arg, const char *name, const void *value, size_t len)
{
    return simple_xattr_set(arg, name, value, len, 0);
}

static bool valid(const struct image_attr *a)
{
    switch (a->mode & S_IFMT) {
    case S_IFLNK:
        return a->size > 0 && a->size <= IMAGE_LINK_MAX;
    case S_IFREG:
        return a->size <= INT64_MAX;
    case S_IFDIR:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        return true;
    default:
        return false;
    }
}

static void set_attr(struct inode *i, const struct image_attr *a)
{
    i->uid = a->uid;
    i->gid = a->gid;
    i->nlink = a->nlink ? a->nlink : 1;
    i->size = a->size;
    i->blocks = a->blocks;
    i->rdev = S_ISCHR(a->mode) || S_ISBLK(a->mode) ? a->rdev : 0;
    i->mtime = (struct timespec){ a->mtime, (long)a->mtime_nsec };
    i->atime = i->ctime = i->btime = i->mtime;
}

/* Takes over n. */
static int inode_of(struct super *sb, const struct image_attr *a, struct image_node *n,
                    struct inode **ret)
{
    struct image *im = image_of(sb);
    const struct inode_ops *ops = S_ISDIR(a->mode)   ? &dir_iops
                                  : S_ISLNK(a->mode) ? &link_iops
                                                     : &other_iops;
    const struct file_ops *fops = S_ISDIR(a->mode)   ? &image_dir_fops
                                  : S_ISREG(a->mode) ? &image_file_fops
                                                     : NULL;
    struct inode *i = inode_new(sb, ops, fops, a->mode, a->ino);
    int r;

    if (!i) {
        node_free(n);
        return -ENOMEM;
    }
    i->priv = n;
    set_attr(i, a);
    r = n->xattr_count ? im->ops->xattrs(im, n, take_xattr, i) : 0;
    if (r < 0) {
        inode_put(i);
        return r;
    }
    *ret = inode_enter(i);
    return 0;
}

static int get_inode(struct super *sb, uint64_t ref, struct inode **ret)
{
    struct image *im = image_of(sb);
    struct image_node *n = kzalloc(sizeof *n);
    struct image_attr a = {};
    struct inode *i;
    int r = n ? im->ops->read_node(im, ref, &a, n) : -ENOMEM;

    if (r == 0 && (!valid(&a) || a.mtime_nsec >= 1000000000))
        r = -EUCLEAN;
    if (r < 0) {
        node_free(n);
        return r;
    }
    n->ref = ref;
    n->size = a.size;
    i = inode_find(sb, a.ino);
    if (!i)
        return inode_of(sb, &a, n, ret);
    /* The same once more, by another name; or another with its number, which an image must not have. */
    r = ((struct image_node *)i->priv)->ref == ref ? 0 : -EUCLEAN;
    node_free(n);
    if (r < 0) {
        inode_put(i);
        return r;
    }
    *ret = i;
    return 0;
}

static int image_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                        struct inode **ret)
{
    struct image *im = image_of(dir->sb);
    uint64_t ref;
    int r;

    (void)t;
    if (len > IMAGE_NAME_MAX)
        return -ENAMETOOLONG;
    r = im->ops->find(im, dir->priv, name, len, &ref);
    if (r == 0)
        r = get_inode(dir->sb, ref, ret);
    if (r == 0 && *ret == dir) { /* a directory in itself */
        inode_put(*ret);
        r = -EUCLEAN;
    }
    return r == -ENOENT || r == -ENOMEM || r == -EIO ? r : r < 0 ? -EUCLEAN : 0;
}

/* ---- mounting ---- */

static const struct image_ops *const formats[] = { &squashfs_ops, &erofs_ops };

static const struct image_ops *format(const char *type)
{
    for (size_t k = 0; k < ARRAY_SIZE(formats); k++)
        if (!strcmp(formats[k]->type, type))
            return formats[k];
    return NULL;
}

static const char *type_of(struct file *f)
{
    uint8_t head[1028] = { 0 };

    if (vfs_read_kernel(NULL, f, head, sizeof head, 0) < (ssize_t)sizeof head)
        return NULL;
    if (le32(head) == squashfs_ops.magic)
        return squashfs_ops.type;
    return le32(head + 1024) == erofs_ops.magic ? erofs_ops.type : NULL;
}

static int open_image(struct super *sb, struct image *im, struct file *f)
{
    struct kstat st;
    struct inode *root = NULL;
    int r = inode_getattr(NULL, f->inode, &st);

    if (r < 0)
        return r;
    im->size = st.size;
    r = im->ops->mount(im);
    if (r == 0)
        r = get_inode(sb, im->root, &root);
    if (r < 0 || !root)
        return r < 0 ? r : -EUCLEAN;
    if (S_ISDIR(root->mode) && dentry_make_root(sb, root))
        return 0;
    r = S_ISDIR(root->mode) ? -ENOMEM : -EUCLEAN;
    inode_put(root);
    return r;
}

struct super *image_new(const char *type, struct file *f)
{
    const struct image_ops *ops = format(type);
    struct super *sb = NULL;
    struct image *im = NULL;
    int r = !ops ? -ENODEV : !S_ISREG(f->inode->mode) ? -ENOTBLK : -ENOMEM;

    if (r == -ENOMEM && f->inode->sb->depth >= IMAGE_DEPTH)
        r = -EINVAL;
    if (r == -ENOMEM) {
        sb = super_new(type, &image_super_ops, ops->magic);
        im = kzalloc(sizeof *im);
    }
    if (!sb || !im) {
        kfree(sb);
        kfree(im);
        file_put(f);
        return ERR_PTR(r);
    }
    image_init(im, ops);
    im->file = f;
    sb->priv = im;
    sb->readonly = sb->stable = true;
    sb->depth = f->inode->sb->depth + 1;
    r = open_image(sb, im, f);
    if (r == 0)
        return sb;
    super_put(sb);
    return ERR_PTR(r);
}

struct super *image_of_file(struct file *f, struct super *under)
{
    const char *type = type_of(f);
    struct super *sb = ERR_PTR(-ENODEV);

    if (type)
        sb = image_new(type, f);
    else
        file_put(f);
    if (IS_ERR(sb))
        super_put(under);
    else
        image_of(sb)->under = under;
    return sb;
}
