/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program starts with: ids, rights, limits. Under OCI each process of a container says so itself
 * (the first one in sentry_config, a later one in its request); `sbx run` leaves the flags at 0, and
 * the ids decide.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#define PROCESS_GROUPS 64
#define PASSED_MAX 200 /* descriptors of the host that one may find, beside the standard streams */

enum { /* flags: what is told beside the ids */
       PROCESS_CAPS = 1,
       PROCESS_UMASK = 2,
       PROCESS_NO_NEW_PRIVS = 4,
       PROCESS_MAKE_CWD = 8, /* it is made where it is not there */
       PROCESS_PATH = 16,    /* errors are told in text, as OCI runtimes word them */
       PROCESS_TTY = 32,     /* of a job: its streams are a terminal of its own, by descriptor 0 */
       PROCESS_FILE = 128,   /* of a job: the first argument is the file to run, and not one */
       PROCESS_LISTEN = 64,  /* of a job: its LISTEN_PID is to be its own number */
};

struct process_spec {
    uint32_t flags;
    uint32_t uid, gid, ngroups;
    uint32_t groups[PROCESS_GROUPS];
    uint32_t umask;
    uint16_t rows, cols; /* TTY */
    int32_t oom_score_adj;
    uint64_t cap_bounding, cap_effective, cap_inheritable, cap_permitted, cap_ambient;
    uint32_t nrlimits, pad;
    struct process_rlimit {
        uint32_t resource, pad;
        uint64_t cur, max;
    } rlimits[RLIM_NLIMITS];
};

struct task;

/* Of a spec that came from outside: 0 or -EINVAL. */
int process_check(const struct process_spec *s);
/* Why its ids cannot be, in one line; NULL: they can. */
const char *process_ids_wrong(const struct process_spec *s);
/*
 * t, which is not published yet, gets credentials, directories, an empty table of descriptors and
 * limits. -ENOENT, -ENOTDIR, -EACCES: cwd.
 */
int process_furnish(struct task *t, const struct process_spec *s, const char *cwd);
/* One line on why a program could not be started, in the words that callers of OCI runtimes look for. */
#define PROCESS_WHY 1000
void process_failed(const char *name, int err, char why[PROCESS_WHY]);
void process_cwd_failed(const char *cwd, int err, char why[PROCESS_WHY]);
/* strerror with a small letter, as these callers match it. */
const char *process_strerror(int err);
/*
 * The program's path, as execvp finds it with that environment. A name without slash is looked for in
 * PATH. -ENOENT, -EACCES (it is no program, or a directory), -ENAMETOOLONG, and of the walk.
 */
int process_find(struct task *t, const char *name, char *const *envp, char *ret, size_t cap);
