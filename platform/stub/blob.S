/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry points of the blob. The file is linked first: the header lies at its start.
 *
 * blob_born is where a new thread, a forked child and a blank stub arrive. A forked child has no
 * channel mapped (MADV_DONTFORK), so nothing here touches memory before that is there:
 *   r12 address of its block, r13 nonce, r14 BORN_*
 */
#include "platform/stub/blob.h"

#define NR_mmap 9
#define NR_munmap 11
#define NR_rt_sigreturn 15
#define NR_madvise 28
#define NR_clone 56
#define NR_prctl 157
#define NR_exit_group 231
#define NR_close_range 436

    .section .head, "ax"
    .globl blob_start
blob_start:
    .long BLOB_MAGIC
    .long blob_end - blob_start
    .long blob_entry - blob_start
    .long blob_restorer - blob_start
    .long zygote_entry - blob_start
    .long blob_born - blob_start
    .long light_entry - blob_start
    .long light_plain - blob_start
    .long light_exit - blob_start
    .long light_end - blob_start
    .long light_framed - blob_start
    .long light_class - blob_start
    .long traced_call - blob_start
    .long traced_swap - blob_start
    .long traced_swapped - blob_start

    .text
    /* Signal handler: the C part, on this thread's alternate stack. */
blob_entry:
    cld
    jmp blob_handler

blob_restorer:
    movl $NR_rt_sigreturn, %eax
    syscall
    hlt

    /* long blob_syscall(nr, const uint64_t a[6]) */
    .globl blob_syscall
blob_syscall:
    movl %edi, %eax
    movq %rsi, %r11
    movq 0(%r11), %rdi
    movq 8(%r11), %rsi
    movq 16(%r11), %rdx
    movq 24(%r11), %r10
    movq 32(%r11), %r8
    movq 40(%r11), %r9
    syscall
    ret

    /* Where a tracer has a stub make a call (ptrace/inject.c). Nothing runs behind it. */
traced_call:
    syscall
    int3
    hlt

    /* Where it has a word exchanged, in one step: as blob_cmpxchg32, old in eax. */
traced_swap:
    lock cmpxchgl %edx, (%rdi)
traced_swapped:
    int3
    hlt

    /* long blob_store32(uint32_t *to, uint32_t value): 0, or -EFAULT by the handler's fix-up. */
    .globl blob_store32, blob_store32_insn, blob_store32_fault
blob_store32:
    xorl %eax, %eax
blob_store32_insn:
    movl %esi, (%rdi)
    ret
blob_store32_fault:
    movq $-14, %rax
    ret

    /* long blob_cmpxchg32(uint32_t *at, uint32_t old, uint32_t new): what was there; -EFAULT */
    .globl blob_cmpxchg32, blob_cmpxchg32_insn
blob_cmpxchg32:
    movl %esi, %eax
blob_cmpxchg32_insn:
    lock cmpxchgl %edx, (%rdi)
    movl %eax, %eax
    ret

    /* long blob_clone(flags, block, nonce, tls, ctid, kind): kind is the child's r14 */
    .globl blob_clone
blob_clone:
    pushq %r12
    pushq %r13
    pushq %r14
    movq %rsi, %r12
    movq %rdx, %r13
    movq %r9, %r14
    leaq BLOCK_SIZE(%rsi), %rsi     /* a child that shares memory must not share the stack */
    movq %r8, %r10                  /* ctid */
    movq %rcx, %r8                  /* tls */
    xorl %edx, %edx
    movl $NR_clone, %eax
    syscall
    testq %rax, %rax
    jz blob_born
    popq %r14
    popq %r13
    popq %r12
    ret

blob_born:
    xorl %ebp, %ebp
    testb $BORN_GS, %r14b
    jz 0f
    wrgsbase %r12                   /* an address, not yet a mapping */
0:  testb $BORN_OUR_GS, %r14b
    jz 6f
    rdgsbase %rax                   /* its maker's: that one's block, or what the guest has set */
    xorq %r12, %rax
    shrq $SLOT_SHIFT, %rax
    jnz 6f
    wrgsbase %r12
6:  testb $(BORN_NURSE | BORN_SPARE), %r14b
    jnz 3f
    testb $BORN_PROCESS, %r14b      /* a thread has its process's death signal */
    jz 1f
    movl $NR_prctl, %eax            /* PR_SET_PDEATHSIG, SIGKILL */
    movl $1, %edi
    movl $9, %esi
    xorl %edx, %edx
    xorl %r10d, %r10d
    xorl %r8d, %r8d
    syscall
    testb $BORN_CHANNEL, %r14b
    jnz 1f
    testb $BORN_GIVEN, %r14b
    jnz 7f
    xorl %edi, %edi                 /* what it has of its maker's, with whom it shares memory */
    movl $-1, %esi
    movl $NR_close_range, %eax
    syscall
    jmp 1f
7:  movq %r14, %rax
    shrq $BORN_FD_SHIFT, %rax
    jmp 5f
1:  movl $NR_BELL, %eax             
    movl $BELL_BORN, %edi
    movq %r13, %rsi
    xorl %edx, %edx
    syscall
    testq %rax, %rax
    js 9f
    testb $BORN_CHANNEL, %r14b
    jz 2f
5:  movq %rax, %r15                 /* a descriptor of the channel */
    movq %r12, %rdi
    shrq $SLOT_SHIFT, %rdi
    shlq $SLOT_SHIFT, %rdi
    addq $CHANNEL_OFF, %rdi
    movl $CHANNEL_SIZE, %esi
    movl $3, %edx                   /* PROT_READ | PROT_WRITE */
    movl $0x11, %r10d               /* MAP_SHARED | MAP_FIXED */
    movq %r15, %r8
    xorl %r9d, %r9d
    movl $NR_mmap, %eax
    syscall
    testq %rax, %rax
    js 9f
    movq %rax, %rdi
    movl $CHANNEL_SIZE, %esi
    movl $10, %edx                  /* MADV_DONTFORK */
    movl $NR_madvise, %eax
    syscall
    xorl %edi, %edi                 /* it, and what a fork has of its parent's other threads */
    movl $-1, %esi
    xorl %edx, %edx
    movl $NR_close_range, %eax
    syscall
    testb $BORN_GIVEN, %r14b
    jnz 1b
    /* A second bell: the channel is there, the frame may be waited for in it. */
    movl $NR_BELL, %eax
    movl $BELL_BORN, %edi
    movq %r13, %rsi
    movl $1, %edx
    syscall
    testq %rax, %rax
    js 9f
    /* The frame that the sentry has prepared lies at the top of the block, free stack below it. */
2:  movl BLOCK_UC_OFF(%r12), %ecx
    leaq -256(%r12, %rcx), %rsp
    andq $-16, %rsp
    movq %r12, %rdi
    movq %rax, %rsi
    call blob_first
    movl BLOCK_UC_OFF(%r12), %eax
    leaq (%r12, %rax), %rsp
    movl $NR_rt_sigreturn, %eax
    syscall
3:  leaq BLOCK_SIZE(%r12), %rsp     /* nothing lies in its block yet */
    movq %r12, %rdi
    testb $BORN_NURSE, %r14b
    jz 4f
    call blob_nurse
4:  xorl %r14d, %r14d
    call blob_spare
    jmp 1b
9:  movl $NR_exit_group, %eax
    movl $127, %edi
    syscall
    hlt

    /* void blob_again(block, nonce, kind): a thread that is over rings as a new one. */
    .globl blob_again
blob_again:
    movq %rdi, %r12
    movq %rsi, %r13
    movq %rdx, %r14
    jmp blob_born

    /* rdi: slot. The stack is the zygote's own. */
zygote_entry:
    leaq ZDATA_OFF(%rdi), %rdi
    leaq ZDATA_SIZE(%rdi), %rsp
    xorl %ebp, %ebp
    call zygote_main
    hlt

    /* void blob_blank(slot, nonce, kind): the first thread of a blank stub leaves the zygote's code. */
    .globl blob_blank
blob_blank:
    movl $CHANNEL_OFF, %r12d
    addq %rdi, %r12
    movq %rsi, %r13
    movl %edx, %r14d
    leaq ZDATA_OFF(%rdi), %rdi
    movl $ZDATA_SIZE, %esi
    movl $NR_munmap, %eax
    syscall
    jmp blob_born

    .section .tail, "ax"
    .globl blob_end
blob_end:
    .section .note.GNU-stack, "", @progbits
