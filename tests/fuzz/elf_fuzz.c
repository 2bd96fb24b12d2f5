/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader: an input is a program, which a process executes; its first byte tells whether a good
 * program stands ready as the interpreter that the input may name. What comes of it is looked at as the
 * guest would: where it starts, and what /proc shows of it.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/fuzz/args.h"
#include "tests/fuzz/fuzz.h"

#define FILE_MAX 0x8000

static struct { /* one page that is its own code, and where the interpreter's name lies in a seed */
    Elf64_Ehdr h;
    Elf64_Phdr p[4];
    char interp[16];
} good;

static void make_good(void)
{
    memcpy(good.h.e_ident, ELFMAG "\2\1\1", 7);
    good.h.e_type = ET_DYN;
    good.h.e_machine = EM_X86_64;
    good.h.e_version = 1;
    good.h.e_phoff = sizeof good.h;
    good.h.e_ehsize = sizeof good.h;
    good.h.e_phentsize = sizeof good.p[0];
    good.h.e_phnum = 1;
    good.h.e_entry = 0x40;
    good.p[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
                              .p_flags = PF_R | PF_X,
                              .p_filesz = sizeof good,
                              .p_memsz = sizeof good,
                              .p_align = 0x1000 };
    strcpy(good.interp, "/d/ld");
}

static gaddr_t put(struct args *a, struct ctx *c, const char *s)
{
    return args_put(a, c, s, strlen(s) + 1);
}

static void read_all(struct args *a, struct ctx *c, const char *path)
{
    long fd = CALL(c, SYS_open, put(a, c, path), O_RDONLY, 0);

    while (fd >= 0 && CALL(c, SYS_read, (uint64_t)fd, MOCK_DATA + 0x20000, 0x10000) > 0)
        ;
    if (fd >= 0)
        CALL(c, SYS_close, (uint64_t)fd);
}

static int check_mapping(const struct as_mapping *m, void *arg)
{
    (void)arg;
    if (m->start < 0x1000 || m->end > mock_as_limit() || m->start >= m->end || m->start % 4096)
        abort();
    return 0;
}

/* The new image: c is its context. */
static void look_around(struct ctx *c)
{
    static const char *const files[] = { "/proc/self/maps",    "/proc/self/smaps",
                                         "/proc/self/stat",    "/proc/self/cmdline",
                                         "/proc/self/environ", "/proc/self/auxv",
                                         "/proc/self/status",  "/proc/self/exe",
                                         "/proc/self/statm" };
    struct as_op op = { .kind = AS_MMAP,
                        .fd = -1,
                        .a = { MOCK_DATA, MOCK_DATA_SIZE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED } };
    struct args a;
    uint64_t argc;

    args_init(&a);
    mock_as_each(mock_aspace(c), false, check_mapping, NULL);
    if (mock_regs(c)->rsp % 16 || mock_as_read(mock_aspace(c), mock_regs(c)->rsp, &argc, 8) != 8 ||
        argc > 4)
        abort();
    (void)mock_as_op(mock_aspace(c), &op);
    for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++)
        read_all(&a, c, files[i]);
    CALL(c, SYS_brk, 0);
    CALL(c, SYS_brk, (uint64_t)CALL(c, SYS_brk, 0) + 0x3000);
    CALL(c, SYS_fork, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct args a;
    struct ctx *c;
    long r;

    mock_boot();
    if (!good.h.e_phnum)
        make_good();
    if (n < 1 || n > FILE_MAX)
        return 0;
    c = mock_spawn();
    args_init(&a);
    mock_file(c, "/d/p", p + 1, n - 1);
    if (p[0] & 1)
        mock_file(c, "/d/ld", p[0] & 2 ? p + 1 : (void *)&good, p[0] & 2 ? n - 1 : sizeof good);
    r = CALL(c, SYS_execve, put(&a, c, "/d/p"), 0, 0);
    mock_ctx_put(c);
    c = mock_in_guest(0);
    if (c && r == MOCK_LEFT)
        look_around(c);
    mock_end();
    return 0;
}

/* A program with i segments, some with an interpreter. */
size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    size_t n = sizeof good;

    make_good();
    if (cap < n + 1)
        return 0;
    good.h.e_type = i & 1 ? ET_DYN : ET_EXEC;
    good.h.e_phnum = (Elf64_Half)(1 + i / 2 % 4);
    for (unsigned k = 0; k < 4; k++)
        good.p[k] = (Elf64_Phdr){ .p_type = PT_LOAD,
                                  .p_flags = PF_R | (k == 1 ? PF_X
                                                     : k    ? PF_W
                                                            : 0),
                                  .p_vaddr = 0x400000 + k * 0x2000 + k * 0x10,
                                  .p_offset = k * 0x10,
                                  .p_filesz = sizeof good - k * 0x10,
                                  .p_memsz = sizeof good + k * 0x100,
                                  .p_align = 0x1000 };
    if (i & 8)
        good.p[3] = (Elf64_Phdr){ .p_type = PT_INTERP,
                                  .p_offset = offsetof(typeof(good), interp),
                                  .p_filesz = 6 };
    if (i & 16)
        good.p[2] = (Elf64_Phdr){ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W | PF_X };
    buf[0] = (uint8_t)(i / 8 % 4);
    memcpy(buf + 1, &good, n);
    good.h.e_phnum = 0; /* made anew as the interpreter */
    return n + 1;
}
