/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every host call the sentry may make once it is fenced (abi/fence_rule.h). It makes no process, no
 * socket, no executable page and no ring; what it opens lies in its own procfs or an empty root.
 * Anything else ends the sandbox: it can only be a compromise.
 */
#pragma once

#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/types.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

#include "abi/fence_rule.h"

#define FENCE_DEFAULT SCMP_ACT_KILL_PROCESS

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define FORBIDDEN_CLONE                                                                            \
    (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |     \
     CLONE_NEWCGROUP | CLONE_PTRACE | CLONE_VFORK)
#define IOCTL_IS(cmd) FENCE_ARG(1, 0xffffffffull, (uint32_t)(cmd))

static const struct fence_rule fence_rules[] = {
    /* its own memory and threads */
    ALLOW(futex, "locks, workers; parked stubs"),
    ALLOW(sched_yield, "the C library's locks"),
    ALLOW(brk, "malloc"),
    ALLOW_IF(mmap, "malloc, thread stacks, channels; nothing executable",
             FENCE_ARG(2, PROT_EXEC, 0)),
    ALLOW_IF(mprotect, "guard pages; nothing executable", FENCE_ARG(2, PROT_EXEC, 0)),
    ALLOW(munmap, "malloc, channels of ended stubs"),
    ALLOW(mremap, "realloc"),
    ALLOW(madvise, "malloc gives back, stacks of ended threads"),
    ALLOW(getrandom, "nonces, AT_RANDOM, the guest's getrandom"),
    ALLOW(clock_gettime, "where the vDSO cannot answer"),
    ALLOW(clock_getres, "the guest's clock_getres"),
    ALLOW(gettimeofday, "where the vDSO cannot answer"),
    ALLOW(gettid, "the C library's locks"),
    ALLOW(getpid, "abort()"),
    ALLOW(rt_sigprocmask, "start of a thread, abort()"),
    ALLOW(rt_sigaction, "the signal that nudges a leader"),
    ALLOW(rt_sigreturn, "a handler returns"),
    ALLOW(restart_syscall, "a call stopped by SIGSTOP goes on"),
    ALLOW(set_robust_list, "start of a thread"),
    ALLOW(rseq, "start of a thread"),
    ALLOW_IF(clone, "a worker thread and nothing else",
             FENCE_ARG(0, THREAD_FLAGS | FORBIDDEN_CLONE, THREAD_FLAGS)),
    REFUSE(clone3, ENOSYS, "flags behind a pointer; the C library then uses clone"),
    ALLOW(exit, "end of a thread"),
    ALLOW(exit_group, "end of the sandbox"),
    ALLOW(pause, "the main thread, whose end would end the zygote"),
    ALLOW(getrusage, "--stats, the guest's own figures"),
    ALLOW(sysinfo, "memory of the machine"),
    ALLOW(sched_getaffinity, "number of cpus"),
    ALLOW(getcpu, "where the vDSO cannot answer"),
    ALLOW(sched_setaffinity, "guest threads that ask for it"),
    ALLOW_IF(prctl, "names of threads", FENCE_ARG(0, ~0ull, PR_SET_NAME)),
    ALLOW(nanosleep, "back-off"),
    ALLOW(clock_nanosleep, "back-off"),

    /* the event thread and what it watches */
    ALLOW(timerfd_create, "deadlines of the event thread"),
    ALLOW(timerfd_settime, "deadlines of the event thread"),
    ALLOW(epoll_create1, "the event thread"),
    ALLOW(epoll_ctl, "the event thread"),
    ALLOW(epoll_wait, "the event thread"),
    ALLOW(epoll_pwait, "the event thread"),
    ALLOW(eventfd2, "wakes the event thread"),
    ALLOW(timerfd_create, "its nearest deadline"),
    ALLOW(timerfd_settime, "its nearest deadline"),
    ALLOW(poll, "is a host stream ready"),
    ALLOW(ppoll, "is a host stream ready"),

    /* descriptors that it was given or made */
    ALLOW(read, "streams, event descriptors"),
    ALLOW(write, "streams, event descriptors"),
    ALLOW(readv, "streams"),
    ALLOW(writev, "streams"),
    ALLOW(pread64, "files of the gofer, memory files"),
    ALLOW(pwrite64, "memory files, a stub's memory"),
    ALLOW(preadv2, "without waiting"),
    ALLOW(pwritev2, "without waiting"),
    ALLOW_IF(ioctl, "bytes waiting in a host stream", IOCTL_IS(FIONREAD)),
    ALLOW(lseek, "standard streams that are files; holes of memory files"),
    ALLOW(fstat, "standard streams"),
    ALLOW(newfstatat, "the same by libc"),
    ALLOW(fsync, "standard streams that are files"),
    ALLOW(fdatasync, "standard streams that are files"),
    ALLOW(close, "what it is done with"),
    /* not F_SETOWN, which sends signals, nor leases, nor the sizes of pipes */
    ALLOW_IF(fcntl, "how a stream was opened", FENCE_ARG(1, ~0ull, F_GETFL)),
    ALLOW_IF(fcntl, "the terminal's socket does not wait", FENCE_ARG(1, ~0ull, F_SETFL)),
    ALLOW_IF(fcntl, "seals of memory files", FENCE_ARG(1, ~0ull, F_ADD_SEALS)),
    ALLOW_IF(fcntl, "close-on-exec, which libc says twice", FENCE_ARG(1, ~0ull, F_SETFD)),
    ALLOW(memfd_create, "mapped files, channels"),
    ALLOW(ftruncate, "memory files"),
    ALLOW(fallocate, "holes of memory files, blocks of ended threads"),
    ALLOW(io_uring_enter, "files of the gofer, through the restricted ring"),
    ALLOW(recvmsg, "the gofer, the zygote, the front end"),
    ALLOW(recvfrom, "the front end"),
    ALLOW(sendmsg, "the gofer"),
    ALLOW(sendto, "the gofer, the zygote, the front end"),
    ALLOW(shutdown, "the terminal's socket at the end"),

    /* stubs */
    ALLOW_IF(ioctl, "calls of stubs", IOCTL_IS(SECCOMP_IOCTL_NOTIF_RECV)),
    ALLOW_IF(ioctl, "their answers", IOCTL_IS(SECCOMP_IOCTL_NOTIF_SEND)),
    ALLOW_IF(ioctl, "is a call still there", IOCTL_IS(SECCOMP_IOCTL_NOTIF_ID_VALID)),
    ALLOW_IF(ioctl, "descriptors for maps", IOCTL_IS(SECCOMP_IOCTL_NOTIF_ADDFD)),
    ALLOW_IF(ioctl, "synchronous wake-ups", IOCTL_IS(SECCOMP_IOCTL_NOTIF_SET_FLAGS)),
    ALLOW(process_vm_readv, "a stub's memory"),
    ALLOW(process_vm_writev, "a stub's memory"),
    ALLOW(pidfd_open, "a stub's end"),
    ALLOW(pidfd_getfd, "the listener of a copied stub"),
    ALLOW(pidfd_send_signal, "killing a stub"),
    ALLOW(tgkill, "kicking a stub's thread; nudging a leader"),
    ALLOW(tkill, "the same, where the C library is musl"),
    ALLOW_IF(openat, "its procfs: read-only handles of memory files, stubs",
             FENCE_ARG(2, O_CREAT | O_TRUNC | O_APPEND, 0)),
    ALLOW(getdents64, "its procfs"),

    /* sanitizers */
    WIDE(open, "/proc/self"),
    WIDE(readlink, "/proc/self/exe"),
    WIDE(sigaltstack, "stacks of threads"),
    WIDE(prctl, "names of mappings"),
    WIDE(prlimit64, "stack bounds"),
    WIDE(uname, "version"),
    WIDE(getuid, "checks"),
    WIDE(getppid, "leak check"),
    WIDE(wait4, "leak check"),
    WIDE(ioctl, "is it a terminal"),
    WIDE(personality, "address space layout"),
};
