/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json, parsed and checked for form: what it says is in the types below, whatever it said. Fields that
 * are not known are ignored, those of a wrong type are an error. Nothing is looked up on the host here.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/idmap.h"
#include "abi/types.h"
#include "sentry/process.h"
#include "sentry/sentry.h"

#define OCI_CONFIG_MAX (16u << 20) /* bytes of a file */

enum oci_hook_kind {
    HOOK_PRESTART,
    HOOK_CREATE_RUNTIME,
    HOOK_CREATE_CONTAINER,
    HOOK_START_CONTAINER,
    HOOK_POSTSTART,
    HOOK_POSTSTOP,
    HOOKS
};

struct oci_hook {
    const char *path;
    char **args, **env; /* NULL at the end; NULL: none were given */
    unsigned timeout;   /* seconds; 0: none */
};

struct oci_mount {
    const char *destination, *type, *source; /* type and source may be NULL */
    char **options;                          /* NULL at the end, never NULL */
    bool bind, recursive, copy_up;
    bool idmap, idmap_all;     /* with maps of ids; those of mounts in it, too */
    struct idmap *uids, *gids; /* NULL: those of the container */
    unsigned flags;            /* MS_* of the mount */
    unsigned propagation;      /* MS_SHARED and its kin, with MS_REC; 0: none was given */
    char *data;                /* what is left, with commas */
};

struct oci_process {
    bool terminal;
    unsigned rows, cols; /* 0: not given */
    struct process_spec spec;
    char **args, **env; /* NULL at the end */
    const char *cwd;
    bool has_oom_score;
    bool apparmor, selinux, scheduling; /* asked for, and without effect here */
};

struct oci_namespace {
    unsigned type;    /* CLONE_NEW* */
    const char *path; /* NULL: a new one */
};

struct oci_device {
    const char *path;
    uint32_t mode; /* with its kind */
    uint32_t uid, gid;
    int64_t major, minor;
};

/* INT64_MIN: was not given. */
#define OCI_UNSET INT64_MIN

struct oci_device_rule {
    bool allow;
    char type;            /* a, b, c */
    int64_t major, minor; /* -1: all */
    const char *access;   /* of r, w, m */
};

struct oci_resources {
    int64_t memory, swap, reservation; /* bytes; -1: no limit */
    int64_t swappiness;                /* of version 1, as what follows */
    bool no_oom_killer;
    int64_t shares, quota, period;
    const char *cpus, *mems;
    int64_t pids;
    const json_t *unified; /* NULL */
    struct oci_device_rule *devices;
    unsigned ndevices;
};

struct oci_config {
    const char *version;
    const char *root;
    bool root_ro;
    const char *hostname, *domainname;
    bool has_process;
    struct oci_process process;
    struct oci_mount *mounts;
    unsigned nmounts;
    struct oci_hook *hooks[HOOKS];
    unsigned nhooks[HOOKS];
    const json_t *annotations; /* an object of strings, or NULL */

    struct oci_namespace *namespaces;
    unsigned nnamespaces;
    struct idmap uids, gids; /* n 0: none were given */
    struct oci_device *devices;
    unsigned ndevices;
    const char *cgroups_path;
    struct oci_resources resources;
    char **masked, **readonly; /* NULL at the end, never NULL */
    unsigned propagation;      /* of the rootfs */
    struct sentry_sysctl *sysctls;
    unsigned nsysctls;
    bool seccomp, intel_rdt, memory_policy, time_offsets;
};

/*
 * 0, or -1 with one line in why. What it returns points into *ret_doc, which is kept.
 * process_only: the text is a process, as `exec --process` has it; only ret->process is filled.
 */
#define OCI_WHY 400
int oci_config_parse(const char *text, size_t n, bool process_only, struct oci_config *ret,
                     json_t **ret_doc, char why[OCI_WHY]);
/* The same of a file. */
int oci_config_read(const char *path, bool process_only, struct oci_config *ret, json_t **ret_doc,
                    char why[OCI_WHY]);
/* The resources alone, as `update` has them. */
int oci_resources_parse(const char *text, size_t n, struct oci_resources *ret, json_t **ret_doc,
                        char why[OCI_WHY]);
/* A whole file of at most OCI_CONFIG_MAX bytes, "-": standard input; NULL and errno. */
char *oci_file_read(const char *path, size_t *ret_n);

const struct oci_namespace *oci_namespace_of(const struct oci_config *c, unsigned type);
/* "CAP_KILL", "kill", "ALL"-less: its number, or -1. */
int oci_capability(const char *name);
const char *oci_capability_name(unsigned nr); /* NULL: there is none */
/* Of resource n: RLIMIT_* by name; -1. */
int oci_rlimit(const char *name);

/* ---- json.c: one member of an object. An absent one, or null, leaves *ret as it is. ---- */

struct oci_parse {
    char *why;    /* OCI_WHY bytes; "" while all is well */
    char at[120]; /* where we are, as "process.user" */
};

/* Is there one, and has it that type? Else NULL, with p->why where it is of another. */
json_t *oci_member(struct oci_parse *p, const json_t *o, const char *key, json_type type);
void oci_string(struct oci_parse *p, const json_t *o, const char *key, const char **ret);
void oci_bool(struct oci_parse *p, const json_t *o, const char *key, bool *ret);
/* Within min and max, or it is an error. */
void oci_number(struct oci_parse *p, const json_t *o, const char *key, int64_t min, int64_t max,
                int64_t *ret);
/* An array of strings; NULL at the end. */
void oci_strings(struct oci_parse *p, const json_t *o, const char *key, char ***ret);
void oci_wrong(struct oci_parse *p, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);
static inline bool oci_well(const struct oci_parse *p)
{
    return !p->why[0];
}
/* Steps into a member, and out again to what the first returned. */
size_t oci_into(struct oci_parse *p, const char *key);
void oci_out(struct oci_parse *p, size_t mark);

/* ---- the parts ---- */
void oci_parse_process(struct oci_parse *p, const json_t *o, struct oci_process *ret);
void oci_parse_mounts(struct oci_parse *p, const json_t *doc, struct oci_config *ret);
void oci_parse_map(struct oci_parse *p, const json_t *o, const char *key, struct idmap *ret);
void oci_parse_linux(struct oci_parse *p, const json_t *doc, struct oci_config *ret);
void oci_parse_resources(struct oci_parse *p, const json_t *o, struct oci_resources *ret);
unsigned oci_propagation(const char *word); /* 0: it is none */
/* All words that a mount may have, for `features`; NULL at the end. */
const char *const *oci_mount_words(void);
