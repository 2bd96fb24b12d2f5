/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every number of a host call, from inside the blob and from outside, plain, with the bit of x32, by
 * int 0x80 and by the vsyscall page, with each kind of pointer.
 *
 *     calls [SEED [ROUNDS]]    ROUNDS: how many mixtures of kinds besides each alone
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

#define NUMBERS 601
#define X32 0x40000000l
#define KINDS 12

/* What passes natively says nothing to the sentry: then nobody has counted a ring in the block. */
static volatile unsigned char (*passed)[NUMBERS]; /* shared: [way][number] */

enum way { BY_BLOB, BY_OWN, BY_BLOB_X32, BY_OWN_X32, BY_INT80, BY_VSYSCALL, WAYS };

static uint64_t seed = 1, rounds = 2;
static char *room,
    *edge; /* behind each nothing can be written: counts of ours must not lie there */
static volatile uint32_t *at_step; /* shared: by number */

static long kind(unsigned k, uint64_t *s)
{
    switch (k) {
    case 0:
        return 0;
    case 1:
        return -1;
    case 2:
        return 1;
    case 3:
        return (long)room;
    case 4:
        return (long)(edge + 4096 - 8); /* what is longer is not there */
    case 5:
        return (long)stub.slot; /* cannot be written */
    case 6:
        return (long)stub_block();
    case 7:
        return (long)0xffff888000000000ull;
    case 8:
        return (long)0x0000800000000000ull - 8; /* into what is not an address */
    case 9:
        return watchdog_pid;
    case 10:
        return (long)(stub.slot - 4096); /* the last that it may have, on into the slot */
    default:
        return (long)(rnd(s) >> rnd(s) % 64);
    }
}

static long call_by(enum way way, long nr, const long a[6])
{
    switch (way) {
    case BY_BLOB:
        return by_blob(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    case BY_OWN:
        return by_own(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    case BY_BLOB_X32:
        return by_blob(nr | X32, a[0], a[1], a[2], a[3], a[4], a[5]);
    case BY_OWN_X32:
        return by_own(nr | X32, a[0], a[1], a[2], a[3], a[4], a[5]);
    case BY_INT80:
        return by_int80(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    default:
        return by_vsyscall((unsigned)nr % 4, a[0], a[1], a[2]);
    }
}

static bool makes_children(long nr)
{
    return nr == SYS_fork || nr == SYS_vfork || nr == SYS_clone || nr == SYS_clone3;
}

static void call(enum way way, long nr, const long a[6])
{
    const volatile struct block *b = stub_block();
    uint32_t seq = b->seq;
    uint64_t local = b->local;

    if (call_by(way, nr, a) == 0 && makes_children(nr))
        return; /* a child, with a block of its own */
    if (b == stub_block() && b->seq == seq && b->local == local)
        passed[way][nr] = 1;
}

/* hostile.py compares them with the list. */
static void print_passed(void)
{
    static const char *const names[] = { "blob",      "guest", "x32 blob",
                                         "x32 guest", "i386",  "vsyscall" };

    for (unsigned way = 0; way < WAYS; way++) {
        printf("passed by %s:", names[way]);
        for (unsigned nr = 0; nr < NUMBERS; nr++) {
            if (passed[way][nr])
                printf(" %u", nr);
        }
        printf("\n");
    }
}

static void nothing(int sig)
{
    (void)sig;
}

/* A fault at an int 0x80 is what there is of it: the next one is gone on with. */
static void skip_int80(int sig, siginfo_t *si, void *uc)
{
    greg_t *rip = &((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
    const unsigned char *at = (const unsigned char *)*rip;

    (void)sig, (void)si;
    if (at[0] != 0xcd || at[1] != 0x80)
        end_hard(1);
    *rip += 2;
}

/* Whatever waits is interrupted soon. */
static void tick(void)
{
    struct itimerval it = { { 0, 4000 }, { 0, 4000 } };
    struct sigaction sa = { .sa_handler = nothing };
    struct sigaction fault = { .sa_sigaction = skip_int80, .sa_flags = SA_SIGINFO | SA_NODEFER };

    sigaction(SIGSEGV, &fault, NULL);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &it, NULL);
}

/* All that there is for a number, from where the last child of that number ended. */
static void number(uint64_t nr)
{
    uint32_t steps = WAYS * (KINDS + (uint32_t)rounds), i;

    tick();
    while ((i = __atomic_fetch_add(&at_step[nr], 1, __ATOMIC_SEQ_CST)) < steps) {
        uint64_t s = seed * 7919 + nr * 1009 + i;
        enum way way = i % WAYS;
        unsigned k = i / WAYS;
        long a[6];

        if (way == BY_VSYSCALL && nr >= 8)
            continue;
        for (unsigned n = 0; n < 6; n++)
            a[n] = kind(k < KINDS ? k : rnd(&s) % KINDS, &s);
        call(way, (long)nr, a);
    }
}

static unsigned todo[NUMBERS], ntodo;

static void unfinished(uint64_t i)
{
    number(todo[i]);
}

/* A call may have ended its child: what lay behind it is gone on with. */
static bool go_on(void)
{
    const uint32_t steps = WAYS * (KINDS + (uint32_t)rounds);

    ntodo = 0;
    for (unsigned nr = 0; nr < NUMBERS; nr++) {
        if (at_step[nr] < steps)
            todo[ntodo++] = nr;
    }
    return ntodo > 0;
}

/* 64-bit code that goes to the 32-bit segment, and what of calls there is: int 0x80, sysenter, syscall. */
static void from_32_bits(uint64_t i)
{
    static const unsigned char calls_of[3][2] = { { 0xcd, 0x80 }, { 0x0f, 0x34 }, { 0x0f, 0x05 } };
    unsigned char *code = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    struct {
        uint32_t off;
        uint16_t cs;
    } __attribute__((packed)) far;

    if (code == MAP_FAILED)
        return;
    tick();
    /* mov $nr, %eax; the call; jmp self: whoever comes out of it is ended from outside */
    code[0] = 0xb8;
    *(uint32_t *)(code + 1) = (uint32_t)(i / 3);
    memcpy(code + 5, calls_of[i % 3], 2);
    code[7] = 0xeb, code[8] = 0xfe;
    far.off = (uint32_t)(uintptr_t)code;
    far.cs = 0x23;
    alarm(1);
    __asm__ volatile("movq %1, %%rsp\n\tmovl $3, %%ebx\n\tljmpl *%0"
                     :
                     : "m"(far), "r"(code + 8000), "c"(room), "d"(16l), "S"(1l)
                     : "memory");
}

static char *fenced_new(size_t n)
{
    char *p = mmap(NULL, n + 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || mprotect(p, n, PROT_READ | PROT_WRITE) < 0)
        end_hard(1);
    return p;
}

bool calls_all(int argc, char **argv)
{
    bool good;

    seed = seed_of(argc, argv);
    rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 2;
    room = fenced_new(65536);
    edge = fenced_new(4096);
    at_step = shared_new(NUMBERS * sizeof *at_step);
    passed = shared_new(WAYS * NUMBERS);
    good = pool_run(number, NUMBERS, 400);
    while (good && go_on())
        good = pool_run(unfinished, ntodo, 400);
    print_passed();
    return good && pool_run(from_32_bits, 3 * 32, 60);
}
