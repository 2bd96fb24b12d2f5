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
#include <signal.h>
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

/* What root may do to files, and nothing else that root may. */
#define FILE_RIGHTS                                                                                \
    (1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH |                  \
     1ull << CAP_FOWNER | 1ull << CAP_FSETID)

#define OPEN_RECURSIVE 0x8000 /* AT_RECURSIVE */

/* Read-only but for what is shared live: what programs write elsewhere stays in the sentry's memory. */
static int clone_mount(const char *src, bool writable)
{
    struct mount_attr attr = { .attr_set = (writable ? 0 : MOUNT_ATTR_RDONLY) | MOUNT_ATTR_NOSUID |
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

    *ret_held = detached ? clone_mount(src, /* writable= */ false) : -1;
    if (*ret_held >= 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", *ret_held);
        fd = open(path, flags);
    }
    return fd >= 0 ? fd : open(src, flags);
}

static int open_export(const char *src, bool detached, bool shared, bool ro, int *ret_held)
{
    struct stat st;
    int fd = -1;

    *ret_held = -1;
    if (!shared && stat(src, &st) == 0 && S_ISREG(st.st_mode))
        return open_single(src, detached, ret_held);
    if (detached)
        fd = clone_mount(src, shared && !ro);
    return fd >= 0 ? fd : open(src, O_PATH | O_CLOEXEC);
}

/*
 * Of a single file its directory is held, since only by a name can it be opened anew for each open
 * file inside (which locks need); no other name is shown, and Landlock admits that file alone.
 */
static int open_shared(const struct shown_export *e, bool detached, struct gofer_export *ret,
                       int *ret_held)
{
    ret->setid = e->setid;
    *ret_held = -1;
    if (e->uids)
        ret->fd = e->tree;
    else
        ret->fd = open_export(e->only ? e->dir : e->src, detached, /* shared= */ true, e->ro,
                              ret_held);
    if (ret->fd < 0 && errno == EACCES && e->opened)
        ret->fd = e->tree;
    if (!e->only)
        return ret->fd;
    ret->single = true;
    ret->names = &e->only;
    ret->nnames = 1;
    ret->only_fd = ret->fd < 0 ? -1 : openat(ret->fd, e->only, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return ret->only_fd;
}

void gofer_child(const struct launch *l, const struct launch_fds *f, struct spawn *sp, bool shared)
{
    const bool detached = (sp->flags & CLONE_NEWNS) && !unfenced("detached");
    unsigned n = 0, nkeep = 0, all = l->shown->nexports;
    struct gofer_export *exports = xcalloc(all + 1, sizeof *exports);
    int *keep = xcalloc(3 * all + 5, sizeof *keep), null_fd, root_fd = -1, r;
    const int sock = shared ? f->shared_sock[0] : f->gofer_sock[0];
    int *held = xcalloc(all + 1, sizeof *held);

    child_begin(sp);
    signal(SIGXFSZ, SIG_IGN); /* the caller's limit of a file's size is an error, not our end */
    prctl(PR_SET_NAME, shared ? "sbx-gofer-rw" : "sbx-gofer");
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (unsigned i = 0; i < all; i++) {
        const struct shown_export *e = &l->shown->exports[i];

        if (e->shared != shared)
            continue;
        exports[n] = (struct gofer_export){
            .public_only = e->public_only, .names = e->names, .nnames = e->nnames, .only_fd = -1
        };
        held[n] = -1;
        if (shared)
            r = open_shared(e, detached, &exports[n], &held[n]);
        else
            r = exports[n].fd = open_export(e->src, detached, /* shared= */ false, /* ro= */ false,
                                            &held[n]);
        if (r < 0)
            child_fail(f->gofer_status, EXIT_SBX, "cannot show %s: %s", e->src, strerror(errno));
        keep[nkeep++] = exports[n].fd;
        if (exports[n].only_fd >= 0)
            keep[nkeep++] = exports[n].only_fd;
        if (held[n] >= 0)
            keep[nkeep++] = held[n];
        n++;
    }
    if ((sp->flags & CLONE_NEWNS) && !unfenced("emptyroot"))
        root_fd = child_empty_root(); /* refused in some containers: then Landlock alone */
    r = child_become(sp);
    if (r < 0)
        child_fail(f->gofer_status, EXIT_SBX, "cannot start the gofer: setuid: %s", strerror(-r));
    /* Files that only the caller, root, may read are shown as to root; nothing else is left. */
    const uint64_t caps = !sp->root ? 0 : shared ? FILE_RIGHTS : 1ull << CAP_DAC_READ_SEARCH;
    child_capabilities(caps | 1ull << CAP_SETPCAP); /* which its fence needs to drop all for good */
    keep[nkeep++] = sock;
    if (f->ring >= 0 && !shared)
        keep[nkeep++] = f->ring;
    if (root_fd >= 0)
        keep[nkeep++] = root_fd;
    if (sanitize_report_fd() >= 0)
        keep[nkeep++] = sanitize_report_fd();
    child_close_all_but(keep, nkeep, null_fd);
    sanitize_to_stderr();
    const struct gofer_config cfg = { .sock = sock,
                                      .ring_fd = shared ? -1 : f->ring,
                                      .root_fd = MAX(root_fd, 0),
                                      .exports = exports,
                                      .nexports = n,
                                      .held = held,
                                      .nheld = n,
                                      .shared = shared,
                                      .without = l->without,
                                      .lone_id = !sp->root && (sp->flags & CLONE_NEWUSER),
                                      .keep_caps = caps };
    gofer_main(&cfg);
}
