/* SPDX-License-Identifier: Apache-2.0 */
/* rseq: registration by libc, its cpu number, second registrations, threads and forks. */
#include "guest.h"

#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile struct rseq *area(void)
{
    return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static long call(volatile void *p, unsigned len, int flags, unsigned sig)
{
    return syscall(SYS_rseq, p, len, flags, sig);
}

static void libc_has_registered(void)
{
    CHECK(__rseq_size >= 20);
    CHECK((int)area()->cpu_id >= 0);
    CHECK(area()->cpu_id < (unsigned)sysconf(_SC_NPROCESSORS_CONF));
}

static void again(void)
{
    CHECK_ERR(call(area(), 32, 0, RSEQ_SIG), EBUSY);
    CHECK_ERR(call(area(), 32, 0, RSEQ_SIG + 1), EPERM);
    CHECK_ERR(call((char *)area() + 32, 32, 0, RSEQ_SIG), EINVAL);
    CHECK_ERR(call(area(), 32, 1, RSEQ_SIG + 1), EPERM);
    CHECK_ERR(call(area(), 32, 2, RSEQ_SIG), EINVAL);
}

static void *in_thread(void *arg)
{
    (void)arg;
    CHECK((int)area()->cpu_id >= 0);
    CHECK_EQ(call(area(), 32, 1, RSEQ_SIG), 0);
    CHECK_ERR(call(area(), 32, 1, RSEQ_SIG), EINVAL);
    CHECK_EQ(call(area(), 32, 0, RSEQ_SIG), 0);
    CHECK((int)area()->cpu_id >= 0);
    return NULL;
}

static void threads_have_their_own(void)
{
    pthread_t th;

    CHECK_EQ(pthread_create(&th, NULL, in_thread, NULL), 0);
    CHECK_EQ(pthread_join(th, NULL), 0);
}

static void forks_inherit(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(call(area(), 32, 0, RSEQ_SIG) == -1 && errno == EBUSY ? 0 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

int main(void)
{
    if (__rseq_size == 0)
        SKIP("libc did not register rseq (the host's kernel or a tunable)");
    RUN(libc_has_registered);
    RUN(again);
    RUN(threads_have_their_own);
    RUN(forks_inherit);
    DONE();
}
