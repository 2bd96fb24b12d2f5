/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks of what is shared with the host (super_ops.lock) are taken there too: when nobody inside is in
 * the way the host is asked, and only then is the lock noted here; it is given back there first. So
 * what is held here is held there, and two owners inside never compete for it there. Nobody tells us
 * when a program of the host lets go: who waits for that tries again after a millisecond, later after
 * 16.
 */
#include <errno.h>
#include <fcntl.h>

#include "sentry/kernel/task.h"
#include "sentry/vfs/locks_priv.h"

void lock_retry_now(struct ktimer *tm)
{
    struct file_locks *l = container_of(tm, struct file_locks, retry);

    LOCK_SCOPE(&locks_lock);
    l->retry_at = KTIME_NEVER;
    wq_wake_all(&l->wq, 0);
}

#define RETRY_MIN 1000000ll /* ns */
#define RETRY_DOUBLINGS 4u

int lock_wait_for_host(struct task *t, struct inode *i, struct lock_call *lc, const void *owner)
{
    ktime_t when = ktime_now() + (RETRY_MIN << MIN(lc->tries, RETRY_DOUBLINGS));
    struct file_locks *ls;

    lc->tries++;
    LOCK_SCOPE(&locks_lock);
    ls = inode_locks_locked(i);
    if (!ls)
        return -ENOLCK;
    if (when < ls->retry_at) {
        ls->retry_at = when;
        ktimer_arm(&ls->retry, when);
    }
    return wait_for_lock_locked(t, ls, lc, owner, /* blocker= */ NULL, /* deadlock_check= */ false);
}

bool lock_hosted(const struct file *f)
{
    return f->inode->sb && f->inode->sb->ops->lock;
}

int lock_on_host(struct task *t, struct file *f, const struct file_lock *l, int type)
{
    const struct host_lock h = { .owner = l->owner,
                                 .flock = l->kind == KIND_FLOCK,
                                 .type = type,
                                 .start = l->start,
                                 .end = l->end };

    return f->inode->sb->ops->lock(t, f, &h);
}

void lock_drop_on_host(struct file *f, const void *owner)
{
    struct file_lock *l;
    bool any = false;

    if (!lock_hosted(f))
        return;
    lock(&locks_lock);
    list_for_each(l, &f->inode->flocks->records, link)
        any |= l->owner == owner;
    list_for_each(l, &f->inode->flocks->flocks, link)
        any |= l->owner == owner;
    unlock(&locks_lock);
    if (any)
        f->inode->sb->ops->lock_gone(f, owner);
}

/* Who holds it on the host has no number inside: 0, as Linux has it for other pid namespaces. */
int lock_get_of_host(struct task *t, struct file *f, const struct file_lock *want,
                     struct lx_flock *ret)
{
    struct host_lock h = { .owner = want->owner,
                           .type = want->write ? F_WRLCK : F_RDLCK,
                           .start = want->start,
                           .end = want->end };
    int r = f->inode->sb->ops->lock_test(t, f, &h);

    if (r < 0)
        return r;
    if (h.type == F_UNLCK)
        ret->l_type = F_UNLCK;
    else
        lock_tell(&(struct file_lock){ .write = h.type == F_WRLCK, .start = h.start, .end = h.end },
                  ret);
    return 0;
}
