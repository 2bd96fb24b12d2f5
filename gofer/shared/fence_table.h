/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every host call that the second gofer may make once it is fenced (abi/fence_rule.h), the one that
 * serves what is shared live (--bind SRC:DST:rw). It changes names and attributes beneath its exports,
 * and opens for the sentry what the caller may open; it makes no device, no socket, no process and no
 * executable page, and writes no byte itself. Where it may open is Landlock's part, and that of its
 * detached mounts, for openat2's flags lie behind a pointer.
 */
#pragma once

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "abi/fence_rule.h"

#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif

#define FENCE_DEFAULT SCMP_ACT_KILL_PROCESS

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define FORBIDDEN_CLONE                                                                            \
    (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |     \
     CLONE_NEWCGROUP | CLONE_PTRACE | CLONE_VFORK)

#define FUTEX_IS(op) FENCE_ARG(1, ~(uint64_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME), op)

static const struct fence_rule fence_rules[] = {
    /* its own memory and threads */
    ALLOW_IF(futex, "mutexes, condition variables", FUTEX_IS(FUTEX_WAIT)),
    ALLOW_IF(futex, "the same; no priority inheritance", FUTEX_IS(FUTEX_WAKE)),
    ALLOW_IF(futex, "condition variables", FUTEX_IS(FUTEX_REQUEUE)),
    ALLOW_IF(sched_setaffinity, "goes to its caller's cpu", FENCE_ARG(0, ~0ull, 0)),
    ALLOW_IF(mmap, "malloc, thread stacks; nothing executable", FENCE_ARG(2, PROT_EXEC, 0)),
    ALLOW_IF(mprotect, "guard pages; nothing executable", FENCE_ARG(2, PROT_EXEC, 0)),
    ALLOW(munmap, "malloc, thread stacks"),
    ALLOW_IF(madvise, "malloc gives back", FENCE_ARG(2, 0xffffffffull, MADV_DONTNEED)),
    ALLOW(clock_gettime, "where the vDSO cannot answer"),
    ALLOW(rt_sigprocmask, "start of a thread"),
    ALLOW(rt_sigreturn, "a handler returns"),
    ALLOW(restart_syscall, "a call stopped by SIGSTOP goes on"),
    ALLOW_IF(clone, "a worker thread and nothing else",
             FENCE_ARG(0, THREAD_FLAGS | FORBIDDEN_CLONE, THREAD_FLAGS)),
    ALLOW(exit, "end of a thread"),
    ALLOW(exit_group, "the sentry is gone"),

    /* the channel */
    ALLOW(recvfrom, "requests"),
    ALLOW(sendmsg, "answers, with descriptors"),
    ALLOW(close, "descriptors it is done with"),
    ALLOW_IF(fcntl, "a second descriptor for a node", FENCE_ARG(1, ~0ull, F_DUPFD_CLOEXEC)),
    ALLOW_IF(fcntl, "is it open for reading or O_PATH", FENCE_ARG(1, ~0ull, F_GETFL)),
    ALLOW_IF(fcntl, "and that it is close-on-exec, which musl says twice",
             FENCE_ARG(1, ~0ull, F_SETFD)),

    /* looking at what lies in its directories */
    ALLOW(statx, "attributes"),
    ALLOW(fstatfs, "figures of a file system"),
    ALLOW(readlinkat, "targets of links"),
    ALLOW(getdents64, "listings"),
    ALLOW(fgetxattr, "extended attributes"),
    ALLOW(flistxattr, "extended attributes"),
    ALLOW(pread64, "first bytes"),
    ALLOW(openat2, "the one way to a name"),
    ALLOW(openat, "before Linux 5.6: one name in a directory that is held open"),

    /* changing it */
    ALLOW(mkdirat, "new directories"),
    ALLOW_IF(mknodat, "FIFOs; no device", FENCE_ARG(2, S_IFMT, S_IFIFO)),
    ALLOW_IF(mknodat, "names of sockets", FENCE_ARG(2, S_IFMT, S_IFSOCK)),
    ALLOW(symlinkat, "new links"),
    ALLOW(linkat, "further names"),
    ALLOW(unlinkat, "names that go"),
    ALLOW(renameat2, "moves"),
    ALLOW(ftruncate, "sizes"),
    ALLOW(fchmod, "modes of files that are open"),
    ALLOW(fchmodat2, "modes"),
    ALLOW(fchownat, "owners, as the caller may"),
    ALLOW(utimensat, "times"),
    ALLOW(fsetxattr, "extended attributes"),
    ALLOW(fremovexattr, "extended attributes"),
    ALLOW(fsync, "directories that are to reach the disk"),
    ALLOW(syncfs, "all that is to reach it"),

    /* locks, and changes of the host */
    ALLOW(flock, "locks of whole files, without waiting"),
    ALLOW_IF(fcntl, "locks of ranges", FENCE_ARG(1, ~0ull, F_OFD_SETLK)),
    ALLOW_IF(fcntl, "who has one", FENCE_ARG(1, ~0ull, F_OFD_GETLK)),
    ALLOW(inotify_init1, "a queue for the sentry"),
    ALLOW(inotify_add_watch, "what is watched"),
    ALLOW(inotify_rm_watch, "and not any more"),
    ALLOW(fchdir, "to the directory of what is watched, which has no other way"),

    /* what glibc does in its own ways */
    GLIBC(futex, "all that its locks use"),
    GLIBC(sched_yield, "locks"),
    GLIBC(brk, "malloc"),
    GLIBC(mremap, "realloc"),
    GLIBC(madvise, "stacks of ended threads"),
    GLIBC(getrandom, "malloc's key"),
    GLIBC(gettid, "locks"),
    GLIBC(getpid, "abort()"),
    GLIBC(rt_sigaction, "its own two signals, at the first thread"),
    GLIBC(set_robust_list, "start of a thread"),
    GLIBC(rseq, "start of a thread"),
    GLIBC_REFUSE(clone3, ENOSYS, "flags behind a pointer; the C library then uses clone"),

    /* sanitizers */
    WIDE(write, "reports"),
    WIDE(read, "/proc/self/maps"),
    WIDE(open, "/proc/self"),
    WIDE(readlink, "/proc/self/exe"),
    WIDE(newfstatat, "its files"),
    WIDE(fstat, "its files"),
    WIDE(lseek, "its files"),
    WIDE(sigaltstack, "stacks of threads"),
    WIDE(prctl, "names of mappings"),
    WIDE(prlimit64, "stack bounds"),
    WIDE(sched_getaffinity, "stack bounds"),
    WIDE(tgkill, "abort()"),
    WIDE(sysinfo, "memory"),
    WIDE(uname, "version"),
    WIDE(nanosleep, "locks"),
    WIDE(clock_nanosleep, "locks"),
    WIDE(getuid, "checks"),
    WIDE(getppid, "leak check"),
    WIDE(wait4, "leak check"),
    WIDE(ioctl, "is it a terminal"),
    WIDE(gettimeofday, "time"),
};
