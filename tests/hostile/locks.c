/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks memory, as much as it can get, in every way there is: by the blob's own instruction, by calls of the
 * sentry's, by maps, segments and rings; in many processes at once, which then stay. locks.py counts on the host.
 *
 *     locks [PROCESSES]
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

#define PIECE (1ul << 20)
#define PIECES 48
#define SYS_URING_SETUP 425
#define SYS_URING_REGISTER 427

static volatile unsigned *over; /* shared */

static void *piece(int flags)
{
    void *p = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static long by_calls(void *p, unsigned way)
{
    switch (way) {
    case 0:
        return by_blob(SYS_mlock2, (long)p, PIECE, 0, 0, 0, 0);
    case 1:
        return by_blob(SYS_mlock2, (long)p, PIECE, 1 /* MLOCK_ONFAULT */, 0, 0, 0);
    case 2:
        return mlock(p, PIECE);
    default:
        return by_blob(SYS_mlock, (long)p, PIECE, 0, 0, 0, 0);
    }
}

/* Rings: what is registered is pinned natively. */
static void register_buffers(void *p)
{
    char params[120] = { 0 };
    struct iovec v[64];
    long fd = syscall(SYS_URING_SETUP, 8, params);

    for (unsigned i = 0; i < 64; i++)
        v[i] = (struct iovec){ p, PIECE };
    for (unsigned n = 64; fd >= 0 && n; n /= 2) {
        if (syscall(SYS_URING_REGISTER, fd, 0 /* buffers */, v, n) == 0)
            break;
    }
}

static void segments(void)
{
    for (unsigned i = 0; i < 64; i++) {
        int id = shmget(IPC_PRIVATE, PIECE, IPC_CREAT | 0600);
        void *p = id >= 0 ? shmat(id, NULL, 0) : (void *)-1;

        if (p == (void *)-1)
            break;
        memset(p, 1, PIECE);
        shmctl(id, SHM_LOCK, NULL);
    }
}

static void lock_all(uint64_t n)
{
    const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

    setrlimit(RLIMIT_MEMLOCK, &all);
    by_blob(SYS_prlimit64, 0, RLIMIT_MEMLOCK, (long)&all, 0, 0, 0);
    if (n % 4 == 1)
        mlockall(MCL_FUTURE);
    if (n == 0)
        segments();
    if (n % 2)
        become_hostile();
    for (unsigned i = 0; i < PIECES; i++) {
        void *p = piece(i % 5 == 4 ? MAP_LOCKED : 0);

        for (unsigned way = 0; p && way < 4 && by_calls(p, (way + (unsigned)n) % 4) != 0; way++)
            ;
        if (p && i < 10)
            memset(p, 1, PIECE);
        if (p && i == 0)
            register_buffers(p);
    }
    if (n % 4 == 3)
        mlockall(MCL_CURRENT);
}

bool locks_all(int argc, char **argv)
{
    unsigned n = argc > 0 ? (unsigned)atoi(argv[0]) : 40, last = 0;

    over = shared_new(4096);
    for (unsigned i = 0; i < n; i++) {
        if (fork() == 0) {
            lock_all(i);
            __atomic_fetch_add(over, 1, __ATOMIC_SEQ_CST);
            for (;;)
                pause();
        }
    }
    for (unsigned still = 0; *over < n && still < 30;
         still++) { /* some may have been killed for it */
        usleep(100000);
        if (*over != last)
            still = 0;
        last = *over;
    }
    printf("%u of %u have locked what they could\n", *over, n);
    return true;
}
