/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs that are rows of system calls on the mock platform. A step is a byte (which task; whether it is
 * a call, a fault, a death, or a word of the thread that changes), the call's number, and its arguments as args.h says.
 */
#pragma once

#include "tests/fuzz/args.h"

struct calls {
    const uint16_t *nrs; /* what is called; NULL: the whole table */
    unsigned n;
    /* Before the first step, by the first process; its calls' results count as such. */
    void (*setup)(struct args *a, struct ctx *c);
};

/* What is left of the input, for targets that take more of it while a call runs. */
extern struct take calls_rest;

void calls_run(const struct calls *k, const uint8_t *p, size_t n);
/* The i-th step that is likely to mean something; its length, 0 when there is none of that number. */
size_t calls_seed(const struct calls *k, unsigned i, uint8_t *buf, size_t cap);
