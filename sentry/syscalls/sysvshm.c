/* SPDX-License-Identifier: Apache-2.0 */
/* shmget, shmat, shmdt, shmctl. */
#include <errno.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "sentry/ipc/sysv/shm.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define CAP_IPC_LOCK 14
#define LX_SHM_LOCKED 02000

static int segment_fits(struct ipc_get *g, struct ipc_obj *o)
{
    return g->size > ((struct shm *)o)->size ? -EINVAL : 0;
}

long sys_shmget(struct task *t, int key, size_t size, int flags)
{
    struct ipc_get g = {
        .key = key, .flags = flags, .make = shm_make, .fits = segment_fits, .size = size
    };
    long r = ipc_get(t, &shm_ids, &g);

    shm_reap(); /* one that could not be entered */
    return r;
}

/* ---- shmat ---- */

struct shmat_state { /* the record's scratch */
    struct as_op op;
    struct mmap_request req;
    struct file *file; /* the attachment, until the address space's record has it */
    uint64_t size;
};

static void shmat_free(void *scratch)
{
    struct shmat_state *s = scratch;

    if (s->req.ret_fd_owned)
        close(s->req.ret_fd);
    if (s->file)
        vma_file_put(s->file);
    shm_reap();
}

static int where(gaddr_t *addr, int flags)
{
    gaddr_t limit = kernel.platform->as_limit();

    if (*addr % PAGE_SIZE_4K) {
        if (!(flags & SHM_RND))
            return -EINVAL;
        *addr = PAGE_ALIGN_DOWN(*addr);
        if (*addr == 0 && flags & SHM_REMAP)
            return -EINVAL;
    }
    if (*addr == 0)
        return flags & SHM_REMAP ? -EINVAL : 0;
    return *addr >= limit ? -EINVAL : 0;
}

static int shmat_begin(struct task *t, struct shmat_state *s, int id, gaddr_t addr, int flags)
{
    int prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
               (flags & SHM_EXEC ? PROT_EXEC : 0);
    int how = MAP_SHARED;
    struct file *f;
    int r;

    s->req.ret_fd = -1;
    t->call.scratch_free = shmat_free;
    r = id < 0 ? -EINVAL : where(&addr, flags);
    if (r < 0)
        return r;
    f = shm_attach(t, id, flags, &s->size);
    if (IS_ERR(f))
        return PTR_ERR(f);
    s->file = f;
    s->size = PAGE_ALIGN_UP(s->size);
    if (addr && s->size > kernel.platform->as_limit() - addr)
        return -EINVAL;
    if (addr)
        how |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    s->req = (struct mmap_request){ .len = s->size, .prot = prot, .flags = how, .ret_fd = -1 };
    r = f->ops->mmap(t, f, &s->req);
    if (r < 0)
        return r;
    s->op = (struct as_op){ .kind = AS_MMAP,
                            .fd = s->req.ret_fd,
                            .a = { addr, s->size, (uint64_t)prot, (uint64_t)how,
                                   s->req.ret_offset } };
    return 0;
}

long sys_shmat(struct task *t, int id, gaddr_t addr, int flags)
{
    struct shmat_state *s = call_scratch(t, sizeof *s);
    struct file *f;
    int r;

    if (!s)
        return -ENOMEM;
    if (t->call.phase == 0) {
        r = shmat_begin(t, s, id, addr, flags);
        if (r < 0)
            return r;
        t->call.phase = 1;
        return call_ops(t, &s->op, 1);
    }
    if (s->op.ret < 0)
        return s->op.ret == -EEXIST ? -EINVAL : s->op.ret;
    f = s->file;
    s->file = NULL;
    r = vma_add(t->mm, (gaddr_t)s->op.ret, s->size, s->req.prot, s->req.flags, f, 0);
    (void)r; /* without a record it stays mapped, and counts no more */
    return s->op.ret;
}

/* ---- shmdt ---- */

struct shmdt_state { /* the record's scratch */
    struct as_op op;
    struct file *file; /* a reference: the attachment that is going; NULL: none found yet */
};

static void shmdt_free(void *scratch)
{
    struct shmdt_state *s = scratch;

    file_put(s->file);
    shm_reap();
}

/*
 * The next piece of the attachment that began at addr; what was unmapped or moved of it since does
 * not belong to it any more.
 */
static bool find_piece(struct task *t, struct shmdt_state *s, gaddr_t addr)
{
    struct vma *v;

    LOCK_SCOPE(&t->mm->lock);
    list_for_each(v, &t->mm->vmas, link) {
        if (v->start < addr || v->start - addr != v->offset || !shm_is_attachment(v->file) ||
            (s->file && v->file != s->file))
            continue;
        if (!s->file)
            s->file = file_ref(v->file);
        s->op = (struct as_op){ .kind = AS_MUNMAP, .fd = -1, .a = { v->start, v->end - v->start } };
        return true;
    }
    return false;
}

long sys_shmdt(struct task *t, gaddr_t addr)
{
    struct shmdt_state *s = call_scratch(t, sizeof *s);

    if (!s)
        return -ENOMEM;
    t->call.scratch_free = shmdt_free;
    if (addr % PAGE_SIZE_4K)
        return -EINVAL;
    if (t->call.phase == 1) {
        if (s->op.ret < 0)
            return s->op.ret;
        vma_remove(t->mm, s->op.a[0], s->op.a[1]);
    }
    if (find_piece(t, s, addr)) {
        t->call.phase = 1;
        return call_ops(t, &s->op, 1);
    }
    if (!s->file)
        return -EINVAL;
    shm_note_detach(t, s->file);
    return 0;
}

/* ---- shmctl ---- */

static long stat_segment(struct task *t, int id, enum ipc_stat how, gaddr_t to)
{
    struct lx_shmid64_ds ds = { 0 };
    long r;

    lock(&shm_ids.lock);
    struct shm *s = (struct shm *)ipc_stat_locked(t, &shm_ids, id, how, &r);
    if (!IS_ERR(s))
        shm_fill_locked(s, &ds);
    unlock(&shm_ids.lock);
    return r < 0 || put_guest(t, to, &ds) == 0 ? r : -EFAULT;
}

static long info(struct task *t, int cmd, gaddr_t to)
{
    struct lx_shminfo64 limits = { .shmmax = sysctl_ulong(SYSCTL_SHMMAX),
                                   .shmmin = 1,
                                   .shmmni = sysctl_ulong(SYSCTL_SHMMNI),
                                   .shmseg = sysctl_ulong(SYSCTL_SHMMNI),
                                   .shmall = sysctl_ulong(SYSCTL_SHMALL) };
    struct lx_shm_info used = { 0 };
    struct lx_shmid64_ds ds;
    uint64_t bytes;
    int highest, id, r;

    for (int i = 0; cmd == SHM_INFO && shm_next(&i, &ds, &id, &bytes); i++)
        used.shm_rss += bytes / PAGE_SIZE_4K;
    lock(&shm_ids.lock);
    used.used_ids = (int)shm_ids.count;
    used.shm_tot = shm_pages;
    highest = ipc_highest_locked(&shm_ids);
    unlock(&shm_ids.lock);
    r = cmd == SHM_INFO ? put_guest(t, to, &used) : put_guest(t, to, &limits);
    return r < 0 ? r : highest;
}

static int lock_segment(struct task *t, struct shm *s, bool on)
{
    uid_t euid = t->cred->euid;
    int r;

    if (!task_capable(t, CAP_IPC_LOCK)) {
        rlim_t max = task_rlimit(t, RLIMIT_MEMLOCK)->rlim_cur;

        if (euid != s->obj.uid && euid != s->obj.cuid)
            return -EPERM;
        if (on && max == 0)
            return -EPERM;
        if (on && PAGE_ALIGN_UP(s->size) > max)
            return -ENOMEM;
    }
    r = on ? shm_keep_locked(s) : 0;
    if (r < 0)
        return r;
    if (!on)
        shm_unkeep(s);
    s->obj.mode = on ? s->obj.mode | LX_SHM_LOCKED : s->obj.mode & ~(unsigned)LX_SHM_LOCKED;
    return 0;
}

static int control_locked(struct task *t, int id, int cmd, const struct lx_shmid64_ds *ds)
{
    struct shm *s = (struct shm *)ipc_find_locked(&shm_ids, id);
    int r;

    if (IS_ERR(s))
        return PTR_ERR(s);
    if (cmd == SHM_LOCK || cmd == SHM_UNLOCK)
        return lock_segment(t, s, cmd == SHM_LOCK);
    r = ipc_may_control(t, &s->obj);
    if (r < 0)
        return r;
    if (cmd == IPC_RMID) {
        shm_remove_locked(s);
        return 0;
    }
    r = ipc_set(&s->obj, &ds->shm_perm);
    if (r == 0)
        s->ctime = ipc_now();
    return r;
}

static long control(struct task *t, int id, int cmd, const struct lx_shmid64_ds *ds)
{
    int r;

    lock(&shm_ids.lock);
    r = control_locked(t, id, cmd, ds);
    unlock(&shm_ids.lock);
    shm_reap();
    return r;
}

long sys_shmctl(struct task *t, int id, int cmd, gaddr_t buf)
{
    struct lx_shmid64_ds ds = { 0 };

    if (cmd < 0 || id < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case SHM_INFO:
        return info(t, cmd, buf);
    case IPC_STAT:
        return stat_segment(t, id, IPC_BY_ID, buf);
    case SHM_STAT:
        return stat_segment(t, id, IPC_BY_INDEX, buf);
    case SHM_STAT_ANY:
        return stat_segment(t, id, IPC_BY_INDEX_ANY, buf);
    case IPC_SET:
        if (get_guest(t, &ds, buf) < 0)
            return -EFAULT;
        return control(t, id, cmd, &ds);
    case IPC_RMID:
    case SHM_LOCK:
    case SHM_UNLOCK:
        return control(t, id, cmd, NULL);
    default:
        return -EINVAL;
    }
}
