/* SPDX-License-Identifier: Apache-2.0 */
/* The contents of a file once they lie in a memfd; data.c is the only caller. */
#pragma once

#include "sentry/fs/mem/data.h"
#include "sentry/kernel/scratch.h"

/* The thread's buffer: each copy from or to a guest costs more than its bytes, so they are large. */
#define BOUNCE sizeof(scratch()->mem)
#define data_bounce (scratch()->mem)

int quota_take(struct data *d, uint64_t n);
void quota_give(struct data *d, uint64_t n);

int data_fd_new(struct data *d, uint64_t size);
void data_fd_free(struct data *d);
int data_fd_put(struct data *d, const void *p, size_t n, uint64_t pos);
ssize_t data_fd_read(struct data *d, struct iter *it, uint64_t pos, size_t n);
/* size: of the file, before. */
ssize_t data_fd_write(struct data *d, struct iter *it, uint64_t pos, size_t n, uint64_t size);
int data_fd_truncate(struct data *d, uint64_t size);
int data_fd_punch(struct data *d, uint64_t off, uint64_t len);
int data_fd_alloc(struct data *d, uint64_t off, uint64_t len);
loff_t data_fd_seek(struct data *d, loff_t off, bool hole, uint64_t size);
uint64_t data_fd_blocks(struct data *d);
/* Brings quota and charge to what the host holds now. -ENOSPC: more than there may be. */
int data_fd_recount(struct data *d);
