/* SPDX-License-Identifier: Apache-2.0 */
/* The member "linux": namespaces, devices, limits, what is hidden. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/error.h"
#include "oci/config.h"

#define NEWTIME 0x80u

static unsigned namespace_type(const char *name)
{
    static const struct {
        const char *name;
        unsigned type;
    } list[] = {
        { "pid", CLONE_NEWPID },       { "network", CLONE_NEWNET }, { "mount", CLONE_NEWNS },
        { "ipc", CLONE_NEWIPC },       { "uts", CLONE_NEWUTS },     { "user", CLONE_NEWUSER },
        { "cgroup", CLONE_NEWCGROUP }, { "time", NEWTIME },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        if (strcmp(name, list[i].name) == 0)
            return list[i].type;
    return 0;
}

static void parse_namespaces(struct oci_parse *p, const json_t *lx, struct oci_config *ret)
{
    const json_t *list = oci_member(p, lx, "namespaces", JSON_ARRAY);
    size_t n = json_array_size(list), mark = oci_into(p, "namespaces");

    ret->namespaces = xcalloc(n + 1, sizeof *ret->namespaces);
    for (size_t i = 0; i < n && oci_well(p); i++) {
        const json_t *o = json_array_get(list, i);
        struct oci_namespace *ns = &ret->namespaces[i];
        const char *type = NULL;

        if (!json_is_object(o)) {
            oci_wrong(p, "", "expected objects in it");
            break;
        }
        oci_string(p, o, "type", &type);
        oci_string(p, o, "path", &ns->path);
        ns->type = type ? namespace_type(type) : 0;
        if (ns->path && !*ns->path)
            ns->path = NULL;
        if (!ns->type)
            oci_wrong(p, "type", "namespace \"%.40s\" does not exist", type ? type : "");
        for (size_t k = 0; k < i; k++)
            if (ret->namespaces[k].type == ns->type)
                oci_wrong(p, "type", "duplicate namespace \"%.40s\"", type ? type : "");
        ret->nnamespaces++;
    }
    oci_out(p, mark);
}

void oci_parse_map(struct oci_parse *p, const json_t *lx, const char *key, struct idmap *ret)
{
    const json_t *list = oci_member(p, lx, key, JSON_ARRAY);
    size_t n = json_array_size(list), mark = oci_into(p, key);

    if (n > IDMAP_RANGES)
        oci_wrong(p, "", "has more than %d ranges", IDMAP_RANGES);
    for (size_t i = 0; i < n && oci_well(p); i++) {
        const json_t *o = json_array_get(list, i);
        int64_t inside = -1, outside = -1, count = 0;

        if (!json_is_object(o)) {
            oci_wrong(p, "", "expected objects in it");
            break;
        }
        oci_number(p, o, "containerID", 0, UINT32_MAX - 1, &inside);
        oci_number(p, o, "hostID", 0, UINT32_MAX - 1, &outside);
        oci_number(p, o, "size", 0, UINT32_MAX, &count);
        if (inside < 0 || outside < 0 || count < 1 || inside + count > UINT32_MAX ||
            outside + count > UINT32_MAX)
            oci_wrong(p, "", "needs containerID, hostID and a size that fits");
        else
            ret->ranges[ret->n++] = (struct idmap_range){ (uint32_t)inside, (uint32_t)outside,
                                                          (uint32_t)count };
    }
    oci_out(p, mark);
}

static void parse_maps(struct oci_parse *p, const json_t *lx, struct oci_config *ret)
{
    const struct oci_namespace *user = oci_namespace_of(ret, CLONE_NEWUSER);

    oci_parse_map(p, lx, "uidMappings", &ret->uids);
    oci_parse_map(p, lx, "gidMappings", &ret->gids);
    if ((ret->uids.n || ret->gids.n) && !user)
        oci_wrong(p, "uidMappings", "need a namespace of type \"user\"");
    else if (user && !user->path && !ret->uids.n != !ret->gids.n)
        oci_wrong(p, ret->uids.n ? "gidMappings" : "uidMappings", "are missing beside the others");
}

static void parse_device(struct oci_parse *p, const json_t *o, struct oci_device *d)
{
    const char *type = NULL;
    int64_t mode = 0666, uid = 0, gid = 0;

    if (!json_is_object(o)) {
        oci_wrong(p, "", "expected objects in it");
        return;
    }
    oci_string(p, o, "path", &d->path);
    oci_string(p, o, "type", &type);
    oci_number(p, o, "major", -1, UINT32_MAX, &d->major);
    oci_number(p, o, "minor", -1, UINT32_MAX, &d->minor);
    oci_number(p, o, "fileMode", 0, INT64_MAX, &mode);
    oci_number(p, o, "uid", 0, UINT32_MAX, &uid);
    oci_number(p, o, "gid", 0, UINT32_MAX, &gid);
    if (!d->path || *d->path != '/')
        oci_wrong(p, "path", "must be an absolute path");
    if (!type || !strchr("cbup", *type) || type[0] == 0 || type[1])
        oci_wrong(p, "type", "must be c, b, u or p");
    if (!oci_well(p))
        return;
    d->mode = ((uint32_t)mode & 07777) | (*type == 'b'   ? S_IFBLK
                                          : *type == 'p' ? S_IFIFO
                                                         : S_IFCHR);
    d->uid = (uint32_t)uid;
    d->gid = (uint32_t)gid;
}

static void parse_devices(struct oci_parse *p, const json_t *lx, struct oci_config *ret)
{
    const json_t *list = oci_member(p, lx, "devices", JSON_ARRAY);
    size_t n = json_array_size(list), mark = oci_into(p, "devices");

    ret->devices = xcalloc(n + 1, sizeof *ret->devices);
    ret->ndevices = (unsigned)n;
    for (size_t i = 0; i < n && oci_well(p); i++)
        parse_device(p, json_array_get(list, i), &ret->devices[i]);
    oci_out(p, mark);
}

static void parse_rule(struct oci_parse *p, const json_t *o, struct oci_device_rule *r)
{
    const char *type = "a";

    *r = (struct oci_device_rule){ .major = -1, .minor = -1, .access = "rwm" };
    if (!json_is_object(o)) {
        oci_wrong(p, "", "expected objects in it");
        return;
    }
    oci_bool(p, o, "allow", &r->allow);
    oci_string(p, o, "type", &type);
    oci_number(p, o, "major", -1, UINT32_MAX, &r->major);
    oci_number(p, o, "minor", -1, UINT32_MAX, &r->minor);
    oci_string(p, o, "access", &r->access);
    r->type = *type ? *type : 'a';
    if (!strchr("abc", r->type) || (*type && type[1]))
        oci_wrong(p, "type", "must be a, b or c");
    if (!*r->access || r->access[strspn(r->access, "rwm")] || strlen(r->access) > 3)
        oci_wrong(p, "access", "must be of r, w and m");
}

static void parse_rules(struct oci_parse *p, const json_t *o, struct oci_resources *ret)
{
    const json_t *list = oci_member(p, o, "devices", JSON_ARRAY);
    size_t n = json_array_size(list), mark = oci_into(p, "devices");

    ret->devices = xcalloc(n + 1, sizeof *ret->devices);
    for (size_t i = 0; i < n && oci_well(p); i++)
        parse_rule(p, json_array_get(list, i), &ret->devices[ret->ndevices++]);
    oci_out(p, mark);
}

void oci_parse_resources(struct oci_parse *p, const json_t *o, struct oci_resources *ret)
{
    const json_t *memory = oci_member(p, o, "memory", JSON_OBJECT);
    const json_t *cpu = oci_member(p, o, "cpu", JSON_OBJECT);
    const json_t *pids = oci_member(p, o, "pids", JSON_OBJECT), *value;
    size_t mark = oci_into(p, "memory");
    const char *key;

    oci_number(p, memory, "limit", -1, INT64_MAX, &ret->memory);
    oci_number(p, memory, "swap", -1, INT64_MAX, &ret->swap);
    oci_number(p, memory, "reservation", -1, INT64_MAX, &ret->reservation);
    oci_number(p, memory, "swappiness", INT64_MIN + 1, INT64_MAX, &ret->swappiness);
    oci_bool(p, memory, "disableOOMKiller", &ret->no_oom_killer);
    oci_out(p, mark);
    oci_into(p, "cpu");
    oci_number(p, cpu, "shares", 0, INT64_MAX, &ret->shares);
    oci_number(p, cpu, "quota", -1, INT64_MAX, &ret->quota);
    oci_number(p, cpu, "period", 0, INT64_MAX, &ret->period);
    oci_string(p, cpu, "cpus", &ret->cpus);
    oci_string(p, cpu, "mems", &ret->mems);
    oci_out(p, mark);
    oci_into(p, "pids");
    oci_number(p, pids, "limit", INT64_MIN + 1, INT64_MAX, &ret->pids);
    oci_out(p, mark);
    parse_rules(p, o, ret);
    json_t *unified = oci_member(p, o, "unified", JSON_OBJECT);

    json_object_foreach(unified, key, value)
    {
        if (!json_is_string(value) || strchr(key, '/') || !*key)
            oci_wrong(p, "unified", "expected names of files and strings in it");
    }
    ret->unified = unified;
}

static void parse_sysctls(struct oci_parse *p, const json_t *lx, struct oci_config *ret)
{
    json_t *all = oci_member(p, lx, "sysctl", JSON_OBJECT), *value;
    const char *key;

    ret->sysctls = xcalloc(json_object_size(all) + 1, sizeof *ret->sysctls);
    json_object_foreach(all, key, value)
    {
        if (!json_is_string(value)) {
            oci_wrong(p, "sysctl", "expected strings in it");
            return;
        }
        ret->sysctls[ret->nsysctls++] = (struct sentry_sysctl){ key, json_string_value(value) };
    }
}

/* A filter of the host's calls has nothing to say here; who waits for its events would wait for ever. */
static void parse_seccomp(struct oci_parse *p, const json_t *lx, struct oci_config *ret)
{
    const json_t *o = oci_member(p, lx, "seccomp", JSON_OBJECT);
    size_t mark = oci_into(p, "seccomp");
    const char *listener = NULL;

    ret->seccomp = o != NULL;
    oci_string(p, o, "listenerPath", &listener);
    if (listener && *listener)
        oci_wrong(p, "listenerPath", "is not supported: the guest's calls do not reach the host");
    oci_out(p, mark);
}

void oci_parse_linux(struct oci_parse *p, const json_t *doc, struct oci_config *ret)
{
    const json_t *lx = oci_member(p, doc, "linux", JSON_OBJECT), *resources;
    size_t mark = oci_into(p, "linux");
    const char *word = NULL;

    parse_namespaces(p, lx, ret);
    parse_devices(p, lx, ret);
    parse_sysctls(p, lx, ret);
    oci_string(p, lx, "cgroupsPath", &ret->cgroups_path);
    oci_strings(p, lx, "maskedPaths", &ret->masked);
    oci_strings(p, lx, "readonlyPaths", &ret->readonly);
    oci_string(p, lx, "rootfsPropagation", &word);
    if (word && *word) {
        ret->propagation = oci_propagation(word);
        if (!ret->propagation)
            oci_wrong(p, "rootfsPropagation", "\"%.40s\" is none", word);
    }
    resources = oci_member(p, lx, "resources", JSON_OBJECT);
    if (resources) {
        size_t inner = oci_into(p, "resources");

        oci_parse_resources(p, resources, &ret->resources);
        oci_out(p, inner);
    }
    parse_maps(p, lx, ret);
    parse_seccomp(p, lx, ret);
    ret->memory_policy = oci_member(p, lx, "memoryPolicy", JSON_OBJECT) != NULL;
    ret->time_offsets = json_object_size(oci_member(p, lx, "timeOffsets", JSON_OBJECT)) > 0;
    if (json_object_size(oci_member(p, lx, "netDevices", JSON_OBJECT)))
        oci_wrong(p, "netDevices", "are not supported; add them to the network namespace");
    ret->intel_rdt = oci_member(p, lx, "intelRdt", JSON_OBJECT) != NULL;
    word = NULL;
    oci_string(p, oci_member(p, lx, "personality", JSON_OBJECT), "domain", &word);
    if (word && strcmp(word, "LINUX") != 0)
        oci_wrong(p, "personality", "\"%.40s\" is not supported; LINUX is", word);
    oci_out(p, mark);
}
