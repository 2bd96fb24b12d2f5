/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks of contexts (shared/cputime.c). */
#include "platform/trap/trap.h"

int ctx_process_cputime(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns)
{
    return stub_process_cputime(c->stub->pid, ret_user_ns, ret_sys_ns);
}

/* What stood on the clock of a ready thread at its start. The guest may write there, too. */
static uint64_t not_its_own(const struct ctx *c)
{
    return c->own ? __atomic_load_n(&c->block->cpu0, __ATOMIC_RELAXED) : 0;
}

bool ctx_sleeps(struct ctx *c)
{
    return stub_thread_sleeps(c->stub->pid, c->tid);
}

int ctx_cputime(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns)
{
    if (c->tid > 1 && c->tid == c->stub->pid && !atomic_load(&c->stub->threaded))
        return ctx_process_cputime(c, ret_user_ns, ret_sys_ns);
    return stub_thread_cputime(c->stub->pid, c->tid, not_its_own(c), ret_user_ns, ret_sys_ns);
}
