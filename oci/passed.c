/* SPDX-License-Identifier: Apache-2.0 */
/* See passed.h. */
#include "oci/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/box.h"
#include "oci/oci.h"

#define FIRST 3

/* As sd_listen_fds(3); without LISTEN_PID, as crun. */
static unsigned asked_by_environment(void)
{
    const char *n = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");

    if (!n || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    return (unsigned)strtoul(n, NULL, 10);
}

static const char *socket_wrong(int fd)
{
    int domain = 0, listens = 0;
    struct sockaddr_storage peer;
    socklen_t n = sizeof domain, len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 ||
        (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6))
        return "a socket that speaks with the host's kernel";
    n = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && listens)
        return "a socket that listens, whose connections would be past the net broker: publish the "
               "port";
    if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
        return "a socket without a peer";
    return NULL;
}

/* Why it may not go in; NULL: it may. A guest can read and write what it gets, and nothing else. */
static const char *wrong(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    struct stat st;

    if (flags < 0 || fstat(fd, &st) < 0)
        return oci_strerror(errno);
    if (flags & O_PATH)
        return "opened by O_PATH";
    switch (st.st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
        return NULL;
    case S_IFCHR:
        return major(st.st_rdev) == 136 || box_device(st.st_rdev) ? NULL : "a device of the host";
    case S_IFSOCK:
        return socket_wrong(fd);
    case S_IFDIR:
        return "a directory: bind it";
    case S_IFBLK:
        return "a device of the host";
    default:
        return "neither a file nor a pipe, a terminal or a socket";
    }
}

int passed_find(const char *preserve, struct passed *ret)
{
    unsigned long more = 0;
    char *end;

    ret->n = ret->listen = 0;
    if (preserve) {
        more = strtoul(preserve, &end, 10);
        if (!*preserve || *end)
            return oci_fail("--preserve-fds %s: give a number", preserve);
    }
    ret->listen = asked_by_environment();
    if (more > PASSED_MAX || ret->listen > PASSED_MAX || more + ret->listen > PASSED_MAX)
        return oci_fail("at most %d descriptors can be passed on (--preserve-fds, LISTEN_FDS)",
                        PASSED_MAX);
    for (int fd = FIRST; ret->n < more + ret->listen; fd++) {
        int flags = fcntl(fd, F_GETFD);
        const char *why;

        if (flags < 0 || flags & FD_CLOEXEC) { /* the latter was opened here, in its place */
            if (ret->n < ret->listen)
                return oci_fail("LISTEN_FDS=%u: descriptor %d is not open", ret->listen, fd);
            return oci_fail("unable to stat preserved-fd %u (of %lu): descriptor %d is not open",
                            ret->n - ret->listen, more, fd);
        }
        why = wrong(fd);
        if (why)
            return oci_fail("descriptor %d cannot be passed on: it is %s", fd, why);
        ret->fds[ret->n++] = fd;
    }
    return 0;
}

char **passed_environment(const struct passed *p, char **env)
{
    unsigned n = 0, k = 0;
    char **with;

    if (!p->listen)
        return env;
    while (env[n])
        n++;
    with = xcalloc(n + 4, sizeof *with);
    memcpy(with, env, n * sizeof *env);
    with[n + k++] = xasprintf("LISTEN_FDS=%u", p->listen);
    with[n + k++] = xstrdup("LISTEN_PID=1"); /* of an exec the sentry puts its number there */
    if (getenv("LISTEN_FDNAMES"))
        with[n + k++] = xasprintf("LISTEN_FDNAMES=%s", getenv("LISTEN_FDNAMES"));
    return with;
}

void passed_close(const struct passed *p)
{
    for (unsigned i = 0; i < p->n; i++)
        close(p->fds[i]);
}
