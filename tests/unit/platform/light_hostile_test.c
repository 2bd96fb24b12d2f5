/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests that lie in their block, ring bells of their own making and post calls that they do not wait
 * for. Whatever they do, nobody but they may suffer.
 */
#include "light.h"
#include "suite.h"

/* A thread that posts calls for ever, and waits for none, keeps no other from being heard. */
START_TEST(posts_for_ever)
{
    static struct guest g[2];
    struct script s = only_calls;

    begin();
    start(&g[0]);
    AWAIT(atomic_load(&g[0].lights) > 100);
    hold(&g[0]);
    P->ctx_want_frame(g[0].c);
    AWAIT(atomic_load(&g[0].ops) == 3);
    add_thread(&g[0], &g[1], 1, &s);
    s.posts = 1;
    s.rounds = 0;
    for (int i = 0; i < 20; i++) {
        unsigned heard;

        /* many calls at a high rate, so that somebody looks at the word */
        atomic_store(&g[0].hold, false);
        if (i == 0) {
            P->ctx_resume(g[1].c);
            P->ctx_resume(g[0].c);
        }
        usleep(20000);
        if (i == 2) { /* from now on */
            uint64_t none = 0, one = 1;

            ck_assert_int_eq(
                P->as_write(g[0].as, script_at(0) + offsetof(struct script, posts), &one, 8, false),
                8);
            ck_assert_int_eq(P->as_write(g[0].as, script_at(0) + offsetof(struct script, rounds),
                                         &none, 8, false),
                             8);
        }
        heard = atomic_load(&g[1].calls);
        AWAIT(atomic_load(&g[1].calls) > heard || atomic_load(&g[1].gone));
    }
    P->as_kill(g[0].as);
    for (unsigned i = 0; i < 2; i++) {
        AWAIT(atomic_load(&g[i].gone));
        P->ctx_free(g[i].c);
    }
    P->as_put(g[0].as);
}
END_TEST

static uint64_t value(unsigned *seed)
{
    uint64_t v = (uint64_t)rand_r(seed) << 32 ^ (uint64_t)rand_r(seed) << 8;

    switch (rand_r(seed) % 6) {
    case 0:
        return v;
    case 1:
        return (unsigned)rand_r(seed) % 10;
    case 2:
        return 0x2000 + (unsigned)rand_r(seed) % 0xe000;
    case 3:
        return DATA + (unsigned)rand_r(seed) % 0x12000;
    case 4:
        return slot() - 0x2000 + (unsigned)rand_r(seed) % 0x4000;
    default:
        return ~0ull - (unsigned)rand_r(seed) % 0x3000;
    }
}

/* The words of the block that the sentry reads; whatever they say. */
static struct step random_step(unsigned *seed)
{
    static const uint32_t words[] = {
        offsetof(struct block, seq),       offsetof(struct block, sig),
        offsetof(struct block, uc),        offsetof(struct block, park),
        offsetof(struct block, index),     offsetof(struct block, nops),
        offsetof(struct block, kicked),    offsetof(struct block, call.in_len),
        offsetof(struct block, call.post), offsetof(struct block, call.post),
        offsetof(struct block, spin_cpu),  offsetof(struct block, cpu),
        offsetof(struct block, cpu0),      offsetof(struct block, classes),
        offsetof(struct block, keeps),     offsetof(struct block, words),
        offsetof(struct block, relisten),  offsetof(struct block, listener)
    };
    uint64_t light = offsetof(struct block, light) + (unsigned)rand_r(seed) % 16 * 8;
    uint64_t arg = offsetof(struct block, call.args) + (unsigned)rand_r(seed) % 6 * 8;

    switch (rand_r(seed) % 9) {
    case 0:
    case 1:
        return (struct step){ DO_STORE32, words[(unsigned)rand_r(seed) % (sizeof words / 4)],
                              value(seed), 0 };
    case 2:
        return (struct step){ DO_STORE64, light, value(seed), 0 };
    case 3:
        return (struct step){ DO_STORE64, offsetof(struct block, call.nr),
                              (unsigned)rand_r(seed) % 340, 0 };
    case 4:
        return (struct step){ DO_CALL, value(seed), value(seed), value(seed) };
    case 5:
        return (struct step){ DO_STORE64, BLOCK_STACK_OFF + value(seed) % 0x7ff8, value(seed), 0 };
    case 6:
        return (struct step){ DO_STORE64, arg, value(seed), 0 };
    default:
        return (struct step){ DO_BELL, (unsigned)rand_r(seed) % 6 ? BELL_CALL : value(seed) % 5, 0,
                              (unsigned)rand_r(seed) % 40 };
    }
}

START_TEST(lies)
{
    static struct guest all[150]; /* each its own: a late event may still look at it */

    begin();
    for (unsigned seed = 1; seed <= 150; seed++) {
        struct guest *g = &all[seed - 1];
        struct script s = { .n = 64, .rounds = 3 };
        unsigned at = seed;

        atomic_store(&g->wild, true);
        g->seed = seed;
        make(g);
        for (unsigned i = 0; i < s.n; i++)
            s.step[i] = random_step(&at);
        put_script(g, 0, &s);
        aim(g, 0);
        P->ctx_resume(g->c);
        for (int i = 0; i < 20 && !atomic_load(&g->gone) && atomic_load(&g->calls) < 500; i++)
            usleep(500);
        finish(g);
    }
    /* the others have not suffered */
    static struct guest last;

    start(&last);
    AWAIT(atomic_load(&last.lights) > 1000);
    finish(&last);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("light_hostile");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, posts_for_ever);
    tcase_add_test(tc, lies);
    return run_tests("light_hostile", tc, /* light= */ true);
}
