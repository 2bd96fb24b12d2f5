/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's side of the ring: puts opened files into its table and takes them out again. The
 * sentry says when it is done with a slot; a number that it made up only spoils its own files.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gofer/server.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t used[GOFER_RING_SLOTS / 64]; /* guarded by lock */
static unsigned hint;                        /* word to look at first */

static int take_slot(void)
{
    int slot = -ENFILE;

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < GOFER_RING_SLOTS / 64 && slot < 0; i++) {
        unsigned w = (hint + i) % (GOFER_RING_SLOTS / 64);
        if (~used[w]) {
            unsigned bit = (unsigned)__builtin_ctzll(~used[w]);
            used[w] |= 1ull << bit;
            hint = w;
            slot = (int)(w * 64 + bit);
        }
    }
    pthread_mutex_unlock(&lock);
    return slot;
}

static void give_slot(unsigned slot)
{
    pthread_mutex_lock(&lock);
    used[slot / 64] &= ~(1ull << slot % 64);
    pthread_mutex_unlock(&lock);
}

static int update(int ring_fd, unsigned slot, int fd)
{
    struct io_uring_files_update up = { .offset = slot, .fds = (uint64_t)(uintptr_t)&fd };

    long n = syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_FILES_UPDATE, &up, 1);
    return n == 1 ? 0 : n < 0 ? -errno : -EIO;
}

int ring_install(int ring_fd, int fd)
{
    int slot = take_slot();
    if (slot < 0)
        return slot;
    int r = update(ring_fd, (unsigned)slot, fd);
    if (r < 0) {
        give_slot((unsigned)slot);
        return r;
    }
    return slot;
}

void ring_remove(int ring_fd, uint32_t slot)
{
    if (ring_fd < 0 || slot >= GOFER_RING_SLOTS)
        return;
    pthread_mutex_lock(&lock);
    bool was = used[slot / 64] & 1ull << slot % 64;
    pthread_mutex_unlock(&lock);
    if (!was)
        return;
    update(ring_fd, slot, -1);
    give_slot(slot);
}
