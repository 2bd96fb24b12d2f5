/* SPDX-License-Identifier: Apache-2.0 */
/* memfd_create. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "sentry/fs/mem/shmem.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/vfs.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#define MFD_EXEC 0x0010U
#endif
#ifndef MFD_HUGETLB
#define MFD_HUGETLB 0x0004U
#endif
#define MFD_HUGE_SIZES (0x3fu << 26)
#define LX_F_SEAL_EXEC 0x0020
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#define MFD_HUGE_MASK 0x3fU
#endif
#define NAME_LIMIT 249 /* NAME_MAX less "memfd:" */

long sys_memfd_create(struct task *t, gaddr_t uname, unsigned flags)
{
    char name[8 + NAME_LIMIT + 1] = "memfd:";
    bool noexec = flags & MFD_NOEXEC_SEAL;
    unsigned seals = flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) ? 0 : F_SEAL_SEAL;
    unsigned known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    struct file *f;
    ssize_t n;

    if (flags & MFD_HUGETLB)
        known |= MFD_HUGETLB | MFD_HUGE_MASK << MFD_HUGE_SHIFT;
    if (flags & ~known || (noexec && flags & MFD_EXEC))
        return -EINVAL;
    n = copy_in_str(t, name + 6, uname, NAME_LIMIT + 1);
    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : n;
    if (flags & MFD_HUGETLB) /* there are no huge pages, of any size */
        return -ENODEV;
    f = shmem_file_new(name, 0, O_RDWR);
    if (IS_ERR(f))
        return PTR_ERR(f);
    atomic_fetch_or(&f->flags, 0100000 /* O_LARGEFILE, as every open has it */);
    shmem_set_owner(f, t->cred, noexec ? 0666 : 0777, noexec ? seals | LX_F_SEAL_EXEC : seals);
    return fd_install(t, f, 0, flags & MFD_CLOEXEC);
}
