/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing an instruction over another one that threads on other cpus may be executing:
 *
 *   1  the first byte becomes a breakpoint; all cpus are made to see it (membarrier, by the stub)
 *   2  the other bytes are written; again all cpus
 *   3  the first byte is written
 *
 * A thread that meets the breakpoint meanwhile goes back to it (poke_hit) until it is gone. A child
 * that is forked meanwhile has it for good, and puts the old bytes back when it meets it.
 *
 * What is overwritten is one instruction, so that no thread stands in the middle of it.
 */
#include <signal.h>
#include <string.h>

#include "platform/trap/patch.h"

#define BREAKPOINT 0xcc
#define SYNC_CORE 0x20 /* MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE */
#define REGISTER 0x40  /* the same, its registration */

enum { STEP_BREAK, STEP_REST };

static void all_cpus(struct ctx *c, bool first)
{
    unsigned n = 0;

    if (first)
        c->own_ops[n++] = (struct as_op){ .kind = AS_MEMBARRIER, .fd = -1, .a = { REGISTER } };
    c->own_ops[n++] = (struct as_op){ .kind = AS_MEMBARRIER, .fd = -1, .a = { SYNC_CORE } };
    c->internal = true;
    ctx_run_ops(c, c->own_ops, n);
}

bool poke_begin_locked(struct ctx *c, struct patches *p, gaddr_t at, const void *code, unsigned n)
{
    static const uint8_t brk = BREAKPOINT;
    struct aspace *as = c->stub->as;
    struct poke *k = &p->poke;

    if (n > sizeof k->old || as_read(as, at, k->old, n) != (ssize_t)n ||
        !patch_write(as, at, &brk, 1))
        return false;
    memcpy(k->new, code, n);
    k->at = at;
    k->n = n;
    k->step = STEP_BREAK;
    all_cpus(c, true);
    return true;
}

bool poke_go_on_locked(struct ctx *c, struct patches *p)
{
    struct aspace *as = c->stub->as;
    struct poke *k = &p->poke;
    bool synced = c->own_ops[0].ret == 0 && (k->step != STEP_BREAK || c->own_ops[1].ret == 0);

    if (!synced) { /* such a host is left alone from now on */
        p->no_poke = true;
        (void)patch_write(as, k->at, k->old, 1);
        k->at = 0;
        return false;
    }
    if (k->step == STEP_BREAK && patch_write(as, k->at + 1, k->new + 1, k->n - 1)) {
        k->step = STEP_REST;
        all_cpus(c, false);
        return true;
    }
    (void)patch_write(as, k->at, k->step == STEP_BREAK ? k->old : k->new, 1);
    k->at = 0;
    return false;
}

/* Is it the breakpoint of a change, under way or just over? */
static bool is_ours(const struct patches *p, gaddr_t at)
{
    if (p->poke.at == at)
        return true;
    for (unsigned i = 0; i < p->nareas; i++) {
        for (unsigned j = 1; j <= p->area[i].used; j++) {
            if (p->area[i].site[j] == at)
                return true;
        }
    }
    return false;
}

bool poke_hit(struct ctx *c)
{
    struct aspace *as = c->stub->as;
    struct patches *p = atomic_load(&as->patches);
    gaddr_t at = c->regs.rip - 1;
    bool ours;

    if (!p || c->fault.signo != SIGTRAP)
        return false;
    pthread_mutex_lock(&p->lock);
    ours = is_ours(p, at);
    if (ours && p->poke.alone && p->poke.at == at) {
        (void)patch_write(as, at, p->poke.old, p->poke.n);
        p->poke.at = 0;
        p->poke.alone = false;
    }
    pthread_mutex_unlock(&p->lock);
    if (ours)
        c->regs.rip = at;
    return ours;
}
