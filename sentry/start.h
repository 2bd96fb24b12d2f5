/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of start-up and end that sentry/main.c puts together. */
#pragma once

#include <stdint.h>

#include "sentry/sentry.h"

struct container;
struct task;
struct tgroup;

/* sentry/first.c: the first program's task with its descriptors, directories and ids. */
int start_first(const struct sentry_config *cfg, struct task **ret);
/* In container_here(): /dev/console is that pair of /dev/pts. 0 or -errno. */
int show_console(unsigned index);
/* The resource limits that a program finds. */
void first_limits(struct tgroup *g);

/* sentry/report.c: the start-up budget, a time stamp a step; and all statistics at the end. */
void start_step(const char *name);
void start_report_end(const struct sentry_config *cfg);

/* sentry/notify.c: the socket at path is heard from now on. 0 or -errno. */
int notify_open(const char *path);

/* sentry/pause.c: freezes a container, and tells CTL_FROZEN; lets it go on. On the event thread. */
void pause_begin(struct container *c);
void pause_end(struct container *c);

/* sentry/main.c: a container's program cannot be started, told in these words. Does not return. */
void sandbox_start_refused(const char *why) __attribute__((noreturn));
/* sentry/usage.c: answers CTL_ASK_USAGE. */
void usage_send(const struct sentry_config *cfg);

/* sentry/control.c: hears the front end from now on, on the event thread. 0 or -errno. */
int control_init(const struct sentry_config *cfg);
/* The same of a further container. */
int control_watch(struct container *c);
/* The first program of its container may run: at once, or under OCI when the front end says so. */
void control_hold(struct task *first);

/* sentry/main.c: has the end begun? Any thread. */
bool sandbox_is_ending(void);
/* sentry/main.c: one message to the front end of the sandbox; fmt NULL: no text. */
void control_send(uint32_t type, uint64_t value, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same to that of container c. Any thread. */
void control_tell(struct container *c, uint32_t type, uint64_t value, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* sentry/main.c: its init, which is the sentry itself; of a further one with container_enter(). 0 or -errno. */
int container_make_init(struct container *c);

/*
 * sentry/pod.c: a further container by CTL_CONTAINER, on the event thread. Takes over all n descriptors. Its front
 * end, which the first of them leads to, is told CTL_READY, or CTL_ERROR and the end.
 */
void pod_add(int *fds, unsigned n, unsigned flags); /* POD_* */
/* What its front end says is that it has gone: the container ends. */
void pod_left(struct container *c);
