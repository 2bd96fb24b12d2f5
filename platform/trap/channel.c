/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces and their channels. A channel is one memfd: sparse, sealed against shrinking (our
 * own map must not be cut), grown as threads come; its blocks are handed out lowest first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "platform/trap/trap.h"

#define BLOCKS_FIRST 16

struct aspace *aspace_make(void)
{
    struct aspace *as = calloc(1, sizeof *as);

    if (!as)
        return NULL;
    as->refs = 1;
    stub_memory_init(&as->mem, aspace_pid);
    as->mem.hides = patch_owns;
    tlist_init(&as->stubs);
    as->nblocks = BLOCKS_FIRST;
    as->used[LENT_BLOCK / 64] |= 1ull << (LENT_BLOCK % 64);
    as->chan_fd = memfd_create("channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (as->chan_fd < 0)
        goto no_memfd;
    if (!hostfd_may(as->chan_fd, HOSTFD_PROCESS))
        goto no_map;
    if (ftruncate(as->chan_fd, (off_t)BLOCKS_FIRST << BLOCK_SHIFT) < 0 ||
        fcntl(as->chan_fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
        goto no_map;
    as->chan = mmap(NULL, CHANNEL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, as->chan_fd, 0);
    if (as->chan == MAP_FAILED)
        goto no_map;
    return as;
no_map:
    close(as->chan_fd);
no_memfd:
    free(as);
    return NULL;
}

struct aspace *aspace_new(void)
{
    struct aspace *as = house_channel();

    return as ? as : aspace_make();
}

/* Pages that the first event of a first thread needs. */
void aspace_touch(struct aspace *as)
{
    struct block *b = block_at(as, 0);

    __atomic_store_n(&b->seq, 0, __ATOMIC_RELAXED);
    __atomic_store_n((char *)b + BLOCK_SIZE - 1, 0, __ATOMIC_RELAXED);
}

void aspace_free(struct aspace *as)
{
    stub_memory_done(&as->mem);
    munmap(as->chan, CHANNEL_SIZE);
    close(as->chan_fd);
    patches_free(atomic_load(&as->patches));
    lends_free(as);
    free(as);
}

void aspace_ref(struct aspace *as)
{
    atomic_fetch_add(&as->refs, 1);
}

void aspace_put(struct aspace *as)
{
    if (as && atomic_fetch_sub(&as->refs, 1) == 1)
        house_trash(as);
}

void as_ref(struct aspace *as)
{
    atomic_fetch_add(&as->users, 1);
    aspace_ref(as);
}

void as_put(struct aspace *as)
{
    if (atomic_fetch_sub(&as->users, 1) == 1)
        aspace_kill(as);
    aspace_put(as);
}

void aspace_kill(struct aspace *as)
{
    atomic_store(&as->killed, true);
    pthread_mutex_lock(&trap.lock);
    for (struct tlist *n = as->stubs.next; n != &as->stubs; n = n->next)
        stub_kill(tlist_entry(n, struct stub, as_link));
    pthread_mutex_unlock(&trap.lock);
}

int block_alloc(struct aspace *as, int wanted)
{
    for (unsigned i = wanted >= 0 ? (unsigned)wanted / 64 : 0; i < BLOCKS_MAX / 64; i++) {
        uint64_t avail = ~as->used[i];
        unsigned index;

        if (wanted >= 0)
            avail &= 1ull << (wanted % 64);
        if (!avail) {
            if (wanted >= 0)
                return -EBUSY;
            continue;
        }
        index = i * 64 + (unsigned)__builtin_ctzll(avail);
        if (index >= as->nblocks) {
            unsigned n = (index + 64) & ~63u;

            if (ftruncate(as->chan_fd, (off_t)n << BLOCK_SHIFT) < 0)
                return -ENOMEM;
            as->nblocks = n;
        }
        as->used[i] |= 1ull << (index % 64);
        return (int)index;
    }
    return -EAGAIN;
}

/*
 * The pages of many dead threads go back; the first blocks are used again soon, and those of an
 * address space that ends go with it.
 */
void block_free(struct aspace *as, unsigned index)
{
    as->used[index / 64] &= ~(1ull << (index % 64));
    if (index < BLOCKS_FIRST || atomic_load(&as->users) == 0)
        return;
    (void)!fallocate(as->chan_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)index << BLOCK_SHIFT, BLOCK_SIZE);
}
