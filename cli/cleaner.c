/* SPDX-License-Identifier: Apache-2.0 */
/* See cleaner.h. The list lies in memory that both have: what is added later is known to it at once. */
#include "cli/cleaner.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/unfenced.h"

#define TRIES 1000 /* of 5 ms: processes that were killed may take a moment */

struct dir {
    atomic_bool used; /* set last, and cleared first */
    char path[PATH_MAX];
};

static struct dir *dirs; /* CLEANER_MAX of them */
static pid_t cleaner;

static bool gone(const char *path)
{
    return rmdir(path) == 0 || errno == ENOENT;
}

static bool any(void)
{
    for (unsigned i = 0; i < CLEANER_MAX; i++) {
        if (atomic_load(&dirs[i].used))
            return true;
    }
    return false;
}

/* Waits until the front end has ended and nobody is left in them. */
static __attribute__((noreturn)) void clean(int front)
{
    struct pollfd fd = { .fd = front, .events = POLLIN };

    setsid();
    prctl(PR_SET_NAME, "sbx-cleaner");
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_IGN); /* those of a terminal are not meant for it */
    if (front > 0)
        close_range(0, (unsigned)front - 1, 0);
    close_range((unsigned)front + 1, ~0u, 0);
    while (poll(&fd, 1, -1) < 0 && errno == EINTR)
        continue;
    for (int n = 0; n < TRIES && any(); n++) {
        for (unsigned i = 0; i < CLEANER_MAX; i++) {
            if (atomic_load(&dirs[i].used) && gone(dirs[i].path))
                atomic_store(&dirs[i].used, false);
        }
        usleep(5000);
    }
    _exit(0);
}

static int start(void)
{
    int self;

    if (!dirs) {
        dirs = mmap(NULL, CLEANER_MAX * sizeof *dirs, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (dirs == MAP_FAILED) {
            dirs = NULL;
            return -ENOMEM;
        }
    }
    if (cleaner > 1 || unfenced("cleaner"))
        return 0;
    self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (self < 0)
        return -errno;
    cleaner = fork();
    if (cleaner == 0)
        clean(self);
    close(self);
    return cleaner < 0 ? -EAGAIN : 0;
}

static void stop(void)
{
    if (cleaner <= 1)
        return;
    kill(cleaner, SIGKILL);
    while (waitpid(cleaner, NULL, 0) < 0 && errno == EINTR)
        continue;
    cleaner = 0;
}

int cleaner_add(const char *path)
{
    int r = strlen(path) < sizeof dirs->path ? start() : -ENAMETOOLONG;

    if (r < 0)
        return r;
    for (unsigned i = 0; i < CLEANER_MAX; i++) {
        if (atomic_load(&dirs[i].used))
            continue;
        strcpy(dirs[i].path, path);
        atomic_store(&dirs[i].used, true);
        return 0;
    }
    return -ENOSPC;
}

bool cleaner_remove(const char *path)
{
    if (!gone(path) && errno == EBUSY)
        return false;
    for (unsigned i = 0; dirs && i < CLEANER_MAX; i++) {
        if (atomic_load(&dirs[i].used) && strcmp(dirs[i].path, path) == 0)
            atomic_store(&dirs[i].used, false);
    }
    if (dirs && !any())
        stop();
    return true;
}
