/* SPDX-License-Identifier: Apache-2.0 */
/* Signal queues, who takes a signal, stops, and the end of processes, on tasks without contexts. */
#include "sentry/kernel/container.h"
#include "sentry/kernel/signal.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/kill.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/sigset.h"

#define CLONE_THREAD_ALL 0x00010900ull /* VM SIGHAND THREAD */

static struct task *init, *a;
static struct lx_sigaction caught = { .handler = 0x1000 };

static struct task *new_task(struct task *parent, uint64_t flags)
{
    struct task *t;
    ck_assert_int_eq(task_alloc(parent, flags, SIGCHLD, &t), 0);
    if (!t->cred)
        t->cred = cred_new_root();
    ck_assert_int_eq(task_publish(t), 0);
    return t;
}

static void setup(void)
{
    lock_init(&kernel.tasks_lock, LOCK_TASKS);
    limits[LIMIT_TASKS] = 100;
    init = new_task(NULL, 0);
    init->group->is_sentry = true;
    first_container.init = init->group;
    new_task(init, 0); /* pid 2, whose end would be the sandbox's */
    a = new_task(init, 0);
    a->group->rlim[RLIMIT_SIGPENDING].rlim_cur = 4;
}

static int next(struct task *t, struct lx_siginfo *info)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    return signal_dequeue_locked(t, ~t->blocked, info);
}

static void rt(struct task *t, int sig, int value, int want)
{
    struct lx_siginfo info = { .code = SI_QUEUE, .rt.value = (uint64_t)value };
    ck_assert_int_eq(signal_send_group(t->group, sig, &info), want);
}

START_TEST(coalesce_and_order)
{
    struct lx_siginfo info;
    for (int s = 1; s <= LX_NSIG; s++)
        signal_action(a, s, s == SIGKILL || s == SIGSTOP ? NULL : &caught, NULL);
    signal_set_blocked(a, ~0ull);
    ck_assert(!task_signal_pending(a));
    rt(a, 40, 1, 0);
    rt(a, 35, 2, 0);
    rt(a, 40, 3, 0);
    ck_assert_int_eq(signal_send_group(a->group, SIGUSR1, NULL), 0);
    ck_assert_int_eq(signal_send_group(a->group, SIGUSR1, NULL), 0);
    ck_assert_int_eq(signal_send_group(a->group, SIGHUP, NULL), 0); /* beyond the limit: still */
    ck_assert_int_eq(signal_send_group(a->group, SIGSEGV, NULL), 0);
    rt(a, 50, 4, -EAGAIN);
    ck_assert(!task_signal_pending(a));
    signal_set_blocked(a, 0);
    ck_assert(task_signal_pending(a));
    ck_assert_int_eq(next(a, &info), SIGSEGV); /* synchronous ones first */
    ck_assert_int_eq(next(a, &info), SIGHUP);
    ck_assert_int_eq(next(a, &info), SIGUSR1);
    ck_assert_int_eq(info.code, SI_KERNEL);
    ck_assert_int_eq(next(a, &info), 35);
    ck_assert_int_eq(info.rt.value, 2);
    ck_assert_int_eq(next(a, &info), 40);
    ck_assert_int_eq(info.rt.value, 1);
    ck_assert_int_eq(next(a, &info), 40);
    ck_assert_int_eq(info.rt.value, 3);
    ck_assert_int_eq(next(a, &info), 0);
    ck_assert(!task_signal_pending(a));
    rt(a, 50, 4, 0); /* the places are free again */
}
END_TEST

START_TEST(which_thread)
{
    struct task *b = new_task(a, CLONE_THREAD_ALL);
    signal_action(a, SIGUSR1, &caught, NULL);
    signal_set_blocked(a, SIGBIT(SIGUSR1));
    signal_send_group(a->group, SIGUSR1, NULL);
    ck_assert(!task_signal_pending(a));
    ck_assert(task_signal_pending(b));
    /* b blocks it before it has looked: then it is a's again */
    signal_set_blocked(a, 0);
    signal_set_blocked(b, SIGBIT(SIGUSR1));
    ck_assert(task_signal_pending(a));
    ck_assert(!task_signal_pending(b));
    struct lx_siginfo info;
    ck_assert_int_eq(next(b, &info), 0);
    ck_assert_int_eq(next(a, &info), SIGUSR1);
}
END_TEST

START_TEST(ignored)
{
    signal_send_group(a->group, SIGCHLD, NULL);
    ck_assert(!task_signal_pending(a));
    signal_set_blocked(a, SIGBIT(SIGCHLD));
    signal_send_group(a->group, SIGCHLD, NULL); /* kept: there may be a handler later */
    ck_assert(a->group->pending.set == SIGBIT(SIGCHLD));
    struct lx_sigaction ign = { .handler = LX_SIG_IGN };
    signal_action(a, SIGCHLD, &ign, NULL);
    ck_assert(a->group->pending.set == 0);
    ck_assert_int_eq(signal_send_group(init->group, SIGKILL, NULL), 0);
    ck_assert(!init->group->exiting);
}
END_TEST

START_TEST(fatal_for_all_threads)
{
    struct task *b = new_task(a, CLONE_THREAD_ALL);
    signal_send_task(b, SIGTERM, NULL);
    ck_assert(a->group->exiting);
    ck_assert_int_eq(a->group->exit_code, SIGTERM);
    ck_assert(atomic_load(&a->fatal) && atomic_load(&b->fatal));
    ck_assert_int_eq(task_alloc(a, CLONE_THREAD_ALL, 0, &b), 0);
    ck_assert_int_eq(task_publish(b), -ERESTARTNOINTR); /* no thread slips out of that */
    task_abort(b);
}
END_TEST

START_TEST(pgrp_against_fork)
{
    struct task *b;
    struct pid_entry *e;
    signal_action(a, SIGINT, &caught, NULL);
    lock(&kernel.tasks_lock);
    e = a->group->pid_entry;
    group_set_pgrp_locked(a->group, e);
    unlock(&kernel.tasks_lock);
    ck_assert_int_eq(task_alloc(a, 0, SIGCHLD, &b), 0);
    lock(&kernel.tasks_lock);
    ck_assert_int_eq(signal_send_pgrp_locked(e, SIGINT, NULL), 0);
    unlock(&kernel.tasks_lock);
    ck_assert_int_eq(task_publish(b), -ERESTARTNOINTR);
    task_abort(b);
    lock(&kernel.tasks_lock);
    ck_assert_int_eq(signal_send_pgrp_locked(NULL, SIGINT, NULL), -ESRCH);
    unlock(&kernel.tasks_lock);
    new_task(a, 0);
}
END_TEST

START_TEST(too_many)
{
    struct task *b;
    unsigned before = atomic_load(&kernel.ntasks);
    limits[LIMIT_TASKS] = before;
    ck_assert_int_eq(task_alloc(a, 0, SIGCHLD, &b), -EAGAIN);
    ck_assert_int_eq(atomic_load(&kernel.ntasks), before);
    limits[LIMIT_TASKS] = 100;
    cred_put(a->cred);
    a->cred = cred_new_user(1000, 1000, NULL, 0);
    a->group->rlim[RLIMIT_NPROC].rlim_cur = 2;
    b = new_task(a, 0);
    struct task *c;
    ck_assert_int_eq(task_alloc(a, 0, SIGCHLD, &c), -EAGAIN);
    a->group->rlim[RLIMIT_NPROC].rlim_cur = 3;
    ck_assert_int_eq(task_alloc(a, 0, SIGCHLD, &c), 0);
    task_abort(c);
    (void)b;
}
END_TEST

START_TEST(exit_and_wait)
{
    struct task *b = new_task(a, 0), *c = new_task(b, 0);
    pid_t pid = b->group->pid, orphan = c->group->pid;
    signal_action(a, SIGCHLD, &caught, NULL);
    ck_assert_int_eq(do_wait(a, P_ALL, 0, WEXITED | WNOHANG, 0, 0, 0, false), 0);
    ck_assert_int_eq(do_exit(b, 3 << 8), -EDETACHED);
    ck_assert(b->group->zombie);
    ck_assert_int_eq(c->group->parent->pid, 1);
    struct lx_siginfo info;
    ck_assert_int_eq(next(a, &info), SIGCHLD);
    ck_assert_int_eq(info.code, CLD_EXITED);
    ck_assert_int_eq(info.chld.status, 3);
    ck_assert_int_eq(info.chld.pid, pid);
    ck_assert_int_eq(do_exit(c, 0), -EDETACHED); /* pid 1 reaps at once */
    lock(&kernel.tasks_lock);
    ck_assert_ptr_null(pid_find_locked(&first_pidns, orphan));
    ck_assert_ptr_nonnull(pid_find_locked(&first_pidns, pid));
    unlock(&kernel.tasks_lock);
    ck_assert_int_eq(do_wait(a, P_ALL, 0, WEXITED, 0, 0, 0, false), pid);
    lock(&kernel.tasks_lock);
    ck_assert_ptr_null(pid_find_locked(&first_pidns, pid));
    unlock(&kernel.tasks_lock);
    ck_assert_int_eq(do_wait(a, P_ALL, 0, WEXITED, 0, 0, 0, false), -ECHILD);
    ck_assert_int_eq(atomic_load(&kernel.ntasks), 3);
}
END_TEST

START_TEST(exec_by_a_thread)
{
    struct task *b = new_task(a, CLONE_THREAD_ALL);
    pid_t pid = a->tid, was = b->tid;
    lock(&kernel.tasks_lock);
    b->group->exec_task = b;
    group_kill_others_locked(b);
    unlock(&kernel.tasks_lock);
    ck_assert(atomic_load(&a->fatal) && !atomic_load(&b->fatal));
    do_exit(a, SIGKILL);
    lock(&kernel.tasks_lock);
    ck_assert_uint_eq(b->group->nlive, 1);
    task_become_leader_locked(b);
    ck_assert_int_eq(b->tid, pid);
    ck_assert_ptr_eq(task_find_locked(&first_pidns, pid), b);
    ck_assert_ptr_eq(tgroup_find_locked(&first_pidns, pid), b->group);
    ck_assert_ptr_null(task_find_locked(&first_pidns, was));
    unlock(&kernel.tasks_lock);
}
END_TEST

START_TEST(stop_and_continue)
{
    struct task *b = new_task(a, 0);
    ck_assert_int_eq(do_kill(a, b->group->pid, SIGSTOP, NULL), 0);
    ck_assert(task_signal_pending(b));
    ck_assert_int_eq(do_kill(a, b->group->pid, SIGCONT, NULL), 0);
    ck_assert(b->group->pending.set == 0);
    lock(&kernel.tasks_lock);
    group_stop_locked(b->group, SIGTSTP);
    ck_assert(task_signal_pending(b) && !b->group->stopped);
    unlock(&kernel.tasks_lock);
    ck_assert_int_eq(signal_deliver(b), -EWAITING);
    ck_assert(b->group->stopped);
    ck_assert_int_eq(do_wait(a, P_ALL, 0, WUNTRACED | WNOHANG, 0, 0, 0, false), b->group->pid);
    ck_assert_int_eq(do_wait(a, P_ALL, 0, WUNTRACED | WNOHANG, 0, 0, 0, false), 0);
    ck_assert_int_eq(do_kill(a, b->group->pid, SIGCONT, NULL), 0);
    ck_assert(!b->group->stopped && b->group->continued);
    ck_assert_int_eq(do_wait(a, P_ALL, 0, WCONTINUED | WNOHANG, 0, 0, 0, false), b->group->pid);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("signal");
    TCase *t = tcase_create("signal");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, coalesce_and_order);
    tcase_add_test(t, which_thread);
    tcase_add_test(t, ignored);
    tcase_add_test(t, fatal_for_all_threads);
    tcase_add_test(t, pgrp_against_fork);
    tcase_add_test(t, too_many);
    tcase_add_test(t, exit_and_wait);
    tcase_add_test(t, exec_by_a_thread);
    tcase_add_test(t, stop_and_continue);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
