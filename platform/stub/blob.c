/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C part of the blob: the signal handler that hands a trapped call (or fault, or kick) over to
 * the sentry, and the zygote that makes blank stubs. Freestanding, general registers only, no
 * writable data: the state is the block that the stack pointer lies in.
 *
 * A handler is left by sigreturn only: the frame in the block is how the sentry changes registers.
 * An answer that makes no sense (the sentry is gone: ENOSYS) ends the process.
 */
#include "platform/stub/blob_priv.h"

extern HIDDEN long blob_syscall(uint32_t nr, const uint64_t a[6]);
extern HIDDEN long blob_store32(uint32_t *to, uint32_t value);
extern HIDDEN long blob_cmpxchg32(uint32_t *at, uint32_t old, uint32_t new);
extern HIDDEN long blob_clone(uint64_t flags, uint64_t block, uint64_t nonce, uint64_t tls,
                              uint64_t ctid, uint64_t kind);
extern HIDDEN void blob_blank(uint64_t slot, uint64_t nonce, uint64_t kind)
    __attribute__((noreturn));
extern HIDDEN void blob_again(struct block *b, uint64_t nonce, uint64_t kind)
    __attribute__((noreturn));
extern HIDDEN char blob_store32_insn[], blob_store32_fault[], blob_cmpxchg32_insn[], blob_start[],
    blob_end[];
HIDDEN void blob_handler(int sig, void *info, void *uc);
HIDDEN void blob_first(struct block *b, long ans);
HIDDEN void blob_nurse(struct block *b) __attribute__((noreturn));
HIDDEN void blob_spare(struct block *b);
HIDDEN void zygote_main(struct zygote_data *z) __attribute__((noreturn));

#define EBUSY 16
#define ENOSYS 38
#define LISTEN_TRIES 10000

/* Offset of the registers in the kernel's ucontext: behind flags, link, stack (24). */
#define UC_GREGS 40

static __attribute__((noreturn)) void die(void)
{
    for (;;)
        sys6(NR_EXIT_GROUP, 127, 0, 0, 0, 0, 0);
}

static inline struct block *my_block(void)
{
    return (struct block *)((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(BLOCK_SIZE - 1));
}

static long do_op(const struct block_op *op)
{
    if (op->nr == OP_STORE32_WAKE) {
        long r = blob_store32((uint32_t *)op->a[0], (uint32_t)op->a[1]);

        if (r)
            return r;
        sys6(NR_FUTEX, op->a[0], 1, 0x7fffffff, 0, 0, 0);          /* FUTEX_WAKE */
        return sys6(NR_FUTEX, op->a[0], 129, 0x7fffffff, 0, 0, 0); /* the private ones */
    }
    if (op->nr == OP_CMPXCHG32)
        return blob_cmpxchg32((uint32_t *)op->a[0], (uint32_t)op->a[1], (uint32_t)op->a[2]);
    if (op->nr == OP_CLONE)
        return blob_clone(op->a[0], op->a[1], op->a[2], op->a[3], op->a[4], op->a[5]);
    return blob_syscall(op->nr, op->a);
}

static void run_ops(struct block *b)
{
    struct block_op *ops = (struct block_op *)((char *)b + BLOCK_OPS_OFF);
    uint32_t n = b->nops;
    int failed = 0;

    for (uint32_t i = 0; i < n && i < BLOCK_OPS_MAX; i++) {
        ops[i].ret = failed && !ops[i].always ? -125 /* ECANCELED */ : do_op(&ops[i]);
        if (ops[i].ret < 0 && ops[i].ret > -4096)
            failed = 1;
    }
}

/* Parked: the notification was answered so that the sentry need not keep it. */
static long wait_parked(struct block *b)
{
    uint32_t v;

    while ((v = __atomic_load_n(&b->park, __ATOMIC_ACQUIRE)) == 0)
        sys6(NR_FUTEX, (uint64_t)&b->park, 0, 0, 0, 0, 0);
    return (long)v - 1;
}

/* A copy of a frozen stub (and the stub) gets a listener of its own; the old one is closed. */
static void new_listener(struct block *b)
{
    struct listen_prog *p = (struct listen_prog *)((char *)b + BLOCK_PROG_OFF);
    long fd = -EBUSY;

    /* EBUSY: somebody is still looking at the old one */
    for (int i = 0; i < LISTEN_TRIES && fd == -EBUSY; i++) {
        if (i > 0)
            sys6(NR_SCHED_YIELD, 0, 0, 0, 0, 0, 0);
        fd = sys6(NR_SECCOMP, 1, p->flags, (uint64_t)&p->prog, 0, 0, 0);
    }
    __atomic_store_n(&b->listener, (int32_t)fd, __ATOMIC_RELEASE);
    sys6(NR_FUTEX, (uint64_t)&b->listener, 1, 1, 0, 0, 0);
}

/* The same for one that the sentry fetches: it is closed once that has been done. */
static void fetched_listener(struct block *b)
{
    __atomic_store_n(&b->park, 0, __ATOMIC_RELAXED);
    new_listener(b);
    wait_parked(b);
    sys6(NR_CLOSE, (uint64_t)b->listener, 0, 0, 0, 0, 0);
}

/* Its listener was closed, so that it gets one of its own (trap/split.c). */
static int listen_again(struct block *b)
{
    if (__atomic_load_n(&b->relisten, __ATOMIC_ACQUIRE) != RELISTEN_DO)
        return 0;
    new_listener(b);
    while (__atomic_load_n(&b->relisten, __ATOMIC_ACQUIRE) == RELISTEN_DO)
        sys6(NR_FUTEX, (uint64_t)&b->relisten, 0, RELISTEN_DO, 0, 0, 0);
    sys6(NR_CLOSE, (uint64_t)b->listener, 0, 0, 0, 0, 0);
    return 1;
}

long blob_ring(struct block *b, long kind)
{
    long ans;

    do {
        ans = sys6(NR_BELL, (uint64_t)kind, b->index, b->seq, 0, 0, 0);
    } while (ans == -ENOSYS && listen_again(b));
    return ans;
}

/* A thread that was ready begins. What it finds on its clock is not its own. */
static void start(struct block *b)
{
    uint64_t ts[2] = { 0, 0 };

    sys6(NR_CLOCK_GETTIME, 3 /* CLOCK_THREAD_CPUTIME_ID */, (uint64_t)ts, 0, 0, 0, 0);
    b->cpu0 = ts[0] * 1000000000 + ts[1];
    sys6(NR_ARCH_PRCTL, 0x1002 /* ARCH_SET_FS */, b->fs, 0, 0, 0, 0);
}

long blob_serve(struct block *b, long ans, long kind)
{
    for (;;) {
        if (ans == ANS_PARK)
            ans = wait_parked(b);
        if (ans == ANS_RESUME || (ans == ANS_FRAME && kind != BELL_EVENT))
            return ans;
        if (ans == ANS_OPS) {
            run_ops(b);
            b->seq++;
            ans = blob_ring(b, BELL_OPS);
            continue;
        } else if (ans == ANS_GO) {
            run_ops(b);
            return ANS_RESUME;
        } else if (ans == ANS_START) {
            start(b);
            return ANS_RESUME;
        } else if (ans == ANS_REST) {
            run_ops(b);
            blob_again(b, b->nonce, b->kind);
        } else if (ans == ANS_NURSE) {
            wait_parked(b);
            run_ops(b);
            fetched_listener(b);
        } else if (ans == ANS_EXIT) {
            run_ops(b);
            sys6(NR_EXIT, 0, 0, 0, 0, 0, 0);
        } else if (ans == ANS_LISTEN) {
            new_listener(b);
        } else if (ans != ANS_RING) {
            die();
        }
        b->seq++;
        ans = blob_ring(b, kind);
    }
}

/* Not int 0x80: the architecture in the siginfo of SIGSYS. */
static int is_native(const void *info)
{
    return ((const uint32_t *)info)[7] == 0xc000003e;
}

void blob_handler(int sig, void *info, void *uc)
{
    struct block *b = my_block();
    uint64_t *g = (uint64_t *)((char *)uc + UC_GREGS), *rip = &g[G_RIP];

    if (*rip >= (uint64_t)blob_start && *rip < (uint64_t)blob_end) {
        if (sig != SIG_KICK &&
            (*rip == (uint64_t)blob_store32_insn || *rip == (uint64_t)blob_cmpxchg32_insn)) {
            *rip = (uint64_t)blob_store32_fault;
            return;
        }
        if (!light_signal(b, sig, g))
            return;
    } else if (sig == SIGSYS && is_native(info) && kept_trap(b, g)) {
        return;
    }
    b->sig = (uint32_t)sig;
    b->uc = (uint32_t)((char *)uc - (char *)b);
    b->cpu = cpu_now();
    b->seq++;
    (void)blob_serve(b, blob_ring(b, BELL_EVENT), BELL_EVENT);
}

/* A new thread, from blob.S: ans is what its first bell was answered with. */
void blob_first(struct block *b, long ans)
{
    (void)blob_serve(b, ans, BELL_EVENT);
}

/* Clones threads when it is told to; without a listener, so that they can install their own. */
void blob_nurse(struct block *b)
{
    for (;;) {
        wait_parked(b);
        __atomic_store_n(&b->park, 0, __ATOMIC_RELAXED);
        run_ops(b);
    }
}

void blob_spare(struct block *b)
{
    fetched_listener(b);
}

/* ---- the zygote ---- */

static void unmap_all_but(const struct zygote_data *z)
{
    uint64_t lo[3], hi[3], at = 0x1000; /* what is kept, in rising order */
    uint32_t n = 0;

    lo[n] = z->slot;
    hi[n++] = z->slot + (1ull << SLOT_SHIFT);
    for (uint32_t i = 0; i < z->nkeep && i < 2; i++, n++) {
        uint32_t j = n;

        for (; j > 0 && lo[j - 1] > z->keep[i][0]; j--) {
            lo[j] = lo[j - 1];
            hi[j] = hi[j - 1];
        }
        lo[j] = z->keep[i][0];
        hi[j] = z->keep[i][1];
    }
    for (uint32_t i = 0; i < n; i++) {
        if (lo[i] > at && sys6(NR_MUNMAP, at, lo[i] - at, 0, 0, 0, 0) < 0)
            die();
        at = hi[i];
    }
    if (at < z->task_size && sys6(NR_MUNMAP, at, z->task_size - at, 0, 0, 0, 0) < 0)
        die();
}

/*
 * With the nonce: blanks that are made at the same time may arrive in any order. Without a descriptor
 * (fd < 0) it says that this one will not come.
 */
static int send_listener(int sock, int fd, uint64_t nonce)
{
    struct {
        uint64_t len;
        int level, type;
        int fd, pad;
    } cmsg = { 20, 1, 1, fd, 0 };
    struct {
        void *base;
        uint64_t len;
    } iov = { &nonce, sizeof nonce };
    struct {
        void *name;
        uint32_t namelen;
        void *iov;
        uint64_t iovlen;
        void *control;
        uint64_t controllen;
        int flags;
    } msg = { 0, 0, &iov, 1, &cmsg, fd < 0 ? 0 : sizeof cmsg, 0 };

    return sys6(NR_SENDMSG, (uint64_t)sock, (uint64_t)&msg, 0x4000, 0, 0, 0) == sizeof nonce;
}

static __attribute__((noreturn)) void blank(struct zygote_data *z, uint64_t nonce)
{
    struct {
        uint16_t len;
        void *insns;
    } prog = { (uint16_t)z->listen_len, z->listen };
    long fd;
    int sock = z->sock;

    fd = sys6(NR_SECCOMP, 1, 8 | (z->use_killable ? 32 : 0), (uint64_t)&prog, 0, 0, 0);
    if (fd < 0 || !send_listener(sock, (int)fd, nonce)) {
        send_listener(sock, -1, nonce);
        die();
    }
    sys6(NR_CLOSE, (uint64_t)fd, 0, 0, 0, 0, 0);
    sys6(NR_CLOSE, (uint64_t)sock, 0, 0, 0, 0, 0);
    blob_blank(z->slot, nonce, BORN_CHANNEL | BORN_PROCESS | (z->use_gs ? BORN_GS : 0));
}

void zygote_main(struct zygote_data *z)
{
    struct {
        uint16_t len;
        void *insns;
    } prog = { (uint16_t)z->base_len, z->base };
    struct zygote_request rq;
    long pid;

    unmap_all_but(z);
    if (z->base_len && sys6(NR_SECCOMP, 1, 0, (uint64_t)&prog, 0, 0, 0) < 0)
        die();
    while (z->traced) /* until it is told otherwise */
        sys6(NR_FUTEX, (uint64_t)&z->traced, 0, 1, 0, 0, 0);
    for (;;) {
        if (sys6(NR_READ, (uint64_t)z->sock, (uint64_t)&rq, sizeof rq, 0, 0, 0) != sizeof rq)
            die();
        pid = sys6(NR_CLONE, 17, 0, z->secret, 0, 0, 0); /* SIGCHLD */
        if (pid == 0)
            blank(z, rq.nonce);
        if (pid < 0) /* the host has no room just now: who waits asks again */
            send_listener(z->sock, -1, rq.nonce);
    }
}
