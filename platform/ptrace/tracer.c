/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracer: the one thread that is attached to the stubs. It takes what is wanted of it, then
 * waits for a stop, tells its client, and begins again. The client's handlers run on it, and resume
 * their contexts at once; only other threads need the queue, and a nudge.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/types.h"
#include "platform/ptrace/ptrace.h"

#define TRACER_STACK (1024 * 1024)
#define SERVED_AT_MOST 2

static _Thread_local bool is_tracer;

bool pt_is_tracer(void)
{
    return is_tracer;
}

/* ---- what others want of it ---- */

static void nudge(bool waits)
{
    if (waits && !is_tracer)
        pthread_kill(pt.tracer, SIG_NUDGE);
}

void pt_want(struct ctx *c, enum want w)
{
    bool waits, gone;

    pthread_mutex_lock(&pt.lock);
    gone = atomic_load(&c->gone);
    if (!gone) {
        pt_ctx_get(c);
        c->want = w;
        tlist_del(&c->want_link);
        tlist_add(&pt.wanted, &c->want_link);
    }
    waits = pt.waiting && !gone;
    pthread_mutex_unlock(&pt.lock);
    nudge(waits);
}

void pt_errand(void (*run)(void *arg), void *arg)
{
    struct errand e = { .run = run, .arg = arg };
    bool waits;

    if (is_tracer) {
        run(arg);
        return;
    }
    pthread_mutex_lock(&pt.lock);
    tlist_add(&pt.errands, &e.link);
    waits = pt.waiting;
    pthread_mutex_unlock(&pt.lock);
    nudge(waits);
    pthread_mutex_lock(&pt.lock);
    while (!e.done && !(atomic_load(&pt.stopping) && !tlist_empty(&e.link)))
        pthread_cond_wait(&pt.cond, &pt.lock);
    tlist_del(&e.link); /* where nobody will run it any more */
    pthread_mutex_unlock(&pt.lock);
}

/* To all of its threads: the host forgets a signal that ends all when it meets one that is ending. */
static void kill_threads_locked(struct stub *s)
{
    for (struct tlist *n = s->ctxs.next; n != &s->ctxs; n = n->next)
        syscall(SYS_tgkill, s->pid, tlist_entry(n, struct ctx, stub_link)->tid, SIGKILL);
}

/* By the tracer, which alone knows that the number is still that process's. */
void pt_kill_locked(struct stub *s)
{
    if (is_tracer) {
        kill_threads_locked(s);
    } else if (tlist_empty(&s->kill_link)) {
        tlist_add(&pt.kills, &s->kill_link);
        nudge(pt.waiting);
    }
}

void pt_deliver(struct ctx *c, enum platform_event ev)
{
    void *owner = NULL;

    pthread_mutex_lock(&pt.lock);
    if (!atomic_load(&c->gone) && c->owner) {
        owner = c->owner;
        pt.client->owner_ref(owner);
    }
    pthread_mutex_unlock(&pt.lock);
    if (!owner)
        return;
    pt.client->event(owner, c, ev);
    pt.client->owner_put(owner);
}

static void zygote_over(int status)
{
    pt_unhash(pt.zygote);
    pt.zygote->over = true;
    if (!atomic_load(&pt.stopping) && pt.client->lost)
        pt.client->lost("zygote", status);
}

static void on_status(struct ctx *c, int status)
{
    bool over = WIFEXITED(status) || WIFSIGNALED(status);

    if (c == pt.zygote) {
        if (over)
            zygote_over(status);
        return;
    }
    if (over) {
        pt_ctx_over(c);
        return;
    }
    pt_ctx_get(c);
    pt_on_stop(c, status);
    pt_ctx_drop(c);
}

/* ---- the loop ---- */

static void do_want(struct ctx *c, enum want w)
{
    switch (w) {
    case WANT_RESUME:
        pt_resume_now(c);
        break;
    case WANT_OPS:
        pt_run_ops(c);
        break;
    case WANT_FPU:
        if (pt_fpu_fetch(c) == 0)
            pt_deliver(c, EV_OPS);
        break;
    case WANT_EXIT:
        pt_leave(c);
        break;
    default:
        break;
    }
}

static struct ctx *next_wanted(enum want *ret)
{
    struct ctx *c = NULL;

    pthread_mutex_lock(&pt.lock);
    while (!tlist_empty(&pt.kills)) {
        struct stub *s = tlist_entry(pt.kills.next, struct stub, kill_link);

        tlist_del(&s->kill_link);
        kill_threads_locked(s);
    }
    if (!tlist_empty(&pt.wanted)) {
        c = tlist_entry(pt.wanted.next, struct ctx, want_link);
        tlist_del(&c->want_link);
        *ret = c->want;
        c->busy = c->want == WANT_OPS;
        c->want = WANT_NOTHING;
    }
    pthread_mutex_unlock(&pt.lock);
    return c;
}

static void run_errands(void)
{
    pthread_mutex_lock(&pt.lock);
    while (!tlist_empty(&pt.errands)) {
        struct errand *e = tlist_entry(pt.errands.next, struct errand, link);

        tlist_del(&e->link);
        pthread_mutex_unlock(&pt.lock);
        e->run(e->arg);
        pthread_mutex_lock(&pt.lock);
        e->done = true;
        pthread_cond_broadcast(&pt.cond);
    }
    pthread_mutex_unlock(&pt.lock);
}

/* What is wanted, and what has been put aside on the way. */
static void run_queue(void)
{
    struct ctx *c;
    enum want w = WANT_NOTHING;
    int status;

    for (;;) {
        run_errands();
        if ((c = next_wanted(&w))) {
            do_want(c, w);
            pt.client->drain();
            pt_ctx_drop(c);
        } else if ((c = pt_unstash(&status))) {
            on_status(c, status);
            pt.client->drain();
        } else {
            break;
        }
    }
    pt_forget_new();
}

/* False: something is wanted already. */
static bool may_wait(void)
{
    bool may;

    pthread_mutex_lock(&pt.lock);
    pt_nudged = 0;
    may = tlist_empty(&pt.wanted) && tlist_empty(&pt.errands) && tlist_empty(&pt.kills) &&
          !atomic_load(&pt.stopping);
    pt.waiting = may;
    pthread_mutex_unlock(&pt.lock);
    return may;
}

/*
 * The host tells of those first that were attached last: two of them that call all the time would keep
 * the others waiting for ever. So now and then all that have stopped are put aside, to be served before any
 * of them comes again.
 */
static void look_at_all(void)
{
    int status;
    pid_t tid;

    if (++pt.served < SERVED_AT_MOST)
        return;
    pt.served = 0;
    while ((tid = pt_poll(&status)) > 0)
        pt_put_aside(tid, status);
}

static void wait_and_tell(void)
{
    int status;
    pid_t tid = pt_wait(&status, true);

    pthread_mutex_lock(&pt.lock);
    pt.waiting = false;
    pthread_mutex_unlock(&pt.lock);
    if (tid == -ECHILD) { /* nothing is left that could stop */
        pthread_mutex_lock(&pt.lock);
        while (!atomic_load(&pt.stopping) && tlist_empty(&pt.errands))
            pthread_cond_wait(&pt.cond, &pt.lock);
        pthread_mutex_unlock(&pt.lock);
    }
    if (tid > 0) {
        struct ctx *c = pt_by_tid(tid);

        if (c)
            on_status(c, status);
        else
            pt_put_aside(tid, status);
        pt.client->drain();
        look_at_all();
    }
}

struct starting {
    int r;
    bool done;
};

static void *tracer_main(void *arg)
{
    struct starting *st = arg;
    int r;

    is_tracer = true;
    if (pt.client->worker_start)
        pt.client->worker_start();
    r = pt_take_zygote();
    pthread_mutex_lock(&pt.lock);
    st->r = r;
    st->done = true;
    pthread_cond_broadcast(&pt.cond);
    pthread_mutex_unlock(&pt.lock);
    while (r == 0 && !atomic_load(&pt.stopping)) {
        run_queue();
        if (may_wait())
            wait_and_tell();
    }
    return NULL;
}

int pt_tracer_start(void)
{
    struct starting st = { 0 };
    pthread_attr_t attr;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, TRACER_STACK);
    r = -pthread_create(&pt.tracer, &attr, tracer_main, &st);
    if (r < 0)
        return r;
    pthread_mutex_lock(&pt.lock);
    while (!st.done)
        pthread_cond_wait(&pt.cond, &pt.lock);
    pthread_mutex_unlock(&pt.lock);
    return st.r;
}

void pt_tracer_stop(void)
{
    bool waits;

    pthread_mutex_lock(&pt.lock);
    atomic_store(&pt.stopping, true);
    waits = pt.waiting;
    pthread_cond_broadcast(&pt.cond);
    pthread_mutex_unlock(&pt.lock);
    nudge(waits);
}
