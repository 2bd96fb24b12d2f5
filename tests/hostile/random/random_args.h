/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random arguments for system calls, by the kinds of abi/kinds.h. One generator belongs to one thread;
 * its memory is shared by the threads of its process, as hostile programs like it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/kinds.h"

struct random_args {
    uint64_t state;
    uint8_t *arena; /* ARENA bytes, and behind them a page that cannot be touched */
    pid_t pids[8];  /* of children and others that may be named */
    unsigned npids;
    bool tame; /* it runs as root: signals go to its own processes only */
    int top;   /* what the call before returned, often a descriptor */
};

#define ARENA (256u << 10)

uint64_t rnd(struct random_args *r);
unsigned rnd_below(struct random_args *r, unsigned n);
/* One time in n. */
bool rnd_one_in(struct random_args *r, unsigned n);
void rnd_seed(struct random_args *r, uint64_t seed);

/* The value of an argument; what it points to is made as well. args: those before it, nargs of them. */
uint64_t rnd_arg(struct random_args *r, enum arg_kind kind, const uint64_t *args, unsigned nargs);

/* What the workers, so many, have left. */
void random_remove(unsigned nworkers);
