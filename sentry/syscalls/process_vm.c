/* SPDX-License-Identifier: Apache-2.0 */
/* process_vm_readv and process_vm_writev: copies between two guests by way of a buffer of ours. */
#include <errno.h>

#include "sentry/kernel/access.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/table.h"

#define PIECE (64 * 1024ul)

static int get_mm(struct task *t, pid_t pid, struct mm **ret)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *target = task_find_locked(t->group->pidns, pid);

    if (!target)
        return -ESRCH;
    if (!task_may_access_locked(t, target, false))
        return -EPERM;
    if (!target->mm)
        return -ESRCH;
    *ret = mm_ref(target->mm);
    return 0;
}

/* One remote segment. Bytes moved; fewer than its length at a fault on either side. */
static uint64_t move(struct mm *mm, const struct seg *remote, struct iter *local, char *buf,
                     bool write)
{
    uint64_t done = 0;

    while (done < remote->len && local->left) {
        size_t want = MIN(MIN(remote->len - done, local->left), PIECE);
        ssize_t n;
        if (write) {
            n = iter_get(local, buf, want);
            if (n > 0)
                n = mm_poke(mm, remote->base + done, buf, (size_t)n);
        } else {
            n = mm_peek(mm, remote->base + done, buf, want);
            if (n > 0)
                n = iter_put(local, buf, (size_t)n);
        }
        if (n > 0)
            done += (uint64_t)n;
        if (n < (ssize_t)want)
            break;
    }
    return done;
}

static long transfer(struct task *t, pid_t pid, gaddr_t lvec, unsigned long nl, gaddr_t rvec,
                     unsigned long nr, unsigned long flags, bool write)
{
    _cleanup_kfree_ struct seg *l = NULL, *r = NULL;
    _cleanup_kfree_ char *buf = NULL;
    struct mm *mm;
    struct iter local;
    uint64_t done = 0;
    ssize_t total;
    int err;

    if (flags)
        return -EINVAL;
    if (nl > 1024 || nr > 1024)
        return -EINVAL;
    total = copy_in_iovec(t, lvec, (unsigned)nl, &l);
    if (total <= 0)
        return total;
    iter_segs(&local, t, l, (unsigned)nl);
    total = copy_in_iovec(t, rvec, (unsigned)nr, &r);
    if (total <= 0)
        return total;
    buf = kzalloc(PIECE);
    if (!buf)
        return -ENOMEM;
    err = get_mm(t, pid, &mm);
    if (err < 0)
        return err;
    for (unsigned long k = 0; k < nr && local.left; k++) {
        uint64_t want = MIN(r[k].len, local.left), n = move(mm, &r[k], &local, buf, write);
        done += n;
        if (n < want)
            break;
    }
    mm_put(mm);
    return done ? (long)done : -EFAULT;
}

long sys_process_vm_readv(struct task *t, pid_t pid, gaddr_t lvec, unsigned long liovcnt,
                          gaddr_t rvec, unsigned long riovcnt, unsigned long flags)
{
    return transfer(t, pid, lvec, liovcnt, rvec, riovcnt, flags, /* write= */ false);
}

long sys_process_vm_writev(struct task *t, pid_t pid, gaddr_t lvec, unsigned long liovcnt,
                           gaddr_t rvec, unsigned long riovcnt, unsigned long flags)
{
    return transfer(t, pid, lvec, liovcnt, rvec, riovcnt, flags, /* write= */ true);
}
