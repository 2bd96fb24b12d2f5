/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes what the linker calls relro read-only: tables of functions, above all. A dynamic loader does
 * that, and glibc for a static PIE; musl's start code for a static PIE does not.
 */
#include <features.h>
#ifndef __GLIBC__

#include <elf.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden"))); /* made by the linker */

static __attribute__((constructor(101))) void protect_relro(void)
{
    const uint64_t base = (uint64_t)&__ehdr_start;
    const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + __ehdr_start.e_phoff);

    for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
        uint64_t start = (base + ph[i].p_vaddr) & ~4095ull;
        uint64_t end = (base + ph[i].p_vaddr + ph[i].p_memsz) & ~4095ull;

        if (ph[i].p_type == PT_GNU_RELRO && mprotect((void *)start, end - start, PROT_READ) < 0)
            _exit(125);
    }
}

#endif
