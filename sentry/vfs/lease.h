/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases (fcntl F_SETLEASE): who has a file open learns, by a signal, that another wants it, and the
 * other waits until the lease is given up or fs.lease-break-time is over. A lease belongs to an open
 * file, and ends with it.
 */
#pragma once

#include <stdatomic.h>

#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

/* F_SETLEASE: type F_RDLCK, F_WRLCK or F_UNLCK; fd: what si_fd says. */
int lease_set(struct task *t, struct file *f, int fd, int type);
/* F_GETLEASE: what is held, or what it is to become when it is being broken. */
int lease_get(struct file *f);

/*
 * i is about to be opened, or cut, with these open flags: breaks what is in the way. 0; -EAGAIN with
 * O_NONBLOCK, -EWAITING, -ERESTARTSYS. The caller keeps i in the record.
 */
int lease_break_(struct task *t, struct inode *i, unsigned flags) __must_check;
static inline int lease_break(struct task *t, struct inode *i, unsigned flags)
{
    return __atomic_load_n(&i->leases, __ATOMIC_SEQ_CST) ? lease_break_(t, i, flags) : 0;
}

/* file_put: f ends. */
void lease_file_gone(struct file *f);
/* For /proc/locks. */
void lease_each(void (*emit)(void *arg, const char *line), void *arg, int *nr);
