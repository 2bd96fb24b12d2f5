/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The large buffers of a thread, through which bytes go between guest and host. As thread-local
 * variables they would be written over with zeroes when a thread is made: 200 KiB of memory, and
 * 100 us of a start-up that is meant to take 2,000. Here they are address space until they are used.
 */
#pragma once

struct scratch {
    char mem[65536];   /* fs/mem */
    char gofer[65536]; /* fs/gofer/file.c */
    char first[16384]; /* fs/gofer/inode.c */
    char names[20480]; /* fs/gofer/ahead.c */
    char host[65536];  /* vfs/hostfile.c */
};

extern __thread struct scratch *scratch_mine;
void scratch_make(void);

/* Made at the first use, where that was not done when the thread began; freed when it ends. */
static inline struct scratch *scratch(void)
{
    if (__builtin_expect(!scratch_mine, 0))
        scratch_make();
    return scratch_mine;
}
