/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl(PROCMAP_QUERY) of /proc/PID/maps. */
#pragma once

#include <stdint.h>

struct lx_procmap_query {
    uint64_t size, query_flags, query_addr;
    uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
    uint64_t vma_name_addr, build_id_addr;
};

#define LX_PROCMAP_QUERY 0xc0686611u /* _IOWR('f', 17, struct lx_procmap_query) */
#define LX_PROCMAP_PROT 7u           /* readable, writable, executable: as PROT_* */
#define LX_PROCMAP_SHARED 8u
#define LX_PROCMAP_COVERING_OR_NEXT 0x10u
#define LX_PROCMAP_FILE_BACKED 0x20u
