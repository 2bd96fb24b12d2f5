/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of start-up and end that sentry/main.c puts together. */
#pragma once

#include <stdint.h>

#include "sentry/sentry.h"

struct task;
struct tgroup;

/* sentry/first.c: the first program's task with its descriptors, directories and ids. */
int start_first(const struct sentry_config *cfg, struct task **ret);
/* The resource limits that a program finds. */
void first_limits(struct tgroup *g);

/* sentry/report.c: the start-up budget, a time stamp a step; and all statistics at the end. */
void start_step(const char *name);
void start_report_end(const struct sentry_config *cfg);

/* sentry/notify.c: the socket at path is heard from now on. 0 or -errno. */
int notify_open(const char *path);

/* sentry/pause.c: freezes the guest, and tells CTL_FROZEN; lets it go on. On the event thread. */
void pause_begin(void);
void pause_end(void);

/* sentry/main.c: a container's program cannot be started, told in these words. Does not return. */
void sandbox_start_refused(const char *why) __attribute__((noreturn));
/* sentry/usage.c: answers CTL_ASK_USAGE. */
void usage_send(const struct sentry_config *cfg);

/* sentry/control.c: hears the front end from now on, on the event thread. 0 or -errno. */
int control_watch(const struct sentry_config *cfg);
/* The first program may run: at once, or in a container when the front end says so. */
void control_hold(struct task *first);

/* sentry/main.c: has the end begun? Any thread. */
bool sandbox_is_ending(void);
/* sentry/main.c: one message to the front end; fmt NULL: no text. */
void control_send(uint32_t type, uint64_t value, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
