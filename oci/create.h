/* SPDX-License-Identifier: Apache-2.0 */
/* Making containers and taking them away, for the commands that do. */
#pragma once

#include "oci/config.h"
#include "oci/state.h"

struct create_options {
    const char *bundle, *config, *pid_file, *console, *preserve, *pidfd;
    bool foreground; /* `run` without --detach */
};

/*
 * From a bundle to a container whose program is held. ret->pid is our child. 0, or 1 after the error was
 * printed; then nothing is left.
 */
int container_create(const char *id, const struct create_options *o, struct oci_config *c,
                     struct oci_state *ret);
/*
 * Lets its program run. *ret_notify is for container_notify(); -1: nobody waits for READY=1. 0, or 1 after the
 * error was printed.
 */
int container_start(struct oci_state *s, const struct oci_config *c, int *ret_notify);
/* Waits until its program is ready, or has ended, and tells the manager. */
void container_notify(struct oci_state *s, int notify);
/* What is left of it goes, processes too; hooks poststop are run. 0 or 1. */
int container_remove(struct oci_state *s);
/* Decimal, under another name first. 0, or 1 after the error was printed. */
int write_pid_file(const char *path, pid_t pid);
/* Waits until the process has ended, at most so long. */
bool await_end(pid_t pid, uint64_t start_time, int ms);
