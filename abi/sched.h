/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks: clone3, scheduling, capabilities, robust futexes, restartable sequences. */
#pragma once

#include "abi/types.h"

struct lx_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size; /* version 1 */
    uint64_t cgroup;                /* version 2 */
};
#define LX_CLONE_ARGS_SIZE_VER0 64
#define LX_CLONE_ARGS_SIZE_VER1 80
#define LX_CLONE_ARGS_SIZE_VER2 88

#define LX_CLONE_PIDFD 0x00001000ull
#define LX_CLONE_CLEAR_SIGHAND 0x100000000ull
#define LX_CLONE_INTO_CGROUP 0x200000000ull

struct lx_sched_param {
    int32_t priority;
};

struct lx_sched_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max; /* version 1 */
};
#define LX_SCHED_ATTR_SIZE_VER0 48
#define LX_SCHED_ATTR_SIZE_VER1 56

struct lx_cap_header {
    uint32_t version;
    int32_t pid;
};

struct lx_cap_data { /* versions 2 and 3: two of them */
    uint32_t effective, permitted, inheritable;
};
#define LX_CAPABILITY_VERSION_1 0x19980330u
#define LX_CAPABILITY_VERSION_2 0x20071026u
#define LX_CAPABILITY_VERSION_3 0x20080522u

struct lx_robust_list {
    gaddr_t next;
};

struct lx_robust_list_head {
    struct lx_robust_list list;
    int64_t futex_offset;
    gaddr_t list_op_pending;
};
#define LX_ROBUST_LIST_LIMIT 2048

struct lx_futex_waitv {
    uint64_t val, uaddr;
    uint32_t flags, reserved_;
};

/* futex2 flags (futex_waitv, futex_wait, ...) */
#define LX_FUTEX2_SIZE_MASK 3u
#define LX_FUTEX2_SIZE_U32 2u
#define LX_FUTEX2_NUMA 4u
#define LX_FUTEX2_PRIVATE 128u

struct lx_rseq {
    uint32_t cpu_id_start, cpu_id;
    uint64_t rseq_cs;
    uint32_t flags;
    uint32_t node_id, mm_cid; /* 6.3 */
    uint32_t pad_;
};
#define LX_RSEQ_SIZE_ORIG 32

struct lx_rseq_cs {
    uint32_t version, flags;
    uint64_t start_ip, post_commit_offset, abort_ip;
};

struct lx_kcmp_epoll_slot {
    uint32_t efd, tfd, toff;
};

struct lx_sock_filter { /* one instruction of classic BPF, for seccomp */
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

struct lx_sock_fprog {
    uint16_t len, pad_[3];
    gaddr_t filter;
};

struct lx_seccomp_data {
    int32_t nr;
    uint32_t arch;
    uint64_t instruction_pointer, args[6];
};
