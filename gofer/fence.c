/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's start: everything that fences it, before the first foreign byte is read. Namespaces,
 * its uid and PDEATHSIG are the front end's, which does them before it calls gofer_main().
 *
 * A fence that the host does not have (Landlock) is done without, as SBX_WITHOUT would; one that it
 * has and refuses ends the gofer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/fence.h"
#include "abi/types.h"
#include "abi/unfenced.h"
#include "abi/without.h"
#include "fence_gofer.h"
#include "fence_shared.h"
#include "gofer/server.h"

#define NODES_MAX 65536u
#define DATA_MAX (64u << 20) /* the table of nodes full, and four workers, take 6 MiB */
#define THREADS_MAX 16       /* four workers, and room */
#define FDS_SPARE 128u       /* channel, roots, files that are being opened */

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static int close_between(unsigned from, unsigned to)
{
    if (from > to || syscall(SYS_close_range, from, to, 0) == 0)
        return 0;
    if (errno != ENOSYS && errno != EPERM)
        return -errno;
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return -errno;
    for (unsigned fd = from; fd <= to && fd < rl.rlim_cur; fd++)
        close((int)fd);
    return 0;
}

/* Closes every descriptor but the n in keep (sorted here; -1 is none). */
static int close_others(int *keep, unsigned n)
{
    unsigned next = 0;
    int r = 0;

    qsort(keep, n, sizeof(*keep), by_number);
    for (unsigned i = 0; i < n && r == 0; i++) {
        if (keep[i] < 0)
            continue;
        if ((unsigned)keep[i] > next)
            r = close_between(next, (unsigned)keep[i] - 1);
        next = (unsigned)keep[i] + 1;
    }
    return r ? r : close_between(next, ~0u);
}

static int keep_own_descriptors(const struct gofer_config *cfg)
{
    unsigned n = 0;
    int *keep = malloc((2 * cfg->nexports + cfg->nheld + 4) * sizeof(*keep));

    if (!keep)
        return -ENOMEM;
    keep[n++] = cfg->sock;
    keep[n++] = cfg->ring_fd;
    keep[n++] = cfg->root_fd > 0 ? cfg->root_fd : -1;
    for (unsigned i = 0; i < cfg->nexports; i++) {
        keep[n++] = cfg->exports[i].fd;
        keep[n++] = cfg->exports[i].single ? cfg->exports[i].only_fd : -1;
    }
    for (unsigned i = 0; i < cfg->nheld; i++)
        keep[n++] = cfg->held[i];
#ifdef SBX_WIDE_FILTERS
    keep[n++] = STDERR_FILENO; /* where a sanitizer reports */
#endif
    int r = close_others(keep, n);
    free(keep);
    return r;
}

/* A single file given as O_PATH is opened while /proc is still within reach. */
static void open_single_files(const struct gofer_config *cfg)
{
    for (unsigned i = 0; i < cfg->nexports; i++) {
        char path[40];
        struct stat st;
        int fd = cfg->exports[i].fd, flags = fcntl(fd, F_GETFL);
        if (flags < 0 || !(flags & O_PATH) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int open_fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (open_fd < 0)
            continue; /* seen, but not read: -EACCES */
        dup3(open_fd, fd, O_CLOEXEC);
        close(open_fd);
    }
}

static int set_limits(const struct gofer_config *cfg, unsigned *ret_nodes)
{
    static const int none[] = { RLIMIT_CORE, RLIMIT_MSGQUEUE, RLIMIT_MEMLOCK };
    struct rlimit rl;
    int r = fence_limits(none, ARRAY_SIZE(none));

    if (r == 0 && !cfg->shared)
        r = fence_limit(RLIMIT_FSIZE, 0);
    if (r == 0 && cfg->keep_caps &&
        !cfg->shared) /* then its id is nobody else's, and what counts are its threads */
        r = fence_limit(RLIMIT_NPROC, THREADS_MAX);
    if (r < 0)
        return r;
#ifndef SBX_WIDE_FILTERS
    r = fence_limit(RLIMIT_DATA, DATA_MAX);
    if (r < 0)
        return r;
#endif
    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return -errno;
    rl.rlim_cur = rl.rlim_max = MIN(rl.rlim_max, (rlim_t)(NODES_MAX + FDS_SPARE));
    if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
        return -errno;
    *ret_nodes = rl.rlim_cur > 2 * FDS_SPARE ? (unsigned)rl.rlim_cur - FDS_SPARE : FDS_SPARE;
    return 0;
}

int gofer_fence(const struct gofer_config *cfg)
{
    unsigned max_nodes = 0;

    int r = keep_own_descriptors(cfg);
    if (r < 0)
        return r;
    open_single_files(cfg);
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    r = set_limits(cfg, &max_nodes);
    if (r == 0 && !(cfg->without & SBX_WITHOUT_LANDLOCK) && !unfenced("landlock")) {
        r = gofer_landlock(cfg);
        r = r == -EOPNOTSUPP ? 0 : r;
    }
    if (r == 0)
        r = fence_capabilities(cfg->keep_caps);
    fence_no_new_code();
    if (r == 0)
        r = nodes_init(max_nodes);
    if (r == 0)
        r = gofer_server_init(cfg);
    bool filtered = !unfenced("goferfilter") && !(cfg->without & SBX_WITHOUT_SECCOMP);

    if (r == 0 && filtered && cfg->shared)
        r = fence_apply(fence_shared, ARRAY_SIZE(fence_shared));
    else if (r == 0 && filtered)
        r = cfg->ring_fd >= 0 ? fence_apply(fence_gofer_ring, ARRAY_SIZE(fence_gofer_ring))
                              : fence_apply(fence_gofer, ARRAY_SIZE(fence_gofer));
    return r;
}

void gofer_main(const struct gofer_config *cfg)
{
    if (gofer_fence(cfg) < 0)
        _exit(1);
    gofer_serve(cfg);
    _exit(1);
}
