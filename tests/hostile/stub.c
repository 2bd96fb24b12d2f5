/* SPDX-License-Identifier: Apache-2.0 */
/* See stub.h. */
#include "stub.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>

struct stub stub;

static sigjmp_buf back;

static void on_fault(int sig)
{
    siglongjmp(back, sig);
}

static bool readable(uint64_t at, void *to, size_t n)
{
    struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_NODEFER }, old[2];
    bool ok = false;

    sigaction(SIGSEGV, &sa, &old[0]);
    sigaction(SIGBUS, &sa, &old[1]);
    if (sigsetjmp(back, 1) == 0) {
        memcpy(to, (const void *)at, n);
        ok = true;
    }
    sigaction(SIGSEGV, &old[0], NULL);
    sigaction(SIGBUS, &old[1], NULL);
    return ok;
}

static uint64_t find_bytes(const char *bytes, size_t n)
{
    const char *blob = (const char *)stub.slot;

    for (uint32_t at = 0; at + n <= stub.header.size; at++) {
        if (memcmp(blob + at, bytes, n) == 0)
            return stub.slot + at;
    }
    return 0;
}

bool stub_find(void)
{
    for (uint64_t hi = 0x7ffe; hi > 0x7ff0; hi--) {
        struct blob_header h;

        if (!readable(hi << SLOT_SHIFT, &h, sizeof h) || h.magic != BLOB_MAGIC)
            continue;
        stub.slot = hi << SLOT_SHIFT;
        stub.header = h;
        stub.channel = readable(stub.slot + CHANNEL_OFF, &h, sizeof h);
        stub.syscall_ret = find_bytes("\x0f\x05\xc3", 3);
        stub.clone = find_bytes("\x41\x54\x41\x55\x41\x56\x49\x89\xf4", 9); /* push r12.. */
        if (!stub.syscall_ret || !stub.clone)
            printf("the blob has changed: no `syscall; ret` or no blob_clone in it\n");
        return stub.syscall_ret && stub.clone;
    }
    printf("no blob is to be found\n");
    return false;
}

struct block *stub_block(void)
{
    static char none[BLOCK_SIZE] __attribute__((aligned(BLOCK_SIZE)));
    uint64_t gs = 0;

    if (!stub.channel)
        return (struct block *)none;
    if (getauxval(AT_HWCAP2) & 2 /* FSGSBASE */)
        __asm__ volatile("rdgsbase %0" : "=r"(gs));
    if (gs >> SLOT_SHIFT != stub.slot >> SLOT_SHIFT)
        gs = stub.slot + CHANNEL_OFF;
    return (struct block *)(gs & ~(uint64_t)(BLOCK_SIZE - 1));
}

long by_blob(long nr, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long ret;

    __asm__ volatile("subq $256, %%rsp\n\tcall *%[at]\n\taddq $256, %%rsp"
                     : "=a"(ret), "+r"(r10), "+r"(r8), "+r"(r9)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), [at] "b"(stub.syscall_ret)
                     : "rcx", "r11", "memory", "cc");
    return ret;
}

long by_own(long nr, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret), "+r"(r10), "+r"(r8), "+r"(r9)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory", "cc");
    return ret;
}

long by_int80(long nr, long a, long b, long c, long d, long e, long f)
{
    long ret;

    (void)f; /* ebp */
    __asm__ volatile("int $0x80"
                     : "=a"(ret)
                     : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "r8", "r9", "r10", "r11", "memory", "cc");
    return ret;
}

long by_vsyscall(unsigned which, long a, long b, long c)
{
    uint64_t at = 0xffffffffff600000ull + 1024 * which;
    long ret;

    __asm__ volatile("subq $256, %%rsp\n\tcall *%[at]\n\taddq $256, %%rsp"
                     : "=a"(ret)
                     : [at] "b"(at), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
    return ret;
}

long ring(long kind, long rsi, long seq)
{
    return by_blob(NR_BELL, kind, rsi, seq, 0, 0, 0);
}

void jump_to(const struct jump *j)
{
    __asm__ volatile("movq 8(%0), %%rax\n\t"
                     "movq 16(%0), %%rdi\n\t"
                     "movq 24(%0), %%rsi\n\t"
                     "movq 32(%0), %%rdx\n\t"
                     "movq 40(%0), %%r10\n\t"
                     "movq 48(%0), %%r8\n\t"
                     "movq 56(%0), %%r9\n\t"
                     "movq 64(%0), %%r12\n\t"
                     "movq 72(%0), %%r13\n\t"
                     "movq 80(%0), %%r14\n\t"
                     "movq 88(%0), %%rsp\n\t"
                     "jmpq *(%0)"
                     :
                     : "b"(j)
                     : "memory");
    __builtin_unreachable();
}

uint64_t rnd(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}
