/* SPDX-License-Identifier: Apache-2.0 */
/* Segments and what attaches them; see shm.h. */
#include "sentry/ipc/sysv/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "abi/types.h"
#include "sentry/fs/mem/mem.h"
#include "sentry/fs/mem/shmem.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"

struct shm_file { /* an attachment */
    struct file file;
    struct shm *shm; /* a reference */
};

/* Files are not put under the lock: what they lead to takes locks that come before it. */
static struct shm *dead; /* shm_ids.lock */

static void segment_free(struct ipc_obj *o)
{
    struct shm *s = (struct shm *)o;

    s->next_dead = dead;
    dead = s;
}

struct ipc_ids shm_ids = {
    .lock = { .class = LOCK_IPC },
    .max = SYSCTL_SHMMNI,
    .next_id = SYSCTL_SHM_NEXT_ID,
    .last = -1,
    .free = segment_free,
};
uint64_t shm_pages;

void shm_reap(void)
{
    struct shm *list;

    lock(&shm_ids.lock);
    list = dead;
    dead = NULL;
    unlock(&shm_ids.lock);
    while (list) {
        struct shm *s = list;

        list = s->next_dead;
        shm_unkeep(s);
        file_put(s->file);
        kfree(s);
    }
}

int shm_keep_locked(struct shm *s)
{
    struct inode *i = s->file->inode;
    struct data *d = &mem_node(i)->data;
    void *p;

    assert_locked(&shm_ids.lock);
    if (s->kept)
        return 0;
    LOCK_SCOPE(&i->lock);
    if (data_to_fd(d, i->size) < 0 || data_alloc(d, 0, i->size, i->size) < 0)
        return -ENOMEM;
    p = mmap(NULL, s->size, PROT_READ, MAP_SHARED | MAP_LOCKED, d->fd, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    s->kept = p;
    return 0;
}

void shm_unkeep(struct shm *s)
{
    if (s->kept)
        munmap(s->kept, s->size);
    s->kept = NULL;
}

int shm_make(struct task *t, struct ipc_get *g, struct ipc_obj **ret)
{
    uint64_t pages = PAGE_ALIGN_UP(g->size) / PAGE_SIZE_4K;
    struct shm *s;
    char name[16];

    if (g->size < 1 || g->size > sysctl_ulong(SYSCTL_SHMMAX))
        return -EINVAL;
    if (shm_pages + pages < pages || shm_pages + pages > sysctl_ulong(SYSCTL_SHMALL))
        return -ENOSPC;
    if (g->flags & SHM_HUGETLB) /* none are set aside; the group is vm.hugetlb_shm_group */
        return task_capable(t, CAP_IPC_LOCK) || cred_in_group(t->cred, 0) ? -ENOMEM : -EPERM;
    s = kzalloc(sizeof *s);
    if (!s)
        return -ENOMEM;
    snprintf(name, sizeof name, "SYSV%08x", (unsigned)g->key);
    s->file = shmem_file_new(name, g->size, O_RDWR);
    if (IS_ERR(s->file)) {
        int r = PTR_ERR(s->file);

        kfree(s);
        return r;
    }
    s->size = g->size;
    s->ctime = ipc_now();
    s->cpid = t->group->pid;
    shm_pages += pages;
    *ret = &s->obj;
    return 0;
}

/* ---- attachments ---- */

static void leave_locked(struct shm *s)
{
    s->dtime = ipc_now();
    if (atomic_fetch_sub(&s->attached, 1) == 1 && s->obj.mode & SHM_DEST && !s->obj.gone)
        shm_remove_locked(s);
}

static void shm_vma_open(struct file *f)
{
    atomic_fetch_add(&((struct shm_file *)f)->shm->attached, 1);
}

static void shm_vma_close(struct file *f)
{
    lock(&shm_ids.lock);
    leave_locked(((struct shm_file *)f)->shm);
    unlock(&shm_ids.lock);
}

static void shm_release(struct file *f)
{
    lock(&shm_ids.lock);
    ipc_put_locked(&shm_ids, &((struct shm_file *)f)->shm->obj);
    unlock(&shm_ids.lock);
    shm_reap();
}

static int shm_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    return mem_file_fops.mmap(t, f, req);
}

static const struct file_ops shm_ops = {
    .name = "shm",
    .mmap = shm_mmap,
    .vma_open = shm_vma_open,
    .vma_close = shm_vma_close,
    .release = shm_release,
};

bool shm_is_attachment(const struct file *f)
{
    return f && f->ops == &shm_ops;
}

/* Counted in, with a reference for the attachment. */
static struct shm *enter(struct task *t, int id, unsigned want)
{
    LOCK_SCOPE(&shm_ids.lock);
    struct shm *s = (struct shm *)ipc_find_locked(&shm_ids, id);
    int r;

    if (IS_ERR(s))
        return s;
    r = ipc_may(t, &s->obj, want);
    if (r < 0)
        return ERR_PTR(r);
    s->obj.refs++;
    atomic_fetch_add(&s->attached, 1);
    s->atime = ipc_now();
    s->lpid = t->group->pid;
    return s;
}

struct file *shm_attach(struct task *t, int id, int flags, uint64_t *ret_size)
{
    bool ro = flags & SHM_RDONLY;
    struct shm *s = enter(t, id, (ro ? 0444 : 0666) | (flags & SHM_EXEC ? 0111 : 0));
    struct shm_file *f;

    if (IS_ERR(s))
        return (struct file *)s;
    f = (struct shm_file *)file_new_sized(sizeof *f, &shm_ops, ro ? O_RDONLY : O_RDWR);
    if (IS_ERR(f)) {
        lock(&shm_ids.lock);
        leave_locked(s);
        ipc_put_locked(&shm_ids, &s->obj);
        unlock(&shm_ids.lock);
        shm_reap();
        return (struct file *)f;
    }
    f->shm = s;
    f->file.path = path_ref(s->file->path);
    f->file.inode = inode_ref(s->file->inode);
    f->file.no_notify = true;
    *ret_size = s->size;
    return &f->file;
}

void shm_note_detach(struct task *t, struct file *f)
{
    LOCK_SCOPE(&shm_ids.lock);
    ((struct shm_file *)f)->shm->lpid = t->group->pid;
}

void shm_remove_locked(struct shm *s)
{
    assert_locked(&shm_ids.lock);
    if (atomic_load(&s->attached) > 0) {
        s->obj.mode |= SHM_DEST;
        ipc_forget_key_locked(&shm_ids, &s->obj);
        return;
    }
    shm_pages -= PAGE_ALIGN_UP(s->size) / PAGE_SIZE_4K;
    ipc_remove_locked(&shm_ids, &s->obj);
}

/* ---- what there is ---- */

void shm_fill_locked(struct shm *s, struct lx_shmid64_ds *ret)
{
    *ret = (struct lx_shmid64_ds){ .shm_segsz = s->size,
                                   .shm_atime_ = s->atime,
                                   .shm_dtime_ = s->dtime,
                                   .shm_ctime_ = s->ctime,
                                   .shm_cpid = s->cpid,
                                   .shm_lpid = s->lpid,
                                   .shm_nattch = atomic_load(&s->attached) };
    ipc_fill_perm(&s->obj, &ret->shm_perm);
}

bool shm_next(int *index, struct lx_shmid64_ds *ret, int *ret_id, uint64_t *ret_bytes)
{
    struct shm *s = ERR_PTR(-EINVAL);
    struct file *f = NULL;
    struct kstat st = { 0 };

    lock(&shm_ids.lock);
    while ((unsigned)*index < shm_ids.cap &&
           IS_ERR(s = (struct shm *)ipc_at_locked(&shm_ids, *index)))
        ++*index;
    if ((unsigned)*index < shm_ids.cap) {
        shm_fill_locked(s, ret);
        *ret_id = s->obj.id;
        f = file_ref(s->file);
    }
    unlock(&shm_ids.lock);
    if (!f)
        return false;
    if (mem_getattr(NULL, f->inode, &st) == 0)
        *ret_bytes = st.blocks * 512;
    else
        *ret_bytes = 0;
    file_put(f);
    return true;
}
