/* SPDX-License-Identifier: Apache-2.0 */
/* Installs a filter that the build has compiled; drops capabilities. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/fence.h"
#include "abi/fence_tracee.h"
#include "abi/types.h"

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

int fence_apply_tracer(const struct sock_filter *filter, unsigned n, pid_t tracee)
{
    struct sock_filter own[BPF_MAXINSNS];

    if (n == 0 || n > BPF_MAXINSNS)
        return -EINVAL;
    memcpy(own, filter, n * sizeof own[0]);
    for (unsigned i = 0; i < n; i++)
        if (own[i].k == FENCE_TRACEE && BPF_CLASS(own[i].code) == BPF_JMP)
            own[i].k = (uint32_t)tracee;
    return fence_apply(own, n);
}

int fence_limits(const int *none, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (setrlimit(none[i], &(struct rlimit){ 0, 0 }) < 0)
            return -errno;
    return 0;
}

int fence_limit(int what, uint64_t max)
{
    struct rlimit rl;

    if (getrlimit(what, &rl) < 0)
        return -errno;
    rl.rlim_cur = rl.rlim_max = MIN(rl.rlim_max, (rlim_t)max);
    return setrlimit(what, &rl) < 0 ? -errno : 0;
}

void fence_no_new_code(void)
{
    prctl(65 /* PR_SET_MDWE */, 1 /* PR_MDWE_REFUSE_EXEC_GAIN */, 0, 0, 0);
}

int fence_capabilities(uint64_t keep)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { 0 } };

    for (int cap = 0; cap < 64; cap++)
        if (!(keep & 1ull << cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            if (errno == EINVAL)
                break;          /* the last one that this kernel knows */
            if (errno != EPERM) /* an ordinary user has none to drop */
                return -errno;
            break;
        }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capget, &head, data) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(keep >> 32 * i);
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}
