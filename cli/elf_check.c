/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's loader decides what runs; this only turns its bare ENOEXEC or ENOENT into a sentence.
 * It reads a hostile file: every offset is checked against the file's size.
 */
#include "cli/elf_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/error.h"

static const char *machine_name(unsigned machine)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = { { EM_386, "32-bit x86" }, { EM_AARCH64, "64-bit ARM" }, { EM_ARM, "32-bit ARM" },
                  { EM_RISCV, "RISC-V" },   { EM_PPC64, "PowerPC" },      { EM_S390, "s390" } };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].machine == machine)
            return names[i].name;
    }
    return "another machine";
}

static int truncated(const char *path)
{
    return fail(EXIT_NOEXEC, "%s: the ELF file is truncated; copy or build it again", path);
}

static int check_interp(const struct view *v, const char *path, int fd, const Elf64_Phdr *ph)
{
    char interp[PATH_MAX];
    struct stat st;

    if (ph->p_filesz == 0 || ph->p_filesz >= sizeof interp)
        return fail(EXIT_NOEXEC, "%s: the ELF file names no usable interpreter", path);
    if (pread(fd, interp, ph->p_filesz, (off_t)ph->p_offset) != (ssize_t)ph->p_filesz)
        return truncated(path);
    interp[ph->p_filesz] = 0;
    if (view_stat(v, interp, &st) < 0)
        return fail(EXIT_NOTFOUND,
                    "%s needs the loader %s, which is not here; install its C library"
                    " or give --rootfs",
                    path, interp);
    return 0;
}

static int check_fd(const struct view *v, const char *path, int fd)
{
    Elf64_Phdr ph[64];
    Elf64_Ehdr eh;
    struct stat st;
    ssize_t n = pread(fd, &eh, sizeof eh, 0);

    if (n < EI_NIDENT || fstat(fd, &st) < 0)
        return truncated(path);
    if (n >= 20 && (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64))
        return fail(EXIT_NOEXEC, "%s: built for %s; sbx runs 64-bit x86 programs", path,
                    machine_name(eh.e_machine));
    if (n < (ssize_t)sizeof eh)
        return truncated(path);
    if (eh.e_type != ET_EXEC && eh.e_type != ET_DYN)
        return fail(EXIT_NOEXEC, "%s: an ELF file, but not a program; link it first", path);
    if (eh.e_phentsize != sizeof ph[0] || eh.e_phnum == 0 || eh.e_phnum > ARRAY_SIZE(ph))
        return fail(EXIT_NOEXEC, "%s: the ELF file has no usable program headers", path);
    n = (ssize_t)(eh.e_phnum * sizeof ph[0]);
    if (eh.e_phoff > INT64_MAX / 2 || pread(fd, ph, (size_t)n, (off_t)eh.e_phoff) != n)
        return truncated(path);
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        uint64_t end;

        if (ph[i].p_type != PT_LOAD && ph[i].p_type != PT_INTERP)
            continue;
        if (__builtin_add_overflow(ph[i].p_offset, ph[i].p_filesz, &end) ||
            end > (uint64_t)st.st_size)
            return truncated(path);
        if (ph[i].p_type == PT_INTERP) {
            int r = check_interp(v, path, fd, &ph[i]);

            if (r)
                return r;
        }
    }
    return 0;
}

int elf_check(const struct view *v, const char *path)
{
    int fd = view_open(v, path, O_RDONLY | O_NOCTTY), r;

    if (fd == -EACCES)
        return 0; /* may be run without being read: the loader's business */
    if (fd < 0)
        return fail(EXIT_NOEXEC, "%s: %s", path, strerror(-fd));
    r = check_fd(v, path, fd);
    close(fd);
    return r;
}
