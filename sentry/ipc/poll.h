/* SPDX-License-Identifier: Apache-2.0 */
/* poll, select and their kin: what they share. */
#pragma once

#include <time.h>

#include "sentry/vfs/file.h"

struct poll_item {
    struct file *file; /* reference; NULL: not looked at */
    uint32_t want, got;
};

/*
 * One run of a poll over items: how many hold (got != 0), 0 when the deadline of the record has
 * passed (or now is true: look once, do not wait), -EWAITING, -ERESTARTNOHAND for a signal, -ENOMEM.
 */
int poll_items(struct task *t, struct poll_item *items, unsigned n, bool now);

/* The time limit of one call, in its scratch. */
struct poll_limit {
    bool set, now;
    ktime_t when;
};

/* From a relative time; NULL: none. -EINVAL. Tells the record. */
int poll_limit_set(struct task *t, struct poll_limit *l, const struct timespec *ts);
/* What is left of it, as select and ppoll give it back. */
struct timespec poll_limit_left(const struct poll_limit *l);

/* ---- the calls; all may be run again ---- */
long do_poll(struct task *t, gaddr_t fds, unsigned nfds, int timeout_ms);
long do_ppoll(struct task *t, gaddr_t fds, unsigned nfds, gaddr_t ts, gaddr_t mask,
              size_t masksize);
long do_select(struct task *t, int n, gaddr_t in, gaddr_t out, gaddr_t ex, gaddr_t tv);
long do_pselect(struct task *t, int n, gaddr_t in, gaddr_t out, gaddr_t ex, gaddr_t ts,
                gaddr_t sig);

/* The mask of ppoll, pselect6 and epoll_pwait; mask 0: none. -EINVAL, -EFAULT. First run only. */
int poll_set_mask(struct task *t, gaddr_t mask, size_t size);
