/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses up what a stub can have that no sentry sees: threads of its own making, filters and listeners,
 * descriptors; and rings with all of them.
 *
 *     exhaust [SEED [THREADS]]
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

static uint64_t threads = 300;
static volatile unsigned *made, *listeners; /* shared */

/* On a stack of its own, with nothing else: no fs, no block. */
static void raw_thread(void)
{
    static struct sock_filter allow[] = { { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
    static struct sock_fprog prog = { 1, allow };
    static uint32_t word;

    __atomic_fetch_add(made, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 20; i++) {
        if (by_blob(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                    (long)&prog, 0, 0, 0) >= 0)
            __atomic_fetch_add(listeners, 1, __ATOMIC_SEQ_CST);
        ring(1 + i % 5, i, i);
    }
    for (;;)
        by_blob(SYS_futex, (long)&word, 0, 0, 0, 0, 0);
}

static bool make_raw(void)
{
    const size_t size = 16384;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t *top = (void *)(stack + size - 64);

    if (stack == MAP_FAILED)
        return false;
    top[0] = (uint64_t)raw_thread; /* the `ret` behind the blob's `syscall` goes there */
    return by_blob(SYS_clone, BLOB_THREAD_FLAGS, (long)top, 0, 0, 0, 0) > 0;
}

static void *idle(void *arg)
{
    return arg;
}

/* The nurse does what stands in its block: here, what we write there. */
static void abuse_nurse(void)
{
    static struct sock_filter trace[] = { { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF } };
    static struct sock_fprog prog = { 1, trace };
    pthread_t t;

    if (pthread_create(&t, NULL, idle, NULL) == 0)
        pthread_join(t, NULL);
    for (unsigned i = 0; i < 4; i++) {
        struct block *b = (void *)(stub.slot + CHANNEL_OFF + (uint64_t)i * BLOCK_SIZE);
        struct block_op *ops = (void *)((char *)b + BLOCK_OPS_OFF);

        ops[0] = (struct block_op){ .nr = SYS_seccomp, .a = { 1, 8, (uint64_t)&prog } };
        ops[1] = (struct block_op){ .nr = OP_CLONE,
                                    .a = { BLOB_THREAD_FLAGS, (uint64_t)b, 1, 0, 0, BORN_SPARE } };
        b->nops = 2;
        __atomic_store_n(&b->park, 1, __ATOMIC_RELEASE);
        by_blob(SYS_futex, (long)&b->park, 1, 10, 0, 0, 0);
    }
    for (int i = 0; i < 50; i++) {
        if (pthread_create(&t, NULL, idle, NULL) == 0)
            pthread_join(t, NULL);
    }
}

static void one(uint64_t i)
{
    if (i % 3 == 2) {
        abuse_nurse();
        return;
    }
    for (uint64_t n = 0; n < threads && make_raw(); n++)
        ;
    usleep(300000);
    if (i % 3) /* else it goes with all of them at once */
        end_hard(0);
    by_blob(SYS_exit, 0, 0, 0, 0, 0, 0);
}

bool exhaust_all(int argc, char **argv)
{
    bool good;

    (void)argv;
    threads = argc > 1 ? strtoull(argv[1], NULL, 0) : 300;
    made = shared_new(4096);
    listeners = made + 1;
    good = pool_run(one, 18, 1500);
    printf("%u threads that no sentry knows, %u listeners\n", *made, *listeners);
    if (*made == 0) {
        printf("FAILED: no thread could be made: this attacks nothing\n");
        good = false;
    }
    return good;
}
