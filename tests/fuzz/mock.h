/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry without a host under it: a platform whose address spaces are tables of pages in this
 * process and whose contexts are registers that a fuzz target sets (mock_platform.c, mock_memory.c),
 * and a kernel booted on it, with a tree of its own for each input (mock_kernel.c). Everything runs on
 * the one thread of the target, so an input has one meaning.
 */
#pragma once

#include "platform/platform.h"

struct super;
struct task;

/* What a new process of mock_spawn() has mapped, besides a page of code. */
#define MOCK_CODE 0x400000ull
#define MOCK_DATA 0x10000ull
#define MOCK_DATA_SIZE 0x40000ull
#define MOCK_STACK 0x7ffd000000ull
#define MOCK_STACK_SIZE 0x8000ull

#define MOCK_WAITS (-100000) /* the call has not been answered: its task waits */
#define MOCK_LEFT (-100001)  /* nor will it be: the context has left, or execs */

/* ---- mock_kernel.c ---- */

/* Once: the kernel, with /proc, /sys, /dev and /tmp. Later calls do nothing. */
void mock_boot(void);
/* A new process, root inside, alone in its tree; its context is in guest code. */
struct ctx *mock_spawn(void);
/*
 * One system call of c, which must be in guest code; runs all that it leads to. Its result, or
 * MOCK_WAITS, MOCK_LEFT. c is the caller's reference, kept.
 */
long mock_call(struct ctx *c, uint64_t nr, const uint64_t args[6]);
#define CALL(c, nr, ...) mock_call(c, nr, (const uint64_t[6]){ __VA_ARGS__ })
/* A file with these bytes at path in the input's tree, executable; c's process makes it. */
void mock_file(struct ctx *c, const char *path, const void *bytes, size_t n);
/* Mounts sb (taken over; NULL: nothing) on a directory of that name, one component. */
void mock_mount(struct ctx *c, const char *name, struct super *sb);
/*
 * The end of an input: all processes are killed and waited for, what was mounted is unmounted. Aborts
 * when somebody outlives SIGKILL or a mount stays: both are bugs.
 */
void mock_end(void);

/* ---- mock_platform.c ---- */

extern const struct platform mock_platform;

/* Delivers events and runs ready records until nothing is left to do. */
void mock_pump(void);
/* A fresh context with an address space of its own, held, with a reference for the caller. */
struct ctx *mock_ctx_new(void);
void mock_ctx_put(struct ctx *c);
/* The n-th context in guest code (modulo how many there are); NULL: there is none. Borrowed. */
struct ctx *mock_in_guest(unsigned n);
bool mock_is_in_guest(const struct ctx *c);
bool mock_is_owned(const struct ctx *c); /* somebody in the sentry will hear of it */
unsigned mock_ncontexts(void);           /* that somebody in the sentry owns */
void mock_each_owner(void (*fn)(void *owner));
struct regs *mock_regs(struct ctx *c);
struct aspace *mock_aspace(struct ctx *c);
/* Raises an event of c, which is in guest code; all that follows is run. */
void mock_syscall(struct ctx *c, uint64_t nr, const uint64_t args[6]);
void mock_fault(struct ctx *c, const struct fault *f);
/* The host ends c's process. */
void mock_host_kills(struct ctx *c);

/* ---- mock_memory.c ---- */

struct aspace *mock_as_new(void);
void mock_as_copy(struct aspace *to, const struct aspace *from);
int64_t mock_as_op(struct aspace *as, const struct as_op *op); /* the ops that concern memory */
void mock_as_ref(struct aspace *as);
void mock_as_put(struct aspace *as);
ssize_t mock_as_read(struct aspace *as, gaddr_t from, void *to, size_t n);
ssize_t mock_as_write(struct aspace *as, gaddr_t to, const void *from, size_t n, bool force);
ssize_t mock_as_move(struct aspace *as, bool write, const struct iovec *ours, unsigned nours,
                     const struct iovec *theirs, unsigned ntheirs);
int mock_as_query(struct aspace *as, gaddr_t addr, struct as_mapping *ret);
int mock_as_each(struct aspace *as, bool usage, int (*fn)(const struct as_mapping *m, void *arg),
                 void *arg);
int mock_as_usage(struct aspace *as, struct as_usage *ret);
gaddr_t mock_as_limit(void);
