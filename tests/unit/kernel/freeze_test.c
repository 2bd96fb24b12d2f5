/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freezing and thawing a busy sandbox on the trap platform, a thousand times: guest code that
 * computes, calls, and waits. While it is frozen nothing moves; afterwards everything goes on.
 */
#include "sentry/kernel/container.h"
#include "sentry/kernel/freeze.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/without.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/proc.h"
#include "sentry/mm/mm.h"

#define P (&platform_trap)
#define CODE 0x400000ull
#define DATA 0x600000ull
#define GUESTS 5
#define ROUNDS 1000

/* Each counts at DATA. The calls have room before them: their sites are patched. */
static const unsigned char computes[] = { 0x48, 0xff, 0x04, 0x25, 0, 0, 0x60, 0, 0xeb, 0xf6 };
#define NOPS 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90
static const unsigned char calls[] = { NOPS, 0xb8, 110,  0,    0, 0, 0x0f, 0x05, /* getppid */
                                       0x48, 0xff, 0x04, 0x25, 0, 0, 0x60, 0,    0xeb, 0xef };
static const unsigned char asks[] = { NOPS, 0xb8, 39,   0,    0, 0, 0x0f, 0x05, /* getpid */
                                      0x48, 0xff, 0x04, 0x25, 0, 0, 0x60, 0,    0xeb, 0xef };
static const unsigned char waits[] = { 0xb8, 35,   0,    0,    0, 0xbf, 0x80, 0, 0x40, 0,
                                       0x31, 0xf6, 0x0f, 0x05, /* nanosleep({0, 20000}, NULL) */
                                       0x48, 0xff, 0x04, 0x25, 0, 0,    0x60, 0, 0xeb, 0xe8 };

static struct task *guests[GUESTS + 1]; /* the last: in one test only */
static struct as_op ops[GUESTS + 1][2];
static struct task *init;

static int image(const void *code, size_t n)
{
    static const uint64_t nap[2] = { 0, 20000 };
    int fd = memfd_create("code", 0);
    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    ck_assert_int_eq(pwrite(fd, code, n, 0), (ssize_t)n);
    ck_assert_int_eq(pwrite(fd, nap, sizeof nap, 0x80), (ssize_t)sizeof nap);
    return fd;
}

/* The dispatcher takes the end of its first operations for the way back to guest code. */
static void start(unsigned i, const void *code, size_t n)
{
    struct task *t;
    struct aspace *as;
    struct ctx *c;
    ck_assert_int_eq(task_alloc(init, 0, SIGCHLD, &t), 0);
    ck_assert_int_eq(P->blank(&c, &as), 0);
    t->ctx = c;
    t->mm = mm_new(as);
    P->ctx_set_owner(c, t);
    ck_assert_int_eq(task_publish(t), 0);
    P->ctx_regs(c)->rip = CODE;
    P->ctx_regs(c)->rsp = DATA + 4096;
    t->phase = PHASE_RETURN;
    atomic_store(&t->rec, REC_OPS);
    ops[i][0] = (struct as_op){ .kind = AS_MMAP,
                                .fd = image(code, n),
                                .a = { CODE, 4096, PROT_READ | PROT_EXEC,
                                       MAP_PRIVATE | MAP_FIXED_NOREPLACE } };
    ops[i][1] = (struct as_op){ .kind = AS_MMAP,
                                .fd = -1,
                                .a = { DATA, 4096, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE } };
    P->ctx_run_ops(c, ops[i], 2);
    guests[i] = t;
}

static void counters(uint64_t ret[GUESTS])
{
    for (int i = 0; i < GUESTS; i++)
        ck_assert_int_eq(P->as_read(guests[i]->mm->as, DATA, &ret[i], 8), 8);
}

static void begin(void)
{
    struct platform_config pc = { .client = &dispatch_client,
                                  .proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                  .without = SBX_WITHOUT_PIDNS,
                                  .max_workers = 16 };
    kernel.platform = P;
    limits[LIMIT_TASKS] = 100;
    kernel.proc_fd = -1;
    kernel.ncpus = 2;
    kcharge_limit(1 << 28);
    lock_init(&kernel.tasks_lock, LOCK_TASKS);
    ck_assert_int_eq(P->early(&pc), 0);
    ck_assert_int_eq(event_start(), 0);
    ck_assert_int_eq(P->start(), 0);
    ck_assert_int_eq(task_alloc(NULL, 0, 0, &init), 0);
    init->cred = cred_new_root();
    init->group->is_sentry = true;
    first_container.init = init->group;
    ck_assert_int_eq(task_publish(init), 0);
    start(0, computes, sizeof computes);
    start(1, calls, sizeof calls);
    start(2, asks, sizeof asks);
    start(3, waits, sizeof waits);
    start(4, waits, sizeof waits);
}

static bool all_moved(const uint64_t from[GUESTS])
{
    uint64_t now[GUESTS] = { 0 };
    /* there may be none yet: they are mapped by the guests, which have just been started */
    for (int i = 0; i < GUESTS; i++)
        (void)P->as_read(guests[i]->mm->as, DATA, &now[i], 8);
    for (int i = 0; i < GUESTS; i++) {
        if (now[i] == from[i])
            return false;
    }
    return true;
}

static void wait_until_moved(const uint64_t from[GUESTS])
{
    for (int i = 0; i < 5000 && !all_moved(from); i++)
        usleep(1000);
    ck_assert(all_moved(from));
}

/* The stub is killed by then; that its task is told may take a moment more. */
static bool has_died(struct task *t)
{
    bool dead = false;
    for (int i = 0; i < 2000 && !dead; i++) {
        usleep(1000);
        lock(&kernel.tasks_lock);
        dead = t->dead;
        unlock(&kernel.tasks_lock);
    }
    return dead;
}

START_TEST(a_thousand_times)
{
    uint64_t a[GUESTS] = { 0 }, b[GUESTS];
    begin();
    usleep(50000);
    wait_until_moved(a);
    for (int n = 0; n < ROUNDS; n++) {
        ck_assert_int_eq(kernel_freeze(&first_container), 0);
        counters(a);
        if (n % 50 == 0)
            usleep(2000);
        counters(b);
        for (int i = 0; i < GUESTS; i++)
            ck_assert_uint_eq(a[i], b[i]);
        kernel_thaw(&first_container);
        if (n % 100 == 0)
            wait_until_moved(b);
        else
            usleep(n % 7 * 20);
    }
    counters(b);
    wait_until_moved(b);
    if (getauxval(AT_HWCAP2) & 2) {
        struct platform_stats st;
        P->stats(&st);
        ck_assert_uint_ge(st.patches, 2);
        ck_assert_uint_gt(st.light + st.posts, 0);
    }
}
END_TEST

/* One that does not listen (a stopped stub plays it) is killed; the others are frozen and go on. */
START_TEST(deaf_one_is_killed)
{
    uint64_t a[GUESTS] = { 0 }, b[GUESTS];
    begin();
    start(GUESTS, computes, sizeof computes);
    struct task *deaf = task_ref(guests[GUESTS]);
    wait_until_moved(a);
    usleep(50000);
    freeze_patience = 300000000;
    pid_t pid = P->ctx_host_tid(deaf->ctx);
    ck_assert_int_gt(pid, 1);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    usleep(1000);
    ck_assert_int_eq(kernel_freeze(&first_container), 0);
    ck_assert(has_died(deaf));
    counters(a);
    usleep(2000);
    counters(b);
    for (int i = 0; i < GUESTS; i++)
        ck_assert_uint_eq(a[i], b[i]);
    kernel_thaw(&first_container);
    wait_until_moved(b);
    task_put(deaf);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("freeze");
    TCase *t = tcase_create("freeze");
    tcase_set_timeout(t, 50);
    tcase_add_test(t, a_thousand_times);
    tcase_add_test(t, deaf_one_is_killed);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
