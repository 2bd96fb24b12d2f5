/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ready threads. Threads that share a listener are pulled to one cpu and wait for one another; one
 * with a listener and a worker of its own does not, but a thread of a listener cannot make such a
 * one (EBUSY). So a process that makes its first thread gets a nurse: a thread of the blob's that
 * has no listener and makes threads that install their own.
 *
 *   nurse_make   the caller's listener is closed, the caller clones the nurse and installs another:
 *                possible only while nobody else has it
 *   spare_make   the nurse clones a thread, which installs a listener that we fetch; its first bell
 *                is held: it is a spare
 *   take, start  a clone of the guest's: registers and fs base of the new thread, and off it goes
 *   rest         its end: what the host knows of it is undone, its word cleared and woken, and it
 *                rings as new: a spare again, held under a ctx of its own
 *
 * All of it is waited for by the worker that runs the clone, at most as often as there are ready
 * threads in a process (OWN_MAX); beyond, and wherever something does not fit (or pidfd_getfd is
 * forbidden), a thread is cloned with its maker's listener.
 *
 * What a thread could leave to the next one: its rseq area (taken back in rest), fs (set at the
 * start), gs and a cpu affinity (such threads are cloned, and not kept), processor time (the blob
 * notes the clock at the start). Masks, stacks, handlers and lists are the sentry's, not the host's.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "abi/types.h"
#include "platform/shared/bpf.h"
#include "platform/trap/trap.h"

#define RSEQ_UNREGISTER 1
#define OWN_MAX 8 /* threads of a process with a listener of their own */
#define PATIENCE_MS 2000

/* ---- with the blob, word by word ---- */

int write_listen_prog(struct ctx *c, uint32_t more_flags)
{
    struct listen_prog *p = (struct listen_prog *)((char *)c->block + BLOCK_PROG_OFF);
    uint64_t at = block_addr(c->index) + BLOCK_PROG_OFF;
    struct bpf_asm a;
    int n;

    bpf_init(&a);
    n = filter_listen(&a);
    if (n < 0 || n > 16)
        return -E2BIG;
    p->flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | (trap.use_killable ? 32u : 0) | more_flags;
    p->prog.len = (uint16_t)n;
    p->prog.insns = at + offsetof(struct listen_prog, insn);
    memcpy(p->insn, a.insn, (size_t)n * sizeof a.insn[0]);
    __atomic_store_n(&c->block->listener, LISTENER_NONE, __ATOMIC_RELEASE);
    return 0;
}

static void wake_word(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* What the stub says its new descriptor is: only a number until it has been fetched. */
int await_listener(struct ctx *c)
{
    struct timespec ts = { .tv_sec = PATIENCE_MS / 1000 };
    int32_t v;

    while ((v = __atomic_load_n(&c->block->listener, __ATOMIC_ACQUIRE)) == LISTENER_NONE) {
        if (syscall(SYS_futex, &c->block->listener, FUTEX_WAIT, LISTENER_NONE, &ts, NULL, 0) < 0 &&
            errno == ETIMEDOUT)
            return -EIO;
    }
    return v;
}

/* The descriptor theirs of s, if it is a listener. */
int fetch_listener(const struct stub *s, int theirs)
{
    uint64_t none = 0;
    int fd;

    if (theirs < 0)
        return theirs;
    fd = (int)syscall(SYS_pidfd_getfd, s->pidfd, theirs, 0);
    if (fd < 0)
        return -errno;
    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &none) == 0 || errno != ENOENT) {
        close(fd);
        return -EPROTO;
    }
    return fd;
}

/* The next bell on a listener that nobody leads. */
static int receive_bell(int fd, struct seccomp_notif *ret)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    if (hostio_poll(&p, 1, PATIENCE_MS * 1000000ull) != 1 || !(p.revents & POLLIN))
        return -EIO;
    memset(ret, 0, sizeof *ret);
    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, ret) < 0)
        return -errno;
    atomic_fetch_add_explicit(&trap.st.bells, 1, memory_order_relaxed);
    return ret->data.nr == NR_BELL ? 0 : -EPROTO;
}

/* ---- the nurse ---- */

static uint64_t born_gs(const struct aspace *as)
{
    return trap.use_gs && !as->own_gs ? BORN_GS : 0;
}

static struct block_op *clone_op(struct block *b)
{
    return (struct block_op *)((char *)b + BLOCK_OPS_OFF);
}

static void write_clone(struct block *b, unsigned index, uint64_t nonce, uint64_t kind)
{
    *clone_op(b) = (struct block_op){
        .nr = OP_CLONE, .a = { BLOB_THREAD_FLAGS, block_addr(index), nonce, 0, 0, kind }
    };
    __atomic_store_n(&b->nops, 1, __ATOMIC_RELAXED);
}

/* c, held, waits until its listener is closed, clones the nurse, and installs another listener. */
static int relisten(struct ctx *c)
{
    struct listener *l = c->l;
    struct seccomp_notif n;
    int fd, r;

    (void)notif_send(l, c->notif, ANS_NURSE, 0, 0);
    close(l->fd);
    l->fd = -1;
    wake_word(&c->block->park, 1);
    fd = fetch_listener(c->stub, await_listener(c));
    if (fd < 0)
        return fd;
    l->fd = fd;
    (void)listener_sync(l, true);
    wake_word(&c->block->park, 1);
    r = receive_bell(fd, &n);
    if (r == 0 && (pid_t)n.pid != c->tid)
        r = -EPROTO;
    if (r == 0) {
        c->notif = n.id;
        c->seq = (uint32_t)n.data.args[2];
    }
    return r;
}

static bool nurse_make(struct ctx *c)
{
    struct stub *s = c->stub;
    struct listener *l = c->l;
    int index;

    if (c->own || atomic_load(&c->state) != CTX_HELD || atomic_load(&l->nctx) != 1 ||
        atomic_load(&l->nstubs) != 1 || !worker_leads(l))
        return false;
    pthread_mutex_lock(&trap.lock);
    index = s->dead ? -1 : block_alloc(s->as, -1);
    pthread_mutex_unlock(&trap.lock);
    if (index < 0 || write_listen_prog(c, 0) < 0)
        return false;
    __atomic_store_n(&block_at(s->as, (unsigned)index)->park, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&c->block->park, 0, __ATOMIC_RELEASE);
    write_clone(c->block, (unsigned)index, 0, BORN_NURSE);
    if (relisten(c) < 0) {
        stub_kill(s); /* dead, or hostile: there is no way back */
        return false;
    }
    s->nurse = block_at(s->as, (unsigned)index);
    return true;
}

/* ---- spares ---- */

/* Its first bell, which nobody leads yet: c is held by it. */
static int spare_born(struct ctx *c, uint64_t nonce)
{
    struct seccomp_notif n;
    int r = receive_bell(c->l->fd, &n);

    if (r < 0)
        return r;
    if (n.data.args[0] != BELL_BORN || n.data.args[1] != nonce ||
        syscall(SYS_tgkill, c->stub->pid, (pid_t)n.pid, 0) < 0)
        return -EPROTO;
    pthread_mutex_lock(&trap.lock);
    ctx_hash_locked(c, (pid_t)n.pid);
    c->nonce = 0;
    c->notif = n.id;
    c->born_event = true;
    atomic_store(&c->state, CTX_HELD);
    pthread_mutex_unlock(&trap.lock);
    return 0;
}

static int spare_listen(struct ctx *c, uint64_t nonce)
{
    int fd = fetch_listener(c->stub, await_listener(c));
    struct listener *l;

    if (fd < 0)
        return fd;
    l = listener_new(fd);
    if (!l) {
        close(fd);
        return -ENOMEM;
    }
    ctx_own_listener(c, l);
    listener_put(l);
    wake_word(&c->block->park, 1);
    return spare_born(c, nonce);
}

static struct ctx *spare_make(struct stub *s)
{
    struct ctx *c = ctx_new(s->as, s, NULL, -1);
    uint64_t nonce;
    int r;

    if (!c)
        return NULL;
    c->clone_flags = AS_CLONE_VM | AS_CLONE_THREAD;
    c->spare = true;
    nonce = ctx_nonce(c);
    r = write_listen_prog(c, 0);
    __atomic_store_n(&c->block->park, 0, __ATOMIC_RELEASE);
    write_clone(s->nurse, c->index, nonce, BORN_SPARE | born_gs(s->as));
    wake_word(&s->nurse->park, 1);
    if (r == 0)
        r = spare_listen(c, nonce);
    if (r < 0) {
        c->spare = false;
        ctx_free(c);
        return NULL;
    }
    listener_start(c->l);
    return c;
}

static struct ctx *pop(struct stub *s)
{
    struct ctx *c = NULL;

    pthread_mutex_lock(&trap.lock);
    if (!tlist_empty(&s->pool) && !s->dead) {
        c = tlist_entry(s->pool.next, struct ctx, pool_link);
        tlist_del(&c->pool_link);
        c->pooled = false;
        atomic_fetch_add(&s->nlive, 1);
        atomic_fetch_add(&c->l->nctx, 1);
    }
    pthread_mutex_unlock(&trap.lock);
    return c;
}

static struct ctx *make(struct ctx *parent)
{
    struct stub *s = parent->stub;
    struct ctx *c = NULL;
    bool busy = false;

    if (atomic_load(&s->nown) >= OWN_MAX ||
        !atomic_compare_exchange_strong(&s->nursing, &busy, true))
        return NULL;
    if (s->nurse || nurse_make(parent)) {
        c = spare_make(s);
        if (!c)
            return NULL; /* nothing more is asked of this process */
    }
    atomic_store(&s->nursing, false);
    return c;
}

/* A thread for a clone of parent's: held, not started. NULL: it is to be cloned. */
struct ctx *threads_take(struct ctx *parent, unsigned flags)
{
    const unsigned need = AS_CLONE_VM | AS_CLONE_THREAD | AS_CLONE_SETTLS;
    struct stub *s = parent->stub;
    struct ctx *c;

    if (!trap.use_getfd || (flags & need) != need || parent->job || parent->light ||
        parent->affinity || s->as->own_gs)
        return NULL;
    c = pop(s);
    if (!c)
        c = make(parent);
    if (c) {
        atomic_store(&s->threaded, true);
        c->clone_flags = flags;
    }
    return c;
}

/* ---- start and end ---- */

bool ctx_start(struct ctx *parent, const struct as_op *op)
{
    struct ctx *c = op->child;

    if (!c->spare)
        return false;
    frame_clone(c, parent);
    __atomic_store_n(&c->block->fs, op->a[1], __ATOMIC_RELAXED);
    __atomic_store_n(&c->block->cpu0, UINT64_MAX, __ATOMIC_RELAXED);
    c->clear_tid = op->a[0] & AS_CLONE_CLEARTID ? op->a[2] : 0;
    c->spare = false;
    c->start = true;
    atomic_fetch_add(&trap.st.threads, 1);
    deliver(c, EV_BORN);
    return true;
}

/*
 * c's thread under a new ctx, which waits for its bell: with this nonce. c keeps nothing of the
 * host's. 0: it does not. Both references of the new one are the stub's, whose death ends it.
 */
static uint64_t succeed(struct ctx *c)
{
    struct ctx *n = calloc(1, sizeof *n);
    struct stub *s = c->stub;
    uint64_t nonce;
    bool alive;

    if (!n)
        return 0;
    n->index = c->index;
    n->block = c->block;
    n->stub = s;
    n->refs = 2;
    n->clone_flags = AS_CLONE_VM | AS_CLONE_THREAD;
    n->spare = n->pooled = true;
    tlist_init(&n->wait_link);
    tlist_init(&n->pool_link);
    while (getrandom(&n->nonce, sizeof n->nonce, 0) != sizeof n->nonce || n->nonce == 0)
        ;
    nonce = n->nonce;
    pthread_mutex_lock(&trap.lock);
    alive = !s->dead;
    if (alive) {
        atomic_fetch_add(&s->refs, 1);
        n->l = c->l;
        listener_ref(n->l);
        n->own = true;
        c->own = false;
        c->left = true;
        tlist_add(&s->ctxs, &n->stub_link);
        tlist_add(&trap.unborn, &n->hash_link);
    }
    pthread_mutex_unlock(&trap.lock);
    if (alive)
        return nonce;
    free(n);
    return 0;
}

/*
 * What the host does at the end of a thread that was cloned. A thread that rests gives its rseq area
 * back before its word says that it is over, and its stack and the area may go.
 */
void threads_write_end(struct ctx *c, bool rests)
{
    struct block_op *b = clone_op(c->block);
    uint64_t area = ctx_word(c, CW_RSEQ);
    unsigned n = 0;

    if (rests && area)
        b[n++] = (struct block_op){ .nr = SYS_rseq,
                                    .a = { area, ctx_word(c, CW_RSEQ_LEN), RSEQ_UNREGISTER,
                                           ctx_word(c, CW_RSEQ_SIG) } };
    if (c->clear_tid)
        b[n++] = (struct block_op){ .nr = OP_STORE32_WAKE, .always = 1, .a = { c->clear_tid } };
    __atomic_store_n(&c->block->nops, n, __ATOMIC_RELEASE);
}

/* From ctx_exit: c's thread becomes a spare where it may. True: c is given up. */
bool threads_rest(struct ctx *c)
{
    bool parked = atomic_load(&c->state) == CTX_PARKED;
    uint64_t nonce;

    /* One that was cloned and has got its listener later (split.c) has a word that the host clears. */
    if (!c->own || c->left_l || c->affinity || c->start || c->ndeferred || c->light || c->posted ||
        c->stub->as->own_gs || atomic_load(&c->stub->as->killed) ||
        atomic_load(&c->stub->nlive) <= 1)
        return false;
    nonce = succeed(c);
    if (!nonce)
        return false;
    threads_write_end(c, true);
    __atomic_store_n(&c->block->seq, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&c->block->kind, born_gs(c->stub->as), __ATOMIC_RELAXED);
    __atomic_store_n(&c->block->nonce, nonce, __ATOMIC_RELEASE);
    memset(c->block->facts, 0, sizeof c->block->facts);
    ctx_words_forget(c);
    atomic_fetch_add(&trap.st.local, __atomic_exchange_n(&c->block->local, 0, __ATOMIC_RELAXED));
    if (ctx_leave(c)) /* it was the last one after all: all of it is killed */
        ;
    else if (parked)
        ctx_unpark(c, CTX_HELD, ANS_REST);
    else
        answer(c, CTX_HELD, ANS_REST);
    ctx_free(c);
    return true;
}

/* The bell of a thread that came to rest. Its reference is the pool's. */
void threads_back(struct ctx *c)
{
    pthread_mutex_lock(&trap.lock);
    if (c->pooled && !c->stub->dead)
        tlist_add(&c->stub->pool, &c->pool_link);
    pthread_mutex_unlock(&trap.lock);
}
