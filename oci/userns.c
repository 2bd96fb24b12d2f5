/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's user namespace: the proxy is in it, as the root that it has, so that all that it starts
 * sees the ids of the container and acts with what is mapped to them. Who made the proxy writes the maps.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/ids.h"
#include "oci/oci.h"
#include "oci/proxy.h"

static uid_t maker;

bool userns_is_new(const struct oci_config *c)
{
    const struct oci_namespace *ns = oci_namespace_of(c, CLONE_NEWUSER);

    return ns && !ns->path;
}

/* Each id as itself, as far as we have it; of an ordinary user the one that is his, as root. */
static void map_own(struct idmap *m, const char *which, uint32_t id)
{
    if (geteuid() != 0) {
        *m = (struct idmap){ .n = 1, .ranges = { { 0, id, 1 } } };
        return;
    }
    idmap_own(which, m);
    for (unsigned i = 0; i < m->n; i++)
        m->ranges[i].outside = m->ranges[i].inside;
}

void userns_default(struct oci_config *c)
{
    if (!userns_is_new(c) || c->uids.n)
        return;
    map_own(&c->uids, "uid_map", geteuid());
    map_own(&c->gids, "gid_map", getegid());
}

/* ---- the maker's part ---- */

/* For who has no right to map but the own id: newuidmap and newgidmap, which know /etc/subuid. */
static int ask_helper(pid_t pid, const char *helper, const struct idmap *m)
{
    char **argv = xcalloc(m->n * 3 + 3, sizeof *argv);
    unsigned n = 0;
    int status;
    pid_t child;

    argv[n++] = xstrdup(helper);
    argv[n++] = xasprintf("%d", (int)pid);
    for (unsigned i = 0; i < m->n; i++) {
        argv[n++] = xasprintf("%u", m->ranges[i].inside);
        argv[n++] = xasprintf("%u", m->ranges[i].outside);
        argv[n++] = xasprintf("%u", m->ranges[i].count);
    }
    child = fork();
    if (child == 0) {
        execvp(helper, argv);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -errno;
    return status == 0 ? 0 : -EPERM;
}

int idmap_write(pid_t pid, const char *name, const struct idmap *m)
{
    char text[IDMAP_RANGES * 34];
    size_t used = 0;

    for (unsigned i = 0; i < m->n; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%u %u %u\n", m->ranges[i].inside,
                                 m->ranges[i].outside, m->ranges[i].count);
    return ids_write(pid, name, text);
}

static int write_map(pid_t pid, const char *name, const struct idmap *m, const char *helper)
{
    int r = idmap_write(pid, name, m);

    return r == -EPERM && geteuid() != 0 ? ask_helper(pid, helper, m) : r;
}

int userns_map(const struct oci_config *c, pid_t pid)
{
    int r = write_map(pid, "uid_map", &c->uids, "newuidmap");

    if (r < 0)
        return oci_fail("cannot write the uid map of the container: %s", oci_strerror(r));
    /* An ordinary user may map the own group only where none can be dropped. */
    if (geteuid() != 0 && c->gids.n == 1 && c->gids.ranges[0].count == 1)
        ids_write(pid, "setgroups", "deny");
    r = write_map(pid, "gid_map", &c->gids, "newgidmap");
    return r < 0 ? oci_fail("cannot write the gid map of the container: %s", oci_strerror(r)) : 0;
}

/* ---- the proxy's ---- */

static int open_path(const char *path, char why[OCI_WHY])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        snprintf(why, OCI_WHY, "cannot join the user namespace %.200s: %s", path,
                 oci_strerror(errno));
    return fd;
}

static int join_or_make(const char *path, char why[OCI_WHY])
{
    int fd = path ? open_path(path, why) : -1, r;

    if (path && fd < 0)
        return -1;
    r = path ? setns(fd, CLONE_NEWUSER) : unshare(CLONE_NEWUSER);
    if (r < 0)
        snprintf(why, OCI_WHY, "cannot %s a user namespace: %s", path ? "join" : "make",
                 oci_strerror(errno));
    if (fd >= 0)
        close(fd);
    return r;
}

/* Root of it, where it has one; else the first id that there is. */
static uint32_t first_of(const struct idmap *m)
{
    return idmap_has(m, 0) ? 0 : m->ranges[0].inside;
}

static struct idmap uids, gids;

void userns_show(struct launch *l)
{
    idmap_own("uid_map", &uids);
    idmap_own("gid_map", &gids);
    l->uids = &uids;
    l->gids = &gids;
}

static int become_root(char why[OCI_WHY])
{
    uid_t uid;
    gid_t gid;

    idmap_own("uid_map", &uids);
    idmap_own("gid_map", &gids);
    uid = first_of(&uids);
    gid = first_of(&gids);
    /* EPERM: an ordinary user has made it, whose groups stay. */
    if ((setgroups(0, NULL) < 0 && errno != EPERM) || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0) {
        snprintf(why, OCI_WHY, "cannot become root of the user namespace: %s", oci_strerror(errno));
        return -1;
    }
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* /proc/PID of what we start is ours to write */
    return 0;
}

int userns_enter(const struct oci_config *c, int sync, char why[OCI_WHY])
{
    const struct oci_namespace *ns = oci_namespace_of(c, CLONE_NEWUSER);
    struct wire_msg m = { .type = SYNC_USERNS };

    if (!ns)
        return 0;
    if (join_or_make(ns->path, why) < 0)
        return -1;
    if (!ns->path && (wire_send(sync, &m, NULL, 0) < 0 || wire_receive(sync, &m, NULL, NULL) != 1 ||
                      m.type != SYNC_GO))
        _exit(1); /* it was ended, or has said why */
    return become_root(why);
}

/*
 * From a user namespace root of the host is nobody, and the maker may be any user of the container: the other end
 * of our socket has his number. That the folder is his alone holds there, too.
 */
void userns_maker(int sync)
{
    struct ucred who;
    socklen_t len = sizeof who;

    maker = getsockopt(sync, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 ? who.uid : geteuid();
}

uid_t userns_made_by(void)
{
    return maker;
}
