/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See lease.h. An inode's leases hang on it in a list; lease_lock guards them all, and all who wait
 * for a lease sleep on one queue, since leases are rare and are broken more rarely still.
 *
 *      F_SETLEASE                               open
 *      ----------                               ----
 *      the lease is on the inode  [S1]          the inode's count of opens goes up  [S2]
 *      look at the count          [L1]          look for leases                     [L2]
 *
 * S1 before L1 and S2 before L2, all sequentially consistent: one of the two sees the other.
 */
#include "sentry/vfs/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/fasync.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/kernel/sysctl.h"

#define LX_POLL_MSG 3 /* si_code */

struct lease {
    struct lease *next;  /* of the inode's */
    struct list all;     /* for /proc/locks */
    struct file *f;      /* whose it is; its end takes the lease off */
    struct inode *inode; /* f's */
    int fd;
    int type;                      /* F_RDLCK, F_WRLCK */
    bool ends, shrinks;            /* is being broken: to nothing, to F_RDLCK */
    ktime_t end_time, shrink_time; /* KTIME_NEVER: it is waited for without end */
    pid_t pid;
};

static struct lock lease_lock;
static struct waitqueue waiters;
static struct list all = LIST_INIT(all);

__attribute__((constructor)) static void lease_init(void)
{
    lock_init(&lease_lock, LOCK_OBJECT);
    wq_init(&waiters);
}

static void set_head(struct inode *i, struct lease *l)
{
    __atomic_store_n(&i->leases, l, __ATOMIC_SEQ_CST);
}

/* It ends: whom it belonged to is not told of I/O any more. Frees it. */
static void end_locked(struct lease *l)
{
    struct lease **p = &l->inode->leases;

    assert_locked(&lease_lock);
    while (*p != l)
        p = &(*p)->next;
    if (p == &l->inode->leases)
        set_head(l->inode, l->next);
    else
        *p = l->next;
    fasync_disown(l->f);
    list_del(&l->all);
    kfree(l);
    wq_wake_all(&waiters, 0);
}

static void become_locked(struct lease *l, int type)
{
    if (type == F_UNLCK) {
        end_locked(l);
        return;
    }
    if (type == F_RDLCK)
        l->shrinks = false;
    l->type = type;
    wq_wake_all(&waiters, 0);
}

/* What was to be given up by now is gone. */
static void expire_locked(struct inode *i, ktime_t now)
{
    struct lease *next;

    for (struct lease *l = i->leases; l; l = next) {
        next = l->next;
        if (l->ends && l->end_time <= now)
            end_locked(l);
        else if (l->shrinks && l->shrink_time <= now)
            become_locked(l, F_RDLCK);
    }
}

static struct lease *of_file_locked(const struct file *f)
{
    struct lease *l = f->inode ? f->inode->leases : NULL;

    while (l && l->f != f)
        l = l->next;
    return l;
}

/* Is the file open for others so that f cannot have that lease? */
static int opens_conflict(struct file *f, int type)
{
    struct inode *i = f->inode;
    int mine = f->mode & FMODE_WRITER ? 1 : 0;

    LOCK_SCOPE(&i->lock);
    if (type == F_RDLCK)
        return i->writers > 0 ? -EAGAIN : 0;
    return i->writers != mine || atomic_load(&i->readers) != (f->mode & FMODE_READER ? 1 : 0)
               ? -EAGAIN
               : 0;
}

static int add_locked(struct file *f, int type, struct lease **spare)
{
    struct lease *mine = NULL;
    int r = opens_conflict(f, type);

    if (r < 0)
        return r;
    for (struct lease *l = f->inode->leases; l; l = l->next) {
        if (l->f == f)
            mine = l;
        else if (type == F_WRLCK || l->ends)
            return -EAGAIN;
    }
    if (mine) {
        become_locked(mine, type);
        return 0;
    }
    if (!sysctl_of(SYSCTL_LEASES_ENABLE))
        return -EINVAL;
    mine = *spare;
    *spare = NULL;
    mine->next = f->inode->leases;
    list_add_tail(&all, &mine->all);
    set_head(f->inode, mine);
    r = opens_conflict(f, type); /* an open may have come before it saw the lease */
    if (r < 0)
        end_locked(mine);
    return r;
}

int lease_set(struct task *t, struct file *f, int fd, int type)
{
    struct inode *i = f->inode;
    struct lease *spare, *l;
    int r;

    if (type != F_RDLCK && type != F_WRLCK && type != F_UNLCK)
        return -EINVAL;
    if (i && t->cred->fsuid != i->uid && !task_capable(t, CAP_LEASE))
        return -EACCES;
    if (!i || !S_ISREG(i->mode) || i->sb->ops->lock) /* nobody would tell us of the host's opens */
        return -EINVAL;
    spare = type == F_UNLCK ? NULL : kzalloc(sizeof *spare);
    if (type != F_UNLCK && !spare)
        return -ENOMEM;
    if (spare)
        *spare = (struct lease){ .f = f, .inode = i, .fd = fd, .type = type, .pid = t->group->pid };
    lock(&lease_lock);
    expire_locked(i, ktime_now());
    if (type == F_UNLCK) {
        l = of_file_locked(f);
        r = l ? 0 : -EAGAIN;
        if (l)
            end_locked(l);
    } else {
        r = add_locked(f, type, &spare);
    }
    unlock(&lease_lock);
    if (r == 0 && type != F_UNLCK)
        fasync_own(t, f);
    kfree(spare);
    return r;
}

int lease_get(struct file *f)
{
    struct lease *l;

    if (!f->inode)
        return F_UNLCK;
    LOCK_SCOPE(&lease_lock);
    expire_locked(f->inode, ktime_now());
    l = of_file_locked(f);
    if (!l || l->ends)
        return F_UNLCK;
    return l->shrinks ? F_RDLCK : l->type;
}

static bool in_the_way(const struct lease *l, bool write)
{
    return l && (write || l->type == F_WRLCK);
}

static struct lease *first_in_the_way(const struct inode *i, bool write)
{
    struct lease *l = i->leases;

    while (l && !in_the_way(l, write))
        l = l->next;
    return l;
}

/* Whoever has what is in the way is asked, once, to give it up. */
static void ask_locked(struct inode *i, bool write)
{
    int secs = (int)sysctl_of(SYSCTL_LEASE_BREAK_TIME);
    ktime_t when = secs > 0 ? ktime_now() + (ktime_t)secs * 1000000000 : KTIME_NEVER;

    for (struct lease *l = i->leases; l; l = l->next) {
        if (!in_the_way(l, write) || l->ends || (!write && l->shrinks))
            continue;
        if (write) {
            l->ends = true;
            l->end_time = when;
        } else {
            l->shrinks = true;
            l->shrink_time = when;
        }
        fasync_tell(l->f, l->fd, LX_POLL_MSG, POLLIN | POLLRDNORM | POLLMSG);
    }
}

int lease_break_(struct task *t, struct inode *i, unsigned flags)
{
    bool write = (flags & LX_O_ACCMODE) != O_RDONLY;
    struct lease *l;
    ktime_t when;
    int r;

    LOCK_SCOPE(&lease_lock);
    expire_locked(i, ktime_now());
    if (!first_in_the_way(i, write))
        return 0;
    ask_locked(i, write);
    if (flags & O_NONBLOCK)
        return -EAGAIN;
    if (!t)
        return 0;
    l = first_in_the_way(i, write);
    when = write ? l->end_time : l->ends ? l->end_time : l->shrink_time;
    if (when != KTIME_NEVER)
        call_deadline(t, when);
    r = task_wait(t, &waiters, 0);
    if (r != -ETIMEDOUT)
        return r;
    while ((l = first_in_the_way(i, write)))
        become_locked(l, write || l->ends ? F_UNLCK : F_RDLCK);
    return 0;
}

void lease_file_gone(struct file *f)
{
    struct lease *l;

    if (!__atomic_load_n(&f->inode->leases, __ATOMIC_SEQ_CST))
        return;
    LOCK_SCOPE(&lease_lock);
    l = of_file_locked(f);
    if (l)
        end_locked(l);
}

void lease_each(void (*emit)(void *arg, const char *line), void *arg, int *nr)
{
    struct lease *l;
    char line[160];

    LOCK_SCOPE(&lease_lock);
    list_for_each(l, &all, all) {
        snprintf(line, sizeof line, "%d: LEASE  %s  %s %d %02x:%02x:%" PRIu64 " 0 EOF\n", ++*nr,
                 l->ends || l->shrinks ? "BREAKING" : "ACTIVE  ",
                 l->type == F_WRLCK && !l->ends && !l->shrinks ? "WRITE"
                 : l->ends                                     ? "UNLCK"
                                                               : "READ ",
                 l->pid, major(l->inode->sb->dev), minor(l->inode->sb->dev), l->inode->ino);
        emit(arg, line);
    }
}
