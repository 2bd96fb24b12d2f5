/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the gofer: one request being answered. gofer_serve() reads a datagram, checks its header
 * and calls the operation; an operation checks its own payload, builds an answer in job->out and
 * returns 0 or a negative errno (then nothing but the error is sent).
 */
#pragma once

#include <stddef.h>

#include "gofer/beneath.h"
#include "gofer/node.h"
#include "gofer/protocol.h"

struct job {
    const struct gofer_config *cfg;
    struct gw_request req;   /* a copy: the datagram itself is not looked at again */
    const unsigned char *in; /* req.len bytes behind the header */
    struct gw_reply rep;
    unsigned char *out; /* GW_MAX - sizeof(rep) bytes; rep.len are in use */
    int fd;             /* sent along and then closed; -1: none */
    uint64_t opened;    /* node of what fd is; it goes if fd cannot be sent; 0: none */
    bool quiet;         /* no reply */
};

#define JOB_OUT_MAX (GW_MAX - (uint32_t)sizeof(struct gw_reply))

/* What a request's node and path lead to: a name in a directory, or the node itself. */
struct target {
    struct node *node;          /* reference */
    int dirfd;                  /* directory that holds name; node's own when name is "" */
    int own_fd;                 /* dirfd where it was opened for this, or -1 */
    char name[GW_NAME_MAX + 1]; /* "": the node itself */
};

/* One component of a path taken off its front; 0, or -EINVAL, -ENAMETOOLONG. */
int path_next(const char **path, const char *end, char name[GW_NAME_MAX + 1]);
/* Takes all but the last component of the len bytes at path. */
int target_find(const struct job *job, const char *path, size_t len, struct target *ret);
/* The same from another node than the request's. */
int target_find_from(uint64_t node, const char *path, size_t len, struct target *ret);
void target_put(struct target *t);
/* Attributes of the thing itself; -ENOENT when it is not shown. */
int target_stat(struct target *t, struct gw_attr *ret);
/* Opens it for reading: a regular file or a directory, anything else is -EACCES. */
int target_open_read(struct target *t, struct gw_attr *ret);
/* Attributes of a name in dirfd, if it is shown: -ENOENT otherwise. at_root: dirfd is the root. */
int stat_shown(const struct node *from, int dirfd, bool at_root, const char *name,
               struct gw_attr *ret);
/* What stat_shown found to be a directory, as O_PATH. */
int open_dir_shown(const struct node *from, int dirfd, const char *name);
bool target_at_root(const struct target *t);

/* Sends what the job has so far, as one datagram; 0 or -EPIPE. */
int job_send(struct job *job);

int serve_walk(struct job *job); /* serve_walk.c */
int serve_getattr(struct job *job);
int serve_readlink(struct job *job);
int serve_list(struct job *job); /* serve_list.c */
int serve_open(struct job *job); /* serve_file.c */
/* The regular file t, with its first bytes behind what job->out has; *ret_attr of what was opened. */
int open_for(struct job *job, struct target *t, struct gw_attr *ret_attr);
int serve_files(struct job *job);    /* serve_files.c */
int serve_getxattr(struct job *job); /* serve_xattr.c */
int serve_listxattr(struct job *job);
int serve_statfs(struct job *job);

/* Of shared exports only. */
int serve_make(struct job *job); /* shared/make.c */
int serve_openat(struct job *job);
int serve_remove(struct job *job); /* shared/names.c */
int serve_rename(struct job *job);
int serve_link(struct job *job);
int serve_setattr(struct job *job); /* shared/attr.c */
int serve_setxattr(struct job *job);
int serve_sync(struct job *job);
int serve_lock(struct job *job); /* shared/lock.c */
int serve_watch(struct job *job);

/*
 * Takes n bytes, a request's fixed part, off its front. -EINVAL: there are fewer. *rest and *restlen
 * are what is behind.
 */
int job_take(const struct job *job, void *to, size_t n, const char **rest, size_t *restlen);
/* May names of t's directory be changed? A single file's directory shows its name and no more. */
int target_may_change(const struct target *t);
/* The open file behind t, where t is one; else -1. */
int target_file(const struct target *t);
/* fd (taken over) becomes a node and goes along; *ret_node. export NULL: an inotify queue. */
int job_hand_open(struct job *job, const struct gofer_export *export, int fd, uint64_t *ret_node);
/*
 * A file that is written to loses its set-id bits, as on Linux at the first write; here at once, for a
 * mapping is written to without the host being told, and root's own writes would leave them. attr: of
 * fd, which is t, and what it then is. 0 or -errno.
 */
int without_setid(int fd, const struct target *t, struct gw_attr *attr);
/* The regular file t, opened: it goes along, and is e's node; e's attributes are its own. */
int open_shared(struct job *job, const struct target *t, int flags, struct gw_entry *e);
/* Adds one entry to the answer. */
void job_entry(struct job *job, const struct gw_entry *e);

/* Answers one datagram of n bytes in buf; for the workers, the tests and the fuzzer. */
void gofer_answer(const struct gofer_config *cfg, const void *buf, size_t n, unsigned char *out);
/* Registers the exports' roots. 0 or -errno. */
int gofer_server_init(const struct gofer_config *cfg);
uint64_t gofer_root_node(unsigned export_id);
/* Reads and answers until the socket closes, with more workers as they are needed. */
void gofer_serve(const struct gofer_config *cfg);

/* ring_install.c: slots of the sentry's ring. */
int ring_install(int ring_fd, int fd); /* slot or -errno; fd stays the caller's */
void ring_remove(int ring_fd, uint32_t slot);

/* fence.c */
int gofer_fence(const struct gofer_config *cfg);
/* landlock.c: 0, or -errno; -EOPNOTSUPP where the host has none. */
int gofer_landlock(const struct gofer_config *cfg);
