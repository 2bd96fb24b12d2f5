/* SPDX-License-Identifier: Apache-2.0 */
/* Making of the zygote. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/platform.h"
#include "platform/shared/bpf.h"
#include "platform/stub/blob.h"

struct zygote_plan {
    const struct bpf_asm *base, *listen; /* its filter, what a blank adds; NULL: none */
    uint64_t secret;                     /* of its own forks */
    uint32_t handler, restorer;          /* of the signals of its stubs; 0: none */
    uint32_t stop; /* handler of faults where nothing of ours runs: a breakpoint */
    int sock;      /* the number that its socket gets: no other descriptor of a stub can have it */
    bool use_killable, use_gs;
    bool traced; /* it makes nothing by itself: it sends a byte, and waits for its tracer */
};

/* Above all numbers of a stub's descriptors: one may be lent to each thread that a process may have. */
#define STUB_FILES 4096

/* Looks for a place in the address space and for a number: stubs.slot, stubs.vdso and p->sock are set. */
int zygote_prepare(struct blob_header *ret, struct zygote_plan *p);

/* sock: its end of a socket, which stays the caller's. 0 or -errno. */
int zygote_make(const struct platform_config *cfg, const struct zygote_plan *p, int sock,
                pid_t *ret_pid);

/*
 * Has the host ended it, or is about to? *ret_status is how, as wait(2) would tell, or -1 where that is
 * not known.
 */
bool zygote_is_lost(pid_t pid, int *ret_status);
