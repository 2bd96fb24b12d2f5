/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call sites in the forms that compilers and libraries make, which a sandbox may change while the
 * program runs. Each is a C function of up to five arguments. warm() calls one so often that
 * whatever is done to hot sites is done to it; that needs a process with one thread.
 */
#pragma once

#include <stdint.h>
#include <sys/syscall.h>

#define WARM 300

#define SITE_HEAD(name)                                                                            \
    ".text\n\t.p2align 4\n\t.fill 16, 1, 0x90\n\t.globl " #name "\n\t.type " #name                 \
    ", @function\n" #name ":\n\t"

/* mov $nr, %eax */
#define SITE_EAX(name, nr)                                                                         \
    __asm__(SITE_HEAD(name) "mov %rcx, %r10\n\tmov $" #nr ", %eax\n\tsyscall\n\tret\n");           \
    extern long name(long, ...)

/* mov $nr, %rax */
#define SITE_RAX(name, nr)                                                                         \
    __asm__(SITE_HEAD(name) "mov %rcx, %r10\n\t.byte 0x48, 0xc7, 0xc0\n\t.long " #nr               \
                            "\n\tsyscall\n\tret\n");                                               \
    extern long name(long, ...)

/* As the read() of a C library: xor %eax, %eax, and filling behind the way back. */
#define SITE_XOR(name)                                                                             \
    __asm__(SITE_HEAD(name) "xor %eax, %eax\n\tsyscall\n\tcmp $-4096, %rax\n\tja 1f\n\tret\n\t"    \
                            ".byte 0x66, 0x0f, 0x1f, 0x44, 0, 0\n1:\tret\n");                      \
    extern long name(long, ...)

/* The number comes first, and the last two moves shift the others. */
#define SITE_MOVES(name)                                                                           \
    __asm__(SITE_HEAD(name) "mov %edi, %eax\n\tmov %r8, %r10\n\tmov %rcx, %r8\n\t"                 \
                            "mov %rsi, %rdi\n\tmov %rdx, %rsi\n\tsyscall\n\tret\n");               \
    extern long name(long nr, ...)

/* As syscall(3). */
#define SITE_SYSCALL(name)                                                                         \
    __asm__(SITE_HEAD(name) "mov %rdi, %rax\n\tmov %rsi, %rdi\n\tmov %rdx, %rsi\n\t"               \
                            "mov %rcx, %rdx\n\tmov %r8, %r10\n\tmov %r9, %r8\n\t"                  \
                            "mov 8(%rsp), %r9\n\tsyscall\n\tret\n");                               \
    extern long name(long nr, ...)

/* Registers before a call and after it: all but rax, rcx and r11 are to be the same. */
struct all {
    uint64_t rbx, rbp, rdx, rsi, rdi, r8, r9, r10, r12, r13, r14, r15, rflags, rsp, rax;
};
struct all all_in __asm__("all_in"), all_out __asm__("all_out");
uint64_t all_saved __asm__("all_saved");

#define ALL_REGS(name, nr)                                                                         \
    __asm__(SITE_HEAD(name) "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\t"    \
                            "push %r15\n\tmov %rsp, all_saved(%rip)\n\t"                           \
                            "push all_in+96(%rip)\n\tpopfq\n\t"                                    \
                            "mov all_in(%rip), %rbx\n\tmov all_in+8(%rip), %rbp\n\t"               \
                            "mov all_in+16(%rip), %rdx\n\tmov all_in+24(%rip), %rsi\n\t"           \
                            "mov all_in+32(%rip), %rdi\n\tmov all_in+40(%rip), %r8\n\t"            \
                            "mov all_in+48(%rip), %r9\n\tmov all_in+56(%rip), %r10\n\t"            \
                            "mov all_in+64(%rip), %r12\n\tmov all_in+72(%rip), %r13\n\t"           \
                            "mov all_in+80(%rip), %r14\n\tmov all_in+88(%rip), %r15\n\t"           \
                            "mov all_in+104(%rip), %rsp\n\t"                                       \
                            "mov $" #nr ", %eax\n\tsyscall\n\t"                                    \
                            "mov %rsp, all_out+104(%rip)\n\tmov all_saved(%rip), %rsp\n\t"         \
                            "pushfq\n\tpop all_out+96(%rip)\n\t"                                   \
                            "mov %rbx, all_out(%rip)\n\tmov %rbp, all_out+8(%rip)\n\t"             \
                            "mov %rdx, all_out+16(%rip)\n\tmov %rsi, all_out+24(%rip)\n\t"         \
                            "mov %rdi, all_out+32(%rip)\n\tmov %r8, all_out+40(%rip)\n\t"          \
                            "mov %r9, all_out+48(%rip)\n\tmov %r10, all_out+56(%rip)\n\t"          \
                            "mov %r12, all_out+64(%rip)\n\tmov %r13, all_out+72(%rip)\n\t"         \
                            "mov %r14, all_out+80(%rip)\n\tmov %r15, all_out+88(%rip)\n\t"         \
                            "mov %rax, all_out+112(%rip)\n\tpush $0x202\n\tpopfq\n\t"              \
                            "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\t"         \
                            "pop %rbx\n\tret\n");                                                  \
    extern void name(void)

#define warm(...)                                                                                  \
    do {                                                                                           \
        for (int i_ = 0; i_ < WARM; i_++)                                                          \
            (void)(__VA_ARGS__);                                                                   \
    } while (0)
