/* SPDX-License-Identifier: Apache-2.0 */
/* The alternate signal stack of a task. */
#pragma once

#include "sentry/kernel/signal.h"

/* Does sp lie on it, by address alone / and does that count (not with SS_AUTODISARM)? */
bool altstack_range(const struct lx_sigaltstack *s, gaddr_t sp);
bool altstack_holds(const struct lx_sigaltstack *s, gaddr_t sp);
/* SS_DISABLE, SS_ONSTACK or 0, as sigaltstack(2) shows it. */
int altstack_state(const struct lx_sigaltstack *s, gaddr_t sp);

/* sigaltstack(2); both may be NULL. sp: the caller's stack pointer. */
int do_sigaltstack(struct task *t, const struct lx_sigaltstack *new, struct lx_sigaltstack *old,
                   gaddr_t sp);
