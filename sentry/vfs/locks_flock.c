/* SPDX-License-Identifier: Apache-2.0 */
/* flock(2): locks of whole files, whose owner is the open file (locks.c). */
#include <errno.h>
#include <sys/file.h>

#include "sentry/kernel/task.h"
#include "sentry/vfs/locks_priv.h"

/* host: the host has it for us (or has it back) already. */
static int flock_locked(struct task *t, struct file *f, struct lock_call *lc, int op, bool host,
                        struct file_lock **spare)
{
    struct file_locks *ls = inode_locks_locked(f->inode);
    bool write = (op & ~LOCK_NB) == LOCK_EX;
    struct file_lock *l, *tmp;

    if (!ls)
        return -ENOLCK;
    list_del(&lc->link);
    list_for_each_safe(l, tmp, &ls->flocks, link) {
        if (l->owner != f)
            continue;
        if (l->write == write && (op & ~LOCK_NB) != LOCK_UN)
            return 0;
        remove_lock(l); /* a change of kind is a release first, as on Linux */
        wq_wake_all(&ls->wq, 0);
    }
    if ((op & ~LOCK_NB) == LOCK_UN)
        return 0;
    list_for_each(l, &ls->flocks, link)
        if ((l->write || write) && !host)
            return op & LOCK_NB ? -EAGAIN
                                : wait_for_lock_locked(t, ls, lc, f, /* blocker= */ NULL,
                                                       /* deadlock_check= */ false);
    if (!spare)
        return 0;
    **spare = (struct file_lock){
        .kind = KIND_FLOCK, .owner = f, .write = write, .end = INT64_MAX, .pid = t->group->pid
    };
    list_add_tail(&ls->flocks, &(*spare)->link);
    *spare = NULL;
    return 0;
}

/* As host_first: is anybody inside in the way, and then the host. */
static int flock_host_first(struct task *t, struct file *f, struct lock_call *lc, int op)
{
    const struct file_lock want = { .kind = KIND_FLOCK, .owner = f, .end = INT64_MAX };
    int how = op & ~LOCK_NB;
    int r = 0;

    if (how != LOCK_UN) {
        lock(&locks_lock);
        r = flock_locked(t, f, lc, op, /* host= */ false, NULL);
        unlock(&locks_lock);
    }
    if (r < 0)
        return r;
    r = lock_on_host(t, f, &want, how == LOCK_UN ? F_UNLCK : how == LOCK_EX ? F_WRLCK : F_RDLCK);
    return r == -EAGAIN && !(op & LOCK_NB) ? lock_wait_for_host(t, f->inode, lc, f) : r;
}

int locks_flock(struct task *t, struct file *f, int op)
{
    struct lock_call *lc = locks_call(t);
    struct file_lock *spare = lock_new(op & LOCK_UN);
    int r = -ENOLCK;

    if (!f->inode)
        r = -EBADF;
    else if (lc && spare) {
        bool host = lock_hosted(f);

        r = host ? flock_host_first(t, f, lc, op) : 0;
        if (r == 0) {
            lock(&locks_lock);
            r = flock_locked(t, f, lc, op, host, &spare);
            unlock(&locks_lock);
        }
    }
    lock_free(spare);
    return r;
}
