/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys: small secrets that programs leave with the kernel, and keyrings, which are keys that link to
 * others. Types keyring, user, logon and big_key. Nobody is called to make a key that is asked for and
 * is not there: request_key says ENOKEY.
 *
 *   key.c       keys, users and their quota, permissions
 *   keyring.c   links, and the search along them
 *   process.c   the keyrings of threads, processes, sessions and users; what a number names
 *   keyproc.c   /proc/keys and /proc/key-users
 *
 * One lock, keys_lock, guards everything. A key lives as long as somebody refers to it: a link, a
 * thread, an entry of a user. Functions return 0 or -errno; keys are borrowed under the lock.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sentry/kernel/list.h"
#include "sentry/kernel/lock.h"

struct task;
struct tgroup;
struct ptext;

#define KEY_DESC_MAX 4096
#define KEY_TYPE_MAX 32
#define KEY_PAYLOAD_MAX (1024 * 1024 - 1)
#define KEY_DEPTH_MAX 6

enum { /* in each of four bytes of perm: possessor, user, group, other */
       KEY_VIEW = 0x01,
       KEY_READ = 0x02,
       KEY_WRITE = 0x04,
       KEY_SEARCH = 0x08,
       KEY_LINK = 0x10,
       KEY_SETATTR = 0x20,
       KEY_ALL = 0x3f
};
#define KEY_POS(p) ((uint32_t)(p) << 24)
#define KEY_USR(p) ((uint32_t)(p) << 16)

struct key_type {
    const char *name;
    size_t max; /* of a payload; 0: it has none */
    bool can_update, can_read;
    unsigned quota; /* bytes that count for a payload; 0: its length */
};
extern const struct key_type key_type_keyring;
const struct key_type *key_type_find(const char *name); /* NULL */

struct key_user { /* one that has keys, or had some */
    struct key_user *next;
    uid_t uid;
    unsigned nkeys;
    uint64_t qkeys, qbytes;
    struct key *keyring, *session; /* references; NULL: not asked for yet */
};

struct key {
    int refs;
    struct list link;            /* in the table, by serial */
    int32_t serial;              /* [I] */
    const struct key_type *type; /* [I] */
    char *desc;                  /* [I] */
    struct key_user *user;
    uid_t uid;
    gid_t gid;
    uint32_t perm;
    int64_t expiry; /* CLOCK_REALTIME, ns; 0: never */
    bool revoked, invalid, in_quota, uid_keyring;
    bool negative;   /* nobody could make it: so it stays for a while */
    bool restricted; /* a keyring that takes no more links */
    size_t charged;  /* bytes of payload and links that count for its user */
    char *payload;
    size_t len;
    struct key **links; /* references */
    unsigned nlinks, cap;
    unsigned seen; /* of the walk that came by last */
};

struct key_ref { /* how a caller has come to a key */
    struct key *key;
    bool possessed;
};

extern struct lock keys_lock;

/* What a user may have; written to by way of /proc/sys/kernel/keys. */
enum { KEY_LIMIT_KEYS, KEY_LIMIT_BYTES, KEY_LIMIT_ROOT_KEYS, KEY_LIMIT_ROOT_BYTES, KEY_LIMITS };
extern _Atomic unsigned key_limits[KEY_LIMITS];

/* ---- key.c ---- */

/* A new one, the caller's reference: owned by t's fsuid and fsgid. overrun: beyond the quota. */
int key_new(struct task *t, const struct key_type *type, const char *desc, uint32_t perm,
            bool overrun, struct key **ret);
struct key *key_get(struct key *k);
void key_put(struct key *k); /* NULL is fine */
struct key *key_by_serial(int32_t serial);
/* The payload is taken over where the result is 0. */
int key_set_payload(struct key *k, char *payload, size_t len);
/* 0, -EINVAL: may a key of that type be made of so much? */
int key_check_payload(const struct key_type *type, size_t len);
int key_recharge(struct key *k, size_t charged); /* -EDQUOT */
int key_chown(struct key *k, uid_t uid, gid_t gid);
/* 0, -ENOKEY (also of a negative one), -EKEYREVOKED, -EKEYEXPIRED */
int key_validate(const struct key *k);
int key_permission(struct task *t, const struct key_ref *k, unsigned need); /* -EACCES */
struct key_user *key_user_get(uid_t uid);                                   /* NULL: no memory */
void keys_each(void (*fn)(struct key *k, void *arg), void *arg);
void key_users_each(void (*fn)(const struct key_user *u, void *arg), void *arg);
void key_quota(uid_t uid, uint64_t *ret_keys, uint64_t *ret_bytes);

/* ---- keyring.c ---- */

/* -ENOTDIR, -EDEADLK (a circle), -ELOOP (too deep), -EPERM (restricted), -EDQUOT. Displaces its like. */
int keyring_link(struct key *ring, struct key *k);
int keyring_unlink(struct key *ring, const struct key *k); /* -ENOENT */
void keyring_clear(struct key *ring);
/* Directly in ring; NULL. */
struct key *keyring_find(const struct key *ring, const struct key_type *type, const char *desc);
/*
 * From ring on, with what t may search: -EAGAIN where there is none, or what is wrong with the one
 * there is. type NULL: the very key `like`, in whatever state.
 */
int keyring_search(struct task *t, struct key_ref ring, const struct key_type *type,
                   const char *desc, const struct key *like, struct key_ref *ret);
/* It is no longer there: no ring links to it any more. */
void key_invalidate(struct key *k);

/* ---- process.c ---- */

enum { KEY_CREATE = 1, KEY_PARTIAL = 2 };
#define KEY_NEED_NOTHING 0u

/* A number of the caller's: of a key, or KEY_SPEC_*. need: permissions that t must have. */
int key_lookup(struct task *t, int32_t id, unsigned flags, unsigned need, struct key_ref *ret);
/* In all keyrings of t. As keyring_search. */
int keys_search(struct task *t, const struct key_type *type, const char *desc,
                const struct key *like, struct key_ref *ret);
int keys_join_session(struct task *t, const char *name, int32_t *ret_serial); /* name NULL: new */
int keys_session_to_parent(struct task *t);
/* Where request_key puts a key when the caller has not said. */
int keys_default_ring(struct task *t, struct key_ref *ret);
int keys_set_default(struct task *t, int ring); /* for request_key; the one before, or -EINVAL */

/* Life of tasks; without locks but kernel.tasks_lock not held. */
void keys_fork(struct task *child, struct task *parent);
void keys_exec(struct task *t);
void keys_exit(struct task *t);
void keys_group_exit(struct tgroup *g);

/* ---- keyproc.c ---- */

void keys_show(struct task *t, struct ptext *out);
void key_users_show(struct ptext *out);
