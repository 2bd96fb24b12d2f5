/* SPDX-License-Identifier: Apache-2.0 */
/* splice(2), tee(2), vmsplice(2). */
#pragma once

#include "sentry/vfs/file.h"

/*
 * One run. off_in and off_out: where to read and write instead of at the file's position, read in
 * the first run and moved on in the last by what was spliced; NULL: none. Flags were checked.
 */
long do_splice(struct task *t, struct file *in, loff_t *off_in, struct file *out, loff_t *off_out,
               size_t len, unsigned flags);
long do_tee(struct task *t, struct file *in, struct file *out, size_t len, unsigned flags);
long do_vmsplice(struct task *t, struct file *f, struct iter *it, unsigned flags);
