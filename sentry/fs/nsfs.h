/* SPDX-License-Identifier: Apache-2.0 */
/* Files of namespaces. */
#pragma once

#include "sentry/vfs/vfs.h"

#define NSFS_MNT_ID 1 /* of the mount namespace, for statmount and its kin */

enum ns_kind { NS_CGROUP, NS_IPC, NS_MNT, NS_NET, NS_PID, NS_TIME, NS_USER, NS_UTS, NAMESPACES };

/* Its inode number, as links show it. */
uint64_t nsfs_number(enum ns_kind k);
bool nsfs_is(const struct inode *i);
/* CLONE_NEW* of the namespace that f is; 0: it is none. */
int nsfs_flag(const struct file *f);
/* A reference; 0 or -ENOMEM. */
int nsfs_path(enum ns_kind k, struct path *ret);
