/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event thread: one a sandbox. It sleeps in one epoll for the nearest deadline of the timer
 * heap and for host descriptors that somebody watches, calls what is due without holding a lock,
 * and then runs the records that became ready (dispatch_drain).
 */
#pragma once

#include <stdint.h>

#include "abi/types.h"

/* After fencing, before the first task: from here on it can be watched and armed. 0 or -errno. */
int event_open(void);
/* The calling thread, which has said dispatch_worker_start(), is the event thread from now on. */
void event_run(void) __attribute__((noreturn));
/* Both, on a thread of its own: where the calling one has other things to do, as in tests. */
int event_start(void);

/*
 * Watches a host descriptor. events: EPOLLIN, ... with EPOLLET or EPOLLONESHOT as for epoll_ctl; fn
 * runs on the event thread. A descriptor is watched once: -EEXIST. -EPERM: this kind of descriptor
 * (a regular file) is always ready and cannot be watched. -ENOMEM.
 */
int event_watch(int fd, uint32_t events, void (*fn)(void *arg, uint32_t events), void *arg);
/* Other events for a watched descriptor; arms one that was EPOLLONESHOT again. -ENOENT. */
int event_rearm(int fd, uint32_t events);
/*
 * No fn for fd is running or will run when this returns (but for the one that called it). Not under
 * a lock that fn takes. Before fd is closed.
 */
void event_unwatch(int fd);

/* Timers only (timer.c): the heap's nearest deadline is now `when`; and what is due is run. */
void event_set_deadline(ktime_t when);
void ktimers_run(void);
