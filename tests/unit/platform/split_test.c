/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts that share a listener and work side by side: each gets one of its own while they run, or
 * dies when it lies about it; nobody else may suffer.
 */
#include "light.h"
#include "suite.h"

static uint64_t splits(void)
{
    struct platform_stats st;

    P->stats(&st);
    return st.splits;
}

/* Two threads of one listener, which do nothing but call; the second one runs s. */
static void start_two(struct guest g[2], struct script *s)
{
    start(&g[0]);
    AWAIT(atomic_load(&g[0].lights) > 100);
    hold(&g[0]);
    P->ctx_want_frame(g[0].c);
    AWAIT(atomic_load(&g[0].ops) == 3);
    add_thread(&g[0], &g[1], 1, s);
    atomic_store(&g[0].hold, false);
    P->ctx_resume(g[1].c);
    P->ctx_resume(g[0].c);
}

static void end_two(struct guest g[2])
{
    P->as_kill(g[0].as);
    for (unsigned i = 0; i < 2; i++) {
        AWAIT(atomic_load(&g[i].gone));
        P->ctx_free(g[i].c);
    }
    P->as_put(g[0].as);
}

START_TEST(each_gets_its_own)
{
    static struct guest all[10][2];

    begin();
    for (unsigned k = 0; k < 10; k++) {
        struct guest *g = all[k];
        struct script s = only_calls;
        uint64_t before = splits();
        unsigned heard[2];

        start_two(g, &s);
        AWAIT(splits() > before);
        for (unsigned i = 0; i < 2; i++)
            heard[i] = atomic_load(&g[i].lights);
        for (unsigned i = 0; i < 2; i++)
            AWAIT(atomic_load(&g[i].lights) > heard[i] + 1000);
        ck_assert(!atomic_load(&g[0].gone) && !atomic_load(&g[1].gone));
        end_two(g);
    }
}
END_TEST

/* What the sentry waits for is written by the guest all the time: numbers of no listener, and errors. */
START_TEST(lies_about_it)
{
    static const uint32_t lies[] = { 0, 1, 3, 77, 0x7ffffffe, (uint32_t)-1, (uint32_t)-16 };
    static const uint32_t words[] = { offsetof(struct block, listener),
                                      offsetof(struct block, relisten) };
    static struct guest all[sizeof lies / sizeof lies[0]][2][2], last;

    begin();
    for (unsigned k = 0; k < sizeof lies / sizeof lies[0]; k++) {
        for (unsigned w = 0; w < 2; w++) {
            struct guest *g = all[k][w];
            struct script s = { .n = 2,
                                .rounds = 1ull << 60,
                                .step = { { DO_STORE32, words[w], lies[k], 0 },
                                          { .what = DO_CALL } } };
            uint64_t before = splits();

            start_two(g, &s);
            AWAIT(splits() > before || atomic_load(&g[1].gone));
            usleep(20000);
            end_two(g);
        }
    }
    start(&last);
    AWAIT(atomic_load(&last.lights) > 1000);
    finish(&last);
}
END_TEST

/* Their filters differ then: no listener can be installed for all at once. */
START_TEST(copied_after_it)
{
    static struct guest g[2], copy[2];
    struct script s = only_calls;
    struct ctx *both[2], *ret[2];
    uint64_t before = splits();
    unsigned heard[2];

    begin();
    start_two(g, &s);
    AWAIT(splits() > before);
    for (unsigned i = 0; i < 2; i++)
        heard[i] = atomic_load(&g[i].lights);
    for (unsigned i = 0; i < 2; i++) {
        AWAIT(atomic_load(&g[i].lights) > heard[i] + 1000);
        hold(&g[i]);
        both[i] = g[i].c;
    }
    ck_assert_int_eq(P->as_copy(both, 2, ret), 0);
    for (unsigned i = 0; i < 2; i++) {
        copy[i].c = ret[i];
        copy[i].as = P->ctx_aspace(ret[i]);
        P->ctx_set_owner(ret[i], &copy[i]);
        atomic_store(&g[i].hold, false);
        atomic_store(&g[i].lights, 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        P->ctx_resume(ret[i]);
        P->ctx_resume(both[i]);
    }
    for (unsigned i = 0; i < 2; i++)
        AWAIT(atomic_load(&g[i].lights) > 100 && atomic_load(&copy[i].lights) > 100);
    end_two(copy);
    end_two(g);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("split");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, each_gets_its_own);
    tcase_add_test(tc, lies_about_it);
    tcase_add_test(tc, copied_after_it);
    return run_tests("split", tc, /* light= */ true);
}
