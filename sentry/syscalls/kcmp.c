/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kcmp: do two processes share something? The order it gives is that of the objects' addresses seen
 * through a secret function: a program can sort by it, and learns nothing else.
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <sys/random.h>

#include "abi/sched.h"
#include "sentry/ipc/epoll.h"
#include "sentry/kernel/access.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"

static uint64_t key[2];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
    if (getrandom(key, sizeof key, 0) != sizeof key)
        klog(1, "kcmp: no random numbers\n");
    key[1] |= 1; /* odd: no two objects become one */
}

static uint64_t disguise(const void *p)
{
    pthread_once(&key_once, make_key);
    return ((uint64_t)(uintptr_t)p ^ key[0]) * key[1];
}

static long order(const void *a, const void *b)
{
    uint64_t x = disguise(a), y = disguise(b);

    return x == y ? 0 : x < y ? 1 : 2;
}

/* The descriptor tables of both, as references; 0, -ESRCH, -EPERM. */
static int get_tables(struct task *t, pid_t pid1, pid_t pid2, struct files *ret[2])
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *a = task_find_locked(t->group->pidns, pid1),
                *b = task_find_locked(t->group->pidns, pid2);

    if (!a || !b)
        return -ESRCH;
    if (!task_may_access_locked(t, a, false) || !task_may_access_locked(t, b, false))
        return -EPERM;
    if (!a->files || !b->files)
        return -EBADF;
    ret[0] = files_ref(a->files);
    ret[1] = files_ref(b->files);
    return 0;
}

static struct file *file_at(struct files *files, unsigned long fd)
{
    LOCK_SCOPE(&files->lock);
    return fd < files->cap ? files->fds[fd].file : NULL;
}

static struct file *file_ref_at(struct files *files, unsigned long fd)
{
    struct file *f;

    LOCK_SCOPE(&files->lock);
    f = fd < files->cap ? files->fds[fd].file : NULL;
    return f ? file_ref(f) : NULL;
}

static long compare_files(struct task *t, pid_t pid1, pid_t pid2, unsigned long fd1,
                          unsigned long fd2)
{
    struct files *files[2];
    int r = get_tables(t, pid1, pid2, files);

    if (r < 0)
        return r;
    struct file *a = file_at(files[0], fd1), *b = file_at(files[1], fd2);
    files_put(files[0]);
    files_put(files[1]);
    return a && b ? order(a, b) : -EBADF; /* compared, not looked into */
}

/* A descriptor of one process against what an epoll set of the other one watches. */
static long compare_watched(struct task *t, pid_t pid1, pid_t pid2, unsigned long fd, gaddr_t uslot)
{
    struct lx_kcmp_epoll_slot slot;
    struct files *files[2];
    struct file *a, *set, *b;
    int r;

    if (get_guest(t, &slot, uslot) < 0)
        return -EFAULT;
    r = get_tables(t, pid1, pid2, files);
    if (r < 0)
        return r;
    a = file_at(files[0], fd);
    set = file_ref_at(files[1], slot.efd);
    files_put(files[0]);
    files_put(files[1]);
    if (!a || !set) {
        file_put(set);
        return -EBADF;
    }
    b = epoll_watched(set, (int)slot.tfd, slot.toff);
    file_put(set);
    return IS_ERR(b) ? PTR_ERR(b) : order(a, b);
}

long sys_kcmp(struct task *t, pid_t pid1, pid_t pid2, int type, unsigned long idx1,
              unsigned long idx2)
{
    if (type == KCMP_FILE)
        return compare_files(t, pid1, pid2, idx1, idx2);
    if (type == KCMP_EPOLL_TFD)
        return compare_watched(t, pid1, pid2, idx1, idx2);

    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *a = task_find_locked(t->group->pidns, pid1),
                *b = task_find_locked(t->group->pidns, pid2);

    if (!a || !b)
        return -ESRCH;
    if (!task_may_access_locked(t, a, false) || !task_may_access_locked(t, b, false))
        return -EPERM;
    switch (type) {
    case KCMP_VM:
        return order(a->mm, b->mm);
    case KCMP_FILES:
        return order(a->files, b->files);
    case KCMP_FS:
        return order(a->fs, b->fs);
    case KCMP_SIGHAND:
        return order(a->group->sighand, b->group->sighand);
    case KCMP_SYSVSEM:
        return order(a->sem_undos, b->sem_undos);
    case KCMP_IO:
        return 0; /* neither has any */
    default:
        return -EINVAL;
    }
}
