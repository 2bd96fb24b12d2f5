/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files (file descriptions) and descriptor tables.
 *
 * An object (pipe, eventfd, socket, ...) embeds struct file as its first member or hangs itself
 * into file->priv, and fills a struct file_ops; that is all the rest of the kernel knows of it.
 */
#pragma once

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "abi/types.h"
#include "sentry/kernel/wait.h"
#include "sentry/mm/copy.h"

struct file;
struct inode;
struct dentry;
struct mount;
struct task;
struct cred;
struct lx_stat;
struct dirent_sink;
struct fasync;

struct path {
    struct mount *mnt;
    struct dentry *dentry;
};

/*
 * Collects the entries of the wait queues that a poll looked at. NULL (or queue NULL) where a poll
 * only asks. The entries' wait_entry belong to the caller.
 */
struct poll_table {
    void (*queue)(struct poll_table *pt, struct waitqueue *q);
    struct task *task; /* who polls; only a signalfd needs to know. NULL: nobody */
    int error;         /* -ENOMEM when an entry could not be had */
};

static inline void poll_wait(struct poll_table *pt, struct waitqueue *q)
{
    if (pt && pt->queue)
        pt->queue(pt, q);
}

/* How a file is to be mapped: what the platform needs to know of it. */
struct mmap_request {
    uint64_t offset, len;
    int prot, flags;     /* as mmap */
    int ret_fd;          /* host descriptor to map, opened with no more rights than needed */
    bool ret_fd_owned;   /* close it after the map */
    bool ret_no_file;    /* the record of the mapping holds no reference on the file */
    bool ret_anon;       /* map anonymous memory instead (/dev/zero) */
    bool ret_secret;     /* kept resident, and in no core file */
    uint64_t ret_offset; /* offset in ret_fd */
    /* What keeps ret_fd until it is mapped, and who lets it go; NULL: f does. */
    void *ret_keep;
    void (*ret_let_go)(void *keep);
};

/*
 * Operations. task is the caller's; none is called with a lock held. All but release may return
 * -EWAITING where they would block (never when O_NONBLOCK: -EAGAIN), and are then called again.
 * An operation that is NULL gives the error behind it.
 */
struct file_ops {
    const char *name; /* for /proc/PID/fd and logs: "pipe", "eventfd", ... */

    /*
     * Read to / write from it at *pos (NULL: a stream), and advance *pos by what was moved; a write
     * that appends (file_appends) sets *pos to the end first, under the lock that makes it atomic.
     * Bytes moved. NULL: -EINVAL. Partial progress over runs lies in t->call.done: an operation
     * adds what it moves in each run to it and returns the sum at the end; the next run's iterator
     * and *pos stand behind what is done. Right to read or write, RLIMIT_FSIZE, set-id bits,
     * O_SYNC and inotify are the caller's (vfs/rw.c).
     */
    ssize_t (*read)(struct task *t, struct file *f, struct iter *it, loff_t *pos);
    ssize_t (*write)(struct task *t, struct file *f, struct iter *it, loff_t *pos);

    /* New position, or error. NULL: -ESPIPE. */
    loff_t (*llseek)(struct task *t, struct file *f, loff_t off, int whence);

    /* POLLIN etc. that hold now; first poll_wait()s on every queue that may change them. NULL:
     * always POLLIN|POLLOUT (epoll: EPERM). Called with LOCK_EPOLL held perhaps. */
    uint32_t (*poll)(struct file *f, struct poll_table *pt);

    /* arg as the guest gave it. NULL or -ENOIOCTLCMD: the common ones, then -ENOTTY. */
    long (*ioctl)(struct task *t, struct file *f, unsigned cmd, uint64_t arg);

    /* An address space's record maps it once more (mm->lock held), or once less. May be NULL. */
    void (*vma_open)(struct file *f);
    void (*vma_close)(struct file *f);

    /* NULL: -ENODEV. */
    int (*mmap)(struct task *t, struct file *f, struct mmap_request *req);

    /* Emits entries from f->pos on. NULL: -ENOTDIR. */
    int (*readdir)(struct task *t, struct file *f, struct dirent_sink *sink);

    int (*fsync)(struct task *t, struct file *f, bool datasync);  /* NULL: -EINVAL */
    int (*truncate)(struct task *t, struct file *f, loff_t size); /* NULL: -EINVAL */
    int (*fallocate)(struct task *t, struct file *f, int mode, loff_t off, loff_t len);
    int (*fadvise)(struct task *t, struct file *f, loff_t off, loff_t len, int advice);

    /* F_SETFL is about to change f->flags. NULL: fine. */
    int (*set_flags)(struct task *t, struct file *f, unsigned flags);

    /* F_ADD_SEALS, F_GET_SEALS of memory files. NULL: -EINVAL. */
    int (*add_seals)(struct task *t, struct file *f, unsigned seals);
    int (*get_seals)(struct file *f);

    /*
     * A call of t's by descriptor fd has said call.lend, and is over. unlend: fd, of which fd_lend had
     * been told, leaves its table (gone; files->lock is held), or what f->flags say has changed.
     */
    void (*lend)(struct task *t, struct file *f, int fd);
    void (*unlend)(struct file *f, bool gone);

    /* A descriptor of it was closed by t (NULL: by the end of its process); may be NULL. */
    void (*flush)(struct task *t, struct file *f);

    /* Text after the common part of /proc/PID/fdinfo/N; appends to buf, returns the length. */
    size_t (*fdinfo)(struct file *f, char *buf, size_t cap);

    /* The last reference went. Frees what ops own; the file itself is freed by file_put. */
    void (*release)(struct file *f);
};

struct file {
    _Atomic int refs;
    const struct file_ops *ops; /* [I] */
    _Atomic unsigned flags;     /* LX_O_ACCMODE and status flags */
    unsigned mode;              /* [I] FMODE_* */
    loff_t pos;                 /* pos_lock where it is shared, see file_pos_lock */
    struct tlock pos_lock;
    struct path path;    /* [I] references; anonymous ones have an anonymous dentry or NULL */
    struct inode *inode; /* [I] reference; NULL for a few anonymous ones */
    struct cred *cred;   /* [I] who opened it */
    void *priv;
    struct list epoll_items; /* LOCK_EPREADY of vfs: epoll items that watch it; */
    bool in_epoll;           /* there have been some: look under the lock before it goes */
    struct {                 /* F_SETOWN, F_SETSIG: kernel/fasync.c; LOCK_LEAF inside */
        int type;
        pid_t pid;
        uint32_t ns; /* whose number that is (kernel/pid.h) */
        int sig;
        uid_t uid, euid;
    } owner;
    struct fasync *fasync; /* O_ASYNC; kernel/fasync.c */
    bool created;          /* [I] by the open itself; F_CREATED_QUERY */
    uint64_t id;           /* [I] unique, never reused */
    const char *anon_name; /* [I] static; "eventfd": /proc/PID/fd shows anon_inode:[eventfd] */
    bool no_notify;        /* [I] no inotify events (O_PATH, internal opens) */
    uint8_t asked;         /* fanotify listeners have allowed: 1 to execute it, 2 to open it */
    _Atomic bool dnotify;  /* F_NOTIFY was used: fs/dnotify.c */
};

enum {
    FMODE_READ = 1,
    FMODE_WRITE = 2,
    FMODE_PATH = 4,   /* O_PATH */
    FMODE_STREAM = 8, /* no position: pos arguments are NULL, pread is -ESPIPE */
    FMODE_EXEC = 16,
    FMODE_DIR_OPEN = 32,
    FMODE_OWN_POS = 128,  /* the object keeps its position itself: pos arguments at it are NULL */
    FMODE_NOT_SENT = 256, /* no socket carries it: it could hold that socket (io_uring) */
    FMODE_WRITER = 64,    /* counted in inode->writers by who opened it; file_put counts it off */
    FMODE_READER = 512,   /* the same in inode->readers: opened for reading alone */
    FMODE_SECRET = 1024,  /* mapped, it is its owner's alone (memfd_secret): mm_peek, mm_poke */
};

/*
 * A file on an anonymous inode ("anon_inode:[name]"; name is static, "eventfd" say). Takes over
 * priv: on failure the caller still owns it. ERR_PTR(-ENOMEM / -ENFILE). flags: LX_O_ACCMODE |
 * O_NONBLOCK. Such files are streams (FMODE_STREAM); clear the bit for one that seeks.
 */
struct file *anon_file_new(const char *name, const struct file_ops *ops, void *priv,
                           unsigned flags);
/*
 * A struct file embedded by an object of size n; zeroed, file first; neither path nor inode nor
 * stream: the caller fills them in (taking references that file_put gives back). ERR_PTR.
 *
 * The end of a file (file_put, last reference): off all epoll sets, inotify's close event, its
 * flock and OFD locks, ops->release, FMODE_WRITER counted off, then path, inode and cred are put.
 */
struct file *file_new_sized(size_t n, const struct file_ops *ops, unsigned flags);

struct file *file_ref(struct file *f);
/* Above the ids of all files there are, at most the id of those to come. */
uint64_t file_next_id(void);
void file_put(struct file *f); /* NULL is fine */
static inline bool file_nonblock(const struct file *f)
{
    return atomic_load(&f->flags) & 04000 /* O_NONBLOCK */;
}
uint32_t file_poll(struct file *f, struct poll_table *pt);

/* ---- descriptor tables ---- */

struct fd_entry {
    struct file *file;
    bool cloexec;
    bool lent; /* fd_lend */
};

struct files {
    _Atomic int refs;
    struct lock lock; /* LOCK_FILES; guards all below */
    struct fd_entry *fds;
    uint64_t *used; /* a bit for each number in use */
    unsigned cap;   /* a multiple of 64 */
    unsigned next;  /* none below it is free */
    bool no_lend;   /* tasks of several address spaces share it */
};

struct files *files_new(void);
struct files *files_copy(struct files *f); /* fork; ERR_PTR */
/* Makes t's table its own where it is shared. 0 or -errno. */
int files_unshare(struct task *t);
struct files *files_ref(struct files *f);
void files_put(struct files *f);       /* last one closes all */
void files_close_exec(struct task *t); /* exec; t->files is not shared any more */

/* A reference, or NULL. fd_get refuses O_PATH files, fd_get_path does not. */
struct file *fd_get(struct task *t, int fd);
struct file *fd_get_path(struct task *t, int fd);

/*
 * Installs f at the lowest free number >= min. Takes over the reference, also on failure (so the
 * caller has nothing to undo). The number; -EMFILE, -ENOMEM.
 */
int fd_install(struct task *t, struct file *f, int min, bool cloexec);
/* At exactly fd, closing what was there (dup2). Takes over the reference. */
int fd_install_at(struct task *t, struct file *f, int fd, bool cloexec);
int fd_close(struct task *t, int fd); /* 0 or -EBADF */
/* Closes (or marks close-on-exec) all numbers from first to last. */
void fd_close_range(struct task *t, unsigned first, unsigned last, bool cloexec_only);
/* lent(f, arg) under files->lock, when fd is f's yet, and what unlend is for may be done. */
void fd_lend(struct task *t, int fd, struct file *f, void (*lent)(struct file *f, void *arg),
             void *arg);
/* Nothing of it is lent any more; from now on, too. */
void files_unlend(struct files *f, bool never);
int fd_get_cloexec(struct task *t, int fd); /* 0, 1, -EBADF */
int fd_set_cloexec(struct task *t, int fd, bool on);

/* ---- reading and writing (vfs/rw.c) ---- */

/* This write of t goes to the end: O_APPEND, or RWF_APPEND of the call. */
bool file_appends(const struct task *t, const struct file *f);

/*
 * One read or write with all that Linux checks around it. off NULL: at the file's own position,
 * which is locked and moved; else at *off (-ESPIPE for a stream), which is moved. it stands behind
 * t->call.done (iter_skip it in a later run). May be -EWAITING.
 */
ssize_t file_read(struct task *t, struct file *f, struct iter *it, loff_t *off);
ssize_t file_write(struct task *t, struct file *f, struct iter *it, loff_t *off);

/* ---- positions ---- */

/* Locks f->pos where f is shared and seekable; 0 or -EWAITING. file_pos_unlock when done. */
int file_pos_lock(struct task *t, struct file *f) __must_check;
void file_pos_unlock(struct task *t, struct file *f);
