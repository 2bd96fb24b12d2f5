/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All reading and writing of guest memory. Nothing here waits on the guest; object locks may be
 * held. Copying is from a task's own address space; copies return 0 or -EFAULT unless said.
 */
#pragma once

#include <stdbool.h>
#include <sys/uio.h>

#include "abi/types.h"

struct task;

int copy_in(struct task *t, void *to, gaddr_t from, size_t n) __must_check;
int copy_out(struct task *t, gaddr_t to, const void *from, size_t n) __must_check;

/* Bytes copied before a fault; -EFAULT when none. */
ssize_t copy_in_some(struct task *t, void *to, gaddr_t from, size_t n) __must_check;
ssize_t copy_out_some(struct task *t, gaddr_t to, const void *from, size_t n) __must_check;

/* Notes in t's record that a copy met a fault there (uffd.h). */
void copy_faulted(struct task *t, gaddr_t at, bool write);

/*
 * A string of at most cap-1 bytes and its NUL. Length without the NUL; -EFAULT; -ENAMETOOLONG when
 * there is no NUL in cap bytes.
 */
ssize_t copy_in_str(struct task *t, char *to, gaddr_t from, size_t cap) __must_check;

/* copy_in/out of one object. */
#define get_guest(t, ptr, gaddr) copy_in(t, ptr, gaddr, sizeof *(ptr))
#define put_guest(t, gaddr, ptr) copy_out(t, gaddr, ptr, sizeof *(ptr))

/*
 * Where a read puts its bytes, or a write takes them from: guest memory in one or more segments, or
 * memory of ours. Advances as it is used; it stays good from run to run when it lies in the record.
 */
struct seg {
    gaddr_t base;
    size_t len;
};

struct iter {
    struct task *task; /* NULL: kernel memory, base is a pointer */
    size_t left;       /* bytes not yet moved */
    size_t off;        /* into segs[0] */
    const struct seg *segs;
    unsigned nsegs;
    struct seg one;
    bool fault; /* a copy stopped at a fault */
};

void iter_guest(struct iter *it, struct task *t, gaddr_t base, size_t n);
void iter_kernel(struct iter *it, void *base, size_t n);
/* segs must outlive it. */
void iter_segs(struct iter *it, struct task *t, const struct seg *segs, unsigned n);

/*
 * Moves at most n bytes (and at most it->left) to / from where it stands. Returns the bytes moved;
 * fewer only at a fault (it->fault), and -EFAULT when none could be moved and n > 0.
 */
ssize_t iter_put(struct iter *it, const void *from, size_t n) __must_check;
ssize_t iter_get(struct iter *it, void *to, size_t n) __must_check;
ssize_t iter_put_zero(struct iter *it, size_t n) __must_check;
/*
 * The same with pieces of ours (at most ITER_PIECES), in one copy by the host however many there
 * are: a copy costs half a microsecond before its first byte.
 */
#define ITER_PIECES 256
ssize_t iter_putv(struct iter *it, const struct iovec *from, unsigned n) __must_check;
ssize_t iter_getv(struct iter *it, const struct iovec *to, unsigned n) __must_check;
/* Steps back n bytes that iter_get took (single-segment or same segment run); for partial writes. */
void iter_revert(struct iter *it, size_t n);
void iter_skip(struct iter *it, size_t n);

/*
 * Reads and checks an iovec array (count <= 1024, total <= MAX_RW_COUNT, cut there). *ret_segs is
 * kmalloc'd, the caller's. Total length, or -EINVAL, -EFAULT, -ENOMEM.
 */
ssize_t copy_in_iovec(struct task *t, gaddr_t iov, unsigned count, struct seg **ret_segs);
#define MAX_RW_COUNT 0x7ffff000ul
