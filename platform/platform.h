/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How guest code is run: the whole contract between the sentry and a platform. A platform knows
 * nothing of files, tasks or signals. It knows
 *
 *   struct aspace   one guest address space (under trap: the memory of one stub)
 *   struct ctx      one guest thread in it: registers, and whether it runs or is held
 *
 * A ctx either runs guest code or is HELD. It becomes held when an event is delivered for it, and
 * runs again by ctx_resume(). While it is held its registers lie in *ctx_regs(c), the sentry's own
 * copy. Everything in a stub belongs to the guest: a platform reads each foreign word once, checks
 * it and kills an address space whose context breaks the protocol.
 *
 * Events arrive on worker threads of the platform, one at a time for a ctx, through client->event.
 * The handler must not sleep but in bounded host I/O bracketed by worker_block_begin/end. After
 * client->event returns the worker calls client->drain (the ready list).
 *
 * Errors are negative errno values. Lock class of everything inside: LOCK_PLATFORM.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "abi/types.h"

struct aspace;
struct ctx;

/* General registers, in the order of the kernel's struct user_regs_struct less segments. */
struct regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t orig_rax; /* number of the call at EV_SYSCALL, else -1 */
    uint64_t rip, rflags, rsp;
};

enum platform_event {
    EV_SYSCALL, /* regs->orig_rax and the argument registers; rip is behind the instruction */
    EV_FAULT,   /* a fault of guest code: *ctx_fault(c) */
    EV_KICK,    /* ctx_kick() got through to running guest code */
    EV_OPS,     /* the operations handed to ctx_run_ops() are done, ret filled in */
    EV_BORN,    /* the child of an AS_CLONE has arrived and is held; regs are its parent's */
    EV_GONE, /* the host ended it (killed, crashed, broke the protocol); only ctx_free() is left */
};

struct fault {
    int signo; /* SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP */
    int code;  /* si_code */
    gaddr_t addr;
    uint64_t trapno, err, cr2;
};

struct platform_client {
    void (*event)(void *owner, struct ctx *c, enum platform_event ev);
    void (*drain)(void);
    /* EV_GONE may come at any time, also while c is held: the owner is pinned by these. */
    void (*owner_ref)(void *owner);
    void (*owner_put)(void *owner);
    /* A worker thread starts; for thread-local state. */
    void (*worker_start)(void);
    /*
     * Nothing runs any more, and nothing will: what the host has ended, and its status as of wait(2), -1
     * where that is not known. NULL: nobody wants to know.
     */
    void (*lost)(const char *what, int status);
};

/* What an address space can be asked to do, by one of its own held contexts. */
enum as_op_kind {
    AS_MMAP,     /* a: addr, len, prot, flags (host MAP_*), offset; fd: -1 or a descriptor of ours,
                    lent for the map only and left open; ret: address */
    AS_MUNMAP,   /* a: addr, len */
    AS_MPROTECT, /* a: addr, len, prot */
    AS_MREMAP,   /* a: old, oldlen, newlen, flags, new; ret: address */
    AS_MADVISE,  /* a: addr, len, advice */
    AS_MSYNC,    /* a: addr, len, flags */
    AS_MLOCK,    /* a: addr, len, flags */
    AS_MUNLOCK,  /* a: addr, len */
    AS_MINCORE,  /* a: addr, len, guest vector */
    AS_MEMBARRIER,   /* a: cmd, flags, cpu */
    AS_FUTEX_WAKE,   /* a: addr, count, private(1/0) */
    AS_STORE32_WAKE, /* a: addr, value: stores, then wakes all waiters, private and shared */
    AS_CMPXCHG32,    /* a: addr, old, new: atomically; ret: what was found there, 0 to 2^32-1 */
    AS_MLOCKALL,     /* a: MCL_FUTURE, perhaps with MCL_ONFAULT */
    AS_MUNLOCKALL,
    AS_MSEAL,  /* a: addr, len; -ENOSYS on a host before 6.10 */
    AS_PRCTL,  /* a: an option that concerns the caller's own thread or memory, its arguments */
    AS_SET_FS, /* a: fs base */
    AS_SET_GS,
    AS_GET_FS, /* ret: the base */
    AS_GET_GS,
    AS_RSEQ,  /* a: area, len, flags, signature */
    AS_CLOSE, /* a: a descriptor that the platform itself had opened in it */
    AS_UFFD, /* a: flags of userfaultfd(2), -1; ret: a descriptor of ours, the caller's, or -errno; a[1]: its
                 number there, which the caller closes by AS_CLOSE, or still -1 */
    AS_CLONE, /* a: AS_CLONE_* flags, tls, clear_child_tid; child: from ctx_new_child(); ret: 0 */
};

enum {
    AS_CLONE_VM = 1,     /* shares the address space (a thread or a vfork child) */
    AS_CLONE_THREAD = 2, /* same host thread group */
    AS_CLONE_SETTLS = 4,
    AS_CLONE_CLEARTID = 8, /* host clears the word and wakes at thread exit */
};

struct as_op {
    enum as_op_kind kind;
    int fd;
    uint64_t a[6];
    struct ctx *child;
    int64_t ret; /* result or -errno; ops after a failed one are not run and get -ECANCELED */
};

#define AS_OPS_MAX 32

/* What a thread knows of itself, as getpid and its like answer. */
struct ctx_facts {
    uint32_t pid, tid, uid, euid, gid, egid;
};

/*
 * What a thread keeps with itself, so that calls about nothing else need not come here. The owner
 * reads a word when it needs it and writes it only while c is held, but for CW_PENDING; the guest
 * may write to all of them at any time, and gets no more by it than by the call.
 */
enum ctx_word {
    CW_BLOCKED, /* mask of blocked signals */
    CW_PENDING, /* not 0: a signal is pending; from then on calls about the mask come here */
    CW_ROBUST,  /* head of the list of robust locks */
    CW_RSEQ,    /* area of restartable sequences; 0: none; with its length and signature */
    CW_RSEQ_LEN,
    CW_RSEQ_SIG,
    CW_RECEIVED, /* bytes, by sockets that were lent; as the guest says */
    CW_SENT,
    CTX_WORDS
};

/* How calls of the stub's use a socket that was lent to it. */
enum {
    LENT_HOW_NONBLOCK = 1, /* O_NONBLOCK */
    LENT_HOW_IN_WAITS =
        2, /* a read that finds nothing waits there; else, like all that fails, it */
    LENT_HOW_OUT_WAITS = 4, /* comes here; so a write that finds no room */
};

struct platform_caps {
    bool native_memory; /* anonymous mmap/munmap/mprotect/madvise need not come here */
    bool native_futex;
    bool native_fork;
};

struct as_usage {
    uint64_t rss, vsize; /* bytes */
    uint64_t own;        /* as_cost only: anonymous memory, swapped too, and the page tables */
    uint64_t locked;     /* as_cost only */
    uint64_t utime_ns, stime_ns;
};

struct as_mapping {
    gaddr_t start, end;
    uint32_t prot; /* PROT_* */
    bool shared;
    uint64_t offset, dev, ino;  /* of the host file behind it; 0 for anonymous */
    uint64_t rss, anon, locked; /* bytes; only from as_each with usage */
    bool nodump;                /* MADV_DONTDUMP; the same */
    char name[80];              /* of anonymous memory, as PR_SET_VMA_ANON_NAME has named it */
};

struct platform_stats {
    uint64_t bells, light, posts; /* hand-overs; of the bells without a frame; by memory alone */
    uint64_t patches, local;      /* call sites; calls that stubs answered alone */
    uint64_t faults, kicks, parks, forks, threads, splits, moves, blanks, ops, mem_reads,
        mem_writes;
};

struct platform_config {
    const struct platform_client *client;
    int proc_fd;      /* the sentry's own procfs, or -1 */
    uint64_t without; /* SBX_WITHOUT_* bits of features not to use */
    unsigned max_workers;
    bool lends; /* ctx_lend will be used: stubs are to be let move bytes by sockets */
};

struct platform {
    const char *name;
    struct platform_caps caps;

    /* Can it work on this host? 0, or -errno and one line why in *ret_why (static). */
    int (*probe)(const char **ret_why);

    /*
     * early: in the sentry while it is single-threaded and still unfenced (makes the zygote).
     * start: after fencing; starts workers. stop: ends every stub; no event after it returns.
     */
    int (*early)(const struct platform_config *cfg);
    int (*start)(void);
    void (*stop)(void);
    /*
     * What the host has ended so that nothing runs any more; NULL: all is well. For who sees a process
     * end by a signal, perhaps before client.lost is called. *ret_status is set as for that. May be NULL.
     */
    const char *(*lost)(int *ret_status);
    /*
     * After early: the one process that the platform will attach to (PTRACE_SEIZE), which is all that the
     * fence lets it attach to. NULL: it is no tracer.
     */
    pid_t (*tracee)(void);

    /*
     * A fresh, empty address space with one held context. May wait (bounded) for the zygote.
     * The reference on the aspace belongs to the caller; so does the ctx.
     */
    int (*blank)(struct ctx **ret_ctx, struct aspace **ret_as);

    /* A child of parent for AS_CLONE. Unused ones are freed by ctx_free. */
    struct ctx *(*ctx_new_child)(struct ctx *parent, unsigned clone_flags);
    /* Pins c itself, where its owner may give it up at the same time (ctx_resume against EV_GONE). */
    void (*ctx_ref)(struct ctx *c);
    void (*ctx_unref)(struct ctx *c);
    void (*ctx_set_owner)(struct ctx *c, void *owner);
    struct aspace *(*ctx_aspace)(struct ctx *c); /* borrowed */

    struct regs *(*ctx_regs)(struct ctx *c);
    /* After EV_SYSCALL: the same, of which only orig_rax and the argument registers are sure to be there. */
    const struct regs *(*ctx_call_regs)(struct ctx *c);
    void (*ctx_set_result)(struct ctx *c, long ret); /* as ctx_regs(c)->rax = ret */
    const struct fault *(*ctx_fault)(struct ctx *c);
    /* The XSAVE image of a held context: size in bytes, copy out, copy in (checked). */
    size_t (*ctx_fpu_size)(struct ctx *c);
    int (*ctx_fpu_get)(struct ctx *c, void *buf, size_t n);
    int (*ctx_fpu_set)(struct ctx *c, const void *buf, size_t n);
    void (*ctx_fpu_reset)(struct ctx *c);

    /*
     * Starts op->child as AS_CLONE by parent (held) would, where that needs no operation: EV_BORN comes
     * before it returns. False: nothing has happened.
     */
    bool (*ctx_start)(struct ctx *parent, const struct as_op *op);
    /*
     * An operation (AS_SET_FS, AS_SET_GS, AS_RSEQ) that cannot fail, as far as its owner knows: c does
     * it when it is resumed, and says nothing of it. False: no room, use ctx_run_ops.
     */
    bool (*ctx_defer)(struct ctx *c, const struct as_op *op);
    /* Both: when c is gone already EV_GONE is told (again) before they return. */
    void (*ctx_run_ops)(struct ctx *c, struct as_op *ops, unsigned n);
    void (*ctx_resume)(struct ctx *c);
    /*
     * Has c come without its whole state? Then its FPU image is out of reach, it cannot clone, and of
     * its registers only rax and rip may be changed; until ctx_want_frame has been answered by EV_OPS.
     */
    bool (*ctx_is_light)(struct ctx *c);
    void (*ctx_want_frame)(struct ctx *c);
    /* What c may answer alone from now on; NULL: nothing. c is held. */
    void (*ctx_facts)(struct ctx *c, const struct ctx_facts *f);
    /* Sequentially consistent. With facts the calls about the words are c's own, without not. */
    uint64_t (*ctx_word)(struct ctx *c, enum ctx_word w);
    void (*ctx_set_word)(struct ctx *c, enum ctx_word w, uint64_t v);
    /*
     * Lends fd, a connected stream socket of the host's, to the process of c, which is held: its number
     * there, or -errno. Then threads of that process for which ctx_lends was said (those that have the
     * descriptor table that gfds are of) move bytes by it without coming here, while as_lent says so of
     * guest descriptor gfd; n 0: not so. as_unlend ends that, and has the process close it, at the latest
     * at the next ctx_resume of one of its threads. A hostile stub keeps it. May be NULL.
     */
    int (*ctx_lend)(struct ctx *c, int fd);
    void (*ctx_lends)(struct ctx *c, bool on);
    void (*as_lent)(struct aspace *as, unsigned gfd, int n, unsigned how);
    void (*as_unlend)(struct aspace *as, unsigned gfd, int n);
    /* c, held, is about to wait long: the platform may keep it more cheaply until ctx_resume. A hint. */
    void (*ctx_park)(struct ctx *c);
    /* Interrupts guest code or a native futex wait; EV_KICK follows unless another event comes first. */
    void (*ctx_kick)(struct ctx *c);
    /* The last word: ends c's host process at once, with all its threads; EV_GONE follows. */
    void (*ctx_kill)(struct ctx *c);
    /* Ends the (held) thread on the host; its clear-tid word is cleared. Frees c. */
    void (*ctx_exit)(struct ctx *c);
    /* Gives up c: never resumed again; for a ctx after EV_GONE or as_kill or unused. */
    void (*ctx_free)(struct ctx *c);
    int (*ctx_affinity)(struct ctx *c, const void *mask, size_t len);
    pid_t (*ctx_host_tid)(struct ctx *c);
    /* Does c, which runs guest code, sleep in a native call? NULL: there are none. */
    bool (*ctx_sleeps)(struct ctx *c);
    int (*ctx_cputime)(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns);
    /* Of c's whole host process, with its threads that are over. */
    int (*ctx_process_cputime)(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns);

    /*
     * Copies a frozen address space: all are its contexts, all held, none with operations under way.
     * Memory is shared copy-on-write; ret gets a held context for each, with the registers of its
     * original, without owner, all in one new aspace (the caller's reference). Original and copy end
     * up with a listener each. Waits (bounded). -EBUSY when another address space shares its listener.
     */
    int (*as_copy)(struct ctx *const *all, unsigned n, struct ctx **ret);

    void (*as_ref)(struct aspace *as);
    void (*as_put)(struct aspace *as); /* the last one kills what is left of it */
    void (*as_kill)(struct aspace *as);

    /*
     * Bytes copied (short where a page is missing or refuses), or -EFAULT when none. force ignores
     * page protection (as ptrace does).
     */
    ssize_t (*as_read)(struct aspace *as, gaddr_t from, void *to, size_t n);
    ssize_t (*as_write)(struct aspace *as, gaddr_t to, const void *from, size_t n, bool force);
    /*
     * The same (without force) for several ranges of the guest's and pieces of ours in one go: n of
     * each at most 1024, both filled or emptied in their order.
     */
    ssize_t (*as_move)(struct aspace *as, bool write, const struct iovec *ours, unsigned nours,
                       const struct iovec *theirs, unsigned ntheirs);
    /* As as_read with what the held context c has lent in its channel, where that covers it. */
    ssize_t (*ctx_read)(struct ctx *c, gaddr_t from, void *to, size_t n);
    ssize_t (*ctx_write)(struct ctx *c, gaddr_t to, const void *from, size_t n);

    /* The mapping that holds addr, or the next above it; -ENOENT when none. */
    int (*as_query)(struct aspace *as, gaddr_t addr, struct as_mapping *ret);
    /* Each mapping, in order, in one go; stops when fn returns non-zero. */
    int (*as_each)(struct aspace *as, bool usage, int (*fn)(const struct as_mapping *m, void *arg),
                   void *arg);
    /* For each of n pages from addr on, bits 55 to 63 of its pagemap entry; ret is zeroed. May be NULL. */
    void (*as_pages)(struct aspace *as, gaddr_t addr, uint64_t *ret, size_t n);
    int (*as_usage)(struct aspace *as, struct as_usage *ret);
    /*
     * The same with what it costs the host beside files and shared memory. exact: what a fork shares
     * is counted in parts, which takes long. -ENOENT.
     */
    int (*as_cost)(struct aspace *as, bool exact, struct as_usage *ret);
    /* Of all spaces, blank ones too (as may be NULL); 0: there is none. */
    gaddr_t (*as_vdso)(struct aspace *as);
    /* Lowest address that a guest may not map; highest host address free for stacks is below it. */
    gaddr_t (*as_limit)(void);

    /*
     * Brackets bounded host I/O on a worker: passes the lead of its listener on, where another
     * context could be waiting for it. Does nothing on other threads. Nests.
     */
    void (*worker_block_begin)(void);
    void (*worker_block_end)(void);

    void (*stats)(struct platform_stats *ret);
};

extern const struct platform platform_trap, platform_ptrace, platform_skeleton;

/*
 * By name, or "auto": the best of those that work, without SBX_WITHOUT_* features; *ret_why then says
 * why a better one does not, or is NULL. NULL when there is none.
 */
const struct platform *platform_find(const char *name, uint64_t without, const char **ret_why);
