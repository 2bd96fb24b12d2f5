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
    bool use_killable, use_gs;
    bool traced; /* it makes nothing by itself: it sends a byte, and waits for its tracer */
};

/* Looks for a place in the address space: stubs.slot and stubs.vdso are set. */
int zygote_prepare(struct blob_header *ret);

/* sock: its end of a socket, which stays the caller's. 0 or -errno. */
int zygote_make(const struct platform_config *cfg, const struct zygote_plan *p, int sock,
                pid_t *ret_pid);

/* Has the host ended it, or is about to? */
bool zygote_is_lost(pid_t pid);
