/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatcher: from an event of the platform to a handler, and back to guest code.
 *
 *   event --> dispatch_record --> handler ---> result --> task_return --> ctx_resume
 *                 ^             |                        |
 *                 |         -EWAITING                -EWAITING (stopped, leaving)
 *                 |             v                        v
 *                 +---- ready <-- claim <--- WAITING ----+
 *
 * A record is run by one worker at a time: whoever moved rec to RUN. After the last line of settle()
 * or task_return() the task may already be running elsewhere, so nothing of it is touched there.
 *
 * The host may end a context at any time (EV_GONE). The task notices through ctx_gone: the event
 * runs it only when nobody else does (it was in guest code, or its context was doing operations).
 *
 * Over 500 lines: the way of a record, from event to event, is read in one place.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>

#include "sentry/kernel/async.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/freeze.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"
#include "sentry/mm/uffd.h"
#include "sentry/strace/strace.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"

/* ready records that one drain runs before it leaves the rest to the runner */
#define RUN_AT_ONCE 8
#define NR_FUTEX_WAITV 449
#define NR_FUTEX_WAIT 455
#define RUNNER_STACK (1024 * 1024)

_Thread_local struct task *task_running;
static _Thread_local struct list *my_ready;
static _Thread_local struct list ready_store;

static struct {
    pthread_mutex_t lock; /* LOCK_READY */
    pthread_cond_t cond;
    struct list list;
    bool started;
} overflow = { .lock = PTHREAD_MUTEX_INITIALIZER,
               .cond = PTHREAD_COND_INITIALIZER,
               .list = LIST_INIT(overflow.list) };

/* ---- ready lists ---- */

static void *runner_main(void *arg)
{
    (void)arg;
    list_init(&ready_store);
    my_ready = &ready_store;
    for (;;) {
        struct task *t;

        pthread_mutex_lock(&overflow.lock);
        while (list_empty(&overflow.list))
            pthread_cond_wait(&overflow.cond, &overflow.lock);
        t = list_first(&overflow.list, struct task, ready_link);
        list_del(&t->ready_link);
        pthread_mutex_unlock(&overflow.lock);
        dispatch_record(t);
        dispatch_drain();
    }
    return NULL;
}

/* Hands a list of ready tasks to the runner thread. */
static void leave_to_runner(struct list *l)
{
    pthread_attr_t attr;
    pthread_t th;

    pthread_mutex_lock(&overflow.lock);
    list_splice_tail(&overflow.list, l);
    if (!overflow.started) {
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, RUNNER_STACK);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        overflow.started = pthread_create(&th, &attr, runner_main, NULL) == 0;
        pthread_attr_destroy(&attr);
    }
    pthread_cond_signal(&overflow.cond);
    pthread_mutex_unlock(&overflow.lock);
}

void dispatch_worker_start(void)
{
    list_init(&ready_store);
    my_ready = &ready_store;
}

void task_make_ready(struct task *t)
{
    if (my_ready) {
        list_add_tail(my_ready, &t->ready_link);
    } else { /* not a worker: nobody will drain here */
        struct list one;

        list_init(&one);
        list_add_tail(&one, &t->ready_link);
        leave_to_runner(&one);
    }
}

void dispatch_drain(void)
{
    unsigned n = 0;

    while (my_ready && !list_empty(my_ready)) {
        struct task *t = list_first(my_ready, struct task, ready_link);

        list_del(&t->ready_link);
        dispatch_record(t);
        if (++n == RUN_AT_ONCE && !list_empty(my_ready))
            leave_to_runner(my_ready);
    }
}

/* ---- waiting ---- */

/*
 * The context does operations, or (ops NULL) fetches its whole state; EV_OPS, or its death, runs the
 * record again.
 */
static void start_ops(struct task *t)
{
    struct as_op *ops = t->call.ops;
    struct ctx *c = ops && t->call.ops_ctx ? t->call.ops_ctx : t->ctx;
    unsigned n = ops ? t->call.nops : 0;
    int sending = REC_SENDING, st = REC_OPS;

    t->call.ops = NULL;
    for (unsigned i = 0; i < n; i++)
        ops[i].ret = -EINTR;
    task_ref(t);
    kernel.platform->ctx_ref(c);
    atomic_store(&t->next_gone, false);
    atomic_store(&t->rec, REC_SENDING); /* a death leaves the record, and with it ops, to us */
    if (atomic_load(&t->ctx_gone))
        ;
    else if (ops)
        kernel.platform->ctx_run_ops(c, ops, n);
    else
        kernel.platform->ctx_want_frame(c);
    atomic_compare_exchange_strong(&t->rec, &sending, REC_OPS);
    if ((atomic_load(&t->ctx_gone) || atomic_load(&t->next_gone)) &&
        atomic_compare_exchange_strong(&t->rec, &st, REC_READY))
        task_make_ready(t);
    kernel.platform->ctx_unref(c);
    task_put(t);
}

/* After a run that said -EWAITING. True: the record waits, hands off. False: run it again now. */
static bool settle(struct task *t)
{
    int st = REC_QUEUED;

    if (t->call.ops) {
        start_ops(t);
        return true;
    }
    if (t->call.deadline != KTIME_NEVER)
        ktimer_arm(&t->deadline, t->call.deadline);
    if (t->ctx)
        kernel.platform->ctx_park(t->ctx);
    if (atomic_compare_exchange_strong(&t->rec, &st, REC_WAITING))
        return true;
    /* woken before it waited */
    ktimer_cancel(&t->deadline);
    task_unqueue(t);
    atomic_store(&t->rec, REC_RUN);
    return false;
}

/* ---- running ---- */

/*
 * What a call has made ready for calls without a thread happens before its answer, as their results
 * are looked for in memory.
 */
static void run_async_ready(void)
{
    struct task *t, *tmp;
    struct list now;

    if (!my_ready || list_empty(my_ready))
        return;
    list_init(&now);
    list_for_each_safe(t, tmp, my_ready, ready_link) {
        if (t->async) {
            list_del(&t->ready_link);
            list_add_tail(&now, &t->ready_link);
        }
    }
    while (!list_empty(&now)) {
        t = list_first(&now, struct task, ready_link);
        list_del(&t->ready_link);
        dispatch_record(t);
    }
}

static void finish_call(struct task *t, long ret)
{
    run_async_ready();
    if (kernel.strace)
        strace_call(t, ret);
    if (t->call.lend && t->ctx && t->call.files[0]->ops->lend)
        t->call.files[0]->ops->lend(t, t->call.files[0], (int)t->call.args[0]);
    call_end(t);
    if (ret == -EDETACHED) {
        if (!t->ctx)
            return;         /* it has left */
        t->in_call = false; /* the handler has set the registers */
    } else {
        t->ret = ret;
        kernel.platform->ctx_set_result(t->ctx, ret);
        if (ret == -EINTR)
            t->eintr_rip = kernel.platform->ctx_regs(t->ctx)->rip;
    }
    task_return(t);
}

void dispatch_call(struct task *t)
{
    for (;;) {
        long ret;

        task_running = t;
        ret = uffd_before(t);
        if (ret == 0) {
            t->call.runs++;
            ret = t->async ? async_run(t) : syscall_dispatch(t);
            if (ret == -EFAULT && t->call.faulted && (ret = uffd_after(t)) == 0)
                continue;
        }
        task_running = NULL;
        if (ret != -EWAITING) {
            /* a wait that was queued and then given up */
            if (atomic_load(&t->rec) != REC_RUN) {
                atomic_store(&t->rec, REC_RUN);
                task_unqueue(t);
            }
            if (t->async)
                async_finish(t, ret);
            else
                finish_call(t, ret);
            return;
        }
        if (settle(t))
            return;
    }
}

static void run_record_now(struct task *t)
{
    if (freeze_park(t))
        return;
    task_ref(t);
    if (t->call.deadline != KTIME_NEVER)
        ktimer_cancel(&t->deadline);
    task_unqueue(t);
    atomic_store(&t->rec, REC_RUN);
    if (t->phase == PHASE_CALL)
        dispatch_call(t);
    else
        task_return(t);
    task_put(t);
}

/* rec is READY (or was OPS): this worker has it. Counted before a freeze is looked for, as A in freeze.c. */
void dispatch_record(struct task *t)
{
    struct container *c = t->async ? t->group->container : NULL;

    if (c)
        atomic_fetch_add(&container_ref(c)->async_running, 1);
    run_record_now(t);
    if (c) {
        atomic_fetch_sub(&c->async_running, 1);
        container_put(c);
    }
}

/* A signal that is taken needs more of the context than it may have come with. */
static bool lacks_frame(struct task *t)
{
    return atomic_load(&t->sigpending) && !atomic_load(&t->leaving) && !atomic_load(&t->fatal) &&
           !atomic_load(&t->ctx_gone) && kernel.platform->ctx_is_light(t->ctx);
}

/* True when the task may go: it is IN_GUEST then. False: somebody else has it, or look again. */
static bool enter_guest(struct task *t, bool *ret_again)
{
    int where = IN_GUEST;

    *ret_again = false;
    atomic_store(&t->where, IN_GUEST);
    if (!task_must_deliver(t) && !atomic_load(&t->ctx_gone) && !freeze_holds(t))
        return true;
    if (atomic_compare_exchange_strong(&t->where, &where, IN_SENTRY))
        *ret_again = true;
    return false;
}

void task_return(struct task *t)
{
    bool again = true;

    t->phase = PHASE_RETURN;
    t->call.deadline = KTIME_NEVER;
    while (again) {
        struct ctx *c;

        while (task_must_deliver(t) || atomic_load(&t->ctx_gone)) {
            int r;

            if (atomic_load(&t->ctx_gone) && !atomic_load(&t->leaving)) {
                lock(&kernel.tasks_lock);
                group_kill_locked(t->group, SIGKILL);
                unlock(&kernel.tasks_lock);
            }
            if (lacks_frame(t)) {
                start_ops(t);
                return;
            }
            r = signal_deliver(t);
            if (r == -EDETACHED)
                return;
            if (r == -EWAITING && settle(t))
                return;
        }
        if (freeze_park(t))
            return;
        /* From IN_GUEST on its death may end the task, on the reaper: c and t are pinned. */
        c = t->ctx;
        task_ref(t);
        kernel.platform->ctx_ref(c);
        if (enter_guest(t, &again)) {
            int where = IN_GUEST;

            kernel.platform->ctx_resume(c);
            /* its context may have died before it was resumed: then nobody else runs it */
            if (atomic_load(&t->ctx_gone) &&
                atomic_compare_exchange_strong(&t->where, &where, IN_SENTRY)) {
                task_return(t);
            }
        }
        kernel.platform->ctx_unref(c);
        task_put(t);
    }
}

/* ---- events ---- */

/*
 * A kick that ended a native futex wait: the host has set the registers to restart it (no timeout),
 * or has given EINTR (timeout). Shown to signal delivery as a call that a signal interrupted.
 */
static void kick_in_futex(struct task *t, struct regs *r)
{
    uint64_t op = r->rsi & (uint64_t)FUTEX_CMD_MASK, nr = SYS_futex;
    uint8_t insn[2];
    bool before = r->rax == SYS_futex, after = r->rax == (uint64_t)-EINTR;

    if (r->rax == NR_FUTEX_WAITV || r->rax == NR_FUTEX_WAIT) { /* their timeouts are absolute */
        nr = r->rax;
        before = true;
    } else if ((!before && !after) || (op != FUTEX_WAIT && op != FUTEX_WAIT_BITSET)) {
        return;
    }
    if (after && r->rip == t->eintr_rip)
        return; /* an -EINTR that we gave */
    if (kernel.platform->as_read(kernel.platform->ctx_aspace(t->ctx), r->rip - (after ? 2 : 0),
                                 insn, 2) != 2 ||
        insn[0] != 0x0f || insn[1] != 0x05)
        return;
    if (before)
        r->rip += 2;
    r->orig_rax = nr;
    t->call.nr = nr;
    t->in_call = true;
    t->ret = before ? -ERESTARTSYS : -ERESTARTNOHAND;
    r->rax = (uint64_t)t->ret;
}

static void on_syscall(struct task *t, struct ctx *c)
{
    const struct regs *r = kernel.platform->ctx_call_regs(c);
    const uint64_t args[6] = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 };

    call_begin(t, r->orig_rax, args);
    t->ncalls++;
    t->in_call = true;
    t->ret = 0;
    t->phase = PHASE_CALL;
    if (!freeze_park(t))
        dispatch_call(t);
}

static void on_gone(struct task *t, struct ctx *c)
{
    int where = IN_GUEST, ops = REC_OPS;

    lock(&kernel.tasks_lock);
    if (t->ctx != c) { /* it has execed, or left, meanwhile; or this was to be its next */
        bool next = t->call.ops_ctx == c;

        unlock(&kernel.tasks_lock);
        if (next)
            atomic_store(&t->next_gone, true);
        if (next && atomic_compare_exchange_strong(&t->rec, &ops, REC_READY))
            task_make_ready(t);
        return;
    }
    atomic_store(&t->ctx_gone, true);
    group_kill_locked(t->group, SIGKILL);
    task_interrupt(t);
    unlock(&kernel.tasks_lock);
    if (atomic_compare_exchange_strong(&t->where, &where, IN_SENTRY))
        task_return(t);
    else if (atomic_compare_exchange_strong(&t->rec, &ops, REC_READY))
        task_make_ready(t);
}

/* The first event of a new task is lost when its maker has undone it by then (clone.c). */
static bool is_born(struct task *t)
{
    int st = BORN_NOT;

    return atomic_load(&t->born) == BORN_YES ||
           atomic_compare_exchange_strong(&t->born, &st, BORN_YES) || st == BORN_YES;
}

/* The operations are done; their sender may not have come back yet. */
static bool claim_ops(struct task *t)
{
    int st = REC_SENDING;

    if (atomic_compare_exchange_strong(&t->rec, &st, REC_READY))
        return true;
    st = REC_OPS;
    return atomic_compare_exchange_strong(&t->rec, &st, REC_READY);
}

static void on_event(void *owner, struct ctx *c, enum platform_event ev)
{
    struct task *t = owner;
    int st;

    if (!is_born(t))
        return;
    task_ref(t);
    if (ev == EV_GONE) {
        on_gone(t, c);
        task_put(t);
        return;
    }
    if (ev == EV_OPS) {
        if (claim_ops(t))
            dispatch_record(t);
        task_put(t);
        return;
    }
    st = IN_GUEST;
    if (!atomic_compare_exchange_strong(&t->where, &st, IN_SENTRY)) {
        task_put(t); /* gone: it is run as such */
        return;
    }
    t->in_call = false;
    switch (ev) {
    case EV_SYSCALL:
        on_syscall(t, c);
        break;
    case EV_FAULT:
        signal_fault(t, kernel.platform->ctx_fault(c));
        task_return(t);
        break;
    case EV_KICK:
        kick_in_futex(t, kernel.platform->ctx_regs(c));
        task_return(t);
        break;
    default:
        clone_child_born(t);
        task_tell_facts(t);
        task_return(t);
        break;
    }
    task_put(t);
}

static void owner_ref(void *owner)
{
    task_ref(owner);
}

static void owner_put(void *owner)
{
    task_put(owner);
}

const struct platform_client dispatch_client = {
    .event = on_event,
    .drain = dispatch_drain,
    .owner_ref = owner_ref,
    .owner_put = owner_put,
    .worker_start = dispatch_worker_start,
    .lost = sandbox_lost,
};
