/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/access.h"

#include <linux/capability.h>

#include "abi/unfenced.h"
#include "sentry/kernel/kernel.h"

bool task_may_access_locked(const struct task *t, const struct task *target, bool fs)
{
    assert_locked(&kernel.tasks_lock);
    const struct cred *a = t->cred, *b = target->cred;

    if (t->group == target->group || cred_capable(a, CAP_SYS_PTRACE) || unfenced("permission"))
        return true;
    if (!b || !target->group->dumpable)
        return false;
    uid_t uid = fs ? a->fsuid : a->uid;
    gid_t gid = fs ? a->fsgid : a->gid;
    return uid == b->uid && uid == b->euid && uid == b->suid && gid == b->gid && gid == b->egid &&
           gid == b->sgid && !(b->cap_permitted & ~a->cap_permitted);
}
