/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jumps into the blob at every byte, instruction or not, with registers that make sense there, that
 * make none, and that point at what the blob takes for granted. Each in a child of its own.
 *
 *     jump [SEED [WAYS]]      ways 1 to 4: how many sets of registers are tried at each byte
 */
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "crew.h"
#include "stub.h"

static uint64_t seed = 1, ways = 1;

static uint64_t wild(uint64_t *s)
{
    struct block *b = stub_block();

    switch (rnd(s) % 10) {
    case 0:
        return 0;
    case 1:
        return rnd(s) % 512; /* a number of a call, or of an answer */
    case 2:
        return (uint64_t)b + rnd(s) % BLOCK_SIZE / 8 * 8;
    case 3:
        return stub.slot + rnd(s) % stub.header.size;
    case 4:
        return (uint64_t)__builtin_frame_address(0) - rnd(s) % 4096;
    case 5:
        return stub.slot + CHANNEL_OFF + rnd(s) % CHANNEL_SIZE;
    case 6:
        return 0xffff800000000000ull + rnd(s) % (1ull << 40);
    case 7:
        return ~0ull - rnd(s) % 4096;
    default:
        return rnd(s);
    }
}

/* As the blob's own code has them: r12 and rdi its block, rsp in its stack. */
static void sensible(struct jump *j, uint64_t *s)
{
    uint64_t block = (uint64_t)stub_block();

    j->rdi = j->r12 = block;
    j->rsi = rnd(s) % 12;
    j->rdx = rnd(s) % 5;
    j->r13 = rnd(s);
    j->r14 = rnd(s) % 512;
    j->rax = rnd(s) % 2 ? rnd(s) % 340 : NR_BELL;
    j->rsp = rnd(s) % 2 ? block + BLOCK_SIZE - 4096 : block + BLOCK_LIGHT_STACK - 64;
}

static void jump(uint64_t i)
{
    uint64_t s = seed * 1000003 + i, way = ways > 1 ? i % ways : rnd(&s) % 4;
    struct jump j = { .at = stub.slot + i / ways };

    if (way == 1) {
        sensible(&j, &s);
    } else if (way > 1) {
        uint64_t *all[] = { &j.rax, &j.rdi, &j.rsi, &j.rdx, &j.r10,
                            &j.r8,  &j.r9,  &j.r12, &j.r13, &j.r14 };

        for (unsigned k = 0; k < sizeof all / sizeof all[0]; k++)
            *all[k] = wild(&s);
    }
    if (!j.rsp || way == 3)
        j.rsp = (uint64_t)__builtin_frame_address(0) - 8192;
    if (way == 3) /* whatever returns finds the blob's own addresses on the stack */
        for (uint64_t *p = (void *)j.rsp; p < (uint64_t *)(j.rsp + 4096); p++)
            *p = rnd(&s) % 4 ? stub.slot + rnd(&s) % stub.header.size : wild(&s);
    /* whoever comes to lie somewhere is ended soon, but not before it has jumped */
    setitimer(ITIMER_REAL, &(struct itimerval){ .it_value.tv_usec = 2000 }, NULL);
    jump_to(&j);
}

bool jump_all(int argc, char **argv)
{
    seed = seed_of(argc, argv);
    ways = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    printf("%u bytes of blob, %llu ways\n", stub.header.size, (unsigned long long)ways);
    return pool_run(jump, stub.header.size * ways, 60);
}
