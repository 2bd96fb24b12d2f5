/* SPDX-License-Identifier: Apache-2.0 */
/* features and spec: what this runtime says of itself, and an example to begin with. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/beside.h"
#include "cli/error.h"
#include "oci/config.h"
#include "oci/oci.h"

static json_t *strings(const char *const *list)
{
    json_t *a = json_array();

    for (; *list; list++)
        json_array_append_new(a, json_string(*list));
    return a;
}

static int print(json_t *o, FILE *f)
{
    char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
    int r = text && fprintf(f, "%s\n", text) > 0 && fflush(f) == 0 ? 0 : 1;

    free(text);
    json_decref(o);
    return r;
}

int oci_features(int argc, char **argv)
{
    static const char *const hooks[] = {
        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
        NULL
    };
    static const char *const namespaces[] = { "cgroup", "ipc",  "mount", "network",
                                              "pid",    "user", "uts",   NULL };
    json_t *caps = json_array(), *o;
    int helper = program_beside("sbx-systemd");

    (void)argc, (void)argv;
    for (unsigned i = 0; oci_capability_name(i); i++)
        json_array_append_new(caps, json_string(oci_capability_name(i)));
    o = json_pack(
        "{s:s, s:s, s:o, s:o, s:{s:o, s:o, s:{s:b, s:b, s:b, s:b, s:b},"
        " s:{s:b}, s:{s:b}, s:{s:b}, s:{s:b}, s:{s:{s:b}}, s:{s:b}}, s:{s:s}, s:[]}",
        "ociVersionMin", "1.0.0", "ociVersionMax", OCI_VERSION, "hooks", strings(hooks),
        "mountOptions", strings(oci_mount_words()), "linux", "namespaces", strings(namespaces),
        "capabilities", caps, "cgroup", "v1", 1, "v2", 1, "systemd", helper >= 0, "systemdUser", 0,
        "rdma", 0, "seccomp", "enabled", 0, "apparmor", "enabled", 0, "selinux", "enabled", 0,
        "intelRdt", "enabled", 0, "mountExtensions", "idmap", "enabled", 1, "netDevices", "enabled",
        0, "annotations", "dev.sbx.version", SBX_VERSION, "potentiallyUnsafeConfigAnnotations");
    return print(o, stdout);
}

/* ---- spec ---- */

static json_t *mount_of(const char *dst, const char *type, const char *src,
                        const char *const *options)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "destination", dst, "type", type, "source", src,
                     "options", strings(options));
}

static json_t *example_mounts(void)
{
    static const char *const none[] = { NULL };
    static const char *const dev[] = { "nosuid", "strictatime", "mode=755", "size=65536k", NULL };
    static const char *const pts[] = { "nosuid",    "noexec", "newinstance", "ptmxmode=0666",
                                       "mode=0620", "gid=5",  NULL };
    static const char *const shm[] = {
        "nosuid", "noexec", "nodev", "mode=1777", "size=65536k", NULL
    };
    static const char *const mq[] = { "nosuid", "noexec", "nodev", NULL };
    static const char *const sys[] = { "nosuid", "noexec", "nodev", "ro", NULL };
    json_t *a = json_array();

    json_array_append_new(a, mount_of("/proc", "proc", "proc", none));
    json_array_append_new(a, mount_of("/dev", "tmpfs", "tmpfs", dev));
    json_array_append_new(a, mount_of("/dev/pts", "devpts", "devpts", pts));
    json_array_append_new(a, mount_of("/dev/shm", "tmpfs", "shm", shm));
    json_array_append_new(a, mount_of("/dev/mqueue", "mqueue", "mqueue", mq));
    json_array_append_new(a, mount_of("/sys", "sysfs", "sysfs", sys));
    return a;
}

static json_t *example(void)
{
    static const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
                                       "/sbin:/bin",
                                       "TERM=xterm", NULL };
    static const char *const caps[] = { "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE",
                                        NULL };
    static const char *const masked[] = { "/proc/acpi",
                                          "/proc/asound",
                                          "/proc/kcore",
                                          "/proc/keys",
                                          "/proc/latency_stats",
                                          "/proc/timer_list",
                                          "/proc/timer_stats",
                                          "/proc/sched_debug",
                                          "/sys/firmware",
                                          "/proc/scsi",
                                          NULL };
    static const char *const fixed[] = { "/proc/bus",           "/proc/fs",
                                         "/proc/irq",           "/proc/sys",
                                         "/proc/sysrq-trigger", NULL };

    return json_pack(
        "{s:s, s:{s:b, s:{s:i, s:i}, s:[s], s:o, s:s, s:{s:o, s:o, s:o}, s:[{s:s, s:i, s:i}], s:b},"
        " s:{s:s, s:b}, s:s, s:o, s:{s:{s:[{s:b, s:s}]}, s:[{s:s}, {s:s}, {s:s}, {s:s}, {s:s}],"
        " s:o, s:o}}",
        "ociVersion", OCI_VERSION, "process", "terminal", 1, "user", "uid", 0, "gid", 0, "args",
        "sh", "env", strings(env), "cwd", "/", "capabilities", "bounding", strings(caps),
        "effective", strings(caps), "permitted", strings(caps), "rlimits", "type", "RLIMIT_NOFILE",
        "hard", 1024, "soft", 1024, "noNewPrivileges", 1, "root", "path", "rootfs", "readonly", 1,
        "hostname", "sbx", "mounts", example_mounts(), "linux", "resources", "devices", "allow", 0,
        "access", "rwm", "namespaces", "type", "pid", "type", "network", "type", "ipc", "type",
        "uts", "type", "mount", "maskedPaths", strings(masked), "readonlyPaths", strings(fixed));
}

static json_t *own_id(unsigned id)
{
    return json_pack("[{s:i, s:I, s:i}]", "containerID", 0, "hostID", (json_int_t)id, "size", 1);
}

/* What an ordinary user may start: of the own ids, on the host's network, without limits. */
static void make_rootless(json_t *o)
{
    json_t *lx = json_object_get(o, "linux"), *list = json_object_get(lx, "namespaces"), *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "type")), "network") != 0)
            continue;
        json_array_remove(list, i);
        break;
    }
    json_array_append_new(list, json_pack("{s:s}", "type", "user"));
    json_object_set_new(lx, "uidMappings", own_id(geteuid()));
    json_object_set_new(lx, "gidMappings", own_id(getegid()));
    json_object_del(lx, "resources");
    json_array_foreach(json_object_get(o, "mounts"), i, one)
    {
        json_t *options = json_object_get(one, "options");

        for (size_t k = json_array_size(options); k-- > 0;) /* a group that is not mapped */
            if (strncmp(json_string_value(json_array_get(options, k)), "gid=", 4) == 0)
                json_array_remove(options, k);
    }
}

int oci_spec(int argc, char **argv)
{
    const char *bundle = ".";
    bool rootless = false;
    const struct oci_option list[] = { { "bundle", 'b', true, &bundle, NULL },
                                       { "rootless", 0, false, &rootless, NULL },
                                       { NULL, 0, false, NULL, NULL } };
    int at = oci_options(argc, argv, list), fd;
    json_t *o;
    char *path;
    FILE *f;

    if (at < 0)
        return 1;
    if (at != argc)
        return oci_fail("spec takes no arguments");
    path = xjoin(bundle, "config.json");
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
        return oci_fail("File %s exists. Remove it first", path);
    f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!f)
        return oci_fail("%s: %s", path, oci_strerror(errno));
    o = example();
    if (rootless)
        make_rootless(o);
    if (print(o, f) || fclose(f) != 0)
        return oci_fail("%s: cannot be written", path);
    return 0;
}
