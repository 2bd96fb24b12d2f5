/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID and /proc/PID/task/TID: their tables, who they belong to and who may look into them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/access.h"
#include "sentry/kernel/pid.h"
#include "sentry/mm/mm.h"

/* ---- from an object to what it is ---- */

struct task *proc_task_locked(const struct pobj *o)
{
    assert_locked(&kernel.tasks_lock);
    if (o->task)
        return o->task->dead && o->group && o->group->leader != o->task ? NULL : o->task;
    if (!o->group || o->group->reaped)
        return NULL;
    return o->group->leader;
}

bool proc_alive(const struct pobj *o)
{
    if (!o->group)
        return true;
    LOCK_SCOPE(&kernel.tasks_lock);
    if (o->task)
        return proc_task_locked(o) != NULL;
    return !o->group->reaped;
}

void proc_owner(const struct pobj *o, uint32_t *ret_uid, uint32_t *ret_gid)
{
    *ret_uid = *ret_gid = 0;
    if (!o->group)
        return;
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *t = proc_task_locked(o);
    if (!t || !t->cred || !o->group->dumpable)
        return;
    *ret_uid = t->cred->euid;
    *ret_gid = t->cred->egid;
}

struct mm *proc_mm(const struct pobj *o)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *t = proc_task_locked(o);

    return t && t->mm ? mm_ref(t->mm) : NULL;
}

struct files *proc_files(const struct pobj *o)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *t = proc_task_locked(o);

    return t && t->files ? files_ref(t->files) : NULL;
}

int proc_may_access(struct task *t, const struct pobj *o)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *target = proc_task_locked(o);

    if (!target)
        return -ESRCH;
    if (!t || !target->cred)
        return 0;
    return task_may_access_locked(t, target, true) ? 0 : -EACCES;
}

int proc_path(const struct pobj *o, int which, struct path *ret)
{
    struct fs_ctx *fs = NULL;
    struct file *exe = NULL;

    lock(&kernel.tasks_lock);
    struct task *t = proc_task_locked(o);
    if (t && which == PROC_EXE && t->group->exe && t->mm)
        exe = file_ref(t->group->exe);
    else if (t && which != PROC_EXE && t->fs)
        fs = fs_ctx_ref(t->fs);
    unlock(&kernel.tasks_lock);
    if (exe) {
        *ret = path_ref(exe->path);
        file_put(exe);
        return ret->dentry ? 0 : -ENOENT;
    }
    if (!fs)
        return -ENOENT;
    lock(&fs->lock);
    *ret = path_ref(which == PROC_CWD ? fs->cwd : fs->root);
    unlock(&fs->lock);
    fs_ctx_put(fs);
    return 0;
}

ssize_t proc_path_text(struct task *t, const struct path *p, char *buf, size_t cap)
{
    char tmp[4096 + 16], *s = path_string(t, p, tmp, sizeof tmp);

    if (IS_ERR(s))
        return PTR_ERR(s);
    size_t n = MIN(strlen(s), cap);
    memcpy(buf, s, n);
    return (ssize_t)n;
}

/* ---- cwd, root, exe ---- */

static ssize_t read_path(struct task *t, const struct pobj *o, int which, char *buf, size_t cap)
{
    struct path p;
    int r = proc_may_access(t, o);

    if (r < 0)
        return r;
    r = proc_path(o, which, &p);
    if (r < 0)
        return r;
    ssize_t n = proc_path_text(t, &p, buf, cap);
    path_put(&p);
    return n;
}

static int follow_path(struct task *t, const struct pobj *o, int which, struct path *ret)
{
    int r = proc_may_access(t, o);

    return r < 0 ? r : proc_path(o, which, ret);
}

#define MAGIC(name, which)                                                                         \
    static ssize_t read_##name(struct task *t, const struct pobj *o, char *buf, size_t cap)        \
    {                                                                                              \
        return read_path(t, o, which, buf, cap);                                                   \
    }                                                                                              \
    static int follow_##name(struct task *t, const struct pobj *o, struct path *ret)               \
    {                                                                                              \
        return follow_path(t, o, which, ret);                                                      \
    }
MAGIC(cwd, PROC_CWD)
MAGIC(root, PROC_ROOT)
MAGIC(exe, PROC_EXE)

/* ---- threads of a process ---- */

static int64_t next_tid(struct task *t, const struct pobj *o, int64_t min)
{
    int64_t best = -ENOENT;
    struct task *c;

    (void)t;
    LOCK_SCOPE(&kernel.tasks_lock);
    if (o->group->reaped)
        return -ENOENT;
    list_for_each(c, &o->group->tasks, group_link)
        if (c->tid >= min && (best < 0 || c->tid < best) && (!c->dead || c == o->group->leader))
            best = c->tid;
    return best;
}

static int tid_object(struct task *t, const struct pobj *o, int64_t num, struct pobj *ret)
{
    (void)t;
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *c = num <= PID_LIMIT ? task_find_locked(o->group->pidns, (pid_t)num) : NULL;

    if (!c || c->group != o->group || o->group->reaped)
        return -ENOENT;
    ret->group = tgroup_ref(c->group);
    ret->task = task_ref(c);
    ret->num = 0;
    return 0;
}

/* ---- the tables ---- */

#define MAGIC_LINK(n)                                                                              \
    {                                                                                              \
        .name = #n, .mode = S_IFLNK | 0777, .readlink = read_##n, .follow = follow_##n             \
    }
#define GUARDED(n, m, fn)                                                                          \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = fn, .may_open = proc_may_access                  \
    }

/* What a process and a thread both have. */
#define COMMON_NODES                                                                               \
    { .name = "fd", .mode = S_IFDIR | 0500, .dir = &proc_fd_dir },                                 \
        { .name = "fdinfo", .mode = S_IFDIR | 0555, .dir = &proc_fdinfo_dir },                     \
        { .name = "ns", .mode = S_IFDIR | 0511, .dir = &proc_ns_dir }, PDIR("net", &proc_net_dir), \
        GUARDED("environ", 0400, proc_show_environ), GUARDED("auxv", 0400, proc_show_auxv),        \
        PFILE("status", 0444, proc_show_status),                                                   \
        GUARDED("personality", 0400, proc_show_personality),                                       \
        PFILE("limits", 0444, proc_show_limits),                                                   \
        { .name = "sched", .mode = S_IFREG | 0644, .show = proc_show_sched },                      \
        PFILE_RW("comm", 0644, proc_show_comm, proc_store_comm),                                   \
        GUARDED("syscall", 0400, proc_show_syscall), PFILE("cmdline", 0444, proc_show_cmdline),    \
        PFILE("statm", 0444, proc_show_statm),                                                     \
        { .name = "maps",                                                                          \
          .mode = S_IFREG | 0444,                                                                  \
          .show = proc_show_maps,                                                                  \
          .ioctl = proc_maps_ioctl,                                                                \
          .may_open = proc_may_access },                                                           \
        { .name = "pagemap",                                                                       \
          .mode = S_IFREG | 0400,                                                                  \
          .fops = &proc_pagemap_fops,                                                              \
          .may_open = proc_may_access },                                                           \
        { .name = "mem",                                                                           \
          .mode = S_IFREG | 0600,                                                                  \
          .fops = &proc_mem_fops,                                                                  \
          .may_open = proc_may_access },                                                           \
        MAGIC_LINK(cwd), MAGIC_LINK(root), MAGIC_LINK(exe),                                        \
        PFILE("mounts", 0444, proc_show_mounts), PFILE("mountinfo", 0444, proc_show_mountinfo),    \
        GUARDED("smaps", 0444, proc_show_smaps),                                                   \
        GUARDED("smaps_rollup", 0444, proc_show_smaps_rollup), PTEXT("wchan", 0444, "0"),          \
        GUARDED("stack", 0400, proc_show_text), PFILE("schedstat", 0444, proc_show_schedstat),     \
        PTEXT("cpuset", 0444, "/\n"), PFILE("cgroup", 0444, proc_show_cgroup),                     \
        PFILE_ARG("oom_score", 0444, proc_show_oom, 0),                                            \
        { .name = "oom_adj",                                                                       \
          .mode = S_IFREG | 0644,                                                                  \
          .show = proc_show_oom,                                                                   \
          .store = proc_store_oom,                                                                 \
          .arg = 1 },                                                                              \
        { .name = "oom_score_adj",                                                                 \
          .mode = S_IFREG | 0644,                                                                  \
          .show = proc_show_oom,                                                                   \
          .store = proc_store_oom,                                                                 \
          .arg = 2 },                                                                              \
        PTEXT("loginuid", 0644, "4294967295"), PTEXT("sessionid", 0444, "4294967295"),             \
        GUARDED("io", 0400, proc_show_io), PFILE("uid_map", 0644, proc_show_idmap),                \
        PFILE_ARG("gid_map", 0644, proc_show_idmap, 1),                                            \
        PFILE_ARG("projid_map", 0644, proc_show_idmap, 2),                                         \
        PFILE("setgroups", 0644, proc_show_setgroups)

static const struct pnode tid_nodes[] = {
    COMMON_NODES,
    PFILE_ARG("stat", 0444, proc_show_stat, 1),
    PFILE("children", 0444, proc_show_children),
};
const struct pdir proc_tid_dir = { PNODES(tid_nodes) };

static const struct pnode tid_child = { .mode = S_IFDIR | 0555, .dir = &proc_tid_dir };
const struct pdir proc_task_dir = { .child = &tid_child, .next = next_tid, .object = tid_object };

static const struct pnode pid_nodes[] = {
    PDIR("task", &proc_task_dir),
    COMMON_NODES,
    PFILE_ARG("stat", 0444, proc_show_stat, 0),
    { .name = "mountstats", .mode = S_IFREG | 0400, .show = proc_show_mountstats },
    PFILE_RW("coredump_filter", 0644, proc_show_core_filter, proc_store_core_filter),
    { .name = "timerslack_ns",
      .mode = S_IFREG | 0666,
      .show = proc_show_slack,
      .store = proc_store_slack },
};
const struct pdir proc_pid_dir = { PNODES(pid_nodes) };

struct tgroup *proc_dir_group(struct file *f)
{
    struct inode *i = f->inode;

    if (!i || !i->sb || strcmp(i->sb->type, "proc") != 0 || !S_ISDIR(i->mode) ||
        pnode_of(i)->dir != &proc_pid_dir)
        return NULL;
    return pobj_of(i)->group;
}
