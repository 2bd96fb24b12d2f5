/* SPDX-License-Identifier: Apache-2.0 */
/* See sched.h. */
#include "sentry/kernel/sched.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

bool sched_may_change_locked(const struct task *t, const struct task *other)
{
    const struct cred *a = t->cred, *b = other->cred;

    assert_locked(&kernel.tasks_lock);
    return a->euid == b->euid || a->euid == b->uid || task_capable(t, CAP_SYS_NICE);
}

bool sched_nice_allowed_locked(const struct task *other, int nice)
{
    assert_locked(&kernel.tasks_lock);
    return nice >= other->sched.nice ||
           (rlim_t)(20 - nice) <= other->group->rlim[RLIMIT_NICE].rlim_cur;
}

void sched_inherit_locked(struct task *child, const struct task *parent)
{
    struct task_sched *s = &child->sched;

    assert_locked(&kernel.tasks_lock);
    *s = parent->sched;
    if (parent->sched.slack_ns)
        s->slack_default_ns = parent->sched.slack_ns;
    s->slack_ns = 0;
    if (!s->reset_on_fork)
        return;
    if (s->policy != SCHED_OTHER && s->policy != SCHED_BATCH && s->policy != SCHED_IDLE) {
        s->policy = SCHED_OTHER;
        s->priority = 0;
        s->nice = 0;
    } else if (s->nice < 0) {
        s->nice = 0;
    }
    s->reset_on_fork = false;
}

/* ---- cpus ---- */

int sched_host_cpus(uint64_t ret[16])
{
    int n;

    memcpy(ret, kernel.host_cpus, sizeof kernel.host_cpus);
    if (ret[0] == 0 && memcmp(ret, ret + 1, 15 * sizeof *ret) == 0)
        return -EPERM; /* the host did not tell */
    for (n = 16; n > 1 && ret[n - 1] == 0; n--)
        ;
    return n * (int)sizeof *ret;
}

unsigned sched_cpus(const struct task_sched *s, uint64_t ret[16])
{
    unsigned ids = 0;
    uint64_t any = 0;

    for (unsigned i = 0; i < 16; i++) {
        any |= s->affinity[i];
        if (kernel.host_cpus[i])
            ids = 64 * i + 64 - (unsigned)__builtin_clzll(kernel.host_cpus[i]);
    }
    memcpy(ret, any ? s->affinity : kernel.host_cpus, sizeof kernel.host_cpus);
    return ids;
}
