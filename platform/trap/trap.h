/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the trap platform.
 *
 *   struct aspace    guest memory: the channel (one memfd), and the host processes that share it
 *   struct stub      one host process; inherits its forker's listener, or has its own (blank ones)
 *   struct ctx       one host thread of a stub, tied to one block of the channel
 *   struct listener  a seccomp notification descriptor and the worker that leads it
 *
 * States of a ctx, and what moves it:
 *
 *   UNBORN --bell BORN--> (CHANNEL --bell BORN 1-->) HELD --resume--> RUNNING --bell EVENT--> HELD
 *   HELD --run_ops--> OPS --bell OPS--> HELD      HELD --too many wait--> PARKED --resume--> RUNNING
 *   PARKED --run_ops--> RERING --bell--> OPS      PARKED --copy--> RELISTEN --bell--> HELD
 *
 * A ctx is HELD by a notification with a frame in its block, by one of a light call (light.c), or by
 * the word `post` of its block (spin.c); ctx_want_frame takes it from the latter two to the first.
 *
 * A listener that is shared by contexts that work side by side may be closed under them: then each
 * rings again, on one of its own (split.c).
 *
 * A ready thread (threads.c) is HELD by its first bell until ctx_start and the resume behind it; at
 * its end its thread rings again as UNBORN, under another ctx.
 *
 * Locks: trap.lock guards the tables (tids, nonces, pool, stubs' lists); a held ctx belongs to the
 * one worker that handles it. Nothing is called upwards under a lock.
 */
#pragma once

#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "platform/platform.h"
#include "platform/shared/memory.h"
#include "platform/shared/tlist.h"
#include "platform/stub/blob.h"

#define TID_HASH 1024
#define SIG_NUDGE SIGUSR2 /* takes a leader out of RECV; its handler does nothing */
#define CTX_DEFERRED 2
#define CTX_CLOSING 8
#define HELD_MAX 16 /* notifications kept on a listener; each makes every call of it dearer */

enum ctx_state {
    CTX_UNBORN,
    CTX_CHANNEL,
    CTX_HELD,
    CTX_RUNNING,
    CTX_OPS,
    CTX_PARKED,
    CTX_RERING,
    CTX_RELISTEN
};

/* Waits for the next event of a context in place of the client (copy.c). */
struct job {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned events;
};

/* How often a listener is called, and its bet on another cpu (spread.c). The leader's. */
struct pace {
    uint64_t window;          /* when it began */
    unsigned calls, waits;    /* in it */
    unsigned last_calls;      /* in the one before */
    unsigned busy_calls;      /* in the last two that are over, when it was busy in both */
    bool was_busy;            /* in the last one, */
    bool met;                 /* where another busy one was called */
    unsigned bet;             /* 0: none; else the windows since, and one */
    unsigned bet_calls;       /* busy_calls, before it moved */
    unsigned skip, next_skip; /* windows until it may bet again */
    int from;                 /* the cpu where it was */
};

struct listener {
    _Atomic int fd;     /* changes once (threads.c) while who has answered may still look at it */
    _Atomic int refs;   /* stubs, and the leader */
    _Atomic int nctx;   /* contexts whose calls come here */
    _Atomic int nstubs; /* stubs that have it, and contexts that have it apart from theirs */
    _Atomic bool dead;  /* no stub is left */
    pthread_t leader;
    _Atomic bool has_leader;
    struct tlist dying;
    struct tlist waiting; /* trap.lock; contexts that wait by a notification, oldest first */
    unsigned nwaiting;    /* trap.lock */
    uint64_t last_call;   /* the leader's (spin.c): cycles, */
    unsigned quick, skip; /* calls at a high rate, and how many more to let pass */
    _Atomic bool spun_on; /* its leader spins: answers by the bell move nobody */
    struct ctx *awaits;   /* the leader's (split.c): who installs it; a reference, */
    int begin_cpu;        /* where its leader begins; -1: anywhere */
    uint64_t window;      /* when the window began, */
    uint64_t last_window; /* and the one before, 0: long ago; */
    unsigned nbusy;       /* who is busy in it and was in the last */
    struct pace pace;
};

struct stub {
    _Atomic int refs;
    pid_t pid; /* in our pid namespace; 0 until it is born */
    int pidfd;
    struct aspace *as;
    unsigned serial;    /* in as, from 1 on */
    struct listener *l; /* that of its first thread */
    struct tlist ctxs;  /* trap.lock */
    struct tlist as_link;
    struct tlist leave_link; /* house.c */
    _Atomic bool watched;    /* by the reaper, which has a reference then */
    _Atomic bool threaded;   /* has, or had, more than one thread */
    bool dead;               /* trap.lock */
    _Atomic int nlive;       /* contexts that the sentry has not given up */
    struct tlist pool;       /* trap.lock; spare threads (threads.c) */
    struct block *nurse;     /* guarded by nursing; NULL: none yet */
    _Atomic bool nursing;    /* somebody uses the nurse; for good when it has failed */
    _Atomic int nown;        /* threads with a listener of their own */
};

struct aspace {
    _Atomic int refs;  /* stubs and users */
    _Atomic int users; /* the sentry's references; the last one kills the stubs */
    int chan_fd;
    char *chan;                     /* our map of the channel, CHANNEL_SIZE */
    unsigned nblocks;               /* trap.lock; blocks that the memfd has room for */
    uint64_t used[BLOCKS_MAX / 64]; /* trap.lock */
    struct tlist stubs;             /* trap.lock */
    unsigned nserial;               /* trap.lock; stubs that it has had */
    _Atomic bool killed;
    struct patches *_Atomic patches;
    bool own_gs; /* the guest uses gs itself: no light calls */
    bool no_tsc; /* a thread of it may not read the time stamp counter: nobody spins */
    struct lends *_Atomic lends; /* lend.c; NULL: none yet */
    _Atomic bool forks;          /* a process with copies of its descriptors was made from it */
    struct stub_memory mem;
    struct aspace *next; /* house.c: among those that are over, or not used yet */
};

struct ctx {
    unsigned index;
    struct block *block;
    struct stub *stub;
    struct listener *_Atomic l; /* its calls come here; a reference */
    struct listener *left_l;    /* trap.lock; the one before (split.c), a reference */
    uint64_t window;            /* its listener's leader's: the last one it called in, */
    int window_calls;           /* how often, */
    bool was_busy;              /* and was it often in the one before */
    unsigned nsplits;           /* trap.lock */
    _Atomic bool stale;         /* held by a notification that is over: it will ring again */
    bool own;                   /* trap.lock; l is of this thread alone (and of what it forks) */
    bool counts; /* trap.lock; is one of l's nstubs: l is neither its own nor its stub's */
    struct tlist pool_link; /* trap.lock */
    bool spare;             /* held and not started */
    bool pooled;            /* trap.lock; the pool's, in it or on the way there */
    bool start;             /* the next resume is its start */
    bool given;             /* a fork that finds its channel's descriptor: rings once */
    bool left;              /* its thread has another ctx now */
    _Atomic bool affinity;  /* the guest has chosen its cpus */
    uint64_t clear_tid;     /* word that is cleared at its end; 0: none, or the host does */
    struct tlist stub_link, hash_link;
    pid_t tid;
    void *owner;
    _Atomic int state;
    _Atomic bool gone, freed;
    struct tlist wait_link; /* trap.lock; in the listener's waiting list, else on none */
    _Atomic bool waiting;   /* is it on it? */
    bool leaving;           /* trap.lock; told to exit, its block is in use until it has */
    _Atomic int refs;
    _Atomic uint64_t notif; /* id of the notification it is held by; 0: that is answered, */
    int64_t last_ans;       /* with this */
    uint32_t seq, uc;       /* of the last bell; offset of its frame */
    bool blank;             /* made for the pool, not by a clone */
    uint64_t answered;      /* tsc of its last resume */
    bool apart;             /* this event is answered where it came from, see worker.c */
    bool born_event;        /* the frame is one that we made: answer is not looked at twice */
    struct regs regs;
    uint64_t segs; /* cs, gs, fs, ss as the frame has them */
    struct fault fault;
    bool light; /* held by a light call: there is no frame, c->uc is an old one's */
    bool
        partial; /* of the registers only orig_rax, rax and the arguments are there: light_complete */
    uint32_t posted_n;       /* the stub's count of posted calls */
    bool posted;             /* held by block.post, not by a notification */
    bool framing;            /* CTX_OPS: its frame is awaited, not operations */
    bool internal;           /* CTX_OPS: for the platform itself (patch.c) */
    struct as_op own_ops[2]; /* the internal ones, */
    unsigned own_n;          /* how many */
    bool lent_str;           /* what is lent is a string: it ends where the range ends */
    gaddr_t lent_in, lent_out;
    uint32_t lent_in_len, lent_out_cap, lent_out_off; /* off: in the block */
    uint32_t out_at, out_n;                           /* collected of lent_out */
    uint64_t nonce;                                   /* trap.lock; 0: not awaited */
    uint64_t promised;    /* trap.lock; ms, when its maker said that it exists; 0: not yet */
    unsigned clone_flags; /* how it was made */
    struct ctx *_Atomic clone_child; /* AS_CLONE under way: with a reference */
    uint64_t clone_host;             /* flags that the clone must have */
    bool clone_seen;
    struct job *job; /* trap.lock; NULL: events go to the client */
    struct as_op *ops;
    unsigned nops;
    unsigned ops_held;                      /* trap.lock; workers that look at ops now */
    uint8_t op_slot[AS_OPS_MAX];            /* block op that has the result */
    struct block_op deferred[CTX_DEFERRED]; /* done at the next resume, */
    unsigned ndeferred;
    uint16_t closing[CTX_CLOSING]; /* and so is the close of these numbers; then (0: no longer) */
    unsigned nclosing;             /* they are free (lend.c) */
};

struct worker {
    struct listener *l; /* led, or NULL */
    unsigned blocked;   /* depth of worker_block_begin */
    unsigned cpu;       /* it is pinned to, or CPU_NONE (worker_follow) */
};
#define CPU_NONE (~0u)

extern struct trap {
    const struct platform_client *client;
    int zygote_sock, epoll_fd;
    pid_t zygote;
    unsigned max_workers;
    bool use_sync, use_killable;
    bool use_getfd; /* pidfd_getfd; else threads share their maker's listener */
    uint32_t light_entry, light_plain, light_exit, light_end, light_framed, light_class;
    bool lends;  /* sockets to stubs (lend.c) */
    bool use_gs; /* gs bases can be set without a call: call sites may be patched */
    pthread_mutex_t lock;
    struct tlist tids[TID_HASH];
    struct tlist unborn; /* ctxs awaited, by nonce */
    pthread_cond_t pool_cond, spare_cond, ops_cond;
    struct ctx *pool[8];
    cpu_set_t cpus; /* those of the sandbox */
    unsigned npool, npending;
    unsigned lost;            /* blanks that were asked for and will not come */
    bool forks;               /* the guest has forked, and may exec at any time */
    uint64_t pending[8];      /* nonces whose listener has not come yet */
    struct listener *promote; /* waits for a spare worker */
    unsigned nspare, nworkers;
    struct tlist dying;
    _Atomic bool stopping;
    pthread_t reaper;
    struct {
        _Atomic uint64_t splits, moves, light, posts, patches, local, faults, bells, kicks, parks,
            forks, threads, blanks, ops, reads, writes;
    } st;
} trap;

/* zygote.c */
int zygote_start(const struct platform_config *cfg);
void zygote_request_locked(void);   /* one more blank; trap.lock held */
void zygote_listener_arrived(void); /* zygote_sock is readable */
void blank_lost(void);
const char *zygote_lost(int *ret_status); /* as platform.lost */
int trap_blank(struct ctx **ret_ctx, struct aspace **ret_as);
void pool_put(struct ctx *c);
/* The guest forks: an exec may follow. */
void pool_expect_exec(void);

/* channel.c */
struct aspace *aspace_new(void);      /* a ready one, where there is one */
struct aspace *aspace_make(void);     /* a new one */
void aspace_touch(struct aspace *as); /* takes the first page faults of its user */
void aspace_free(struct aspace *as);
void aspace_ref(struct aspace *as);
void aspace_put(struct aspace *as);
void as_ref(struct aspace *as);
void as_put(struct aspace *as);
void aspace_kill(struct aspace *as);
int block_alloc(struct aspace *as, int wanted); /* trap.lock held; index or -errno */
void block_free(struct aspace *as, unsigned index);
static inline struct block *block_at(struct aspace *as, unsigned index)
{
    return (struct block *)(as->chan + ((size_t)index << BLOCK_SHIFT));
}
static inline uint64_t block_addr(unsigned index)
{
    return stubs.slot + CHANNEL_OFF + ((uint64_t)index << BLOCK_SHIFT);
}

/* ctx.c */
struct ctx *ctx_new(struct aspace *as, struct stub *s, struct listener *l, int index);
void ctx_own_listener(struct ctx *c, struct listener *l);
struct ctx *ctx_new_child(struct ctx *parent, unsigned flags);
uint64_t ctx_nonce(struct ctx *c);
uint64_t ctx_word(struct ctx *c, enum ctx_word w);
void ctx_set_word(struct ctx *c, enum ctx_word w, uint64_t v);
void ctx_words_forget(struct ctx *c);                       /* as a new thread has them */
void ctx_words_fork(struct ctx *child, struct ctx *parent); /* what a fork inherits */
void ctx_get(struct ctx *c);
void ctx_drop(struct ctx *c);
struct ctx *ctx_by_tid(pid_t tid); /* a reference, or NULL */
void ctx_hash_locked(struct ctx *c, pid_t tid);
void ctx_free(struct ctx *c);
bool ctx_leave(struct ctx *c); /* nlive--; true: the last one's stub is killed */
struct stub *stub_new(struct aspace *as, struct listener *l);
void stub_put(struct stub *s);
int stub_born(struct stub *s, pid_t pid);
void stub_kill(struct stub *s);
bool stub_unwatch(struct stub *s);
void tell_if_gone(struct ctx *c); /* the caller pins c; no locks */

/* frame.c: the host signal frame in a block */
int frame_take(struct ctx *c);      /* frame to c->regs, fault; -EPROTO when it lies */
int frame_take_rest(struct ctx *c); /* what c, light until now, lacked */
void frame_put(struct ctx *c);      /* c->regs to the frame */
void frame_make_blank(struct ctx *c);
void frame_clone(struct ctx *child, const struct ctx *parent);
size_t frame_fpu_size(struct ctx *c);
int frame_fpu_get(struct ctx *c, void *buf, size_t n);
int frame_fpu_set(struct ctx *c, const void *buf, size_t n);
void frame_fpu_reset(struct ctx *c);

/* ops.c */
void ctx_run_ops(struct ctx *c, struct as_op *ops, unsigned n);
void ctx_want_frame(struct ctx *c);
bool ctx_defer(struct ctx *c, const struct as_op *op);
unsigned ops_deferred(struct ctx *c); /* what was deferred, into the block: how many */
void ops_send(struct ctx *c);         /* c is held by a notification */
/*
 * c->ops are its owner's, who takes them back once c is gone, or given up: neither is told while they are
 * held. False: it is so already, and they may not be looked at.
 */
bool ops_hold(struct ctx *c);
void ops_release(struct ctx *c);
void ops_await_locked(struct ctx *c); /* gone or freed is set: until nobody holds them. trap.lock */
void ops_done(struct ctx *c);         /* results from the block into c->ops */
bool ops_clone_seen(struct ctx *c, const struct seccomp_notif *n);
void ops_clone_forget(struct ctx *c); /* c will not tell of a clone any more */

/* light.c: calls without a frame, and the guest memory they lend; c is held by its worker */
void light_take(struct ctx *c);
void light_regs_take(struct ctx *c); /* the registers alone */
void light_complete(struct ctx *c);
void light_put(struct ctx *c);
void light_forget(struct ctx *c);
void light_flush(struct ctx *c);
ssize_t ctx_read(struct ctx *c, gaddr_t from, void *to, size_t n);
ssize_t ctx_write(struct ctx *c, gaddr_t to, const void *from, size_t n);

/* lend.c: platform.h has what they do */
int ctx_lend(struct ctx *c, int fd);
void ctx_lends(struct ctx *c, bool on);
void as_lent(struct aspace *as, unsigned gfd, int n, unsigned how);
void as_unlend(struct aspace *as, unsigned gfd, int n);
/* c is about to be resumed: numbers that it closed are free, */
void lend_closed(struct ctx *c);
/* and others are to be closed by it: operations, at most CTX_CLOSING, into b. */
unsigned lend_close(struct ctx *c, struct block_op *b);
bool lend_has_work(struct ctx *c);
void lends_free(struct aspace *as);

/* patch.c */
struct patches;
struct patches *patches_fork(struct aspace *as); /* for a child that is about to be forked, */
void patches_forked(struct aspace *as);          /* and now it is */
void patches_free(struct patches *p);
bool patch_site(struct ctx *c);   /* c, held, has trapped; true: its event waits for patch_go_on */
bool patch_go_on(struct ctx *c);  /* the internal operations are done; true: there are more */
bool poke_hit(struct ctx *c);     /* has it met a breakpoint of ours? Then it just goes on */
bool patch_unwind(struct ctx *c); /* out of a trampoline, to its site; true: it goes on */
bool patch_owns(struct stub_memory *mem, gaddr_t at);
void patch_disable(struct aspace *as);

/* spin.c */
void spin_init(void);
bool spin_pays(struct listener *l);                  /* a light call was answered; on the leader */
void worker_follow(struct worker *w, struct ctx *c); /* to the cpu that c rang on */
void spin_on(struct worker *w, struct listener *l, struct ctx *c);
void post_answer(struct ctx *c, enum ctx_state next, int64_t val);

/* born.c */
void on_born(struct listener *l, const struct seccomp_notif *n);
void born_promised(struct ctx *child); /* its maker says that it exists: it is to ring soon */
bool born_overdue(void);               /* on the reaper; true: some are still waited for */

/* worker.c */
/* SEND or ADDFD: never -EINTR. What the call returns, or -errno. */
int notif_ioctl(int fd, unsigned long cmd, void *arg);
int notif_send(struct listener *l, uint64_t id, int64_t val, int32_t error, uint32_t flags);
void deliver(struct ctx *c, enum platform_event ev);
bool worker_leads(const struct listener *l); /* the calling one */
struct ctx *listener_receive(struct listener *l, bool *ret_over);
bool listener_start(struct listener *l); /* false: nobody will ever answer it */
void worker_block_begin(void);
void worker_block_end(void);
void workers_open(void); /* before there is a fence */
int workers_start(void);
void workers_stop(void);
void answer(struct ctx *c, enum ctx_state next, int64_t val); /* c is in that state then */
void ctx_resume(struct ctx *c);
void ctx_exit(struct ctx *c);
void ctx_kick(struct ctx *c);

/* reaper.c */
int reaper_start(const pthread_attr_t *attr);
void stub_died(struct stub *s); /* takes a reference over */

/* house.c */
int house_open(void); /* before there is a fence */
bool house_is(const void *epoll_ptr);
void house_round(void); /* on the reaper */
struct aspace *house_channel(void);
void house_trash(struct aspace *as);
void house_leaving(struct stub *s);
void house_watch(void); /* born_overdue() has something to wait for */

/* threads.c */
struct ctx *threads_take(struct ctx *parent, unsigned flags);
bool ctx_start(struct ctx *parent, const struct as_op *op);
bool threads_rest(struct ctx *c);
void threads_back(struct ctx *c);
void threads_write_end(struct ctx *c, bool rests);
int write_listen_prog(struct ctx *c, uint32_t more_flags);
int await_listener(struct ctx *c);
int fetch_listener(const struct stub *s, int theirs);

/* spread.c: the calling thread leads l */
bool cpu_is_taken(int cpu, const struct listener *l, uint64_t since); /* by another one than l */
/* Called n times, until now (tsc), by who runs on cpu; nwaits of them wait. A cpu to go to, or -1. */
int spread_called(struct listener *l, int cpu, uint64_t now, unsigned n, unsigned nwaits);
void spread_take(struct listener *l, int cpu, uint64_t now); /* cpu is in use by it */
void spread_begin(int cpu);                                  /* the next call is answered there, */
void spread_begun(void);                                     /* those behind it anywhere */

/* split.c */
#define SPLIT_NEVER 1000000000
bool split_pays(struct listener *l, struct ctx *c); /* on the leader, after a light call */
void split(struct listener *l);                     /* on the leader */
bool listener_await(struct listener *l);            /* false: it will never be there */
void split_gone(struct ctx *c);

/* park.c */
void ctx_unpark(struct ctx *c, enum ctx_state next, uint32_t ans);
void ctx_park_now(struct ctx *c);
void ctx_park(struct ctx *c);
void ctx_stop_waiting(struct ctx *c); /* nobody parks it from here on */

/* listener.c */
struct listener *listener_new(int fd);
void listener_ref(struct listener *l);
void listener_put(struct listener *l);
void listener_lost_stub(struct listener *l);
void listener_retire(struct listener *l); /* nobody receives from it any more; closed */
/* Does an answer pull the stub's thread to the cpu of the worker? */
int listener_sync(struct listener *l, bool on);
bool listener_apart(const struct ctx *c); /* is this event of c's better answered without? */

/* copy.c */
int trap_as_copy(struct ctx *const *all, unsigned n, struct ctx **ret);
bool job_took(struct ctx *c); /* an event of c: was it a job's? */

/* memory.c */
ssize_t as_read(struct aspace *as, gaddr_t from, void *to, size_t n);
ssize_t as_write(struct aspace *as, gaddr_t to, const void *from, size_t n, bool force);
ssize_t as_move(struct aspace *as, bool write, const struct iovec *ours, unsigned nours,
                const struct iovec *theirs, unsigned ntheirs);
int as_query(struct aspace *as, gaddr_t addr, struct as_mapping *ret);
int as_each(struct aspace *as, bool usage, int (*fn)(const struct as_mapping *m, void *arg),
            void *arg);
void as_pages(struct aspace *as, gaddr_t addr, uint64_t *ret, size_t n);
int as_usage(struct aspace *as, struct as_usage *ret);
int as_cost(struct aspace *as, bool exact, struct as_usage *ret);
pid_t aspace_pid(struct stub_memory *mem);
bool ctx_sleeps(struct ctx *c);
int ctx_cputime(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns);
int ctx_process_cputime(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns);
