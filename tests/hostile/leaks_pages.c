/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fresh memory is zero, whoever had it before: maps, the heap, the stack, files in memory, holes; and a
 * new program finds no registers of anybody's.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "leaks.h"

#define MUCH (8ul << 20)

static bool all_zero(const void *p, size_t n)
{
    const uint64_t *w = p;

    for (size_t i = 0; i < n / 8; i++) {
        if (w[i])
            return false;
    }
    return true;
}

/* A process fills what it can get, and is over: its pages are the next ones that are given out. */
static void dirty(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        char *p = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *q = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int fd = open("/tmp/dirty", O_CREAT | O_RDWR, 0600), fds[2];

        memset(p, 0xa5, MUCH);
        memset(q, 0xa5, MUCH);
        (void)!write(fd, p, MUCH);
        unlink("/tmp/dirty");
        if (pipe(fds) == 0)
            (void)!write(fds[1], p, 65536);
        end_hard(0);
    }
    waitpid(pid, NULL, 0);
}

static void check_maps(void)
{
    void *p = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *q = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *heap = sbrk(0);

    if (!all_zero(p, MUCH))
        leak("page", "a private map is not zero");
    if (!all_zero(q, MUCH))
        leak("page", "a shared map is not zero");
    memset(p, 0x5a, MUCH);
    madvise(p, MUCH, MADV_DONTNEED);
    if (!all_zero(p, MUCH))
        leak("page", "what was given back is not zero");
    munmap(p, MUCH);
    munmap(q, MUCH);
    heap = (char *)(((uintptr_t)heap + 4095) & ~4095ul);
    if (brk(heap + 1048576) == 0) {
        if (!all_zero(heap, 1048576))
            leak("page", "the heap is not zero");
        memset(heap, 0x5a, 1048576);
        (void)!brk(heap);
        (void)!brk(heap + 1048576);
        if (!all_zero(heap, 1048576))
            leak("page", "the heap, grown again, is not zero");
        (void)!brk(heap);
    }
}

static __attribute__((noinline)) void check_stack(void)
{
    const char *here = (const char *)(((uintptr_t)__builtin_frame_address(0) & ~4095ul) - 16384);

    /* signal frames and our own calls have been no deeper than that */
    if (!all_zero(here - (1 << 20), (1 << 20) - 65536))
        leak("page", "the stack below is not zero");
}

static void check_files(void)
{
    char *buf = malloc(65536);
    int fd = open("/tmp/fresh", O_CREAT | O_RDWR | O_TRUNC, 0600);

    if (ftruncate(fd, 100000) < 0 || pread(fd, memset(buf, 0x5a, 65536), 65536, 20000) != 65536 ||
        !all_zero(buf, 65536))
        leak("page", "a grown file is not zero");
    memset(buf, 0x5a, 65536);
    (void)!pwrite(fd, buf, 65536, 0);
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192);
    if (pread(fd, buf, 8192, 4096) != 8192 || !all_zero(buf, 8192))
        leak("page", "a hole is not zero");
    (void)!ftruncate(fd, 5000);
    (void)!ftruncate(fd, 9000);
    if (pread(fd, buf, 4000, 5000) != 4000 || !all_zero(buf, 4000))
        leak("page", "a file cut and grown again is not zero");
    /* the end of its last page, through a map */
    char *p = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED && !all_zero(p + 9000, 12288 - 9000))
        leak("page", "behind the end of a mapped file is something");
    close(fd);
    unlink("/tmp/fresh");
    fd = memfd_create("fresh", 0);
    if (ftruncate(fd, 65536) < 0 || pread(fd, buf, 65536, 0) != 65536 || !all_zero(buf, 65536))
        leak("page", "a memfd is not zero");
    close(fd);
    free(buf);
}

/* ---- registers ---- */

/* A program that writes its registers to descriptor 1: general ones, fs, gs, xmm0 to xmm15, mxcsr. */
extern const char regs_code[], regs_end[];
__asm__(".pushsection .rodata\n"
        ".globl regs_code, regs_end\n"
        "regs_code:\n\t"
        "leaq -1024(%rsp), %rsp\n\t"
        "movq %rax, 0(%rsp)\n\tmovq %rbx, 8(%rsp)\n\tmovq %rcx, 16(%rsp)\n\t"
        "movq %rdx, 24(%rsp)\n\tmovq %rsi, 32(%rsp)\n\tmovq %rdi, 40(%rsp)\n\t"
        "movq %rbp, 48(%rsp)\n\tmovq %r8, 56(%rsp)\n\tmovq %r9, 64(%rsp)\n\t"
        "movq %r10, 72(%rsp)\n\tmovq %r11, 80(%rsp)\n\tmovq %r12, 88(%rsp)\n\t"
        "movq %r13, 96(%rsp)\n\tmovq %r14, 104(%rsp)\n\tmovq %r15, 112(%rsp)\n\t"
        "movups %xmm0, 128(%rsp)\n\tmovups %xmm1, 144(%rsp)\n\tmovups %xmm2, 160(%rsp)\n\t"
        "movups %xmm3, 176(%rsp)\n\tmovups %xmm4, 192(%rsp)\n\tmovups %xmm5, 208(%rsp)\n\t"
        "movups %xmm6, 224(%rsp)\n\tmovups %xmm7, 240(%rsp)\n\tmovups %xmm8, 256(%rsp)\n\t"
        "movups %xmm9, 272(%rsp)\n\tmovups %xmm10, 288(%rsp)\n\tmovups %xmm11, 304(%rsp)\n\t"
        "movups %xmm12, 320(%rsp)\n\tmovups %xmm13, 336(%rsp)\n\tmovups %xmm14, 352(%rsp)\n\t"
        "movups %xmm15, 368(%rsp)\n\t"
        "movl $158, %eax\n\tmovl $0x1003, %edi\n\tleaq 384(%rsp), %rsi\n\tsyscall\n\t"
        "movl $158, %eax\n\tmovl $0x1004, %edi\n\tleaq 392(%rsp), %rsi\n\tsyscall\n\t"
        "movl $1, %eax\n\tmovl $1, %edi\n\tmovq %rsp, %rsi\n\tmovl $400, %edx\n\tsyscall\n\t"
        "movl $60, %eax\n\txorl %edi, %edi\n\tsyscall\n"
        "regs_end:\n.popsection");

static bool write_program(const char *path)
{
    const uint64_t base = 0x10000000, head = 64 + 56;
    size_t n = (size_t)(regs_end - regs_code);
    unsigned char elf[4096] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
    uint16_t half[] = { 2, 62 };
    uint64_t entry = base + head, phoff = 64, size = head + n;
    uint32_t ph[2] = { 1, 5 };
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    bool ok;

    memcpy(elf + 16, half, 4);
    elf[20] = 1;
    memcpy(elf + 24, &entry, 8);
    memcpy(elf + 32, &phoff, 8);
    elf[52] = 64, elf[54] = 56, elf[56] = 1;
    memcpy(elf + 64, ph, 8);
    memcpy(elf + 64 + 16, &base, 8);
    memcpy(elf + 64 + 24, &base, 8);
    memcpy(elf + 64 + 32, &size, 8);
    memcpy(elf + 64 + 40, &size, 8);
    elf[64 + 49] = 0x10;
    memcpy(elf + head, regs_code, n);
    ok = write(fd, elf, head + n) == (ssize_t)(head + n);
    close(fd);
    return ok;
}

static void check_registers(void)
{
    uint64_t r[50] = { 0 };
    int fds[2];
    pid_t pid;

    if (!write_program("/tmp/regs") || pipe(fds) < 0)
        return leak("registers", "cannot be looked at");
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        __asm__ volatile("pcmpeqd %%xmm5, %%xmm5\n\tmovq %0, %%xmm9"
                         :
                         : "r"(0x1234ul)
                         : "xmm5", "xmm9");
        execl("/tmp/regs", "regs", NULL);
        end_hard(1);
    }
    waitpid(pid, NULL, 0);
    if (read(fds[0], r, sizeof r) != sizeof r)
        leak("registers", "the program did not say");
    for (unsigned i = 0; i < 50; i++) {
        if (r[i])
            leak("registers", "word %u of a new program's is %llx", i, (unsigned long long)r[i]);
    }
    unlink("/tmp/regs");
    close(fds[0]);
    close(fds[1]);
}

void leaks_in_pages(void)
{
    for (int i = 0; i < 2; i++) {
        dirty();
        check_maps();
        check_files();
    }
    check_stack();
    check_registers();
}
