/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says of children that they exist, and makes none: the blob's clone is turned into another call, whose
 * result looks like success. Such children can neither run nor be waited for; they are to be given up.
 *
 *     liars [SEED]
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

#define LIES 40
#define GIVEN_UP_MS 60000 /* six times what it takes, as a rule */

static volatile pid_t *children; /* shared */
static volatile unsigned *told;

static void *turn_clones(void *arg)
{
    volatile struct block_op *op = arg;

    for (;;) {
        for (unsigned i = 0; i < 4; i++) {
            if (op[i].nr == OP_CLONE)
                op[i].nr = SYS_sched_yield;
        }
    }
    return NULL;
}

static void lie(uint64_t i)
{
    char *ops = (char *)stub_block() + BLOCK_OPS_OFF;
    pthread_t t;

    (void)i;
    if (pthread_create(&t, NULL, turn_clones, ops) != 0)
        return;
    while (*told < LIES) {
        pid_t pid = fork();

        if (pid == 0) /* this one was not turned in time */
            end_hard(0);
        if (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0)
            children[__atomic_fetch_add(told, 1, __ATOMIC_SEQ_CST) % LIES] = pid;
    }
}

static unsigned left(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < LIES; i++)
        n += children[i] > 0 && kill(children[i], 0) == 0;
    return n;
}

bool liars_all(int argc, char **argv)
{
    uint64_t end;
    bool good;

    (void)seed_of(argc, argv);
    children = shared_new(LIES * sizeof *children);
    told = shared_new(4096);
    good = pool_run(lie, 3, 5000);
    printf("%u said to be there, %u of them now\n", *told, left());
    for (unsigned i = 0; i < LIES; i++) {
        if (children[i] > 0)
            kill(children[i], SIGKILL);
    }
    for (end = now_ms() + GIVEN_UP_MS; left() > 0 && now_ms() < end;)
        usleep(100000);
    if (left() > 0) {
        printf("FAILED: %u that were never made are still there\n", left());
        good = false;
    }
    return good;
}
