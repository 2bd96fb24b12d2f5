/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts with maps of ids of their own (MOUNT_ATTR_IDMAP): made while the proxy has the caller's rights, handed to
 * the gofer as detached mounts. What a range's containerID is on the disk is its hostID to the host's kernel.
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

static int open_one(const struct shown_export *e)
{
    const char *src = e->only ? e->dir : e->src;
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
    struct mount_attr fence = { .attr_set = (e->ro ? MOUNT_ATTR_RDONLY : 0) | MOUNT_ATTR_NOSUID |
                                            MOUNT_ATTR_NODEV }; /* as cli/launch_gofer.c */
    int users = namespace_with(e->uids, e->gids), fd, r = 0;

    if (users < 0)
        return users;
    attr.userns_fd = (uint64_t)users;
    fd = (int)syscall(SYS_open_tree, AT_FDCWD, src,
                      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | RECURSIVE);
    if (fd < 0 ||
        syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | (e->all ? RECURSIVE : 0), &attr,
                sizeof attr) < 0 ||
        syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | RECURSIVE, &fence, sizeof fence) < 0)
        r = -errno;
    close(users);
    if (r < 0 && fd >= 0)
        close(fd);
    return r < 0 ? r : fd;
}

int idmap_open(struct shown *s, char why[OCI_WHY])
{
    for (unsigned i = 0; i < s->nexports; i++) {
        struct shown_export *e = &s->exports[i];

        if (!e->uids)
            continue;
        e->tree = open_one(e);
        if (e->tree >= 0)
            continue;
        snprintf(why, OCI_WHY, "failed to set MOUNT_ATTR_IDMAP on %.200s: %s", e->src,
                 oci_strerror(e->tree));
        return -1;
    }
    return 0;
}

void idmap_close(const struct shown *s)
{
    for (unsigned i = 0; i < s->nexports; i++)
        if (s->exports[i].uids)
            close(s->exports[i].tree);
}
