/* SPDX-License-Identifier: Apache-2.0 */
/* See state.h. */
#include "oci/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/oci.h"

const char *oci_status_name(enum oci_status s)
{
    static const char *const names[] = { "creating", "created", "running", "paused", "stopped" };

    return names[s];
}

char *oci_timestamp(void)
{
    struct timespec ts;
    struct tm tm;
    char text[40];

    clock_gettime(CLOCK_REALTIME, &ts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&ts.tv_sec, &tm));
    return xasprintf("%s.%09ldZ", text, ts.tv_nsec);
}

uint64_t oci_start_time(pid_t pid)
{
    char path[40], buf[1024], *at;
    unsigned long long start = 0;
    char state = 'Z';
    ssize_t n;
    int fd;

    if (pid <= 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, buf, sizeof buf - 1);
    close(fd);
    if (n <= 0)
        return 0;
    buf[n] = 0;
    at = strrchr(buf, ')'); /* a name may have anything in it */
    if (!at || sscanf(at + 1,
                      " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                      "%*d %llu",
                      &state, &start) != 2)
        return 0;
    return state == 'Z' || state == 'X' ? 0 : start;
}

enum oci_status oci_status_now(const struct oci_state *s)
{
    if (s->pid == 0)
        return s->status == OCI_CREATING ? OCI_CREATING : OCI_STOPPED;
    return oci_start_time(s->pid) == s->start_time ? s->status : OCI_STOPPED;
}

/* ---- the folder ---- */

static int make_root(void)
{
    char *path = xstrdup(oci.root);

    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        if (mkdir(path, 0711) < 0 && errno != EEXIST)
            break;
        *p = '/';
    }
    if (mkdir(path, 0711) < 0 && errno != EEXIST)
        return oci_fail("%s: %s", path, oci_strerror(errno));
    free(path);
    return 0;
}

static int open_dir(struct oci_state *s)
{
    s->dir = xjoin(oci.root, s->id);
    s->lock_fd = -1;
    s->dir_fd = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return s->dir_fd < 0 ? -errno : 0;
}

/* Who waits may find that it was removed meanwhile. */
static int take_lock(struct oci_state *s)
{
    struct stat st;

    s->lock_fd = openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return -errno;
    while (flock(s->lock_fd, LOCK_EX) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return fstat(s->lock_fd, &st) == 0 && st.st_nlink > 0 ? 0 : -ENOENT;
}

void oci_state_unlock(struct oci_state *s)
{
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    s->lock_fd = -1;
}

int oci_state_new(const char *id, struct oci_state *ret)
{
    struct oci_state s = { .id = id, .dir_fd = -1, .lock_fd = -1 };
    int r;

    if (make_root() != 0)
        return 1;
    if (mkdir(xjoin(oci.root, id), 0700) < 0)
        return errno == EEXIST ? oci_fail("container with given ID already exists")
                               : oci_fail("%s/%s: %s", oci.root, id, oci_strerror(errno));
    r = open_dir(&s);
    if (r == 0)
        r = take_lock(&s);
    if (r < 0)
        return oci_fail("%s/%s: %s", oci.root, id, oci_strerror(r));
    s.owner = geteuid();
    s.created = oci_timestamp();
    *ret = s;
    return 0;
}

int oci_state_remove(struct oci_state *s)
{
    int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;

    while (d && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            strcmp(e->d_name, "lock") != 0 && unlinkat(s->dir_fd, e->d_name, 0) < 0)
            r = -errno;
    }
    if (d)
        closedir(d);
    unlinkat(s->dir_fd, "lock", 0);
    if (r == 0 && rmdir(s->dir) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

/* ---- the file ---- */

int oci_state_save(const struct oci_state *s)
{
    json_t *o = oci_state_json(s, s->status, /* hook= */ false), *list = json_array();
    int fd, r = 0;
    char *text;

    for (char **c = s->cgroups; c && *c; c++)
        json_array_append_new(list, json_string(*c));
    json_object_set_new(o, "pid", json_integer(s->pid));
    json_object_set_new(o, "startTime", json_integer((json_int_t)s->start_time));
    json_object_set_new(o, "terminal", json_boolean(s->terminal));
    json_object_set_new(o, "cgroups", list);
    if (s->pod)
        json_object_set_new(o, "pod", json_string(s->pod));
    if (s->unit)
        json_object_set_new(o, "unit", json_string(s->unit));
    text = json_dumps(o, JSON_INDENT(1));
    json_decref(o);
    fd = openat(s->dir_fd, ".state.json", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || !text)
        r = -errno;
    else if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        r = -EIO;
    if (fd >= 0)
        close(fd);
    free(text);
    if (r == 0 && renameat(s->dir_fd, ".state.json", s->dir_fd, "state.json") < 0)
        r = -errno;
    return r;
}

static char *member(const json_t *o, const char *key)
{
    const char *v = json_string_value(json_object_get(o, key));

    return xstrdup(v ? v : "");
}

static int decode(const json_t *o, struct oci_state *s)
{
    const char *status = json_string_value(json_object_get(o, "status"));
    const json_t *list = json_object_get(o, "cgroups");

    if (!status || !json_is_integer(json_object_get(o, "pid")))
        return -EINVAL;
    s->version = member(o, "ociVersion");
    s->bundle = member(o, "bundle");
    s->rootfs = member(o, "rootfs");
    s->created = member(o, "created");
    s->annotations = json_incref(json_object_get(o, "annotations"));
    s->pid = (pid_t)json_integer_value(json_object_get(o, "pid"));
    s->start_time = (uint64_t)json_integer_value(json_object_get(o, "startTime"));
    s->terminal = json_is_true(json_object_get(o, "terminal"));
    s->pod = json_object_get(o, "pod") ? member(o, "pod") : NULL;
    s->unit = json_object_get(o, "unit") ? member(o, "unit") : NULL;
    s->cgroups = xcalloc(json_array_size(list) + 1, sizeof *s->cgroups);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *dir = json_string_value(json_array_get(list, i));

        s->cgroups[i] = xstrdup(dir ? dir : "");
    }
    for (unsigned i = OCI_CREATING; i <= OCI_STOPPED; i++)
        if (strcmp(status, oci_status_name((enum oci_status)i)) == 0)
            s->status = (enum oci_status)i;
    return 0;
}

int oci_state_load(const char *id, bool lock, struct oci_state *ret)
{
    struct oci_state s = { .id = id, .lock_fd = -1, .dir_fd = -1 };
    struct stat st;
    json_t *o;
    int r = open_dir(&s), fd;

    if (r == 0 && fstatat(s.dir_fd, "lock", &st, AT_SYMLINK_NOFOLLOW) < 0)
        r = errno == ENOENT ? -EINVAL : -errno; /* made this moment, or left halfway */
    if (r < 0 && r != -EINVAL)
        return r;
    if (lock) {
        r = take_lock(&s);
        if (r < 0)
            return r;
    }
    fd = openat(s.dir_fd, "state.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    o = fd >= 0 ? json_loadfd(fd, 0, NULL) : NULL;
    if (fd >= 0)
        close(fd);
    r = o ? decode(o, &s) : -EINVAL;
    json_decref(o);
    *ret = s;
    return r;
}

/* Somebody is at it, who makes it or takes it away. */
static bool is_held(const struct oci_state *s)
{
    int fd = openat(s->dir_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;

    if (fd >= 0)
        close(fd);
    return held;
}

/* What is half made now may be whole in a moment: whose maker died is not. */
static int load_whole(const char *id, struct oci_state *ret)
{
    int r = oci_state_load(id, /* lock= */ false, ret);

    for (unsigned n = 0; n < 3 && r == -EINVAL; n++) {
        if (is_held(ret))
            return -ENOENT;
        usleep(10000); /* its folder is there before its lock */
        r = oci_state_load(id, /* lock= */ false, ret);
    }
    return r;
}

int oci_state_get(const char *id, bool lock, struct oci_state *ret)
{
    int r;

    if (!oci_id_ok(id))
        return oci_fail(
            "invalid container ID format: %s (an invalid character in the container ID)", id);
    r = lock ? oci_state_load(id, lock, ret) : load_whole(id, ret);
    if (r == -ENOENT)
        return oci_fail("container does not exist: error opening file `%s/%s/status`: "
                        "No such file or directory",
                        oci.root, id);
    if (r == -EINVAL)
        return oci_fail("container %s is half made; remove it by delete --force", id);
    return r < 0 ? oci_fail("container %s: %s", id, oci_strerror(r)) : 0;
}

json_t *oci_state_json(const struct oci_state *s, enum oci_status status, bool hook)
{
    json_t *o = json_object();

    json_object_set_new(o, "ociVersion", json_string(s->version ? s->version : OCI_VERSION));
    json_object_set_new(o, "id", json_string(s->id));
    json_object_set_new(o, "pid", json_integer(status == OCI_STOPPED ? 0 : s->pid));
    json_object_set_new(o, "status", json_string(oci_status_name(status)));
    json_object_set_new(o, "bundle", json_string(s->bundle ? s->bundle : ""));
    if (!hook) {
        json_object_set_new(o, "rootfs", json_string(s->rootfs ? s->rootfs : ""));
        json_object_set_new(o, "created", json_string(s->created ? s->created : ""));
    }
    json_object_set_new(o, "annotations",
                        s->annotations ? json_deep_copy(s->annotations) : json_object());
    if (!hook)
        json_object_set_new(o, "owner", json_string(s->owner == 0 ? "root" : ""));
    return o;
}
