/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/{fd,fdinfo,ns}: descriptors as magic links, and what is known of each. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/fs/nsfs.h"
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

    if (nsfs_is(f->inode)) {
        n = snprintf(text, sizeof text, "%s:[%lu]", kind, ino);
        memcpy(buf, text, MIN((size_t)n, cap));
        return (ssize_t)MIN((size_t)n, cap);
    }
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

#define NAMESPACE(name, shown, kind)                                                               \
    static ssize_t read_##name(struct task *t, const struct pobj *o, char *buf, size_t cap)        \
    {                                                                                              \
        char text[32];                                                                             \
        int n = snprintf(text, sizeof text, "%s:[%lu]", shown, (unsigned long)nsfs_number(kind));  \
                                                                                                   \
        (void)t, (void)o;                                                                          \
        memcpy(buf, text, MIN((size_t)n, cap));                                                    \
        return (ssize_t)MIN((size_t)n, cap);                                                       \
    }                                                                                              \
    static int follow_##name(struct task *t, const struct pobj *o, struct path *ret)               \
    {                                                                                              \
        (void)t, (void)o;                                                                          \
        return nsfs_path(kind, ret);                                                               \
    }
#define NS_LINK(n)                                                                                 \
    {                                                                                              \
        .name = #n, .mode = S_IFLNK | 0777, .readlink = read_##n, .follow = follow_##n             \
    }
NAMESPACE(cgroup, "cgroup", NS_CGROUP)
NAMESPACE(ipc, "ipc", NS_IPC)
NAMESPACE(mnt, "mnt", NS_MNT)
NAMESPACE(net, "net", NS_NET)
NAMESPACE(pid, "pid", NS_PID)
NAMESPACE(pid_for_children, "pid", NS_PID)
NAMESPACE(time, "time", NS_TIME)
NAMESPACE(time_for_children, "time", NS_TIME)
NAMESPACE(user, "user", NS_USER)
NAMESPACE(uts, "uts", NS_UTS)

static const struct pnode ns_nodes[] = {
    NS_LINK(cgroup), NS_LINK(ipc),
    NS_LINK(mnt),    NS_LINK(net),
    NS_LINK(pid),    NS_LINK(pid_for_children),
    NS_LINK(time),   NS_LINK(time_for_children),
    NS_LINK(user),   NS_LINK(uts),
};
const struct pdir proc_ns_dir = { PNODES(ns_nodes), .may_list = proc_may_access };
