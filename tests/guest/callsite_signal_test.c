/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals that come at any moment of calls from hot sites: what they interrupt goes on as if nothing
 * had been, or as the handler says; and a handler sees nothing but the program's own state.
 */
#include "callsite.h"

#include <immintrin.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include "guest.h"

#define ENOUGH 1500  /* signals; or so many */
#define LONGEST 1200 /* milliseconds */
#define EVERY_US 40  /* or longer, where a signal takes long: else there is time for nothing else */
#define TIMES 2      /* what one takes */
#define MEASURED 200 /* signals */

SITE_EAX(eax_getpid, 39);
SITE_EAX(eax_getppid, 110);
SITE_RAX(rax_getppid, 110);
SITE_EAX(eax_read, 0);
SITE_EAX(eax_write, 1);
SITE_EAX(eax_futex, 202);
SITE_XOR(xor_read);
SITE_MOVES(moves);
SITE_SYSCALL(general);
ALL_REGS(all_getpid, 39);
ALL_REGS(all_getppid, 110);
ALL_REGS(all_write, 1);

extern char __executable_start[], etext[];

static volatile sig_atomic_t got, outside;
static struct timespec began;
static long every_us;

static void note(int sig, siginfo_t *si, void *v)
{
    uint64_t rip = (uint64_t)((ucontext_t *)v)->uc_mcontext.gregs[REG_RIP];

    (void)sig, (void)si;
    got++;
    if ((rip < (uint64_t)__executable_start || rip >= (uint64_t)etext) &&
        rip - getauxval(AT_SYSINFO_EHDR) >= 0x4000)
        outside++;
}

static long us_since(const struct timespec *from)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - from->tv_sec) * 1000000 + (now.tv_nsec - from->tv_nsec) / 1000;
}

static void (*measured)(int, siginfo_t *, void *);

static void measuring(int sig, siginfo_t *si, void *v)
{
    const struct itimerval none = { { 0, 0 }, { 0, 0 } };

    measured(sig, si, v);
    if (got >= MEASURED)
        setitimer(ITIMER_REAL, &none, NULL);
}

/* How long signals take that come as fast as they are taken: sets every_us. */
static void measure(void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction sa = { .sa_sigaction = measuring, .sa_flags = SA_SIGINFO };
    struct itimerval it = { { 0, 1 }, { 0, 1 } };
    struct timespec from;

    measured = handler;
    got = 0;
    CHECK_EQ(sigaction(SIGALRM, &sa, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &from);
    CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
    while (got < MEASURED)
        eax_getppid(0);
    every_us = us_since(&from) * TIMES / MEASURED;
    if (every_us < EVERY_US)
        every_us = EVERY_US;
}

static void storm(void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
    struct itimerval it = { { 0, every_us }, { 0, every_us } };

    got = outside = 0;
    clock_gettime(CLOCK_MONOTONIC, &began);
    CHECK_EQ(sigaction(SIGALRM, &sa, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
}

static int enough(void)
{
    return got >= ENOUGH || us_since(&began) > LONGEST * 1000L;
}

static void calm(void)
{
    struct itimerval none = { { 0, 0 }, { 0, 0 } };

    CHECK_EQ(setitimer(ITIMER_REAL, &none, NULL), 0);
    signal(SIGALRM, SIG_IGN);
    CHECK(got > 20);
    CHECK_EQ(outside, 0);
}

/* ---- nothing happens ---- */

static int same_registers(void (*call)(void), long want, uint64_t flags)
{
    all_in.rflags = flags | 0x202;
    call();
    return (long)all_out.rax == want && !memcmp(&all_in, &all_out, offsetof(struct all, rflags)) &&
           all_out.rsp == all_in.rsp && (all_out.rflags & 0xcd5) == flags;
}

static void undisturbed(int flags)
{
    static unsigned char stack[16384] __attribute__((aligned(16)));
    long pid = getpid(), ppid = getppid();
    int bad = 0;

    for (unsigned i = 0; i < sizeof all_in / 8; i++)
        (&all_in.rbx)[i] = 0x0101010101010101ull * (i + 1);
    all_in.rdi = (uint64_t)-5;
    all_in.rsp = (uint64_t)stack + 15000;
    all_in.rflags = 0x202;
    warm(all_getpid());
    warm(all_getppid());
    warm(all_write());
    warm(moves(SYS_dup2, 1L, 100L));
    warm(general(SYS_dup2, 1L, 100L));
    storm(note, flags);
    while (!enough() && !bad) {
        for (int i = 0; i < 20; i++) {
            bad += !same_registers(all_getpid, pid, i % 2 ? 0xcd5 : 0);
            bad += !same_registers(all_getppid, ppid, i % 2 ? 0x841 : 0x400);
            bad += !same_registers(all_write, -EBADF, i % 2 ? 0 : 0x94);
            bad += moves(SYS_dup2, 1L, 100L) != 100;
            bad += general(SYS_dup2, 1L, 101L) != 101;
            for (int k = 0; k < 50; k++)
                bad += eax_getpid(0) != pid;
        }
    }
    calm();
    CHECK_EQ(bad, 0);
    close(100);
    close(101);
}

static void registers(void)
{
    undisturbed(0);
}

static void registers_restart(void)
{
    undisturbed(SA_RESTART);
}

/* The program has no stack of its own at the call; handlers have one. */
static void no_stack(void)
{
    static char alt[65536];
    stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt }, off = { .ss_flags = SS_DISABLE };
    long pid = getpid(), ppid = getppid();
    int bad = 0;

    CHECK_EQ(sigaltstack(&ss, NULL), 0);
    all_in.rsp = 8;
    storm(note, SA_ONSTACK);
    while (!enough() && !bad) {
        bad += !same_registers(all_getpid, pid, 0);
        bad += !same_registers(all_getppid, ppid, 0x400);
    }
    calm();
    CHECK_EQ(bad, 0);
    CHECK_EQ(sigaltstack(&off, NULL), 0);
}

/* Bytes through a pipe, by calls that are interrupted or restarted: none is lost, none comes twice. */
static void stream(int flags)
{
    int p[2], st = -1, interrupted = 0;
    unsigned char want = 0, c = 0;
    pid_t pid;

    CHECK_EQ(pipe(p), 0);
    pid = fork();
    if (pid == 0) {
        close(p[0]);
        for (int i = 0; i < 100000; i++, c++) {
            if (i % 10 == 0)
                usleep(20000);
            if (write(p[1], &c, 1) != 1)
                _exit(i == 0);
        }
        _exit(0);
    }
    close(p[1]);
    storm(note, flags);
    while (!enough()) {
        long r = want % 2 ? xor_read(p[0], &c, 1L) : eax_read(p[0], &c, 1L);

        if (r == -EINTR) {
            interrupted++;
            continue;
        }
        if (r != 1 || c != want) {
            CHECK_EQ(r, 1);
            CHECK_EQ(c, want);
            break;
        }
        want++;
    }
    calm();
    CHECK((flags & SA_RESTART) ? interrupted == 0 : interrupted > 0);
    close(p[0]);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
}

static void pipe_eintr(void)
{
    stream(0);
}

static void pipe_restart(void)
{
    stream(SA_RESTART);
}

/* A futex call from a site that was made hot by others: a signal takes it out of its wait. */
static void futex_wait(void)
{
    static int word;
    struct timespec ts = { 0, 20000000 };
    int n = 0;

    warm(general(SYS_getppid));
    storm(note, 0);
    while (!enough()) {
        long r = general(SYS_futex, &word, 128L, 0L, &ts, 0L);

        if (r == -EINTR)
            n++;
        else
            CHECK(r == -ETIMEDOUT);
    }
    calm();
    CHECK(n > 20);
}

/* ---- handlers that do something ---- */

static sigjmp_buf back;

static void jump(int sig, siginfo_t *si, void *v)
{
    note(sig, si, v);
    siglongjmp(back, 1);
}

static void jumps(void)
{
    long pid = getpid(), ppid = getppid();
    volatile int bad = 0, landed = 0;
    char c;
    int p[2];

    CHECK_EQ(pipe(p), 0);
    every_us *= 2; /* a jump takes a call more than what was measured, before it has landed */
    if (sigsetjmp(back, 1))
        landed++;
    else
        storm(jump, 0); /* not before there is a way back, with the mask of signals */
    while (!enough() && !bad) {
        for (int i = 0; i < 10; i++) {
            bad += eax_getppid(0) != ppid;
            bad += rax_getppid(0) != ppid;
            bad += eax_getpid(0) != pid;
        }
        (void)xor_read(p[0], &c, 1L); /* until the next one */
    }
    calm();
    every_us /= 2;
    CHECK_EQ(bad, 0);
    CHECK(landed > 20);
    close(p[0]);
    close(p[1]);
}

/* A loop of calls in which r12 counts the signals and rbx the rounds: rdi rounds; r12 comes back. */
__asm__(SITE_HEAD(
    counting) "push %rbx\n\tpush %r12\n\tmov %rdi, %rbx\n\txor %r12d, %r12d\n"
              "counting_from:\n\tmov $110, %eax\n\tsyscall\n\tmov $39, %eax\n\tsyscall\n\t"
              "dec %rbx\n\tjnz counting_from\ncounting_to:\n\t"
              "mov %r12, %rax\n\tpop %r12\n\tpop %rbx\n\tret\n");
extern long counting(long);
extern char counting_from[], counting_to[];
static volatile long counted, misplaced;

static void count(int sig, siginfo_t *si, void *v)
{
    greg_t *g = ((ucontext_t *)v)->uc_mcontext.gregs;
    uint64_t at = (uint64_t)g[REG_RIP] - (uint64_t)counting_from;

    note(sig, si, v);
    if (at >= (uint64_t)(counting_to - counting_from))
        return;
    g[REG_R12]++;
    counted++;
    /* where instructions begin */
    if (at != 0 && at != 5 && at != 7 && at != 12 && at != 14 && at != 17)
        misplaced++;
}

static void changes(void)
{
    long sum = 0;

    warm(counting(2));
    storm(count, 0);
    while (!enough())
        sum += counting(50);
    calm();
    CHECK_EQ(sum, counted);
    CHECK_EQ(misplaced, 0);
}

/* The handler leaves a call behind, with a result of its own. */
static void leave(int sig, siginfo_t *si, void *v)
{
    greg_t *g = ((ucontext_t *)v)->uc_mcontext.gregs;
    uint64_t at = (uint64_t)g[REG_RIP] - (uint64_t)counting_from;

    note(sig, si, v);
    if (at >= (uint64_t)(counting_to - counting_from))
        return;
    counted++;
    g[REG_RIP] = (greg_t)counting_to;
    g[REG_R12] = 77;
}

static void leaves(void)
{
    long left = 0;

    counted = 0;
    storm(leave, 0);
    while (!enough()) {
        long r = counting(100);

        left += r == 77;
        CHECK(r == 77 || r == 0);
    }
    calm();
    CHECK_EQ(left, counted);
}

/* Handlers that call as well, one within the other (each once: they may come faster than they end). */
static volatile long wrong;
static long my_pid, my_ppid;

static void call(int sig, siginfo_t *si, void *v)
{
    (void)sig, (void)si, (void)v;
    got++;
    for (int i = 0; i < 3; i++)
        wrong += eax_getppid(0) != my_ppid || eax_getpid(0) != my_pid ||
                 rax_getppid(0) != my_ppid || moves(SYS_dup2, 1L, 100L) != 100;
}

static void nested(void)
{
    struct sigaction sa = { .sa_sigaction = call, .sa_flags = SA_SIGINFO };
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct itimerspec it;
    timer_t tm;

    my_pid = getpid(), my_ppid = getppid();
    measure(call);
    it.it_interval = it.it_value = (struct timespec){ 0, every_us * 1750 };
    CHECK_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &tm), 0);
    storm(call, 0);
    CHECK_EQ(timer_settime(tm, 0, &it, NULL), 0);
    while (!enough())
        wrong += eax_getppid(0) != my_ppid || eax_getpid(0) != my_pid ||
                 moves(SYS_dup2, 1L, 100L) != 100;
    timer_delete(tm);
    signal(SIGUSR1, SIG_IGN);
    calm();
    CHECK_EQ(wrong, 0);
    close(100);
    measure(note);
}

/* ---- extended state ---- */

static void clobber(int sig, siginfo_t *si, void *v)
{
    uint32_t mx = 0x1f80;

    note(sig, si, v);
    __asm__ volatile("ldmxcsr %0\n\tfninit\n\tpcmpeqd %%xmm3, %%xmm3\n\tpxor %%xmm9, %%xmm9\n\t"
                     "pcmpeqd %%xmm15, %%xmm15" ::"m"(mx)
                     : "xmm3", "xmm9", "xmm15");
}

__attribute__((target("avx"))) static void extended(void)
{
    unsigned char in[32], o3[32], o9[32], o15[32];
    uint32_t mx = 0x7f80, def = 0x1f80, mx_out = 0;
    uint16_t cw = 0x27f, cw_out = 0;
    int bad = 0;

    if (!__builtin_cpu_supports("avx"))
        return;
    for (int i = 0; i < 32; i++)
        in[i] = (unsigned char)(i * 7 + 1);
    storm(clobber, 0);
    while (!enough() && !bad) {
        long ret;

        __asm__ volatile(
            "fldcw %[cw]\n\tldmxcsr %[mx]\n\tvmovdqu %[in], %%ymm3\n\t"
            "vmovdqu %[in], %%ymm9\n\tvmovdqu %[in], %%ymm15\n\t"
            "mov $20, %%ebx\n1:\tmov $110, %%eax\n\tsyscall\n\tmov $39, %%eax\n\tsyscall\n\t"
            "dec %%ebx\n\tjnz 1b\n\t"
            "vmovdqu %%ymm3, %[o3]\n\tvmovdqu %%ymm9, %[o9]\n\tvmovdqu %%ymm15, %[o15]\n\t"
            "stmxcsr %[mo]\n\tldmxcsr %[def]\n\tfnstcw %[co]\n\tfninit\n\tvzeroupper"
            : "=&a"(ret), [o3] "=m"(o3), [o9] "=m"(o9), [o15] "=m"(o15), [mo] "=m"(mx_out),
              [co] "=m"(cw_out)
            : [in] "m"(in), [mx] "m"(mx), [def] "m"(def), [cw] "m"(cw)
            : "rbx", "rcx", "r11", "xmm3", "xmm9", "xmm15", "memory");
        bad += memcmp(in, o3, 32) || memcmp(in, o9, 32) || memcmp(in, o15, 32);
        bad += mx_out != mx || cw_out != cw || ret != getpid();
    }
    calm();
    CHECK_EQ(bad, 0);
}

int main(void)
{
    measure(note);
    RUN(registers);
    RUN(registers_restart);
    RUN(no_stack);
    RUN(pipe_eintr);
    RUN(pipe_restart);
    RUN(futex_wait);
    RUN(jumps);
    RUN(changes);
    RUN(leaves);
    RUN(nested);
    RUN(extended);
    DONE();
}
