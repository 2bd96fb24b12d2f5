/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host lets no process be made for a while (EAGAIN of the zygote's clone): a blank is waited for, with a
 * bound, and the zygote goes on. zygote() is what the platform knows of it.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fixture.h"

static pid_t zygote(void);

#define NOBODYS_UID 54321 /* root is not held to RLIMIT_NPROC */

static void begin_as_nobody(void)
{
    if (getuid() == 0) {
        ck_assert_int_eq(setresgid(NOBODYS_UID, NOBODYS_UID, NOBODYS_UID), 0);
        ck_assert_int_eq(setresuid(NOBODYS_UID, NOBODYS_UID, NOBODYS_UID), 0);
        ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0); /* its stubs look as it does */
    }
    begin();
}

static void limit_processes(bool on)
{
    struct rlimit rl;

    ck_assert_int_eq(prlimit(zygote(), RLIMIT_NPROC, NULL, &rl), 0);
    rl.rlim_cur = on ? 0 : rl.rlim_max;
    ck_assert_int_eq(prlimit(zygote(), RLIMIT_NPROC, &rl, NULL), 0);
}

static struct {
    struct ctx *c;
    struct aspace *as;
    int r;
} got;

static void *wait_for_blank(void *arg)
{
    got.r = P->blank(&got.c, &got.as);
    return arg;
}

static void give_back(struct ctx *c, struct aspace *as)
{
    P->as_kill(as);
    P->ctx_free(c);
    P->as_put(as);
}

START_TEST(a_shortage_is_waited_for)
{
    struct aspace *as;
    struct ctx *c;
    pthread_t t;

    begin_as_nobody();
    ck_assert_int_eq(P->blank(&c, &as), 0); /* the one that was made at the start */
    give_back(c, as);
    limit_processes(true);
    ck_assert_int_eq(pthread_create(&t, NULL, wait_for_blank, NULL), 0);
    usleep(250000);
    limit_processes(false);
    pthread_join(t, NULL);
    ck_assert_int_eq(got.r, 0);
    give_back(got.c, got.as);
}
END_TEST

START_TEST(a_long_shortage_is_told)
{
    struct aspace *as;
    struct ctx *c;
    int r = 0;

    begin_as_nobody();
    ck_assert_int_eq(P->blank(&c, &as), 0);
    give_back(c, as);
    limit_processes(true);
    for (int i = 0; i < 3 && r == 0; i++) { /* some may be ready */
        r = P->blank(&c, &as);
        if (r == 0)
            give_back(c, as);
    }
    ck_assert_int_eq(r, -EAGAIN);
    limit_processes(false);
    ck_assert_int_eq(P->blank(&c, &as), 0);
    give_back(c, as);
}
END_TEST
