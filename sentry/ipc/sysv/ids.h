/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the three kinds of System V objects have in common: numbers, keys, owners, permissions.
 *
 * An object begins with a struct ipc_obj. A kind has one table with one lock, which guards the table
 * and all its objects. A waiting record keeps a reference on its object; one that is removed is gone
 * from the table at once and freed with its last reference.
 *
 * An id is seq * 32768 + index: the index is the next one round the table, and seq rises with each
 * round, so that the number of an object that is gone does not name another one soon. A guest may ask
 * for the next id itself (kernel.msg_next_id and its like).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/ipc.h"
#include "sentry/kernel/lock.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/kernel/timer.h"

struct task;

#define IPC_INDEX_BITS 15
#define IPC_INDICES (1 << IPC_INDEX_BITS)
#define IPC_KEY_BUCKETS 64

struct ipc_obj {
    int refs; /* of the table, and of records */
    bool gone;
    int id;
    int32_t key;
    uint32_t uid, gid, cuid, cgid, mode;
    uint16_t seq;
    struct ipc_obj *next_key; /* in its bucket */
};

struct ipc_ids {
    struct lock lock;       /* LOCK_IPC; guards all here and all objects */
    struct ipc_obj **slots; /* by index */
    unsigned cap, count;
    enum sysctl max, next_id; /* [I] */
    int last;
    uint16_t seq;
    struct ipc_obj *by_key[IPC_KEY_BUCKETS]; /* those that have a key */
    void (*free)(struct ipc_obj *o);         /* the last reference went; lock held */
};

/*
 * The get calls. The id of the object of that key, or of the one that make() returned (refs 0, all
 * zero but its own part; entered here), or -ENOENT, -EEXIST, -EACCES, -ENOSPC, what fits() or make()
 * return. Takes ids->lock. make is called with it held.
 */
struct ipc_get {
    int32_t key;
    int flags;
    int (*make)(struct task *t, struct ipc_get *g, struct ipc_obj **ret);
    int (*fits)(struct ipc_get *g, struct ipc_obj *o);
    uint64_t size;
};
long ipc_get(struct task *t, struct ipc_ids *ids, struct ipc_get *g);

/* By id; -EINVAL (ERR_PTR) when there is none. ids->lock held by all of these. */
struct ipc_obj *ipc_find_locked(struct ipc_ids *ids, int id);
/* By index, as the STAT commands count. */
struct ipc_obj *ipc_at_locked(struct ipc_ids *ids, int index);
/*
 * For IPC_STAT, the commands that count by index, and those of them that anybody may give: the object,
 * and *ret what the call returns, which may be -EACCES. ERR_PTR(-EINVAL).
 */
enum ipc_stat { IPC_BY_ID, IPC_BY_INDEX, IPC_BY_INDEX_ANY };
struct ipc_obj *ipc_stat_locked(struct task *t, struct ipc_ids *ids, int id, enum ipc_stat how,
                                long *ret);
/* The highest index in use; 0 when there is none. */
int ipc_highest_locked(struct ipc_ids *ids);
/* want: permission bits as open() would have them, in any of the three places. 0 or -EACCES. */
int ipc_may(struct task *t, const struct ipc_obj *o, unsigned want);
/* IPC_SET and IPC_RMID: 0 or -EPERM. */
int ipc_may_control(struct task *t, const struct ipc_obj *o);
int ipc_set(struct ipc_obj *o, const struct lx_ipc64_perm *p);
void ipc_fill_perm(const struct ipc_obj *o, struct lx_ipc64_perm *ret);
/* No key leads to it any more. */
void ipc_forget_key_locked(struct ipc_ids *ids, struct ipc_obj *o);
/* Out of the table; o is gone, and freed when no record has it. */
void ipc_remove_locked(struct ipc_ids *ids, struct ipc_obj *o);
void ipc_put_locked(struct ipc_ids *ids, struct ipc_obj *o);

static inline int64_t ipc_now(void) /* seconds */
{
    return ktime_real() / 1000000000;
}
