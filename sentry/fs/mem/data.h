/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one regular file kept in memory. Small and never mapped: pages of the heap, one
 * pointer a page, NULL a hole. At the first map, or beyond DATA_HEAP_MAX, they move into a memfd,
 * and never back.
 *
 * Everything is called with the inode's lock held; the size of the file is the caller's. Bytes
 * behind the end of the file are always zero.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "sentry/kernel/list.h"
#include "sentry/mm/copy.h"

struct quota { /* of one file system; max 0: none */
    uint64_t max;
    _Atomic uint64_t used;
};

struct data {
    char *small;  /* a file of less than a page; small_cap bytes */
    char **pages; /* npages pointers */
    uint32_t small_cap;
    size_t npages;
    uint64_t bytes;   /* held, counted in quota */
    uint64_t charged; /* of the memfd, by kcharge */
    int fd;           /* the memfd, or -1 */
    char *map;        /* of it, map_len bytes: data_fd.c; NULL: none */
    size_t map_len;
    struct quota *quota;
    struct list shared; /* data_fd.c: those that guests may write to without a call */
    pid_t sharer;       /* the process that mapped it last for that */
};

#define DATA_HEAP_MAX (4ul << 20)

void data_init(struct data *d, struct quota *q);
void data_free(struct data *d);

/* n bytes from pos on, all before the end of the file. Bytes moved or -EFAULT. */
ssize_t data_read(struct data *d, struct iter *it, uint64_t pos, size_t n);
/* Bytes moved (short when memory ends or at a fault); -ENOSPC, -EFAULT. size: as it was before. */
ssize_t data_write(struct data *d, struct iter *it, uint64_t pos, size_t n, uint64_t size);
int data_truncate(struct data *d, uint64_t old_size, uint64_t size);
/* Frees / zeroes len bytes from off. */
int data_punch(struct data *d, uint64_t off, uint64_t len, uint64_t size);
/* Memory for all of them. */
int data_alloc(struct data *d, uint64_t off, uint64_t len, uint64_t size);
/* SEEK_DATA and SEEK_HOLE; -ENXIO. */
loff_t data_seek(struct data *d, loff_t off, bool hole, uint64_t size);
/*
 * fn for each file that guests may write to without a call: bytes that were made so and that nobody
 * has counted yet, and who mapped it. Under a leaf lock.
 */
void data_uncounted(void (*fn)(void *arg, pid_t pid, uint64_t bytes), void *arg);
/* In units of 512. */
uint64_t data_blocks(struct data *d);
/* Into the memfd. 0 or -errno. */
int data_to_fd(struct data *d, uint64_t size);
/* It has a memfd: no more writing, by nobody. False: somebody has it mapped to write. */
bool data_fd_seal_write(struct data *d);
/* A descriptor of the memfd to map, by the process pid; *ret_owned: to be closed. */
int data_map_fd(struct data *d, bool writable, pid_t pid, int *ret_fd, bool *ret_owned);
