/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of System V objects; see ids.h. */
#include "sentry/ipc/sysv/ids.h"

#include <errno.h>
#include <sys/ipc.h>

#include "abi/types.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"

#define CAP_IPC_OWNER 15
#define CAP_SYS_ADMIN 21
#define SEQ_MAX (INT32_MAX >> IPC_INDEX_BITS)
#define ROUND_MIN 64 /* so many indices are used before the first comes again */

static struct ipc_obj **bucket(struct ipc_ids *ids, int32_t key)
{
    return &ids->by_key[((uint32_t)key * 2654435761u) >> 26];
}

static struct ipc_obj *by_key(struct ipc_ids *ids, int32_t key)
{
    struct ipc_obj *o = *bucket(ids, key);

    while (o && o->key != key)
        o = o->next_key;
    return o;
}

static int grow(struct ipc_ids *ids, unsigned cap)
{
    struct ipc_obj **more;

    if (cap <= ids->cap)
        return 0;
    more = krealloc(ids->slots, cap * sizeof *more);
    if (!more)
        return -ENOMEM;
    for (unsigned i = ids->cap; i < cap; i++)
        more[i] = NULL;
    ids->slots = more;
    ids->cap = cap;
    return 0;
}

/* A free index, from last + 1 on and round; the table grows to hold it. */
static int find_index(struct ipc_ids *ids)
{
    unsigned max = (unsigned)sysctl_of(ids->max);
    unsigned round = MIN(MAX(ids->count * 3 / 2, ROUND_MIN), max);
    unsigned at = (unsigned)(ids->last + 1);

    if (grow(ids, round) < 0)
        return -ENOMEM;
    for (unsigned n = 0; n < round; n++, at++) {
        at = at < round ? at : 0;
        if (!ids->slots[at])
            return (int)at;
    }
    return -ENOSPC;
}

/* The place of a new object, and its seq. The id that was asked for, or one above it when that is
 * taken; else what comes next. An index or -errno. */
static int find_place(struct ipc_ids *ids, uint16_t *ret_seq)
{
    int64_t asked = atomic_exchange(&sysctl_values[ids->next_id], -1);
    int at;

    if (asked >= 0) {
        unsigned i = asked & (IPC_INDICES - 1);

        while (i < ids->cap && ids->slots[i])
            i++;
        if (i == IPC_INDICES)
            return -ENOSPC;
        *ret_seq = (uint16_t)(asked >> IPC_INDEX_BITS);
        return grow(ids, i + 1) < 0 ? -ENOMEM : (int)i;
    }
    at = find_index(ids);
    if (at < 0)
        return at;
    if (at <= ids->last)
        ids->seq = ids->seq >= SEQ_MAX ? 0 : ids->seq + 1;
    ids->last = at;
    *ret_seq = ids->seq;
    return at;
}

static int enter(struct task *t, struct ipc_ids *ids, const struct ipc_get *g, struct ipc_obj *o)
{
    int at = find_place(ids, &o->seq);

    if (at < 0)
        return at;
    ids->slots[at] = o;
    ids->count++;
    o->refs = 1;
    o->id = (int)((unsigned)o->seq << IPC_INDEX_BITS) + at;
    o->key = g->key;
    o->uid = o->cuid = t->cred->euid;
    o->gid = o->cgid = t->cred->egid;
    o->mode = (unsigned)g->flags & 0777;
    if (g->key != IPC_PRIVATE) {
        o->next_key = *bucket(ids, g->key);
        *bucket(ids, g->key) = o;
    }
    return o->id;
}

static int make(struct task *t, struct ipc_ids *ids, struct ipc_get *g)
{
    struct ipc_obj *o;
    int r = g->make(t, g, &o);

    if (r < 0)
        return r;
    r = ids->count >= sysctl_ulong(ids->max) ? -ENOSPC : enter(t, ids, g, o);
    if (r < 0)
        ids->free(o);
    return r;
}

long ipc_get(struct task *t, struct ipc_ids *ids, struct ipc_get *g)
{
    LOCK_SCOPE(&ids->lock);
    struct ipc_obj *o = g->key == IPC_PRIVATE ? NULL : by_key(ids, g->key);
    int r;

    if (g->key == IPC_PRIVATE)
        return make(t, ids, g);
    if (!o)
        return g->flags & IPC_CREAT ? make(t, ids, g) : -ENOENT;
    if (g->flags & IPC_CREAT && g->flags & IPC_EXCL)
        return -EEXIST;
    r = g->fits ? g->fits(g, o) : 0;
    if (r == 0)
        r = ipc_may(t, o, (unsigned)g->flags);
    return r < 0 ? r : o->id;
}

struct ipc_obj *ipc_at_locked(struct ipc_ids *ids, int index)
{
    assert_locked(&ids->lock);
    if (index < 0 || (unsigned)index >= ids->cap || !ids->slots[index])
        return ERR_PTR(-EINVAL);
    return ids->slots[index];
}

struct ipc_obj *ipc_find_locked(struct ipc_ids *ids, int id)
{
    struct ipc_obj *o;

    if (id < 0)
        return ERR_PTR(-EINVAL);
    o = ipc_at_locked(ids, id & (IPC_INDICES - 1));
    return IS_ERR(o) || o->id == id ? o : ERR_PTR(-EINVAL);
}

int ipc_highest_locked(struct ipc_ids *ids)
{
    unsigned i = ids->cap;

    assert_locked(&ids->lock);
    while (i > 0 && !ids->slots[i - 1])
        i--;
    return i > 0 ? (int)i - 1 : 0;
}

int ipc_may(struct task *t, const struct ipc_obj *o, unsigned want)
{
    const struct cred *c = t->cred;
    unsigned have = o->mode;

    want = want >> 6 | want >> 3 | want;
    if (c->euid == o->cuid || c->euid == o->uid)
        have >>= 6;
    else if (cred_in_group(c, o->cgid) || cred_in_group(c, o->gid))
        have >>= 3;
    return want & ~have & 7 && !task_capable(t, CAP_IPC_OWNER) ? -EACCES : 0;
}

struct ipc_obj *ipc_stat_locked(struct task *t, struct ipc_ids *ids, int id, enum ipc_stat how,
                                long *ret)
{
    struct ipc_obj *o = how == IPC_BY_ID ? ipc_find_locked(ids, id) : ipc_at_locked(ids, id);

    if (IS_ERR(o)) {
        *ret = PTR_ERR(o);
        return o;
    }
    *ret = how == IPC_BY_INDEX_ANY ? 0 : ipc_may(t, o, 0444);
    if (*ret == 0 && how != IPC_BY_ID)
        *ret = o->id;
    return o;
}

int ipc_may_control(struct task *t, const struct ipc_obj *o)
{
    uid_t euid = t->cred->euid;

    return euid == o->cuid || euid == o->uid || task_capable(t, CAP_SYS_ADMIN) ? 0 : -EPERM;
}

int ipc_set(struct ipc_obj *o, const struct lx_ipc64_perm *p)
{
    if (p->uid == UINT32_MAX || p->gid == UINT32_MAX)
        return -EINVAL;
    o->uid = p->uid;
    o->gid = p->gid;
    o->mode = (o->mode & ~0777u) | (p->mode & 0777);
    return 0;
}

void ipc_fill_perm(const struct ipc_obj *o, struct lx_ipc64_perm *ret)
{
    *ret = (struct lx_ipc64_perm){ .key = o->key,
                                   .uid = o->uid,
                                   .gid = o->gid,
                                   .cuid = o->cuid,
                                   .cgid = o->cgid,
                                   .mode = o->mode,
                                   .seq = o->seq };
}

void ipc_forget_key_locked(struct ipc_ids *ids, struct ipc_obj *o)
{
    struct ipc_obj **p = bucket(ids, o->key);

    assert_locked(&ids->lock);
    if (o->key == IPC_PRIVATE)
        return;
    while (*p != o)
        p = &(*p)->next_key;
    *p = o->next_key;
    o->key = IPC_PRIVATE;
}

void ipc_remove_locked(struct ipc_ids *ids, struct ipc_obj *o)
{
    ipc_forget_key_locked(ids, o);
    ids->slots[o->id & ((1 << IPC_INDEX_BITS) - 1)] = NULL;
    ids->count--;
    o->gone = true;
    ipc_put_locked(ids, o);
}

void ipc_put_locked(struct ipc_ids *ids, struct ipc_obj *o)
{
    assert_locked(&ids->lock);
    if (--o->refs == 0)
        ids->free(o);
}
