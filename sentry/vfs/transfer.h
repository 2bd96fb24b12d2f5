/* SPDX-License-Identifier: Apache-2.0 */
/* Moving bytes from one file to another inside the kernel: sendfile, copy_file_range. */
#pragma once

#include "sentry/vfs/file.h"

/* Lies in the record's scratch block; zeroed. free with transfer_end. */
struct transfer {
    struct file *in, *out;  /* the record's */
    loff_t in_pos, *in_off; /* in_off: &in_pos where the guest gave an offset, else NULL */
    loff_t out_pos, *out_off;
    size_t left, done;
    char *buf;
    size_t have, used; /* bytes in buf, and how many of them are written */
    bool ready;        /* set up by the caller */
};

/* Runs until left is 0, the input ends, or something is in the way. Bytes, or an error when there
 * are none; -EWAITING: call it again in the next run. */
ssize_t transfer_run(struct task *t, struct transfer *x);
void transfer_end(struct transfer *x);
