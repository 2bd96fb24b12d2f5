/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that the sentry lends a stub for a map: one thread maps files that it may only read, another
 * looks for what was lent, maps it for writing, writes, and sees to it that it is not closed again.
 *
 *     lent [SEED [SECONDS]]
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

#define OURS "/tmp/lent" /* root's; others may read it */
#define CONTENT "what root has written"
#define FDS 64

static uint64_t seed = 1, until;
static volatile unsigned *seen; /* shared: maps of lent descriptors; those that could be written */

static void *lender(void *arg)
{
    static const char *const files[] = { OURS, "/tmp/watchdog", "/bin/sh", "/etc/passwd" };
    unsigned long n = (unsigned long)arg;

    for (unsigned i = 0;; i++) {
        int fd = open(files[i % 4], O_RDONLY);
        void *p = mmap(NULL, 4096, PROT_READ, (n + i) & 4 ? MAP_SHARED : MAP_PRIVATE, fd, 0);

        if (p != MAP_FAILED)
            munmap(p, 4096);
        close(fd);
    }
    return NULL;
}

/* Operations that would close a descriptor wait for nothing instead. */
static void keep(struct block *b)
{
    struct block_op *ops = (void *)((char *)b + BLOCK_OPS_OFF);

    for (unsigned i = 0; i < 8; i++) {
        if (ops[i].nr == SYS_close)
            *(volatile uint32_t *)&ops[i].nr = SYS_membarrier;
    }
}

static void take(int fd)
{
    long p = by_blob(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p > -4096 && p < 0) {
        p = by_blob(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, fd, 0);
        seen[0] += p > 0;
        if (p > 0 && by_blob(SYS_mprotect, p, 4096, PROT_READ | PROT_WRITE, 0, 0, 0) == 0)
            memcpy((void *)p, "scribbled", 9);
    } else {
        seen[1]++;
        /* not over a channel's beginning: that would only be its own end */
        if (memcmp((void *)p, CONTENT, 4) == 0)
            memcpy((void *)p, "scribbled", 9);
    }
    if (p > 0)
        by_blob(SYS_munmap, p, 4096, 0, 0, 0, 0);
}

static void one(uint64_t i)
{
    uint64_t s = seed + i;
    struct block *b = stub_block();
    pthread_t t;

    if (pthread_create(&t, NULL, lender, (void *)i) != 0)
        return;
    for (uint64_t end = now_ms() + 250; now_ms() < end;) {
        for (unsigned k = 0; i % 2 && k < 6; k++)
            keep((void *)((char *)b + k * BLOCK_SIZE));
        take((int)(rnd(&s) % FDS));
        take((int)(rnd(&s) % 4));
    }
}

bool lent_all(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 0) : 2;
    char got[64] = "";
    bool good = true;
    int fd = open(OURS, O_CREAT | O_TRUNC | O_WRONLY, 0644);

    seed = seed_of(argc, argv);
    seen = shared_new(4096);
    if (write(fd, CONTENT, sizeof CONTENT) != sizeof CONTENT)
        return false;
    close(fd);
    until = now_ms() + seconds * 1000;
    while (good && now_ms() < until) {
        good = pool_run(one, 12, 500);
        seed += 1000;
    }
    fd = open(OURS, O_RDONLY);
    if (read(fd, got, sizeof got) != sizeof CONTENT || strcmp(got, CONTENT) != 0)
        printf("REACHED lent, by the blob: %.20s\n", got);
    close(fd);
    printf("%u maps of lent descriptors, %u for writing\n", seen[0], seen[1]);
    if (seen[0] == 0) {
        printf("FAILED: none was ever found: this attacks nothing\n");
        good = false;
    }
    return good;
}
