/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the ptrace platform (docs/decisions/0040-ptrace.md).
 *
 *   struct aspace    guest memory: the host processes that share it
 *   struct stub      one host process
 *   struct ctx       one host thread of a stub; the zygote's, too, which never runs guest code
 *
 * One thread of the sentry, the tracer, is attached to all stubs: the host lets none but it resume
 * them or touch their registers. It waits for stops, and tells its client of them; what other threads
 * want of a context they leave in a queue (struct ctx.want) and nudge it.
 *
 * States of a ctx, all changed by the tracer alone but for the first:
 *
 *   UNBORN --clone--> HELD --resume--> RUNNING --stop--> HELD      HELD --exit--> LEAVING --> OVER
 *
 * A held one has left the host at a stop that ends its call: whatever it is resumed with, the host
 * does not carry out what the guest has asked for.
 *
 * Locks: pt.lock guards the queue and the lists of stubs and contexts; a held ctx belongs to who
 * handles it, and while something is wanted of it, to the tracer. Nothing is called upwards under it.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/user.h>

#include "platform/platform.h"
#include "platform/shared/bpf.h"
#include "platform/shared/memory.h"
#include "platform/shared/tlist.h"
#include "platform/stub/blob.h"

#define TID_HASH 1024
#define SIG_NUDGE SIGUSR2 /* takes the tracer out of its wait */
#define PT_DEFERRED 2
#define PT_STEP_FLAGS 0x302 /* of a call of ours: with the trap flag */
#define SCRATCH_OFF 0x4000  /* in what was the zygote's data: pages of each stub that we use, for */
#define SCRATCH_SIZE 0x4000
#define SCRATCH (stubs.slot + ZDATA_OFF + SCRATCH_OFF) /* what a call points to, and frames */

enum ctx_state { PT_UNBORN, PT_HELD, PT_RUNNING, PT_LEAVING, PT_OVER };

/* Of the call that was not carried out the end is told, then the entry of the next. */
enum { AGAIN_NOT, AGAIN_END, AGAIN_ENTRY };

/* What is wanted of the tracer for a held context. */
enum want { WANT_NOTHING, WANT_RESUME, WANT_OPS, WANT_FPU, WANT_EXIT };

struct stub {
    _Atomic int refs;
    struct aspace *as;
    pid_t pid;         /* 0: not born yet */
    struct tlist ctxs; /* pt.lock; those that live */
    struct tlist as_link;
    struct tlist kill_link; /* pt.lock; in pt.kills or on none */
    _Atomic int nlive;      /* contexts that the sentry has not given up */
    _Atomic bool threaded;  /* has, or had, more than one thread */
};

struct aspace {
    _Atomic int refs;   /* stubs and users */
    _Atomic int users;  /* the sentry's references; the last one kills the stubs */
    struct tlist stubs; /* pt.lock */
    struct stub_memory mem;
};

struct ctx {
    _Atomic int refs; /* the sentry's, and one while the host has the thread */
    struct stub *stub;
    pid_t tid;
    _Atomic int state;
    _Atomic bool gone, freed;
    void *owner;             /* pt.lock */
    struct tlist stub_link;  /* pt.lock */
    struct tlist hash_link;  /* the tracer's */
    struct tlist stash_link; /* the tracer's; a status that came while it waited for another, */
    int stash;               /* this */
    struct tlist want_link;  /* pt.lock */
    enum want want;          /* pt.lock */
    bool busy;               /* pt.lock; its operations are being looked at */
    struct regs regs;        /* of the guest, as the owner sees them */
    struct user_regs_struct
        raw; /* of the guest, as the host has told them; bases and segments count */
    struct fault fault;
    bool over;   /* the tracer's; its end has been told, and is to be handled */
    bool kicked; /* the tracer's; a kick came while a call was injected */
    unsigned
        again; /* the tracer's; it executes a call again, so that the host carries it out: AGAIN_* */
    bool vsyscall;  /* the tracer's; the host is leaving the vsyscall page */
    bool whole;     /* its FPU image has been fetched since it was held, */
    bool fpu_dirty; /* and is to be written back */
    uint8_t *fpu;   /* pt.fpu_size; NULL: never needed so far */
    unsigned clone_flags;
    struct as_op *ops;
    unsigned nops;
    struct as_op deferred[PT_DEFERRED];
    unsigned ndeferred;
    _Atomic uint64_t words[CTX_WORDS];
};

/* A thread that waits for something that only the tracer can do. */
struct errand {
    struct tlist link;
    void (*run)(void *arg);
    void *arg;
    bool done;
};

extern struct pt {
    const struct platform_client *client;
    pthread_mutex_t lock;
    pthread_cond_t cond; /* an errand is done, or a context's operations are looked at no more */
    pthread_t tracer;
    bool waiting;        /* it waits for stops, or is about to */
    struct tlist wanted; /* contexts, by want_link */
    struct tlist errands, kills;
    _Atomic bool stopping;
    struct ctx *zygote;
    pid_t zygote_pid;
    int lend_sock, stub_sock; /* the number that the other end has in each stub */
    unsigned served;          /* the tracer's; stops since it has looked at all */
    unsigned stale; /* the tracer's; descriptors sent to a stub that ended before it took them */
    bool filtered;  /* stubs have a filter; else each call of theirs stops */
    struct bpf_asm filter;
    uint64_t call_at;              /* traced_call of the blob */
    uint64_t swap_at, swap_end_at; /* traced_swap, traced_swapped */
    size_t fpu_size;
    uint64_t fpu_features;
    uint32_t mxcsr_mask;
    struct {
        _Atomic uint64_t stops, faults, kicks, forks, threads, blanks, ops, reads, writes;
    } st;
} pt;

/* tracer.c */
int pt_tracer_start(void);
void pt_tracer_stop(void);
bool pt_is_tracer(void);
void pt_want(struct ctx *c, enum want w);
void pt_errand(void (*run)(void *arg), void *arg); /* waits until it is done */
void pt_kill_locked(struct stub *s);
void pt_deliver(struct ctx *c, enum platform_event ev);

/* stops.c: on the tracer */
void pt_resume_now(struct ctx *c);
void pt_leave(struct ctx *c); /* its thread ends */
void pt_on_stop(struct ctx *c, int status);
bool pt_passes(const struct user_regs_struct *r); /* is a call that stopped so a native one? */

/* wait.c */
extern volatile uint32_t pt_nudged; /* somebody wants something, since the queue was looked at */
void pt_wait_init(void);
pid_t pt_wait(int *ret_status, bool until_nudged); /* -errno; -EINTR: nudged */
pid_t pt_poll(int *ret_status);                    /* what is there already; else 0 or -errno */

/* stash.c: what became of threads, while the tracer waits for one of them */
struct ctx *pt_by_tid(pid_t tid);
void pt_hash(struct ctx *c);
void pt_unhash(struct ctx *c);
bool pt_await(struct ctx *c, int *ret_status); /* its next stop; false: it is over */
bool pt_await_new(pid_t tid);            /* the first stop of a new thread; false: it is over */
struct ctx *pt_unstash(int *ret_status); /* the next that was put aside, or NULL */
void pt_put_aside(pid_t tid, int status);
void pt_forget_new(void);

/* inject.c */
long pt_ptrace(long request, pid_t tid, uint64_t addr, uint64_t data); /* -errno */
/* Makes a call as c, which is stopped. -ESRCH: it is over. ret_new: the thread that it has made. */
long pt_call(struct ctx *c, long nr, const uint64_t a[6], pid_t *ret_new);
/* Compares and exchanges a word as c, which is stopped: what was there, -EFAULT, -ESRCH. */
long pt_swap(struct ctx *c, gaddr_t at, uint32_t old, uint32_t new);
/* Has the host write the frame of sig, which c is stopped by, and stop it again. 0: it lies at *ret_rsp. */
int pt_signal_frame(struct ctx *c, int sig, uint64_t rsp, uint64_t *ret_rsp);
int pt_take_zygote(void);
int pt_lend(struct ctx *c, int fd); /* its number there, to be closed again */
int pt_make_blank(struct ctx **ret);
/* tid is the thread of child, whose registers are set. -EAGAIN: there is none. */
int pt_settle(struct ctx *child, pid_t tid);

/* ops.c */
void pt_run_ops(struct ctx *c);
void pt_run_deferred(struct ctx *c);
bool pt_defer(struct ctx *c, const struct as_op *op);
int pt_as_copy(struct ctx *const *all, unsigned n, struct ctx **ret);

/* state.c */
int pt_regs_take(struct ctx *c); /* of a stopped one; -errno: it is over */
int pt_regs_put(struct ctx *c);
void pt_regs_call(struct ctx *c); /* raw to regs, at the stop of a call */
void pt_regs_kick(struct ctx *c); /* the same at a signal, as its handler would find them */
bool pt_is_native(struct ctx *c); /* was the call made by `syscall`, in 64-bit code? */
int pt_fault_take(struct ctx *c, int sig);
int pt_fpu_fetch(struct ctx *c);
int pt_fpu_put(struct ctx *c);
int pt_fpu_blank(struct ctx *c); /* as after exec */
int pt_fpu_learn(struct ctx *zygote);
size_t pt_fpu_size(struct ctx *c);
int pt_fpu_get(struct ctx *c, void *buf, size_t n);
int pt_fpu_set(struct ctx *c, const void *buf, size_t n);
void pt_fpu_reset(struct ctx *c);

/* ctx.c */
struct aspace *pt_aspace_new(void);
void pt_aspace_ref(struct aspace *as);
void pt_aspace_put(struct aspace *as);
void pt_as_ref(struct aspace *as);
void pt_as_put(struct aspace *as);
void pt_as_kill(struct aspace *as);
struct stub *pt_stub_new(struct aspace *as);
void pt_stub_put(struct stub *s);
struct ctx *pt_ctx_new(struct stub *s);
struct ctx *pt_ctx_new_child(struct ctx *parent, unsigned flags);
void pt_ctx_born(struct ctx *c, pid_t tid); /* on the tracer */
void pt_ctx_over(struct ctx *c);            /* on the tracer */
void pt_ctx_get(struct ctx *c);
void pt_ctx_drop(struct ctx *c);
bool pt_ctx_leave(struct ctx *c); /* true: it was the last of its stub, which is killed */
void pt_ctx_free(struct ctx *c);
void pt_ctx_exit(struct ctx *c);
