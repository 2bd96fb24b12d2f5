/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks (threads), thread groups (processes), process groups and sessions.
 *
 * Letters behind a member say what guards it:
 *   [I] immutable after creation   [a] atomic   [T] kernel.tasks_lock
 *   [t] the task's own: touched only by the worker that runs its record (it is held, so nobody else
 *       does)   [r] by reference, replaced only by the task itself under tasks_lock
 */
#pragma once

#include <stdatomic.h>
#include <sys/resource.h>

#include "platform/platform.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/mempolicy.h"

struct mm;
struct sx;
struct files;
struct fs_ctx;
struct tty;
struct file;
struct sem_undos;
struct async_ops;
struct pidns;
struct container;
struct uring_task;
struct core;
struct core_thread;
struct pi_wait;
struct key;

enum rec_state {
    REC_RUN,
    REC_QUEUED,
    REC_WOKEN,
    REC_WAITING,
    REC_READY,
    REC_OPS,
    REC_SENDING /* operations are being handed to the context: the record stays */
};
enum { BORN_NOT, BORN_YES, BORN_UNDONE };
enum task_where { IN_SENTRY, IN_GUEST };
enum task_phase { PHASE_CALL, PHASE_RETURN }; /* what a run of the record goes on with */

struct pid_entry { /* one number in the id table; what refers to it keeps it from being reused */
    pid_t nr;
    int refs;
    struct pidns *ns;     /* [I] whose number it is */
    struct task *task;    /* the thread of that tid */
    struct tgroup *group; /* the thread group of that pid, zombie included */
    struct list pgrp;     /* groups in the process group of that id */
    struct list session;  /* groups in the session of that id */
};

struct session {
    _Atomic int refs;
    pid_t sid;                  /* [I] */
    uint32_t ns;                /* [I] whose number that is (pid.h) */
    struct tty *tty;            /* [T] controlling terminal, a reference; NULL: none */
    struct pid_entry *old_pgrp; /* [T] its foreground group when it was hung up; a reference */
};

struct task_sched {            /* what is told again; syscalls/sched.c, priority.c, prctl.c */
    uint64_t affinity[16];     /* all zero: what the host gives */
    uint64_t slack_ns;         /* timer slack; 0: the default */
    uint64_t slack_default_ns; /* what its maker had; 0: 50 us */
    int policy, priority;      /* priority: 1 to 99 with a real-time policy, else 0 */
    int nice;
    uint64_t runtime, dl_deadline, dl_period, dl_flags; /* of SCHED_DEADLINE, nanoseconds */
    uint16_t ioprio;
    bool reset_on_fork;
};

struct task {
    _Atomic int refs;
    pid_t tid;              /* [T] changes when a thread execs and becomes the leader */
    struct tgroup *group;   /* [I] */
    struct list group_link; /* [T] in group->tasks */
    struct pid_entry *pid;  /* [T] */
    struct ctx *ctx;        /* [t] NULL: no guest context (pid 1, zombie) */

    /* the record */
    _Atomic int rec;        /* [a] enum rec_state */
    _Atomic int where;      /* [a] enum task_where */
    _Atomic bool next_gone; /* [a] the context that exec is making has ended */
    _Atomic int born;       /* [a] BORN_*: its first event against the end of a failed clone */
    _Atomic bool ctx_gone;  /* [a] the host ended its context */
    uint64_t eintr_rip;     /* [t] where the guest last went on with -EINTR of ours */
    int phase;              /* [t] enum task_phase */
    struct list ready_link; /* LOCK_READY */
    bool parked;            /* LOCK_READY; kept from going on while frozen (freeze.c) */
    struct call call;       /* [t] */
    struct ktimer deadline; /* armed while waiting */
    bool in_call;           /* [t] a system call is being carried out */
    gaddr_t born_stack, born_settid;    /* [t] clone: what the child starts with; 0: nothing */
    long ret;                           /* [t] its result, when phase is RETURN */
    int restart;                        /* [t] ERESTART kind being decided */
    long (*restart_fn)(struct task *t); /* [t] for restart_syscall */
    uint64_t restart_arg[6];            /* [t] */

    struct mm *mm;       /* [r] */
    struct files *files; /* [r] */
    struct fs_ctx *fs;   /* [r] */
    struct cred *cred;   /* [r] read by others under tasks_lock */

    _Atomic bool sigpending;         /* [a] look at signals before returning to the guest */
    _Atomic bool fatal;              /* [a] a SIGKILL is pending: nothing restarts any more */
    struct sigpending pending;       /* [T] */
    sigset64 blocked, saved_blocked; /* [T] blocked: a copy, see signal_pull_mask_locked */
    sigset64 real_blocked; /* [T] sigtimedwait: the mask while blocked lacks what is waited for */
    bool restore_blocked;  /* [t] saved_blocked goes back when the call is answered */
    struct lx_sigaltstack altstack; /* [t] */
    struct {
        uint64_t trapno, err, cr2;
    } last_fault;                 /* [t] as signal frames show it */
    struct waitqueue signalfd_wq; /* woken when a signal is queued for it or its group */

    gaddr_t clear_child_tid;       /* [t] */
    char comm[16];                 /* [T] */
    int exit_signal;               /* [I] what the parent gets (leader) */
    int exit_code;                 /* [T] wait status */
    bool dead;                     /* [T] left, not yet reaped */
    bool published;                /* [T] in the tree */
    _Atomic bool leaving;          /* [a] do_exit has begun; set under tasks_lock */
    int leave_phase;               /* [t] how far do_exit is */
    bool finishing;                /* [T] do_exit: past everything that waits */
    struct leave_ops *leave_ops;   /* [t] what it has the context do last (exit.c) */
    struct core_thread *core_note; /* [t] its part of a core dump (core.c); NULL: none */
    gaddr_t host_clear_tid;    /* [t] cloned with AS_CLONE_CLEARTID: the host clears this word */
    bool stop_counted;         /* [T] counted in group->nstopped */
    bool vfork_pending;        /* [T] the parent is held until this child execs or exits */
    struct waitqueue vfork_wq; /* the parent waits here, WAIT_KILL, with a reference of its own */
    bool clone_parent;         /* [I] CLONE_PARENT: a child of its maker's parent */
    unsigned fork_gen;         /* [T] group_signals of the parent when this one was allocated */
    int pdeath_signal;         /* [T] */
    uint64_t ptrace_reserved;
    unsigned long personality;   /* [T] */
    bool no_tsc;                 /* [t] reading the time stamp counter is a fault */
    bool io_flusher;             /* [t] as prctl said, which is all that comes of it here */
    uint8_t mce_kill;            /* [t] the same: PR_MCE_KILL_*, plus one */
    struct task_sched sched;     /* [T] inherited */
    struct uffd_wait *uffd_wait; /* [t] mm/uffd.h: its call waits for a page; NULL: it does not */
    struct mempolicy policy;     /* [t] of memory, mm/mempolicy.h; inherited */
    struct {
        struct key *thread, *session; /* references; NULL: none yet */
        int default_ring;             /* KEY_REQKEY_DEFL_* */
    } keys;                           /* keys_lock (keys/key.h) */
    struct list pi_owned;        /* pi_lock (futex.h): locks that it owns and others wait for */
    struct pi_wait *pi_wait;     /* pi_lock: waits for one; NULL: for none */
    bool pi_left;                /* pi_lock: owns none any more, and never will */
    struct sem_undos *sem_undos; /* [t] ipc/sysv/sem.h; NULL: none yet */
    uint64_t utime_ns, stime_ns; /* [T] final figures, when dead */
    uint64_t ncalls;             /* [t] */

    /* calls without a thread (async.h), of which this is one, or which work for it */
    const struct async_ops *async; /* [I] NULL: a thread */
    struct task *async_for;        /* [t] */
    struct list async_link, async_calls;
    _Atomic bool async_cancelled;
    bool async_owns, async_waited; /* [t] */
    bool async_alone;              /* [I] goes on when its process has ended */
    struct uring_task *uring;      /* [t] uring/uring.h; NULL: nothing registered */
    struct sx *trace;              /* [t] the tracer's line of the call; NULL: none */
    struct rusage_extra {
        uint64_t minflt, majflt, nvcsw, nivcsw, inblock, oublock;
    } ru; /* [t] */
};

struct tgroup {
    _Atomic int refs;
    struct container *container; /* [I] */
    struct pidns *pidns;         /* [I] whose numbers it has, a reference */
    pid_t pid;                   /* [I] */
    struct pid_entry *pid_entry; /* [T] */
    struct task *leader;         /* [T] a reference */
    struct list tasks;           /* [T] live and dead threads */
    unsigned nlive;              /* [T] threads that have not left */
    struct tgroup *parent;       /* [T] NULL: pid 1 */
    struct task *parent_task; /* [T] the thread that made it, while that lives; else another one */
    struct list children;     /* [T] */
    struct list sibling;      /* [T] in parent->children */
    struct pid_entry *pgrp, *sess_entry; /* [T] references */
    struct list pgrp_link, sess_link;    /* [T] */
    struct session *session;             /* [T] reference */

    struct sighand *sighand;   /* [T] */
    struct sigpending pending; /* [T] */
    struct waitqueue child_wq; /* waited on by wait4; woken under tasks_lock */
    struct waitqueue exit_wq;  /* pidfds: woken when it becomes a zombie */

    bool exiting;             /* [T] exit_group or a fatal signal: exit_code is decided */
    bool zombie;              /* [T] all threads left, not yet waited for */
    bool reaped;              /* [T] waited for: it has no number any more */
    int exit_code;            /* [T] wait status */
    struct task *exec_task;   /* [T] thread that waits on exit_wq for the others to leave (exec) */
    bool stop_pending;        /* [T] a job control stop has begun */
    bool stopped;             /* [T] and all threads have reached it */
    unsigned nstopped;        /* [T] threads that have */
    struct waitqueue stop_wq; /* where stopped threads wait */
    bool stop_reported, continued; /* [T] for wait4 */
    int stop_signal;               /* [T] */
    unsigned group_signals;        /* [T] signals to process groups and all, counted for fork */
    bool is_sentry;       /* [I] pid 1 is the sentry itself: no guest code, reaps at once */
    bool is_init;         /* [I] pid 1 inside */
    uint32_t job;         /* [I] number of sentry/job.h; 0: none. Not inherited */
    bool unkillable;      /* [T] pid 1: a signal without a handler does nothing */
    bool child_subreaper; /* [T] */
    bool dumpable;        /* [T] */
    bool did_exec;        /* [T] */
    struct rlimit rlim[RLIM_NLIMITS]; /* [T] */
    ktime_t start;                    /* [I] boot time */
    struct ktimer cpu_timer;          /* [T] RLIMIT_CPU, kernel/cpulimit.c */
    struct ktimer last_word;          /* armed while it is being killed; holds a reference then */
    struct list timers;               /* [T] POSIX timers, kernel/posix_timer.c */
    int next_timer_id;
    struct itimers *itimers; /* [T] kernel/itimer.c; NULL until the first is set */
    uint64_t cutime_ns, cstime_ns, utime_ns, stime_ns; /* [T] waited-for children; dead threads */
    struct rusage_extra ru, cru;                       /* [T] */
    uint64_t maxrss, cmaxrss;                          /* [T] KiB */
    uint64_t told_utime_ns, told_stime_ns; /* [T] the most that was told: no part ever shrinks */
    int oom_score_adj;                     /* [T] */
    struct core *core;                     /* [T] it dumps core (core.c); NULL: it does not */
    struct task *core_first;               /* [T] the thread whose signal it is; no reference */
    unsigned core_filter;                  /* [T] /proc/PID/coredump_filter */
    struct file *exe;                      /* [T] reference; /proc/PID/exe */
    struct key *process_keyring;           /* keys_lock; a reference; NULL: none yet */
};

/* What is not zero in a new one. */
void task_init(struct task *t);
struct task *task_ref(struct task *t);
void task_put(struct task *t);
struct tgroup *tgroup_ref(struct tgroup *g);
void tgroup_put(struct tgroup *g);

/* Look-ups by number; with tasks_lock held the result may be used without a reference. */
struct task *task_find_locked(const struct pidns *ns, pid_t tid);
struct tgroup *tgroup_find_locked(const struct pidns *ns, pid_t pid);
/* Each thread group of ns (NULL: of all; zombies too); stops when fn returns non-zero. tasks_lock held. */
int tgroup_each_locked(const struct pidns *ns, int (*fn)(struct tgroup *g, void *arg), void *arg);

/* Whose call, or end, this thread sees to; NULL: nobody's. For reports only. */
extern _Thread_local struct task *task_running;

/* On the way back to guest code: must signal_deliver (proc.h) be called? */
static inline bool task_must_deliver(const struct task *t)
{
    return atomic_load(&t->sigpending) || atomic_load(&t->leaving) || t->restore_blocked ||
           (t->in_call && t->ret <= -ERESTARTSYS && t->ret >= -ERESTART_RESTARTBLOCK);
}

static inline bool task_signal_pending(const struct task *t)
{
    return atomic_load(&t->sigpending);
}

static inline bool task_capable(const struct task *t, int cap)
{
    return cred_capable(t->cred, cap);
}

static inline uint64_t task_timer_slack(const struct task *t)
{
    return t->sched.slack_ns           ? t->sched.slack_ns
           : t->sched.slack_default_ns ? t->sched.slack_default_ns
                                       : 50000;
}

static inline struct rlimit *task_rlimit(struct task *t, int res)
{
    return &t->group->rlim[res];
}

/*
 * Tells t's context what it is, so that getpid and its like need not come here; after each change of
 * ids. t is held by the caller. Nothing is told while calls are traced.
 */
void task_tell_facts(struct task *t);
