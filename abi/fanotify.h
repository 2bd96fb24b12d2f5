/* SPDX-License-Identifier: Apache-2.0 */
/* fanotify as of 6.12. */
#pragma once

#include "abi/types.h"

#define LX_FAN_CLOEXEC 0x1u
#define LX_FAN_NONBLOCK 0x2u
#define LX_FAN_CLASS_CONTENT 0x4u
#define LX_FAN_CLASS_PRE_CONTENT 0x8u
#define LX_FAN_CLASSES 0xcu
#define LX_FAN_UNLIMITED_QUEUE 0x10u
#define LX_FAN_UNLIMITED_MARKS 0x20u
#define LX_FAN_ENABLE_AUDIT 0x40u
#define LX_FAN_REPORT_PIDFD 0x80u
#define LX_FAN_REPORT_TID 0x100u
#define LX_FAN_REPORT_FID 0x200u
#define LX_FAN_REPORT_DIR_FID 0x400u
#define LX_FAN_REPORT_NAME 0x800u
#define LX_FAN_REPORT_TARGET_FID 0x1000u
#define LX_FAN_FID_BITS                                                                            \
    (LX_FAN_REPORT_FID | LX_FAN_REPORT_DIR_FID | LX_FAN_REPORT_NAME | LX_FAN_REPORT_TARGET_FID)
#define LX_FAN_INIT_FLAGS 0x1fffu
#define LX_FAN_ADMIN_FLAGS                                                                         \
    (LX_FAN_CLASSES | LX_FAN_UNLIMITED_QUEUE | LX_FAN_UNLIMITED_MARKS | LX_FAN_REPORT_PIDFD |      \
     LX_FAN_REPORT_TID)

#define LX_FAN_MARK_ADD 0x1u
#define LX_FAN_MARK_REMOVE 0x2u
#define LX_FAN_MARK_DONT_FOLLOW 0x4u
#define LX_FAN_MARK_ONLYDIR 0x8u
#define LX_FAN_MARK_MOUNT 0x10u
#define LX_FAN_MARK_IGNORED_MASK 0x20u
#define LX_FAN_MARK_IGNORED_SURV_MODIFY 0x40u
#define LX_FAN_MARK_FLUSH 0x80u
#define LX_FAN_MARK_FILESYSTEM 0x100u
#define LX_FAN_MARK_EVICTABLE 0x200u
#define LX_FAN_MARK_IGNORE 0x400u
#define LX_FAN_MARK_TYPES (LX_FAN_MARK_MOUNT | LX_FAN_MARK_FILESYSTEM)
#define LX_FAN_MARK_FLAGS 0x7ffu

#define LX_FAN_FS_ERROR 0x8000u
#define LX_FAN_EVENT_ON_CHILD 0x08000000u
#define LX_FAN_ONDIR 0x40000000u

#define LX_FAN_ALLOW 1u
#define LX_FAN_DENY 2u
#define LX_FAN_AUDIT 0x10u
#define LX_FAN_INFO 0x20u
#define LX_FAN_NOFD (-1)
#define LX_FAN_NOPIDFD (-1)
#define LX_FAN_EPIDFD (-2)

struct lx_fan_metadata {
    uint32_t event_len;
    uint8_t vers, reserved;
    uint16_t metadata_len;
    uint64_t mask;
    int32_t fd, pid;
};
#define LX_FAN_METADATA_VERSION 3

enum {
    LX_FAN_INFO_FID = 1,
    LX_FAN_INFO_DFID_NAME = 2,
    LX_FAN_INFO_DFID = 3,
    LX_FAN_INFO_PIDFD = 4,
    LX_FAN_INFO_OLD_DFID_NAME = 10,
    LX_FAN_INFO_NEW_DFID_NAME = 12,
};

struct lx_fan_info { /* what a record of each kind begins with */
    uint8_t info_type, pad;
    uint16_t len;
};

struct lx_fan_info_fid { /* and the handle's bytes, and with a DFID_NAME the name with its NUL */
    struct lx_fan_info hdr;
    int32_t fsid[2];
    uint32_t handle_bytes;
    int32_t handle_type;
};

struct lx_fan_info_pidfd {
    struct lx_fan_info hdr;
    int32_t pidfd;
};

struct lx_fan_response {
    int32_t fd;
    uint32_t response;
};
