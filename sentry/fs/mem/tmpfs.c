/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpfs, and the files without a name behind memfd_create and shared anonymous memory. The latter
 * live in a tmpfs of their own that is mounted nowhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/mman.h>

#include "sentry/fs/mem/mem.h"
#include "sentry/fs/mem/shmem.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/vfs/dcache.h"

#define TMPFS_MAGIC 0x01021994

struct super *tmpfs_new(uint32_t mode, uint64_t max_bytes)
{
    return mem_super_new("tmpfs", TMPFS_MAGIC, mode, max_bytes, NULL, NULL);
}

struct super *tmpfs_text_new(const char *text)
{
    struct super *sb = mem_super_new("tmpfs", TMPFS_MAGIC, S_IFREG | 0644, 0, NULL, NULL);
    size_t n = strlen(text);
    struct inode *i;
    struct iter it;

    if (!sb)
        return NULL;
    i = dentry_inode(sb->root);
    iter_kernel(&it, (void *)(uintptr_t)text, n);
    if (data_write(&mem_node(i)->data, &it, 0, n, 0) != (ssize_t)n) {
        super_put(sb);
        return NULL;
    }
    i->size = n;
    return sb;
}

static struct super *shmem_super(void)
{
    static struct super *_Atomic made;
    struct super *sb = atomic_load(&made), *none = NULL;

    if (sb)
        return sb;
    sb = tmpfs_new(0, 0);
    if (sb && !atomic_compare_exchange_strong(&made, &none, sb)) {
        super_put(sb);
        sb = none;
    }
    return sb;
}

static int shmem_path(const char *name, uint64_t size, struct path *ret)
{
    struct super *sb = shmem_super();
    struct dentry *d;
    struct inode *i;
    char full[256];
    int r, n;

    if (!sb)
        return -ENOMEM;
    r = mem_inode_new(NULL, sb, NULL, S_IFREG | 0777, &i);
    if (r < 0)
        return r;
    n = snprintf(full, sizeof full, "%s", name);
    d = dentry_new_unhashed(sb->root, full, MIN((size_t)n, sizeof full - 1));
    if (!d) {
        inode_put(i);
        return -ENOMEM;
    }
    i->size = size;
    i->nlink = 0;
    mem_node(i)->seals = F_SEAL_SEAL;
    dentry_instantiate(d, i);
    *ret = (struct path){ .dentry = d };
    return 0;
}

struct file *shmem_file_new(const char *name, uint64_t size, unsigned flags)
{
    struct path p = {};
    struct file *f;
    int r = shmem_path(name, size, &p);

    if (r < 0)
        return ERR_PTR(r);
    f = vfs_open_inode(NULL, &p, (flags & ~LX_O_ACCMODE) | O_RDWR);
    path_put(&p);
    if (!IS_ERR(f))
        file_uncount_writer(f); /* as on Linux: it may be executed while it is open */
    return f;
}

void shmem_set_owner(struct file *f, const struct cred *c, uint32_t mode, unsigned seals)
{
    struct inode *i = f->inode;

    LOCK_SCOPE(&i->lock);
    i->uid = c->fsuid;
    i->gid = c->fsgid;
    i->mode = S_IFREG | (mode & 0777);
    mem_node(i)->seals = seals;
}
