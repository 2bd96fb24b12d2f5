/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sysfs share. */
#pragma once

#include "sentry/fs/pseudo/pseudo.h"

/* net.c: /sys/class/net, /sys/devices/virtual/net */
extern const struct pdir sysfs_class_net_dir, sysfs_virtual_net_dir;
