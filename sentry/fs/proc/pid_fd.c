/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/{fd,fdinfo,ns}: descriptors as magic links, and what is known of each. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/file.h"

static struct file *get_file(const struct pobj *o, int64_t fd, bool *ret_cloexec)
{
    struct files *files = proc_files(o);
    struct file *f = NULL;

    if (!files)
        return NULL;
    lock(&files->lock);
    if (fd >= 0 && fd < files->cap && files->fds[fd].file) {
        f = file_ref(files->fds[fd].file);
        *ret_cloexec = files->fds[fd].cloexec;
    }
    unlock(&files->lock);
    files_put(files);
    return f;
}

static int64_t next_fd(struct task *t, const struct pobj *o, int64_t min)
{
    struct files *files = proc_files(o);
    int64_t r = -ENOENT;

    (void)t;
    if (!files)
        return -ENOENT;
    lock(&files->lock);
    for (int64_t fd = min; fd < files->cap && r < 0; fd++)
        if (files->fds[fd].file)
            r = fd;
    unlock(&files->lock);
    files_put(files);
    return r;
}

static int fd_object(struct task *t, const struct pobj *o, int64_t num, struct pobj *ret)
{
    bool cloexec;
    struct file *f = get_file(o, num, &cloexec);

    (void)t;
    if (!f)
        return -ENOENT;
    file_put(f);
    *ret = pobj_ref(o);
    ret->num = num;
    return 0;
}

/* What it was opened for. */
static uint32_t fd_mode(const struct pobj *o)
{
    bool cloexec;
    struct file *f = get_file(o, o->num, &cloexec);
    uint32_t bits = 0;

    if (f && f->mode & FMODE_READ)
        bits |= 0500;
    if (f && f->mode & FMODE_WRITE)
        bits |= 0300;
    file_put(f);
    return bits;
}

ssize_t proc_file_text(struct task *t, struct file *f, char *buf, size_t cap)
{
    const char *kind = f->anon_name ? f->anon_name : f->ops->name;
    unsigned long ino = f->inode ? f->inode->ino : f->id;
    char text[80];
    int n;

    /* A memfd's dentry is in no mount, but it has a name. */
    if (f->path.dentry && kind[0] != '/' && (f->path.mnt || (f->inode && S_ISREG(f->inode->mode))))
        return proc_path_text(t, &f->path, buf, cap);
    if (f->inode && S_ISFIFO(f->inode->mode))
        n = snprintf(text, sizeof text, "pipe:[%lu]", ino);
    else if (f->inode && S_ISSOCK(f->inode->mode))
        n = snprintf(text, sizeof text, "socket:[%lu]", ino);
    else if (!strncmp(kind, "memfd:", 6) || kind[0] == '/')
        n = snprintf(text, sizeof text, "%s%s", kind[0] == '/' ? "" : "/", kind);
    else
        n = snprintf(text, sizeof text, "anon_inode:[%s]", kind);
    n = MIN(n, (int)sizeof text - 1);
    memcpy(buf, text, MIN((size_t)n, cap));
    return (ssize_t)MIN((size_t)n, cap);
}

static ssize_t fd_readlink(struct task *t, const struct pobj *o, char *buf, size_t cap)
{
    bool cloexec;
    int r = proc_may_access(t, o);
    struct file *f = r < 0 ? NULL : get_file(o, o->num, &cloexec);

    if (!f)
        return r < 0 ? r : -ENOENT;
    ssize_t n = proc_file_text(t, f, buf, cap);
    file_put(f);
    return n;
}

static int fd_follow(struct task *t, const struct pobj *o, struct path *ret)
{
    bool cloexec;
    int r = proc_may_access(t, o);
    struct file *f = r < 0 ? NULL : get_file(o, o->num, &cloexec);

    if (!f)
        return r < 0 ? r : -ENOENT;
    r = 0;
    *ret = (struct path){ .mnt = NULL };
    if (f->path.dentry)
        *ret = path_ref(f->path);
    else if (f->inode)
        ret->dentry = dentry_new_anon(inode_ref(f->inode));
    else
        r = -ENXIO;
    if (!r && !ret->dentry)
        r = -ENOMEM;
    file_put(f);
    return r;
}

static PROC_SHOW(show_fdinfo)
{
    bool cloexec = false;
    struct file *f = get_file(o, o->num, &cloexec);
    char more[4096];

    (void)t, (void)n;
    if (!f)
        return -ENOENT;
    pt_printf(out, "pos:\t%ld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%lu\n", (long)f->pos,
              atomic_load(&f->flags) | (cloexec ? O_CLOEXEC : 0u) | 0100000u,
              f->path.mnt ? f->path.mnt->id : 15, f->inode ? (unsigned long)f->inode->ino : 0ul);
    if (f->ops->fdinfo) {
        size_t len = f->ops->fdinfo(f, more, sizeof more);
        pt_bytes(out, more, MIN(len, sizeof more));
    }
    file_put(f);
    return 0;
}

static const struct pnode fd_child = { .mode = S_IFLNK | 0700,
                                       .readlink = fd_readlink,
                                       .follow = fd_follow };
static const struct pnode fdinfo_child = { .mode = S_IFREG | 0444, .show = show_fdinfo };

const struct pdir proc_fd_dir = { .child = &fd_child,
                                  .next = next_fd,
                                  .object = fd_object,
                                  .child_mode = fd_mode,
                                  .may_list = proc_may_access };
const struct pdir proc_fdinfo_dir = {
    .child = &fdinfo_child, .next = next_fd, .object = fd_object, .may_list = proc_may_access
};

/* ---- ns: one of each, the sandbox's own ---- */

#define NAMESPACE(n, number)                                                                       \
    static ssize_t read_##n(struct task *t, const struct pobj *o, char *buf, size_t cap)           \
    {                                                                                              \
        static const char text[] = #n ":[" #number "]";                                            \
        (void)t, (void)o;                                                                          \
        memcpy(buf, text, MIN(sizeof text - 1, cap));                                              \
        return (ssize_t)MIN(sizeof text - 1, cap);                                                 \
    }
NAMESPACE(cgroup, 4026531835)
NAMESPACE(ipc, 4026531839)
NAMESPACE(mnt, 4026531841)
NAMESPACE(net, 4026531840)
NAMESPACE(pid, 4026531836)
NAMESPACE(time, 4026531834)
NAMESPACE(user, 4026531837)
NAMESPACE(uts, 4026531838)

static ssize_t read_pid_for_children(struct task *t, const struct pobj *o, char *buf, size_t cap)
{
    return read_pid(t, o, buf, cap);
}

static ssize_t read_time_for_children(struct task *t, const struct pobj *o, char *buf, size_t cap)
{
    return read_time(t, o, buf, cap);
}

static const struct pnode ns_nodes[] = {
    PLINK("cgroup", read_cgroup), PLINK("ipc", read_ipc),
    PLINK("mnt", read_mnt),       PLINK("net", read_net),
    PLINK("pid", read_pid),       PLINK("pid_for_children", read_pid_for_children),
    PLINK("time", read_time),     PLINK("time_for_children", read_time_for_children),
    PLINK("user", read_user),     PLINK("uts", read_uts),
};
const struct pdir proc_ns_dir = { PNODES(ns_nodes), .may_list = proc_may_access };
