/* SPDX-License-Identifier: Apache-2.0 */
/* fsopen, fspick, fsconfig, fsmount: a mount in steps, with a file for what is being set up. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/syscalls/mountcalls.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/fscontext.h"

#define KEY_MAX 256
#define BLOB_MAX (1 << 20)

struct setup { /* file->priv */
    struct tlock busy;
    enum { CREATE_PARAMS, AWAITING_MOUNT, AWAITING_RECONF, RECONF_PARAMS, FAILED } phase;
    struct fs_context fc;
    struct super *sb; /* a reference; NULL: not made yet */
};

static ssize_t setup_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)t, (void)f, (void)it, (void)pos;
    return -ENODATA; /* no message is ever left there */
}

static void setup_free(struct setup *s)
{
    fscontext_done(&s->fc);
    super_put(s->sb);
    tlock_done(&s->busy);
    kfree(s);
}

static void setup_release(struct file *f)
{
    setup_free(f->priv);
}

static const struct file_ops setup_ops = {
    .name = "fscontext",
    .read = setup_read,
    .release = setup_release,
};

static long setup_install(struct task *t, struct setup *s, bool cloexec)
{
    struct file *f = anon_file_new("fscontext", &setup_ops, s, O_RDWR);

    if (IS_ERR(f)) {
        setup_free(s);
        return PTR_ERR(f);
    }
    return fd_install(t, f, 0, cloexec);
}

static struct setup *setup_new(const char *type, int *ret_error)
{
    struct setup *s = kzalloc(sizeof *s);

    *ret_error = -ENOMEM;
    if (!s)
        return NULL;
    tlock_init(&s->busy);
    *ret_error = fscontext_init(&s->fc, type);
    if (*ret_error == 0)
        return s;
    tlock_done(&s->busy);
    kfree(s);
    return NULL;
}

long sys_fsopen(struct task *t, gaddr_t uname, unsigned long flags)
{
    char name[KEY_MAX];
    struct setup *s;
    ssize_t n;
    int r;

    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned long)LX_FSOPEN_CLOEXEC)
        return -EINVAL;
    n = copy_in_str(t, name, uname, sizeof name);
    if (n < 0)
        return n == -ENAMETOOLONG ? -ENODEV : n;
    s = setup_new(name, &r);
    return s ? setup_install(t, s, flags & LX_FSOPEN_CLOEXEC) : r;
}

long sys_fspick(struct task *t, int dfd, gaddr_t upath, unsigned long flags)
{
    unsigned walk = flags & LX_FSPICK_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
    struct setup *s = NULL;
    struct path p;
    int r;

    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned long)(LX_FSPICK_CLOEXEC | LX_FSPICK_SYMLINK_NOFOLLOW |
                                 LX_FSPICK_NO_AUTOMOUNT | LX_FSPICK_EMPTY_PATH))
        return -EINVAL;
    r = walk_user(t, dfd, upath, flags & LX_FSPICK_EMPTY_PATH ? walk | WALK_EMPTY : walk, &p);
    if (r < 0)
        return r;
    if (!p.mnt || p.dentry != p.mnt->root)
        r = -EINVAL;
    else
        s = setup_new(p.mnt->sb->type, &r);
    if (s) {
        s->phase = RECONF_PARAMS;
        s->sb = super_ref(p.mnt->sb);
    }
    path_put(&p);
    return s ? setup_install(t, s, flags & LX_FSPICK_CLOEXEC) : r == -ENODEV ? -EOPNOTSUPP : r;
}

/* ---- fsconfig ---- */

static int create(struct task *t, struct setup *s)
{
    struct super *sb;

    if (s->phase != CREATE_PARAMS)
        return -EBUSY;
    sb = fscontext_create(t, &s->fc);
    if (IS_ERR(sb)) {
        s->phase = FAILED;
        return PTR_ERR(sb);
    }
    s->sb = sb;
    s->phase = AWAITING_MOUNT;
    return 0;
}

static int reconfigure(struct setup *s)
{
    int r;

    if (s->phase != RECONF_PARAMS)
        return -EBUSY;
    lock(&vfs.mounts_lock);
    if (s->fc.sb_flags & 1 /* MS_RDONLY */ && !s->sb->readonly && mount_writers_locked(s->sb, NULL))
        r = -EBUSY;
    else
        r = fscontext_reconfigure(&s->fc, s->sb);
    unlock(&vfs.mounts_lock);
    s->phase = r < 0 ? FAILED : RECONF_PARAMS;
    return r;
}

/* Which of key, value and aux a command has; what else is given is an error. */
static bool args_ok(unsigned cmd, gaddr_t key, gaddr_t value, int aux)
{
    switch (cmd) {
    case LX_FSCONFIG_SET_FLAG:
        return key && !value && !aux;
    case LX_FSCONFIG_SET_STRING:
        return key && value && !aux;
    case LX_FSCONFIG_SET_BINARY:
        return key && value && aux > 0 && aux <= BLOB_MAX;
    case LX_FSCONFIG_SET_PATH:
    case LX_FSCONFIG_SET_PATH_EMPTY:
        return key && value && (aux == AT_FDCWD || aux >= 0);
    case LX_FSCONFIG_SET_FD:
        return key && !value && aux >= 0;
    default:
        return !key && !value && !aux;
    }
}

static int str_in(struct task *t, char *to, gaddr_t at, size_t cap)
{
    ssize_t n = copy_in_str(t, to, at, cap);

    return n == -ENAMETOOLONG ? -EINVAL : n < 0 ? (int)n : 0;
}

/* No file system here takes anything but flags and strings; what is wrong by itself is said first. */
static int set_other(struct task *t, unsigned cmd, gaddr_t value, int aux)
{
    char path[PATH_MAX];
    struct file *f;
    int r = 0;

    if (cmd == LX_FSCONFIG_SET_PATH || cmd == LX_FSCONFIG_SET_PATH_EMPTY)
        r = path_in(t, path, value);
    else if (cmd == LX_FSCONFIG_SET_FD && !(f = fd_get(t, aux)))
        return -EBADF;
    else if (cmd == LX_FSCONFIG_SET_FD)
        file_put(f);
    return r;
}

static int set(struct task *t, struct setup *s, unsigned cmd, gaddr_t ukey, gaddr_t uvalue, int aux)
{
    char key[KEY_MAX], value[KEY_MAX];
    int r = str_in(t, key, ukey, sizeof key);

    if (r == 0 && cmd == LX_FSCONFIG_SET_STRING)
        r = str_in(t, value, uvalue, sizeof value);
    if (r < 0)
        return r;
    if (cmd > LX_FSCONFIG_SET_STRING)
        r = set_other(t, cmd, uvalue, aux);
    if (r < 0)
        return r;
    if (s->phase != CREATE_PARAMS && s->phase != RECONF_PARAMS)
        return -EBUSY;
    if (cmd > LX_FSCONFIG_SET_STRING)
        return fscontext_general(&s->fc, key) ? 0 : -EINVAL;
    return fscontext_option(&s->fc, key, cmd == LX_FSCONFIG_SET_STRING ? value : NULL);
}

static int configure(struct task *t, struct setup *s, unsigned cmd, gaddr_t key, gaddr_t value,
                     int aux)
{
    /* What a mount that is there was made with is gone over anew. */
    if (s->phase == AWAITING_RECONF) {
        s->phase = RECONF_PARAMS;
        s->fc.given = s->fc.sb_mask = s->fc.sb_flags = 0;
    }
    switch (cmd) {
    case LX_FSCONFIG_CMD_CREATE:
    case LX_FSCONFIG_CMD_CREATE_EXCL:
        return create(t, s);
    case LX_FSCONFIG_CMD_RECONFIGURE:
        return reconfigure(s);
    default:
        return set(t, s, cmd, key, value, aux);
    }
}

/* What fd sets up, locked. May be -EWAITING. */
static int take_setup(struct task *t, int fd, struct setup **ret)
{
    struct file *f = call_file(t, 0, fd);

    if (IS_ERR(f))
        return PTR_ERR(f);
    if (f->ops != &setup_ops)
        return -EINVAL;
    *ret = f->priv;
    return tlock(t, &(*ret)->busy);
}

long sys_fsconfig(struct task *t, int fd, unsigned cmd, gaddr_t key, gaddr_t value, int aux)
{
    struct setup *s;
    int r;

    if (fd < 0)
        return -EINVAL;
    if (cmd > LX_FSCONFIG_CMD_CREATE_EXCL)
        return -EOPNOTSUPP;
    if (!args_ok(cmd, key, value, aux))
        return -EINVAL;
    r = take_setup(t, fd, &s);
    if (r < 0)
        return r;
    r = configure(t, s, cmd, key, value, aux);
    tunlock(t, &s->busy);
    return r;
}

/* ---- fsmount ---- */

int mount_flags_of_attr(uint64_t attr, unsigned *ret)
{
    unsigned m = 0;

    if (attr & LX_MOUNT_ATTR_RDONLY)
        m |= MS_RDONLY;
    if (attr & LX_MOUNT_ATTR_NOSUID)
        m |= MS_NOSUID;
    if (attr & LX_MOUNT_ATTR_NODEV)
        m |= MS_NODEV;
    if (attr & LX_MOUNT_ATTR_NOEXEC)
        m |= MS_NOEXEC;
    if (attr & LX_MOUNT_ATTR_NODIRATIME)
        m |= MS_NODIRATIME;
    if (attr & LX_MOUNT_ATTR_NOSYMFOLLOW)
        m |= LX_MS_NOSYMFOLLOW;
    switch (attr & LX_MOUNT_ATTR_ATIME) {
    case LX_MOUNT_ATTR_RELATIME:
        m |= MS_RELATIME;
        break;
    case LX_MOUNT_ATTR_NOATIME:
        m |= MS_NOATIME;
        break;
    case LX_MOUNT_ATTR_STRICTATIME:
        break;
    default:
        return -EINVAL;
    }
    *ret = m;
    return 0;
}

static int mount_it(struct setup *s, unsigned flags, struct file **ret)
{
    struct mount *m;

    if (!s->sb)
        return -EINVAL;
    if (s->phase != AWAITING_MOUNT)
        return -EBUSY;
    m = mount_detached(super_ref(s->sb), flags, s->fc.source ? s->fc.source : "none");
    if (IS_ERR(m))
        return PTR_ERR(m);
    *ret = mount_file_new(m);
    if (IS_ERR(*ret))
        return PTR_ERR(*ret);
    s->phase = AWAITING_RECONF;
    return 0;
}

long sys_fsmount(struct task *t, int fd, unsigned long flags, unsigned long attr)
{
    struct file *mf = NULL;
    struct setup *s;
    unsigned m;
    int r;

    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned long)LX_FSMOUNT_CLOEXEC ||
        attr & ~(unsigned long)(LX_MOUNT_ATTR_RDONLY | LX_MOUNT_ATTR_NOSUID | LX_MOUNT_ATTR_NODEV |
                                LX_MOUNT_ATTR_NOEXEC | LX_MOUNT_ATTR_ATIME |
                                LX_MOUNT_ATTR_NODIRATIME | LX_MOUNT_ATTR_NOSYMFOLLOW) ||
        mount_flags_of_attr(attr, &m) < 0)
        return -EINVAL;
    r = take_setup(t, fd, &s);
    if (r < 0)
        return r;
    r = mount_it(s, m, &mf);
    tunlock(t, &s->busy);
    return r < 0 ? r : fd_install(t, mf, 0, flags & LX_FSMOUNT_CLOEXEC);
}
