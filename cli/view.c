/* SPDX-License-Identifier: Apache-2.0 */
/* See view.h. */
#include "cli/view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/error.h"

bool view_in_image(const struct view *v, const char *path)
{
    for (unsigned i = 0; i < v->nimages; i++) {
        char *copy = xstrdup(v->images[i]), *colon = strrchr(copy, ':');

        if (colon && !strcmp(colon, ":ro")) {
            *colon = 0;
            colon = strrchr(copy, ':');
        }
        if (colon && colon[1] == '/' && path_within(path, view_absolute(v, colon + 1)))
            return true;
    }
    return false;
}

bool path_within(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    while (n > 0 && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 && (path[n] == 0 || path[n] == '/');
}

char *view_absolute(const struct view *v, const char *path)
{
    char *full = *path == '/' ? xstrdup(path) : xjoin(v->cwd, path);
    char *out = full, *in = full;

    /* Components move down in place. ".." stays: what it means depends on links. */
    while (*in) {
        while (*in == '/')
            in++;
        size_t n = strcspn(in, "/");
        bool dot = n == 1 && in[0] == '.';

        if (n > 0 && !dot) {
            *out++ = '/';
            memmove(out, in, n);
            out += n;
        }
        in += n;
    }
    if (out == full)
        *out++ = '/';
    *out = 0;
    return full;
}

int view_open(const struct view *v, const char *path, int flags)
{
    struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT };
    char *abs = view_absolute(v, path);
    int fd;

    if (v->root == AT_FDCWD) {
        fd = open(abs, flags | O_CLOEXEC);
    } else {
        fd = (int)syscall(SYS_openat2, v->root, abs, &how, sizeof how);
    }
    return fd < 0 ? -errno : fd;
}

int view_stat(const struct view *v, const char *path, struct stat *ret)
{
    int fd = view_open(v, path, O_PATH), r;

    if (fd < 0)
        return fd;
    r = fstat(fd, ret) < 0 ? -errno : 0;
    close(fd);
    return r;
}

bool view_executable(const struct view *v, const char *path)
{
    int fd = view_open(v, path, O_PATH);
    struct stat st;
    bool ok;

    if (fd < 0)
        return false;
    ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) &&
         faccessat(fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
    close(fd);
    return ok;
}

ssize_t view_head(const struct view *v, const char *path, void *buf, size_t n)
{
    int fd = view_open(v, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    ssize_t r;

    if (fd < 0)
        return fd;
    r = pread(fd, buf, n, 0);
    if (r < 0)
        r = -errno;
    close(fd);
    return r;
}

char *view_which(const struct view *v, const char *name, int *ret_err)
{
    const char *p = v->path;

    *ret_err = ENOENT;
    while (p && *p) {
        size_t n = strcspn(p, ":");
        struct stat st;

        if (n > 0 && *p == '/') { /* a relative entry would be the script's to choose */
            char *full = xasprintf("%.*s/%s", (int)n, p, name);

            if (view_executable(v, full))
                return view_absolute(v, full);
            if (view_stat(v, full, &st) == 0 && S_ISREG(st.st_mode))
                *ret_err = EACCES;
        }
        p += n + (p[n] == ':');
    }
    return NULL;
}
