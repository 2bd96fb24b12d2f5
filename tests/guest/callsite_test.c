/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls from hot sites of every form: results, registers, flags, the stack; code that looks like a
 * site and is none; and code that is changed, moved, unmapped or stepped through after it was hot.
 */
#include "callsite.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "guest.h"

SITE_EAX(eax_getpid, 39);
SITE_EAX(eax_getppid, 110);
SITE_EAX(eax_read, 0);
SITE_EAX(eax_write, 1);
SITE_EAX(eax_close, 3);
SITE_EAX(eax_none, 1000);
SITE_RAX(rax_getppid, 110);
SITE_RAX(rax_getuid, 102);
SITE_RAX(rax_write, 1);
SITE_XOR(xor_read);
SITE_MOVES(moves);
SITE_SYSCALL(general);

static void forms(void)
{
    long pid = getpid(), ppid = getppid(), uid = (long)getuid();
    char c = 'x', buf[8];
    int p[2];

    CHECK_EQ(pipe(p), 0);
    for (int i = 0; i < 2000; i++) {
        int bad = 0;

        bad += eax_getpid(0) != pid;
        bad += eax_getppid(0) != ppid;
        bad += rax_getppid(0) != ppid;
        bad += rax_getuid(0) != uid;
        bad += eax_write(p[1], &c, 1L) != 1;
        bad += rax_write(p[1], "abc", 3L) != 3;
        bad += xor_read(p[0], buf, 4L) != 4;
        bad += memcmp(buf, "xabc", 4) != 0;
        bad += moves(SYS_dup2, (long)p[0], 100L) != 100;
        bad += eax_close(100) != 0;
        bad += eax_close(100) != -EBADF;
        bad += general(SYS_write, (long)p[1], "defg", 4L) != 4;
        bad += eax_read(p[0], buf, 8L) != 4;
        bad += memcmp(buf, "defg", 4) != 0;
        bad += general(SYS_pwrite64, -1L, &c, 1L, 5L) != -EBADF;
        bad += eax_none(0) != -ENOSYS;
        bad += moves(SYS_getpid, 0L) != pid;
        bad += general(SYS_gettid) != pid;
        if (bad) {
            CHECK_EQ(bad, i * 1000);
            break;
        }
    }
    close(p[0]);
    close(p[1]);
}

/* ---- registers ---- */

ALL_REGS(all_getpid, 39);
ALL_REGS(all_getppid, 110);
ALL_REGS(all_write, 1);
ALL_REGS(all_fstat, 5);
ALL_REGS(all_none, 1000);

static void one_set(void (*call)(void), long want, uint64_t flags, uint64_t rsp)
{
    static const uint64_t bits = 0x240cd5; /* ID, AC, OF, DF, SF, ZF, AF, PF, CF */

    all_in.rflags = flags | 0x202;
    all_in.rsp = rsp;
    memset(&all_out, 0xee, sizeof all_out);
    call();
    CHECK_EQ(all_out.rax, want);
    CHECK_EQ(memcmp(&all_in, &all_out, offsetof(struct all, rflags)), 0);
    CHECK_EQ(all_out.rflags & bits, flags & bits);
    CHECK_EQ(all_out.rsp, rsp);
}

static void registers(void)
{
    static const uint64_t flags[] = { 0,     0x1,   0x4,   0x10,     0x40,   0x80,
                                      0x400, 0x800, 0xcd5, 0x200000, 0x40000 };
    static unsigned char stack[4096] __attribute__((aligned(16)));
    struct {
        void (*call)(void);
        long want;
    } calls[] = { { all_getpid, getpid() },
                  { all_getppid, getppid() },
                  { all_write, -EBADF },
                  { all_fstat, -EBADF },
                  { all_none, -ENOSYS } };
    void *gone = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (unsigned i = 0; i < sizeof all_in / 8; i++)
        (&all_in.rbx)[i] = 0x0101010101010101ull * (i + 1) ^ 0x8000000080000000ull;
    all_in.rdi = (uint64_t)-5;
    all_in.rsi = (uint64_t)stack;
    for (unsigned n = 0; n < 60; n++) {
        for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++) {
            for (unsigned f = 0; f < sizeof flags / sizeof flags[0]; f++) {
                memset(stack, 0x5a, sizeof stack);
                one_set(calls[i].call, calls[i].want, flags[f], (uint64_t)stack + 2048 + n % 16);
                for (unsigned b = 2048 - 128; b < 2048; b++) {
                    if (stack[b] != 0x5a) {
                        CHECK_EQ(stack[b], 0x5a);
                        break;
                    }
                }
            }
            one_set(calls[i].call, calls[i].want, 0, 0);
            one_set(calls[i].call, calls[i].want, 0x400, 8);
            one_set(calls[i].call, calls[i].want, 0, (uint64_t)gone + 4096);
            one_set(calls[i].call, calls[i].want, 0, 0x8000000000000000ull);
            one_set(calls[i].call, calls[i].want, 0, ~0ull);
        }
    }
    munmap(gone, 8192);
}

/* ---- what only looks like a site ---- */

/* mov $nr, %r8d; mov disp(%r8), %edi with nr as disp; movl $nr, -72(%rsp): eax is set before them */
__asm__(SITE_HEAD(
    like_r8) "mov %rcx, %r10\n\tmov $110, %eax\n\tmov $39, %r8d\n\tsyscall\n\tmov %r8, %rax\n\tret\n");
extern long like_r8(long);
__asm__(SITE_HEAD(like_r8_call) "mov $110, %eax\n\tmov $39, %r8d\n\tsyscall\n\tret\n");
extern long like_r8_call(long);
__asm__(SITE_HEAD(
    like_load) "mov %rdi, %r8\n\tmov $110, %eax\n\t.byte 0x41, 0x8b, 0xb8\n\t.long 256\n\t"
               "syscall\n\tmov %edi, %eax\n\tret\n");
extern long like_load(const void *);
__asm__(SITE_HEAD(
    like_store) "movq $0, -72(%rsp)\n\tmov $110, %eax\n\tmovl $102, -72(%rsp)\n\tsyscall\n\t"
                "shl $32, %rax\n\tmov -72(%rsp), %ecx\n\tor %rcx, %rax\n\tret\n");
extern long like_store(void);
/* The same with the number of the call itself. */
__asm__(SITE_HEAD(same_r8) "mov $110, %eax\n\tmov $110, %r8d\n\tsyscall\n\tmov %r8, %rax\n\tret\n");
extern long same_r8(void);
__asm__(SITE_HEAD(
    same_load) "mov %rdi, %r8\n\tmov $110, %eax\n\t.byte 0x41, 0x8b, 0xb8\n\t.long 110\n\t"
               "syscall\n\tmovzbl %dil, %eax\n\tret\n");
extern long same_load(const void *);
__asm__(SITE_HEAD(
    same_store) "movq $0, -72(%rsp)\n\tmov $110, %eax\n\tmovl $110, -72(%rsp)\n\tsyscall\n\t"
                "mov -72(%rsp), %eax\n\tret\n");
extern long same_store(void);
__asm__(SITE_HEAD(
    same_store_rbp) "push %rbp\n\tmov %rsp, %rbp\n\tmovq $0, -72(%rbp)\n\tmov $110, %eax\n\t"
                    "movl $110, -72(%rbp)\n\tsyscall\n\tmov -72(%rbp), %eax\n\tpop %rbp\n\tret\n");
extern long same_store_rbp(void);
/* The error path begins with the filling behind the ret. */
__asm__(SITE_HEAD(like_read) "xor %eax, %eax\n\tsyscall\n\tcmp $-4096, %rax\n\tja 1f\n\tret\n"
                             "1:\t.byte 0x66, 0x0f, 0x1f, 0x44, 0, 0\n\tmov $-1000, %rax\n\tret\n");
extern long like_read(long, ...);
/* A loop comes back between the two moves, with other values. */
__asm__(SITE_HEAD(
    like_moves) "push %rbx\n\tmov $3, %ebx\n\txor %r9d, %r9d\n\tmov $33, %eax\n\t"
                "mov %rdi, %rdi\n1:\tmov %rdx, %rsi\n\tsyscall\n\tadd %rax, %r9\n\t"
                "inc %rdx\n\tmov $33, %eax\n\tdec %ebx\n\tjnz 1b\n\tmov %r9, %rax\n\tpop %rbx\n\tret\n");
extern long like_moves(long fd, long unused, long to);

static void look_alikes(void)
{
    static int data[128] = { [64] = 77 };
    long ppid = getppid();
    char buf[4];

    for (int i = 0; i < WARM; i++) {
        int bad = 0;

        bad += like_r8(0) != 39;
        bad += like_r8_call(0) != ppid;
        bad += like_load(data) != 77;
        bad += like_store() != (ppid << 32 | 102);
        bad += same_r8() != 110;
        bad += same_load((char *)data + 146) != 77;
        bad += same_store() != 110;
        bad += same_store_rbp() != 110;
        bad += like_read(-1, buf, 4L) != -1000;
        bad += like_moves(1, 0, 200) != 200 + 201 + 202;
        if (bad) {
            CHECK_EQ(bad, i * 1000);
            break;
        }
    }
    for (int i = 200; i < 203; i++)
        close(i);
}

/* ---- code that changes ---- */

static unsigned char *code_page(size_t n, int prot)
{
    unsigned char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    memset(p, 0x90, n);
    (void)prot;
    return p;
}

/* nops, mov $nr, %eax; syscall; ret */
static void put_site(unsigned char *at, uint32_t nr)
{
    static const unsigned char code[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xc3 };

    memcpy(at, code, sizeof code);
    memcpy(at + 1, &nr, 4);
}

static long call0(const void *at)
{
    long (*fn)(void) = (long (*)(void))(uintptr_t)at;

    return fn();
}

static void many_sites(void)
{
    enum { N = 4000, STEP = 32 };
    unsigned char *p = code_page(N * STEP + 4096, 0);
    long ppid = getppid(), pid = getpid();
    int bad = 0;

    for (int i = 0; i < N; i++)
        put_site(p + i * STEP + 16, i % 2 ? SYS_getppid : SYS_getpid);
    CHECK_EQ(mprotect(p, N * STEP + 4096, PROT_READ | PROT_EXEC), 0);
    for (int k = 0; k < 8; k++) {
        for (int i = 0; i < N; i++)
            bad += call0(p + i * STEP + 16) != (i % 2 ? ppid : pid);
    }
    for (int i = 0; i < N / 8; i++) {
        for (int k = 0; k < 8; k++)
            bad += call0(p + i * STEP + 16) != (i % 2 ? ppid : pid);
    }
    CHECK_EQ(bad, 0);
    munmap(p, N * STEP + 4096);
}

static void rewritten(int prot)
{
    unsigned char *p = code_page(8192, 0), *q;
    long ppid = getppid(), uid = (long)getuid();

    put_site(p + 64, SYS_getppid);
    put_site(p + 4096 - 8, SYS_getppid); /* ends with its page */
    put_site(p + 4096, SYS_getppid);     /* begins with one */
    CHECK_EQ(mprotect(p, 8192, prot), 0);
    warm(call0(p + 64) == ppid ? 0 : (guest_failures++, 0));
    warm(call0(p + 4096 - 8) == ppid ? 0 : (guest_failures++, 0));
    warm(call0(p + 4096) == ppid ? 0 : (guest_failures++, 0));
    /* copied to somewhere else */
    q = code_page(8192, 0);
    memcpy(q, p, 8192);
    CHECK_EQ(mprotect(q, 8192, PROT_READ | PROT_EXEC), 0);
    if (prot & PROT_WRITE) {
        CHECK_EQ(call0(q + 64), ppid);
        CHECK_EQ(memcmp(p + 64, q + 64, 8), 0);
    }
    /* overwritten with another call, then with none */
    CHECK_EQ(mprotect(p, 8192, PROT_READ | PROT_WRITE), 0);
    put_site(p + 64, SYS_getuid);
    CHECK_EQ(mprotect(p, 8192, prot), 0);
    for (int i = 0; i < WARM; i++)
        CHECK_EQ(call0(p + 64), uid);
    CHECK_EQ(mprotect(p, 8192, PROT_READ | PROT_WRITE), 0);
    memcpy(p + 64, "\xb8\x07\x00\x00\x00\x90\x90\xc3", 8);
    CHECK_EQ(mprotect(p, 8192, prot), 0);
    CHECK_EQ(call0(p + 64), 7);
    /* something else at its place */
    munmap(p, 8192);
    CHECK(mmap(p, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
          p);
    memset(p, 0xcc, 8192);
    put_site(p + 4096, SYS_getuid);
    CHECK_EQ(mprotect(p, 8192, prot), 0);
    for (int i = 0; i < WARM; i++)
        CHECK_EQ(call0(p + 4096), uid);
    munmap(p, 8192);
    munmap(q, 8192);
}

static void rewritten_protected(void)
{
    rewritten(PROT_READ | PROT_EXEC);
}

static void rewritten_writable(void)
{
    rewritten(PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* Code in memory that two processes, and two places of one process, share. */
static void shared_code(void)
{
    int fd = memfd_create("code", 0), st = -1;
    unsigned char *a, *b;
    long pid;

    CHECK_EQ(ftruncate(fd, 4096), 0);
    a = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, fd, 0);
    (void)mmap(NULL, 0x200000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    b = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK(a != MAP_FAILED && b != MAP_FAILED);
    memset(a, 0x90, 4096);
    put_site(a + 64, SYS_getppid);
    put_site(a + 128, SYS_getppid);
    warm(call0(a + 64));
    warm(call0(b + 128));
    CHECK_EQ(call0(b + 64), getppid());
    CHECK_EQ(call0(a + 128), getppid());
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < WARM; i++) {
            if (call0(a + 64) != getppid() || call0(b + 64) != getppid())
                _exit(1);
        }
        _exit(0);
    }
    CHECK_EQ(waitpid((pid_t)pid, &st, 0), pid);
    CHECK_EQ(st, 0);
    munmap(a, 4096);
    munmap(b, 4096);
    close(fd);
}

/* ---- single steps ---- */

static volatile unsigned steps;

static void on_step(int sig, siginfo_t *si, void *v)
{
    ucontext_t *uc = v;

    (void)sig, (void)si;
    if (++steps > 3000) {
        guest_failures++;
        printf("stepped for ever, at %llx\n", (unsigned long long)uc->uc_mcontext.gregs[REG_RIP]);
        uc->uc_mcontext.gregs[REG_EFL] &= ~0x100;
    }
}

#define STEPPED(ret, call)                                                                         \
    do {                                                                                           \
        steps = 0;                                                                                 \
        __asm__ volatile(                                                                          \
            "sub $128, %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tadd $128, %%rsp" ::      \
                : "memory", "cc");                                                                 \
        (ret) = (call);                                                                            \
        __asm__ volatile(                                                                          \
            "sub $128, %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\tadd $128, %%rsp" ::    \
                : "memory", "cc");                                                                 \
    } while (0)

static void stepped(void)
{
    struct sigaction sa = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO }, old;
    long ppid = getppid(), pid = getpid(), r;
    char buf[4];

    warm(eax_getppid(0));
    warm(eax_getpid(0));
    warm(moves(SYS_dup2, 1L, 100L));
    warm(general(SYS_dup2, 1L, 100L));
    warm(rax_getppid(0));
    warm(xor_read(-1, buf, 4L));
    CHECK_EQ(sigaction(SIGTRAP, &sa, &old), 0);
    for (int i = 0; i < 3; i++) {
        STEPPED(r, eax_getppid(0));
        CHECK_EQ(r, ppid);
        CHECK(steps > 5);
        STEPPED(r, eax_getpid(0));
        CHECK_EQ(r, pid);
        STEPPED(r, rax_getppid(0));
        CHECK_EQ(r, ppid);
        STEPPED(r, moves(SYS_dup2, 1L, 100L));
        CHECK_EQ(r, 100);
        STEPPED(r, general(SYS_dup2, 1L, 101L));
        CHECK_EQ(r, 101);
        STEPPED(r, xor_read(-1, buf, 4L));
        CHECK_EQ(r, -EBADF);
    }
    close(100);
    close(101);
    sigaction(SIGTRAP, &old, NULL);
}

/* ---- what it leaves to be seen ---- */

/* Each mapping is one that this program can account for: its own, or named. */
static void maps(void)
{
    unsigned long long vdso = getauxval(AT_SYSINFO_EHDR);
    char line[512];
    FILE *f = fopen("/proc/self/maps", "re");
    int strange = 0;

    CHECK(f != NULL);
    while (f && fgets(line, sizeof line, f)) {
        char perm[8], name[256] = "";
        unsigned long long a, b;

        CHECK(sscanf(line, "%llx-%llx %7s %*s %*s %*s %255s", &a, &b, perm, name) >= 3);
        if (perm[2] != 'x' || name[0] || a >= 1ull << 47)
            continue;
        if (a > vdso + 0x10000 ||
            b + 0x10000 < vdso) { /* what the host has around it is the host's */
            strange++;
            printf("%s", line);
        }
    }
    CHECK_EQ(strange, 0);
    if (f)
        fclose(f);
}

/* Whatever has been put in the way: everything below the program is the program's to map. */
static void mapped_over(void)
{
    uintptr_t text = (uintptr_t)eax_getppid & ~0xfffful, heap = (uintptr_t)sbrk(0);
    long ppid = getppid();
    int st = -1;
    long pid;

    warm(eax_getppid(0));
    warm(moves(SYS_dup2, 1L, 100L));
    pid = fork();
    if (pid == 0) {
        for (int64_t d = -0x80000000ll; d <= 0x80000000ll; d += 0x100000) {
            uintptr_t at = text + (uintptr_t)d;

            if ((d < 0 && at > text) || (d > -0x4000000 && d < 0x8000000) || at < 0x10000 ||
                at > 0x7ff000000000 || (at > heap - 0x4000000 && at < heap + 0x4000000))
                continue;
            if (d % 0x200000)
                (void)munmap((void *)at, 0x100000);
            else
                (void)mmap((void *)at, 0x100000, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
        }
        for (int i = 0; i < WARM; i++) {
            if (eax_getppid(0) == ppid || moves(SYS_dup2, 1L, 100L) != 100 ||
                moves(SYS_dup2, 1L, 77L) != 77)
                _exit(1);
        }
        _exit(0);
    }
    CHECK_EQ(waitpid((pid_t)pid, &st, 0), pid);
    CHECK_EQ(st, 0);
}

int main(void)
{
    RUN(forms);
    RUN(registers);
    RUN(look_alikes);
    RUN(maps);
    RUN(stepped);
    RUN(mapped_over);
    RUN(many_sites);
    RUN(rewritten_protected);
    RUN(rewritten_writable);
    RUN(shared_code);
    DONE();
}
