/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every host call the sentry may make once it is fenced (abi/fence_rule.h). It makes no process, no
 * socket, no executable page and no ring; what it opens lies in its own procfs or an empty root.
 * Anything else ends the sandbox: it can only be a compromise. Where one call does what another
 * would, there is one (abi/hostio.h), and what is made once is made before the fence stands.
 */
#pragma once

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <linux/types.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU 31
#endif
#ifndef PTRACE_SYSEMU_SINGLESTEP
#define PTRACE_SYSEMU_SINGLESTEP 32
#endif

#include "abi/fence_rule.h"
#include "abi/hostfd.h"
#include "abi/uffd.h"

#define FENCE_DEFAULT SCMP_ACT_KILL_PROCESS

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define FORBIDDEN_CLONE                                                                            \
    (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |     \
     CLONE_NEWCGROUP | CLONE_PTRACE | CLONE_VFORK)
#define IOCTL_IS(cmd) FENCE_ARG(1, 0xffffffffull, (uint32_t)(cmd))

#define FUTEX_IS(op) FENCE_ARG(1, ~(uint64_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME), op)
#define SIG_IS(arg, sig) FENCE_ARG(arg, 0xffffffffull, sig)
#define PTRACE_IS(request) FENCE_ARG(0, ~0ull, request)
#define SIG_KICK SIGURG   /* platform/stub/blob.h */
#define SIG_NUDGE SIGUSR2 /* platform/trap/trap.h */

/* The numbers above the channels: those in their 64 with a bit of 3 to 5, and those with one of 7 to 19. */
#define CLOSE_WITH(bit)                                                                            \
    ALLOW_IF(close, "the same",                                                                    \
             FENCE_ARG(0, ~(uint64_t)(HOSTFD_CHANNELS - 1) | 1u << (bit),                          \
                       HOSTFD_CHANNELS | 1u << (bit)))
#define CLOSE_ABOVE(bit)                                                                           \
    ALLOW_IF(close, "the same", FENCE_ARG(0, 0xffffffff00000000ull | 1u << (bit), 1u << (bit)))

static const struct fence_rule fence_rules[] = {
    /* its own memory and threads */
    ALLOW_IF(futex, "locks, workers; parked stubs", FUTEX_IS(FUTEX_WAIT)),
    ALLOW_IF(futex, "the same; no priority inheritance", FUTEX_IS(FUTEX_WAKE)),
    ALLOW_IF(futex, "condition variables", FUTEX_IS(FUTEX_REQUEUE)),
    ALLOW_IF(futex, "waits with a deadline", FUTEX_IS(FUTEX_WAIT_BITSET)),
    ALLOW_IF(futex, "their end", FUTEX_IS(FUTEX_WAKE_BITSET)),
    ALLOW(sched_yield, "a leader that spins lets others in; the guest's sched_yield"),
    ALLOW_IF(mmap, "malloc, thread stacks, channels; nothing executable",
             FENCE_ARG(2, PROT_EXEC, 0)),
    ALLOW_IF(mprotect, "guard pages; nothing executable", FENCE_ARG(2, PROT_EXEC, 0)),
    ALLOW(munmap, "malloc, channels of ended stubs"),
    ALLOW_IF(madvise, "malloc gives back", FENCE_ARG(2, 0xffffffffull, MADV_DONTNEED)),
    ALLOW(getrandom, "nonces, AT_RANDOM, the guest's getrandom"),
    ALLOW(clock_gettime, "clocks of processor time; where the vDSO cannot answer"),
    ALLOW(rt_sigprocmask, "start of a thread"),
    ALLOW(rt_sigreturn, "a handler returns"),
    ALLOW(restart_syscall, "a call stopped by SIGSTOP goes on"),
    ALLOW_IF(clone, "a worker thread and nothing else",
             FENCE_ARG(0, THREAD_FLAGS | FORBIDDEN_CLONE, THREAD_FLAGS)),
    ALLOW(exit, "end of a thread"),
    ALLOW(exit_group, "end of the sandbox"),
    ALLOW(sched_setaffinity, "a leader goes to its stub's cpu; guest threads that ask for it"),

    /* the event thread, the reaper, and what they watch */
    ALLOW(timerfd_settime, "their nearest deadline"),
    ALLOW(epoll_ctl, "what is watched"),
    ALLOW(epoll_pwait, "waiting for it"),
    ALLOW(ppoll, "is a host stream or a listener ready; back-off"),

    /* descriptors that it was given or made */
    ALLOW(pread64, "files of the gofer, memory files, its procfs"),
    ALLOW(pwrite64, "memory files, a stub's memory"),
    ALLOW(preadv2, "host streams, without waiting"),
    ALLOW(pwritev2, "host streams, without waiting; the trace and the log"),
    ALLOW_IF(ioctl, "bytes waiting in a host stream", IOCTL_IS(FIONREAD)),
    ALLOW_IF(ioctl, "bytes that its other end has not got yet", IOCTL_IS(TIOCOUTQ)),
    ALLOW(lseek, "standard streams that are files; holes of memory files"),
    ALLOW(fstat, "standard streams, memory files"),
    ALLOW(fsync, "standard streams that are files"),
    ALLOW_IF(close, "what it is done with; never a channel, whose number another socket could get",
             FENCE_ARG(0, ~(uint64_t)(HOSTFD_CHANNELS - 1), 0)),
    CLOSE_WITH(3),
    CLOSE_WITH(4),
    CLOSE_WITH(5),
    CLOSE_ABOVE(7),
    CLOSE_ABOVE(8),
    CLOSE_ABOVE(9),
    CLOSE_ABOVE(10),
    CLOSE_ABOVE(11),
    CLOSE_ABOVE(12),
    CLOSE_ABOVE(13),
    CLOSE_ABOVE(14),
    CLOSE_ABOVE(15),
    CLOSE_ABOVE(16),
    CLOSE_ABOVE(17),
    CLOSE_ABOVE(18),
    CLOSE_ABOVE(19),
    ALLOW_IF(fcntl, "flags of streams", FENCE_ARG(1, ~0ull, F_GETFL)),
    ALLOW_IF(fcntl, "the terminal's socket does not block", FENCE_ARG(1, ~0ull, F_SETFL)),
    ALLOW_IF(fcntl, "close-on-exec, which musl says twice", FENCE_ARG(1, ~0ull, F_SETFD)),
    ALLOW_IF(fcntl, "seals of memory files", FENCE_ARG(1, ~0ull, F_ADD_SEALS)),
    ALLOW_IF(memfd_create, "mapped files, channels",
             FENCE_ARG(1, ~(uint64_t)(MFD_CLOEXEC | MFD_ALLOW_SEALING), 0)),
    ALLOW(ftruncate, "memory files"),
    ALLOW(fallocate, "holes of memory files, blocks of ended threads"),
    ALLOW(recvmsg, "the gofer, the zygote, the front end"),
    ALLOW_IF(sendmsg, "its channels alone: a message may bear an address, and goes past the broker",
             FENCE_ARG(0, ~(uint64_t)(HOSTFD_NCHANNELS - 1), HOSTFD_CHANNELS)),
    ALLOW(shutdown, "the gofer's channel after nonsense; the terminal's socket at the end"),
    RING(io_uring_enter, "files of the gofer, through the restricted ring"),

    /* stubs */
    ALLOW_IF(ioctl, "calls of stubs", IOCTL_IS(SECCOMP_IOCTL_NOTIF_RECV)),
    ALLOW_IF(ioctl, "their answers", IOCTL_IS(SECCOMP_IOCTL_NOTIF_SEND)),
    ALLOW_IF(ioctl, "is a call still there", IOCTL_IS(SECCOMP_IOCTL_NOTIF_ID_VALID)),
    ALLOW_IF(ioctl, "descriptors for maps", IOCTL_IS(SECCOMP_IOCTL_NOTIF_ADDFD)),
    ALLOW_IF(ioctl, "synchronous wake-ups", IOCTL_IS(SECCOMP_IOCTL_NOTIF_SET_FLAGS)),
    ALLOW_IF(ioctl, "a stub's userfaultfd: what the guest may have", IOCTL_IS(LX_UFFDIO_API)),
    ALLOW_IF(ioctl, "what it is told of", IOCTL_IS(LX_UFFDIO_REGISTER)),
    ALLOW_IF(ioctl, "and no more", IOCTL_IS(LX_UFFDIO_UNREGISTER)),
    ALLOW_IF(ioctl, "a fault is looked at again", IOCTL_IS(LX_UFFDIO_WAKE)),
    ALLOW_IF(ioctl, "a page of it is filled", IOCTL_IS(LX_UFFDIO_COPY)),
    ALLOW_IF(ioctl, "with zeros", IOCTL_IS(LX_UFFDIO_ZEROPAGE)),
    ALLOW_IF(ioctl, "with what its file has there", IOCTL_IS(LX_UFFDIO_CONTINUE)),
    ALLOW_IF(ioctl, "so that a touch is SIGBUS", IOCTL_IS(LX_UFFDIO_POISON)),
    ALLOW_IF(ioctl, "it is protected from writes", IOCTL_IS(LX_UFFDIO_WP)),
    ALLOW(process_vm_readv, "a stub's memory"),
    ALLOW(process_vm_writev, "a stub's memory"),
    ALLOW(pidfd_open, "a stub's end"),
    ALLOW(pidfd_getfd, "the listener of a copied stub"),
    ALLOW_IF(pidfd_send_signal, "killing a stub", SIG_IS(1, SIGKILL)),
    ALLOW_IF(tgkill, "kicking a stub's thread", SIG_IS(2, SIG_KICK)),
    ALLOW_IF(tgkill, "is a stub's thread still there", SIG_IS(2, 0)),
    ALLOW_IF(tkill, "nudging a leader", SIG_IS(1, SIG_NUDGE)),
    ALLOW_IF(openat, "its procfs: read-only handles of memory files, stubs",
             FENCE_ARG(2, O_CREAT | O_TRUNC | O_APPEND, 0)),

    /* the platform ptrace: stubs are its tracees, all of them by way of the first */
    TRACER_IF(ptrace, "the zygote, and no other process", PTRACE_IS(PTRACE_SEIZE),
              FENCE_ARG(1, ~0ull, FENCE_TRACEE)),
    TRACER_IF(ptrace, "it stops for the first time", PTRACE_IS(PTRACE_INTERRUPT)),
    TRACER_IF(ptrace, "a stub runs", PTRACE_IS(PTRACE_CONT)),
    TRACER_IF(ptrace, "where its filter could not be installed", PTRACE_IS(PTRACE_SYSEMU)),
    TRACER_IF(ptrace, "the same, its native calls", PTRACE_IS(PTRACE_SYSCALL)),
    TRACER_IF(ptrace, "the host has stopped it", PTRACE_IS(PTRACE_LISTEN)),
    TRACER_IF(ptrace, "registers", PTRACE_IS(PTRACE_GETREGS)),
    TRACER_IF(ptrace, "registers", PTRACE_IS(PTRACE_SETREGS)),
    TRACER_IF(ptrace, "the FPU", PTRACE_IS(PTRACE_GETREGSET)),
    TRACER_IF(ptrace, "the FPU", PTRACE_IS(PTRACE_SETREGSET)),
    TRACER_IF(ptrace, "the page with the arguments of its calls", PTRACE_IS(PTRACE_POKEDATA)),
    TRACER_IF(ptrace, "the frame of a fault is written", PTRACE_IS(PTRACE_SINGLESTEP)),
    TRACER_IF(ptrace, "and read", PTRACE_IS(PTRACE_PEEKDATA)),
    TRACER_IF(ptrace, "a word is exchanged", PTRACE_IS(PTRACE_SYSEMU_SINGLESTEP)),
    TRACER_IF(ptrace, "the number of a new stub", PTRACE_IS(PTRACE_GETEVENTMSG)),
    TRACER_IF(ptrace, "faults", PTRACE_IS(PTRACE_GETSIGINFO)),
    TRACER_IF(ptrace, "how a call was made", PTRACE_IS(0x420e /* PTRACE_GET_SYSCALL_INFO */)),
    TRACER(wait4, "stops and ends of stubs"),
    TRACER_IF(tgkill, "killing a stub", SIG_IS(2, SIGKILL)),

    /* what glibc does in its own ways */
    GLIBC(futex, "all that its locks use"),
    GLIBC(brk, "malloc"),
    GLIBC(mremap, "realloc"),
    GLIBC(madvise, "stacks of ended threads"),
    GLIBC(gettid, "locks"),
    GLIBC(sched_getaffinity, "malloc() asks how many arenas it may have"),
    GLIBC(getpid, "abort()"),
    GLIBC(tgkill, "pthread_kill(), abort()"),
    GLIBC(rt_sigaction, "abort()"),
    GLIBC(set_robust_list, "start of a thread"),
    GLIBC(rseq, "start of a thread"),
    GLIBC_REFUSE(clone3, ENOSYS, "flags behind a pointer; the C library then uses clone"),
    GLIBC(epoll_wait, "epoll_wait()"),
    GLIBC(newfstatat, "fstat()"),

    /* sanitizers */
    WIDE(open, "/proc/self"),
    WIDE(readlink, "/proc/self/exe"),
    WIDE(sigaltstack, "stacks of threads"),
    WIDE(prctl, "names of mappings"),
    WIDE(prlimit64, "stack bounds"),
    WIDE(uname, "version"),
    WIDE(write, "reports"),
    WIDE(read, "/proc/self/maps"),
    WIDE(writev, "reports"),
    WIDE(sched_getaffinity, "stack bounds"),
    WIDE(sysinfo, "memory"),
    WIDE(nanosleep, "locks"),
    WIDE(clock_nanosleep, "locks"),
    WIDE(gettimeofday, "time"),
    WIDE(getrusage, "memory"),
    WIDE(getdents64, "/proc/self/task"),
    WIDE(getuid, "checks"),
    WIDE(getppid, "leak check"),
    WIDE(wait4, "leak check"),
    WIDE(ioctl, "is it a terminal"),
    WIDE(personality, "address space layout"),
};
