/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities: capget, capset, and the prctl options on them (prctl.c calls cap_prctl). */
#include "sentry/syscalls/capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#include "abi/sched.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

/* How many 32-bit words the guest's version has; 0: not known, and the guest was told ours. */
static int header_words(struct task *t, gaddr_t header, struct lx_cap_header *h)
{
    if (get_guest(t, h, header) < 0)
        return -EFAULT;
    switch (h->version) {
    case LX_CAPABILITY_VERSION_1:
        return 1;
    case LX_CAPABILITY_VERSION_2:
    case LX_CAPABILITY_VERSION_3:
        return 2;
    default:
        h->version = LX_CAPABILITY_VERSION_3;
        return put_guest(t, header, &h->version) < 0 ? -EFAULT : 0;
    }
}

static int cred_of(struct task *t, pid_t pid, struct cred **ret)
{
    struct task *other;

    if (pid < 0)
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    other = pid == 0 ? t : task_find_locked(t->group->pidns, pid);
    if (!other)
        return -ESRCH;
    *ret = cred_ref(other->cred);
    return 0;
}

long sys_capget(struct task *t, gaddr_t header, gaddr_t data)
{
    struct lx_cap_data d[2];
    struct lx_cap_header h;
    struct cred *c;
    int words = header_words(t, header, &h), r;

    if (words <= 0)
        return words < 0 ? words : data ? -EINVAL : 0;
    r = cred_of(t, h.pid, &c);
    if (r < 0)
        return r;
    for (int i = 0; i < 2; i++)
        d[i] = (struct lx_cap_data){ (uint32_t)(c->cap_effective >> 32 * i),
                                     (uint32_t)(c->cap_permitted >> 32 * i),
                                     (uint32_t)(c->cap_inheritable >> 32 * i) };
    cred_put(c);
    return data ? copy_out(t, data, d, (size_t)words * sizeof *d) : 0;
}

static int capset(struct task *t, uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    const struct cred *old = t->cred;
    struct cred *c;

    if (!task_capable(t, CAP_SETPCAP) && inheritable & ~(old->cap_inheritable | old->cap_permitted))
        return -EPERM;
    if (inheritable & ~(old->cap_inheritable | old->cap_bset) || permitted & ~old->cap_permitted ||
        effective & ~permitted)
        return -EPERM;
    c = cred_copy(old);
    if (!c)
        return -ENOMEM;
    c->cap_effective = effective;
    c->cap_permitted = permitted;
    c->cap_inheritable = inheritable;
    c->cap_ambient &= permitted & inheritable;
    return cred_commit(t, c);
}

long sys_capset(struct task *t, gaddr_t header, gaddr_t data)
{
    struct lx_cap_data d[2] = { 0 };
    struct lx_cap_header h;
    int words = header_words(t, header, &h);

    if (words <= 0)
        return words < 0 ? words : -EINVAL;
    if (h.pid != 0 && h.pid != t->tid)
        return -EPERM;
    if (copy_in(t, d, data, (size_t)words * sizeof *d) < 0)
        return -EFAULT;
    return capset(t, (d[0].effective | (uint64_t)d[1].effective << 32) & CAP_ALL,
                  (d[0].permitted | (uint64_t)d[1].permitted << 32) & CAP_ALL,
                  (d[0].inheritable | (uint64_t)d[1].inheritable << 32) & CAP_ALL);
}

static long drop_bounding(struct task *t, unsigned long cap)
{
    struct cred *c;

    if (!task_capable(t, CAP_SETPCAP))
        return -EPERM;
    if (cap > CAP_LAST)
        return -EINVAL;
    c = cred_copy(t->cred);
    if (!c)
        return -ENOMEM;
    c->cap_bset &= ~(1ull << cap);
    return cred_commit(t, c);
}

static long ambient(struct task *t, unsigned long op, unsigned long cap)
{
    struct cred *c;

    if (op == PR_CAP_AMBIENT_CLEAR_ALL ? cap != 0 : cap > CAP_LAST)
        return -EINVAL;
    if (op == PR_CAP_AMBIENT_IS_SET)
        return t->cred->cap_ambient >> cap & 1;
    if (op != PR_CAP_AMBIENT_RAISE && op != PR_CAP_AMBIENT_LOWER && op != PR_CAP_AMBIENT_CLEAR_ALL)
        return -EINVAL;
    if (op == PR_CAP_AMBIENT_RAISE &&
        (!(t->cred->cap_permitted & t->cred->cap_inheritable & 1ull << cap) ||
         t->cred->securebits & LX_SECBIT_NO_CAP_AMBIENT_RAISE))
        return -EPERM;
    c = cred_copy(t->cred);
    if (!c)
        return -ENOMEM;
    if (op == PR_CAP_AMBIENT_RAISE)
        c->cap_ambient |= 1ull << cap;
    else if (op == PR_CAP_AMBIENT_LOWER)
        c->cap_ambient &= ~(1ull << cap);
    else
        c->cap_ambient = 0;
    return cred_commit(t, c);
}

static long set_securebits(struct task *t, unsigned long bits)
{
    unsigned old = t->cred->securebits, locked = (old & LX_SECBITS_LOCKS) >> 1;
    struct cred *c;

    if (locked & (old ^ bits) || old & LX_SECBITS_LOCKS & ~bits ||
        bits & ~(unsigned long)LX_SECBITS_ALL || !task_capable(t, CAP_SETPCAP))
        return -EPERM;
    c = cred_copy(t->cred);
    if (!c)
        return -ENOMEM;
    c->securebits = (unsigned)bits;
    return cred_commit(t, c);
}

static long set_keepcaps(struct task *t, unsigned long on)
{
    struct cred *c;

    if (on > 1)
        return -EINVAL;
    if (t->cred->securebits & LX_SECBIT_KEEP_CAPS_LOCKED)
        return -EPERM;
    c = cred_copy(t->cred);
    if (!c)
        return -ENOMEM;
    c->securebits = on ? c->securebits | LX_SECBIT_KEEP_CAPS : c->securebits & ~LX_SECBIT_KEEP_CAPS;
    return cred_commit(t, c);
}

long cap_prctl(struct task *t, int option, unsigned long a2, unsigned long a3, unsigned long a4,
               unsigned long a5)
{
    switch (option) {
    case PR_CAPBSET_READ:
        return a2 > CAP_LAST ? -EINVAL : (long)(t->cred->cap_bset >> a2 & 1);
    case PR_CAPBSET_DROP:
        return drop_bounding(t, a2);
    case PR_GET_SECUREBITS:
        return t->cred->securebits;
    case PR_SET_SECUREBITS:
        return set_securebits(t, a2);
    case PR_GET_KEEPCAPS:
        return (t->cred->securebits & LX_SECBIT_KEEP_CAPS) != 0;
    case PR_SET_KEEPCAPS:
        return set_keepcaps(t, a2);
    default: /* PR_CAP_AMBIENT */
        return a4 || a5 ? -EINVAL : ambient(t, a2, a3);
    }
}
