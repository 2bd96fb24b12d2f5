/* SPDX-License-Identifier: Apache-2.0 */
/*
 * growth DIMENSION N: what cheap calls cost while there are N of something. Prints the cost of
 * getppid, of stat and of a pread of one byte, says "ready", and keeps all until its input ends, so
 * that the driver can look at the memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define FILE_READ "work/one"

static char path[PATH_MAX] = FILE_READ; /* what is asked for */
static char made[64];                   /* a directory to be removed */
static pid_t *children;
static long n;

static void files(void)
{
    struct rlimit limit;
    ok(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    ok(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    for (long i = 0; i < n; i++)
        ok(open(FILE_READ, O_RDONLY), "open");
}

/* Neighbours differ in protection, or they would become one. */
static void mappings(void)
{
    for (long i = 0; i < n; i++)
        if (mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
            fail("mmap");
}

static void tasks(void)
{
    children = calloc((size_t)n, sizeof *children);
    if (children == NULL)
        fail("calloc");
    for (long i = 0; i < n; i++) {
        children[i] = (pid_t)ok(fork(), "fork");
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                pause();
        }
    }
}

static int never[2];

static void *blocked(void *arg)
{
    char c;
    (void)!read(never[0], &c, 1);
    return arg;
}

static void threads(void)
{
    pthread_attr_t attr;
    pthread_t t;
    ok(pipe(never), "pipe");
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    for (long i = 0; i < n; i++) {
        errno = pthread_create(&t, &attr, blocked, NULL);
        if (errno != 0)
            fail("pthread_create");
    }
}

/* Files in one directory, the middle one of which is asked for. */
static void entries(void)
{
    snprintf(made, sizeof made, "%s/growth-XXXXXX", memory_dir());
    if (mkdtemp(made) == NULL)
        fail("mkdtemp");
    for (long i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/entry-%ld", made, i);
        close((int)ok(open(path, O_CREAT | O_WRONLY, 0600), "creat"));
    }
    snprintf(path, sizeof path, "%s/entry-%ld", made, n / 2);
}

/* In a mount namespace of its own. Who may mount but is refused one lives in a kernel without. */
static void mounts(void)
{
    if (unshare(CLONE_NEWNS) == 0)
        ok(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    ok(mount("none", "/tmp", "tmpfs", 0, NULL), "mount");
    for (long i = 0; i < n; i++) {
        snprintf(path, sizeof path, "/tmp/%ld", i);
        ok(mkdir(path, 0700), "mkdir");
        ok(mount("none", path, "tmpfs", 0, NULL), "mount");
    }
    snprintf(path, sizeof path, "/tmp/%ld", n / 2);
}

static void call(const struct row *row)
{
    (void)row;
    syscall(SYS_getppid);
}

static void stat_one(const struct row *row)
{
    struct stat st;
    (void)row;
    ok(stat(path, &st), "stat");
}

static int fd;

static void read_one(const struct row *row)
{
    char c;
    (void)row;
    ok(pread(fd, &c, 1, 0), "pread");
}

static void end_all(void)
{
    for (long i = 0; children != NULL && i < n; i++)
        if (children[i] > 1)
            kill(children[i], SIGKILL);
    while (children != NULL && wait(NULL) > 0)
        ;
    for (long i = 0; made[0] && i < n; i++) {
        snprintf(path, sizeof path, "%s/entry-%ld", made, i);
        unlink(path);
    }
    if (made[0])
        rmdir(made);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*make)(void);
    } dimensions[] = { { "files", files },     { "mappings", mappings }, { "tasks", tasks },
                       { "threads", threads }, { "entries", entries },   { "mounts", mounts } };
    static const struct row rows[] = { { "getppid", each_us, call, 5500, 0, 0 },
                                       { "stat", each_us, stat_one, 5500, 0, 0 },
                                       { "pread-1", each_us, read_one, 5500, 0, 0 } };
    char c;
    n = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    fd = (int)ok(open(FILE_READ, O_RDONLY), FILE_READ);
    for (size_t i = 0; i < sizeof dimensions / sizeof dimensions[0]; i++)
        if (n > 0 && strcmp(dimensions[i].name, argv[1]) == 0)
            dimensions[i].make();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        rows[i].run(&rows[i]);
    puts("ready");
    fflush(stdout);
    (void)!read(0, &c, 1);
    end_all();
    _exit(0);
}
