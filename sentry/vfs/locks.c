/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory locks (locks.h).
 *
 * An inode has two lists: records (POSIX and OFD locks, which exclude each other) and flocks (which
 * know nothing of records, as on Linux). Records of one owner never overlap and are merged with
 * equal neighbours. Waiters sleep on the inode's queue and are all woken when something is
 * released, first come first served; each tests again.
 *
 * Deadlock: a POSIX request that has to wait is refused when the owner in its way waits, through
 * others, for the requester. Only POSIX owners take part, as on Linux.
 *
 * What is shared with the host is locked there too: locks_host.c. flock: locks_flock.c.
 *
 * locks_lock (LOCK_OBJECT) guards everything; inode->flocks is set under it and read without it by
 * closes, which have nothing to do where it is NULL.
 */
#include "sentry/vfs/locks_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/vfs/lease.h"
#include "sentry/vfs/vfs.h"

struct lock locks_lock;
static struct list all_inodes = LIST_INIT(all_inodes);
static struct list waiters = LIST_INIT(waiters); /* struct lock_call */

__attribute__((constructor)) static void locks_init(void)
{
    lock_init(&locks_lock, LOCK_OBJECT);
}

struct file_locks *inode_locks_locked(struct inode *i)
{
    struct file_locks *l = i->flocks;

    assert_locked(&locks_lock);
    if (l)
        return l;
    l = kzalloc(sizeof *l);
    if (!l)
        return NULL;
    l->inode = i;
    list_init(&l->records);
    list_init(&l->flocks);
    wq_init(&l->wq);
    ktimer_init(&l->retry, lock_retry_now);
    l->retry_at = KTIME_NEVER;
    list_add_tail(&all_inodes, &l->all);
    __atomic_store_n(&i->flocks, l, __ATOMIC_SEQ_CST);
    return l;
}

bool has_locks(const struct inode *i)
{
    return __atomic_load_n(&i->flocks, __ATOMIC_SEQ_CST) != NULL;
}

static _Atomic uint64_t nlocks; /* those that are spare for a moment too */
struct file_lock *lock_new(bool always)
{
    struct file_lock *l = kzalloc(sizeof *l);

    if (l && always) {
        atomic_fetch_add(&nlocks, 1);
    } else if (l && !limit_take(LIMIT_LOCKS, &nlocks)) {
        kfree(l);
        l = NULL;
    }
    return l;
}

void lock_free(struct file_lock *l)
{
    if (l)
        limit_give(&nlocks);
    kfree(l);
}

void remove_lock(struct file_lock *l)
{
    list_del(&l->link);
    lock_free(l);
}

/* ---- records ---- */
/* own: one that want's owner has there itself, not one in its way. */
static struct file_lock *overlap_locked(struct file_locks *ls, const struct file_lock *want,
                                        bool own)
{
    struct file_lock *l;

    list_for_each(l, &ls->records, link)
        if ((l->owner == want->owner) == own && (own || l->write || want->write) &&
            l->start <= want->end && want->start <= l->end)
            return l;
    return NULL;
}

static void insert_sorted(struct file_locks *ls, struct file_lock *n)
{
    struct file_lock *l;

    list_for_each(l, &ls->records, link)
        if (l->start > n->start)
            break;
    list_add_tail(&l->link, &n->link); /* before l, or at the end */
}

static bool touches(const struct file_lock *l, const struct file_lock *n)
{
    return (n->start == 0 || l->end >= n->start - 1) &&
           (n->end == INT64_MAX || l->start <= n->end + 1);
}

/*
 * Makes *want (unlock: that nothing is held there) true for its owner. spare holds what a split and
 * an insertion may need; what is used is set to NULL.
 */
static void apply_locked(struct file_locks *ls, struct file_lock *want, bool unlock_it,
                         struct file_lock *spare[2])
{
    struct file_lock *l, *tmp, *n = spare[0];

    assert_locked(&locks_lock);
    list_for_each_safe(l, tmp, &ls->records, link) {
        if (l->owner != want->owner)
            continue;
        if (!unlock_it && l->write == want->write && touches(l, want)) {
            want->start = MIN(want->start, l->start);
            want->end = MAX(want->end, l->end);
            remove_lock(l);
            continue;
        }
        if (l->start > want->end || want->start > l->end)
            continue;
        if (l->start < want->start && l->end > want->end) { /* a hole in the middle */
            struct file_lock *right = spare[1];

            *right = *l;
            right->start = want->end + 1;
            l->end = want->start - 1;
            insert_sorted(ls, right);
            spare[1] = NULL;
        } else if (l->start < want->start) {
            l->end = want->start - 1;
        } else if (l->end > want->end) {
            list_del(&l->link);
            l->start = want->end + 1;
            insert_sorted(ls, l);
        } else {
            remove_lock(l);
        }
    }
    if (unlock_it)
        return;
    *n = *want;
    insert_sorted(ls, n);
    spare[0] = NULL;
}

/* The range of fl in bytes. */
static int range_of(struct task *t, struct file *f, const struct lx_flock *fl,
                    struct file_lock *ret)
{
    int64_t base = 0, start, end;
    struct kstat st;
    int r;

    if (fl->l_whence == SEEK_CUR) {
        base = f->pos;
    } else if (fl->l_whence == SEEK_END) {
        r = file_getattr(t, f, &st);
        if (r < 0)
            return r;
        base = (int64_t)st.size;
    } else if (fl->l_whence != SEEK_SET) {
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, fl->l_start, &start))
        return -EOVERFLOW;
    if (start < 0)
        return -EINVAL;
    end = INT64_MAX;
    if (fl->l_len > 0) {
        if (__builtin_add_overflow(start, fl->l_len - 1, &end))
            return -EOVERFLOW;
    } else if (fl->l_len < 0) {
        end = start - 1;
        if (start + fl->l_len < 0)
            return -EINVAL;
        start += fl->l_len;
    }
    ret->start = start;
    ret->end = end;
    return 0;
}

static int lock_of(struct task *t, struct file *f, const struct lx_flock *fl, bool ofd,
                   struct file_lock *ret)
{
    if (ofd && fl->l_pid != 0)
        return -EINVAL;
    *ret = (struct file_lock){
        .kind = ofd ? KIND_OFD : KIND_POSIX,
        .owner = ofd ? (const void *)f : (const void *)t->files,
        .write = fl->l_type == F_WRLCK,
        .pid = ofd ? -1 : t->group->pid,
    };
    list_init(&ret->link);
    return range_of(t, f, fl, ret);
}

static bool would_deadlock_locked(const void *me, const void *blocker)
{
    for (int hops = 0; hops < 32 && blocker; hops++) {
        const struct lock_call *w;
        const void *next = NULL;

        if (blocker == me)
            return true;
        list_for_each(w, &waiters, link) {
            if (w->owner == blocker) {
                next = w->blocker;
                break;
            }
        }
        blocker = next;
    }
    return false;
}

static void lock_call_end(void *scratch)
{
    struct lock_call *lc = scratch;

    LOCK_SCOPE(&locks_lock);
    list_del(&lc->link);
}

struct lock_call *locks_call(struct task *t)
{
    struct lock_call *lc = call_scratch(t, sizeof *lc);

    if (lc && !t->call.scratch_free) {
        list_init(&lc->link);
        t->call.scratch_free = lock_call_end;
    }
    return lc;
}

int wait_for_lock_locked(struct task *t, struct file_locks *ls, struct lock_call *lc,
                         const void *owner, const void *blocker, bool deadlock_check)
{
    if (deadlock_check && would_deadlock_locked(owner, blocker))
        return -EDEADLK;
    lc->owner = owner;
    lc->blocker = blocker;
    if (list_empty(&lc->link))
        list_add_tail(&waiters, &lc->link);
    return task_wait(t, &ls->wq, 0);
}

/* Is somebody inside in the way of want? 0, -EAGAIN, or waits. */
static int blocked_locked(struct task *t, struct file_locks *ls, struct lock_call *lc,
                          const struct file_lock *want, bool wait)
{
    struct file_lock *other = overlap_locked(ls, want, /* own= */ false);

    if (!other)
        return 0;
    if (!wait)
        return -EAGAIN;
    return wait_for_lock_locked(t, ls, lc, want->owner,
                                other->kind == KIND_POSIX ? other->owner : NULL,
                                want->kind == KIND_POSIX);
}

/* Before want is noted here: on the host. */
static int host_first(struct task *t, struct file *f, struct lock_call *lc, struct file_lock *want,
                      bool wait)
{
    bool unlock_it = lc->fl.l_type == F_UNLCK;
    struct file_locks *ls;
    int r = 0;

    lock(&locks_lock);
    list_del(&lc->link);
    ls = inode_locks_locked(f->inode);
    if (!ls)
        r = -ENOLCK;
    else if (!unlock_it)
        r = blocked_locked(t, ls, lc, want, wait);
    unlock(&locks_lock);
    if (r < 0)
        return r;
    r = lock_on_host(t, f, want, lc->fl.l_type);
    return r == -EAGAIN && wait ? lock_wait_for_host(t, f->inode, lc, want->owner) : r;
}

static int set_locked(struct task *t, struct file *f, struct lock_call *lc, struct file_lock *want,
                      bool wait, struct file_lock *spare[2])
{
    struct file_locks *ls = inode_locks_locked(f->inode);
    bool unlock_it = lc->fl.l_type == F_UNLCK;
    int r = 0;

    if (!ls)
        return -ENOLCK;
    list_del(&lc->link);
    /* What the host has given us no one inside has, but who is about to note that it gave it back. */
    if (!unlock_it && !lock_hosted(f))
        r = blocked_locked(t, ls, lc, want, wait);
    if (r < 0)
        return r;
    apply_locked(ls, want, unlock_it, spare);
    wq_wake_all(&ls->wq, 0);
    return 0;
}

int locks_set(struct task *t, struct file *f, struct lock_call *lc, bool wait, bool ofd)
{
    struct file_lock *spare[2] = { NULL, NULL };
    struct file_lock want;
    int r;

    if (!f->inode)
        return -EBADF;
    if ((lc->fl.l_type == F_RDLCK && !(f->mode & FMODE_READ)) ||
        (lc->fl.l_type == F_WRLCK && !(f->mode & FMODE_WRITE)))
        return -EBADF;
    if (lc->fl.l_type != F_RDLCK && lc->fl.l_type != F_WRLCK && lc->fl.l_type != F_UNLCK)
        return -EINVAL;
    r = lock_of(t, f, &lc->fl, ofd, &want);
    if (r < 0)
        return r;
    spare[0] = lock_new(lc->fl.l_type == F_UNLCK);
    spare[1] = lock_new(lc->fl.l_type == F_UNLCK);
    r = spare[0] && spare[1] ? 0 : -ENOLCK;
    if (r == 0 && lock_hosted(f))
        r = host_first(t, f, lc, &want, wait);
    if (r == 0) {
        lock(&locks_lock);
        r = set_locked(t, f, lc, &want, wait, spare);
        unlock(&locks_lock);
    }
    lock_free(spare[0]);
    lock_free(spare[1]);
    return r;
}

void lock_tell(const struct file_lock *l, struct lx_flock *ret)
{
    *ret = (struct lx_flock){
        .l_type = l->write ? F_WRLCK : F_RDLCK,
        .l_whence = SEEK_SET,
        .l_start = l->start,
        .l_len = l->end == INT64_MAX ? 0 : l->end - l->start + 1,
        .l_pid = l->pid,
    };
}

int locks_get(struct task *t, struct file *f, struct lx_flock *fl, bool ofd)
{
    struct file_lock want, *l = NULL;
    int r;

    if (!f->inode)
        return -EBADF;
    if (fl->l_type != F_RDLCK && fl->l_type != F_WRLCK && !(ofd && fl->l_type == F_UNLCK))
        return -EINVAL;
    r = lock_of(t, f, fl, ofd, &want);
    if (r < 0)
        return r;
    lock(&locks_lock);
    if (has_locks(f->inode))
        l = overlap_locked(f->inode->flocks, &want, fl->l_type == F_UNLCK);
    if (l)
        lock_tell(l, fl);
    unlock(&locks_lock);
    if (l)
        return 0;
    if (lock_hosted(f) && fl->l_type != F_UNLCK)
        return lock_get_of_host(t, f, &want, fl);
    fl->l_type = F_UNLCK;
    return 0;
}

/* Drops every record (kind KIND_FLOCK: flock) of owner. */
static void drop_owner(struct inode *i, enum lock_kind kind, const void *owner)
{
    struct file_lock *l, *tmp;
    struct file_locks *ls;
    bool any = false;

    LOCK_SCOPE(&locks_lock);
    ls = i->flocks;
    list_for_each_safe(l, tmp, kind == KIND_FLOCK ? &ls->flocks : &ls->records, link) {
        if (l->owner == owner && l->kind == kind) {
            remove_lock(l);
            any = true;
        }
    }
    if (any)
        wq_wake_all(&ls->wq, 0);
}

void locks_posix_gone(struct file *f, struct files *owner)
{
    if (!has_locks(f->inode))
        return;
    lock_drop_on_host(f, owner);
    drop_owner(f->inode, KIND_POSIX, owner);
}

void locks_file_gone(struct file *f)
{
    if (!has_locks(f->inode))
        return;
    lock_drop_on_host(f, f);
    drop_owner(f->inode, KIND_OFD, f);
    drop_owner(f->inode, KIND_FLOCK, f);
}

/* ---- the end, and /proc/locks ---- */

void locks_inode_gone(struct inode *i)
{
    struct file_lock *l, *tmp;
    struct file_locks *ls = i->flocks;

    if (!ls)
        return;
    ktimer_cancel_sync(&ls->retry); /* nobody waits any more who would arm it again */
    LOCK_SCOPE(&locks_lock);
    list_for_each_safe(l, tmp, &ls->records, link)
        remove_lock(l);
    list_for_each_safe(l, tmp, &ls->flocks, link)
        remove_lock(l);
    list_del(&ls->all);
    i->flocks = NULL;
    wq_done(&ls->wq);
    kfree(ls);
}

static void print_lock(const struct file_lock *l, const struct inode *i, int nr,
                       void (*emit)(void *arg, const char *line), void *arg)
{
    static const char *const kinds[] = { "POSIX ", "OFDLCK", "FLOCK " };
    char line[160], end[24] = "EOF";

    if (l->end != INT64_MAX)
        snprintf(end, sizeof end, "%" PRId64, l->end);
    snprintf(line, sizeof line, "%d: %s ADVISORY  %s %d %02x:%02x:%" PRIu64 " %" PRId64 " %s\n", nr,
             kinds[l->kind], l->write ? "WRITE" : "READ ", l->pid, major(i->sb->dev),
             minor(i->sb->dev), i->ino, l->start, end);
    emit(arg, line);
}

void locks_each(void (*emit)(void *arg, const char *line), void *arg)
{
    struct file_locks *ls;
    struct file_lock *l;
    int nr = 0;

    lock(&locks_lock);
    list_for_each(ls, &all_inodes, all) {
        list_for_each(l, &ls->records, link)
            print_lock(l, ls->inode, ++nr, emit, arg);
        list_for_each(l, &ls->flocks, link)
            print_lock(l, ls->inode, ++nr, emit, arg);
    }
    unlock(&locks_lock);
    lease_each(emit, arg, &nr);
}
