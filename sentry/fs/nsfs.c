/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of namespaces: what /proc/PID/ns/uts and its like lead to. There is one namespace of each
 * kind, the sandbox's own, numbered as the first ones of a Linux are; nothing can be joined.
 */
#include "sentry/fs/nsfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>

#include "sentry/kernel/call.h"
#include "sentry/mm/copy.h"
#include "sentry/vfs/dcache.h"

#define NSFS_MAGIC 0x6e736673
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define LX_NS_GET_MNTNS_ID _IOR(NSIO, 5, uint64_t) /* 6.11 */

static long ns_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg);

static const struct kind {
    uint64_t number;
    int flag;
    struct file_ops fops;
} kinds[NAMESPACES] = {
    [NS_CGROUP] = { 4026531835, CLONE_NEWCGROUP, { .name = "cgroup", .ioctl = ns_ioctl } },
    [NS_IPC] = { 4026531839, CLONE_NEWIPC, { .name = "ipc", .ioctl = ns_ioctl } },
    [NS_MNT] = { 4026531841, CLONE_NEWNS, { .name = "mnt", .ioctl = ns_ioctl } },
    [NS_NET] = { 4026531840, CLONE_NEWNET, { .name = "net", .ioctl = ns_ioctl } },
    [NS_PID] = { 4026531836, CLONE_NEWPID, { .name = "pid", .ioctl = ns_ioctl } },
    [NS_TIME] = { 4026531834, CLONE_NEWTIME, { .name = "time", .ioctl = ns_ioctl } },
    [NS_USER] = { 4026531837, CLONE_NEWUSER, { .name = "user", .ioctl = ns_ioctl } },
    [NS_UTS] = { 4026531838, CLONE_NEWUTS, { .name = "uts", .ioctl = ns_ioctl } },
};

static const struct kind *kind_of(const struct file *f)
{
    return container_of(f->ops, const struct kind, fops);
}

uint64_t nsfs_number(enum ns_kind k)
{
    return kinds[k].number;
}

static struct super *nsfs(void)
{
    static const struct super_ops ops;
    static struct super *_Atomic sb;
    struct super *s = atomic_load(&sb), *none = NULL;

    if (s)
        return s;
    s = super_new("nsfs", &ops, NSFS_MAGIC);
    if (s && !atomic_compare_exchange_strong(&sb, &none, s)) {
        super_put(s);
        s = none;
    }
    return s;
}

bool nsfs_is(const struct inode *i)
{
    return i && i->sb->magic == NSFS_MAGIC;
}

int nsfs_flag(const struct file *f)
{
    return nsfs_is(f->inode) && !(f->mode & FMODE_PATH) ? kind_of(f)->flag : 0;
}

int nsfs_path(enum ns_kind k, struct path *ret)
{
    static const struct inode_ops ops;
    struct super *sb = nsfs();
    struct inode *i = sb ? inode_find(sb, kinds[k].number) : NULL;

    if (sb && !i) {
        i = inode_new(sb, &ops, &kinds[k].fops, S_IFREG | 0444, kinds[k].number);
        if (i)
            i = inode_enter(i);
    }
    *ret = (struct path){ .dentry = i ? dentry_new_anon(i) : NULL };
    return ret->dentry ? 0 : -ENOMEM;
}

static long open_user(struct task *t)
{
    struct path p;
    struct file *f;
    int r = nsfs_path(NS_USER, &p);

    if (r < 0)
        return r;
    f = vfs_open_inode(t, &p, O_RDONLY);
    path_put(&p);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, 0, /* cloexec= */ true);
}

/* All belong to the user namespace that there is, which has no parent. */
static long ns_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    const struct kind *k = kind_of(f);
    bool user = k->flag == CLONE_NEWUSER;
    uint64_t mounts = NSFS_MNT_ID;
    uint32_t root = 0;

    switch (cmd) {
    case NS_GET_USERNS:
        return user ? -EPERM : open_user(t);
    case NS_GET_PARENT:
        return user || k->flag == CLONE_NEWPID ? -EPERM : -EINVAL;
    case NS_GET_NSTYPE:
        return k->flag;
    case NS_GET_OWNER_UID:
        return user ? put_guest(t, arg, &root) : -EINVAL;
    case LX_NS_GET_MNTNS_ID:
        return k->flag == CLONE_NEWNS ? put_guest(t, arg, &mounts) : -EINVAL;
    default:
        return -ENOTTY;
    }
}
