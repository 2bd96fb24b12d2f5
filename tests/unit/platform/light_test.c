/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Light calls as they are meant: sites are patched, whole frames are fetched, contexts are copied and
 * die in the middle of it.
 */
#include "light.h"
#include "suite.h"

START_TEST(sites_are_patched)
{
    static struct guest g;
    struct platform_stats st;

    begin();
    start(&g);
    AWAIT(atomic_load(&g.lights) > 1000);
    P->stats(&st);
    ck_assert_uint_eq(st.patches, 1);
    finish(&g);
}
END_TEST

START_TEST(frames_are_fetched)
{
    static struct guest g;

    begin();
    start(&g);
    for (int i = 0; i < 200; i++) {
        struct regs before;
        unsigned ops = atomic_load(&g.ops);

        hold(&g);
        before = *P->ctx_regs(g.c);
        if (i % 2)
            P->ctx_park(g.c);
        P->ctx_want_frame(g.c);
        AWAIT(atomic_load(&g.ops) == ops + 1);
        ck_assert(!P->ctx_is_light(g.c));
        ck_assert_int_eq(memcmp(&before, P->ctx_regs(g.c), sizeof before), 0);
        ck_assert_uint_ge(P->ctx_fpu_size(g.c), 512);
        atomic_store(&g.hold, false);
        atomic_store(&g.held, false);
        P->ctx_resume(g.c);
    }
    ck_assert_uint_eq(atomic_load(&g.faults), 0);
    finish(&g);
}
END_TEST

/* c, a copy of `of`: the same registers, and the same in xmm5. */
static void check_state(struct guest *g, unsigned i, struct ctx *of)
{
    uint64_t fpu[64], done;

    ck_assert_int_eq(memcmp(P->ctx_regs(g->c), P->ctx_regs(of), sizeof(struct regs)), 0);
    ck_assert_int_eq(P->ctx_fpu_get(g->c, fpu, sizeof fpu), 0);
    ck_assert_int_eq(P->as_read(g->as, script_at(i) + offsetof(struct script, done), &done, 8), 8);
    ck_assert_uint_eq(fpu[30], done);
}

/* Each is held in a light call, one of them parked; copies and originals go on. */
START_TEST(light_contexts_are_copied)
{
    enum { N = 3 };
    static struct guest g[N], copy[N];
    struct ctx *all[N], *ret[N];
    struct script s = only_calls;

    begin();
    start(&g[0]);
    AWAIT(atomic_load(&g[0].lights) > 100); /* sites are patched while there is one thread */
    hold(&g[0]);
    P->ctx_want_frame(g[0].c);
    AWAIT(atomic_load(&g[0].ops) == 3);
    for (unsigned i = 1; i < N; i++) {
        add_thread(&g[0], &g[i], i, &s);
        P->ctx_resume(g[i].c);
        AWAIT(atomic_load(&g[i].lights) > 100);
    }
    atomic_store(&g[0].held, false);
    P->ctx_resume(g[0].c);
    for (unsigned i = 0; i < N; i++) {
        hold(&g[i]);
        all[i] = g[i].c;
        ck_assert(P->ctx_is_light(all[i]));
    }
    P->ctx_park(all[1]);
    ck_assert_int_eq(P->as_copy(all, N, ret), 0);
    for (unsigned i = 0; i < N; i++) {
        copy[i].c = ret[i];
        copy[i].as = P->ctx_aspace(ret[i]);
        P->ctx_set_owner(ret[i], &copy[i]);
        check_state(&copy[i], i, all[i]);
        atomic_store(&g[i].hold, false);
    }
    for (unsigned i = 0; i < N; i++) {
        atomic_store(&g[i].lights, 0);
        P->ctx_resume(ret[i]);
        P->ctx_resume(all[i]);
    }
    for (unsigned i = 0; i < N; i++) {
        AWAIT(atomic_load(&g[i].lights) > 100);
        AWAIT(atomic_load(&copy[i].lights) > 100);
        ck_assert_uint_eq(g[i].faults + copy[i].faults, 0);
    }
    P->as_kill(g[0].as);
    P->as_kill(copy[0].as);
    for (unsigned i = 0; i < N; i++) {
        AWAIT(atomic_load(&g[i].gone) && atomic_load(&copy[i].gone));
        P->ctx_free(g[i].c);
        P->ctx_free(copy[i].c);
    }
    P->as_put(copy[0].as);
    P->as_put(g[0].as);
}
END_TEST

/* A stub that dies before it has come with its frame is gone as any other. */
START_TEST(dies_without_a_frame)
{
    static struct guest all[30]; /* each its own: a late event may still look at it */

    begin();
    for (int i = 0; i < 30; i++) {
        struct guest *g = &all[i];

        start(g);
        hold(g);
        if (i % 2)
            P->as_kill(g->as);
        P->ctx_want_frame(g->c);
        finish(g);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("light");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, sites_are_patched);
    tcase_add_test(tc, frames_are_fetched);
    tcase_add_test(tc, light_contexts_are_copied);
    tcase_add_test(tc, dies_without_a_frame);
    return run_tests("light", tc, /* light= */ true);
}
