/* SPDX-License-Identifier: Apache-2.0 */
/* What pipe.c and fifo.c share. */
#pragma once

#include "sentry/ipc/pipe.h"

struct pipe *pipe_alloc(void); /* files 0, no readers or writers */
/* Gives back one file's count in p->files; frees with the last. */
void pipe_put(struct pipe *p, struct inode *inode);
/* One reader and/or writer less, as f->mode says. */
void pipe_detach(struct pipe *p, struct file *f);
