/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What travels between sentry and gofer; gofer/PROTOCOL.md tells it in words. Both ends are on one
 * machine and from one build, yet each checks everything the other says: numbers are little-endian
 * host integers, headers have one size, a length is checked against the datagram's own before
 * anything behind it is read, nothing is a pointer. A datagram is at most GW_MAX bytes.
 */
#pragma once

#include <stdint.h>

#define GW_VERSION 2
#define GW_MAX 65536u
#define GW_PATH_MAX 4095u /* bytes of a path in a request */
#define GW_NAME_MAX 255u
#define GW_LINK_MAX 1023u /* bytes of a link's target in a listing; longer ones are asked for */
#define GW_DEPTH_MAX 32u  /* components of one path */
#define GW_XATTR_MAX 61440u

enum gw_op {
    GW_HELLO = 1, /* reply: count exports, a gw_root for each (for the first GW_ROOTS_MAX) */
    GW_ROOT,      /* arg: export; reply: one gw_entry */
    GW_WALK,      /* path; arg, flags; reply: count gw_entry, then a link's target or first bytes */
    GW_GETATTR,   /* path; reply: one gw_entry */
    GW_READLINK,  /* path; reply: the target */
    GW_LIST,      /* path; flags; arg: no more than so many entries, or -E2BIG (0: any number);
                     replies: count gw_dirent each, GW_MORE on all but the last */
    GW_OPEN,      /* path; arg: first bytes wanted; flags; reply: gw_entry, then bytes */
    GW_GETXATTR,  /* path, name; arg: length of path; reply: the value */
    GW_LISTXATTR, /* path; reply: names, each with a NUL */
    GW_STATFS,    /* path; reply: one gw_statfs */
    GW_FORGET,    /* array of uint64_t node numbers; no reply */
    GW_CLOSE,     /* array of uint32_t ring slots; no reply */
    GW_FILES,     /* path, then a NUL and a name, up to GW_FILES_MAX times; arg: length of path;
                     reply: count gw_small, for the path and for its siblings of these names */
    /* for shared exports, which are written to */
    GW_MAKE,     /* gw_make, path, a link's target; arg: length of path; reply: as OPENAT */
    GW_OPENAT,   /* path; arg: open flags; reply: gw_entry with the node of the open file, GW_FD */
    GW_REMOVE,   /* path; arg: 1 a directory, 0 anything else */
    GW_RENAME,   /* gw_move, old path, new path */
    GW_LINKAT,   /* the same */
    GW_SETATTR,  /* gw_setattr, path; reply: one gw_entry */
    GW_SETXATTR, /* gw_setxattr, path, name, value */
    GW_SYNC,     /* path; arg: 1 the whole file system, 0 the thing alone */
    GW_LOCK,     /* gw_lock; of an open file's node; reply: gw_lock */
    GW_WATCH,    /* gw_watch, path; reply: value a watch's number, or a new queue: node, GW_FD */
    GW_NOPS,
};

enum {                    /* gw_request.flags */
       GW_WANT_NODES = 1, /* WALK: make nodes for the directories passed */
       GW_WANT_ATTR = 2,  /* LIST: attributes of every entry */
       GW_WANT_SLOT = 4,  /* OPEN: install into the ring rather than send a descriptor */
       GW_ALWAYS_FD = 8,  /* OPEN: a descriptor even when all bytes are in the reply */
       GW_BUSY = 16,      /* other requests are under way: a second worker is worth while */
       GW_WALK_OPEN = 32, /* WALK: a regular file at the path's end is opened as OPEN would */
       GW_FLAGS = 63,
};

enum {                 /* gw_reply.flags */
       GW_MORE = 1,    /* another datagram with this tag follows */
       GW_FD = 2,      /* one descriptor came along */
       GW_SLOT = 4,    /* value is a slot of the ring */
       GW_WHOLE = 8,   /* the bytes are the whole file */
       GW_LINK = 16,   /* WALK: the last entry is a link, its target follows the entries */
       GW_OPENED = 32, /* WALK: the last entry is a file, opened; its bytes follow the entries */
};

enum {
    GW_STABLE = 1
}; /* ROOT: gw_reply.value, gw_root.flags: what is shown is not changed while we run */

struct gw_request {
    uint16_t version;
    uint16_t op;
    uint32_t tag;  /* given back in the reply */
    uint64_t node; /* where path starts */
    uint32_t len;  /* bytes behind this header; the datagram's length less 32 */
    uint32_t flags;
    uint32_t arg;
    uint32_t cpu; /* the caller's; a hint: where it is cheap to be woken */
};

struct gw_reply {
    uint16_t version;
    uint16_t op;
    uint32_t tag;
    int32_t error; /* 0 or a negative errno */
    uint32_t len;
    uint32_t flags;
    uint32_t count;
    uint64_t value;
};

struct gw_attr { /* the same members as struct gofer_attr */
    uint64_t ino, dev, nlink, rdev, size, blocks;
    uint32_t mode, uid, gid, blksize;
    int64_t atime_s, mtime_s, ctime_s, btime_s;
    uint32_t atime_ns, mtime_ns, ctime_ns, btime_ns;
};

struct gw_entry {
    uint64_t node; /* 0: none was made; address it by its parent and name */
    struct gw_attr attr;
};

#define GW_ROOTS_MAX 256u
struct gw_root {
    struct gw_entry entry;
    uint64_t flags;
};

struct gw_dirent {
    struct gw_entry entry; /* without attributes only ino and the type bits of mode are set */
    uint16_t namelen;      /* the name follows, */
    uint16_t linklen;      /* then a link's target where it is told; zeros to a multiple of 8 */
    uint8_t has_attr;
    uint8_t zero[3];
};

#define GW_FILES_MAX 64u    /* names in one request */
#define GW_SMALL_MAX 32768u /* bytes of one file; what is larger is opened */
struct gw_small {
    int32_t error; /* 0 or a negative errno: this file is not told */
    uint32_t len;  /* attr.size bytes follow, all of the file; zeros to a multiple of 8 */
    struct gw_attr attr;
};

struct gw_statfs {
    uint64_t type, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize, flags;
};

struct gw_make {
    uint32_t mode;      /* with the type: no device, no set-id but of directories */
    uint32_t uid, gid;  /* the owner, where the gofer may give files away */
    uint32_t open;      /* regular files: opened so (O_ACCMODE, O_APPEND), or GW_MAKE_CLOSED */
    uint32_t temporary; /* 1: a file without a name in the directory at path (O_TMPFILE) */
    uint32_t zero;
};
#define GW_MAKE_CLOSED 0xffffffffu

struct gw_move {
    uint64_t to;     /* node where the new path starts */
    uint32_t oldlen; /* bytes of the old path */
    uint32_t flags;  /* RENAME_NOREPLACE, RENAME_EXCHANGE */
};

enum {
    GW_SET_MODE = 1,
    GW_SET_UID = 2,
    GW_SET_GID = 4,
    GW_SET_SIZE = 8,
    GW_SET_ATIME = 16,
    GW_SET_MTIME = 32,
    GW_SET_ATIME_NOW = 64,
    GW_SET_MTIME_NOW = 128,
    GW_SET_ALL = 255,
};
struct gw_setattr {
    uint32_t valid, mode, uid, gid;
    uint64_t size;
    int64_t atime_s, mtime_s;
    uint32_t atime_ns, mtime_ns;
};

struct gw_setxattr {
    uint32_t pathlen, namelen; /* what is behind is the value */
    uint32_t flags;            /* XATTR_CREATE, XATTR_REPLACE */
    uint32_t remove;           /* 1: removexattr */
};

enum { GW_LOCK_SET, GW_LOCK_GET, GW_LOCK_FLOCK };
struct gw_lock {
    uint32_t op;   /* GW_LOCK_* */
    int32_t type;  /* F_RDLCK, F_WRLCK, F_UNLCK */
    int64_t start; /* of records: OFD locks of the open file */
    int64_t len;   /* 0: to the end */
};

enum { GW_WATCH_NEW, GW_WATCH_ADD, GW_WATCH_REMOVE };
struct gw_watch {
    uint64_t queue; /* node of the inotify queue; NEW: 0 */
    uint32_t op;    /* GW_WATCH_* */
    uint32_t mask;  /* ADD: as for inotify_add_watch; REMOVE: the watch's number */
};

#define GW_PAD8(n) (((n) + 7u) & ~7u)

_Static_assert(sizeof(struct gw_request) == 32 && sizeof(struct gw_reply) == 32, "headers");
_Static_assert(sizeof(struct gw_entry) == 120 && sizeof(struct gw_dirent) == 128, "entries");
_Static_assert(sizeof(struct gw_small) == 120, "entries");
_Static_assert(sizeof(struct gw_make) == 24 && sizeof(struct gw_move) == 16, "changes");
_Static_assert(sizeof(struct gw_setattr) == 48 && sizeof(struct gw_setxattr) == 16, "changes");
_Static_assert(sizeof(struct gw_lock) == 24 && sizeof(struct gw_watch) == 16, "locks, watches");
