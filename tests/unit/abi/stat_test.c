/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/stat.h"

#define stat kernel_stat /* libc has one, too */
#include <asm/stat.h>
#undef stat
#define statfs kernel_statfs
#include <asm/statfs.h>
#undef statfs
#define statx kernel_statx
#include <linux/stat.h>
#undef statx

#include "same.h"

static const struct same stats[] = {
    SIZE(lx_stat, kernel_stat),
    AT(lx_stat, st_dev, kernel_stat, st_dev),
    AT(lx_stat, st_ino, kernel_stat, st_ino),
    AT(lx_stat, st_nlink, kernel_stat, st_nlink),
    AT(lx_stat, st_mode, kernel_stat, st_mode),
    AT(lx_stat, st_uid, kernel_stat, st_uid),
    AT(lx_stat, st_gid, kernel_stat, st_gid),
    AT(lx_stat, st_rdev, kernel_stat, st_rdev),
    AT(lx_stat, st_size, kernel_stat, st_size),
    AT(lx_stat, st_blksize, kernel_stat, st_blksize),
    AT(lx_stat, st_blocks, kernel_stat, st_blocks),
    AT(lx_stat, st_atime_, kernel_stat, st_atime),
    AT(lx_stat, st_atime_nsec, kernel_stat, st_atime_nsec),
    AT(lx_stat, st_mtime_, kernel_stat, st_mtime),
    AT(lx_stat, st_mtime_nsec, kernel_stat, st_mtime_nsec),
    AT(lx_stat, st_ctime_, kernel_stat, st_ctime),
    AT(lx_stat, st_ctime_nsec, kernel_stat, st_ctime_nsec),

    SIZE(lx_statx, kernel_statx),
    AT(lx_statx, stx_mask, kernel_statx, stx_mask),
    AT(lx_statx, stx_blksize, kernel_statx, stx_blksize),
    AT(lx_statx, stx_attributes, kernel_statx, stx_attributes),
    AT(lx_statx, stx_nlink, kernel_statx, stx_nlink),
    AT(lx_statx, stx_uid, kernel_statx, stx_uid),
    AT(lx_statx, stx_gid, kernel_statx, stx_gid),
    AT(lx_statx, stx_mode, kernel_statx, stx_mode),
    AT(lx_statx, stx_ino, kernel_statx, stx_ino),
    AT(lx_statx, stx_size, kernel_statx, stx_size),
    AT(lx_statx, stx_blocks, kernel_statx, stx_blocks),
    AT(lx_statx, stx_attributes_mask, kernel_statx, stx_attributes_mask),
    AT(lx_statx, stx_atime, kernel_statx, stx_atime),
    AT(lx_statx, stx_atime.tv_nsec, kernel_statx, stx_atime.tv_nsec),
    AT(lx_statx, stx_btime, kernel_statx, stx_btime),
    AT(lx_statx, stx_ctime, kernel_statx, stx_ctime),
    AT(lx_statx, stx_mtime, kernel_statx, stx_mtime),
    AT(lx_statx, stx_rdev_major, kernel_statx, stx_rdev_major),
    AT(lx_statx, stx_dev_major, kernel_statx, stx_dev_major),
    AT(lx_statx, stx_dev_minor, kernel_statx, stx_dev_minor),
    AT(lx_statx, stx_mnt_id, kernel_statx, stx_mnt_id),
    AT(lx_statx, stx_dio_mem_align, kernel_statx, stx_dio_mem_align),
    AT(lx_statx, stx_dio_offset_align, kernel_statx, stx_dio_offset_align),
    AT_IS(lx_statx, stx_subvol, 160),
    AT_IS(lx_statx, stx_atomic_write_unit_min, 168),
    AT_IS(lx_statx, stx_atomic_write_segments_max, 176),
    VALUE(LX_STATX_MNT_ID, STATX_MNT_ID),
    VALUE(LX_STATX_DIOALIGN, STATX_DIOALIGN),
    VALUE(LX_STATX_RESERVED, (unsigned)STATX__RESERVED),

    SIZE(lx_statfs, kernel_statfs),
    AT(lx_statfs, f_type, kernel_statfs, f_type),
    AT(lx_statfs, f_bsize, kernel_statfs, f_bsize),
    AT(lx_statfs, f_blocks, kernel_statfs, f_blocks),
    AT(lx_statfs, f_bavail, kernel_statfs, f_bavail),
    AT(lx_statfs, f_ffree, kernel_statfs, f_ffree),
    AT(lx_statfs, f_fsid, kernel_statfs, f_fsid),
    AT(lx_statfs, f_namelen, kernel_statfs, f_namelen),
    AT(lx_statfs, f_frsize, kernel_statfs, f_frsize),
    AT(lx_statfs, f_flags, kernel_statfs, f_flags),

    SIZE_IS(lx_ustat, 32), /* gone from the headers; 4+4+8+6+6 and a tail */
};

SAME_MAIN("abi/stat", stats)
