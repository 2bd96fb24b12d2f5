/* SPDX-License-Identifier: Apache-2.0 */
/* See opcalls.h. */
#include "platform/shared/opcalls.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

int stub_call_of(enum as_op_kind kind)
{
    static const uint16_t calls[] = {
        [AS_MUNMAP] = SYS_munmap,
        [AS_MPROTECT] = SYS_mprotect,
        [AS_MREMAP] = SYS_mremap,
        [AS_MADVISE] = SYS_madvise,
        [AS_MSYNC] = SYS_msync,
        [AS_MLOCK] = SYS_mlock2,
        [AS_MUNLOCK] = SYS_munlock,
        [AS_MINCORE] = SYS_mincore,
        [AS_MEMBARRIER] = SYS_membarrier,
        [AS_CLOSE] = SYS_close,
        [AS_RSEQ] = SYS_rseq,
        [AS_MSEAL] = SYS_mseal,
        [AS_MLOCKALL] = SYS_mlockall,
        [AS_MUNLOCKALL] = SYS_munlockall,
        [AS_PRCTL] = SYS_prctl,
    };

    return kind < ARRAY_SIZE(calls) && calls[kind] ? calls[kind] : -EINVAL;
}

uint64_t stub_clone_flags(unsigned f)
{
    uint64_t host;

    if (f & AS_CLONE_THREAD)
        host = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    else
        host = SIGCHLD | CLONE_PARENT | (f & AS_CLONE_VM ? CLONE_VM : 0);
    if (f & AS_CLONE_SETTLS)
        host |= CLONE_SETTLS;
    if (f & AS_CLONE_CLEARTID)
        host |= CLONE_CHILD_CLEARTID;
    return host;
}
