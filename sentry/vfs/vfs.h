/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual file system: superblocks, inodes, dentries, mounts and path walks.
 *
 * A file system fills struct super_ops and struct inode_ops; each operation says below which locks
 * are held. dcache and inode look-ups never wait; operations marked [io] may make a gofer trip and
 * so may be slow, and are called with no lock but task locks held.
 */
#pragma once

#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "abi/types.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/lock.h"
#include "sentry/kernel/wait.h"
#include "sentry/vfs/file.h"

struct super;
struct inode;
struct dentry;
struct mount;
struct cred;
struct lx_statfs;

struct kstat {
    uint64_t dev, ino, nlink, rdev, size, blocks;
    uint32_t mode, uid, gid, blksize;
    struct timespec atime, mtime, ctime, btime;
    uint64_t mnt_id, attributes, attributes_mask;
};

enum {
    ATTR_MODE = 1,
    ATTR_UID = 2,
    ATTR_GID = 4,
    ATTR_SIZE = 8,
    ATTR_ATIME = 16,
    ATTR_MTIME = 32,
    ATTR_CTIME = 64,
    ATTR_ATIME_SET = 128,
    ATTR_MTIME_SET = 256, /* to the value given, not to now */
    ATTR_TIMES_SET = 512, /* the owner's right */
    ATTR_TOUCH = 1024,    /* the right of any who may write */
    ATTR_CHOWN = 2048,    /* chown(-1, -1): nothing but the set-id bits */
};

struct setattr {
    unsigned valid;
    uint32_t mode, uid, gid;
    uint64_t size;
    struct timespec atime, mtime, ctime;
};

/* Where readdir puts names. emit returns false when the buffer is full: stop, keep f->pos at it. */
struct dirent_sink {
    bool (*emit)(struct dirent_sink *s, const char *name, size_t len, uint64_t ino, unsigned dtype,
                 loff_t next_pos);
};

/*
 * All of these are called with dir->rw (a task lock) held for a directory that changes; never with
 * a short lock. task may be NULL at start-up. Permission was checked by the caller (vfs/namei.c).
 */
struct inode_ops {
    /* [io] Finds name; *ret gets an inode reference. -ENOENT makes a negative dentry. */
    int (*lookup)(struct task *t, struct inode *dir, const char *name, size_t len,
                  struct inode **ret);
    /* The dentry is negative and hashed by the caller afterwards with the inode returned. */
    int (*create)(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                  struct inode **ret);
    int (*mknod)(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev,
                 struct inode **ret);
    int (*mkdir)(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                 struct inode **ret);
    int (*symlink)(struct task *t, struct inode *dir, struct dentry *d, const char *target,
                   struct inode **ret);
    int (*link)(struct task *t, struct inode *old, struct inode *dir, struct dentry *d);
    int (*unlink)(struct task *t, struct inode *dir, struct dentry *d);
    int (*rmdir)(struct task *t, struct inode *dir, struct dentry *d);
    /* flags: RENAME_NOREPLACE, EXCHANGE, WHITEOUT. */
    int (*rename)(struct task *t, struct inode *odir, struct dentry *od, struct inode *ndir,
                  struct dentry *nd, unsigned flags);
    int (*tmpfile)(struct task *t, struct inode *dir, uint32_t mode, struct inode **ret);

    /* [io] Target into buf, length or error. For magic links (/proc/PID/fd/N) follow is set instead. */
    int (*readlink)(struct task *t, struct inode *ino, char *buf, size_t cap);
    int (*follow)(struct task *t, struct inode *ino, struct path *ret);
    /* As readlink where the target is at hand, else 0. Under dcache_lock; takes leaf locks only. */
    size_t (*link_cached)(const struct inode *ino, char *buf, size_t cap);

    int (*getattr)(struct task *t, struct inode *ino,
                   struct kstat *ret); /* [io] NULL: from inode */
    int (*setattr)(struct task *t, struct inode *ino, const struct setattr *a); /* [io] */
    /* NULL: mode bits and lists (inode_permission_generic). */
    int (*permission)(struct task *t, struct inode *ino, int mask);

    /* [io] Makes an open file of it. NULL: struct file with inode->fops. flags as open(2). */
    int (*open)(struct task *t, struct inode *ino, struct file *f);

    ssize_t (*getxattr)(struct task *t, struct inode *ino, const char *name, void *buf, size_t n);
    int (*setxattr)(struct task *t, struct inode *ino, const char *name, const void *v, size_t n,
                    int flags);
    ssize_t (*listxattr)(struct task *t, struct inode *ino, char *buf, size_t n);
    int (*removexattr)(struct task *t, struct inode *ino, const char *name);
    /* Makes flags the inode's (fsflags.h). NULL: this file system has none. */
    int (*set_flags)(struct task *t, struct inode *ino, uint32_t flags);
};

struct host_lock {
    const void *owner; /* the file itself (flock, OFD locks), or a descriptor table */
    bool flock;
    int type;           /* F_RDLCK, F_WRLCK, F_UNLCK */
    int64_t start, end; /* inclusive; INT64_MAX: for ever */
};

struct super_ops {
    int (*statfs)(struct task *t, struct super *sb, struct lx_statfs *ret);
    int (*sync)(struct task *t,
                struct super *sb); /* [io] all of it to the disk; NULL: nothing to do */
    /*
     * [io] Locks of a host that others take too. lock tries (type F_UNLCK: gives back), -EAGAIN;
     * lock_test makes *l what is in the way, or F_UNLCK; lock_gone: owner gives all of f's inode back.
     * NULL: the locks of the sandbox are all there are.
     */
    int (*lock)(struct task *t, struct file *f, const struct host_lock *l);
    int (*lock_test)(struct task *t, struct file *f, struct host_lock *l);
    void (*lock_gone)(struct file *f, const void *owner);
    bool host_events; /* inotify is the host's (fs/live/watch.h): hooks of our own say nothing */
    void (*evict)(struct inode *ino); /* last reference went: free ino->priv */
    /* No mount is left: let go of inodes held for their own sake. Then the cached tree is dropped,
     * and when no inode is left put_super frees sb->priv. Both may be NULL. */
    void (*shutdown)(struct super *sb);
    void (*put_super)(struct super *sb);
    /* A cached dentry is about to be used: 1 still good, 0 look it up again. NULL: always good. */
    int (*revalidate)(struct task *t, struct dentry *d);
    /* Would it say good without asking anybody? dcache_lock held: takes leaf locks at most. NULL: no. */
    bool (*fresh)(const struct dentry *d);
    bool no_negative_cache; /* /proc and the like: nothing is cached */
};

struct super {
    _Atomic int refs;  /* mounts, and file systems that stand on it */
    _Atomic int users; /* keeps the memory: one for refs, one for each inode */
    const struct super_ops *ops;
    const char *type;    /* "tmpfs", "overlay", "proc", ... */
    const char *options; /* [I] as mounts show them behind "rw"; NULL: none */
    uint64_t magic;
    uint64_t dev; /* st_dev, unique */
    struct dentry *root;
    _Atomic uint64_t next_ino;
    bool readonly;
    bool exports;   /* [I] handles of its files can be opened (vfs/handle.h) */
    bool learn;     /* [I] sentry/learn.h */
    bool stable;    /* [I] nobody changes it behind us: revalidate says yes to all */
    unsigned depth; /* [I] how many images it stands on, in one another (fs/image/) */
    void *priv;
};

struct inode {
    _Atomic int refs;
    struct super *sb;            /* [I] */
    const struct inode_ops *ops; /* [I] */
    const struct file_ops *fops; /* [I] what an opened one gets */
    uint64_t ino;                /* [I] */
    struct tlock rw;             /* directory changes, copy-up, truncate against write */
    struct lock lock;            /* LOCK_INODE; guards what follows */
    /* Written under it. One of them may be read without: the kind never changes, and a check of
     * permission or a size that races with a change sees the one or the other. */
    _Atomic uint32_t mode, uid, gid, nlink;
    _Atomic uint64_t rdev, size, blocks;
    _Atomic uint32_t fsflags; /* FS_*_FL: vfs/fsflags.h */
    struct timespec atime, mtime, ctime, btime;
    int writers;                          /* open for writing; negative: denied (being executed) */
    _Atomic int readers;                  /* regular files open for reading alone; not guarded */
    uint8_t write_hint;                   /* F_SET_RW_HINT; nothing follows from it */
    struct lease *leases;                 /* vfs/lease.c, which guards it */
    struct file_locks *flocks;            /* vfs/locks.c; NULL: none */
    struct list watches;                  /* inotify */
    struct acl *acl_access, *acl_default; /* vfs/acl.c */
    struct simple_xattr *xattrs;          /* vfs/xattr.c; for file systems in memory */
    void *sock;                           /* a bound AF_UNIX socket; a FIFO's pipe */
    void *priv;
    struct dentry *dir_dentry; /* LOCK_DCACHE; a directory's only dentry, no reference */
    _Atomic uint32_t changes;  /* of a directory's names; a look-up that raced with one is redone */
    _Atomic bool has_caps;     /* security.capability may be there: a write takes it away */
    bool tmpfile;              /* of O_TMPFILE, without a name: may still get one */
    bool hashed;               /* LOCK_DCACHE; in the inode table */
    struct inode *hash_next;
};

struct dentry {
    _Atomic int refs;
    struct dentry *parent; /* LOCK_DCACHE; itself for a root */
    struct inode *inode;   /* LOCK_DCACHE; NULL: negative. Set once, then fixed until unlinked */
    char *name;            /* LOCK_DCACHE */
    uint32_t namelen;
    uint64_t hash;            /* XXH3 of parent and name */
    struct dentry *hash_next; /* LOCK_DCACHE */
    struct list children, sibling, lru;
    struct super *sb;
    unsigned nmounts;      /* mounts on it */
    _Atomic bool unhashed; /* deleted; changed under LOCK_DCACHE */
    uint64_t stamp;        /* of the last revalidation */
};

struct mount {
    _Atomic int refs;
    int id;                    /* never reused */
    struct mount *parent;      /* LOCK_MOUNTS, as all that is not said to be else; NULL: none */
    struct dentry *mountpoint; /* in parent */
    struct dentry *root;       /* [I] */
    struct super *sb;          /* [I] */
    unsigned flags; /* MS_RDONLY, MS_NODEV, MS_NOSUID, MS_NOEXEC, ...; read without the lock */
    char *source;   /* [I] */
    struct list link, children, sibling;
    struct mount *hash_next; /* by parent and mountpoint */
    bool attached;           /* in the tree of a container */
    bool held;               /* the top of a detached tree that a file holds */
    _Atomic bool expiring;   /* MNT_EXPIRE has looked at it; any use clears it */
    _Atomic int writers;     /* files open for writing through it; not guarded */
    /* Propagation (vfs/propagate.c). */
    int group;         /* of peers; 0: it is not shared */
    struct list peers; /* a ring without a head */
    struct mount *master;
    struct list slaves, slave_link;
    bool unbindable;
    /* Of an operation that goes on, under the lock. */
    struct mount *copy, *next, *from;
    bool as_slave, marked;
    struct mount *drop_parent;
    struct dentry *drop_at;
};

/* cwd, root, umask; CLONE_FS shares it. */
struct fs_ctx {
    _Atomic int refs;
    struct lock lock; /* LOCK_FS */
    struct path cwd, root;
    uint32_t umask;
    struct list all; /* path.c */
};
struct fs_ctx *fs_ctx_new(const struct path *root);
struct fs_ctx *fs_ctx_copy(struct fs_ctx *fs);
struct fs_ctx *fs_ctx_ref(struct fs_ctx *fs);
void fs_ctx_put(struct fs_ctx *fs);
/* Whoever stands in, or has as its root, from: in to from now on. */
void fs_ctx_replace_all(const struct path *from, const struct path *to);

/* References to where t stands; t NULL or without an fs_ctx: the root of all. */
/* A reference to the root of container_here(). */
struct path vfs_root_here(void);
struct path fs_ctx_root(struct task *t);
struct path fs_ctx_cwd(struct task *t);

struct path path_ref(struct path p);
void path_put(struct path *p);

/* ---- inodes and dentries, for file systems ---- */

struct super *super_new(const char *type, const struct super_ops *ops, uint64_t magic);
void super_put(struct super *sb);
/* An inode with one reference, times now, ino from the superblock when 0. */
struct inode *inode_new(struct super *sb, const struct inode_ops *ops, const struct file_ops *fops,
                        uint32_t mode, uint64_t ino);
struct inode *inode_ref(struct inode *i);
void inode_put(struct inode *i);
void inode_touch(struct inode *i, unsigned which); /* ATTR_ATIME|MTIME|CTIME to now */
/* It was read: the access time moves, as f and its mount have it. */
void file_accessed(const struct file *f);
struct dentry *dentry_make_root(struct super *sb, struct inode *root); /* takes the reference */
struct dentry *dentry_ref(struct dentry *d);
void dentry_put(struct dentry *d);
/* The child if cached (reference), NULL if not known; a negative one has no inode. */
struct dentry *dentry_cached(struct dentry *parent, const char *name, size_t len);
/* Adds a child (inode reference taken over; NULL: negative), or returns the one that was faster. */
struct dentry *dentry_add(struct dentry *parent, const char *name, size_t len, struct inode *inode);
void dentry_drop(struct dentry *d); /* unhash */

/* A cached negative dentry got an inode (reference taken over). */
void dentry_instantiate(struct dentry *d, struct inode *inode);
/* After a rename: d takes the place of nd, which is unhashed; exchange: they change places. */
int dentry_move(struct dentry *d, struct dentry *nd, bool exchange);
/* The dentry of a directory's inode (reference), NULL when it has none at the moment. */
struct dentry *inode_dir_dentry(struct inode *dir);
static inline struct inode *dentry_inode(const struct dentry *d)
{
    return __atomic_load_n(&d->inode, __ATOMIC_ACQUIRE);
}
/* [io] The child, asked of the file system where it is not cached. A reference, perhaps negative;
 * ERR_PTR. No permission is checked. */
struct dentry *vfs_lookup(struct task *t, struct dentry *parent, const char *name, size_t len);

/* The inode table: for file systems whose inodes are found by number. */
struct inode *inode_find(struct super *sb, uint64_t ino); /* a reference or NULL */
/* Enters i; where another of that number is there already: puts i and returns that one. */
struct inode *inode_enter(struct inode *i);
/* Enters i, unless it is there, or another of that number. */
void inode_publish(struct inode *i);
/* Its number is another one's from now on. */
void inode_leave(struct inode *i);
struct super *super_ref(struct super *sb);

/* ---- walking ---- */

/*
 * What is still to be walked behind the component being looked up, during a walk; else NULL. A
 * hint for look-ups that pay by the trip: not NUL at the next slash, may hold ".", "..", "//".
 */
extern _Thread_local const char *vfs_walk_rest;
/* O_ACCMODE of the open that a file is being made for; -1: of none. */
extern _Thread_local int vfs_creating;
/* The walk is for an open that will read: look-ups may bring a file's start with them. */
extern _Thread_local bool vfs_walk_opens;

enum {
    WALK_FOLLOW = 1, /* follow a link at the end */
    WALK_DIR = 2,    /* must be a directory */
    WALK_PARENT = 4, /* stop at the parent, last component in struct walk */
    WALK_EMPTY = 8,  /* AT_EMPTY_PATH */
    WALK_BENEATH = 16,
    WALK_IN_ROOT = 32,
    WALK_NO_MAGIC = 64,
    WALK_NO_SYMLINKS = 128,
    WALK_NO_XDEV = 256,
    WALK_CACHED = 512, /* openat2 */
    WALK_LINKS = 1024, /* walk_parent: through links at the end; LAST_ROOT: parent is it (magic) */
};

struct nameidata_last {
    struct path parent; /* reference */
    char name[256];
    size_t len;
    bool trailing_slash;
    enum { LAST_NORM, LAST_DOT, LAST_DOTDOT, LAST_ROOT } type;
};

/* Resolves a kernel-memory path from dfd (AT_FDCWD or a descriptor). *ret is a reference. */
int walk_path(struct task *t, int dfd, const char *path, unsigned flags, struct path *ret);
int walk_parent(struct task *t, int dfd, const char *path, unsigned flags,
                struct nameidata_last *ret);
/* The same with the path still in the guest. */
int walk_user(struct task *t, int dfd, gaddr_t upath, unsigned flags, struct path *ret);

int inode_permission(struct task *t, struct inode *i, int mask); /* R_OK|W_OK|X_OK */
int inode_permission_generic(struct task *t, struct inode *i, int mask);
/* The caller owns i or has CAP_FOWNER. */
bool inode_owner_or_capable(struct task *t, struct inode *i);
int vfs_getattr(struct task *t, const struct path *p, struct kstat *ret);
/* Of an open file, which need not have a path. */
int file_getattr(struct task *t, struct file *f, struct kstat *ret);
/* Checks everything but W_OK for a size. */
int vfs_setattr(struct task *t, const struct path *p, const struct setattr *a);
/* The same for what has no path (a pipe): no mount, no inotify. */
int inode_setattr(struct task *t, struct inode *i, const struct setattr *a);
/* For file systems: the plain answer, and the plain change (all but the size). */
void inode_fill_stat(struct inode *i, struct kstat *ret);
/* The other way: what another object says becomes i's, but for its kind and number. i->lock held. */
void inode_take_stat_locked(struct inode *i, const struct kstat *st);
void inode_apply_attr(struct inode *i, const struct setattr *a);
/* getattr of an inode, by its operation or plain. */
int inode_getattr(struct task *t, struct inode *i, struct kstat *ret);
/* A file is to have that size: -EFBIG (and SIGXFSZ) beyond RLIMIT_FSIZE. */
int vfs_check_size(struct task *t, uint64_t size);
/* Writing takes set-id bits away, unless CAP_FSETID. */
void inode_remove_privs(struct task *t, struct inode *i);
/* Against writing while it is executed: -ETXTBSY when open for writing. Undone by allow. */
int inode_deny_write(struct inode *i);
/* For files that were not opened by their name: they are never counted. */
void file_uncount_writer(struct file *f);
void inode_allow_write(struct inode *i);
/* Opens a resolved path. ERR_PTR. */
struct file *vfs_open(struct task *t, const struct path *p, unsigned flags);
/* open(2) whole: walk, create, open. May be -EWAITING (a FIFO). */
struct file *vfs_open_at(struct task *t, int dfd, const char *path, unsigned flags, uint32_t mode);
/* Among vfs_open_inode's flags: nobody is told of it, nor of what is done with the file. */
#define LX_O_QUIET 0x80000000u
#define LX_O_LOUD 0x20000000u /* they are, though it is opened without a mount */
#define LX_O_EXEC 0x40000000u /* to be executed: listeners are told that, too */
/* An open file of an inode, without any check; p->mnt may be NULL (a lower layer's file). ERR_PTR. */
struct file *vfs_open_inode(struct task *t, const struct path *p, unsigned flags);
/* With openat2's resolve flags as WALK_ flags. */
struct file *vfs_open_how(struct task *t, int dfd, const char *path, unsigned flags, uint32_t mode,
                          unsigned walk);
/* A call that opens is run again: the file that was waited for, open now; ERR_PTR; NULL: none. */
struct file *vfs_open_waited(struct task *t);
ssize_t vfs_read_kernel(struct task *t, struct file *f, void *buf, size_t n, loff_t pos);
/* "/usr/bin/env", relative to t's root; "(deleted)" appended where so. Pointer into buf. */
char *path_string(struct task *t, const struct path *p, char *buf, size_t cap);

/*
 * Changes of the tree, whole calls: walk, locks, permission, operation, inotify. Paths in kernel
 * memory. May be -EWAITING; what they resolved and locked lies in the record (callpath.h) until
 * they return something else. mode is taken through the umask. ret may be NULL.
 */
int vfs_mknod_at(struct task *t, int dfd, const char *path, uint32_t mode, uint64_t rdev,
                 struct path *ret);
int vfs_mkdir_at(struct task *t, int dfd, const char *path, uint32_t mode);
int vfs_symlink_at(struct task *t, const char *target, int dfd, const char *path);
int vfs_link_at(struct task *t, int odfd, const char *old, int ndfd, const char *new, int flags);
int vfs_unlink_at(struct task *t, int dfd, const char *path);
int vfs_rmdir_at(struct task *t, int dfd, const char *path);
int vfs_rename_at(struct task *t, int odfd, const char *old, int ndfd, const char *new,
                  unsigned flags);
ssize_t vfs_readlink(struct task *t, struct inode *i, char *buf, size_t cap);

/* Extended attributes, permission checked; the file system's business where it has operations. */
ssize_t vfs_getxattr(struct task *t, struct inode *i, const char *name, void *buf, size_t n);
int vfs_setxattr(struct task *t, const struct path *p, const char *name, const void *v, size_t n,
                 int flags);
ssize_t vfs_listxattr(struct task *t, struct inode *i, char *buf, size_t n);
int vfs_removexattr(struct task *t, const struct path *p, const char *name);

/* As path_string, without "(deleted)" unless asked for; *ret_reached: it lies beneath t's root. */
char *path_string_flags(struct task *t, const struct path *p, char *buf, size_t cap, bool deleted,
                        bool *ret_reached);

/* The name of d within its own file system. Pointer into buf; ERR_PTR(-ENAMETOOLONG). */
char *dentry_string(const struct dentry *d, char *buf, size_t cap);

/* File operations of directories whose positions are plain numbers and that lie in no store. */
loff_t vfs_dir_llseek(struct task *t, struct file *f, loff_t off, int whence);
int vfs_dir_fsync(struct task *t, struct file *f, bool datasync);

/* ---- mounts ---- */

/* -EROFS when the mount or its file system is read-only. */
int mnt_want_write(const struct path *p);

extern struct vfs {
    struct lock mounts_lock, dcache_lock;
    struct tlock rename;
} vfs;

void vfs_init(void);
/* Mounts sb (reference taken over) on at; NULL at: it becomes the root of container_here(). */
int vfs_mount(struct super *sb, const struct path *at, unsigned flags, const char *source,
              struct mount **ret);

/* Shows from (a directory or file) at another place too. flags 0: those of from's mount. */
int vfs_bind(const struct path *from, const struct path *at, unsigned flags);
/* Takes off a mount that nothing is mounted on. -EINVAL, -EBUSY. */
int vfs_umount(struct mount *m);
/* Steps from a mountpoint to the root of what is mounted on it, as often as needed. */
void path_descend(struct path *p);
/* Each mount in the order of mounting, under mounts_lock; for /proc/PID/mounts. */
int vfs_each_mount(int (*fn)(struct mount *m, void *arg), void *arg);
struct mount *mount_ref(struct mount *m);
void mount_put(struct mount *m);

/* File systems. Each makes a superblock with its root dentry. */
struct super *tmpfs_new(uint32_t mode, uint64_t max_bytes);
struct super *tmpfs_text_new(const char *text); /* its root is a file that holds text */
struct super *proc_new(void);
struct super *sysfs_new(void);
struct super *devtmpfs_new(void); /* /dev: null zero full random urandom tty, pts, shm, fd links */
struct super *devpts_new(void);
/* Opens the character device i->rdev (a node in any file system) as f: sets f->ops. -ENXIO: none. */
int chrdev_open(struct task *t, struct inode *i, struct file *f);
/* dir: an export of the gofer's (its number in the request). */
struct super *gofer_fs_new(unsigned export_id);
/* An export of the second gofer's, shared live; file: the single file of that name in it, or NULL. */
struct super *live_fs_new(unsigned export_id, const char *file);
/* Writes go to memory; lower (reference taken over) is never changed. */
struct super *overlay_new(struct super *lower);
/* The tree in f, an image of type "squashfs" or "erofs" (reference taken over). ERR_PTR. */
struct super *image_new(const char *type, struct file *f);
/* The same of whichever type it is, in a file of under (both references taken over). -ENODEV: of none. */
struct super *image_of_file(struct file *f, struct super *under);
/* The overlay that a guest mounts: directories over one another; upper NULL: none can be changed. */
struct super *union_new(const struct path *upper, const struct path *lower, unsigned nlower);
/* An inode of its own for anonymous files. */
struct inode *anon_inode_new(const char *name);
/* A tmpfs file without a name, host memfd behind it at first map (memfd_create, shared anon maps). */
struct file *shmem_file_new(const char *name, uint64_t size, unsigned flags);
