/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/uffd.h"

#include <linux/userfaultfd.h>

#include "tests/unit/abi/same.h"

static const struct same uffd[] = {
    SIZE(lx_uffd_msg, uffd_msg),
    AT(lx_uffd_msg, fault.flags, uffd_msg, arg.pagefault.flags),
    AT(lx_uffd_msg, fault.address, uffd_msg, arg.pagefault.address),
    AT(lx_uffd_msg, fault.ptid, uffd_msg, arg.pagefault.feat.ptid),
    AT(lx_uffdio_register, ioctls, uffdio_register, ioctls),
    AT(lx_uffdio_copy, copy, uffdio_copy, copy),
    AT(lx_uffdio_fill, done, uffdio_zeropage, zeropage),
    VALUE(LX_UFFD_API, UFFD_API),
    VALUE(LX_UFFDIO_API, UFFDIO_API),
    VALUE(LX_UFFDIO_REGISTER, UFFDIO_REGISTER),
    VALUE(LX_UFFDIO_UNREGISTER, UFFDIO_UNREGISTER),
    VALUE(LX_UFFDIO_WAKE, UFFDIO_WAKE),
    VALUE(LX_UFFDIO_COPY, UFFDIO_COPY),
    VALUE(LX_UFFDIO_ZEROPAGE, UFFDIO_ZEROPAGE),
    VALUE(LX_UFFDIO_WP, UFFDIO_WRITEPROTECT),
    VALUE(LX_UFFDIO_CONTINUE, UFFDIO_CONTINUE),
    VALUE(LX_UFFDIO_POISON, 0xc020aa08), /* later than some headers */
    VALUE(LX_UFFDIO_MOVE, 0xc028aa05),
    VALUE(LX_USERFAULTFD_IOC_NEW, 0xaa00),
    VALUE(LX_UFFD_WP, UFFD_FEATURE_PAGEFAULT_FLAG_WP),
    VALUE(LX_UFFD_MISSING_SHMEM, UFFD_FEATURE_MISSING_SHMEM),
    VALUE(LX_UFFD_SIGBUS, UFFD_FEATURE_SIGBUS),
    VALUE(LX_UFFD_THREAD_ID, UFFD_FEATURE_THREAD_ID),
    VALUE(LX_UFFD_MINOR_SHMEM, UFFD_FEATURE_MINOR_SHMEM),
    VALUE(LX_UFFD_EXACT_ADDRESS, UFFD_FEATURE_EXACT_ADDRESS),
    VALUE(LX_UFFD_WP_SHMEM, UFFD_FEATURE_WP_HUGETLBFS_SHMEM),
    VALUE(LX_UFFD_MODE_MINOR, UFFDIO_REGISTER_MODE_MINOR),
    VALUE(LX_UFFD_EVENT_PAGEFAULT, UFFD_EVENT_PAGEFAULT),
    VALUE(LX_UFFD_FAULT_WP, UFFD_PAGEFAULT_FLAG_WP),
    VALUE(LX_UFFD_FAULT_MINOR, UFFD_PAGEFAULT_FLAG_MINOR),
    VALUE(LX_UFFD_USER_MODE_ONLY, UFFD_USER_MODE_ONLY),
};

SAME_MAIN("userfaultfd", uffd)
