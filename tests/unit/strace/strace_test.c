/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the tracer, for calls whose arguments need no guest memory. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/signal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/strace/line.h"
#include "sentry/strace/strace.h"
#include "sentry/strace/xlat.h"

static struct task task;
static int out[2];
static char line[5000];

static void setup(void)
{
    ck_assert_int_eq(pipe2(out, O_NONBLOCK), 0);
    memset(&task, 0, sizeof task);
    task.tid = 7;
    strace_init(out[1]);
}

/* What was written, with one space where the line was padded. */
static const char *take(void)
{
    ssize_t n = read(out[0], line, sizeof line - 1);
    char *to = line;

    line[n > 0 ? n : 0] = 0;
    for (char *from = line; *from; from++)
        if (*from != ' ' || to == line || to[-1] != ' ')
            *to++ = *from;
    *to = 0;
    return line;
}

static const char *call(long ret, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                        uint64_t a4, uint64_t a5)
{
    uint64_t a[6] = { a0, a1, a2, a3, a4, a5 };

    task.call.nr = nr;
    memcpy(task.call.args, a, sizeof a);
    strace_enter(&task);
    strace_call(&task, ret);
    return take();
}

START_TEST(results)
{
    ck_assert_str_eq(call(0, SYS_close, 3, 0, 0, 0, 0, 0), "[pid 7] close(3) = 0\n");
    ck_assert_str_eq(call(-EBADF, SYS_close, 3, 0, 0, 0, 0, 0),
                     "[pid 7] close(3) = -1 EBADF (Bad file descriptor)\n");
    ck_assert_ptr_nonnull(strstr(call(-ERESTARTSYS, SYS_pause, 0, 0, 0, 0, 0, 0),
                                 "pause() = ? ERESTARTSYS (To be restarted"));
    ck_assert_ptr_nonnull(strstr(call(0x1000, SYS_brk, 0, 0, 0, 0, 0, 0), "brk(NULL) = 0x1000\n"));
    ck_assert_ptr_nonnull(strstr(call(-ENOSYS, 5000, 1, 0, 0, 0, 0, 0),
                                 "syscall_0x1388(0x1, 0, 0, 0, 0, 0) = -1 ENOSYS"));
}
END_TEST

START_TEST(flags_and_values)
{
    ck_assert_ptr_nonnull(strstr(
        call(0x7f0000000000, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
             (uint64_t)-1, 0),
        "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000"));
    ck_assert_ptr_nonnull(
        strstr(call(3, SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 6, 0, 0, 0),
               "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_TCP) = 3"));
    ck_assert_ptr_nonnull(strstr(call(0x8002, SYS_fcntl, 1, F_GETFL, 99, 0, 0, 0),
                                 "fcntl(1, F_GETFL) = 0x8002 (flags O_RDWR|O_LARGEFILE)"));
    ck_assert_ptr_nonnull(
        strstr(call(0, SYS_fcntl, 1, F_SETFD, 1, 0, 0, 0), "fcntl(1, F_SETFD, FD_CLOEXEC) = 0"));
    ck_assert_ptr_nonnull(
        strstr(call(0, SYS_fcntl, 1, 0x7777, 1, 0, 0, 0), "fcntl(1, 0x7777 /* F_??? */, 1)"));
    ck_assert_ptr_nonnull(strstr(call(1, SYS_futex, 0x1000, FUTEX_WAKE_PRIVATE, 1, 5, 6, 7),
                                 "futex(0x1000, FUTEX_WAKE_PRIVATE, 1) = 1"));
    ck_assert_ptr_nonnull(strstr(call(9, SYS_clone, SIGCHLD | 0x01200000, 0, 0, 0, 0x5678, 0),
                                 "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_"
                                 "SETTID|SIGCHLD, child_tidptr=0) = 9"));
    ck_assert_ptr_nonnull(strstr(call(022, SYS_umask, 0, 0, 0, 0, 0, 0), "umask(000) "));
    ck_assert_ptr_nonnull(strstr(call(0, SYS_kill, 5, 0, 0, 0, 0, 0), "kill(5, 0)"));
}
END_TEST

START_TEST(signals_and_ends)
{
    struct lx_siginfo info = { .signo = SIGCHLD, .code = CLD_EXITED };

    info.chld.pid = 9;
    info.chld.status = 3;
    strace_signal(&task, SIGCHLD, &info);
    ck_assert_str_eq(take(), "[pid 7] --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=9, "
                             "si_uid=0, si_status=3, si_utime=0, si_stime=0} ---\n");
    info = (struct lx_siginfo){ .signo = SIGSEGV, .code = SEGV_MAPERR };
    strace_signal(&task, SIGSEGV, &info);
    ck_assert_str_eq(take(), "[pid 7] --- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, "
                             "si_addr=NULL} ---\n");
    task.call.nr = SYS_exit_group;
    task.call.args[0] = 3;
    strace_enter(&task);
    strace_exit(&task, 3 << 8);
    take(); /* two writes, and the pipe gives both */
    ck_assert_str_eq(line, "[pid 7] exit_group(3) = ?\n[pid 7] +++ exited with 3 +++\n");
    ck_assert_ptr_null(task.trace);
    strace_exit(&task, SIGKILL);
    ck_assert_str_eq(take(), "[pid 7] +++ killed by SIGKILL +++\n");
}
END_TEST

START_TEST(strings)
{
    static struct sx s;

    sx_quote(&s, "a\"b\\\n\1\0012\0", 9, true);
    ck_assert_str_eq(s.buf, "\"a\\\"b\\\\\\n\\1\\0012\\0\"...");
    s.len = 0;
    for (int k = 0; k < 3000; k++)
        sx_puts(&s, "ab");
    ck_assert_uint_lt(s.len, sizeof s.buf);
    ck_assert_uint_eq(strlen(s.buf), s.len);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("strace");
    TCase *tc = tcase_create("lines");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, results);
    tcase_add_test(tc, flags_and_values);
    tcase_add_test(tc, signals_and_ends);
    tcase_add_test(tc, strings);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
