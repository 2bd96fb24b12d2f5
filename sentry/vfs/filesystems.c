/* SPDX-License-Identifier: Apache-2.0 */
/* The file systems that there are, in the order of their numbers. */
#include "sentry/vfs/filesystems.h"

const char *const filesystems[FILESYSTEMS] = {
    "sysfs",   "tmpfs",  "proc",   "devtmpfs", "devpts",
    "overlay", "sockfs", "pipefs", "mqueue",   "cgroup2",
};
