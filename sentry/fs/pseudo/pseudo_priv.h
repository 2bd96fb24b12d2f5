/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sentry/fs/pseudo/pseudo.h"

extern const struct file_ops pseudo_file_ops, pseudo_dir_ops;

/* Gives f what its text is kept in. */
int pseudo_file_open(struct file *f);
