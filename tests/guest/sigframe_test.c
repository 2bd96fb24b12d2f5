/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signal frame: what a handler sees of the interrupted registers, what of it goes back, the
 * extended state, and what the frames of faults say.
 */
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "guest.h"

static volatile uint64_t seen[NGREG];
static volatile uint32_t seen_mxcsr, magic1, xsize;
static volatile uint64_t uc_flags, frame_rsp, entry_flags;
static volatile unsigned char seen_xmm3[16];
static volatile siginfo_t info;

static void look(int sig, siginfo_t *si, void *v)
{
    ucontext_t *uc = v;
    (void)sig;
    for (int i = 0; i < NGREG; i++)
        seen[i] = (uint64_t)uc->uc_mcontext.gregs[i];
    uc_flags = uc->uc_flags;
    info = *si;
    frame_rsp = (uint64_t)uc;
    fpregset_t fp = uc->uc_mcontext.fpregs;
    seen_mxcsr = fp->mxcsr;
    for (int i = 0; i < 16; i++)
        seen_xmm3[i] = ((unsigned char *)&fp->_xmm[3])[i];
    const uint32_t *sw = (const uint32_t *)((const char *)fp + 464);
    magic1 = sw[0];
    xsize = sw[4];
    uint64_t f;
    __asm__ volatile("pushfq; pop %0" : "=r"(f));
    entry_flags = f;
    /* The handler's own state must not get back. */
    uint32_t mx = 0x1f80;
    __asm__ volatile("ldmxcsr %0; pcmpeqd %%xmm3, %%xmm3; pcmpeqd %%xmm9, %%xmm9" ::"m"(mx)
                     : "xmm3", "xmm9");
}

static void install(int sig, void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO };
    CHECK_EQ(sigaction(sig, &sa, NULL), 0);
}

/* Registers with known contents over a tgkill to oneself, made here so that no C comes between. */
static void registers(void)
{
    static uint64_t out[8], flags, rsp;
    static unsigned char xmm3[16] = "0123456789abcde", after[16];
    static uint32_t mx = 0x3f80, mx_after, def = 0x1f80; /* round down */
    long pid = getpid(), tid = syscall(SYS_gettid), ret;
    install(SIGUSR1, look);
    __asm__ volatile("movdqu %[x], %%xmm3\n\t"
                     "ldmxcsr %[mx]\n\t"
                     "mov $0x1111, %%ebx\n\t mov $0x8888, %%r8d\n\t mov $0x9999, %%r9d\n\t"
                     "mov $0xaaaa, %%r10d\n\t mov $0xcccc, %%r12d\n\t mov $0xdddd, %%r13d\n\t"
                     "mov $0xeeee, %%r14d\n\t mov $0xffff, %%r15d\n\t"
                     "mov %%rsp, %[sp]\n\t"
                     "std\n\t"
                     "syscall\n\t"
                     "sub $128, %%rsp\n\t pushfq\n\t pop %[fl]\n\t add $128, %%rsp\n\t cld\n\t"
                     "stmxcsr %[mxa]\n\t ldmxcsr %[def]\n\t"
                     "movdqu %%xmm3, %[a]\n\t"
                     "mov %%rbx, %[o0]\n\t mov %%r8, %[o1]\n\t mov %%r15, %[o5]\n\t"
                     : "=a"(ret), [fl] "=m"(flags), [mxa] "=m"(mx_after), [a] "=m"(after),
                       [sp] "=m"(rsp), [o0] "=m"(out[0]), [o1] "=m"(out[1]), [o5] "=m"(out[5])
                     : "a"(SYS_tgkill), "D"(pid), "S"(tid),
                       "d"((long)SIGUSR1), [x] "m"(xmm3), [mx] "m"(mx), [def] "m"(def)
                     : "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm3",
                       "memory");
    CHECK_EQ(ret, 0);
    CHECK_EQ(seen[REG_RBX], 0x1111);
    CHECK_EQ(seen[REG_R8], 0x8888);
    CHECK_EQ(seen[REG_R9], 0x9999);
    CHECK_EQ(seen[REG_R10], 0xaaaa);
    CHECK_EQ(seen[REG_R12], 0xcccc);
    CHECK_EQ(seen[REG_R13], 0xdddd);
    CHECK_EQ(seen[REG_R14], 0xeeee);
    CHECK_EQ(seen[REG_R15], 0xffff);
    CHECK_EQ(seen[REG_RDI], pid);
    CHECK_EQ(seen[REG_RSI], tid);
    CHECK_EQ(seen[REG_RDX], SIGUSR1);
    CHECK_EQ(seen[REG_RAX], 0);
    CHECK_EQ(seen[REG_RSP], rsp);
    CHECK_EQ(seen[REG_RCX], seen[REG_RIP]);
    CHECK(seen[REG_EFL] & 0x400);     /* DF as it was, */
    CHECK_EQ(entry_flags & 0x400, 0); /* but not for the handler, */
    CHECK(flags & 0x400);             /* and back again */
    CHECK_EQ(seen[REG_CSGSFS] & 0xffff, 0x33);
    CHECK_EQ(seen[REG_CSGSFS] >> 48, 0x2b);
    CHECK_EQ(seen_mxcsr, 0x3f80);
    CHECK_EQ(mx_after, 0x3f80);
    CHECK(memcmp((const void *)seen_xmm3, xmm3, 16) == 0);
    CHECK(memcmp(after, xmm3, 16) == 0);
    CHECK_EQ(out[0], 0x1111);
    CHECK_EQ(out[1], 0x8888);
    CHECK_EQ(out[5], 0xffff);
    CHECK_EQ(uc_flags, 7);
    CHECK_EQ(magic1, 0x46505853);
    CHECK(xsize >= 576);
    CHECK(frame_rsp < rsp - 128);
    CHECK_EQ(frame_rsp % 16, 0);
}

#ifdef __x86_64__
/* The upper halves too, where there are any. */
__attribute__((target("avx"))) static void wide(void)
{
    unsigned char in[32], out[32];
    if (!__builtin_cpu_supports("avx"))
        return;
    for (int i = 0; i < 32; i++)
        in[i] = (unsigned char)(i * 7 + 1);
    install(SIGUSR1, look);
    long ret, pid = getpid(), tid = syscall(SYS_gettid);
    __asm__ volatile("vmovdqu %[in], %%ymm9\n\t syscall\n\t vmovdqu %%ymm9, %[out]\n\t vzeroupper"
                     : "=a"(ret), [out] "=m"(out)
                     : "a"(SYS_tgkill), "D"(pid), "S"(tid), "d"((long)SIGUSR1), [in] "m"(in)
                     : "rcx", "r11", "xmm9", "memory");
    CHECK_EQ(ret, 0);
    CHECK(memcmp(in, out, 32) == 0);
}
#endif

/* What the handler writes into the frame is what goes on. */
static void change(int sig, siginfo_t *si, void *v)
{
    ucontext_t *uc = v;
    (void)sig, (void)si;
    uc->uc_mcontext.gregs[REG_RAX] = -900; /* nothing of sbx's own may be mistaken here */
    uc->uc_mcontext.gregs[REG_RBX] = 0x77;
    uc->uc_mcontext.gregs[REG_EFL] |= 1;
    ((uint32_t *)&uc->uc_mcontext.fpregs->_xmm[3])[0] = 0xabcdef;
    sigaddset(&uc->uc_sigmask, SIGUSR2);
}

static void changed(void)
{
    long ret, pid = getpid(), tid = syscall(SYS_gettid);
    uint64_t rbx;
    uint32_t x;
    unsigned char carry;
    install(SIGUSR1, change);
    __asm__ volatile(
        "mov $1, %%ebx\n\t syscall\n\t setc %[c]\n\t mov %%rbx, %[b]\n\t movd %%xmm3, %[x]"
        : "=a"(ret), [b] "=r"(rbx), [x] "=r"(x), [c] "=r"(carry)
        : "a"(SYS_tgkill), "D"(pid), "S"(tid), "d"((long)SIGUSR1)
        : "rbx", "rcx", "r11", "xmm3", "memory");
    CHECK_EQ(ret, -900);
    CHECK_EQ(rbx, 0x77);
    CHECK_EQ(x, 0xabcdef);
    CHECK_EQ(carry, 1);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR2));
    CHECK(!sigismember(&now, SIGUSR1));
    sigdelset(&now, SIGUSR2);
    sigprocmask(SIG_SETMASK, &now, NULL);
}

/* Two signals at once: two frames, the second handler runs first, and the state survives both. */
static volatile int order[4], norder;

static void note(int sig, siginfo_t *si, void *v)
{
    (void)si, (void)v;
    order[norder++ & 3] = sig;
    __asm__ volatile("pcmpeqd %%xmm3, %%xmm3" ::: "xmm3");
}

static void nested(void)
{
    sigset_t s;
    uint32_t x = 0x1234567, y;
    install(SIGUSR1, note);
    install(SIGUSR2, note);
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGUSR2);
    sigprocmask(SIG_BLOCK, &s, NULL);
    raise(SIGUSR1);
    raise(SIGUSR2);
    unsigned long none = 0;
    long ret;
    __asm__ volatile("movd %[x], %%xmm3\n\t mov $8, %%r10d\n\t syscall\n\t movd %%xmm3, %[y]"
                     : "=a"(ret), [y] "=r"(y)
                     : "a"(SYS_rt_sigprocmask), "D"(SIG_SETMASK), "S"(&none), "d"(NULL), [x] "r"(x)
                     : "rcx", "r10", "r11", "xmm3", "memory");
    CHECK_EQ(ret, 0);
    CHECK_EQ(norder, 2);
    CHECK_EQ(order[0], SIGUSR2);
    CHECK_EQ(order[1], SIGUSR1);
    CHECK_EQ(x, y);
}

/* ---- faults ---- */

static uint64_t skip_to;
static volatile int *volatile nowhere = (volatile int *)8;

static void fault(int sig, siginfo_t *si, void *v)
{
    look(sig, si, v);
    ((ucontext_t *)v)->uc_mcontext.gregs[REG_RIP] = (long long)skip_to;
}

static void segv(void)
{
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    install(SIGSEGV, fault);
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t mov %%rax, %0\n\t movb $1, (%1)\n 1:"
                     : "=m"(skip_to)
                     : "r"(page + 5)
                     : "rax", "memory");
    CHECK_EQ(info.si_signo, SIGSEGV);
    CHECK_EQ(info.si_code, SEGV_ACCERR);
    CHECK_EQ((uint64_t)info.si_addr, (uint64_t)page + 5);
    CHECK_EQ(seen[REG_CR2], (uint64_t)page + 5);
    CHECK_EQ(seen[REG_TRAPNO], 14);
    CHECK_EQ(seen[REG_ERR], 6);
    munmap(page, 4096);
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t mov %%rax, %0\n\t movb (%1), %%al\n 1:"
                     : "=m"(skip_to)
                     : "r"(8L)
                     : "rax", "memory");
    CHECK_EQ(info.si_code, SEGV_MAPERR);
    CHECK_EQ((uint64_t)info.si_addr, 8);
    CHECK_EQ(seen[REG_ERR], 4);
    /* Not canonical: a general protection fault, without an address. */
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t mov %%rax, %0\n\t movb (%1), %%al\n 1:"
                     : "=m"(skip_to)
                     : "r"(0x8000000000000000ul)
                     : "rax", "memory");
    CHECK_EQ(info.si_code, SI_KERNEL);
    CHECK_EQ((uint64_t)info.si_addr, 0);
    CHECK_EQ(seen[REG_TRAPNO], 13);
}

static void others(void)
{
    install(SIGFPE, fault);
    install(SIGILL, fault);
    install(SIGTRAP, look);
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t mov %%rax, %0\n\t xor %%ecx, %%ecx\n\t"
                     "xor %%edx, %%edx\n\t mov $1, %%eax\n\t 2: idiv %%ecx\n 1:"
                     : "=m"(skip_to)
                     :
                     : "rax", "rcx", "rdx", "memory");
    CHECK_EQ(info.si_signo, SIGFPE);
    CHECK_EQ(info.si_code, FPE_INTDIV);
    CHECK_EQ((uint64_t)info.si_addr, seen[REG_RIP]);
    CHECK_EQ(seen[REG_TRAPNO], 0);
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t mov %%rax, %0\n\t ud2\n 1:"
                     : "=m"(skip_to)::"rax", "memory");
    CHECK_EQ(info.si_signo, SIGILL);
    CHECK_EQ(info.si_code, ILL_ILLOPN);
    CHECK_EQ((uint64_t)info.si_addr, seen[REG_RIP]);
    uint64_t next;
    __asm__ volatile("lea 1f(%%rip), %0\n\t int3\n 1:" : "=r"(next)::"memory");
    CHECK_EQ(info.si_signo, SIGTRAP);
    CHECK_EQ(info.si_code, SI_KERNEL);
    CHECK_EQ(seen[REG_RIP], next);
    CHECK_EQ(seen[REG_TRAPNO], 3);
}

/* ---- endings ---- */

static void bad_rip(int sig, siginfo_t *si, void *v)
{
    (void)sig, (void)si;
    ((ucontext_t *)v)->uc_mcontext.gregs[REG_RIP] = (long long)0x8000000000000000ull;
}

static void bad_fpu(int sig, siginfo_t *si, void *v)
{
    (void)sig, (void)si;
    ((ucontext_t *)v)->uc_mcontext.fpregs = (void *)0x40;
}

static int ends_with(int what)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit core = { 0, 0 };
        setrlimit(RLIMIT_CORE, &core);
        signal(SIGSEGV, SIG_DFL);
        sigset_t s;
        sigemptyset(&s);
        sigaddset(&s, SIGSEGV);
        switch (what) {
        case 0: /* sigreturn without a frame */
            __asm__ volatile("mov $8, %%rsp\n\t mov $15, %%eax\n\t syscall" ::: "rax", "memory");
            break;
        case 1:
            install(SIGUSR1, bad_rip);
            raise(SIGUSR1);
            break;
        case 2:
            install(SIGUSR1, bad_fpu);
            raise(SIGUSR1);
            break;
        case 3: /* a fault is not held back by a mask */
            sigprocmask(SIG_BLOCK, &s, NULL);
            *nowhere = 1;
            break;
        case 4:
            signal(SIGSEGV, SIG_IGN);
            *nowhere = 1;
            break;
        case 5: { /* no restorer */
            struct {
                void *h;
                unsigned long f;
                void *r;
                unsigned long m;
            } sa = { (void *)look, 4, 0, 0 };
            syscall(SYS_rt_sigaction, SIGUSR1, &sa, NULL, 8);
            raise(SIGUSR1);
            break;
        }
        }
        _exit(0);
    }
    int st = 0;
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    return st & ~0x80;
}

static void bad_endings(void)
{
    for (int i = 0; i < 6; i++)
        CHECK_EQ(ends_with(i) + i * 1000, SIGSEGV + i * 1000);
}

int main(void)
{
    RUN(registers);
    RUN(wide);
    RUN(changed);
    RUN(nested);
    RUN(segv);
    RUN(others);
    RUN(bad_endings);
    DONE();
}
