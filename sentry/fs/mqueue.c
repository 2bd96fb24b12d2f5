/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system of message queues: one directory in memory, whose files are queues. mq_open walks
 * it without being mounted; mounted (type mqueue) it is the same one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sentry/fs/mem/mem.h"
#include "sentry/ipc/mqueue.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/dcache.h"

#define MQUEUE_MAGIC 0x19800202
#define QUEUES_MAX 256
#define MSG_MAX_DEFAULT 10
#define SIZE_MAX_DEFAULT 8192
#define MSG_MAX_HARD 65536
#define SIZE_MAX_HARD (16 << 20)
#define SIZE_SHOWN 80 /* of each file, whatever is in it */
#define MSG_COST 96   /* what Linux counts for a message beside its bytes */

static struct {
    struct lock lock; /* LOCK_LEAF; guards what follows */
    struct list all;
    unsigned count;
} queues = { .lock = { .class = LOCK_LEAF }, .all = LIST_INIT(queues.all) };

static uint64_t charged_locked(uint32_t uid)
{
    struct mqueue *q;
    uint64_t n = 0;

    list_for_each(q, &queues.all, all)
        n += q->owner_uid == uid ? q->charged : 0;
    return n;
}

static int attr_ok(struct task *t, const struct lx_mq_attr *a)
{
    bool free = task_capable(t, CAP_SYS_RESOURCE);

    if (a->maxmsg <= 0 || a->msgsize <= 0 || a->maxmsg > (free ? MSG_MAX_HARD : MSG_MAX_DEFAULT) ||
        a->msgsize > (free ? SIZE_MAX_HARD : SIZE_MAX_DEFAULT))
        return -EINVAL;
    return 0;
}

/* Counts q in, or says why it cannot be. */
static int enter(struct task *t, struct mqueue *q)
{
    uint64_t limit = task_rlimit(t, RLIMIT_MSGQUEUE)->rlim_cur;

    LOCK_SCOPE(&queues.lock);
    if (queues.count >= QUEUES_MAX && !task_capable(t, CAP_SYS_RESOURCE))
        return -ENOSPC;
    q->owner_uid = t->cred->uid;
    q->charged = (uint64_t)q->maxmsg * (uint64_t)(q->msgsize + MSG_COST);
    if (charged_locked(q->owner_uid) + q->charged > limit)
        return -EMFILE;
    list_add_tail(&queues.all, &q->all);
    queues.count++;
    return 0;
}

void mqueue_evict(struct mqueue *q)
{
    lock(&queues.lock);
    list_del(&q->all);
    queues.count--;
    unlock(&queues.lock);
    mqueue_free(q);
}

/* ---- files ---- */

struct mqueue *mqueue_of(const struct file *f)
{
    return f->inode && S_ISREG(f->inode->mode) && f->inode->sb->magic == MQUEUE_MAGIC
               ? mem_node(f->inode)->mq
               : NULL;
}

static ssize_t mq_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    char text[80];
    size_t n = mqueue_text(mqueue_of(f), text, sizeof text);
    ssize_t r;

    (void)t;
    if (!pos || *pos < 0 || (uint64_t)*pos >= n)
        return 0;
    r = iter_put(it, text + *pos, MIN(n - (size_t)*pos, it->left));
    if (r > 0)
        *pos += r;
    return r;
}

static loff_t mq_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    return whence == SEEK_END ? -EINVAL : vfs_dir_llseek(t, f, off, whence);
}

static uint32_t mq_poll(struct file *f, struct poll_table *pt)
{
    return mqueue_poll(mqueue_of(f), pt);
}

static void mq_flush(struct task *t, struct file *f)
{
    if (t)
        mqueue_closed(mqueue_of(f), t->group);
}

static const struct file_ops mq_fops = {
    .name = "mqueue", .read = mq_read, .llseek = mq_llseek, .poll = mq_poll, .flush = mq_flush
};

/* ---- the directory ---- */

static int make_queue(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                      const struct lx_mq_attr *attr, struct inode **ret)
{
    static const struct lx_mq_attr usual = { .maxmsg = MSG_MAX_DEFAULT,
                                             .msgsize = SIZE_MAX_DEFAULT };
    struct mqueue *q = mqueue_new(attr ? attr : &usual);
    int r;

    if (!q)
        return -ENOMEM;
    r = enter(t, q);
    if (r < 0) {
        mqueue_free(q);
        return r;
    }
    r = mem_dir_ops.create(t, dir, d, mode, ret);
    if (r < 0) {
        mqueue_evict(q);
        return r;
    }
    mem_node(*ret)->mq = q;
    (*ret)->fops = &mq_fops;
    (*ret)->size = SIZE_SHOWN;
    return 0;
}

static int mq_create(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                     struct inode **ret)
{
    return make_queue(t, dir, d, mode, NULL, ret);
}

static struct inode_ops dir_ops; /* those of tmpfs, but for what makes files */

static struct super *new_super(void)
{
    struct super *sb = mem_super_new("mqueue", MQUEUE_MAGIC, 01777, 0, NULL, NULL);

    if (!sb)
        return NULL;
    dir_ops = mem_dir_ops;
    dir_ops.create = mq_create;
    dir_ops.mknod = NULL;
    dir_ops.mkdir = NULL;
    dir_ops.symlink = NULL;
    dir_ops.link = NULL;
    dir_ops.rename = NULL;
    dir_ops.tmpfile = NULL;
    dentry_inode(sb->root)->ops = &dir_ops;
    return sb;
}

struct super *mqueue_fs(void)
{
    static struct super *_Atomic made;
    static struct lock lock_made = { .class = LOCK_IPC }; /* a root is made under it */
    struct super *sb;

    LOCK_SCOPE(&lock_made);
    sb = atomic_load(&made);
    if (!sb) {
        sb = new_super();
        atomic_store(&made, sb);
    }
    return sb ? super_ref(sb) : NULL;
}

/* The name in the locked directory: a reference, perhaps negative. ERR_PTR. */
static struct dentry *find(struct task *t, struct super *sb, const char *name)
{
    size_t len = strlen(name);
    int r;

    if (len > 255)
        return ERR_PTR(-ENAMETOOLONG);
    if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return ERR_PTR(-EACCES);
    r = inode_permission(t, dentry_inode(sb->root), X_OK);
    return r < 0 ? ERR_PTR(r) : vfs_lookup(t, sb->root, name, len);
}

static int make_named(struct task *t, struct super *sb, struct dentry *d, unsigned flags,
                      uint32_t mode, const struct lx_mq_attr *attr)
{
    struct inode *dir = dentry_inode(sb->root), *i;
    int r;

    if (!(flags & O_CREAT))
        return -ENOENT;
    r = may_create(t, dir);
    if (r == 0 && attr)
        r = attr_ok(t, attr);
    if (r == 0)
        r = make_queue(t, dir, d, S_IFREG | (mode & 07777 & ~(t->fs ? t->fs->umask : 0)), attr, &i);
    if (r == 0)
        dentry_instantiate(d, i);
    return r;
}

static int may_open_queue(struct task *t, struct inode *i, unsigned flags)
{
    static const int need[] = { [O_RDONLY] = R_OK, [O_WRONLY] = W_OK, [O_RDWR] = R_OK | W_OK };

    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    if ((flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    return inode_permission(t, i, need[flags & O_ACCMODE]);
}

static struct file *open_locked(struct task *t, struct super *sb, const char *name, unsigned flags,
                                uint32_t mode, const struct lx_mq_attr *attr)
{
    struct dentry *d = find(t, sb, name);
    struct file *f;
    int r;

    if (IS_ERR(d))
        return (struct file *)d;
    r = dentry_inode(d) ? may_open_queue(t, dentry_inode(d), flags)
                        : make_named(t, sb, d, flags, mode, attr);
    f = r < 0 ? ERR_PTR(r)
              : vfs_open_inode(t, &(struct path){ .dentry = d }, flags & (O_ACCMODE | O_NONBLOCK));
    dentry_put(d);
    return f;
}

struct file *mqueue_open(struct task *t, const char *name, unsigned flags, uint32_t mode,
                         const struct lx_mq_attr *attr)
{
    struct super *sb = mqueue_fs();
    struct file *f;
    int r = sb ? callpath_lock(t, dentry_inode(sb->root)) : -ENOMEM;

    f = r < 0 ? ERR_PTR(r) : open_locked(t, sb, name, flags, mode, attr);
    callpath_done(t, IS_ERR(f) ? PTR_ERR(f) : 0);
    if (sb)
        super_put(sb);
    return f;
}

int mqueue_unlink(struct task *t, const char *name)
{
    struct super *sb = mqueue_fs();
    struct inode *dir, *i = NULL;
    struct dentry *d;
    int r;

    if (!sb)
        return -ENOMEM;
    dir = dentry_inode(sb->root);
    r = callpath_lock(t, dir);
    if (r == 0) {
        d = find(t, sb, name);
        r = IS_ERR(d) ? PTR_ERR(d) : 0;
    }
    if (r == 0) {
        i = dentry_inode(d) ? inode_ref(dentry_inode(d)) : NULL;
        r = i ? may_delete(t, dir, d, /* isdir= */ false) : -ENOENT;
        if (r == 0)
            r = dir->ops->unlink(t, dir, d);
        if (r == 0)
            dentry_drop(d);
        dentry_put(d);
    }
    r = callpath_done(t, r);
    if (i)
        inode_put(i);
    super_put(sb);
    return r;
}
