/* SPDX-License-Identifier: Apache-2.0 */
/* A process: of config.json, and of `exec --process`. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "cli/error.h"
#include "oci/config.h"

static const char *const capabilities[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

int oci_capability(const char *name)
{
    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    for (unsigned i = 0; i < ARRAY_SIZE(capabilities); i++)
        if (strcasecmp(name, capabilities[i]) == 0)
            return (int)i;
    return -1;
}

const char *oci_capability_name(unsigned nr)
{
    static char text[40];

    if (nr >= ARRAY_SIZE(capabilities))
        return NULL;
    snprintf(text, sizeof text, "CAP_%s", capabilities[nr]);
    return text;
}

int oci_rlimit(const char *name)
{
    static const struct {
        const char *name;
        int nr;
    } list[] = {
        { "AS", RLIMIT_AS },
        { "CORE", RLIMIT_CORE },
        { "CPU", RLIMIT_CPU },
        { "DATA", RLIMIT_DATA },
        { "FSIZE", RLIMIT_FSIZE },
        { "LOCKS", RLIMIT_LOCKS },
        { "MEMLOCK", RLIMIT_MEMLOCK },
        { "MSGQUEUE", RLIMIT_MSGQUEUE },
        { "NICE", RLIMIT_NICE },
        { "NOFILE", RLIMIT_NOFILE },
        { "NPROC", RLIMIT_NPROC },
        { "RSS", RLIMIT_RSS },
        { "RTPRIO", RLIMIT_RTPRIO },
        { "RTTIME", RLIMIT_RTTIME },
        { "SIGPENDING", RLIMIT_SIGPENDING },
        { "STACK", RLIMIT_STACK },
    };

    if (strncmp(name, "RLIMIT_", 7) != 0)
        return -1;
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        if (strcmp(name + 7, list[i].name) == 0)
            return list[i].nr;
    return -1;
}

/* Those that are not known are left out, as runc does. */
static void parse_set(struct oci_parse *p, const json_t *o, const char *key, uint64_t *ret)
{
    char **names = NULL;

    oci_strings(p, o, key, &names);
    for (unsigned i = 0; names && names[i]; i++) {
        int nr = oci_capability(names[i]);

        if (nr >= 0)
            *ret |= 1ull << nr;
    }
}

static void parse_capabilities(struct oci_parse *p, const json_t *process, struct process_spec *s)
{
    const json_t *o = oci_member(p, process, "capabilities", JSON_OBJECT);
    size_t mark = oci_into(p, "capabilities");

    s->flags |= PROCESS_CAPS; /* none are given: there are none */
    parse_set(p, o, "bounding", &s->cap_bounding);
    parse_set(p, o, "effective", &s->cap_effective);
    parse_set(p, o, "inheritable", &s->cap_inheritable);
    parse_set(p, o, "permitted", &s->cap_permitted);
    parse_set(p, o, "ambient", &s->cap_ambient);
    oci_out(p, mark);
}

static void parse_user(struct oci_parse *p, const json_t *process, struct process_spec *s)
{
    const json_t *o = oci_member(p, process, "user", JSON_OBJECT), *groups;
    size_t mark = oci_into(p, "user");
    int64_t v = 0, mask = -1;

    oci_number(p, o, "uid", 0, UINT32_MAX, &v);
    s->uid = (uint32_t)v;
    v = 0;
    oci_number(p, o, "gid", 0, UINT32_MAX, &v);
    s->gid = (uint32_t)v;
    oci_number(p, o, "umask", 0, 07777, &mask);
    if (mask >= 0) {
        s->flags |= PROCESS_UMASK;
        s->umask = (uint32_t)mask;
    }
    groups = oci_member(p, o, "additionalGids", JSON_ARRAY);
    if (json_array_size(groups) > PROCESS_GROUPS)
        oci_wrong(p, "additionalGids", "more than %d groups", PROCESS_GROUPS);
    for (size_t i = 0; oci_well(p) && i < json_array_size(groups); i++) {
        const json_t *g = json_array_get(groups, i);

        if (!json_is_integer(g) || json_integer_value(g) < 0 || json_integer_value(g) > UINT32_MAX)
            oci_wrong(p, "additionalGids", "expected ids in it");
        else
            s->groups[s->ngroups++] = (uint32_t)json_integer_value(g);
    }
    oci_out(p, mark);
}

/* Unsigned 64 bits in JSON: above INT64_MAX they are all the same, no limit. */
static uint64_t unlimited(int64_t v)
{
    return v == INT64_MAX || v < 0 ? RLIM_INFINITY : (uint64_t)v;
}

static void parse_rlimit(struct oci_parse *p, const json_t *o, struct process_spec *s)
{
    int64_t soft = 0, hard = 0;
    const char *type = NULL;
    int nr;

    if (!json_is_object(o)) {
        oci_wrong(p, "", "expected objects in it");
        return;
    }
    oci_string(p, o, "type", &type);
    nr = type ? oci_rlimit(type) : -1;
    if (nr < 0) {
        oci_wrong(p, "type", "invalid rlimit type: %.60s", type ? type : "");
        return;
    }
    for (uint32_t i = 0; i < s->nrlimits; i++)
        if (s->rlimits[i].resource == (uint32_t)nr)
            oci_wrong(p, "type", "duplicate rlimit type: %s", type);
    oci_number(p, o, "soft", INT64_MIN, INT64_MAX, &soft);
    oci_number(p, o, "hard", INT64_MIN, INT64_MAX, &hard);
    if (!oci_well(p) || s->nrlimits == RLIM_NLIMITS)
        return;
    if (unlimited(soft) > unlimited(hard)) {
        oci_wrong(p, type, "the soft limit is above the hard one");
        return;
    }
    s->rlimits[s->nrlimits++] = (struct process_rlimit){ .resource = (uint32_t)nr,
                                                         .cur = unlimited(soft),
                                                         .max = unlimited(hard) };
}

static void parse_rlimits(struct oci_parse *p, const json_t *process, struct process_spec *s)
{
    const json_t *list = oci_member(p, process, "rlimits", JSON_ARRAY);
    size_t mark = oci_into(p, "rlimits");

    for (size_t i = 0; i < json_array_size(list); i++)
        parse_rlimit(p, json_array_get(list, i), s);
    oci_out(p, mark);
}

static void parse_console(struct oci_parse *p, const json_t *process, struct oci_process *ret)
{
    const json_t *size = oci_member(p, process, "consoleSize", JSON_OBJECT);
    int64_t v = 0;

    oci_bool(p, process, "terminal", &ret->terminal);
    oci_number(p, size, "height", 0, UINT32_MAX, &v);
    ret->rows = (unsigned)MIN(v, 65535);
    v = 0;
    oci_number(p, size, "width", 0, UINT32_MAX, &v);
    ret->cols = (unsigned)MIN(v, 65535);
}

void oci_parse_process(struct oci_parse *p, const json_t *o, struct oci_process *ret)
{
    static char *none[] = { NULL };
    struct process_spec *s = &ret->spec;
    const char *text = NULL;
    bool no_new_privs = false;
    int64_t score = 0;

    ret->env = none;
    parse_console(p, o, ret);
    parse_user(p, o, s);
    oci_strings(p, o, "args", &ret->args);
    if (oci_well(p) && (!ret->args || !ret->args[0]))
        oci_wrong(p, "args", "must not be empty");
    oci_strings(p, o, "env", &ret->env);
    oci_string(p, o, "cwd", &ret->cwd);
    if (oci_well(p) && (!ret->cwd || *ret->cwd != '/'))
        oci_wrong(p, "cwd", "must be an absolute path");
    parse_capabilities(p, o, s);
    parse_rlimits(p, o, s);
    oci_bool(p, o, "noNewPrivileges", &no_new_privs);
    s->flags |= PROCESS_PATH | (no_new_privs ? PROCESS_NO_NEW_PRIVS : 0u);
    ret->has_oom_score = json_is_integer(json_object_get(o, "oomScoreAdj"));
    oci_number(p, o, "oomScoreAdj", -1000, 1000, &score);
    s->oom_score_adj = (int32_t)score;
    oci_string(p, o, "apparmorProfile", &text);
    ret->apparmor = text && *text;
    text = NULL;
    oci_string(p, o, "selinuxLabel", &text);
    ret->selinux = text && *text;
    ret->scheduling = json_is_object(json_object_get(o, "scheduler")) ||
                      json_is_object(json_object_get(o, "ioPriority")) ||
                      json_is_object(json_object_get(o, "execCPUAffinity"));
}
