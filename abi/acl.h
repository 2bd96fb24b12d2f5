/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the attributes system.posix_acl_access and _default, and security.capability. */
#pragma once

#include "abi/types.h"

#define LX_ACL_VERSION 2u

enum {
    LX_ACL_USER_OBJ = 1,
    LX_ACL_USER = 2,
    LX_ACL_GROUP_OBJ = 4,
    LX_ACL_GROUP = 8,
    LX_ACL_MASK = 16,
    LX_ACL_OTHER = 32,
};

struct lx_acl_header {
    uint32_t version;
};

struct lx_acl_entry {
    uint16_t tag, perm;
    uint32_t id;
};

#define LX_VFS_CAP_REVISION_MASK 0xff000000u
#define LX_VFS_CAP_REVISION_1 0x01000000u
#define LX_VFS_CAP_REVISION_2 0x02000000u
#define LX_VFS_CAP_REVISION_3 0x03000000u
#define LX_VFS_CAP_EFFECTIVE 1u

struct lx_vfs_cap_data {
    uint32_t magic;
    struct {
        uint32_t permitted, inheritable;
    } data[2];
    uint32_t rootid; /* in revision 3 */
};
#define LX_VFS_CAP_SIZE_1 12
#define LX_VFS_CAP_SIZE_2 20
#define LX_VFS_CAP_SIZE_3 24
