/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel of one sandbox: what is global, and THE TABLE OF LOCKS.
 *
 * A thread takes locks from top to bottom. Locks of one class are not nested, but for lock_pair
 * (by address) and lock_nested (parent before child). Task locks (struct tlock: inode->rw,
 * file->pos_lock, rename) come before all of these and may be held over gofer trips and waits.
 *
 *   class          lock                       guards
 *   LOCK_IPC       ids->lock (ipc/sysv)       System V's ids and objects; files are made under it
 *   LOCK_MOUNTS    vfs.mounts_lock            mount tree
 *   LOCK_DCACHE    vfs.dcache_lock            dentry tree and hash, inode table
 *   LOCK_EPOLL     epoll->lock                an epoll set's items (members are polled under it)
 *   LOCK_NET       unix/inet table locks      names and ports
 *   LOCK_SOCKET    sock->lock, conn->lock     one socket, or one connected pair
 *   LOCK_TTY       tty->lock                  one terminal pair
 *   LOCK_OBJECT    pipe, eventfd, ...         one object
 *   LOCK_INODE     inode->lock                attributes, small data, file locks
 *   LOCK_FILES     files->lock                descriptor table
 *   LOCK_FS        fs_ctx->lock               cwd, root, umask
 *   LOCK_MM        mm->lock                   record of an address space
 *   LOCK_TASKS     kernel.tasks_lock          process tree, ids, sessions, all signal state
 *   LOCK_WQ        waitqueue->lock            one queue
 *   LOCK_EPREADY   epoll_ready_lock           all ready lists, who watches what (taken from wakes)
 *   LOCK_WQ_EPOLL  an epoll set's own queue   (and of sets that watch it)
 *   LOCK_TIMERS    the timer heap
 *   LOCK_READY     ready lists of workers
 *   LOCK_PLATFORM  inside a platform
 *   LOCK_LEAF      anything that takes nothing below it
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/platform.h"
#include "sentry/kernel/lock.h"
#include "sentry/kernel/task.h"

struct kernel {
    const struct platform *platform;
    struct lock tasks_lock;
    pid_t first; /* [I] number of the first program: 2, or in a container 1 */
    char hostname[65], domainname[65];
    uint64_t host_cpus[16]; /* [I] that the sandbox may use; a worker may keep to a part of them */
    ktime_t boot_mono;      /* CLOCK_MONOTONIC at the sandbox's start */
    ktime_t boot_real;
    unsigned ncpus;
    uint64_t mem_total; /* bytes that /proc/meminfo shows */
    _Atomic unsigned ntasks;
    _Atomic uint64_t forks_total;
    int proc_fd;                             /* our own procfs, or -1 */
    uint64_t guest_utime_ns, guest_stime_ns; /* tasks_lock: of processes that have ended */
    uint64_t guest_peak_rss;                 /* tasks_lock: largest process seen */
    bool stats;                              /* time each call */
    bool strace;                             /* trace calls (sentry/strace.h) */
    bool learn;                              /* [I] record what is used (sentry/learn.h) */
};

extern struct kernel kernel;

/* Logging to --log; level 0 error, 1 warning, 2 info, 3 debug. Never the guest's terminal. */
void klog(int level, const char *fmt, ...) PRINTF_LIKE(2, 3);
