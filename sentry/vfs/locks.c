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
 * What is shared with the host (super_ops.lock) is locked there too: when nobody inside is in the way
 * the host is asked, and only then is the lock noted here; it is given back there first. So what is
 * held here is held there, and two owners inside never compete for it there. Nobody tells us when a
 * program of the host lets go: who waits for that tries again after a millisecond, later after 16.
 *
 * locks_lock (LOCK_OBJECT) guards everything; inode->flocks is set under it and read without it by
 * closes, which have nothing to do where it is NULL.
 */
#include "sentry/vfs/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/vfs/vfs.h"

enum lock_kind { KIND_POSIX, KIND_OFD, KIND_FLOCK };

struct file_lock {
    struct list link; /* in its inode's list, by start */
    enum lock_kind kind;
    const void *owner; /* struct files (POSIX) or struct file */
    bool write;
    int64_t start, end; /* inclusive */
    pid_t pid;
};

struct file_locks {
    struct list all; /* every inode that has some */
    struct inode *inode;
    struct list records, flocks;
    struct waitqueue wq;
    struct ktimer retry; /* what others on the host hold is tried again: wakes wq */
    ktime_t retry_at;    /* KTIME_NEVER: not armed */
};

static struct lock locks_lock;
static struct list all_inodes = LIST_INIT(all_inodes);
static struct list waiters = LIST_INIT(waiters); /* struct lock_call */

__attribute__((constructor)) static void locks_init(void)
{
    lock_init(&locks_lock, LOCK_OBJECT);
}

static void retry_now(struct ktimer *tm)
{
    struct file_locks *l = container_of(tm, struct file_locks, retry);

    LOCK_SCOPE(&locks_lock);
    l->retry_at = KTIME_NEVER;
    wq_wake_all(&l->wq, 0);
}

static struct file_locks *inode_locks_locked(struct inode *i)
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
    ktimer_init(&l->retry, retry_now);
    l->retry_at = KTIME_NEVER;
    list_add_tail(&all_inodes, &l->all);
    __atomic_store_n(&i->flocks, l, __ATOMIC_SEQ_CST);
    return l;
}

static bool has_locks(const struct inode *i)
{
    return __atomic_load_n(&i->flocks, __ATOMIC_SEQ_CST) != NULL;
}

static _Atomic uint64_t nlocks; /* those that are spare for a moment too */
/* always: beyond the limit too, for what is to be unlocked */
static struct file_lock *lock_new(bool always)
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

static void lock_free(struct file_lock *l)
{
    if (l)
        limit_give(&nlocks);
    kfree(l);
}

static void remove_lock(struct file_lock *l)
{
    list_del(&l->link);
    lock_free(l);
}

/* ---- records ---- */
static struct file_lock *conflict_locked(struct file_locks *ls, const struct file_lock *want)
{
    struct file_lock *l;

    list_for_each(l, &ls->records, link)
        if (l->owner != want->owner && (l->write || want->write) && l->start <= want->end &&
            want->start <= l->end)
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

/* Waits because of what blocker holds; the place in the line is kept from run to run. */
static int wait_for_lock_locked(struct task *t, struct file_locks *ls, struct lock_call *lc,
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

#define RETRY_MIN 1000000ll /* ns */
#define RETRY_DOUBLINGS 4u

/* Waits because somebody on the host holds it. */
static int wait_for_host(struct task *t, struct inode *i, struct lock_call *lc, const void *owner)
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

static bool hosted(const struct file *f)
{
    return f->inode->sb && f->inode->sb->ops->lock;
}

/* Takes or gives back (type) l's range on the host. 0, -EAGAIN, or another error. */
static int host_lock(struct task *t, struct file *f, const struct file_lock *l, int type)
{
    const struct host_lock h = { .owner = l->owner,
                                 .flock = l->kind == KIND_FLOCK,
                                 .type = type,
                                 .start = l->start,
                                 .end = l->end };

    return f->inode->sb->ops->lock(t, f, &h);
}

/* Is somebody inside in the way of want? 0, -EAGAIN, or waits. */
static int blocked_locked(struct task *t, struct file_locks *ls, struct lock_call *lc,
                          const struct file_lock *want, bool wait)
{
    struct file_lock *other = conflict_locked(ls, want);

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
    r = host_lock(t, f, want, lc->fl.l_type);
    return r == -EAGAIN && wait ? wait_for_host(t, f->inode, lc, want->owner) : r;
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
    if (!unlock_it && !hosted(f))
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
    if (r == 0 && hosted(f))
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

static void tell(const struct file_lock *l, struct lx_flock *ret)
{
    *ret = (struct lx_flock){
        .l_type = l->write ? F_WRLCK : F_RDLCK,
        .l_whence = SEEK_SET,
        .l_start = l->start,
        .l_len = l->end == INT64_MAX ? 0 : l->end - l->start + 1,
        .l_pid = l->pid,
    };
}

/* Who holds it on the host has no number inside: 0, as Linux has it for other pid namespaces. */
static int get_of_host(struct task *t, struct file *f, const struct file_lock *want,
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
        tell(&(struct file_lock){ .write = h.type == F_WRLCK, .start = h.start, .end = h.end }, ret);
    return 0;
}

int locks_get(struct task *t, struct file *f, struct lx_flock *fl, bool ofd)
{
    struct file_lock want, *l = NULL;
    int r;

    if (!f->inode)
        return -EBADF;
    if (fl->l_type != F_RDLCK && fl->l_type != F_WRLCK)
        return -EINVAL;
    r = lock_of(t, f, fl, ofd, &want);
    if (r < 0)
        return r;
    lock(&locks_lock);
    if (has_locks(f->inode))
        l = conflict_locked(f->inode->flocks, &want);
    if (l)
        tell(l, fl);
    unlock(&locks_lock);
    if (l)
        return 0;
    if (hosted(f))
        return get_of_host(t, f, &want, fl);
    fl->l_type = F_UNLCK;
    return 0;
}

/* On the host, before it is noted here: owner gives back what it has of f's inode. */
static void host_drop(struct file *f, const void *owner)
{
    struct file_lock *l;
    bool any = false;

    if (!hosted(f))
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
    host_drop(f, owner);
    drop_owner(f->inode, KIND_POSIX, owner);
}

void locks_file_gone(struct file *f)
{
    if (!has_locks(f->inode))
        return;
    host_drop(f, f);
    drop_owner(f->inode, KIND_OFD, f);
    drop_owner(f->inode, KIND_FLOCK, f);
}

/* ---- flock ---- */

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
    r = host_lock(t, f, &want,
                  how == LOCK_UN   ? F_UNLCK
                  : how == LOCK_EX ? F_WRLCK
                                   : F_RDLCK);
    return r == -EAGAIN && !(op & LOCK_NB) ? wait_for_host(t, f->inode, lc, f) : r;
}

int locks_flock(struct task *t, struct file *f, int op)
{
    struct lock_call *lc = locks_call(t);
    struct file_lock *spare = lock_new(op & LOCK_UN);
    int r = -ENOLCK;

    if (!f->inode)
        r = -EBADF;
    else if (lc && spare) {
        bool host = hosted(f);

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

    LOCK_SCOPE(&locks_lock);
    list_for_each(ls, &all_inodes, all) {
        list_for_each(l, &ls->records, link)
            print_lock(l, ls->inode, ++nr, emit, arg);
        list_for_each(l, &ls->flocks, link)
            print_lock(l, ls->inode, ++nr, emit, arg);
    }
}
