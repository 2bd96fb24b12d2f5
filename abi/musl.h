/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before everything else where sbx is built with musl (CMakeLists.txt): what glibc's headers
 * declare and musl 1.2.3's do not. What is missed in a later musl is a warning of the compiler.
 * With glibc it is empty.
 */
#pragma once

#include <features.h>
#ifndef __GLIBC__

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <linux/stat.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/ttydefaults.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif
#undef BLOCK_SIZE /* linux/fs.h; ours is another */

/* Aliases for old programs, which would rename system calls in our tables. */
#undef fallocate64
#undef fstat64
#undef fstatfs64
#undef ftruncate64
#undef getdents64
#undef lseek64
#undef lstat64
#undef pread64
#undef prlimit64
#undef pwrite64
#undef sendfile64
#undef stat64
#undef statfs64
#undef truncate64

#ifndef loff_t
#define loff_t off_t
#endif
#ifndef LOCK_MAND
#define LOCK_MAND 32
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

static inline int close_range(unsigned first, unsigned last, int flags)
{
    return (int)syscall(SYS_close_range, first, last, flags);
}

/* The cpu only; by the vDSO. */
static inline int getcpu(unsigned *cpu, unsigned *node)
{
    int c = sched_getcpu();

    if (node || c < 0)
        return (int)syscall(SYS_getcpu, cpu, node, NULL);
    *cpu = (unsigned)c;
    return 0;
}

static inline int statx(int dir, const char *path, int flags, unsigned mask, struct statx *st)
{
    return (int)syscall(SYS_statx, dir, path, flags, mask, st);
}

static inline ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
    return syscall(SYS_preadv2, fd, iov, n, off, 0, flags);
}

static inline ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
    return syscall(SYS_pwritev2, fd, iov, n, off, 0, flags);
}

#endif
