/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs: what its files share. A node beneath /proc/PID has the group as its object, one beneath
 * /proc/PID/task/TID the group and the thread, one that goes by a number (fd/N) that, too.
 *
 * Everything is made from the sentry's own state; of the host only the processor model and the
 * counts of the memory and cpu time that the stubs use are shown.
 */
#pragma once

#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/kernel/kernel.h"

struct container;
struct files;
struct mm;

#define PROC_SHOW(fn)                                                                              \
    int fn(struct task *t, const struct pnode *n, const struct pobj *o, struct ptext *out)
#define PROC_STORE(fn)                                                                             \
    ssize_t fn(struct task *t, const struct pnode *n, const struct pobj *o, const char *buf,       \
               size_t len)

/* The thread that o stands for: its own, or the leader. NULL: gone. tasks_lock held. */
struct task *proc_task_locked(const struct pobj *o);
bool proc_alive(const struct pobj *o);
void proc_owner(const struct pobj *o, uint32_t *ret_uid, uint32_t *ret_gid);
/* References, or NULL. */
struct mm *proc_mm(const struct pobj *o);
struct files *proc_files(const struct pobj *o);
/* May t look into o as a tracer could? 0, -EACCES, -ESRCH. */
int proc_may_access(struct task *t, const struct pobj *o);
/* Its cwd, root or exe. 0 or -errno. */
enum { PROC_CWD, PROC_ROOT, PROC_EXE };
int proc_path(const struct pobj *o, int which, struct path *ret);
/* The process of an open /proc/PID directory, borrowed from f; NULL: f is none. */
struct tgroup *proc_dir_group(struct file *f);

/* A path of a node without a mount's help: "/x/y", "pipe:[n]", "anon_inode:[eventfd]". */
ssize_t proc_path_text(struct task *t, const struct path *p, char *buf, size_t cap);
ssize_t proc_file_text(struct task *t, struct file *f, char *buf, size_t cap);

/* Nanoseconds as user space counts processor time. */
static inline uint64_t proc_ticks(uint64_t ns)
{
    return ns / 10000000;
}

/* Resident memory of all guest processes together, in bytes. */
uint64_t proc_rss_total(void);
uint64_t proc_rss_of(struct container *c); /* the same of one container; NULL: of all */
/* Free memory that the guest is told of. */
uint64_t proc_mem_free(void);

extern const struct pdir proc_root_dir, proc_pid_dir, proc_tid_dir, proc_task_dir, proc_fd_dir,
    proc_fdinfo_dir, proc_ns_dir, proc_net_dir, proc_sys_dir, proc_sysvipc_dir;
extern const struct file_ops proc_mem_fops, proc_pagemap_fops;

/* pid_stat.c */
PROC_SHOW(proc_show_stat);
PROC_SHOW(proc_show_statm);
PROC_SHOW(proc_show_status);
/* pid_mem.c */
PROC_SHOW(proc_show_cmdline);
PROC_SHOW(proc_show_environ);
PROC_SHOW(proc_show_auxv);
/* pid_maps.c */
PROC_SHOW(proc_show_maps);
PROC_SHOW(proc_show_smaps);
PROC_SHOW(proc_show_smaps_rollup);
/* pid_misc.c */
PROC_SHOW(proc_show_comm);
PROC_SHOW(proc_show_cgroup);
PROC_STORE(proc_store_comm);
PROC_SHOW(proc_show_limits);
PROC_SHOW(proc_show_io);
PROC_SHOW(proc_show_oom);
PROC_STORE(proc_store_oom);
PROC_SHOW(proc_show_core_filter);
PROC_STORE(proc_store_core_filter);
PROC_SHOW(proc_show_sched);
PROC_SHOW(proc_show_schedstat);
PROC_SHOW(proc_show_slack);
PROC_STORE(proc_store_slack);
PROC_SHOW(proc_show_children);
PROC_SHOW(proc_show_idmap); /* n->arg: 0 users, 1 groups, 2 projects */
PROC_SHOW(proc_show_setgroups);
PROC_SHOW(proc_show_personality);
PROC_SHOW(proc_show_syscall);
PROC_SHOW(proc_show_text); /* fixed text: n->arg is a const char * */
/* pid_query.c */
long proc_maps_ioctl(struct task *t, const struct pobj *o, unsigned cmd, uint64_t arg);
/* mounts.c */
PROC_SHOW(proc_show_mounts);
PROC_SHOW(proc_show_mountinfo);
PROC_SHOW(proc_show_mountstats);
/* cpuinfo.c */
PROC_SHOW(proc_show_cpuinfo);
/* system.c, memory.c */
PROC_SHOW(proc_show_meminfo);
PROC_SHOW(proc_show_vmstat);
PROC_SHOW(proc_show_cpustat);
PROC_SHOW(proc_show_uptime);
PROC_SHOW(proc_show_loadavg);
PROC_SHOW(proc_show_version);

#define PTEXT(n, m, text) PFILE_ARG(n, m, proc_show_text, (long)(uintptr_t)(text))
