/* SPDX-License-Identifier: Apache-2.0 */
/* The root of procfs: its table, the processes, self and thread-self. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/pid.h"
#include "sentry/keys/key.h"
#include "sentry/vfs/fscontext.h"
#include "sentry/vfs/locks.h"

static ssize_t put(char *buf, size_t cap, const char *text)
{
    size_t n = MIN(strlen(text), cap);

    memcpy(buf, text, n);
    return (ssize_t)n;
}

static ssize_t read_self(struct task *t, const struct pobj *o, char *buf, size_t cap)
{
    char text[16];

    if (!t || t->group->pidns->id != o->ns)
        return -ENOENT;
    snprintf(text, sizeof text, "%d", t->group->pid);
    return put(buf, cap, text);
}

static ssize_t read_thread_self(struct task *t, const struct pobj *o, char *buf, size_t cap)
{
    char text[40];

    if (!t || t->group->pidns->id != o->ns)
        return -ENOENT;
    snprintf(text, sizeof text, "%d/task/%d", t->group->pid, t->tid);
    return put(buf, cap, text);
}

static ssize_t read_mounts(struct task *t, const struct pobj *o, char *buf, size_t cap)
{
    (void)t, (void)o;
    return put(buf, cap, "self/mounts");
}

static ssize_t read_net(struct task *t, const struct pobj *o, char *buf, size_t cap)
{
    (void)t, (void)o;
    return put(buf, cap, "self/net");
}

/* ---- processes ---- */

struct search {
    int64_t min, best;
};

static int consider(struct tgroup *g, void *arg)
{
    struct search *s = arg;

    if (!g->reaped && g->pid >= s->min && (s->best < 0 || g->pid < s->best))
        s->best = g->pid;
    return 0;
}

static int64_t next_pid(struct task *t, const struct pobj *o, int64_t min)
{
    struct search s = { min, -ENOENT };

    (void)t;
    LOCK_SCOPE(&kernel.tasks_lock);
    const struct pidns *ns = pidns_find_locked(o->ns);

    if (ns)
        tgroup_each_locked(ns, consider, &s);
    return s.best;
}

/* Threads are found too, though not listed. */
static int pid_object(struct task *t, const struct pobj *o, int64_t num, struct pobj *ret)
{
    (void)t;
    if (num <= 0 || num >= PID_LIMIT)
        return -ENOENT;
    LOCK_SCOPE(&kernel.tasks_lock);
    const struct pidns *ns = pidns_find_locked(o->ns);
    struct tgroup *g = ns ? tgroup_find_locked(ns, (pid_t)num) : NULL;
    struct task *c = g || !ns ? NULL : task_find_locked(ns, (pid_t)num);

    if (c)
        g = c->group;
    if (!g || g->reaped)
        return -ENOENT;
    ret->group = tgroup_ref(g);
    ret->task = c ? task_ref(c) : NULL;
    ret->num = 0;
    return 0;
}

/* When it began: a later process of the same number has another directory. */
static uint64_t pid_salt(const struct pobj *o, int64_t num)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    const struct pidns *ns = pidns_find_locked(o->ns);
    struct tgroup *g = ns ? tgroup_find_locked(ns, (pid_t)num) : NULL;

    return g ? (uint64_t)g->start : 0;
}

static PROC_SHOW(show_filesystems)
{
    const char *name;
    bool nodev;

    (void)t, (void)n, (void)o;
    for (unsigned k = 0; (name = fs_type_name(k, &nodev)); k++)
        pt_printf(out, "%s\t%s\n", nodev ? "nodev" : "", name);
    return 0;
}

static void locks_line(void *arg, const char *line)
{
    pt_puts(arg, line);
}

static PROC_SHOW(show_locks)
{
    (void)t, (void)n, (void)o;
    locks_each(locks_line, out);
    return 0;
}

static const char devices[] = "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n"
                              "  5 /dev/ptmx\n 10 misc\n136 pts\n\nBlock devices:\n";
static const char cgroups[] = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
                              "cpuset\t0\t1\t1\ncpu\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n";
static PROC_SHOW(show_cgroups)
{
    (void)t, (void)n, (void)o;
    if (!cgroup_view_put(CGROUP_ALL, out))
        pt_puts(out, cgroups);
    return 0;
}

static const char pressure[] = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
                               "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

static const struct pnode tty_nodes[] = {
    PTEXT("drivers", 0444,
          "/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
          "pty_slave            /dev/pts      136 0-1048575 pty:slave\n"),
    PTEXT("ldiscs", 0444, "n_tty       0\n"),
};
static const struct pdir tty_dir = { PNODES(tty_nodes) };

static const struct pnode pressure_nodes[] = {
    PTEXT("cpu", 0644, pressure),
    PTEXT("io", 0644, pressure),
    PTEXT("memory", 0644, pressure),
};
static const struct pdir pressure_dir = { PNODES(pressure_nodes) };

static PROC_SHOW(show_keys)
{
    (void)n, (void)o;
    keys_show(t, out);
    return 0;
}

static PROC_SHOW(show_key_users)
{
    (void)t, (void)n, (void)o;
    key_users_show(out);
    return 0;
}

static const struct pnode root_nodes[] = {
    PFILE("cgroups", 0444, show_cgroups),
    PTEXT("cmdline", 0444, "quiet\n"),
    PTEXT("consoles", 0444, ""),
    PFILE("cpuinfo", 0444, proc_show_cpuinfo),
    PTEXT("crypto", 0444, ""),
    PTEXT("devices", 0444, devices),
    PTEXT("diskstats", 0444, ""),
    PTEXT("execdomains", 0444, "0-0\tLinux           \t[kernel]\n"),
    PFILE("filesystems", 0444, show_filesystems),
    PTEXT("interrupts", 0444, ""),
    PTEXT("iomem", 0400, ""),
    PTEXT("ioports", 0400, ""),
    PFILE("key-users", 0444, show_key_users),
    PFILE("keys", 0444, show_keys),
    PFILE("loadavg", 0444, proc_show_loadavg),
    PFILE("locks", 0444, show_locks),
    PFILE("meminfo", 0444, proc_show_meminfo),
    PTEXT("misc", 0444, ""),
    PTEXT("modules", 0444, ""),
    PLINK("mounts", read_mounts),
    PLINK("net", read_net),
    PTEXT("partitions", 0444, "major minor  #blocks  name\n\n"),
    PDIR("pressure", &pressure_dir),
    PLINK("self", read_self),
    PTEXT("softirqs", 0444, ""),
    PFILE("stat", 0444, proc_show_cpustat),
    PTEXT("swaps", 0444, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    PDIR("sys", &proc_sys_dir),
    PDIR("sysvipc", &proc_sysvipc_dir),
    PLINK("thread-self", read_thread_self),
    PDIR("tty", &tty_dir),
    PFILE("uptime", 0444, proc_show_uptime),
    PFILE("version", 0444, proc_show_version),
    PFILE("vmstat", 0444, proc_show_vmstat),
    PTEXT("zoneinfo", 0444, ""),
};

static const struct pnode pid_child = { .mode = S_IFDIR | 0555, .dir = &proc_pid_dir };
const struct pdir proc_root_dir = { PNODES(root_nodes), .child = &pid_child, .next = next_pid,
                                    .object = pid_object, .salt = pid_salt };

struct super *proc_new(void)
{
    static const struct pseudo_fs fs = {
        .type = "proc",
        .magic = 0x9fa0,
        .root = &proc_root_dir,
        .owner = proc_owner,
        .alive = proc_alive,
    };

    return pseudo_super_of(&fs, container_here()->pidns->id);
}
