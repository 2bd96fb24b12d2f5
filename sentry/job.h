/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are started in a running sandbox (`sbx exec`). Each is a process of its own under pid 1,
 * in a session of its own; when it ends the front end is told, and what it left running goes on.
 */
#pragma once

#include <stdint.h>

#include "sentry/process.h"

struct container;
struct task;

/* What a request's descriptor holds: this, then strings, each with its NUL: cwd, arguments, environment. */
struct job_request {
    uint32_t argc, envc;
    struct process_spec as;
};
#define JOB_REQUEST_MAX (4u << 20)

/*
 * Starts one. Takes over all n descriptors (at least 3; -1 is closed). Answers by CTL_JOB_EXIT or
 * CTL_JOB_FAILED, at once or later. On the event thread.
 */
void job_start(struct container *c, uint32_t id, int request, int *fds, unsigned n);
/*
 * The program of container_here(), a further one, from the same: published and held, not ready yet. Takes those
 * descriptors that it makes -1. 0 or -errno, then perhaps with one line in why.
 */
int job_program(int request, int *fds, unsigned n, char why[PROCESS_WHY], struct task **ret);
/* To the whole process. No-op when it has ended. */
void job_signal(struct container *c, uint32_t id, int sig);
/* To all that runs in it. */
void job_signal_all(struct container *c, int sig);
/* tgroup.job has ended with that wait status; or its program could not be started. Any worker. */
void job_ended(struct container *c, uint32_t id, int wait_status);
void job_failed(struct container *c, uint32_t id, const char *name, int err);
