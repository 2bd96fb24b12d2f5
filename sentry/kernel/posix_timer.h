/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers of a process that end in signals: timer_create (posix_timer.c) and setitimer (itimer.c),
 * both made of a sigtimer (sigtimer.c).
 */
#pragma once

#include "sentry/kernel/cpuclock.h"

struct lx_sigevent;

struct sigtimer { /* all under tasks_lock */
    struct ktimer tm;
    struct tgroup *group;
    struct task *target; /* SIGEV_THREAD_ID: a reference; NULL: the process */
    clockid_t clock;
    struct cpuclock cpu; /* where the clock counts processor time */
    bool is_cpu;
    bool silent;      /* SIGEV_NONE */
    bool armed;       /* expires says something: running, or waiting to be dequeued */
    ktime_t expires;  /* monotonic, or ns of cpu */
    ktime_t interval; /* 0: once */
    int overrun_last;
    pid_t last_taker; /* of a signal for whoever runs */
    bool counts;      /* a POSIX timer: overruns are shown in the siginfo */
    struct sigqueue entry;
};

/* cpu is taken over; group and target are not referenced (the owner frees it before they go). */
void sigtimer_init(struct sigtimer *st, struct tgroup *g, clockid_t clock, int sig);
/* Absolute in the timer's own measure (expires); 0: disarms. */
void sigtimer_set_locked(struct sigtimer *st, ktime_t expires, ktime_t interval);
/* Time left (at least 1 while it runs), 0: disarmed. */
ktime_t sigtimer_left_locked(struct sigtimer *st);
ktime_t sigtimer_now_locked(const struct sigtimer *st);
/* Off everything; without locks. */
void sigtimer_done(struct sigtimer *st);

struct sigtimer_spec { /* as itimerspec */
    ktime_t value, interval;
};

int posix_timer_create(struct task *t, clockid_t clock, const struct lx_sigevent *ev, int *ret_id);
int posix_timer_set(struct task *t, int id, bool absolute, const struct sigtimer_spec *new,
                    struct sigtimer_spec *old);
int posix_timer_get(struct task *t, int id, struct sigtimer_spec *ret);
int posix_timer_overrun(struct task *t, int id);
int posix_timer_delete(struct task *t, int id);

/* which: ITIMER_REAL, ... ; new and old may be NULL. */
int itimer_swap(struct task *t, int which, const struct sigtimer_spec *new,
                struct sigtimer_spec *old);

/* exec: timers of timer_create go. Without locks. */
void posix_timers_free(struct tgroup *g);
/* The process ends: all of them go. */
void group_timers_free(struct tgroup *g);
