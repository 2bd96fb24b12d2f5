/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stays of a container between two commands: ROOT/ID with
 *
 *   lock          flock()ed by whoever changes anything
 *   state.json    written whole, under another name first
 *   config.json   as it was at create
 *   control.sock  the init proxy's (wire.h)
 *
 * What the file says of the program is only what was done last. Whether it still lives is asked of the host:
 * the proxy's pid and its start time.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/config.h"

enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_PAUSED, OCI_STOPPED };

struct oci_state {
    const char *id;
    char *dir;   /* ROOT/ID */
    int dir_fd;  /* O_PATH */
    int lock_fd; /* -1: not locked */

    char *version, *bundle, *rootfs, *created;
    json_t *annotations; /* or NULL */
    uid_t owner;
    pid_t pid; /* of the init proxy; 0: there is none yet */
    uint64_t start_time;
    enum oci_status status; /* as told; oci_status_now is how it is */
    bool terminal;
    char **cgroups; /* directories, NULL at the end */
    char *unit;     /* of systemd's; NULL: none */
    char *pod;      /* the container whose sentry it is in; NULL: its own */
    bool pod_pids;  /* it joins that one's pid namespace; known at create only */
};

const char *oci_status_name(enum oci_status s);
enum oci_status oci_status_now(const struct oci_state *s);

/*
 * A new one, locked and empty but for the lock. 1 after the error was printed: also when there is one of that
 * id.
 */
int oci_state_new(const char *id, struct oci_state *ret);
/*
 * Of one that is there. lock: until the command ends. 0; -ENOENT; -EINVAL when it is half written, then
 * only id, dir and its descriptors are set. Nothing is printed.
 */
int oci_state_load(const char *id, bool lock, struct oci_state *ret);
/* The same; 1 after the error was printed. */
int oci_state_get(const char *id, bool lock, struct oci_state *ret);
/* Writes it. 0 or -errno. */
int oci_state_save(const struct oci_state *s);
/* The folder goes. 0 or -errno. */
int oci_state_remove(struct oci_state *s);
void oci_state_unlock(struct oci_state *s);

/* As `state` and `list` print it, and with hook true as hooks get it; a new reference. */
json_t *oci_state_json(const struct oci_state *s, enum oci_status status, bool hook);

/* Field 22 of /proc/PID/stat; 0: there is no such process, or it has ended. */
uint64_t oci_start_time(pid_t pid);
/* "2026-01-02T03:04:05.678901234Z" */
char *oci_timestamp(void);
