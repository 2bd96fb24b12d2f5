/* SPDX-License-Identifier: Apache-2.0 */
/* A file of the guest over a descriptor of the host: the standard streams. */
#pragma once

#include "sentry/vfs/file.h"

/*
 * Takes over fd, also on failure. flags: LX_O_ACCMODE, where the host does not tell it. The host's
 * O_NONBLOCK is neither looked at nor changed: the guest's is its own. ERR_PTR.
 */
struct file *host_file_new(int fd, unsigned flags);
