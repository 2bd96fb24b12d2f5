/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of a container: its rootfs and every bind live on the host (docs/decisions/
 * shared-live-by-a-second-gofer.md), the other mounts the sentry's own, all in the order of the configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/box.h"
#include "oci/cgroup.h"
#include "oci/notify.h"
#include "oci/oci.h"

int rootfs_open(const char *rootfs, const char *path, int flags)
{
    struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

    if (root < 0)
        return -errno;
    fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd < 0)
        fd = -errno;
    close(root);
    return fd;
}

static bool is_link(const char *rootfs, const char *path)
{
    int fd = rootfs_open(rootfs, path, O_PATH | O_NOFOLLOW);
    struct stat st;
    bool r = fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);

    if (fd >= 0)
        close(fd);
    return r;
}

static struct sentry_mount *add(struct shown *s, enum sentry_mount_kind kind, const char *path)
{
    struct sentry_mount *m = xgrow(&s->mounts, &s->nmounts, sizeof *m);

    m->kind = kind;
    m->path = path;
    m->exact = true;
    return m;
}

/* ---- trees of the host ---- */

static struct shown_export *add_export(struct shown *s, char *src, bool file)
{
    struct shown_export *e = xgrow(&s->exports, &s->nexports, sizeof *e);

    e->src = src;
    e->shared = true;
    e->setid = true;
    s->nshared++;
    if (!file)
        return e;
    e->dir = xstrdup(src);
    char *slash = strrchr(e->dir, '/');

    e->only = xstrdup(slash + 1);
    slash[slash == e->dir] = 0;
    return e;
}

static char *source_path(const struct oci_mount *m, const struct oci_state *s)
{
    char real[PATH_MAX];
    char *path = *m->source == '/' ? xstrdup(m->source) : xjoin(s->bundle, m->source);

    return realpath(path, real) ? xstrdup(real) : NULL;
}

static int refused(const struct oci_mount *m, const char *why)
{
    return oci_fail("error mounting \"%s\" to rootfs at \"%s\": %s",
                    m->source ? m->source : m->type, m->destination, why);
}

bool box_device(dev_t dev)
{
    static const struct {
        unsigned maj, min;
    } list[] = { { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 }, { 1, 9 }, { 5, 0 }, { 5, 2 } };

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        if (major(dev) == list[i].maj && minor(dev) == list[i].min)
            return true;
    return false;
}

static int add_bind(const struct oci_config *c, const struct oci_mount *m,
                    const struct oci_state *s, struct shown *shown)
{
    char *src = source_path(m, s);
    struct sentry_mount *mount;
    struct shown_export *e;
    struct stat st;

    if (!src || stat(src, &st) < 0)
        return refused(m, oci_strerror(errno));
    if (S_ISCHR(st.st_mode) && box_device(st.st_rdev)) {
        mount = add(shown, SM_NODE, m->destination);
        mount->mode = st.st_mode;
        mount->rdev = st.st_rdev;
        return 0;
    }
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return refused(m, S_ISSOCK(st.st_mode) ? "a socket of the host cannot be shown"
                                               : "a device or FIFO of the host cannot be shown");
    e = add_export(shown, src, S_ISREG(st.st_mode));
    e->ro = m->flags & MS_RDONLY;
    if (m->idmap) {
        e->uids = m->uids ? m->uids : &c->uids;
        e->gids = m->gids ? m->gids : &c->gids;
        e->all = m->idmap_all;
        if (!e->uids->n || !e->gids->n)
            return refused(m, "idmap needs maps, its own or those of the container");
    }
    mount = add(shown, SM_SHARED, m->destination);
    mount->export_id = shown->nshared - 1;
    mount->target = e->only;
    mount->root = src; /* as with runc; programs find their container's id in it */
    mount->flags = m->flags;
    return 0;
}

/* ---- the sentry's own ---- */

/*
 * What lies there in the rootfs is to be seen, and changes stay in memory: that is an overlay. It is served by
 * the gofer that cannot write, whose exports are counted apart.
 */
static bool add_copy_up(const struct oci_mount *m, const struct oci_state *s, struct shown *shown)
{
    int fd = rootfs_open(s->rootfs, m->destination, O_PATH | O_DIRECTORY);
    char link[40], path[PATH_MAX];
    struct shown_export *e;
    ssize_t n;

    if (fd < 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    close(fd);
    if (n <= 0)
        return false;
    path[n] = 0;
    const unsigned id = shown->nexports - shown->nshared;

    e = xgrow(&shown->exports, &shown->nexports, sizeof *e);
    e->src = xstrdup(path);
    struct sentry_mount *mount = add(shown, SM_OVERLAY, m->destination);

    mount->export_id = id;
    mount->flags = m->flags;
    mount->source = "tmpfs";
    return true;
}

static void add_hierarchy(const struct oci_mount *m, const char *key, const char *path,
                          struct shown *s)
{
    struct sentry_mount *mount = add(s, SM_CGROUP, path);

    mount->options = key;
    mount->source = "cgroup";
    mount->flags = m->flags;
}

/* As on the host: one of version 2; or a directory with one of version 1 each, and a name for each controller. */
static void add_cgroups(const struct oci_mount *m, struct shown *s)
{
    char **keys = oci_cgroup_keys();
    struct sentry_mount *mount;

    if (!*keys || strcmp(m->type, "cgroup2") == 0) {
        add_hierarchy(m, "", m->destination, s);
        return;
    }
    mount = add(s, SM_FS, m->destination);
    mount->type = mount->source = "tmpfs";
    mount->options = "mode=755";
    mount->flags = m->flags & ~(unsigned)MS_RDONLY;
    for (unsigned i = 0; keys[i]; i++) {
        const char *name = oci_cgroup_dir_name(i);
        char *list = xstrdup(keys[i]), *save = NULL;

        add_hierarchy(m, keys[i], xjoin(m->destination, name), s);
        for (char *c = strtok_r(list, ",", &save); c && strchr(keys[i], ',');
             c = strtok_r(NULL, ",", &save))
            if (strcmp(c, name) != 0)
                add(s, SM_SYMLINK, xjoin(m->destination, c))->target = name;
    }
    if (m->flags & MS_RDONLY)
        add(s, SM_READONLY, m->destination);
}

static int add_fs(const struct oci_mount *m, const struct oci_state *s, struct shown *shown)
{
    static const char *const types[] = { "proc", "sysfs", "tmpfs", "devpts", "mqueue", "ramfs" };
    struct sentry_mount *mount;
    bool known = false;

    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        known |= strcmp(m->type, types[i]) == 0;
    if (strcmp(m->type, "cgroup") == 0 || strcmp(m->type, "cgroup2") == 0) {
        add_cgroups(m, shown);
        return 0;
    }
    if (!known)
        return oci_fail("unsupported mount type \"%s\" at %s", m->type, m->destination);
    if (m->copy_up && add_copy_up(m, s, shown))
        return 0;
    mount = add(shown, SM_FS, m->destination);
    mount->type = m->type;
    mount->source = m->source ? m->source : m->type;
    mount->options = m->data;
    mount->flags = m->flags;
    return 0;
}

/* ---- devices ---- */

static bool mounted_at(const struct oci_config *c, const char *path, const char *type)
{
    for (unsigned i = 0; i < c->nmounts; i++)
        if (strcmp(c->mounts[i].destination, path) == 0 &&
            (!type || (c->mounts[i].type && strcmp(c->mounts[i].type, type) == 0)))
            return true;
    return false;
}

/*
 * A device of the host is a node that is as asked for and has no driver (ENXIO), where it lies on a tmpfs of ours; on the
 * rootfs it would be one of the host.
 */
static void add_devices(const struct oci_config *c, struct shown *shown)
{
    unsigned dead = 0;

    if (mounted_at(c, "/dev", NULL) && !mounted_at(c, "/dev", "tmpfs"))
        return; /* the host's own, or what the caller made */
    for (unsigned i = 0; i < c->ndevices; i++) {
        const struct oci_device *d = &c->devices[i];
        const dev_t dev = makedev((unsigned)d->major, (unsigned)d->minor);

        if (!S_ISFIFO(d->mode) && (!S_ISCHR(d->mode) || !box_device(dev))) {
            dead++;
            if (strncmp(d->path, "/dev/", 5) != 0)
                continue;
        }
        struct sentry_mount *m = add(shown, SM_NODE, d->path);

        m->mode = d->mode;
        m->rdev = dev;
        m->uid = d->uid;
        m->gid = d->gid;
    }
    if (dead)
        oci_log(OCI_WARNING, "%u devices of the host cannot be opened inside", dead);
    add(shown, SM_DEVICES, "/dev");
}

/* ---- what we add ---- */

static void add_notify(struct shown *s)
{
    struct sentry_mount *m = add(s, SM_FS, NOTIFY_DIR);

    m->type = "tmpfs";
    m->options = "mode=755,size=4k";
    m->flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    add(s, SM_NODE, NOTIFY_INSIDE)->mode = S_IFSOCK | 0777;
    add(s, SM_READONLY, NOTIFY_DIR);
}

/* ---- all ---- */

static int add_one(const struct oci_config *c, const struct oci_mount *m, const struct oci_state *s,
                   struct shown *shown)
{
    int r;

    if (strcmp(m->destination, "/") == 0)
        return refused(m, "the root cannot be mounted on");
    r = m->bind ? add_bind(c, m, s, shown) : add_fs(m, s, shown);
    if (r == 0 && m->propagation && shown->nmounts &&
        shown->mounts[shown->nmounts - 1].path == m->destination)
        add(shown, SM_PROPAGATE, m->destination)->flags = m->propagation;
    return r;
}

int box_mounts(const struct oci_config *c, const struct oci_state *s, struct shown *ret)
{
    struct sentry_mount *m;
    int r = 0;

    add_export(ret, s->rootfs, /* file= */ false);
    m = add(ret, SM_SHARED, "/");
    m->export_id = 0;
    m->source = "rootfs";
    if (!mounted_at(c, "/dev", NULL)) {
        if (is_link(s->rootfs, "/dev"))
            return oci_fail("/dev of the rootfs is a symbolic link");
        m = add(ret, SM_FS, "/dev");
        m->type = "tmpfs";
        m->options = "mode=755";
        m->flags = MS_NOSUID;
    }
    for (unsigned i = 0; r == 0 && i < c->nmounts; i++)
        r = add_one(c, &c->mounts[i], s, ret);
    if (r)
        return r;
    if (notify_wanted())
        add_notify(ret);
    add_devices(c, ret);
    if (c->propagation)
        add(ret, SM_PROPAGATE, "/")->flags = c->propagation & ~(unsigned)MS_REC;
    for (char **p = c->readonly; *p; p++)
        add(ret, SM_READONLY, *p);
    for (char **p = c->masked; *p; p++)
        add(ret, SM_MASK, *p);
    if (c->root_ro)
        add(ret, SM_READONLY, "/");
    return 0;
}
