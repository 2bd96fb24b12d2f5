/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for the stops of all stubs, and for a nudge. A signal that comes between the tracer's last
 * look at the queue and the host's wait4() would be lost. So its handler leaves a word, which is looked at
 * right before the call; and where it came behind that look, it has the call that has not been entered yet
 * return EINTR, too.
 *
 *      tracer                             who wants something
 *      ------                             -------------------
 *      takes pt.lock                      takes pt.lock
 *      pt_nudged = 0                      puts it there
 *      sees an empty queue                sees waiting
 *      waiting = true                     gives it back, sends SIG_NUDGE
 *      gives it back
 *      pt_wait_asm: pt_nudged?            handler: pt_nudged = 1; rip between the two? Then to the end.
 *                   syscall
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "platform/ptrace/ptrace.h"

extern long pt_wait_asm(int *status, long options);
extern const char pt_wait_syscall[], pt_wait_eintr[];

volatile uint32_t pt_nudged;

__asm__(".text\n"
        ".globl pt_wait_asm, pt_wait_syscall, pt_wait_eintr\n"
        ".hidden pt_wait_asm, pt_wait_syscall, pt_wait_eintr\n"
        ".type pt_wait_asm, @function\n"
        "pt_wait_asm:\n"
        "    cmpl $0, pt_nudged(%rip)\n"
        "    jne pt_wait_eintr\n"
        "    movq %rsi, %rdx\n"
        "    movq %rdi, %rsi\n"
        "    movq $-1, %rdi\n"
        "    xorl %r10d, %r10d\n"
        "    movl $61, %eax\n" /* wait4 */
        "pt_wait_syscall:\n"
        "    syscall\n"
        "    ret\n"
        "pt_wait_eintr:\n"
        "    movq $-4, %rax\n"
        "    ret\n"
        ".size pt_wait_asm, . - pt_wait_asm\n");

static void nudged(int sig, siginfo_t *info, void *context)
{
    greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

    (void)sig, (void)info;
    pt_nudged = 1;
    if (*rip >= (greg_t)(uintptr_t)pt_wait_asm && *rip <= (greg_t)(uintptr_t)pt_wait_syscall)
        *rip = (greg_t)(uintptr_t)pt_wait_eintr;
}

void pt_wait_init(void)
{
    struct sigaction sa = { .sa_sigaction = nudged, .sa_flags = SA_SIGINFO };
    struct sigaction ign = { .sa_handler = SIG_IGN };

    sigaction(SIG_NUDGE, &sa, NULL);
    sigaction(SIGCHLD, &ign, NULL); /* stops are waited for, and no signal is made for each */
}

pid_t pt_poll(int *ret_status)
{
    return (pid_t)pt_wait_asm(ret_status, __WALL | __WNOTHREAD | WNOHANG);
}

pid_t pt_wait(int *ret_status, bool until_nudged)
{
    long r;

    while ((r = pt_wait_asm(ret_status, __WALL | __WNOTHREAD)) == -EINTR && !until_nudged)
        pt_nudged = 0; /* the queue is looked at before the next wait that it could end */
    return (pid_t)r;
}
