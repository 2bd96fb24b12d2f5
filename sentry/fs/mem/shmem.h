/* SPDX-License-Identifier: Apache-2.0 */
/* What memfd_create sets of a file of shmem_file_new(), which has F_SEAL_SEAL and mode 0777. */
#pragma once

#include "sentry/vfs/file.h"

struct cred;

void shmem_set_owner(struct file *f, const struct cred *c, uint32_t mode, unsigned seals);
