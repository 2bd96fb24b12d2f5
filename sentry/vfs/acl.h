/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX access control lists: of files in memory and in the overlay (super->exports). An inode has
 * one for access and, when it is a directory, one that what is made in it gets; both lie under
 * inode->lock. They are read and set as the extended attributes system.posix_acl_*.
 */
#pragma once

#include "sentry/vfs/vfs.h"

struct acl;

enum acl_type { ACL_ACCESS, ACL_DEFAULT, ACL_NONE };

/* Which list an attribute's name means; ACL_NONE: it is another attribute. */
enum acl_type acl_of_name(const char *name);

ssize_t acl_get(struct inode *i, enum acl_type type, void *buf, size_t n);
/* Permission is checked. n 0, or a list without entries: there is none afterwards. */
int acl_set(struct task *t, struct inode *i, enum acl_type type, const void *v, size_t n);
/* The names of those it has, into buf (n 0: only their size): -ERANGE. */
ssize_t acl_list(struct inode *i, char *buf, size_t n);

/* May c, who is not the owner, do mask? -EAGAIN: no list says. i->lock held. */
int acl_permission_locked(struct inode *i, const struct cred *c, int mask);
/* The mode changed. i->lock held. */
void acl_chmod_locked(struct inode *i);
/* A new inode gets what its directory has for it; its mode is asked for, without the umask. */
int acl_inherit(struct inode *i, struct inode *dir);
/* The mode of what t makes in dir: through the umask, unless dir has a default list. */
uint32_t acl_umask(struct task *t, const struct inode *dir, uint32_t mode);
void acl_inode_gone(struct inode *i);
