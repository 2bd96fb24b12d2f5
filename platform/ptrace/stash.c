/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stops and ends of threads. While the tracer makes a context do a call it waits for that one alone,
 * but has to take what comes of the others: a leader's end is not told before its threads are.
 * That is put aside, one status for each, of which an end is the last word. All of it the tracer's.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/ptrace/ptrace.h"

#define NEW_MAX 8

static struct tlist tids[TID_HASH], aside;
static struct {
    pid_t tid;
    int status;
} new[NEW_MAX]; /* threads that are not known yet: the child's stop may come before its maker's */
static unsigned nnew;

static struct tlist *bucket(pid_t tid)
{
    struct tlist *h = &tids[(unsigned)tid % TID_HASH];

    if (!h->next)
        tlist_init(h);
    if (!aside.next)
        tlist_init(&aside);
    return h;
}

struct ctx *pt_by_tid(pid_t tid)
{
    struct tlist *h = bucket(tid);

    for (struct tlist *n = h->next; n != h; n = n->next) {
        struct ctx *c = tlist_entry(n, struct ctx, hash_link);

        if (c->tid == tid)
            return c;
    }
    return NULL;
}

void pt_hash(struct ctx *c)
{
    tlist_add(bucket(c->tid), &c->hash_link);
}

void pt_unhash(struct ctx *c)
{
    tlist_del(&c->hash_link);
    tlist_del(&c->stash_link);
}

static bool is_end(int status)
{
    return WIFEXITED(status) || WIFSIGNALED(status);
}

static void new_aside(pid_t tid, int status)
{
    unsigned i = 0;

    while (i < nnew && new[i].tid != tid)
        i++;
    if (i == NEW_MAX) { /* nobody asked for so many */
        pt_forget_new();
        i = 0;
    }
    new[i].tid = tid;
    new[i].status = status;
    nnew += i == nnew;
}

/* Those that nobody has waited for: their maker has ended, or lied. */
void pt_forget_new(void)
{
    while (nnew > 0) {
        nnew--;
        if (!is_end(new[nnew].status))
            syscall(SYS_tgkill, new[nnew].tid, new[nnew].tid, SIGKILL);
    }
}

void pt_put_aside(pid_t tid, int status)
{
    struct ctx *c = pt_by_tid(tid);

    if (!c) {
        new_aside(tid, status);
        return;
    }
    c->stash = status;
    if (tlist_empty(&c->stash_link))
        tlist_add(&aside, &c->stash_link);
}

struct ctx *pt_unstash(int *ret_status)
{
    struct ctx *c;

    if (!aside.next || tlist_empty(&aside))
        return NULL;
    c = tlist_entry(aside.next, struct ctx, stash_link);
    tlist_del(&c->stash_link);
    *ret_status = c->stash;
    return c;
}

bool pt_await(struct ctx *c, int *ret_status)
{
    while (tlist_empty(&c->stash_link)) {
        int status;
        pid_t tid = pt_wait(&status, false);

        if (tid < 0)
            return false;
        pt_put_aside(tid, status);
    }
    *ret_status = c->stash;
    if (is_end(c->stash)) { /* it stays there, for who ends c */
        c->over = true;
        return false;
    }
    tlist_del(&c->stash_link);
    return true;
}

bool pt_await_new(pid_t tid)
{
    for (;;) {
        int status;

        for (unsigned i = 0; i < nnew; i++) {
            if (new[i].tid != tid)
                continue;
            status = new[i].status;
            new[i] = new[--nnew];
            return !is_end(status);
        }
        pid_t other = pt_wait(&status, false);

        if (other < 0)
            return false;
        pt_put_aside(other, status);
    }
}
