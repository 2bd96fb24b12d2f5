/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is made from abi/syscalls.def: the prototypes of all handlers, and the table of descriptions
 * that dispatch, the tracer and `sbx syscalls` read.
 *
 * A handler is `long sys_<name>(struct task *t, <C types of its kinds>)`; it is declared here (and
 * has to exist) when its state is FULL or PART. It is called through a thunk of its own that turns
 * the six registers into its types, so no function pointer is ever cast.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "abi/kinds.h"
#include "abi/types.h"

struct task;

enum syscall_state { SC_NONE, SC_FULL, SC_PART, SC_NOSYS, SC_NOPERM, SC_NOACCES };

struct syscall_desc {
    const char *name; /* NULL: there is no call of that number */
    enum syscall_state state;
    unsigned char nargs;
    unsigned char kinds[6]; /* enum arg_kind */
    const char *args[6];    /* names of the arguments */
    long (*run)(struct task *t, const uint64_t a[6]);
};

#define SYSCALL_MAX 462 /* mseal, the last of 6.12 */

/* NULL when there is no such call. */
const struct syscall_desc *syscall_desc(uint64_t nr);

/*
 * Runs the handler of the call in t->call (its first run, or a later one). What it returns is the
 * result, or one of the errors of abi/types.h that no guest sees.
 */
long syscall_dispatch(struct task *t);

/* How often a number was called since the start; nr SYSCALL_MAX + 1 stands for all unknown ones. */
uint64_t syscall_count(uint64_t nr);
/* While kernel.stats: nanoseconds that its handler ran, and calls that ended in an error. */
uint64_t syscall_time(uint64_t nr);
uint64_t syscall_errors(uint64_t nr);

/* `sbx syscalls`: the list of calls and their states, or of those that run natively. 0 or -errno. */
int syscalls_print(FILE *f, bool native_only);
/* The first part of docs/COMPATIBILITY.md as it should be. */
int syscalls_print_markdown(FILE *f);

/* A prototype where there is a handler, else nothing. Kinds and names are pasted at once, so that no
 * macro of some other header can get at them. */
#define SYS_PROTO_FULL(fn, params) long fn params;
#define SYS_PROTO_PART(fn, params) long fn params;
#define SYS_PROTO_NOSYS(fn, params)
#define SYS_PROTO_NOPERM(fn, params)
#define SYS_PROTO_NOACCES(fn, params)

#define SYS0(nr, name, state) SYS_PROTO_##state(sys_##name, (struct task * t))
#define SYS1(nr, name, state, k1, n1) SYS_PROTO_##state(sys_##name, (struct task * t, kt_##k1 n1))
#define SYS2(nr, name, state, k1, n1, k2, n2)                                                      \
    SYS_PROTO_##state(sys_##name, (struct task * t, kt_##k1 n1, kt_##k2 n2))
#define SYS3(nr, name, state, k1, n1, k2, n2, k3, n3)                                              \
    SYS_PROTO_##state(sys_##name, (struct task * t, kt_##k1 n1, kt_##k2 n2, kt_##k3 n3))
#define SYS4(nr, name, state, k1, n1, k2, n2, k3, n3, k4, n4)                                      \
    SYS_PROTO_##state(sys_##name, (struct task * t, kt_##k1 n1, kt_##k2 n2, kt_##k3 n3, kt_##k4 n4))
#define SYS5(nr, name, state, k1, n1, k2, n2, k3, n3, k4, n4, k5, n5)                              \
    SYS_PROTO_##state(                                                                             \
        sys_##name, (struct task * t, kt_##k1 n1, kt_##k2 n2, kt_##k3 n3, kt_##k4 n4, kt_##k5 n5))
#define SYS6(nr, name, state, k1, n1, k2, n2, k3, n3, k4, n4, k5, n5, k6, n6)                      \
    SYS_PROTO_##state(sys_##name, (struct task * t, kt_##k1 n1, kt_##k2 n2, kt_##k3 n3,            \
                                   kt_##k4 n4, kt_##k5 n5, kt_##k6 n6))

/* clang-format off */
#include "abi/syscalls.def"
/* clang-format on */

#undef SYS0
#undef SYS1
#undef SYS2
#undef SYS3
#undef SYS4
#undef SYS5
#undef SYS6
