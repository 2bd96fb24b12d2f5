/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls about what a thread keeps with itself (block.words), on the light path: nobody is asked. The
 * sentry reads the words when it needs them, and the guest, whose words they are, may as well have
 * written there what it likes.
 *
 * The mask of blocked signals against a signal that comes:
 *
 *      stub                                    sentry (tasks_lock)
 *      ----                                    -------------------
 *      blocked = new          (A)              pending = 1            (C)
 *      is pending set?        (B)              does blocked hold it?  (D)
 *
 * All four are sequentially consistent: if D misses A, then B sees C, and the whole call goes to the
 * sentry, with the mask as it was.
 */
#include "platform/stub/blob_priv.h"

#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
#define UNBLOCKABLE (1ull << 8 | 1ull << 18) /* SIGKILL, SIGSTOP */
#define EFAULT 14
#define RSEQ_UNREGISTER 1

static inline void put(struct block *b, unsigned word, uint64_t v)
{
    __atomic_store_n(&b->words[word], v, __ATOMIC_SEQ_CST);
}

static inline uint64_t get(const struct block *b, unsigned word)
{
    return __atomic_load_n(&b->words[word], __ATOMIC_SEQ_CST);
}

/* False: how is not one of the three. */
static int combine(uint64_t how, uint64_t old, uint64_t set, uint64_t *ret)
{
    switch ((uint32_t)how) {
    case SIG_BLOCK:
        *ret = old | set;
        break;
    case SIG_UNBLOCK:
        *ret = old & ~set;
        break;
    case SIG_SETMASK:
        *ret = set;
        break;
    default:
        return 0;
    }
    *ret &= ~UNBLOCKABLE;
    return 1;
}

static int writable(uint64_t at)
{
    return at <= UINT64_MAX - 7 && !blob_touch((char *)at) && !blob_touch((char *)at + 7);
}

/* args: how, set, old set, size. What would fail, or concerns a pending signal, is the sentry's. */
static int sigprocmask(struct block *b, const uint64_t args[6], long *ret)
{
    uint64_t old = get(b, KEPT_BLOCKED), set, new;

    if (args[3] != sizeof set || get(b, KEPT_PENDING) || (args[2] && !writable(args[2])))
        return 0;
    if (args[1]) {
        if (blob_copy(&set, (const void *)args[1], sizeof set) || !combine(args[0], old, set, &new))
            return 0;
        put(b, KEPT_BLOCKED, new);
        if (get(b, KEPT_PENDING)) {
            put(b, KEPT_BLOCKED, old);
            return 0;
        }
    }
    *ret = args[2] && blob_copy((void *)args[2], &old, sizeof old) ? -EFAULT : 0;
    return 1;
}

/* args: head, size */
static int set_robust_list(struct block *b, const uint64_t args[6], long *ret)
{
    if (args[1] != 24)
        return 0;
    put(b, KEPT_ROBUST, args[0]);
    *ret = 0;
    return 1;
}

/* args: area, length, flags, signature. The area is the host's to check, but for our own memory. */
static int rseq(struct block *b, const uint64_t args[6], long *ret)
{
    if ((args[0] ^ (uint64_t)b) >> SLOT_SHIFT == 0)
        return 0;
    *ret = sys6(NR_RSEQ, args[0], args[1], args[2], args[3], 0, 0);
    if (*ret == 0) {
        put(b, KEPT_RSEQ, (uint32_t)args[2] & RSEQ_UNREGISTER ? 0 : args[0]);
        put(b, KEPT_RSEQ_LEN, (uint32_t)args[1]);
        put(b, KEPT_RSEQ_SIG, (uint32_t)args[3]);
    }
    return 1;
}

int kept_call(struct block *b, uint64_t nr, const uint64_t args[6], long *ret)
{
    if (!__atomic_load_n(&b->keeps, __ATOMIC_RELAXED))
        return 0;
    switch (nr) {
    case NR_RT_SIGPROCMASK:
        return sigprocmask(b, args, ret);
    case NR_SET_ROBUST_LIST:
        return set_robust_list(b, args, ret);
    case NR_RSEQ:
        return rseq(b, args, ret);
    default:
        return 0;
    }
}

/*
 * The first traps of an instruction are the sentry's, which may put a jump there; where it has not, the
 * handler does the call itself, at the cost of the signal.
 */
#define TRAPS_SEEN 4

static int was_seen(struct block *b, uint64_t rip)
{
    struct kept_site *s = &b->sites[(rip ^ rip >> 5) % KEPT_SITES];

    if (s->rip_low != (uint32_t)rip) {
        s->rip_low = (uint32_t)rip;
        s->traps = 0;
    }
    if (s->traps >= TRAPS_SEEN)
        return 1;
    s->traps++;
    return 0;
}

int kept_trap(struct block *b, uint64_t *g)
{
    const uint64_t args[6] = { g[G_RDI], g[G_RSI], g[G_RDX], g[G_R10], g[G_R8], g[G_R9] };
    uint32_t nr = (uint32_t)g[G_RAX];
    long ret;

    if ((nr != NR_RT_SIGPROCMASK && nr != NR_SET_ROBUST_LIST && nr != NR_RSEQ) ||
        !was_seen(b, g[G_RIP]) || !kept_call(b, nr, args, &ret))
        return 0;
    g[G_RAX] = (uint64_t)ret;
    b->local++;
    return 1;
}
