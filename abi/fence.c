/* SPDX-License-Identifier: Apache-2.0 */
/* Installs a filter that the build has compiled. */
#include <errno.h>
#include <stdint.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/fence.h"

int fence_apply(const struct sock_filter *filter, unsigned n)
{
    struct sock_fprog prog = {
        .len = (unsigned short)n,
        .filter = (struct sock_filter *)(uintptr_t)filter,
    };

    if (n == 0 || n > BPF_MAXINSNS)
        return -EINVAL;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
        return -errno;
    return 0;
}
