/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev: a file system in memory that is filled at start-up, and the memory devices behind it. A
 * device is found by its number, so that a node which the guest made elsewhere opens too. Terminals
 * are sentry/fs/tty's.
 *
 * There are no block devices, no console, no kmsg.
 */
#include "sentry/fs/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sysmacros.h>

#include "sentry/fs/mem/mem.h"
#include "sentry/fs/mem/shmem.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/uffd.h"
#include "sentry/vfs/vfs.h"

#define DEV_MAGIC 0x01021994
#define CHUNK 65536
#define UFFD_MINOR 257
#define VSOCK_MINOR 258 /* which Linux gives it when it comes up */

/* ---- the memory devices ---- */

static ssize_t null_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)t;
    (void)f;
    (void)it;
    (void)pos;
    return 0;
}

static ssize_t null_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    size_t n = it->left;

    (void)t;
    (void)f;
    (void)pos;
    iter_skip(it, n);
    return (ssize_t)n;
}

static ssize_t full_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)t;
    (void)f;
    (void)it;
    (void)pos;
    return -ENOSPC;
}

/* A long read ends early for a signal, as on Linux. These devices have no position to move. */
static ssize_t fill(struct task *t, struct iter *it, ssize_t (*some)(struct iter *it, size_t n))
{
    ssize_t done = 0, n = 0;

    while (it->left && !it->fault && !(done && task_signal_pending(t))) {
        n = some(it, MIN(it->left, CHUNK));
        if (n <= 0)
            break;
        done += n;
    }
    return done ? done : n;
}

static ssize_t zero_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)f;
    (void)pos;
    return fill(t, it, iter_put_zero);
}

static ssize_t put_random(struct iter *it, size_t n)
{
    unsigned char buf[1024];
    ssize_t got;

    do
        got = getrandom(buf, MIN(n, sizeof buf), 0);
    while (got < 0 && errno == EINTR);
    return got <= 0 ? -EIO : iter_put(it, buf, (size_t)got);
}

static ssize_t random_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)f;
    (void)pos;
    return fill(t, it, put_random);
}

static uint32_t random_poll(struct file *f, struct poll_table *pt)
{
    (void)f;
    (void)pt;
    return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
}

static long random_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    int bits = 256;

    (void)f;
    switch (cmd) {
    case RNDGETENTCNT:
        return put_guest(t, arg, &bits);
    case RNDADDTOENTCNT:
    case RNDADDENTROPY:
    case RNDZAPENTCNT:
    case RNDCLEARPOOL:
    case RNDRESEEDCRNG:
        return -EPERM;
    default:
        return -EINVAL; /* these devices say so instead of ENOTTY */
    }
}

static loff_t null_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    (void)t;
    (void)f;
    (void)off;
    (void)whence;
    return 0;
}

static loff_t noop_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    (void)t;
    (void)off;
    (void)whence;
    return f->pos;
}

static int zero_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    struct file *zeros;
    int r;

    if ((req->flags & MAP_TYPE) == MAP_PRIVATE || f->mode & FMODE_WRITE) {
        req->ret_anon = true;
        return 0;
    }
    /* not to be made writable later: a file that nobody can write to */
    zeros = shmem_file_new("dev/zero", req->len, 0);
    if (IS_ERR(zeros))
        return PTR_ERR(zeros);
    shmem_set_owner(zeros, t->cred, 0600, F_SEAL_WRITE);
    r = zeros->ops->mmap(t, zeros, req); /* the descriptor it gives is a new one */
    file_put(zeros);
    return r;
}

static const struct file_ops null_ops = {
    .name = "null", .read = null_read, .write = null_write, .llseek = null_llseek
};
static const struct file_ops zero_ops = {
    .name = "zero", .read = zero_read, .write = null_write, .llseek = null_llseek, .mmap = zero_mmap
};
static const struct file_ops full_ops = {
    .name = "full", .read = zero_read, .write = full_write, .llseek = null_llseek
};
static const struct file_ops random_ops = { .name = "random",
                                            .read = random_read,
                                            .write = null_write,
                                            .llseek = noop_llseek,
                                            .poll = random_poll,
                                            .ioctl = random_ioctl };
static const struct file_ops urandom_ops = { .name = "urandom",
                                             .read = random_read,
                                             .write = null_write,
                                             .llseek = noop_llseek,
                                             .ioctl = random_ioctl };

static long vsock_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    uint32_t cid = VMADDR_CID_ANY; /* neither a guest's nor a host's */

    (void)f;
    return cmd == IOCTL_VM_SOCKETS_GET_LOCAL_CID ? put_guest(t, arg, &cid) : -ENOIOCTLCMD;
}

static const struct file_ops vsock_ops = { .name = "vsock", .ioctl = vsock_ioctl };

/* Who may open it may be told of faults of calls, too. */
static long uffd_dev_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    (void)f;
    return cmd == LX_USERFAULTFD_IOC_NEW ? uffd_open(t, (unsigned)arg) : -EINVAL;
}

static const struct file_ops uffd_dev_ops = { .name = "userfaultfd", .ioctl = uffd_dev_ioctl };

int chrdev_open(struct task *t, struct inode *inode, struct file *f)
{
    static const struct file_ops *const mem[] = {
        [3] = &null_ops, [5] = &zero_ops, [7] = &full_ops, [8] = &random_ops, [9] = &urandom_ops
    };
    unsigned min = minor(inode->rdev);

    if (inode->rdev == makedev(10, VSOCK_MINOR)) {
        f->ops = &vsock_ops;
        return 0;
    }
    if (inode->rdev == makedev(10, UFFD_MINOR)) {
        f->ops = &uffd_dev_ops;
        return 0;
    }
    if (major(inode->rdev) != 1)
        return tty_chrdev_open(t, inode, f);
    if (min >= ARRAY_SIZE(mem) || !mem[min])
        return -ENXIO;
    f->ops = mem[min];
    f->mode |= FMODE_OWN_POS; /* that is, none */
    return 0;
}

/* ---- the tree ---- */

static const struct node {
    const char *name;
    uint32_t mode;
    unsigned maj, min;
    const char *target;
} nodes[] = {
    { "null", S_IFCHR | 0666, 1, 3, NULL },
    { "zero", S_IFCHR | 0666, 1, 5, NULL },
    { "full", S_IFCHR | 0666, 1, 7, NULL },
    { "random", S_IFCHR | 0666, 1, 8, NULL },
    { "urandom", S_IFCHR | 0666, 1, 9, NULL },
    { "tty", S_IFCHR | 0666, 5, 0, NULL },
    { "ptmx", S_IFCHR | 0666, 5, 2, NULL },
    { "fd", S_IFLNK, 0, 0, "/proc/self/fd" },
    { "stdin", S_IFLNK, 0, 0, "/proc/self/fd/0" },
    { "stdout", S_IFLNK, 0, 0, "/proc/self/fd/1" },
    { "stderr", S_IFLNK, 0, 0, "/proc/self/fd/2" },
    { "pts", S_IFDIR | 0755, 0, 0, NULL },
    { "shm", S_IFDIR | 01777, 0, 0, NULL },
    { "userfaultfd", S_IFCHR | 0600, 10, UFFD_MINOR, NULL },
    { "vsock", S_IFCHR | 0666, 10, VSOCK_MINOR, NULL },
};

static int make_node(struct super *sb, const struct node *n)
{
    struct inode *dir = dentry_inode(sb->root), *i;
    struct dentry *d = vfs_lookup(NULL, sb->root, n->name, strlen(n->name));
    int r;

    if (IS_ERR(d))
        return PTR_ERR(d);
    if (S_ISLNK(n->mode))
        r = dir->ops->symlink(NULL, dir, d, n->target, &i);
    else if (S_ISDIR(n->mode))
        r = dir->ops->mkdir(NULL, dir, d, n->mode, &i);
    else
        r = dir->ops->mknod(NULL, dir, d, n->mode, makedev(n->maj, n->min), &i);
    if (r == 0)
        dentry_instantiate(d, i);
    dentry_put(d);
    return r;
}

struct super *devtmpfs_new(void)
{
    struct super *sb = mem_super_new("devtmpfs", DEV_MAGIC, 0755, /* max_bytes= */ 0, NULL, NULL);

    for (unsigned n = 0; sb && n < ARRAY_SIZE(nodes); n++) {
        if (make_node(sb, &nodes[n]) < 0) {
            super_put(sb);
            sb = NULL;
        }
    }
    return sb;
}

static int mount_in(const char *dir, const char *name, struct super *sb, unsigned flags)
{
    char path[512];
    struct path p;
    int r;

    if (!sb)
        return -ENOMEM;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    r = walk_path(NULL, AT_FDCWD, path, WALK_FOLLOW | WALK_DIR, &p);
    if (r < 0) {
        super_put(sb);
        return r;
    }
    r = vfs_mount(sb, &p, flags, sb->type, NULL);
    path_put(&p);
    return r;
}

int dev_mount_inner(const char *path)
{
    int r = mount_in(path, "pts", devpts_new(), MS_NOSUID | MS_NOEXEC);

    if (r == 0)
        r = mount_in(path, "shm", tmpfs_new(01777, /* max_bytes= */ 0), MS_NOSUID | MS_NODEV);
    return r;
}
