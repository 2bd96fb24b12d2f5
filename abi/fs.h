/* SPDX-License-Identifier: Apache-2.0 */
/* Structures of calls on files: vectors, locks, directory entries, openat2. */
#pragma once

#include "abi/types.h"

struct lx_iovec {
    gaddr_t base;
    uint64_t len;
};

struct lx_flock {
    int16_t l_type, l_whence;
    uint32_t pad0_;
    int64_t l_start, l_len;
    int32_t l_pid;
    uint32_t pad1_;
};

struct lx_f_owner_ex {
    int32_t type, pid;
};

struct lx_dirent64 { /* reclen: a multiple of 8 */
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
} __attribute__((packed));

struct lx_dirent { /* the type is the last byte of the record */
    uint64_t ino, off;
    uint16_t reclen;
    char name[];
} __attribute__((packed));

struct lx_open_how {
    uint64_t flags, mode, resolve;
};
#define LX_OPEN_HOW_SIZE_VER0 24

struct lx_file_handle { /* and handle_bytes bytes */
    uint32_t handle_bytes;
    int32_t handle_type;
};

#define LX_AT_HANDLE_FID 0x200
#define LX_AT_HANDLE_MNT_ID_UNIQUE 0x001

struct lx_fsxattr { /* FS_IOC_FSGETXATTR */
    uint32_t fsx_xflags, fsx_extsize, fsx_nextents, fsx_projid, fsx_cowextsize;
    uint8_t pad_[8];
};

struct lx_cachestat_range {
    uint64_t off, len;
};

struct lx_cachestat {
    uint64_t nr_cache, nr_dirty, nr_writeback, nr_evicted, nr_recently_evicted;
};
