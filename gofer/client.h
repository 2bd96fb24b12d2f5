/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's end of the gofer channel (gofer/PROTOCOL.md). Each function is one round trip and
 * may be called by any thread; it brackets nothing itself: callers on a worker use
 * worker_block_begin/end. Errors are the host's errno, negative; -EIO when the gofer is gone.
 *
 * A node is an object the gofer holds for us: a directory or a file, by a number that it chose.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gofer;

struct gofer_attr {
    uint64_t ino, dev, nlink, rdev, size, blocks;
    uint32_t mode, uid, gid, blksize;
    int64_t atime_s, mtime_s, ctime_s, btime_s;
    uint32_t atime_ns, mtime_ns, ctime_ns, btime_ns;
};

struct gofer_node_reply {
    uint64_t node;
    struct gofer_attr attr;
};

/* sock: SEQPACKET, connected to the gofer; taken over. ring_fd: the restricted ring or -1. */
int gofer_client_new(int sock, int ring_fd, struct gofer **ret);
void gofer_client_free(struct gofer *g);

/* Number of exports, and the root node of one. */
unsigned gofer_nexports(struct gofer *g);
int gofer_root(struct gofer *g, unsigned export_id, struct gofer_node_reply *ret);

/*
 * Walks one path (no leading slash, components by single slashes, "." and ".." refused) beneath
 * node, as far as it goes: ret gets a reply for each component reached, *ret_n how many. Stops
 * before following a symbolic link: its own attributes are the last reply. 0, or the error of the
 * component behind the last reply (-ENOENT ...). max at most 32.
 */
int gofer_walk(struct gofer *g, uint64_t node, const char *path, struct gofer_node_reply *ret,
               unsigned max, unsigned *ret_n);
int gofer_getattr(struct gofer *g, uint64_t node, struct gofer_attr *ret);
ssize_t gofer_readlink(struct gofer *g, uint64_t node, char *buf, size_t cap);

struct gofer_dirent {
    struct gofer_node_reply entry; /* node 0: none was made; attr.mode type bits are always right */
    bool has_attr;
    const char *name; /* valid until the next call with the same listing */
    size_t namelen;
};
/* Whole directory, names with attributes; fn returns non-zero to stop. */
int gofer_list(struct gofer *g, uint64_t node,
               int (*fn)(void *arg, const struct gofer_dirent *e), void *arg);

/*
 * Opens a regular file for reading. first (may be NULL) gets up to nfirst bytes from its start,
 * *ret_n how many. *ret_fd: a read-only host descriptor, the caller's.
 */
int gofer_open(struct gofer *g, uint64_t node, void *first, size_t nfirst, size_t *ret_n,
               int *ret_fd);
ssize_t gofer_getxattr(struct gofer *g, uint64_t node, const char *name, void *buf, size_t n);
ssize_t gofer_listxattr(struct gofer *g, uint64_t node, char *buf, size_t n);

struct gofer_statfs {
    uint64_t type, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize, flags;
};
int gofer_statfs(struct gofer *g, uint64_t node, struct gofer_statfs *ret);
/* Drops nodes; batched, no round trip. */
void gofer_forget(struct gofer *g, uint64_t node);
uint64_t gofer_trips(struct gofer *g); /* for --stats */
