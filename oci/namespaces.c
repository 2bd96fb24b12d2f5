/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's own namespaces on the host. Of what runs inside they show nothing: others join them by
 * /proc/PID/ns, and callers set up the network's. The guest's are the sentry's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/oci.h"
#include "oci/proxy.h"

static void raise_loopback(void)
{
    struct ifreq r = { .ifr_name = "lo" };
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (s < 0)
        return;
    if (ioctl(s, SIOCGIFFLAGS, &r) == 0) {
        r.ifr_flags |= IFF_UP;
        ioctl(s, SIOCSIFFLAGS, &r);
    }
    close(s);
}

static int write_sysctl(const char *name, const char *value)
{
    char path[300];
    int fd, r = 0;

    snprintf(path, sizeof path, "/proc/sys/%s", name);
    for (char *c = path + strlen("/proc/sys/"); *c; c++)
        *c = *c == '.' ? '/' : *c;
    fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (write(fd, value, strlen(value)) < 0)
        r = -errno;
    close(fd);
    return r;
}

/*
 * What the configuration sets of the network holds for the namespace, where the broker's sockets are. Low ports are
 * for anybody there: the broker, which has no rights of root's, binds what the sentry has allowed.
 */
static int set_network(const struct oci_config *c, char why[OCI_WHY])
{
    int r = write_sysctl("net.ipv4.ip_unprivileged_port_start", "0");

    if (r < 0)
        oci_log(OCI_WARNING, "ports below 1024 cannot be listened on: %s", oci_strerror(r));
    for (unsigned i = 0; i < c->nsysctls; i++) {
        const struct sentry_sysctl *s = &c->sysctls[i];

        if (strncmp(s->name, "net.", 4) != 0 || strchr(s->name, '/') ||
            strcmp(s->name, "net.ipv4.ip_unprivileged_port_start") == 0)
            continue;
        r = write_sysctl(s->name, s->value);
        if (r < 0 && !oci.rootless) {
            snprintf(why, OCI_WHY, "cannot set sysctl %.100s to \"%.100s\": %s", s->name, s->value,
                     oci_strerror(r));
            return -1;
        }
    }
    return 0;
}

/* Is it another one than the caller's? Else nothing is changed in it. */
static bool same_network(dev_t dev, ino_t ino)
{
    struct stat st;

    return stat("/proc/self/ns/net", &st) < 0 || (st.st_dev == dev && st.st_ino == ino);
}

static const char *type_name(unsigned type)
{
    switch (type) {
    case CLONE_NEWNET:
        return "network";
    case CLONE_NEWIPC:
        return "ipc";
    case CLONE_NEWUTS:
        return "uts";
    case CLONE_NEWNS:
        return "mount";
    default:
        return "cgroup";
    }
}

static int join(const struct oci_namespace *ns, char why[OCI_WHY])
{
    int fd = open(ns->path, O_RDONLY | O_CLOEXEC), r = fd < 0 ? -errno : 0;

    if (r == 0 && setns(fd, (int)ns->type) < 0)
        r = -errno;
    if (fd >= 0)
        close(fd);
    if (r < 0)
        snprintf(why, OCI_WHY, "cannot join the %s namespace %.200s: %s", type_name(ns->type),
                 ns->path, oci_strerror(r));
    return r < 0 ? -1 : 0;
}

/* That of mounts last: paths of the others are the host's. */
static const unsigned order[] = { CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP,
                                  CLONE_NEWNS };

int namespaces_join(const struct oci_config *c, char why[OCI_WHY])
{
    struct stat net = { 0 };

    stat("/proc/self/ns/net", &net);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        const struct oci_namespace *ns = oci_namespace_of(c, order[i]);

        if (!ns || !ns->path)
            continue;
        if (join(ns, why) < 0)
            return -1;
        if (ns->type == CLONE_NEWNET && !same_network(net.st_dev, net.st_ino) &&
            set_network(c, why) < 0)
            return -1;
    }
    return 0;
}

static int make(const struct oci_config *c, unsigned type, char why[OCI_WHY])
{
    if (unshare((int)type) < 0) {
        if (oci.rootless || geteuid() != 0) {
            oci_log(OCI_WARNING, "no %s namespace of its own: %s", type_name(type),
                    oci_strerror(errno));
            return 0;
        }
        snprintf(why, OCI_WHY, "cannot make a %s namespace: %s", type_name(type),
                 oci_strerror(errno));
        return -1;
    }
    if (type == CLONE_NEWNET) {
        raise_loopback();
        return set_network(c, why);
    }
    if (type == CLONE_NEWUTS && c->hostname && sethostname(c->hostname, strlen(c->hostname)) < 0)
        oci_log(OCI_DEBUG, "the host's uts namespace keeps its name: %s", oci_strerror(errno));
    if (type == CLONE_NEWNS) /* mounts of the host come, ours do not go */
        mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
    return 0;
}

int namespaces_make(const struct oci_config *c, char why[OCI_WHY])
{
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        const struct oci_namespace *ns = oci_namespace_of(c, order[i]);

        if (ns && !ns->path && make(c, order[i], why) < 0)
            return -1;
    }
    return 0;
}
