/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/{stat,statm,status}: one look at a process under tasks_lock, then three ways to print. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/sched.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"

struct snapshot {
    pid_t tid, tgid, ppid, pgid, sid;
    char comm[16], state;
    unsigned threads;
    uint32_t uid[4], gid[4], ngroups, groups[32];
    sigset64 pending, shared, blocked, ignored, caught;
    uint64_t utime, stime, cutime, cstime, start;
    struct rusage_extra ru, cru;
    uint64_t caps[5];
    struct task_sched sched;
    int exit_signal, exit_code, nqueued;
    bool no_new_privs, dead;
    uint64_t maxrss;
    struct rlimit rss, sigpending;
    uint32_t tty;
    pid_t tpgid;
    uint32_t umask;
    unsigned fdsize;
    bool has_fs;
};

static char state_of(const struct pobj *o, struct task *t, const struct task *reader)
{
    const struct tgroup *g = o->group;

    if (t->dead || g->zombie)
        return 'Z';
    if (g->is_sentry)
        return 'S';
    if (g->stopped)
        return 'T';
    if (t == reader)
        return 'R';
    if (atomic_load(&t->where) == IN_GUEST)
        return task_runs_locked(t) ? 'R' : 'S';
    switch (atomic_load(&t->rec)) {
    case REC_QUEUED:
    case REC_WAITING:
        return 'S';
    default:
        return 'R';
    }
}

static void take_signals(struct snapshot *s, const struct tgroup *g, struct task *t)
{
    struct sigqueue *q;

    s->pending = t->pending.set;
    s->shared = g->pending.set;
    signal_pull_mask_locked(t);
    s->blocked = t->blocked;
    for (int k = 0; g->sighand && k < LX_NSIG; k++) {
        uint64_t h = g->sighand->action[k].handler;
        if (h == 1)
            s->ignored |= 1ull << k;
        else if (h)
            s->caught |= 1ull << k;
    }
    list_for_each(q, &t->pending.queue, link)
        s->nqueued++;
    list_for_each(q, &g->pending.queue, link)
        s->nqueued++;
}

static void take_cred(struct snapshot *s, const struct cred *c)
{
    memcpy(s->uid, (uint32_t[4]){ c->uid, c->euid, c->suid, c->fsuid }, sizeof s->uid);
    memcpy(s->gid, (uint32_t[4]){ c->gid, c->egid, c->sgid, c->fsgid }, sizeof s->gid);
    s->ngroups = MIN(c->ngroups, (unsigned)ARRAY_SIZE(s->groups));
    for (unsigned k = 0; k < s->ngroups; k++)
        s->groups[k] = c->groups[k];
    s->caps[0] = c->cap_inheritable;
    s->caps[1] = c->cap_permitted;
    s->caps[2] = c->cap_effective;
    s->caps[3] = c->cap_bset;
    s->caps[4] = c->cap_ambient;
    s->no_new_privs = c->no_new_privs;
}

static void add_ru(struct rusage_extra *to, const struct rusage_extra *from)
{
    to->minflt += from->minflt;
    to->majflt += from->majflt;
    to->nvcsw += from->nvcsw;
    to->nivcsw += from->nivcsw;
}

/* one_thread: times of the thread alone. */
static int take(struct snapshot *s, struct task *reader, const struct pobj *o, bool one_thread)
{
    memset(s, 0, sizeof *s);
    LOCK_SCOPE(&kernel.tasks_lock);
    struct tgroup *g = o->group;
    struct task *t = proc_task_locked(o), *c;

    if (!t)
        return -ESRCH;
    s->tid = o->task ? t->tid : g->pid;
    s->tgid = g->pid;
    s->ppid = g->parent ? g->parent->pid : 0;
    s->pgid = group_pgid(g);
    s->sid = group_sid(g);
    memcpy(s->comm, t->comm, sizeof s->comm);
    s->comm[15] = 0;
    s->state = state_of(o, t, reader);
    s->dead = s->state == 'Z';
    list_for_each(c, &g->tasks, group_link) {
        s->threads += !c->dead || c == g->leader;
        if (!one_thread || c == t)
            add_ru(&s->ru, &c->ru);
    }
    if (t->cred)
        take_cred(s, t->cred);
    take_signals(s, g, t);
    if (one_thread)
        task_cputime_locked(t, &s->utime, &s->stime);
    else
        group_cputime_locked(g, &s->utime, &s->stime);
    s->cutime = g->cutime_ns;
    s->cstime = g->cstime_ns;
    s->cru = g->cru;
    s->start = (uint64_t)g->start;
    s->sched = t->sched;
    s->exit_signal = t->exit_signal;
    s->exit_code = g->exit_code;
    s->maxrss = g->maxrss;
    s->rss = g->rlim[RLIMIT_RSS];
    s->sigpending = g->rlim[RLIMIT_SIGPENDING];
    s->tpgid = -1;
    if (g->session) {
        s->tty = (uint32_t)tty_session_rdev_locked(g->session);
        s->tpgid = tty_session_pgrp_locked(g->session);
    }
    if (t->fs)
        s->umask = t->fs->umask, s->has_fs = true; /* one word: read without its lock */
    if (t->files)
        s->fdsize = t->files->cap;
    return 0;
}

struct memory {
    bool there;
    uint64_t locked;
    struct as_usage use;
    uint64_t code, start_code, end_code, data, start_data, end_data, start_brk, brk, start_stack,
        arg_start, arg_end, env_start, env_end;
};

static void take_memory(struct memory *m, const struct pobj *o)
{
    struct mm *mm = proc_mm(o);

    memset(m, 0, sizeof *m);
    if (!mm)
        return;
    m->there = true;
    if (kernel.platform->as_usage(mm->as, &m->use) < 0)
        memset(&m->use, 0, sizeof m->use);
    lock(&mm->lock);
    m->start_code = mm->start_code;
    m->end_code = mm->end_code;
    m->code = mm->end_code - mm->start_code;
    m->start_data = mm->start_data;
    m->end_data = mm->end_data;
    m->start_brk = mm->brk_start;
    m->brk = mm->brk;
    m->start_stack = mm->start_stack;
    m->arg_start = mm->arg_start;
    m->arg_end = mm->arg_end;
    m->env_start = mm->env_start;
    m->env_end = mm->env_end;
    unlock(&mm->lock);
    mm_put(mm);
}

static int stat_priority(const struct task_sched *s)
{
    if (s->policy == 6 /* SCHED_DEADLINE */)
        return -101;
    return s->priority ? -1 - s->priority : 20 + s->nice;
}

static uint64_t locked_memory(const struct pobj *o)
{
    struct mm *mm = proc_mm(o);
    uint64_t n = mm ? mm_locked(mm) : 0;

    mm_put(mm);
    return n;
}

/* Sizes of this file's memory that only a tracer may see are zero for others. */
PROC_SHOW(proc_show_stat)
{
    struct snapshot s;
    struct memory m;
    int r = take(&s, t, o, n->arg);
    bool may = proc_may_access(t, o) == 0;

    if (r < 0)
        return r;
    take_memory(&m, o);
    pt_printf(out, "%d (%s) %c %d %d %d %u %d %u %lu %lu %lu %lu", s.tid, s.comm, s.state, s.ppid,
              s.pgid, s.sid, s.tty, s.tpgid, m.there ? 4194304u : 4194316u,
              (unsigned long)s.ru.minflt, (unsigned long)s.cru.minflt, (unsigned long)s.ru.majflt,
              (unsigned long)s.cru.majflt);
    pt_printf(out, " %lu %lu %lu %lu %d %d %u 0 %lu %lu %lu %lu",
              (unsigned long)proc_ticks(s.utime), (unsigned long)proc_ticks(s.stime),
              (unsigned long)proc_ticks(s.cutime), (unsigned long)proc_ticks(s.cstime),
              stat_priority(&s.sched), s.sched.nice, s.threads, (unsigned long)proc_ticks(s.start),
              (unsigned long)m.use.vsize, (unsigned long)(m.use.rss / PAGE_SIZE_4K),
              (unsigned long)s.rss.rlim_cur);
    pt_printf(out, " %lu %lu %lu 0 0 %lu %lu %lu %lu 0 0 0 %d 0 %d %d 0 0 0",
              may ? (unsigned long)m.start_code : 1ul, may ? (unsigned long)m.end_code : 1ul,
              may ? (unsigned long)m.start_stack : 0ul, (unsigned long)(s.pending & 0x7fffffff),
              (unsigned long)(s.blocked & 0x7fffffff), (unsigned long)(s.ignored & 0x7fffffff),
              (unsigned long)(s.caught & 0x7fffffff),
              o->task && o->task != o->group->leader ? -1 : s.exit_signal, s.sched.priority,
              s.sched.policy);
    if (may)
        pt_printf(out, " %lu %lu %lu %lu %lu %lu %lu %d\n", (unsigned long)m.start_data,
                  (unsigned long)m.end_data, (unsigned long)m.start_brk, (unsigned long)m.arg_start,
                  (unsigned long)m.arg_end, (unsigned long)m.env_start, (unsigned long)m.env_end,
                  s.exit_code);
    else
        pt_puts(out, " 0 0 0 0 0 0 0 0\n");
    return 0;
}

PROC_SHOW(proc_show_statm)
{
    struct memory m;

    (void)t, (void)n;
    take_memory(&m, o);
    pt_printf(out, "%lu %lu 0 %lu 0 %lu 0\n", (unsigned long)(m.use.vsize / PAGE_SIZE_4K),
              (unsigned long)(m.use.rss / PAGE_SIZE_4K),
              (unsigned long)(PAGE_ALIGN_UP(m.code) / PAGE_SIZE_4K),
              (unsigned long)(m.use.vsize > m.code ? (m.use.vsize - m.code) / PAGE_SIZE_4K : 0));
    return 0;
}

static const char *state_name(char c)
{
    switch (c) {
    case 'R':
        return "R (running)";
    case 'S':
        return "S (sleeping)";
    case 'T':
        return "T (stopped)";
    default:
        return "Z (zombie)";
    }
}

static void status_memory(const struct snapshot *s, const struct memory *m, struct ptext *out)
{
    unsigned long kib = 1024, size = m->use.vsize / kib, rss = m->use.rss / kib;

    if (!m->there)
        return;
    pt_printf(out,
              "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmPin:\t%8lu kB\n"
              "VmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\nRssAnon:\t%8lu kB\nRssFile:\t%8lu kB\n"
              "RssShmem:\t%8lu kB\nVmData:\t%8lu kB\nVmStk:\t%8lu kB\nVmExe:\t%8lu kB\n"
              "VmLib:\t%8lu kB\nVmPTE:\t%8lu kB\nVmSwap:\t%8lu kB\nHugetlbPages:\t%8lu kB\n",
              size, size, (unsigned long)m->locked / kib, 0ul, MAX(rss, (unsigned long)s->maxrss),
              rss, rss, 0ul, 0ul,
              (unsigned long)(m->end_data - m->start_data + m->brk - m->start_brk) / kib, 132ul,
              (unsigned long)m->code / kib, 0ul, size / 512 + 4, 0ul, 0ul);
    pt_puts(out, "CoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff\n");
}

/* "f" or "ffffffff,ffffffff"; and "0-3,5". */
static void status_cpus(const struct task_sched *sched, struct ptext *out)
{
    uint64_t cpus[16];
    unsigned ids = sched_cpus(sched, cpus), words = (ids + 31) / 32, cpu = 0, from;
    const char *sep = "";

    pt_puts(out, "Cpus_allowed:\t");
    for (unsigned k = words; k-- > 0;)
        pt_printf(out, k == words - 1 ? "%lx%s" : "%08lx%s",
                  (unsigned long)(cpus[k / 2] >> 32 * (k % 2) & 0xffffffff), k ? "," : "");
    pt_puts(out, "\nCpus_allowed_list:\t");
    while (cpu < ids) {
        if (!(cpus[cpu / 64] >> cpu % 64 & 1)) {
            cpu++;
            continue;
        }
        for (from = cpu; cpu < ids && cpus[cpu / 64] >> cpu % 64 & 1; cpu++)
            ;
        pt_printf(out, cpu - from > 1 ? "%s%u-%u" : "%s%u", sep, from, cpu - 1);
        sep = ",";
    }
    pt_puts(out, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

/* A name as status shows it: \ and newline are escaped. */
static void status_name(const char *comm, struct ptext *out)
{
    pt_puts(out, "Name:\t");
    for (; *comm; comm++) {
        if (*comm == '\n')
            pt_puts(out, "\\n");
        else if (*comm == '\\')
            pt_puts(out, "\\\\");
        else
            pt_bytes(out, comm, 1);
    }
    pt_puts(out, "\n");
}

PROC_SHOW(proc_show_status)
{
    static const char *const caps[] = { "Inh", "Prm", "Eff", "Bnd", "Amb" };
    struct snapshot s;
    struct memory m;
    int r = take(&s, t, o, o->task != NULL);

    (void)n;
    if (r < 0)
        return r;
    take_memory(&m, o);
    m.locked = locked_memory(o);
    status_name(s.comm, out);
    if (s.has_fs)
        pt_printf(out, "Umask:\t%#04o\n", s.umask);
    pt_printf(out, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
              state_name(s.state), s.tgid, s.tid, s.ppid);
    pt_printf(out, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\nGroups:\t", s.uid[0],
              s.uid[1], s.uid[2], s.uid[3], s.gid[0], s.gid[1], s.gid[2], s.gid[3], s.fdsize);
    for (unsigned k = 0; k < s.ngroups; k++)
        pt_printf(out, "%u ", s.groups[k]);
    pt_printf(out, "\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\nKthread:\t0\n", s.tgid,
              s.tid, s.pgid, s.sid);
    status_memory(&s, &m, out);
    pt_printf(out,
              "Threads:\t%u\nSigQ:\t%d/%lu\nSigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n"
              "SigIgn:\t%016lx\nSigCgt:\t%016lx\n",
              s.threads, s.nqueued, (unsigned long)s.sigpending.rlim_cur, (unsigned long)s.pending,
              (unsigned long)s.shared, (unsigned long)s.blocked, (unsigned long)s.ignored,
              (unsigned long)s.caught);
    for (unsigned k = 0; k < ARRAY_SIZE(caps); k++)
        pt_printf(out, "Cap%s:\t%016lx\n", caps[k], (unsigned long)s.caps[k]);
    pt_printf(out,
              "NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n"
              "Speculation_Store_Bypass:\tnot vulnerable\n"
              "SpeculationIndirectBranch:\tnot affected\n",
              s.no_new_privs);
    status_cpus(&s.sched, out);
    pt_printf(out, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
              (unsigned long)s.ru.nvcsw, (unsigned long)s.ru.nivcsw);
    return 0;
}
