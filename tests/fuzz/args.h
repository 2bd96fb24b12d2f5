/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments of system calls as inputs spell them: a byte says of which kind an argument is, and what
 * follows what it is. Bytes for the guest's memory stand in the input as well, behind a length.
 */
#pragma once

#include "tests/fuzz/mock.h"
#include "tests/fuzz/take.h"

enum {
    ARG_ZERO,
    ARG_U8,
    ARG_U16,
    ARG_U32,
    ARG_U64,
    ARG_EDGE,  /* byte: which of the edges of numbers */
    ARG_BIT,   /* byte: which */
    ARG_FD,    /* byte: number below 16, -1, -100 */
    ARG_OUT,   /* byte: a place in scratch memory, where others of its kind may be too */
    ARG_BYTES, /* length, bytes */
    ARG_END,   /* the same, before the end of what is mapped */
    ARG_PATH,  /* byte: one of paths that mean something */
    ARG_IOV,   /* byte: how many; for each length, bytes */
    ARG_MSG,   /* flags, then name, iovec and control as bytes */
    ARG_WILD,  /* byte: one of pointers to nowhere */
    ARG_LAST,  /* byte: a result of so many calls ago */
    ARG_WALK,  /* byte: how many; for each a byte: a component of a path */
    ARG_KINDS
};

/* State of the calls of one input. */
struct args {
    gaddr_t at; /* where the next bytes go */
    uint64_t results[8];
    unsigned nresults;
};

void args_init(struct args *a);
/* Puts n bytes into c's memory; their address. */
gaddr_t args_put(struct args *a, struct ctx *c, const void *bytes, size_t n);
uint64_t args_take(struct args *a, struct ctx *c, struct take *t);
void args_result(struct args *a, long r);

/*
 * Spells a likely argument of that kind (enum arg_kind of the table) into buf; bytes used. seed picks
 * among several.
 */
size_t args_spell(unsigned kind, uint32_t seed, uint8_t *buf, size_t cap);
