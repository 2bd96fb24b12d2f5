/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seals of files in memory (fcntl F_ADD_SEALS, F_GET_SEALS; memfd_create). A file of
 * shmem_file_new() has F_SEAL_SEAL and mode 0777; memfd_create sets what was asked for.
 */
#pragma once

#include "sentry/vfs/file.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

struct cred;

void shmem_set_owner(struct file *f, const struct cred *c, uint32_t mode, unsigned seals);
int shmem_get_seals(struct file *f); /* -EINVAL: not such a file */
int shmem_add_seals(struct file *f, unsigned seals);
