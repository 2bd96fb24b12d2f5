/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal for a container that runs detached: a pair of the host's. The caller gets the master by a
 * socket; the proxy has the slave as its controlling terminal, and plays the user's side of `sbx run` there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "cli/error.h"
#include "oci/oci.h"
#include "oci/proxy.h"

/* The path may be longer than a socket's address. */
static int connect_to(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), dir = -1, r;

    if (fd < 0)
        return -errno;
    if (strlen(path) < sizeof a.sun_path) {
        memcpy(a.sun_path, path, strlen(path));
    } else {
        char *copy = xstrdup(path), *slash = strrchr(copy, '/');

        if (!slash)
            return -ENAMETOOLONG;
        *slash = 0;
        dir = open(*copy ? copy : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%.60s", dir, slash + 1);
    }
    r = connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : fd;
    if (dir >= 0)
        close(dir);
    if (r < 0)
        close(fd);
    return r;
}

static int send_master(int sock, int master)
{
    static const char name[] = "/dev/ptmx";

    return fdmsg_send(sock, name, sizeof name - 1, &master, 1);
}

static int open_pair(int *ret_master)
{
    char name[64];
    int unlock = 0, nr, master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &nr) < 0)
        return -errno;
    snprintf(name, sizeof name, "/dev/pts/%d", nr);
    slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    *ret_master = master;
    return slave < 0 ? -errno : slave;
}

int send_pidfd(const char *path, pid_t pid)
{
    int sock, fd, r;

    if (!path)
        return 0;
    sock = connect_to(path);
    if (sock < 0)
        return oci_fail("--pidfd-socket %s: connect: %s", path, oci_strerror(sock));
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    r = fd < 0 ? -errno : fdmsg_send(sock, "pidfd", 5, &fd, 1);
    if (fd >= 0)
        close(fd);
    close(sock);
    return r < 0 ? oci_fail("--pidfd-socket %s: %s", path, oci_strerror(r)) : 0;
}

int terminal_open(const char *console, unsigned rows, unsigned cols, char why[OCI_WHY])
{
    struct winsize ws = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };
    int sock = connect_to(console), master = -1, slave, r;

    if (sock < 0) {
        snprintf(why, OCI_WHY, "dial unix %.200s: connect: %s", console, oci_strerror(sock));
        return -1;
    }
    slave = open_pair(&master);
    if (slave >= 0 && (rows || cols))
        ioctl(slave, TIOCSWINSZ, &ws);
    r = slave < 0 ? slave : send_master(sock, master);
    if (master >= 0)
        close(master);
    close(sock);
    if (r < 0) {
        snprintf(why, OCI_WHY, "cannot make a terminal: %s", oci_strerror(r));
        return -1;
    }
    return slave;
}
