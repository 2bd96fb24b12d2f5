/* SPDX-License-Identifier: Apache-2.0 */
/* ELF images: from an open file to the operations that map it into a blank address space. */
#pragma once

#include "abi/types.h"
#include "platform/platform.h"

struct file;
struct task;

#define ELF_MAX_SEGS 24
#define ELF_MAX_ZERO 2

struct elf_image {     /* one file: the program or its interpreter */
    struct file *file; /* borrowed */
    int map_fd;        /* host descriptor for its maps; -1: none needed */
    bool map_fd_owned;
    bool pie;
    gaddr_t bias, entry, phdr, first, end; /* first..end: where it lies; all with bias */
    gaddr_t start_code, end_code, start_data, end_data, brk;
    unsigned phnum;
    bool exec_stack;
    char interp[256]; /* "": static */
    unsigned nsegs;
    struct elf_seg {
        gaddr_t start, len; /* page-aligned, without bias */
        uint64_t offset;    /* in the file */
        int prot;
        gaddr_t file_end; /* without bias: what is behind it in the last page is zeroed */
        gaddr_t mem_end;
    } segs[ELF_MAX_SEGS];
};

/*
 * Reads and checks the headers of f. -ENOEXEC for what is no x86-64 program, -EINVAL, -EIO, -ENOMEM
 * as Linux. The image owns nothing but map_fd (elf_done).
 */
int elf_read(struct task *t, struct file *f, struct elf_image *ret);
void elf_done(struct elf_image *e);

/* at for len bytes, or the next place behind the vDSO (0: there is none) and its data, where they would meet. */
gaddr_t elf_beside(gaddr_t vdso, gaddr_t at, uint64_t len);

/* Appends its maps at e->bias to ops (at most max in all). *n counts. */
int elf_ops(const struct elf_image *e, struct as_op *ops, unsigned *n, unsigned max);
/* After the maps: clears what lies behind the file's part of each last page. */
int elf_clear(const struct elf_image *e, struct aspace *as);
