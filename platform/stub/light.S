/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The light path: where a patched call site arrives, by a jump, with nothing but rcx and r11 changed
 * (the two that `syscall` itself destroys): rcx is the address behind the site's syscall instruction,
 * rax the number, the rest, flags included, is as the guest has it. No signal frame is made; the
 * registers go to the thread's block and come back from it.
 *
 * What a kick (or a fault) finds by its rip, and what light_signal (light.c) does:
 *
 *   light_entry .. light_commit     nothing has happened yet: back to the syscall instruction. Until
 *                                   light_swapped its end is in rcx, then in r11; from light_number
 *                                   on rax is in the block; from light_saved on flags are in ax
 *   light_local .. light_handing    the call has been answered here: an event, behind the site
 *   light_commit .. light_exit      a call is under way: noted in block.kicked, the call goes on
 *   light_exit .. light_end         the call is over: an event, with the registers of block.light
 *   light_undo .. light_plain_end   as before light_commit; at light_plain the end is in rcx
 */
#include "platform/stub/blob.h"

#define R(n) (BLOCK_LIGHT_OFF + 8 * n)
#define R_R15 R(0)
#define R_R14 R(1)
#define R_R13 R(2)
#define R_R12 R(3)
#define R_RBP R(4)
#define R_RBX R(5)
#define R_R10 R(6)
#define R_R9 R(7)
#define R_R8 R(8)
#define R_RAX R(9)
#define R_RDX R(10)
#define R_RSI R(11)
#define R_RDI R(12)
#define R_RIP R(13)
#define R_RFLAGS R(14)
#define R_RSP R(15)

    .text
    .globl light_entry, light_swapped, light_number, light_saved, light_local, light_handing
    .globl light_commit, light_exit, light_end, light_framed
    .globl light_undo, light_undone, light_plain, light_jump, light_plain_end

    .balign 64
light_entry:                        /* faults where the guest has a gs of its own */
    movq %gs:BLOCK_MAGIC_OFF, %r11
    leaq -BLOB_MAGIC(%r11), %r11    /* until flags are saved nothing may change them */
    xchgq %r11, %rcx
light_swapped:
    jrcxz 1f
    jmp light_undone
1:  movl %eax, %ecx
    movq %rcx, %gs:R_RAX
    lahf
light_number:
    seto %al
light_saved:
    cmpl $LIGHT_CLASSES, %ecx
    jae light_undo
    addq %gs:BLOCK_CLASSES_OFF, %rcx
    movzbl (%rcx), %ecx
    testl %ecx, %ecx
    jz light_undo
    cmpl $LIGHT_SENTRY, %ecx
    je light_handing
    jb 2f
    cmpl $LIGHT_TKILL, %ecx
    movl %gs:(BLOCK_CLASSES_OFF + 8 * FACT_PID), %ecx
    jb 3f
    movl %gs:(BLOCK_CLASSES_OFF + 8 * FACT_TID), %ecx
    jne 4f
3:  cmpl %edi, %ecx
    je light_undo
    jmp light_handing
4:  cmpl %esi, %ecx
    je light_undo
    jmp light_handing
2:  movq %gs:BLOCK_CLASSES_OFF(, %rcx, 8), %rcx
    btq $32, %rcx
    jnc light_handing
    incq %gs:BLOCK_LOCAL_OFF
    addb $0x7f, %al                 /* OF */
    sahf
    movl %ecx, %eax
light_local:
    movq %r11, %rcx
    jmp *%r11
light_handing:
    addb $0x7f, %al
    sahf
    movq %r15, %gs:R_R15
    movq %r14, %gs:R_R14
    movq %r13, %gs:R_R13
    movq %r12, %gs:R_R12
    movq %rbp, %gs:R_RBP
    movq %rbx, %gs:R_RBX
    movq %r10, %gs:R_R10
    movq %r9, %gs:R_R9
    movq %r8, %gs:R_R8
    movq %rdx, %gs:R_RDX
    movq %rsi, %gs:R_RSI
    movq %rdi, %gs:R_RDI
    movq %r11, %gs:R_RIP
    movq %rsp, %gs:R_RSP
light_commit:
    rdgsbase %rdi
    leaq BLOCK_LIGHT_STACK(%rdi), %rsp
    pushfq
    popq R_RFLAGS(%rdi)
    cld
    call light_call
    rdgsbase %r11
    leaq BLOCK_LIGHT_STACK(%r11), %rsp
    testl %eax, %eax
    jnz light_frame
light_exit:
    cmpl $0, BLOCK_KICKED_OFF(%r11)
    jne light_frame
    pushq R_RFLAGS(%r11)
    popfq
    movq R_R15(%r11), %r15
    movq R_R14(%r11), %r14
    movq R_R13(%r11), %r13
    movq R_R12(%r11), %r12
    movq R_RBP(%r11), %rbp
    movq R_RBX(%r11), %rbx
    movq R_R10(%r11), %r10
    movq R_R9(%r11), %r9
    movq R_R8(%r11), %r8
    movq R_RAX(%r11), %rax
    movq R_RDX(%r11), %rdx
    movq R_RSI(%r11), %rsi
    movq R_RDI(%r11), %rdi
    movq R_RIP(%r11), %rcx
    movq R_RSP(%r11), %rsp
    jmp *%rcx
light_end:

light_frame:
    movl $NR_FRAME, %eax
    syscall                         /* not the blob's to make: SIGSYS, and so a frame */
light_framed:
    hlt

light_undo:
    addb $0x7f, %al
    sahf
    movq %gs:R_RAX, %rax
light_undone:
    movq %r11, %rcx
light_plain:
    leaq -2(%rcx), %r11
light_jump:
    jmp *%r11
light_plain_end:
    hlt

    /*
     * Class by number. The host's own (the native calls), those that need the whole state of the
     * thread (children, sigreturn, exit: threads.c), and arch_prctl, which may take gs away: 0.
     */
    .globl light_class
light_class:
    .set nr, 0
    .rept LIGHT_CLASSES
    .if nr == 9 || nr == 10 || nr == 11 || nr == 28 || nr == 24 || nr == 202
    .byte 0
    .elseif nr == 449 || nr == 454 || nr == 455 || nr == 456
    .byte 0
    .elseif nr == 15 || nr == 60 || nr == 56 || nr == 57 || nr == 58 || nr == 435 || nr == 158
    .byte 0
    .elseif nr == 62
    .byte LIGHT_KILL
    .elseif nr == 200
    .byte LIGHT_TKILL
    .elseif nr == 234
    .byte LIGHT_TGKILL
    .elseif nr == 39
    .byte FACT_PID
    .elseif nr == 186
    .byte FACT_TID
    .elseif nr == 102
    .byte FACT_UID
    .elseif nr == 107
    .byte FACT_EUID
    .elseif nr == 104
    .byte FACT_GID
    .elseif nr == 108
    .byte FACT_EGID
    .else
    .byte LIGHT_SENTRY
    .endif
    .set nr, nr + 1
    .endr

    /* long blob_copy(void *to, const void *from, uint64_t n): bytes that were not copied */
    .globl blob_copy, blob_copy_insn, blob_copy_fault
blob_copy:
    movq %rdx, %rcx
blob_copy_insn:
    rep movsb
blob_copy_fault:
    movq %rcx, %rax
    ret

    /* long blob_string(char *to, const char *from, uint64_t cap): bytes with the NUL, or 0 */
    .globl blob_string, blob_string_insn, blob_string_fault
blob_string:
    xorl %eax, %eax
2:  cmpq %rdx, %rax
    jae blob_string_fault
blob_string_insn:
    movb (%rsi, %rax), %cl
    movb %cl, (%rdi, %rax)
    incq %rax
    testb %cl, %cl
    jnz 2b
    ret
blob_string_fault:
    xorl %eax, %eax
    ret

    /* long blob_touch(char *at): 0 when it can be written */
    .globl blob_touch, blob_touch_insn, blob_touch_fault
blob_touch:
    xorl %eax, %eax
blob_touch_insn:
    lock orb $0, (%rdi)
    ret
blob_touch_fault:
    movl $1, %eax
    ret

    /*
     * long blob_lent(a0, a1, a2, a3, nr, block): a call that may wait. A kick makes it EINTR wherever
     * it comes until the call is over (light_signal), so that none is slept through.
     */
    .globl blob_lent, blob_lent_insn, blob_lent_kicked
blob_lent:
    cmpl $0, BLOCK_KICKED_OFF(%r9)
    jne blob_lent_kicked
    movq %rcx, %r10
    movl %r8d, %eax
    xorl %r8d, %r8d
    xorl %r9d, %r9d
blob_lent_insn:
    syscall
    ret
blob_lent_kicked:
    movq $-4, %rax
    ret
    .section .note.GNU-stack, "", @progbits
