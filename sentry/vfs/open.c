/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open(2): from a path to a struct file. Four steps: walk (with O_CREAT: to the parent, through
 * links at the end), create, check, make the file.
 *
 * Only O_CREAT takes a directory's lock, and only when the name is not there. A FIFO's open waits
 * for the other end: the file then lies in the record and nothing is walked again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sentry/fs/dev.h"
#include "sentry/ipc/pipe.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/learn.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/fsflags.h"
#include "sentry/vfs/lease.h"
#include "sentry/vfs/notify.h"

/* Not kept in f->flags. */
#define OPEN_ONLY_FLAGS                                                                            \
    (O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC | LX_O_QUIET | LX_O_LOUD | LX_O_EXEC)

static const struct file_ops no_ops = { .name = "none" };
static const struct file_ops path_ops = { .name = "path" };

static int open_special(struct task *t, struct inode *i, struct file *f)
{
    switch (i->mode & S_IFMT) {
    case S_IFIFO:
        if (i->fops)
            break; /* a pipe of the host (hostfile.c) */
        return fifo_open(t, i, f);
    case S_IFCHR:
        if (i->ops->open || i->fops)
            break; /* a file system's own device */
        return chrdev_open(t, i, f);
    case S_IFBLK:
    case S_IFSOCK:
        return -ENXIO;
    }
    if (!i->fops && !i->ops->open)
        return -ENXIO; /* an eventfd and the like, through /proc/PID/fd */
    if (i->fops)
        f->ops = i->fops;
    return i->ops->open ? i->ops->open(t, i, f) : 0;
}

/* A regular file counts who writes to it, against those who execute it. */
static int count_writer(struct inode *i, struct file *f)
{
    if (!S_ISREG(i->mode))
        return 0;
    if (!(f->mode & FMODE_WRITE)) {
        if (f->mode & FMODE_READ) {
            atomic_fetch_add(&i->readers, 1);
            f->mode |= FMODE_READER;
        }
        return 0;
    }
    LOCK_SCOPE(&i->lock);
    if (i->writers < 0)
        return -ETXTBSY;
    i->writers++;
    f->mode |= FMODE_WRITER;
    if (f->path.mnt)
        atomic_fetch_add(&f->path.mnt->writers, 1);
    return 0;
}

void file_uncount_writer(struct file *f)
{
    LOCK_SCOPE(&f->inode->lock);
    if (f->mode & FMODE_WRITER) {
        f->inode->writers--;
        if (f->path.mnt)
            atomic_fetch_sub(&f->path.mnt->writers, 1);
    }
    f->mode &= ~(unsigned)FMODE_WRITER;
}

int inode_deny_write(struct inode *i)
{
    LOCK_SCOPE(&i->lock);
    if (i->writers > 0)
        return -ETXTBSY;
    i->writers--;
    return 0;
}

void inode_allow_write(struct inode *i)
{
    LOCK_SCOPE(&i->lock);
    i->writers++;
}

/* Each of the two questions once, however often the call is run. */
static int ask_listeners(struct task *t, struct file *f)
{
    int r = 0;

    if (f->no_notify)
        return 0;
    if (f->mode & FMODE_EXEC && f->asked < 1)
        r = fsnotify_perm(t, f, LX_FS_OPEN_EXEC_PERM);
    if (r == 0 && f->asked < 2) {
        f->asked = 1;
        r = fsnotify_perm(t, f, LX_FS_OPEN_PERM);
    }
    if (r == 0)
        f->asked = 2;
    return r;
}

/* f is new, or one that waited; on failure it is put. */
static struct file *open_finish(struct task *t, struct file *f)
{
    int r = ask_listeners(t, f);

    if (r == 0)
        r = lease_break(t, f->inode, atomic_load(&f->flags));
    if (r == 0)
        r = open_special(t, f->inode, f);
    if (r == -EWAITING && t && callpath_keep_opening(t, f) == 0)
        return ERR_PTR(-EWAITING);
    if (r < 0) {
        f->ops = &no_ops;
        f->no_notify = true;
        file_put(f);
        return ERR_PTR(r);
    }
    atomic_fetch_and(&f->flags, ~(unsigned)O_NOCTTY); /* only opening asks for it */
    if (kernel.learn)
        learn_file(t, f);
    fsnotify_file(f, f->mode & FMODE_EXEC ? LX_IN_OPEN | LX_FS_OPEN_EXEC : LX_IN_OPEN);
    return f;
}

struct file *vfs_open_inode(struct task *t, const struct path *p, unsigned flags)
{
    struct inode *i = dentry_inode(p->dentry);
    struct file *f = file_new_sized(sizeof *f, &no_ops, flags & ~OPEN_ONLY_FLAGS);
    int r;

    if (IS_ERR(f))
        return f;
    f->path = path_ref(*p);
    f->inode = inode_ref(i);
    f->cred = t ? cred_ref(t->cred) : NULL;
    if (!(p->mnt || flags & LX_O_LOUD) || flags & LX_O_QUIET)
        f->no_notify = true;
    if (flags & LX_O_EXEC)
        f->mode |= FMODE_EXEC;
    if (flags & O_PATH) {
        f->ops = &path_ops;
        return f;
    }
    if (is_dir(i))
        f->mode |= FMODE_DIR_OPEN;
    r = count_writer(i, f);
    if (r < 0) {
        f->no_notify = true;
        file_put(f);
        return ERR_PTR(r);
    }
    return open_finish(t, f);
}

static int wanted_access(unsigned flags)
{
    int mask = flags & O_TRUNC ? W_OK : 0;

    switch (flags & LX_O_ACCMODE) {
    case O_RDONLY:
        return mask | R_OK;
    case O_WRONLY:
        return mask | W_OK;
    default:
        return mask | R_OK | W_OK;
    }
}

/* May t open p so? Takes O_TRUNC off where it means nothing. */
static int may_open(struct task *t, const struct path *p, unsigned *flags, bool created)
{
    struct inode *i = dentry_inode(p->dentry);
    int mask = wanted_access(*flags), r;

    switch (i->mode & S_IFMT) {
    case S_IFLNK:
        return -ELOOP;
    case S_IFDIR:
        if (mask & W_OK)
            return -EISDIR;
        break;
    case S_IFCHR:
    case S_IFBLK:
        if (p->mnt && p->mnt->flags & MS_NODEV)
            return -EACCES;
        /* fallthrough */
    case S_IFIFO:
    case S_IFSOCK:
        *flags &= ~O_TRUNC;
        break;
    default:
        if (mask & W_OK && !created) {
            r = mnt_want_write(p);
            if (r < 0)
                return r;
        }
    }
    if (!created) {
        r = inode_permission(t, i, mask);
        if (r < 0)
            return r;
    }
    if (inode_is_append(i) &&
        (*flags & O_TRUNC || ((*flags & LX_O_ACCMODE) != O_RDONLY && !(*flags & O_APPEND))))
        return -EPERM;
    if (*flags & O_NOATIME && !inode_owner_or_capable(t, i))
        return -EPERM;
    return 0;
}

/* It is open. flags: O_CREAT where this open made it, or O_TRUNC where it is to be emptied. */
static struct file *open_done(struct task *t, const struct path *p, struct file *f, unsigned flags)
{
    int r;

    f->created = flags & O_CREAT;
    if (!(flags & O_TRUNC))
        return f;
    r = vfs_setattr(t, p, &(struct setattr){ .valid = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME });
    if (r < 0) {
        file_put(f);
        return ERR_PTR(r);
    }
    return f;
}

static struct file *open_checked(struct task *t, const struct path *p, unsigned flags, bool created)
{
    struct file *f;
    int r;

    if (flags & O_PATH)
        return vfs_open_inode(t, p, flags);
    r = may_open(t, p, &flags, created);
    if (r < 0)
        return ERR_PTR(r);
    f = vfs_open_inode(t, p, flags);
    if (PTR_ERR(f) == -EWAITING)
        t->call.paths->opening_flags = created ? O_CREAT : flags & O_TRUNC;
    return IS_ERR(f) ? f : open_done(t, p, f, created ? O_CREAT : flags & O_TRUNC);
}

struct file *vfs_open(struct task *t, const struct path *p, unsigned flags)
{
    return open_checked(t, p, flags, /* created= */ false);
}

static struct file *open_tmpfile(struct task *t, int dfd, const char *path, unsigned flags,
                                 uint32_t mode, unsigned walk)
{
    struct path dir, p = {};
    struct inode *i = NULL, *di;
    struct file *f;
    int r = walk_path(t, dfd, path, walk | WALK_FOLLOW | WALK_DIR, &dir);

    if (r < 0)
        return ERR_PTR(r);
    di = dentry_inode(dir.dentry);
    r = mnt_want_write(&dir);
    if (r == 0)
        r = inode_permission(t, di, W_OK | X_OK);
    if (r == 0)
        r = di->ops->tmpfile ? di->ops->tmpfile(t, di, acl_umask(t, di, mode), &i) : -EOPNOTSUPP;
    if (r == 0) {
        char name[32];
        int n = snprintf(name, sizeof name, "#%llu", (unsigned long long)i->ino);

        p.dentry = dentry_new_unhashed(dir.dentry, name, n);
        p.mnt = mount_ref(dir.mnt);
        if (p.dentry)
            dentry_instantiate(p.dentry, i);
        else
            inode_put(i), r = -ENOMEM;
    }
    f = r < 0 ? ERR_PTR(r) : open_checked(t, &p, flags & ~O_EXCL, /* created= */ true);
    path_put(&p);
    path_put(&dir);
    return f;
}

/* d, a negative dentry, is made a regular file. The directory is locked. */
static int create_locked(struct task *t, struct path *dir, struct dentry *d, uint32_t mode)
{
    struct inode *di = dentry_inode(dir->dentry), *i = NULL;
    int r = mnt_want_write(dir);

    if (r == 0)
        r = may_create(t, di);
    if (r == 0)
        r = di->ops->create ? di->ops->create(t, di, d, S_IFREG | acl_umask(t, di, mode), &i)
                            : -EACCES;
    if (r < 0)
        return r;
    dentry_instantiate(d, i);
    fsnotify_dirent(di, d->name, LX_IN_CREATE, i);
    return 0;
}

/* The path of the file to open under O_CREAT, which it may have made. *ret is a reference. */
static int find_or_create(struct task *t, struct nameidata_last *last, unsigned flags,
                          uint32_t mode, struct path *ret, bool *ret_created)
{
    struct inode *di = dentry_inode(last->parent.dentry);
    struct dentry *d = vfs_lookup(t, last->parent.dentry, last->name, last->len);
    int r = 0;

    if (IS_ERR(d))
        return PTR_ERR(d);
    if (!dentry_inode(d)) {
        dentry_put(d);
        r = callpath_lock(t, di);
        if (r < 0)
            return r;
        d = vfs_lookup(t, last->parent.dentry, last->name, last->len);
        if (IS_ERR(d))
            return PTR_ERR(d);
        *ret_created = !dentry_inode(d);
        if (*ret_created) {
            vfs_creating = (int)(flags & LX_O_ACCMODE);
            r = create_locked(t, &last->parent, d, mode);
            vfs_creating = -1;
            if (r == -EEXIST && !(flags & O_EXCL))
                r = -ESTALE; /* the host was faster: what it made is opened */
        }
    }
    if (r < 0) {
        dentry_put(d);
        return r;
    }
    *ret = (struct path){ mount_ref(last->parent.mnt), d };
    if (!*ret_created && flags & O_EXCL)
        return -EEXIST;
    path_descend(ret);
    return 0;
}

static struct file *open_create(struct task *t, int dfd, const char *path, unsigned flags,
                                uint32_t mode, unsigned walk)
{
    struct nameidata_last *last;
    struct path p = {};
    struct file *f;
    bool created = false;
    int r;

    if (!(flags & (O_EXCL | O_NOFOLLOW)))
        walk |= WALK_LINKS;
    r = callpath_parent(t, 0, dfd, path, walk, &last);
    if (r < 0)
        return ERR_PTR(r);
    if (last->type == LAST_NORM && last->trailing_slash)
        return ERR_PTR(-EISDIR);
    if (last->type == LAST_NORM)
        r = find_or_create(t, last, flags, mode, &p, &created);
    else if (last->type == LAST_ROOT)
        p = path_ref(last->parent);
    else /* "." and ".." */
        r = -EISDIR;
    if (r == 0 && !created && flags & O_EXCL)
        r = -EEXIST;
    if (r == 0 && is_dir(dentry_inode(p.dentry)))
        r = -EISDIR;
    if (r == 0 && !created && last->type == LAST_NORM)
        r = may_open_in_sticky(t, dentry_inode(last->parent.dentry), dentry_inode(p.dentry));
    f = r < 0 ? ERR_PTR(r) : open_checked(t, &p, flags, created);
    path_put(&p);
    return f;
}

static struct file *open_walk(struct task *t, int dfd, const char *path, unsigned flags,
                              uint32_t mode, unsigned walk)
{
    struct path p;
    struct file *f;
    int r;

    if (flags & O_CREAT)
        return open_create(t, dfd, path, flags, mode, walk);
    if (!(flags & O_NOFOLLOW))
        walk |= WALK_FOLLOW;
    if (flags & O_DIRECTORY)
        walk |= WALK_DIR;
    vfs_walk_opens = !(flags & (O_PATH | O_DIRECTORY)) && (flags & LX_O_ACCMODE) == O_RDONLY;
    r = walk_path(t, dfd, path, walk, &p);
    vfs_walk_opens = false;
    if (r < 0)
        return ERR_PTR(r);
    f = vfs_open(t, &p, flags);
    path_put(&p);
    return f;
}

struct file *vfs_open_waited(struct task *t)
{
    struct file *f = callpath_opening(t);

    if (!f)
        return NULL;
    f = open_finish(t, f);
    return IS_ERR(f) ? f : open_done(t, &f->path, f, t->call.paths->opening_flags);
}

/*
 * How often an open is done again whose file the host replaced meanwhile. Where others make and remove
 * the name all the time one try in ten goes well, so a hundred are too few.
 */
#define STALE_TRIES 1000

struct file *vfs_open_how(struct task *t, int dfd, const char *path, unsigned flags, uint32_t mode,
                          unsigned walk)
{
    struct file *f = t ? vfs_open_waited(t) : NULL;

    if (f)
        ;
    else if ((flags & O_TMPFILE) == O_TMPFILE)
        f = open_tmpfile(t, dfd, path, flags, mode, walk);
    else
        f = open_walk(t, dfd, path, flags, mode, walk);
    /* The file was replaced between the walk and the open (a shared file system): as Linux, again. */
    for (int tries = 0; IS_ERR(f) && PTR_ERR(f) == -ESTALE && tries < STALE_TRIES; tries++) {
        callpath_done(t, -ESTALE);
        f = open_walk(t, dfd, path, flags, mode, walk);
    }
    if (IS_ERR(f) && PTR_ERR(f) == -ESTALE)
        f = ERR_PTR(-ENOENT); /* by way of /proc: it has no name any more */
    callpath_done(t, IS_ERR(f) ? PTR_ERR(f) : 0);
    return f;
}

struct file *vfs_open_at(struct task *t, int dfd, const char *path, unsigned flags, uint32_t mode)
{
    return vfs_open_how(t, dfd, path, flags, mode, /* walk= */ 0);
}

ssize_t vfs_read_kernel(struct task *t, struct file *f, void *buf, size_t n, loff_t pos)
{
    struct iter it;

    if (!f->ops->read)
        return -EINVAL;
    iter_kernel(&it, buf, n);
    return f->ops->read(t, f, &it, &pos);
}

loff_t vfs_dir_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    (void)t;
    if (whence != SEEK_SET && whence != SEEK_CUR)
        return -EINVAL;
    if (__builtin_add_overflow(off, whence == SEEK_CUR ? f->pos : 0, &off) || off < 0)
        return -EINVAL;
    return f->pos = off;
}

int vfs_dir_fsync(struct task *t, struct file *f, bool datasync)
{
    (void)t, (void)f, (void)datasync;
    return 0;
}
