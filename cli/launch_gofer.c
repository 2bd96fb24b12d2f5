/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's child, up to gofer_main(). The exports are cloned as detached mounts, so that no ".."
 * leads out of them; where mounts may not be cloned (no user namespace) they are plain descriptors,
 * and only Landlock and the gofer's own resolution hold it there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "cli/error.h"
#include "cli/launch.h"
#include "cli/sanitize.h"

#define OPEN_RECURSIVE 0x8000 /* AT_RECURSIVE */

static int clone_mount(const char *src)
{
    /* The gofer writes nothing: what programs write goes to the overlay in the sentry's memory. */
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                           MOUNT_ATTR_NODEV };
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, src,
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | OPEN_RECURSIVE);

    if (fd >= 0)
        syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | OPEN_RECURSIVE, &attr, sizeof attr);
    return fd;
}

/*
 * Open for reading, and on a mount that is read-only: a descriptor goes to the sentry, which could
 * open it again for writing by way of its procfs. *ret_held: the mount, to be kept open (closing it
 * makes the closer wait), or -1.
 */
static int open_single(const char *src, bool detached, int *ret_held)
{
    const int flags = O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
    char path[40];
    int fd = -1;

    *ret_held = detached ? clone_mount(src) : -1;
    if (*ret_held >= 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", *ret_held);
        fd = open(path, flags);
    }
    return fd >= 0 ? fd : open(src, flags);
}

static int open_export(const char *src, bool detached, int *ret_held)
{
    struct stat st;
    int fd = -1;

    *ret_held = -1;
    if (stat(src, &st) == 0 && S_ISREG(st.st_mode))
        return open_single(src, detached, ret_held);
    if (detached)
        fd = clone_mount(src);
    return fd >= 0 ? fd : open(src, O_PATH | O_CLOEXEC);
}

void gofer_child(const struct launch *l, const struct launch_fds *f, struct spawn *sp)
{
    const bool detached = (sp->flags & CLONE_NEWNS) && !unfenced("detached");
    unsigned n = l->shown->nexports, nkeep = 0;
    struct gofer_export *exports = xcalloc(n, sizeof *exports);
    int *keep = xcalloc(2 * n + 5, sizeof *keep), null_fd, root_fd = -1, r;
    int *held = xcalloc(n + 1, sizeof *held);

    child_begin(sp);
    prctl(PR_SET_NAME, "sbx-gofer");
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (unsigned i = 0; i < n; i++) {
        const struct shown_export *e = &l->shown->exports[i];

        exports[i] = (struct gofer_export){ .fd = open_export(e->src, detached, &held[i]),
                                            .public_only = e->public_only,
                                            .names = e->names,
                                            .nnames = e->nnames };
        if (exports[i].fd < 0)
            child_fail(f->gofer_status, EXIT_SBX, "cannot show %s: %s", e->src, strerror(errno));
        keep[nkeep++] = exports[i].fd;
        if (held[i] >= 0)
            keep[nkeep++] = held[i];
    }
    if ((sp->flags & CLONE_NEWNS) && !unfenced("emptyroot"))
        root_fd = child_empty_root(); /* refused in some containers: then Landlock alone */
    r = child_become(sp);
    if (r < 0)
        child_fail(f->gofer_status, EXIT_SBX, "cannot start the gofer: setuid: %s", strerror(-r));
    /* Files that only the caller, root, may read are shown as to root; nothing else is left. */
    const uint64_t caps = sp->root ? 1ull << CAP_DAC_READ_SEARCH : 0;
    child_capabilities(caps | 1ull << CAP_SETPCAP); /* which its fence needs to drop all for good */
    keep[nkeep++] = f->gofer_sock[0];
    if (f->ring >= 0)
        keep[nkeep++] = f->ring;
    if (root_fd >= 0)
        keep[nkeep++] = root_fd;
    if (sanitize_report_fd() >= 0)
        keep[nkeep++] = sanitize_report_fd();
    child_close_all_but(keep, nkeep, null_fd);
    sanitize_to_stderr();
    const struct gofer_config cfg = { .sock = f->gofer_sock[0],
                                      .ring_fd = f->ring,
                                      .root_fd = MAX(root_fd, 0),
                                      .exports = exports,
                                      .nexports = n,
                                      .held = held,
                                      .nheld = n,
                                      .without = l->without,
                                      .lone_id = !sp->root && (sp->flags & CLONE_NEWUSER),
                                      .keep_caps = caps };
    gofer_main(&cfg);
}
