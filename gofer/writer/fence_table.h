/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every host call the writer may make once it is fenced (abi/fence_rule.h). It writes beneath one directory
 * and talks to who is there already: no socket, no process, no executable page, no owner, no device.
 * openat2's flags lie behind a pointer: that nothing is opened elsewhere is Landlock's part.
 */
#pragma once

#include <fcntl.h>
#include <sys/mman.h>

#include "abi/fence_rule.h"

#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif

#define FENCE_DEFAULT SCMP_ACT_KILL_PROCESS

static const struct fence_rule fence_rules[] = {
    ALLOW_IF(mmap, "malloc; nothing executable", FENCE_ARG(2, PROT_EXEC, 0)),
    ALLOW(munmap, "malloc"),
    ALLOW(mremap, "realloc"),
    ALLOW(brk, "malloc"),
    ALLOW_IF(madvise, "malloc gives back", FENCE_ARG(2, 0xffffffffull, MADV_DONTNEED)),
    ALLOW_IF(mprotect, "malloc; nothing executable", FENCE_ARG(2, PROT_EXEC, 0)),
    ALLOW(clock_gettime, "where the vDSO cannot answer"),
    ALLOW(rt_sigprocmask, "abort()"),
    ALLOW(rt_sigreturn, "a handler returns"),
    ALLOW(restart_syscall, "a call stopped by SIGSTOP goes on"),
    ALLOW(exit_group, "the end"),
    ALLOW(getrandom, "the name of the stage"),

    /* the sentry and the front end */
    ALLOW(read, "content, and the journal"),
    ALLOW(write, "the same"),
    ALLOW(writev, "the same, by the C library"),
    ALLOW(sendto, "requests for content, and what there is to say"),
    ALLOW(close, "descriptors it is done with"),

    /* the directory */
    ALLOW(openat2, "the one way to more than one name"),
    ALLOW(openat, "one name in a directory that is held open"),
    ALLOW(newfstatat, "what is there"),
    ALLOW(fstat, "what is open"),
    ALLOW(statx, "the same, by the C library"),
    ALLOW(getdents64, "what a removed directory holds"),
    ALLOW_IF(fcntl, "a directory is read", FENCE_ARG(1, ~0ull, F_SETFD)),
    ALLOW_IF(fcntl, "the same", FENCE_ARG(1, ~0ull, F_GETFL)),
    ALLOW_IF(lseek, "the same", FENCE_ARG(2, ~0ull, 0)),
    ALLOW(mkdirat, "new directories, and the stage"),
    ALLOW(symlinkat, "new links"),
    ALLOW(linkat, "further names; renames where a file system has but links"),
    ALLOW(renameat, "the journal"),
    ALLOW(renameat2, "moves"),
    ALLOW(unlinkat, "what was removed"),
    ALLOW(fchmod, "modes, before Linux 6.6"),
    ALLOW(fchmodat2, "modes"),
    ALLOW(utimensat, "times"),
    ALLOW(fsync, "the journal"),
    ALLOW(syncfs, "what is staged"),

    /* what glibc does in its own ways */
    GLIBC(futex, "locks"),
    GLIBC(getpid, "abort()"),
    GLIBC(gettid, "abort()"),

    /* sanitizers */
    WIDE(open, "/proc/self"),
    WIDE(readlink, "/proc/self/exe"),
    WIDE(sigaltstack, "stacks of threads"),
    WIDE(prctl, "names of mappings"),
    WIDE(prlimit64, "stack bounds"),
    WIDE(sched_getaffinity, "stack bounds"),
    WIDE(sched_yield, "locks"),
    WIDE(tgkill, "abort()"),
    WIDE(madvise, "its memory"),
    WIDE(clone, "leak check"),
    WIDE(wait4, "leak check"),
    WIDE(ptrace, "leak check"),
    WIDE(getppid, "leak check"),
    WIDE(ioctl, "is it a terminal"),
};
