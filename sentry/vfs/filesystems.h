/* SPDX-License-Identifier: Apache-2.0 */
/* Names of file systems, for /proc/filesystems and sysfs(2). None needs a device. */
#pragma once

#define FILESYSTEMS 10

extern const char *const filesystems[FILESYSTEMS];
