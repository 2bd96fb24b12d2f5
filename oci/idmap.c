/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees that take the caller's rights, opened while the proxy has them and handed to the gofer as detached mounts: those
 * with maps of ids of their own (MOUNT_ATTR_IDMAP), and where the container has a user namespace all binds, whose way
 * may lead through what its root may not enter. What a range's containerID is on the disk is its hostID to the host's
 * kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/oci.h"
#include "oci/proxy.h"

#define RECURSIVE 0x8000 /* AT_RECURSIVE */

/* A user namespace with these maps, of a process that is there for the moment alone; -errno. */
static int namespace_with(const struct idmap *uids, const struct idmap *gids)
{
    char path[40];
    int fd = -1, r;
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0) {
        for (;;)
            pause();
    }
    if (pid < 0)
        return -errno;
    r = idmap_write(pid, "uid_map", uids);
    if (r == 0)
        r = idmap_write(pid, "gid_map", gids);
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    if (r == 0) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : 0;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return r < 0 ? r : fd;
}

static int clone_tree(const struct shown_export *e)
{
    struct mount_attr fence = { .attr_set = (e->ro ? MOUNT_ATTR_RDONLY : 0) | MOUNT_ATTR_NOSUID |
                                            MOUNT_ATTR_NODEV }; /* as cli/launch_gofer.c */
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, e->only ? e->dir : e->src,
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | RECURSIVE);
    int r = fd < 0 ? -errno : 0;

    if (fd >= 0 &&
        syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | RECURSIVE, &fence, sizeof fence) < 0) {
        r = -errno;
        close(fd);
    }
    return r < 0 ? r : fd;
}

static int set_map(int fd, const struct shown_export *e)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
    int users = namespace_with(e->uids, e->gids), r = 0;

    if (users < 0)
        return users;
    attr.userns_fd = (uint64_t)users;
    if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | (e->all ? RECURSIVE : 0), &attr,
                sizeof attr) < 0)
        r = -errno;
    close(users);
    return r;
}

int idmap_open(struct shown *s, bool users, char why[OCI_WHY])
{
    int r;

    for (unsigned i = 0; i < s->nexports; i++) {
        struct shown_export *e = &s->exports[i];

        if (!e->shared ||
            (!e->uids && (!users || i == 0))) /* the rootfs: hooks may mount in it, later */
            continue;
        e->tree = r = clone_tree(e);
        if (r >= 0 && e->uids)
            r = set_map(e->tree, e);
        e->opened = r >= 0;
        if (e->opened || !e->uids)
            continue;
        snprintf(why, OCI_WHY, "failed to set MOUNT_ATTR_IDMAP on %.200s: %s", e->src,
                 oci_strerror(r));
        return -1;
    }
    return 0;
}

void idmap_close(const struct shown *s)
{
    for (unsigned i = 0; i < s->nexports; i++)
        if (s->exports[i].opened)
            close(s->exports[i].tree);
}
