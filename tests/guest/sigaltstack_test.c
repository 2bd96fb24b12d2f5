/* SPDX-License-Identifier: Apache-2.0 */
/* The alternate signal stack: who uses it, nesting, SS_AUTODISARM, errors, running out of it. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "guest.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif
#define SIZE 65536

static char *area;
static volatile long where1, where2;
static volatile int flags1, inner_errno;
static volatile int set_other = 1;
static stack_t in_frame;

static int on_area(long p)
{
    return p > (long)area && p <= (long)area + SIZE;
}

static void inner(int sig)
{
    char here;
    (void)sig;
    where2 = (long)&here;
}

static void outer(int sig, siginfo_t *si, void *uc)
{
    char here;
    stack_t ss, other = { .ss_sp = area, .ss_size = SIZE };
    (void)sig, (void)si;
    where1 = (long)&here;
    in_frame = ((ucontext_t *)uc)->uc_stack;
    sigaltstack(NULL, &ss);
    flags1 = ss.ss_flags;
    errno = 0;
    if (set_other)
        inner_errno = sigaltstack(&other, NULL) ? errno : 0;
    raise(SIGUSR2);
}

static void install(int flags)
{
    struct sigaction sa = { .sa_sigaction = outer, .sa_flags = SA_SIGINFO | flags };
    CHECK_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
    struct sigaction sb = { .sa_handler = inner, .sa_flags = SA_ONSTACK };
    CHECK_EQ(sigaction(SIGUSR2, &sb, NULL), 0);
}

static void used_and_nested(void)
{
    stack_t ss = { .ss_sp = area, .ss_size = SIZE }, old;
    CHECK_EQ(sigaltstack(&ss, NULL), 0);
    CHECK_EQ(sigaltstack(NULL, &old), 0);
    CHECK_EQ(old.ss_flags, 0);
    CHECK(old.ss_sp == area && old.ss_size == SIZE);
    install(SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(on_area(where1));
    CHECK(on_area(where2) && where2 < where1); /* it goes on below, not at the top again */
    CHECK_EQ(flags1, SS_ONSTACK);
    CHECK_EQ(inner_errno, EPERM);
    CHECK(in_frame.ss_sp == area && in_frame.ss_size == SIZE);
    install(0);
    raise(SIGUSR1);
    CHECK(!on_area(where1));
    CHECK(on_area(where2));
}

static void autodisarm(void)
{
    stack_t ss = { .ss_sp = area, .ss_size = SIZE, .ss_flags = (int)SS_AUTODISARM }, old;
    CHECK_EQ(sigaltstack(&ss, NULL), 0);
    install(SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(on_area(where1));
    CHECK_EQ(flags1, SS_DISABLE);
    CHECK_EQ(inner_errno, 0); /* it may set another one meanwhile, */
    CHECK_EQ(sigaltstack(NULL, &old), 0);
    CHECK_EQ(old.ss_flags, 0); /* which is in use at sigreturn, and so stays */
    CHECK(old.ss_sp == area);
    set_other = 0;
    CHECK_EQ(sigaltstack(&ss, NULL), 0);
    raise(SIGUSR1);
    CHECK_EQ(sigaltstack(NULL, &old), 0);
    CHECK_EQ(old.ss_flags, (int)SS_AUTODISARM); /* else sigreturn brings the old one back */
    CHECK(old.ss_sp == area);
    set_other = 1;
}

static void errors(void)
{
    stack_t ss = { .ss_sp = area, .ss_size = 1024 }, old;
    CHECK_ERR(sigaltstack(&ss, NULL), ENOMEM);
    ss = (stack_t){ .ss_sp = area, .ss_size = SIZE, .ss_flags = 8 };
    CHECK_ERR(sigaltstack(&ss, NULL), EINVAL);
    CHECK_ERR(sigaltstack((void *)8, NULL), EFAULT);
    CHECK_ERR(sigaltstack(NULL, (void *)8), EFAULT);
    ss.ss_flags = SS_DISABLE;
    CHECK_EQ(sigaltstack(&ss, NULL), 0);
    CHECK_EQ(sigaltstack(NULL, &old), 0);
    CHECK_EQ(old.ss_flags, SS_DISABLE);
    CHECK(old.ss_sp == NULL && old.ss_size == 0);
    ss.ss_flags = SS_ONSTACK; /* allowed, and meaningless */
    CHECK_EQ(sigaltstack(&ss, NULL), 0);
}

static void segv_handler(int sig)
{
    (void)sig;
    _exit(7);
}

/* A stack overflow is caught on the alternate stack only. */
static volatile int deep = 1 << 20;

static __attribute__((noinline)) int eat(int depth)
{
    volatile char buf[65536];
    buf[0] = (char)depth;
    return depth == deep ? 0 : eat(depth + 1) + buf[0];
}

static int overflow_child(int with_stack)
{
    struct rlimit core = { 0, 0 };
    setrlimit(RLIMIT_CORE, &core);
    pid_t pid = fork();
    if (pid == 0) {
        stack_t ss = { .ss_sp = area, .ss_size = SIZE, .ss_flags = with_stack ? 0 : SS_DISABLE };
        struct sigaction sa = { .sa_handler = segv_handler, .sa_flags = SA_ONSTACK };
        struct rlimit rl = { 1 << 20, 1 << 20 };
        setrlimit(RLIMIT_STACK, &rl);
        sigaltstack(&ss, NULL);
        sigaction(SIGSEGV, &sa, NULL);
        _exit(eat(0));
    }
    int st = 0;
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    return st & ~0x80;
}

static void stack_overflow(void)
{
    CHECK_EQ(overflow_child(1), 7 << 8);
    CHECK_EQ(overflow_child(0), SIGSEGV);
}

/* A frame for which the alternate stack has no room ends in SIGSEGV, not below it. */
static void altstack_too_small(void)
{
    if (!__builtin_cpu_supports("avx512f"))
        return; /* the frame may fit */
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit core = { 0, 0 };
        setrlimit(RLIMIT_CORE, &core);
        stack_t ss = { .ss_sp = area + SIZE / 2, .ss_size = 2048 };
        struct sigaction sa = { .sa_handler = inner, .sa_flags = SA_ONSTACK };
        CHECK_EQ(sigaltstack(&ss, NULL), 0);
        sigaction(SIGUSR1, &sa, NULL);
        raise(SIGUSR1);
        _exit(0);
    }
    int st = 0;
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st & ~0x80, SIGSEGV);
}

int main(void)
{
    area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    RUN(used_and_nested);
    RUN(autodisarm);
    RUN(errors);
    RUN(stack_overflow);
    RUN(altstack_too_small);
    DONE();
}
