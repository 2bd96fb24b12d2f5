/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's end of the gofer channel (gofer/PROTOCOL.md). Each function is one round trip unless
 * said and may be called by any thread, several at once; it brackets nothing itself: callers on a
 * worker use worker_block_begin/end. Errors are the host's errno, negative; -EIO when the gofer is
 * gone or talks nonsense.
 *
 * A node is a directory (or a single exported file) that the gofer holds for us, by a number that
 * it chose. Everything else is addressed by a node and a path beneath it: components by single
 * slashes, no leading slash, no "." nor "..", at most 32; "" is the node itself. Symbolic links are
 * never followed: -ELOOP for one in the middle.
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
    uint64_t node; /* 0: no node (not a directory, or the gofer's table is full) */
    struct gofer_attr attr;
};

/* sock: SEQPACKET, connected to the gofer; taken over. ring_fd: the restricted ring or -1. */
int gofer_client_new(int sock, int ring_fd, struct gofer **ret);
/* The same of a socket that came later on, whose number is any. SIGPIPE has to be ignored. */
int gofer_client_join(int sock, struct gofer **ret);
void gofer_client_free(struct gofer *g);
/* One that may go while the sandbox runs is counted: who makes it has the first reference; NULL is fine. */
struct gofer *gofer_client_ref(struct gofer *g);
void gofer_client_put(struct gofer *g);

/* Number of exports, and the root node of one. */
unsigned gofer_nexports(struct gofer *g);
/* ret_stable (may be NULL): what it shows belongs to the system and is not changed while we run. */
int gofer_root(struct gofer *g, unsigned export_id, struct gofer_node_reply *ret, bool *ret_stable);

/* A host file open for reading. Its bytes are reached by gofer_file_read and no other way. */
struct gofer_file {
    struct gofer *g;
    int fd;        /* a read-only descriptor, or -1 */
    int slot;      /* a slot of the ring, or -1 */
    bool whole;    /* first holds all of it; there may be neither fd nor slot */
    size_t nfirst; /* bytes in the caller's buffer that came with the open */
    struct gofer_attr attr;
};

/* What a walk may bring beside attributes. */
struct gofer_walk_end {
    char *link; /* NULL, or room for the target of a link reached: linkcap bytes, cut, NUL added */
    size_t linkcap;
    bool no_nodes; /* attributes are all that is wanted */
    void *first;   /* NULL, or room for first bytes: a file at the path's end is opened too */
    size_t cap;
    bool open;     /* of what is shared live: opened without first bytes; node is then its node */
    uint64_t node; /* to be given back by gofer_close, as file.fd is to be closed */
    bool opened;   /* it was: file and file.nfirst bytes of first are the caller's */
    struct gofer_file file;
};

/*
 * Walks path beneath node as far as it goes: ret gets a reply for each component reached, *ret_n
 * how many. Stops before following a symbolic link: its own attributes are the last reply. 0, or
 * the error of the component behind the last reply (-ENOENT ...). max at most 32. end may be NULL.
 */
int gofer_walk(struct gofer *g, uint64_t node, const char *path, struct gofer_node_reply *ret,
               unsigned max, unsigned *ret_n, struct gofer_walk_end *end);
int gofer_getattr(struct gofer *g, uint64_t node, const char *path, struct gofer_attr *ret);
ssize_t gofer_readlink(struct gofer *g, uint64_t node, const char *path, char *buf, size_t cap);

struct gofer_dirent {
    struct gofer_node_reply entry; /* node is 0; ino and the mode's type bits are always right */
    bool has_attr;
    const char *name; /* valid during the callback only; no NUL behind it */
    size_t namelen;
    const char *link; /* the same; linklen is 0 when a link's target was not told */
    size_t linklen;
};
/*
 * Whole directory, without "." and ".."; fn returns non-zero to get no more (given back). -E2BIG
 * where it has more than max entries (0: any number), perhaps after some were given to fn.
 */
int gofer_list(struct gofer *g, uint64_t node, const char *path, bool attrs, unsigned max,
               int (*fn)(void *arg, const struct gofer_dirent *e), void *arg);

/*
 * Opens a regular file for reading (-EACCES for what is none, -EISDIR). first (may be NULL) gets up
 * to cap bytes from its start, f->nfirst how many. Close it by gofer_file_close.
 */
int gofer_open(struct gofer *g, uint64_t node, const char *path, void *first, size_t cap,
               struct gofer_file *ret);
void gofer_file_close(struct gofer_file *f); /* no round trip */
/* pread, through the ring or the descriptor. -EBADF when the file has neither (whole). */
ssize_t gofer_file_read(struct gofer_file *f, void *buf, size_t n, off_t off);
/*
 * The same without waiting for a disk: what the host has in memory, which may be less, or -EAGAIN;
 * -EOPNOTSUPP where its file system does not know how, or there is no descriptor.
 */
ssize_t gofer_file_read_now(const struct gofer_file *f, void *buf, size_t n, off_t off);
/*
 * Small regular files, whole: the one at path, and siblings of it by the names behind path's NUL,
 * each with a NUL of its own; len is of all, the last NUL left out. fn gets them in this order, with
 * error set (and no bytes) where it is none or is not small, and not all: as many as one answer
 * holds. path must have a component, at most GOFER_FILES_MAX files are asked for.
 */
#define GOFER_FILES_MAX 64u
#define GOFER_SMALL_MAX 32768u
struct gofer_small {
    int error;
    struct gofer_attr attr;
    const void *bytes; /* attr.size; valid during the callback only */
};
int gofer_files(struct gofer *g, uint64_t node, const char *path, size_t len,
                void (*fn)(void *arg, unsigned i, const struct gofer_small *f), void *arg);
/* A read-only descriptor to map, the caller's. A round trip. */
int gofer_map_fd(struct gofer *g, uint64_t node, const char *path, struct gofer_attr *ret_attr);

ssize_t gofer_getxattr(struct gofer *g, uint64_t node, const char *path, const char *name,
                       void *buf, size_t n);
ssize_t gofer_listxattr(struct gofer *g, uint64_t node, const char *path, char *buf, size_t n);

struct gofer_statfs {
    uint64_t type, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize, flags;
};
int gofer_statfs(struct gofer *g, uint64_t node, const char *path, struct gofer_statfs *ret);
/* Drops nodes; batched, no round trip. */
void gofer_forget(struct gofer *g, uint64_t node);
uint64_t gofer_trips(struct gofer *g); /* for --stats */
