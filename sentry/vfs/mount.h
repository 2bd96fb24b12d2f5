/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the calls on mounts (sentry/syscalls/mount*.c) and vfs/propagate.c need of vfs/mount.c. A
 * tree of mounts is attached (it hangs below a container's root) or detached (made by open_tree or fsmount, and
 * held by one open file). _locked: mounts_lock is held; a list of mounts that went is given to
 * mounts_drop afterwards.
 */
#pragma once

#include <sys/mount.h>

#include "abi/mount.h"
#include "sentry/vfs/vfs.h"

/* Of a mount; all others are of its file system. */
#define MOUNT_FLAGS                                                                                \
    (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | LX_MS_NOSYMFOLLOW | MS_NOATIME |               \
     MS_NODIRATIME | MS_RELATIME)

/* statmount and STATX_MNT_ID_UNIQUE: never that of an old kind of id. */
#define MOUNT_UNIQUE_ID(id) ((1ull << 32) + (uint64_t)(id))
static inline uint64_t mount_unique_id(const struct mount *m)
{
    return MOUNT_UNIQUE_ID(m->id);
}

/* A mount of sb (reference taken over, but on failure) from root on, that is nowhere. ERR_PTR. */
struct mount *mount_new(struct super *sb, struct dentry *root, unsigned flags, const char *source);
/* The same of all of sb; ERR_PTR: sb was put. */
struct mount *mount_detached(struct super *sb, unsigned flags, const char *source);

/* The one behind m, in the order parents first, of the tree at top; NULL. */
struct mount *mount_next_locked(const struct mount *m, const struct mount *top);
/* Does a lie in the tree at top, or is it it? */
bool mount_below_locked(const struct mount *a, const struct mount *top);

enum {
    CLONE_TREE = 1,       /* with what is mounted on it */
    CLONE_UNBINDABLE = 2, /* what may not be bound, too */
};
/* A detached copy of top from root on, peer of what it is made from. Sets ->copy of what was copied. */
struct mount *mount_clone_locked(struct mount *top, struct dentry *root, unsigned how,
                                 struct list *gone);

/* Hangs m, which hangs nowhere, at a place; no propagation. Takes references to both. */
void mount_hang_locked(struct mount *m, struct mount *parent, struct dentry *at);
/* The same where something may be mounted: that comes to lie on top of m. Attaches m's tree as parent is. */
void mount_hang_beneath_locked(struct mount *m, struct mount *parent, struct dentry *at);
/* Is m in the namespace, or in a detached tree that a file holds, and not taken off? */
bool mount_owned_locked(const struct mount *m);
/* Is it in the tree of container_here()? What another one has passed on is not to be changed. */
bool mount_ours_locked(const struct mount *m);
/* Takes m off its place; what it held goes to m->drop_*. The tree's reference to m stays. */
void mount_unhang_locked(struct mount *m);
/* m and all below it go, and what that takes off elsewhere by propagation: to the list gone. */
void mount_remove_locked(struct mount *m, bool propagate, struct list *gone);
/* Puts them, and what they held. Without locks. */
void mounts_drop(struct list *gone);
/* All of the tree at m is in (or not in) the list of attached ones. */
void mount_set_attached_locked(struct mount *m, bool attached);

/*
 * Mounts the detached tree top at `at` and wherever that propagates. 0; -ENOSPC, -ENOMEM (top is as
 * it was), -ENOENT, -ENOTDIR, -EINVAL.
 */
int mount_attach_locked(struct mount *top, const struct path *at, struct list *gone);

/* mount_put by one who only looked whether it is in use: it may go on expiring. */
void mount_put_unused(struct mount *m);
/* A detached tree goes with the file that holds it, but for one that was attached meanwhile. */
void mount_dissolve(struct mount *m);

/* ---- propagate.c ---- */

/* m: an MS_ bit of SHARED, PRIVATE, SLAVE, UNBINDABLE. */
void mount_set_propagation_locked(struct mount *m, unsigned long type);
/* Leaves its groups, for good. */
void mount_leave_groups_locked(struct mount *m);
/* n, a copy of old, is its peer, and slave of its master. */
void mount_join_locked(struct mount *n, struct mount *old);
/*
 * Whatever gets to know of a mount on m at `at`, but m itself: a list by ->next, with ->from the one
 * that it comes from (m or an earlier one), and ->as_slave.
 */
struct mount *mount_targets_locked(struct mount *m, struct dentry *at);
/* The peer group that a slave gets its mounts from, as far as who has that root can see; 0. */
int mount_dominating_locked(const struct mount *m, const struct path *root);
/* Does a walk upwards from d in m come by root? */
bool mount_reachable_locked(const struct mount *m, const struct dentry *d, const struct path *root);
/* d is root or below it. */
bool dentry_below(const struct dentry *d, const struct dentry *root);
