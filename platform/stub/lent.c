/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connected TCP sockets of the host's that the sentry has lent to the stub
 * (docs/decisions/sockets-lent-to-stubs.md): what is received and sent there without further ado is done
 * here. All else, and all that fails in a way of which the sentry has more to say, goes to the sentry,
 * which has the same socket.
 *
 * The word of a descriptor against its end, after which the number is closed and lent anew:
 *
 *      stub                                    sentry
 *      ----                                    ------
 *      lent_use = number      (A)              word = 0              (C)
 *      is the word the same?  (B)              is the number in use? (D)
 *
 * All four are sequentially consistent: if D misses A, then B sees C. Who has used a number whose word
 * has changed meanwhile kicks himself, so that the sentry can close it.
 */
#include "platform/stub/blob_priv.h"

#define EINTR 4
#define EBADF 9
#define EAGAIN 11
#define EFAULT 14
#define EPIPE 32
#define ENOTSOCK 88
#define ENOTCONN 107
#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000
#define POLLIN 1
#define POLLOUT 4
#define LENGTH_MAX 0x7ffff000u

struct pollfd {
    int fd;
    short events, revents;
};

static const uint32_t *word_of(const struct block *b, uint64_t fd)
{
    uint64_t slot = (uint64_t)b >> SLOT_SHIFT << SLOT_SHIFT;

    return (const uint32_t *)(slot + CHANNEL_OFF + ((uint64_t)LENT_BLOCK << BLOCK_SHIFT)) +
           (uint32_t)fd;
}

static inline uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

/* The word, whose number is in use from now on; 0: none. */
static uint32_t begin(struct block *b, const uint32_t *word)
{
    uint32_t w = load(word);

    if (!w)
        return 0;
    __atomic_store_n(&b->lent_use, w & LENT_NUMBER, __ATOMIC_SEQ_CST);
    if (load(word) == w)
        return w;
    __atomic_store_n(&b->lent_use, 0, __ATOMIC_RELEASE);
    return 0;
}

static void end(struct block *b, const uint32_t *word, uint32_t w)
{
    __atomic_store_n(&b->lent_use, 0, __ATOMIC_SEQ_CST);
    if (load(word) != w)
        b->kicked = 1;
}

static long wait_for(struct block *b, uint32_t w, int events)
{
    struct pollfd p = { (int)(w & LENT_NUMBER), (short)events, 0 };

    return blob_lent((uint64_t)&p, 1, (uint64_t)-1, 0, NR_POLL, b) > 0 ? 1 : -EINTR;
}

static void count(struct block *b, unsigned word, long n)
{
    __atomic_store_n(&b->words[word], b->words[word] + (uint64_t)n, __ATOMIC_RELAXED);
}

/* -EINTR: it is for the sentry to say. */
static long receive(struct block *b, uint32_t w, const uint64_t args[6], uint64_t flags)
{
    for (;;) {
        long n = blob_lent(w & LENT_NUMBER, args[1], args[2], MSG_DONTWAIT, NR_RECVFROM, b);

        if (n > 0)
            count(b, KEPT_RECEIVED, n);
        if (n == -EAGAIN && !(w & LENT_NONBLOCK) && !(flags & MSG_DONTWAIT)) {
            n = w & LENT_IN_WAITS ? wait_for(b, w, POLLIN) : -EINTR;
            if (n > 0)
                continue;
        }
        return n == -ENOTCONN ? -EINTR : n;
    }
}

/* As receive. What has been sent is told, whatever keeps the rest from it. */
static long send(struct block *b, uint32_t w, const uint64_t args[6], uint64_t flags)
{
    int waits = !(w & LENT_NONBLOCK) && !(flags & MSG_DONTWAIT);
    uint64_t done = 0;

    if (waits && !(w & LENT_OUT_WAITS))
        return -EINTR;
    for (;;) {
        long n = blob_lent(w & LENT_NUMBER, args[1] + done, args[2] - done,
                           MSG_DONTWAIT | MSG_NOSIGNAL, NR_SENDTO, b);

        if (n > 0) {
            count(b, KEPT_SENT, n);
            done += (uint64_t)n;
        }
        if (done < args[2] && (n > 0 || n == -EAGAIN) && waits) {
            n = wait_for(b, w, POLLOUT);
            if (n > 0)
                continue;
        }
        if (done)
            return (long)done;
        return n == -EPIPE && !(flags & MSG_NOSIGNAL) ? -EINTR : n; /* SIGPIPE */
    }
}

/* One descriptor, without a time. */
static int poll_one(struct block *b, const uint64_t args[6], long *ret)
{
    struct pollfd p;
    const uint32_t *word;
    uint32_t w;

    if (args[1] != 1 || ((int)args[2] != -1 && (int)args[2] != 0) ||
        blob_copy(&p, (const void *)args[0], sizeof p) || (uint32_t)p.fd >= LENT_FDS)
        return 0;
    word = word_of(b, (uint32_t)p.fd);
    w = begin(b, word);
    if (!w)
        return 0;
    p.fd = (int)(w & LENT_NUMBER);
    *ret = blob_lent((uint64_t)&p, 1, (uint64_t)(int)args[2], 0, NR_POLL, b);
    end(b, word, w);
    if (*ret >= 0 && blob_copy((char *)args[0] + 6, &p.revents, sizeof p.revents))
        *ret = -EFAULT;
    return *ret >= 0 || *ret == -EFAULT;
}

int lent_call(struct block *b, uint64_t nr, const uint64_t args[6], long *ret)
{
    uint64_t flags = 0;
    const uint32_t *word;
    uint32_t w;
    int sends;

    if (nr == NR_POLL)
        return poll_one(b, args, ret);
    if (nr == NR_RECVFROM || nr == NR_SENDTO) {
        flags = (uint32_t)args[3];
        if (args[4] || flags & ~(uint64_t)(MSG_DONTWAIT | MSG_NOSIGNAL))
            return 0;
    } else if (nr != NR_READ && nr != NR_WRITE) {
        return 0;
    }
    if ((uint32_t)args[0] >= LENT_FDS || args[2] - 1 >= LENGTH_MAX)
        return 0;
    word = word_of(b, args[0]);
    w = begin(b, word);
    if (!w)
        return 0;
    sends = nr == NR_WRITE || nr == NR_SENDTO;
    *ret = sends ? send(b, w, args, flags) : receive(b, w, args, flags);
    end(b, word, w);
    return *ret != -EINTR && *ret != -EFAULT && *ret != -EBADF && *ret != -ENOTSOCK;
}
