/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that write over everything that the stub shares with the sentry while calls are under way:
 * every word of every block, lengths, offsets, indices, states, operations and their results, signal
 * frames, the word by which calls are handed over; rings that nobody asked for. Each round in a process
 * of its own, which may die of it.
 *
 *     scribble [SEED [SECONDS]]
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

static uint64_t seed = 1, until;

/* Words that mean something, by their place in a block. */
#define W(field) offsetof(struct block, field)
static const uint16_t words[] = { W(seq),
                                  W(sig),
                                  W(uc),
                                  W(park),
                                  W(index),
                                  W(nops),
                                  W(listener),
                                  W(cpu),
                                  W(self),
                                  W(kicked),
                                  W(magic),
                                  W(classes),
                                  W(facts),
                                  W(light.rax),
                                  W(light.rip),
                                  W(light.rsp),
                                  W(call.post),
                                  W(call.in_len),
                                  W(call.nr),
                                  W(call.args),
                                  W(call.args) + 8,
                                  W(answer.done),
                                  W(answer.ans),
                                  W(answer.out_n),
                                  W(answer.rip),
                                  W(spin_cpu),
                                  W(spin_tsc),
                                  W(posted),
                                  W(nonce),
                                  W(kind),
                                  W(fs),
                                  W(cpu0),
                                  BLOCK_PROG_OFF,
                                  BLOCK_OPS_OFF,
                                  BLOCK_OPS_OFF + 8,
                                  BLOCK_OPS_OFF + sizeof(struct block_op) - 8 };

static uint64_t value(uint64_t *s, const struct block *b)
{
    switch (rnd(s) % 9) {
    case 0:
        return rnd(s) % 16;
    case 1:
        return ~0ull - rnd(s) % 8;
    case 2:
        return BLOCK_STACK_OFF + rnd(s) % (BLOCK_SIZE - BLOCK_STACK_OFF + 64);
    case 3:
        return (uint64_t)b + rnd(s) % BLOCK_SIZE;
    case 4:
        return 0x8000000000000000ull >> rnd(s) % 64;
    case 5:
        return stub.slot + rnd(s) % stub.header.size;
    case 6:
        return b->call.post ^ rnd(s) % 8; /* its own count with another state */
    case 7:
        return 0xffff888000000000ull + rnd(s) % 65536;
    default:
        return rnd(s);
    }
}

static void scribble_once(uint64_t *s, struct block *b)
{
    volatile uint64_t *to;

    switch (rnd(s) % 4) {
    case 0: /* anywhere */
        to = (void *)((char *)b + rnd(s) % BLOCK_SIZE / 8 * 8);
        break;
    case 1: /* in the frame that lies there now */
        to = (void *)((char *)b + (b->uc % BLOCK_SIZE & ~7u) % (BLOCK_SIZE - 1024) +
                      rnd(s) % 432 / 8 * 8);
        break;
    default:
        to = (void *)((char *)b + words[rnd(s) % (sizeof words / sizeof words[0])]);
    }
    if (rnd(s) % 2)
        *(volatile uint32_t *)to = (uint32_t)value(s, b);
    else
        *to = value(s, b);
}

struct scribbler {
    struct block *all[4];
    unsigned n;
    uint64_t seed, pause;
};

static void *scribbler(void *arg)
{
    struct scribbler *me = arg;

    for (;;) {
        scribble_once(&me->seed, me->all[rnd(&me->seed) % me->n]);
        for (uint64_t i = rnd(&me->seed) % me->pause; i > 0; i--)
            __builtin_ia32_pause();
    }
    return NULL;
}

static void ring_at_random(uint64_t *s)
{
    static const unsigned char kinds[] = { BELL_EVENT, BELL_OPS, BELL_BORN, BELL_CALL };

    ring(rnd(s) % 8 ? kinds[rnd(s) % 4] : (long)rnd(s), (long)value(s, stub_block()),
         rnd(s) % 4 ? (long)stub_block()->seq + (long)(rnd(s) % 3) : (long)rnd(s));
}

/* What it was shown is taken away, made unwritable, written over, put somewhere else. */
static void remap_at_random(uint64_t *s)
{
    uint64_t block = (uint64_t)stub_block();
    uint64_t at = rnd(s) % 3 == 0 ? stub.slot
                  : rnd(s) % 2    ? block
                                  : stub.slot + CHANNEL_OFF + rnd(s) % 8 * BLOCK_SIZE;
    uint64_t n = 4096 << rnd(s) % 6;
    static const int advice[] = { MADV_DONTNEED, MADV_REMOVE,     MADV_DOFORK,
                                  MADV_PAGEOUT,  MADV_WIPEONFORK, MADV_COLD };

    switch (rnd(s) % 6) {
    case 0:
        by_blob(SYS_munmap, (long)at, (long)n, 0, 0, 0, 0);
        break;
    case 1:
        by_blob(SYS_mprotect, (long)at, (long)n, (long)(rnd(s) % 8), 0, 0, 0);
        break;
    case 2: /* it runs what it wants there, and its calls count as the blob's */
        by_blob(SYS_mmap, (long)at, (long)n, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        break;
    case 3:
        by_blob(SYS_mremap, (long)at, (long)n, (long)n, 3 /* MAYMOVE, FIXED */,
                (long)(stub.slot + 0x20000000), 0);
        break;
    default:
        by_blob(SYS_madvise, (long)at, (long)n, advice[rnd(s) % 6], 0, 0, 0);
    }
}

static void *idle(void *arg)
{
    return arg;
}

/* Calls of all kinds: memory in and out, operations, clones, signals. */
static void call_at_random(uint64_t *s, char *room)
{
    int fds[2] = { -1, -1 };
    struct iovec iov[2] = { { room, 100 }, { room + 8192, 9000 } };
    pthread_t t;
    void *p;

    switch (rnd(s) % 15) {
    case 0:
        (void)!read(0, room, rnd(s) % 20000);
        break;
    case 1:
        if (pipe(fds) == 0) {
            (void)!write(fds[1], room, rnd(s) % 9000);
            (void)!read(fds[0], room, 9000);
        }
        break;
    case 2:
        stat("/usr", (struct stat *)(void *)room);
        break;
    case 3:
        fds[0] = open("/proc/self/maps", O_RDONLY);
        (void)!read(fds[0], room, 32768);
        break;
    case 4:
        p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (p != MAP_FAILED)
            munmap(p, 8192);
        break;
    case 5:
        if (pthread_create(&t, NULL, idle, NULL) == 0)
            pthread_detach(t);
        break;
    case 6:
        if (fork() == 0)
            end_hard(0);
        break;
    case 7:
        raise(SIGUSR1);
        break;
    case 8:
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0) {
            (void)!writev(fds[0], iov, 2);
            (void)!readv(fds[1], iov, 2);
        }
        break;
    case 9:
        ring_at_random(s);
        break;
    case 10:
        if (rnd(s) % 4 == 0) /* few live on after it */
            remap_at_random(s);
        break;
    case 11:
        sched_yield();
        (void)!nanosleep(&(struct timespec){ .tv_nsec = 1000 }, NULL);
        break;
    default:
        for (int i = 0; i < 40; i++) /* hot, so that calls are handed over by memory */
            (void)!syscall(SYS_getppid);
    }
    close(fds[0]);
    close(fds[1]);
}

static void handler(int sig)
{
    (void)sig;
}

static void one(uint64_t i)
{
    static struct scribbler me[2];
    uint64_t s = seed * 104729 + i;
    char *room = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct block *b = stub_block();
    pthread_t t;

    if (now_ms() > until)
        return;
    signal(SIGUSR1, handler);
    signal(SIGCHLD, SIG_IGN);
    /* a warm beginning: patched call sites, a nurse, ready threads */
    for (int k = 0; k < 200; k++)
        (void)!syscall(SYS_getppid);
    if (pthread_create(&t, NULL, idle, NULL) == 0)
        pthread_join(t, NULL);
    for (unsigned k = 0; k < 1 + i % 2; k++) {
        me[k] = (struct scribbler){ .all = { b, (void *)((char *)b + BLOCK_SIZE),
                                             (void *)((char *)b + 2 * BLOCK_SIZE),
                                             (void *)(stub.slot + CHANNEL_OFF) },
                                    .n = rnd(&s) % 2 ? 1 : 4,
                                    .seed = rnd(&s),
                                    .pause = 1ull << rnd(&s) % 14 };
        if (pthread_create(&t, NULL, scribbler, &me[k]) != 0)
            return;
    }
    for (unsigned k = 0; k < 400; k++)
        call_at_random(&s, room);
}

bool scribble_all(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 0) : 4, rounds = 0;
    bool good = true;

    seed = seed_of(argc, argv);
    until = now_ms() + seconds * 1000;
    while (good && now_ms() < until) {
        good = pool_run(one, 100, 150);
        seed += 1000;
        rounds += 100;
    }
    printf("%llu rounds\n", (unsigned long long)rounds);
    return good;
}
