/* SPDX-License-Identifier: Apache-2.0 */
/* See notify.h. */
#include "oci/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "cli/error.h"
#include "oci/oci.h"
#include "oci/wire.h"

#define BARRIER_MS 30000

static const char *host(void)
{
    return getenv("NOTIFY_SOCKET");
}

bool notify_wanted(void)
{
    return host() && *host();
}

char **notify_environment(char **env)
{
    unsigned n = 0;
    char **with;

    while (env[n])
        n++;
    with = xcalloc(n + 2, sizeof *with);
    memcpy(with, env, n * sizeof *env);
    with[n] = xstrdup("NOTIFY_SOCKET=" NOTIFY_INSIDE);
    return with;
}

int notify_ask(const struct oci_state *s)
{
    const struct wire_msg m = { .type = WIRE_NOTIFY };
    int sock = wire_connect(s);

    if (sock >= 0)
        wire_send(sock, &m, NULL, 0);
    return sock < 0 ? -1 : sock;
}

/* "@name" is an abstract one. */
static int connect_host(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    size_t n = strlen(host());
    int sock;

    if (n >= sizeof a.sun_path)
        return -ENAMETOOLONG;
    memcpy(a.sun_path, host(), n);
    if (a.sun_path[0] == '@')
        a.sun_path[0] = 0;
    sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return -errno;
    if (connect(sock, (struct sockaddr *)&a,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0)
        return sock;
    n = (size_t)errno;
    close(sock);
    return -(int)n;
}

/* Until the manager has read all that was sent: it closes what it got (sd_notify_barrier(3)). */
static void barrier(int sock)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    struct pollfd p = { .fd = ends[0] };
    int r = fdmsg_send(sock, "BARRIER=1", 9, &ends[1], 1);

    close(ends[1]);
    if (r == 0)
        poll(&p, 1, BARRIER_MS);
    close(ends[0]);
}

static int tell_host(pid_t pid)
{
    int sock = connect_host(), r;
    char text[40];

    if (sock < 0)
        return sock;
    r = fdmsg_send(sock, "READY=1", 7, NULL, 0);
    if (r == 0 && pid) {
        snprintf(text, sizeof text, "MAINPID=%d", (int)pid);
        r = fdmsg_send(sock, text, strlen(text), NULL, 0);
    }
    if (r == 0)
        barrier(sock);
    close(sock);
    return r;
}

void notify_pass(int sock, pid_t pid)
{
    struct wire_msg m;
    int r = wire_receive(sock, &m, NULL, NULL);

    close(sock);
    if (r != 1 || m.type != WIRE_DONE)
        return;
    r = tell_host(pid);
    if (r < 0)
        oci_log(OCI_WARNING, "cannot notify %s: %s", host(), oci_strerror(r));
}
