/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What platforms with stubs share: the memory of an address space, seen from outside, and clocks.
 * Nothing here takes a lock but by the pid function of a memory.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/platform.h"

/* Of all stubs; written before the first is made. */
extern struct stubs {
    int proc_fd;   /* the sentry's own procfs, or -1 */
    bool use_vm;   /* process_vm_*; else /proc/PID/mem */
    uint64_t slot; /* ours in each stub (stub/blob.h) */
    uint64_t vdso; /* of the host, mapped in each; 0: none */
    uint64_t ours; /* bytes of it that as_usage leaves out */
} stubs;

struct stub_memory {
    /* Of a process that has it, or of one of its threads; 0: none any more. */
    pid_t (*pid)(struct stub_memory *mem);
    bool (*hides)(struct stub_memory *mem, gaddr_t at); /* is a mapping there ours? NULL: none is */
    _Atomic int fd;                                     /* /proc/PID/mem, -1: not open yet */
};

void stub_memory_init(struct stub_memory *mem, pid_t (*pid)(struct stub_memory *mem));
void stub_memory_done(struct stub_memory *mem);
bool stub_vm_allowed(void);

/* As the operations as_* of struct platform. */
ssize_t stub_read(struct stub_memory *mem, gaddr_t from, void *to, size_t n);
ssize_t stub_write(struct stub_memory *mem, gaddr_t to, const void *from, size_t n, bool force);
ssize_t stub_move(struct stub_memory *mem, bool write, const struct iovec *ours, unsigned nours,
                  const struct iovec *theirs, unsigned ntheirs);
int stub_query(struct stub_memory *mem, gaddr_t addr, struct as_mapping *ret);
int stub_each(struct stub_memory *mem, bool usage, int (*fn)(const struct as_mapping *m, void *arg),
              void *arg);
void stub_pages(struct stub_memory *mem, gaddr_t addr, uint64_t *ret, size_t n);
int stub_usage(struct stub_memory *mem, struct as_usage *ret);
int stub_cost(struct stub_memory *mem, bool exact, struct as_usage *ret);

/* A small file of a process, whole, as a string. 0 or -ENOENT. */
int proc_text(pid_t pid, const char *name, char *buf, size_t cap);

/* cputime.c */
int stub_process_cputime(pid_t pid, uint64_t *ret_user_ns, uint64_t *ret_sys_ns);
/* not_its_own: what stood on the thread's clock before. */
int stub_thread_cputime(pid_t pid, pid_t tid, uint64_t not_its_own, uint64_t *ret_user_ns,
                        uint64_t *ret_sys_ns);
bool stub_thread_sleeps(pid_t pid, pid_t tid);
