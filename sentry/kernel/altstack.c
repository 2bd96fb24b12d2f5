/* SPDX-License-Identifier: Apache-2.0 */
/* The alternate signal stack: the task's own data, touched only while it is held. */
#include "sentry/kernel/altstack.h"

#include <errno.h>

#include "sentry/kernel/task.h"

#define LX_SS_AUTODISARM (1u << 31)
#define LX_MINSIGSTKSZ 2048

bool altstack_range(const struct lx_sigaltstack *s, gaddr_t sp)
{
    return sp > s->sp && sp - s->sp <= s->size;
}

bool altstack_holds(const struct lx_sigaltstack *s, gaddr_t sp)
{
    return !((uint32_t)s->flags & LX_SS_AUTODISARM) && altstack_range(s, sp);
}

int altstack_state(const struct lx_sigaltstack *s, gaddr_t sp)
{
    if (!s->size)
        return SS_DISABLE;
    return altstack_holds(s, sp) ? SS_ONSTACK : 0;
}

int do_sigaltstack(struct task *t, const struct lx_sigaltstack *new, struct lx_sigaltstack *old,
                   gaddr_t sp)
{
    struct lx_sigaltstack *cur = &t->altstack;
    if (old) {
        *old = *cur;
        old->flags = altstack_state(cur, sp) | (int32_t)((uint32_t)cur->flags & LX_SS_AUTODISARM);
        old->pad = 0;
    }
    if (!new)
        return 0;
    if (altstack_holds(cur, sp))
        return -EPERM;
    uint32_t flags = (uint32_t) new->flags, mode = flags & ~LX_SS_AUTODISARM;
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
        return -EINVAL;
    if (mode == SS_DISABLE) {
        *cur = (struct lx_sigaltstack){ .flags = new->flags };
        return 0;
    }
    if (new->size < LX_MINSIGSTKSZ)
        return -ENOMEM;
    *cur = (struct lx_sigaltstack){ .sp = new->sp, .flags = new->flags, .size = new->size };
    return 0;
}
