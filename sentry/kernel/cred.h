/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials: immutable once published, shared by reference; a change makes a new one. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cred {
    _Atomic int refs;
    uid_t uid, euid, suid, fsuid;
    gid_t gid, egid, sgid, fsgid;
    unsigned ngroups;
    gid_t *groups; /* sorted */
    uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bset, cap_ambient;
    unsigned securebits;
    bool no_new_privs;
};

/* securebits */
#define LX_SECBIT_NOROOT 0x01u
#define LX_SECBIT_NO_SETUID_FIXUP 0x04u
#define LX_SECBIT_KEEP_CAPS 0x10u
#define LX_SECBIT_KEEP_CAPS_LOCKED 0x20u
#define LX_SECBIT_NO_CAP_AMBIENT_RAISE 0x40u
#define LX_SECBITS_ALL 0xffu
#define LX_SECBITS_LOCKS 0xaau /* each bit's lock is the one above it */

#define CAP_CHECKPOINT_RESTORE 40 /* older headers have it not */
#define CAP_LAST CAP_CHECKPOINT_RESTORE
#define CAP_ALL ((1ull << (CAP_LAST + 1)) - 1)

struct cred *cred_new_root(void);
/* uid 0 gets all capabilities. */
struct cred *cred_new_user(uid_t uid, gid_t gid, const gid_t *groups, unsigned n);
/* Fills *ret for a moment, while c is held: its groups stay c's, it is never put. */
void cred_lend(const struct cred *c, struct cred *ret);
struct cred *cred_copy(const struct cred *c); /* private, to be changed, then published */
/* On a private copy; false: no memory, nothing changed. */
bool cred_set_groups(struct cred *c, const gid_t *groups, unsigned n);
struct cred *cred_ref(struct cred *c);
void cred_put(struct cred *c);
struct task;
/*
 * Makes c (taken over) t's credentials. What a change of identity or a gain of rights takes away
 * (being dumpable, the parent's death signal) goes. 0.
 */
int cred_commit(struct task *t, struct cred *c);
bool cred_capable(const struct cred *c, int cap);
bool cred_in_group(const struct cred *c, gid_t gid);  /* fsgid and supplementary */
bool cred_in_egroup(const struct cred *c, gid_t gid); /* egid and supplementary */
