/* SPDX-License-Identifier: Apache-2.0 */
/* Core dumps: who leaves one, its name, what is in it, and what the parent is told. */
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "scratch.h"

static char secret[64] = "what a debugger wants to see";

static char core_name[64];

static void limit(rlim_t bytes)
{
    struct rlimit l = { bytes, RLIM_INFINITY };

    CHECK_EQ(setrlimit(RLIMIT_CORE, &l), 0);
}

/* The wait status of a child that does fn. */
static int child(void (*fn)(void))
{
    pid_t pid = fork();
    int st = -1;

    if (pid == 0) {
        fn();
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    return st;
}

static void by_abort(void)
{
    abort();
}

static void by_segv(void)
{
    volatile int *volatile nowhere = (volatile int *)8;

    *nowhere = 1;
}

static void by_term(void)
{
    raise(SIGTERM);
}

static void not_dumpable(void)
{
    prctl(PR_SET_DUMPABLE, 0);
    raise(SIGQUIT);
}

static void without_limit(void)
{
    limit(0);
    abort();
}

static void *sleeper(void *arg)
{
    pause();
    return arg;
}

static void of_three_threads(void)
{
    pthread_t t;

    pthread_create(&t, NULL, sleeper, NULL);
    pthread_create(&t, NULL, sleeper, NULL);
    usleep(20000);
    raise(SIGFPE);
}

static bool in_file(int fd, const Elf64_Phdr *p, const void *addr, const void *want, size_t n)
{
    uint64_t at = (uint64_t)(uintptr_t)addr;
    char buf[256];

    if (p->p_type != PT_LOAD || at < p->p_vaddr || at + n > p->p_vaddr + p->p_filesz)
        return false;
    return pread(fd, buf, n, (off_t)(p->p_offset + (at - p->p_vaddr))) == (ssize_t)n &&
           memcmp(buf, want, n) == 0;
}

static unsigned count_notes(int fd, const Elf64_Phdr *p, unsigned type)
{
    char *buf = malloc(p->p_filesz);
    unsigned found = 0;

    CHECK_EQ(pread(fd, buf, p->p_filesz, (off_t)p->p_offset), p->p_filesz);
    for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= p->p_filesz;) {
        Elf64_Nhdr h;

        memcpy(&h, buf + at, sizeof h);
        found += h.n_type == type;
        at += sizeof h + ((h.n_namesz + 3) & ~3u) + ((h.n_descsz + 3) & ~3u);
    }
    free(buf);
    return found;
}

static char *hidden; /* MADV_DONTDUMP */

static void look_into(unsigned threads)
{
    int fd = open(core_name, O_RDONLY);
    Elf64_Ehdr e;
    Elf64_Phdr p;
    bool shown = false, leaked = false;

    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, &e, sizeof e, 0), sizeof e);
    CHECK(memcmp(e.e_ident, ELFMAG, SELFMAG) == 0);
    CHECK_EQ(e.e_type, ET_CORE);
    CHECK_EQ(e.e_machine, EM_X86_64);
    for (unsigned i = 0; i < e.e_phnum; i++) {
        CHECK_EQ(pread(fd, &p, sizeof p, (off_t)(e.e_phoff + i * sizeof p)), sizeof p);
        if (p.p_type == PT_NOTE) {
            CHECK_EQ(count_notes(fd, &p, NT_PRSTATUS), threads);
            CHECK_EQ(count_notes(fd, &p, NT_PRPSINFO), 1);
            CHECK_EQ(count_notes(fd, &p, NT_SIGINFO), 1);
            CHECK_EQ(count_notes(fd, &p, NT_AUXV), 1);
            CHECK_EQ(count_notes(fd, &p, NT_FILE), 1);
            CHECK(count_notes(fd, &p, NT_FPREGSET) >= 1);
        }
        shown |= in_file(fd, &p, secret, secret, sizeof secret);
        leaked |= in_file(fd, &p, hidden, hidden, 16);
    }
    CHECK(shown);
    CHECK(!leaked);
    close(fd);
}

static void dumps(void)
{
    struct stat s;
    int st;

    hidden = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(hidden, "not to be seen");
    CHECK_EQ(madvise(hidden, 4096, MADV_DONTDUMP), 0);
    limit(RLIM_INFINITY);
    st = child(by_abort);
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGABRT && WCOREDUMP(st));
    CHECK_EQ(stat(core_name, &s), 0);
    CHECK_EQ(s.st_mode, S_IFREG | 0600);
    look_into(1);
    CHECK_EQ(unlink(core_name), 0);
    st = child(by_segv);
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV && WCOREDUMP(st));
    CHECK_EQ(unlink(core_name), 0);
    st = child(of_three_threads);
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGFPE && WCOREDUMP(st));
    look_into(3);
    CHECK_EQ(unlink(core_name), 0);
}

static void waitid_says_dumped(void)
{
    siginfo_t si;
    pid_t pid = fork();

    if (pid == 0)
        abort();
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WEXITED), 0);
    CHECK_EQ(si.si_code, CLD_DUMPED);
    CHECK_EQ(si.si_status, SIGABRT);
    CHECK_EQ(unlink(core_name), 0);
}

static void none(void)
{
    int st = child(by_term);

    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM && !WCOREDUMP(st));
    st = child(not_dumpable);
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGQUIT && !WCOREDUMP(st));
    st = child(without_limit);
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGABRT && !WCOREDUMP(st));
    CHECK_EQ(mkdir(core_name, 0700), 0); /* no file can be there */
    st = child(by_abort);
    CHECK(WIFSIGNALED(st) && !WCOREDUMP(st));
    CHECK_EQ(rmdir(core_name), 0);
    put_text(core_name, "of two names");
    CHECK_EQ(link(core_name, "second"), 0);
    st = child(by_abort);
    CHECK(WIFSIGNALED(st) && WCOREDUMP(st));
    CHECK_TEXT("second", "of two names"); /* never written over, but replaced */
    CHECK_EQ(unlink(core_name), 0);
}

static void cut_short(void)
{
    struct stat s;
    int st;

    limit(8192);
    st = child(by_abort);
    CHECK(WCOREDUMP(st));
    CHECK_EQ(stat(core_name, &s), 0);
    CHECK(s.st_size <= 8192);
    CHECK_EQ(unlink(core_name), 0);
    limit(0);
}

static void filter(void)
{
    char text[32] = "";
    int fd = open("/proc/self/coredump_filter", O_RDWR);

    CHECK_EQ(read(fd, text, sizeof text - 1), 9);
    CHECK(strcmp(text, "00000033\n") == 0);
    CHECK_EQ(write(fd, "0x7\n", 4), 4);
    CHECK_EQ(pread(fd, text, 9, 0), 9);
    CHECK(strcmp(text, "00000007\n") == 0);
    CHECK_EQ(pwrite(fd, "33h", 3, 0), -1);
    CHECK_EQ(pwrite(fd, "0x33", 4, 0), 4);
    close(fd);
}

int main(void)
{
    char pattern[130] = "";
    struct rlimit l;
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);

    if (fd < 0 || read(fd, pattern, sizeof pattern - 1) <= 0 || strcmp(pattern, "core\n") != 0)
        SKIP("core_pattern is not \"core\"");
    if (getrlimit(RLIMIT_CORE, &l) < 0 || l.rlim_max != RLIM_INFINITY)
        SKIP("RLIMIT_CORE cannot be raised");
    snprintf(core_name, sizeof core_name, "core");
    close(fd);
    scratch_begin();
    RUN(dumps);
    RUN(waitid_says_dumped);
    RUN(none);
    RUN(cut_short);
    RUN(filter);
    scratch_end();
    DONE();
}
