/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers: threads of the sentry that receive notifications. A listener has one leader that waits in
 * RECV (each further waiter makes every call dearer). A worker that is about to wait for something
 * outside (worker_block_begin) gives the lead to a spare one, where another context could ring
 * meanwhile; when it is through, it becomes a spare itself.
 *
 * A ring carries no meaning: who calls is told by the kernel, what is asked stands in the block's
 * frame, and the state of the ctx says whether it may. Whoever breaks this is killed.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "platform/trap/trap.h"

#define WORKER_STACK (1024 * 1024) /* thread-local buffers of some 200 KiB lie in it too */
#define SPARES_KEPT 2

static _Thread_local struct worker *self;
static pthread_attr_t attr;

/* ---- answers ---- */

int notif_send(struct listener *l, uint64_t id, int64_t val, int32_t error, uint32_t flags)
{
    struct seccomp_notif_resp resp = { .id = id, .val = val, .error = error, .flags = flags };

    return notif_ioctl(l->fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

/*
 * The state is what hands c over: whoever gets the next bell reads it first. So nothing of c is
 * looked at behind the store, although the bell cannot come before the answer.
 */
void answer(struct ctx *c, enum ctx_state next, int64_t val)
{
    struct listener *l = c->l;
    bool apart = c->apart;
    uint64_t id;

    c->last_ans = val;
    id = atomic_exchange(&c->notif, 0);
    if (c->posted) {
        c->posted = false;
        c->apart = false;
        post_answer(c, next, val);
        return;
    }
    c->apart = false;
    c->answered = __builtin_ia32_rdtsc();
    if (apart)
        listener_sync(l, false);
    atomic_store(&c->state, next);
    /* ENOENT: its thread was killed; the reaper will say so. */
    (void)notif_send(l, id, val, 0, 0);
    if (apart)
        listener_sync(l, true);
}

/* Answered, c may be held again at once, by another worker. */
void ctx_resume(struct ctx *c)
{
    uint32_t go = c->start ? ANS_START : ANS_RESUME;
    bool parked;

    ctx_stop_waiting(c);
    parked = atomic_load(&c->state) == CTX_PARKED;
    if (c->light)
        light_put(c);
    else
        frame_put(c);
    if ((c->ndeferred || (!c->start && lend_has_work(c))) && ops_deferred(c) > 0)
        go = ANS_GO;
    c->start = false;
    if (parked)
        ctx_unpark(c, CTX_RUNNING, go);
    else
        answer(c, CTX_RUNNING, go);
    tell_if_gone(c);
}

void ctx_exit(struct ctx *c)
{
    bool parked;

    ctx_stop_waiting(c);
    if (threads_rest(c))
        return;
    parked = atomic_load(&c->state) == CTX_PARKED;
    threads_write_end(c, false);
    if (ctx_leave(c))
        ; /* killed, and all of its stub */
    else if (parked)
        ctx_unpark(c, CTX_HELD, ANS_EXIT);
    else
        answer(c, CTX_HELD, ANS_EXIT);
    ctx_free(c);
}

void ctx_kick(struct ctx *c)
{
    if (c->tid > 1 && c->stub->pid > 1) {
        atomic_fetch_add(&trap.st.kicks, 1);
        syscall(SYS_tgkill, c->stub->pid, c->tid, SIG_KICK);
    }
}

/* ---- one notification ---- */

/* Pins the owner first: the reaper may be telling it at this moment that c is gone. */
void deliver(struct ctx *c, enum platform_event ev)
{
    void *owner = NULL;

    if (job_took(c))
        return;
    pthread_mutex_lock(&trap.lock);
    if (!atomic_load(&c->gone) && c->owner) {
        owner = c->owner;
        trap.client->owner_ref(owner);
    }
    pthread_mutex_unlock(&trap.lock);
    if (!owner)
        return;
    trap.client->event(owner, c, ev);
    trap.client->owner_put(owner);
}

/*
 * Whoever rang has broken the protocol, and goes. It may be none of c's: where threads of c's are over
 * their numbers are given out again, and those that share a listener (a family of forks) can make
 * threads of their own until they have such a one.
 */
static void violated(struct ctx *c, const struct seccomp_notif *n)
{
    if (c->stub->pid > 1 && syscall(SYS_tgkill, c->stub->pid, (pid_t)n->pid, 0) < 0)
        (void)notif_send(c->l, n->id, 0, -ENOSYS, 0);
    else
        stub_kill(c->stub);
}

/*
 * The same bell a second time: a host signal (a kick in a light call, say) ended its notification
 * before or after our answer, on kernels without WAIT_KILLABLE_RECV or before 6.17. Nothing is run
 * again: what is not answered yet will go to the new notification, the last answer is repeated.
 *
 *      answer                           rang_again
 *      ------                           ----------
 *      last_ans = val
 *      swaps 0 into notif       (A)     swaps its id into notif      (B)
 *      sends to what was there          it was 0: sends last_ans
 *
 * A before B: B finds 0. B before A: A finds the new id.
 */
static bool rang_again(struct ctx *c, const struct seccomp_notif *n)
{
    if ((uint32_t)n->data.args[2] != c->seq)
        return false;
    if (atomic_exchange(&c->notif, n->id) == 0) {
        atomic_store(&c->notif, 0);
        (void)notif_send(c->l, n->id, c->last_ans, 0, 0);
    }
    atomic_store(&c->stale, false);
    return true;
}

static void on_event(struct ctx *c, const struct seccomp_notif *n)
{
    enum platform_event ev;

    if (atomic_load(&c->state) != CTX_RUNNING || atomic_load(&c->freed)) {
        violated(c, n);
        return;
    }
    atomic_store(&c->notif, n->id);
    c->born_event = false;
    c->apart = listener_apart(c);
    if (n->data.args[0] == BELL_CALL) {
        light_take(c);
        atomic_fetch_add_explicit(&trap.st.light, 1, memory_order_relaxed);
    } else if (frame_take(c) < 0) {
        violated(c, n);
        return;
    }
    atomic_store(&c->state, CTX_HELD);
    if (c->fault.signo) {
        atomic_fetch_add_explicit(&trap.st.faults, 1, memory_order_relaxed);
        ev = EV_FAULT;
    } else {
        ev = c->regs.orig_rax == (uint64_t)-1 ? EV_KICK : EV_SYSCALL;
    }
    if (ev == EV_FAULT && poke_hit(c)) {
        hostio_nap(20000); /* until it is taken out */
        ctx_resume(c);
        return;
    }
    if (ev != EV_SYSCALL && patch_unwind(c))
        ctx_resume(c);
    else if (ev != EV_SYSCALL || c->light || !patch_site(c))
        deliver(c, ev);
}

/* The frame that ctx_want_frame has asked for. */
static void on_frame(struct ctx *c, const struct seccomp_notif *n)
{
    c->framing = false;
    atomic_store(&c->notif, n->id);
    if (n->data.args[0] != BELL_EVENT || frame_take_rest(c) < 0) {
        violated(c, n);
        return;
    }
    atomic_store(&c->state, CTX_HELD);
    deliver(c, EV_OPS);
}

static void on_bell(struct ctx *c, const struct seccomp_notif *n)
{
    int st = atomic_load(&c->state);

    if (rang_again(c, n))
        return;
    c->seq = (uint32_t)n->data.args[2];
    if (st == CTX_RERING) { /* it was parked; now it can be lent things again */
        atomic_store(&c->notif, n->id);
        if (ops_hold(c)) {
            ops_send(c);
            ops_release(c);
        }
    } else if (st == CTX_RELISTEN) {
        atomic_store(&c->notif, n->id);
        atomic_store(&c->state, CTX_HELD);
        deliver(c, EV_OPS);
    } else if (st == CTX_OPS && c->framing) {
        on_frame(c, n);
    } else if (n->data.args[0] == BELL_OPS && st == CTX_OPS) {
        atomic_store(&c->notif, n->id);
        if (!ops_hold(c))
            return;
        ops_done(c);
        ops_release(c);
        atomic_store(&c->state, CTX_HELD);
        if (!c->internal)
            deliver(c, EV_OPS);
        else if (!patch_go_on(c))
            deliver(c, EV_SYSCALL);
    } else if (n->data.args[0] == BELL_EVENT || n->data.args[0] == BELL_CALL) {
        on_event(c, n);
    } else {
        violated(c, n);
    }
}

/* A context that has made a light call, with a reference, or NULL. */
static struct ctx *on_notif(struct listener *l, const struct seccomp_notif *n)
{
    struct ctx *c;

    atomic_fetch_add_explicit(&trap.st.bells, 1, memory_order_relaxed);
    if (n->data.nr == NR_BELL && n->data.args[0] == BELL_BORN) {
        on_born(l, n);
        return NULL;
    }
    c = ctx_by_tid((pid_t)n->pid);
    if (!c || c->l != l) {
        (void)notif_send(l, n->id, 0, -ENOSYS, 0);
        if (c)
            ctx_drop(c);
        return NULL;
    }
    if (self)
        worker_follow(self, c);
    if (n->data.nr == NR_BELL)
        on_bell(c, n);
    else if (n->data.nr == SYS_clone && ops_clone_seen(c, n))
        (void)notif_send(l, n->id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
    else
        violated(c, n);
    if (n->data.nr == NR_BELL && n->data.args[0] == BELL_CALL)
        return c;
    ctx_drop(c);
    return NULL;
}

/* ---- leaders and followers ---- */

/* The caller was killed before it was received, or (6.11 on) nobody is left to call. */
static bool is_deserted(const struct listener *l)
{
    struct pollfd p = { .fd = l->fd, .events = POLLIN };

    return hostio_poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

/* One notification, and what it made ready; as on_notif. over: there will be no other. */
struct ctx *listener_receive(struct listener *l, bool *ret_over)
{
    struct seccomp_notif n;
    struct ctx *caller;

    *ret_over = false;
    memset(&n, 0, sizeof n);
    if (ioctl(l->fd, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0) {
        *ret_over = errno == ENOENT && is_deserted(l);
        return NULL;
    }
    caller = on_notif(l, &n);
    trap.client->drain();
    return caller;
}

static void lead(struct worker *w)
{
    struct listener *l = w->l;
    bool over = false;

    while (!over && w->l == l && !atomic_load(&l->dead) && !atomic_load(&trap.stopping)) {
        struct ctx *caller;
        int to = -1;

        if (l->awaits && !listener_await(l))
            break;
        caller = listener_receive(l, &over);
        spread_begun();
        if (!caller)
            continue;
        if (w->l == l)
            to = spread_called(l, (int)hostio_cpu(), __builtin_ia32_rdtsc(), 1,
                               atomic_load(&caller->state) != CTX_RUNNING);
        if (w->l == l && split_pays(l, caller))
            split(l);
        else if (to >= 0)
            spread_begin(to);
        else if (w->l == l && atomic_load(&caller->state) == CTX_RUNNING && spin_pays(l))
            spin_on(w, l, caller);
        ctx_drop(caller);
    }
    spread_begun();
    if (w->l == l) { /* dead, or will be */
        w->l = NULL;
        atomic_store(&l->has_leader, false);
    }
    listener_put(l);
}

static void *worker_main(void *arg)
{
    struct worker w = { .l = arg, .cpu = CPU_NONE };

    self = &w;
    if (trap.client->worker_start)
        trap.client->worker_start();
    for (;;) {
        if (w.l)
            lead(&w);
        pthread_mutex_lock(&trap.lock);
        if (trap.nspare >= SPARES_KEPT && !trap.promote) {
            trap.nworkers--;
            pthread_mutex_unlock(&trap.lock);
            self = NULL;
            return NULL;
        }
        trap.nspare++;
        while (!trap.promote && !atomic_load(&trap.stopping))
            pthread_cond_wait(&trap.spare_cond, &trap.lock);
        trap.nspare--;
        w.l = trap.promote;
        trap.promote = NULL;
        if (w.l) {
            w.l->leader = pthread_self();
            atomic_store(&w.l->has_leader, true);
        }
        pthread_mutex_unlock(&trap.lock);
        if (atomic_load(&trap.stopping)) {
            self = NULL;
            return NULL;
        }
    }
}

/* A leader for l: a spare worker where there is one. Takes a reference over, but when it fails. */
static bool give_lead(struct listener *l)
{
    pthread_t th;
    bool started, had;

    pthread_mutex_lock(&trap.lock);
    if (trap.nspare > 0 && !trap.promote) {
        trap.promote = l;
        pthread_cond_signal(&trap.spare_cond);
        pthread_mutex_unlock(&trap.lock);
        return true;
    }
    trap.nworkers++;
    had = atomic_exchange(&l->has_leader,
                          true); /* before the thread may say that it leads no more */
    started = pthread_create(&th, &attr, worker_main, l) == 0;
    if (started) {
        l->leader = th;
        pthread_detach(th);
    } else {
        atomic_store(&l->has_leader, had);
        trap.nworkers--;
    }
    pthread_mutex_unlock(&trap.lock);
    return started;
}

bool worker_leads(const struct listener *l)
{
    return self && self->l == l;
}

void worker_block_begin(void)
{
    struct worker *w = self;
    struct listener *l;

    if (!w || w->blocked++ || !(l = w->l) || atomic_load(&l->nctx) <= 1)
        return;
    w->l = NULL; /* lead() sees that it leads no more */
    listener_ref(l);
    if (!give_lead(l)) { /* then its contexts wait for this one */
        w->l = l;
        listener_put(l);
    }
}

void worker_block_end(void)
{
    if (self)
        self->blocked--;
}

bool listener_start(struct listener *l)
{
    bool started;

    listener_ref(l);
    started = give_lead(l);
    if (!started)
        listener_put(l);
    return started;
}

/* ---- start and stop ---- */

static void no_op(int sig)
{
    (void)sig;
}

void workers_open(void)
{
    struct sigaction sa = { .sa_handler = no_op };

    sigaction(SIG_NUDGE, &sa, NULL);
}

int workers_start(void)
{
    spin_init();
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    return reaper_start(&attr);
}

void workers_stop(void)
{
    atomic_store(&trap.stopping, true);
    pthread_mutex_lock(&trap.lock);
    pthread_cond_broadcast(&trap.spare_cond);
    pthread_mutex_unlock(&trap.lock);
}
