/* SPDX-License-Identifier: Apache-2.0 */
/* Memory in all its forms. Those that no call can refuse end by SIGKILL, as by Linux's OOM killer. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "bomb.h"

#define MiB (1ul << 20)

/* In a child that the limit kills; a child that is done has met none. */
static int killed(void (*eat)(void), const char *what)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        eat();
        _exit(BOMB_BIT);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 1;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        dprintf(STDOUT_FILENO, "%s: killed\n", what);
        return 0;
    }
    dprintf(STDOUT_FILENO, "%s: not killed, status %#x\n", what, status);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static char *map(unsigned long n, int flags, int fd)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

static void eat_anon(void)
{
    for (unsigned long done = 0; done < bomb_bytes; done += 16 * MiB) {
        char *p = map(16 * MiB, MAP_PRIVATE | MAP_ANONYMOUS, -1);

        if (!p)
            _exit(1);
        memset(p, 1, 16 * MiB);
    }
}

static int bomb_memory(void)
{
    return killed(eat_anon, "memory");
}

/* Many small eaters rather than a large one. */
static void eat_many(void)
{
    for (int i = 0; i < 16; i++) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            char *p = map(bomb_bytes / 16, MAP_PRIVATE | MAP_ANONYMOUS, -1);

            memset(p, 1, bomb_bytes / 16);
            sleep(3); /* all of them at once */
            _exit(BOMB_BIT);
        }
    }
    for (int status; wait(&status) > 0;) {
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            raise(SIGKILL);
    }
}

static int bomb_memory_many(void)
{
    return killed(eat_many, "memory-many");
}

/* Through a mapping of a file in memory, that no write() sees. */
static void eat_shared(void)
{
    int fd = memfd_create("eaten", 0);
    char *p;

    if (fd < 0 || ftruncate(fd, bomb_bytes) < 0 || !(p = map(bomb_bytes, MAP_SHARED, fd)))
        _exit(1);
    for (unsigned long at = 0; at < bomb_bytes; at += 4096)
        p[at] = 1;
}

static int bomb_shared(void)
{
    return killed(eat_shared, "shared");
}

/* The same, unmapped as it goes: nobody's resident set, but still there. */
static void eat_unmapped(void)
{
    int fd = memfd_create("eaten", 0);

    if (fd < 0 || ftruncate(fd, bomb_bytes) < 0)
        _exit(1);
    for (unsigned long at = 0; at + 16 * MiB <= bomb_bytes; at += 16 * MiB) {
        char *p = mmap(NULL, 16 * MiB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);

        if (p == MAP_FAILED)
            _exit(1);
        for (unsigned long k = 0; k < 16 * MiB; k += 4096)
            p[k] = 1;
        munmap(p, 16 * MiB);
    }
}

static int bomb_unmapped(void)
{
    return killed(eat_unmapped, "unmapped");
}

/* Only page tables: a page of zeros each 2 MiB, which costs no memory of its own. */
static void eat_tables(void)
{
    for (uint64_t done = 0; done < (bomb_bytes < 8ul << 30 ? 1ul << 38 : 1ul << 46);
         done += 1ul << 30) {
        char *p = mmap(NULL, 1ul << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                       0);
        volatile char c;

        if (p == MAP_FAILED)
            return;
        madvise(p, 1ul << 30, MADV_NOHUGEPAGE);
        for (uint64_t at = 0; at < 1ul << 30; at += 2 * MiB)
            c = p[at];
        (void)c;
    }
}

static int bomb_tables(void)
{
    return killed(eat_tables, "tables");
}

/* Pages of its own in a channel that it shares with the sentry, or anything it was lent, are few. */
static int bomb_mapping(void)
{
    unsigned long n = 0;
    int prot = PROT_READ;

    while (n < bomb_cap &&
           mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
        prot ^= PROT_WRITE; /* or they would be one */
        n++;
    }
    return bomb_end(n, n < bomb_cap ? errno : 0, ENOMEM);
}

static int bomb_address_space(void)
{
    unsigned long n = 0;

    while (n < bomb_cap && map(1ul << 34, MAP_PRIVATE | MAP_ANONYMOUS, -1))
        n++;
    return bomb_end(n, n < bomb_cap ? errno : 0, ENOMEM);
}

static int bomb_environment(void)
{
    char *env[4096], *argv[] = { "/bin/true", NULL };
    char *big = malloc(100 << 10);
    int r[2] = { 0 };

    memset(big, 'x', 100 << 10);
    big[(100 << 10) - 1] = 0;
    for (int i = 0; i < 4095; i++)
        env[i] = big;
    env[4095] = NULL;
    execve("/proc/self/exe", argv, env); /* 400 MiB in all */
    r[0] = errno;
    big = malloc(300 << 10);
    memset(big, 'x', 300 << 10);
    big[(300 << 10) - 1] = 0;
    env[0] = big;
    env[1] = NULL;
    execve("/proc/self/exe", argv, env); /* one string too long */
    r[1] = errno;
    return bomb_end(1, r[0] == E2BIG ? r[1] : r[0], E2BIG);
}

const struct bomb bombs_memory[] = {
    { "memory", bomb_memory },
    { "memory-many", bomb_memory_many },
    { "shared", bomb_shared },
    { "unmapped", bomb_unmapped },
    { "tables", bomb_tables },
    { "mapping", bomb_mapping },
    { "space", bomb_address_space },
    { "environment", bomb_environment },
    { NULL, NULL },
};
