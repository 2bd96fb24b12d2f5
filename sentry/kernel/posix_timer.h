/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of a process that end in signals: timer_create (posix_timer.c), setitimer (itimer.c). */
#pragma once

struct tgroup;

/* The process ends, or execs: all of them go. Without locks. */
void group_timers_free(struct tgroup *g);
