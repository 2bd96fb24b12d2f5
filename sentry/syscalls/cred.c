/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User and group ids. Each change works on a private copy, which is published whole or dropped.
 * The rules are those of Linux's set*id calls, with what a change of uid does to capabilities.
 */
#include <errno.h>
#include <linux/capability.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/ids.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

#define NOID ((uid_t)-1)
#define NGROUPS_MAX_LX 65536
#define CAP_BIT(c) (1ull << (c))
#define CAP_FS_SET                                                                                 \
    (CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) |               \
     CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_MAC_OVERRIDE) |  \
     CAP_BIT(CAP_LINUX_IMMUTABLE))

long sys_getuid(struct task *t)
{
    return t->cred->uid;
}

long sys_geteuid(struct task *t)
{
    return t->cred->euid;
}

long sys_getgid(struct task *t)
{
    return t->cred->gid;
}

long sys_getegid(struct task *t)
{
    return t->cred->egid;
}

static long put_three(struct task *t, gaddr_t r, gaddr_t e, gaddr_t s, const uint32_t ids[3])
{
    if (put_guest(t, r, &ids[0]) < 0 || put_guest(t, e, &ids[1]) < 0 ||
        put_guest(t, s, &ids[2]) < 0)
        return -EFAULT;
    return 0;
}

long sys_getresuid(struct task *t, gaddr_t ruid, gaddr_t euid, gaddr_t suid)
{
    const struct cred *c = t->cred;

    return put_three(t, ruid, euid, suid, (uint32_t[3]){ c->uid, c->euid, c->suid });
}

long sys_getresgid(struct task *t, gaddr_t rgid, gaddr_t egid, gaddr_t sgid)
{
    const struct cred *c = t->cred;

    return put_three(t, rgid, egid, sgid, (uint32_t[3]){ c->gid, c->egid, c->sgid });
}

/* What leaving or gaining uid 0 does to capabilities. */
static void fix_caps(struct cred *c, const struct cred *old)
{
    if (c->securebits & LX_SECBIT_NO_SETUID_FIXUP)
        return;
    if ((old->uid == 0 || old->euid == 0 || old->suid == 0) && c->uid && c->euid && c->suid) {
        if (!(c->securebits & LX_SECBIT_KEEP_CAPS))
            c->cap_permitted = c->cap_effective = 0;
        c->cap_ambient = 0;
    }
    if (old->euid == 0 && c->euid != 0)
        c->cap_effective = 0;
    if (old->euid != 0 && c->euid == 0)
        c->cap_effective = c->cap_permitted;
}

static long finish_uid(struct task *t, struct cred *c)
{
    c->fsuid = c->euid;
    fix_caps(c, t->cred);
    return cred_commit(t, c);
}

static long drop(struct cred *c, long err)
{
    cred_put(c);
    return err;
}

long sys_setuid(struct task *t, uid_t uid)
{
    const struct cred *old = t->cred;
    struct cred *c;

    if (!uid_known(uid))
        return -EINVAL;
    c = cred_copy(old);
    if (!c)
        return -ENOMEM;
    if (task_capable(t, CAP_SETUID))
        c->uid = c->suid = uid;
    else if (uid != old->uid && uid != old->suid)
        return drop(c, -EPERM);
    c->euid = uid;
    return finish_uid(t, c);
}

/* Left as it is, or one that there is. */
static bool uid_ok(uint32_t uid)
{
    return uid == NOID || uid_known(uid);
}

static bool gid_ok(uint32_t gid)
{
    return gid == NOID || gid_known(gid);
}

long sys_setreuid(struct task *t, uid_t ruid, uid_t euid)
{
    const struct cred *old = t->cred;
    bool may = task_capable(t, CAP_SETUID);
    struct cred *c;

    if (!uid_ok(ruid) || !uid_ok(euid))
        return -EINVAL;
    c = cred_copy(old);
    if (!c)
        return -ENOMEM;
    if (ruid != NOID) {
        c->uid = ruid;
        if (!may && ruid != old->uid && ruid != old->euid)
            return drop(c, -EPERM);
    }
    if (euid != NOID) {
        c->euid = euid;
        if (!may && euid != old->uid && euid != old->euid && euid != old->suid)
            return drop(c, -EPERM);
    }
    if (ruid != NOID || (euid != NOID && euid != old->uid))
        c->suid = c->euid;
    return finish_uid(t, c);
}

static bool one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t c)
{
    return id == NOID || id == a || id == b || id == c;
}

long sys_setresuid(struct task *t, uid_t ruid, uid_t euid, uid_t suid)
{
    const struct cred *o = t->cred;
    struct cred *c;

    if (!uid_ok(ruid) || !uid_ok(euid) || !uid_ok(suid))
        return -EINVAL;
    if (!task_capable(t, CAP_SETUID) &&
        !(one_of(ruid, o->uid, o->euid, o->suid) && one_of(euid, o->uid, o->euid, o->suid) &&
          one_of(suid, o->uid, o->euid, o->suid)))
        return -EPERM;
    c = cred_copy(o);
    if (!c)
        return -ENOMEM;
    if (ruid != NOID)
        c->uid = ruid;
    if (euid != NOID)
        c->euid = euid;
    if (suid != NOID)
        c->suid = suid;
    return finish_uid(t, c);
}

long sys_setfsuid(struct task *t, uid_t uid)
{
    const struct cred *o = t->cred;
    uid_t before = o->fsuid;
    struct cred *c;

    if (!uid_known(uid) || uid == before ||
        (!task_capable(t, CAP_SETUID) && !one_of(uid, o->uid, o->euid, o->suid)))
        return before;
    c = cred_copy(o);
    if (!c)
        return before;
    c->fsuid = uid;
    if (!(c->securebits & LX_SECBIT_NO_SETUID_FIXUP)) {
        if (before == 0)
            c->cap_effective &= ~CAP_FS_SET;
        if (uid == 0)
            c->cap_effective |= CAP_FS_SET & c->cap_permitted;
    }
    cred_commit(t, c);
    return before;
}

/* ---- groups ---- */

static long finish_gid(struct task *t, struct cred *c)
{
    c->fsgid = c->egid;
    return cred_commit(t, c);
}

long sys_setgid(struct task *t, gid_t gid)
{
    const struct cred *old = t->cred;
    struct cred *c;

    if (!gid_known(gid))
        return -EINVAL;
    c = cred_copy(old);
    if (!c)
        return -ENOMEM;
    if (task_capable(t, CAP_SETGID))
        c->gid = c->sgid = gid;
    else if (gid != old->gid && gid != old->sgid)
        return drop(c, -EPERM);
    c->egid = gid;
    return finish_gid(t, c);
}

long sys_setregid(struct task *t, gid_t rgid, gid_t egid)
{
    const struct cred *old = t->cred;
    bool may = task_capable(t, CAP_SETGID);
    struct cred *c;

    if (!gid_ok(rgid) || !gid_ok(egid))
        return -EINVAL;
    c = cred_copy(old);
    if (!c)
        return -ENOMEM;
    if (rgid != NOID) {
        c->gid = rgid;
        if (!may && rgid != old->gid && rgid != old->egid)
            return drop(c, -EPERM);
    }
    if (egid != NOID) {
        c->egid = egid;
        if (!may && egid != old->gid && egid != old->egid && egid != old->sgid)
            return drop(c, -EPERM);
    }
    if (rgid != NOID || (egid != NOID && egid != old->gid))
        c->sgid = c->egid;
    return finish_gid(t, c);
}

long sys_setresgid(struct task *t, gid_t rgid, gid_t egid, gid_t sgid)
{
    const struct cred *o = t->cred;
    struct cred *c;

    if (!gid_ok(rgid) || !gid_ok(egid) || !gid_ok(sgid))
        return -EINVAL;
    if (!task_capable(t, CAP_SETGID) &&
        !(one_of(rgid, o->gid, o->egid, o->sgid) && one_of(egid, o->gid, o->egid, o->sgid) &&
          one_of(sgid, o->gid, o->egid, o->sgid)))
        return -EPERM;
    c = cred_copy(o);
    if (!c)
        return -ENOMEM;
    if (rgid != NOID)
        c->gid = rgid;
    if (egid != NOID)
        c->egid = egid;
    if (sgid != NOID)
        c->sgid = sgid;
    return finish_gid(t, c);
}

long sys_setfsgid(struct task *t, gid_t gid)
{
    const struct cred *o = t->cred;
    gid_t before = o->fsgid;
    struct cred *c;

    if (!gid_known(gid) || gid == before ||
        (!task_capable(t, CAP_SETGID) && !one_of(gid, o->gid, o->egid, o->sgid)))
        return before;
    c = cred_copy(o);
    if (!c)
        return before;
    c->fsgid = gid;
    cred_commit(t, c);
    return before;
}

long sys_getgroups(struct task *t, int size, gaddr_t list)
{
    const struct cred *c = t->cred;

    if (size < 0)
        return -EINVAL;
    if (size) {
        if ((unsigned)size < c->ngroups)
            return -EINVAL;
        if (copy_out(t, list, c->groups, c->ngroups * sizeof *c->groups) < 0)
            return -EFAULT;
    }
    return c->ngroups;
}

long sys_setgroups(struct task *t, int size, gaddr_t list)
{
    _cleanup_kfree_ gid_t *groups = NULL;
    struct cred *c;

    if (!task_capable(t, CAP_SETGID) || groups_denied())
        return -EPERM;
    if ((unsigned)size > NGROUPS_MAX_LX)
        return -EINVAL;
    groups = kzalloc((unsigned)size * sizeof *groups);
    if (!groups)
        return -ENOMEM;
    if (copy_in(t, groups, list, (unsigned)size * sizeof *groups) < 0)
        return -EFAULT;
    for (int i = 0; i < size; i++)
        if (!gid_known(groups[i]))
            return -EINVAL;
    c = cred_copy(t->cred);
    if (!c)
        return -ENOMEM;
    if (!cred_set_groups(c, groups, (unsigned)size))
        return drop(c, -ENOMEM);
    return cred_commit(t, c);
}
