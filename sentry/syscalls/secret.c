/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memfd_secret: memory for who has it mapped and nobody else. It is a file in memory that is neither
 * read nor written, gets its size once and cannot be opened again; what is mapped of it is kept
 * resident, counts as locked, and is not seen through process_vm_readv, /proc/PID/mem or a core file.
 * Linux takes it out of its own map as well: here the kernel is the sentry, which maps none of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "sentry/fs/mem/mem.h"
#include "sentry/fs/mem/shmem.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/mem.h"
#include "sentry/syscalls/table.h"

static int secret_open(struct task *t, struct inode *i, struct file *f)
{
    (void)t, (void)i, (void)f;
    return -ENXIO;
}

static int secret_setattr(struct task *t, struct inode *i, const struct setattr *a)
{
    return a->valid & ATTR_SIZE && i->size ? -EINVAL : mem_setattr(t, i, a);
}

static const struct inode_ops secret_iops = {
    .open = secret_open,
    .getattr = mem_getattr,
    .setattr = secret_setattr,
};

static int secret_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    int r = (req->flags & MAP_TYPE) == MAP_PRIVATE ? -EINVAL : mlock_future(t, req->len);

    if (r == 0)
        r = mem_file_fops.mmap(t, f, req);
    req->ret_secret = true;
    return r;
}

static int secret_truncate(struct task *t, struct file *f, loff_t size)
{
    const struct setattr a = { .valid = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME,
                               .size = (uint64_t)size };

    return vfs_setattr(t, &f->path, &a);
}

static const struct file_ops secret_ops = {
    .name = "secretmem",
    .mmap = secret_mmap,
    .truncate = secret_truncate,
};

long sys_memfd_secret(struct task *t, int flags)
{
    struct file *f, *mem;

    if (flags & ~O_CLOEXEC)
        return -EINVAL;
    mem = shmem_file_new("secretmem", 0, O_RDWR);
    if (IS_ERR(mem))
        return PTR_ERR(mem);
    shmem_set_owner(mem, t->cred, 0600, F_SEAL_SEAL);
    mem->inode->ops = &secret_iops; /* nobody else knows it yet */
    f = file_new_sized(sizeof *f, &secret_ops, O_RDWR | 0100000 /* O_LARGEFILE */);
    if (!IS_ERR(f)) {
        f->mode |= FMODE_STREAM | FMODE_SECRET;
        f->path = path_ref(mem->path);
        f->inode = inode_ref(mem->inode);
        f->no_notify = true;
    }
    file_put(mem);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, 0, flags & O_CLOEXEC);
}
