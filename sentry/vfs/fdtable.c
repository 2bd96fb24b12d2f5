/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables. A table belongs to one or more tasks (CLONE_FILES); files->lock guards it.
 * A bit map finds the lowest free number a word at a time; `next` says below which none is free.
 *
 * A descriptor that is closed leaves the table under the lock; what closing does (POSIX locks,
 * flush, the last put) is done after it, without any lock. POSIX record locks belong to the table,
 * as on Linux.
 */
#include <errno.h>
#include <string.h>

#include "sentry/fs/dnotify.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/locks.h"

#define WORD(fd) ((fd) / 64)
#define BIT(fd) (1ull << ((fd) % 64))

struct files *files_new(void)
{
    struct files *f = kzalloc(sizeof *f);

    if (!f)
        return NULL;
    atomic_init(&f->refs, 1);
    lock_init(&f->lock, LOCK_FILES);
    return f;
}

/* Room for fd; files->lock held. */
static int grow_locked(struct files *f, unsigned fd)
{
    unsigned cap = f->cap ? f->cap : 64;
    struct fd_entry *fds;
    uint64_t *used;

    assert_locked(&f->lock);
    if (fd < f->cap)
        return 0;
    while (cap <= fd)
        cap *= 2;
    fds = krealloc(f->fds, cap * sizeof *fds);
    if (!fds)
        return -ENOMEM;
    memset(fds + f->cap, 0, (cap - f->cap) * sizeof *fds);
    f->fds = fds;
    used = krealloc(f->used, cap / 8);
    if (!used)
        return -ENOMEM;
    memset((char *)used + f->cap / 8, 0, (cap - f->cap) / 8);
    f->used = used;
    f->cap = cap;
    return 0;
}

/* The lowest number >= min that is not in use; may be f->cap. */
static unsigned lowest_free_locked(struct files *f, unsigned min)
{
    unsigned w, words = f->cap / 64;
    uint64_t free_bits;

    if (min >= f->cap)
        return min;
    free_bits = ~f->used[WORD(min)] & ~(BIT(min) - 1);
    for (w = WORD(min); !free_bits; free_bits = ~f->used[w])
        if (++w == words)
            return f->cap;
    return w * 64 + (unsigned)__builtin_ctzll(free_bits);
}

static void set_locked(struct files *f, unsigned fd, struct file *file, bool cloexec)
{
    f->fds[fd] = (struct fd_entry){ .file = file, .cloexec = cloexec };
    f->used[WORD(fd)] |= BIT(fd);
}

/* Takes fd out; its file, or NULL. */
static struct file *take_locked(struct files *f, unsigned fd)
{
    struct file *file;

    if (fd >= f->cap || !(file = f->fds[fd].file))
        return NULL;
    if (f->fds[fd].lent)
        file->ops->unlend(file, /* gone= */ true);
    f->fds[fd] = (struct fd_entry){ 0 };
    f->used[WORD(fd)] &= ~BIT(fd);
    if (fd < f->next)
        f->next = fd;
    return file;
}

/* What happens to a file whose descriptor in table owner went. */
static void closed(struct task *t, struct files *owner, struct file *file)
{
    if (file->inode && !(file->mode & FMODE_PATH)) {
        locks_posix_gone(file, owner);
        dnotify_closed(file, owner);
    }
    if (file->ops->flush)
        file->ops->flush(t, file);
    file_put(file);
}

struct files *files_copy(struct files *from)
{
    struct files *f = files_new();
    unsigned last;
    int r = 0;

    if (!f)
        return ERR_PTR(-ENOMEM);
    lock(&f->lock);
    lock_nested(&from->lock);
    for (last = from->cap / 64; last && !from->used[last - 1]; last--)
        ;
    if (last * 64 > (sysctl_ulong(SYSCTL_NR_OPEN) + 63) / 64 * 64)
        r = -EMFILE;
    else if (last)
        r = grow_locked(f, last * 64 - 1);
    if (r < 0) {
        unlock(&from->lock);
        unlock(&f->lock);
        files_put(f);
        return ERR_PTR(r);
    }
    for (unsigned i = 0; i < last * 64; i++)
        if (from->fds[i].file)
            set_locked(f, i, file_ref(from->fds[i].file), from->fds[i].cloexec);
    f->next = from->next;
    unlock(&from->lock);
    unlock(&f->lock);
    return f;
}

struct files *files_ref(struct files *f)
{
    atomic_fetch_add(&f->refs, 1);
    return f;
}

void files_put(struct files *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    files_unlend(f, true);
    for (unsigned i = 0; i < f->cap; i++)
        if (f->fds[i].file)
            closed(NULL, f, f->fds[i].file);
    kfree(f->fds);
    kfree(f->used);
    lock_done(&f->lock);
    kfree(f);
}

int files_unshare(struct task *t)
{
    struct files *old = t->files, *new;

    if (atomic_load(&old->refs) == 1)
        return 0;
    new = files_copy(old);
    if (IS_ERR(new))
        return PTR_ERR(new);
    lock(&kernel.tasks_lock);
    t->files = new;
    unlock(&kernel.tasks_lock);
    if (t->ctx && kernel.platform->ctx_lends)
        kernel.platform->ctx_lends(t->ctx, false);
    files_put(old);
    return 0;
}

void fd_lend(struct task *t, int fd, struct file *file, void (*lent)(struct file *f, void *arg),
             void *arg)
{
    struct files *f = t->files;

    LOCK_SCOPE(&f->lock);
    if (f->no_lend || fd < 0 || (unsigned)fd >= f->cap || f->fds[fd].file != file)
        return;
    f->fds[fd].lent = true;
    lent(file, arg);
}

void files_unlend(struct files *f, bool never)
{
    LOCK_SCOPE(&f->lock);
    f->no_lend |= never;
    for (unsigned i = 0; i < f->cap; i++) {
        struct fd_entry *e = &f->fds[i];

        if (e->file && e->lent)
            e->file->ops->unlend(e->file, /* gone= */ true);
        e->lent = false;
    }
}

void files_close_exec(struct task *t)
{
    struct files *f = t->files;

    for (unsigned i = 0;; i++) {
        struct file *file = NULL;

        lock(&f->lock);
        while (i < f->cap && !(f->fds[i].file && f->fds[i].cloexec))
            i++;
        if (i < f->cap)
            file = take_locked(f, i);
        unlock(&f->lock);
        if (!file)
            return;
        closed(t, f, file);
    }
}

struct file *fd_get_path(struct task *t, int fd)
{
    struct files *f = t->files;

    LOCK_SCOPE(&f->lock);
    if (fd < 0 || (unsigned)fd >= f->cap || !f->fds[fd].file)
        return NULL;
    return file_ref(f->fds[fd].file);
}

struct file *fd_get(struct task *t, int fd)
{
    struct files *f = t->files;
    struct file *file;

    LOCK_SCOPE(&f->lock);
    if (fd < 0 || (unsigned)fd >= f->cap || !(file = f->fds[fd].file) || file->mode & FMODE_PATH)
        return NULL;
    return file_ref(file);
}

static unsigned fd_limit(struct task *t)
{
    rlim_t lim = __atomic_load_n(&task_rlimit(t, RLIMIT_NOFILE)->rlim_cur, __ATOMIC_RELAXED);

    return (unsigned)MIN(lim, sysctl_ulong(SYSCTL_NR_OPEN));
}

int fd_install(struct task *t, struct file *file, int min, bool cloexec)
{
    struct files *f = t->files;
    unsigned fd, from = (unsigned)min;
    int r;

    if (t->call.install)
        return t->call.install(t, file);
    lock(&f->lock);
    fd = lowest_free_locked(f, from > f->next ? from : f->next);
    r = fd >= fd_limit(t) ? -EMFILE : grow_locked(f, fd);
    if (r == 0) {
        set_locked(f, fd, file, cloexec);
        if (from <= f->next)
            f->next = fd + 1;
        r = (int)fd;
    }
    unlock(&f->lock);
    if (r < 0)
        file_put(file);
    return r;
}

int fd_install_at(struct task *t, struct file *file, int fd, bool cloexec)
{
    struct files *f = t->files;
    struct file *old = NULL;
    int r;

    lock(&f->lock);
    r = fd < 0 || (unsigned)fd >= fd_limit(t) ? -EBADF : grow_locked(f, (unsigned)fd);
    if (r == 0) {
        old = take_locked(f, (unsigned)fd);
        set_locked(f, (unsigned)fd, file, cloexec);
        r = fd;
    }
    unlock(&f->lock);
    if (r < 0)
        file_put(file);
    if (old)
        closed(t, f, old);
    return r;
}

int fd_close(struct task *t, int fd)
{
    struct files *f = t->files;
    struct file *file;

    lock(&f->lock);
    file = fd < 0 ? NULL : take_locked(f, (unsigned)fd);
    unlock(&f->lock);
    if (!file)
        return -EBADF;
    closed(t, f, file);
    return 0;
}

void fd_close_range(struct task *t, unsigned first, unsigned last, bool cloexec_only)
{
    struct files *f = t->files;

    for (unsigned i = first;; i++) {
        struct file *file = NULL;

        lock(&f->lock);
        for (; i < f->cap && i <= last && !file; i++) {
            if (!f->fds[i].file)
                continue;
            if (cloexec_only)
                f->fds[i].cloexec = true;
            else
                file = take_locked(f, i);
        }
        unlock(&f->lock);
        if (!file)
            return;
        i--;
        closed(t, f, file);
    }
}

int fd_get_cloexec(struct task *t, int fd)
{
    struct files *f = t->files;

    LOCK_SCOPE(&f->lock);
    if (fd < 0 || (unsigned)fd >= f->cap || !f->fds[fd].file)
        return -EBADF;
    return f->fds[fd].cloexec;
}

int fd_set_cloexec(struct task *t, int fd, bool on)
{
    struct files *f = t->files;

    LOCK_SCOPE(&f->lock);
    if (fd < 0 || (unsigned)fd >= f->cap || !f->fds[fd].file)
        return -EBADF;
    f->fds[fd].cloexec = on;
    return 0;
}
