/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of fanotify share: fanotify.c (groups, reading), fanotify_mark.c (marks),
 * fanotify_event.c (who gets to know of what), fanotify_perm.c (questions and answers).
 *
 * fan_lock (LOCK_OBJECT) guards all of it. Files, inodes and paths are put without it.
 */
#pragma once

#include "abi/fanotify.h"
#include "sentry/fs/fanotify.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/wait.h"
#include "sentry/vfs/handle.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/vfs.h"

#define FAN_PERM_EVENTS (LX_FS_OPEN_PERM | LX_FS_ACCESS_PERM | LX_FS_OPEN_EXEC_PERM)
#define FAN_DIRENT_EVENTS                                                                          \
    (LX_IN_CREATE | LX_IN_DELETE | LX_IN_MOVED_FROM | LX_IN_MOVED_TO | LX_FS_RENAME)
#define FAN_EVENT_FLAGS (LX_FAN_ONDIR | LX_FAN_EVENT_ON_CHILD)

enum mark_type { MARK_INODE, MARK_MOUNT, MARK_SUPER, MARK_TYPES };

struct fan_group {      /* file->priv */
    struct list link;   /* all, by priority, those asked first in front */
    struct list marks;  /* by group_link */
    struct list events; /* queued */
    struct list asked;  /* permission events that were read and are not answered */
    struct waitqueue wq;
    uint64_t id;
    uid_t uid;
    unsigned flags, event_flags, nmarks, nevents;
    size_t bytes; /* of all queued ones, as read gives them */
    bool unprivileged, overflowed;
};

struct fan_mark {
    struct list group_link, hash_link;
    struct fan_group *group;
    enum mark_type type;
    const void *object; /* inode (a reference), mount, super: the two tell when they go */
    uint32_t mask, ignored;
    bool survives; /* the ignored mask is kept when the file is modified */
    bool ignores;  /* FAN_MARK_IGNORE: the ignored mask has flags of its own */
    bool evictable;
};

struct fan_id { /* of an object of an event */
    struct file_id id;
    bool known;
};

struct fan_event {
    struct list link; /* group's events or asked */
    struct fan_group *group;
    uint32_t mask;
    pid_t pid;
    struct path path; /* references; none in groups that report ids */
    uint64_t fsid;
    struct fan_id dir, ndir, object;
    char *name, *nname; /* NULL: none */
    struct fan_perm *perm;
    int fd;    /* of a permission event that was read */
    bool read; /* it is in asked, not in the queue */
};

/* A question: lies in the record of the call that asks (t->call.perm). */
struct fan_perm {
    struct file *f; /* what is to be opened or read; the record holds it */
    uint32_t mask;
    struct fan_event *event; /* NULL: none is queued; the group that it is in says when it goes */
    uint64_t after_id;       /* groups up to this one have allowed it */
    bool asked_any, answered, denied, done;
};

extern struct lock fan_lock;
extern struct list fan_groups;
extern _Atomic unsigned fan_id_groups; /* so many of them report ids */
extern struct waitqueue fan_answers;   /* who asks waits here */

/* fanotify_mark.c */
struct fan_mark *fan_find_locked(const struct fan_group *g, enum mark_type type,
                                 const void *object);
/* All of a group's of these types (a set of bits). */
void fan_marks_end(struct fan_group *g, unsigned types);
/* The object goes. */
void fan_object_gone(enum mark_type type, const void *object);

/* fanotify_event.c */
void fan_tell(const struct fsnotify_event *e);
/* Which of the event's bits g is to know of; *ret_old, *ret_new: of a rename, which side. */
uint32_t fan_wanted_locked(const struct fan_group *g, const struct fsnotify_event *e, bool *ret_old,
                           bool *ret_new);
size_t fan_event_len(const struct fan_group *g, const struct fan_event *e);
void fan_event_free(struct fan_event *e);
pid_t fan_pid_of(const struct fan_group *g, const struct task *t);
/* At the end of the queue; the limit was looked at. */
void fan_queue_locked(struct fan_group *g, struct fan_event *e);

/* fanotify_perm.c */
int fan_ask(struct task *t, struct file *f, uint32_t mask);
/* A group's answer, or its end. */
void fan_answer_locked(struct fan_event *e, bool allow);
