/* SPDX-License-Identifier: Apache-2.0 */
/* stat, statx, statfs and ustat as x86-64 has them. */
#pragma once

#include "abi/types.h"

struct lx_stat {
    uint64_t st_dev, st_ino, st_nlink;
    uint32_t st_mode, st_uid, st_gid, pad0_;
    uint64_t st_rdev;
    int64_t st_size, st_blksize, st_blocks;
    uint64_t st_atime_, st_atime_nsec;
    uint64_t st_mtime_, st_mtime_nsec;
    uint64_t st_ctime_, st_ctime_nsec;
    int64_t unused_[3];
};

struct lx_statx_timestamp {
    int64_t tv_sec;
    uint32_t tv_nsec;
    int32_t pad_;
};

struct lx_statx {
    uint32_t stx_mask, stx_blksize;
    uint64_t stx_attributes;
    uint32_t stx_nlink, stx_uid, stx_gid;
    uint16_t stx_mode, pad0_;
    uint64_t stx_ino, stx_size, stx_blocks, stx_attributes_mask;
    struct lx_statx_timestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
    uint32_t stx_rdev_major, stx_rdev_minor, stx_dev_major, stx_dev_minor;
    uint64_t stx_mnt_id;
    uint32_t stx_dio_mem_align, stx_dio_offset_align;
    uint64_t stx_subvol; /* 6.10 */
    uint32_t stx_atomic_write_unit_min, stx_atomic_write_unit_max,
        stx_atomic_write_segments_max; /* 6.11 */
    uint32_t pad1_;
    uint64_t spare_[9];
};

/* stx_mask and stx_attributes bits that our libc does not know. */
#define LX_STATX_MNT_ID 0x1000u
#define LX_STATX_DIOALIGN 0x2000u
#define LX_STATX_MNT_ID_UNIQUE 0x4000u
#define LX_STATX_SUBVOL 0x8000u
#define LX_STATX_WRITE_ATOMIC 0x10000u
#define LX_STATX_RESERVED 0x80000000u

struct lx_statfs {
    int64_t f_type, f_bsize;
    uint64_t f_blocks, f_bfree, f_bavail, f_files, f_ffree;
    int32_t f_fsid[2];
    int64_t f_namelen, f_frsize, f_flags, f_spare[4];
};

#define LX_ST_NOSYMFOLLOW 0x2000 /* f_flags */

struct lx_ustat {
    int32_t f_tfree;
    uint32_t pad_;
    uint64_t f_tinode;
    char f_fname[6], f_fpack[6];
    uint32_t pad1_;
};
