/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring(7), as of Linux 6.12. The build's own headers may be older, so all of it stands here. */
#pragma once

#include "abi/types.h"

struct lx_sqe {
    uint8_t opcode, flags;
    uint16_t ioprio;
    int32_t fd;
    union {
        uint64_t off;
        gaddr_t addr2;
    };
    union {
        gaddr_t addr;
        uint64_t splice_off_in;
    };
    uint32_t len;
    union { /* flags of the operation */
        uint32_t op_flags;
        uint16_t poll16;
    };
    uint64_t user_data;
    uint16_t buf_index; /* or group */
    uint16_t personality;
    union {
        int32_t splice_fd_in;
        uint32_t file_index;
        struct {
            uint16_t addr_len, pad3_;
        };
    };
    uint64_t addr3, pad2_;
};

struct lx_cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
    /* with IORING_SETUP_CQE32 two words of 64 bits follow */
};

struct lx_sqring_offsets {
    uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
    uint64_t user_addr;
};

struct lx_cqring_offsets {
    uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
    uint64_t user_addr;
};

struct lx_uring_params {
    uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd;
    uint32_t resv[3];
    struct lx_sqring_offsets sq_off;
    struct lx_cqring_offsets cq_off;
};

/* The head of the pages that both rings share. What only one side writes has a cache line. */
struct lx_uring_rings {
    uint32_t sq_head, pad0_[15], sq_tail, pad1_[15], cq_head, pad2_[15], cq_tail, pad3_[15];
    uint32_t sq_mask, cq_mask, sq_entries, cq_entries, sq_dropped, sq_flags, cq_flags, cq_overflow;
    uint32_t pad4_[8];
};

enum { /* io_uring_setup */
       LX_URING_IOPOLL = 1 << 0,
       LX_URING_SQPOLL = 1 << 1,
       LX_URING_SQ_AFF = 1 << 2,
       LX_URING_CQSIZE = 1 << 3,
       LX_URING_CLAMP = 1 << 4,
       LX_URING_ATTACH_WQ = 1 << 5,
       LX_URING_R_DISABLED = 1 << 6,
       LX_URING_SUBMIT_ALL = 1 << 7,
       LX_URING_COOP_TASKRUN = 1 << 8,
       LX_URING_TASKRUN_FLAG = 1 << 9,
       LX_URING_SQE128 = 1 << 10,
       LX_URING_CQE32 = 1 << 11,
       LX_URING_SINGLE_ISSUER = 1 << 12,
       LX_URING_DEFER_TASKRUN = 1 << 13,
       LX_URING_NO_MMAP = 1 << 14,
       LX_URING_REGISTERED_FD_ONLY = 1 << 15,
       LX_URING_NO_SQARRAY = 1 << 16,
};

enum { /* features */
       LX_FEAT_SINGLE_MMAP = 1 << 0,
       LX_FEAT_NODROP = 1 << 1,
       LX_FEAT_SUBMIT_STABLE = 1 << 2,
       LX_FEAT_RW_CUR_POS = 1 << 3,
       LX_FEAT_CUR_PERSONALITY = 1 << 4,
       LX_FEAT_FAST_POLL = 1 << 5,
       LX_FEAT_POLL_32BITS = 1 << 6,
       LX_FEAT_SQPOLL_NONFIXED = 1 << 7,
       LX_FEAT_EXT_ARG = 1 << 8,
       LX_FEAT_NATIVE_WORKERS = 1 << 9,
       LX_FEAT_RSRC_TAGS = 1 << 10,
       LX_FEAT_CQE_SKIP = 1 << 11,
       LX_FEAT_LINKED_FILE = 1 << 12,
       LX_FEAT_REG_REG_RING = 1 << 13,
};

enum { /* flags of an entry */
       LX_SQE_FIXED_FILE = 1 << 0,
       LX_SQE_DRAIN = 1 << 1,
       LX_SQE_LINK = 1 << 2,
       LX_SQE_HARDLINK = 1 << 3,
       LX_SQE_ASYNC = 1 << 4,
       LX_SQE_BUFFER_SELECT = 1 << 5,
       LX_SQE_CQE_SKIP = 1 << 6,
};

enum { /* flags of a completion */
       LX_CQE_BUFFER = 1 << 0,
       LX_CQE_MORE = 1 << 1,
       LX_CQE_SOCK_NONEMPTY = 1 << 2,
       LX_CQE_NOTIF = 1 << 3,
};

#define LX_OFF_SQ_RING 0ull
#define LX_OFF_CQ_RING 0x8000000ull
#define LX_OFF_SQES 0x10000000ull
#define LX_OFF_PBUF_RING 0x80000000ull
#define LX_OFF_PBUF_SHIFT 16
#define LX_OFF_MMAP_MASK 0xf8000000ull

#define LX_SQ_NEED_WAKEUP 1u
#define LX_SQ_CQ_OVERFLOW 2u
#define LX_SQ_TASKRUN 4u
#define LX_CQ_EVENTFD_DISABLED 1u

#define LX_FILE_INDEX_ALLOC 0xffffffffu

enum { /* io_uring_enter */
       LX_ENTER_GETEVENTS = 1 << 0,
       LX_ENTER_SQ_WAKEUP = 1 << 1,
       LX_ENTER_SQ_WAIT = 1 << 2,
       LX_ENTER_EXT_ARG = 1 << 3,
       LX_ENTER_REGISTERED_RING = 1 << 4,
       LX_ENTER_ABS_TIMER = 1 << 5,
};

struct lx_uring_getevents_arg {
    uint64_t sigmask;
    uint32_t sigmask_sz, min_wait_usec;
    uint64_t ts;
};

enum { /* operations */
       LX_OP_NOP,
       LX_OP_READV,
       LX_OP_WRITEV,
       LX_OP_FSYNC,
       LX_OP_READ_FIXED,
       LX_OP_WRITE_FIXED,
       LX_OP_POLL_ADD,
       LX_OP_POLL_REMOVE,
       LX_OP_SYNC_FILE_RANGE,
       LX_OP_SENDMSG,
       LX_OP_RECVMSG,
       LX_OP_TIMEOUT,
       LX_OP_TIMEOUT_REMOVE,
       LX_OP_ACCEPT,
       LX_OP_ASYNC_CANCEL,
       LX_OP_LINK_TIMEOUT,
       LX_OP_CONNECT,
       LX_OP_FALLOCATE,
       LX_OP_OPENAT,
       LX_OP_CLOSE,
       LX_OP_FILES_UPDATE,
       LX_OP_STATX,
       LX_OP_READ,
       LX_OP_WRITE,
       LX_OP_FADVISE,
       LX_OP_MADVISE,
       LX_OP_SEND,
       LX_OP_RECV,
       LX_OP_OPENAT2,
       LX_OP_EPOLL_CTL,
       LX_OP_SPLICE,
       LX_OP_PROVIDE_BUFFERS,
       LX_OP_REMOVE_BUFFERS,
       LX_OP_TEE,
       LX_OP_SHUTDOWN,
       LX_OP_RENAMEAT,
       LX_OP_UNLINKAT,
       LX_OP_MKDIRAT,
       LX_OP_SYMLINKAT,
       LX_OP_LINKAT,
       LX_OP_MSG_RING,
       LX_OP_FSETXATTR,
       LX_OP_SETXATTR,
       LX_OP_FGETXATTR,
       LX_OP_GETXATTR,
       LX_OP_SOCKET,
       LX_OP_URING_CMD,
       LX_OP_SEND_ZC,
       LX_OP_SENDMSG_ZC,
       LX_OP_READ_MULTISHOT,
       LX_OP_WAITID,
       LX_OP_FUTEX_WAIT,
       LX_OP_FUTEX_WAKE,
       LX_OP_FUTEX_WAITV,
       LX_OP_FIXED_FD_INSTALL,
       LX_OP_FTRUNCATE,
       LX_OP_BIND,
       LX_OP_LISTEN,
       LX_OP_LAST,
};

enum { /* timeouts, and what changes them */
       LX_TIMEOUT_ABS = 1 << 0,
       LX_TIMEOUT_UPDATE = 1 << 1,
       LX_TIMEOUT_BOOTTIME = 1 << 2,
       LX_TIMEOUT_REALTIME = 1 << 3,
       LX_LINK_TIMEOUT_UPDATE = 1 << 4,
       LX_TIMEOUT_ETIME_SUCCESS = 1 << 5,
       LX_TIMEOUT_MULTISHOT = 1 << 6,
};

enum { /* polls, in len */
       LX_POLL_MULTI = 1 << 0,
       LX_POLL_UPDATE_EVENTS = 1 << 1,
       LX_POLL_UPDATE_USER_DATA = 1 << 2,
       LX_POLL_LEVEL = 1 << 3,
};

enum { /* cancellation */
       LX_CANCEL_ALL = 1 << 0,
       LX_CANCEL_FD = 1 << 1,
       LX_CANCEL_ANY = 1 << 2,
       LX_CANCEL_FD_FIXED = 1 << 3,
       LX_CANCEL_USERDATA = 1 << 4,
       LX_CANCEL_OP = 1 << 5,
};

enum { /* sends and receives, in ioprio */
       LX_RECVSEND_POLL_FIRST = 1 << 0,
       LX_RECV_MULTISHOT = 1 << 1,
       LX_RECVSEND_FIXED_BUF = 1 << 2,
       LX_SEND_ZC_REPORT_USAGE = 1 << 3,
};
#define LX_NOTIF_USAGE_COPIED 0x80000000u

enum { /* accept, in ioprio */
       LX_ACCEPT_MULTISHOT = 1 << 0,
       LX_ACCEPT_DONTWAIT = 1 << 1,
       LX_ACCEPT_POLL_FIRST = 1 << 2,
};

enum { LX_MSG_DATA, LX_MSG_SEND_FD }; /* msg_ring, in addr */
enum { LX_MSG_RING_CQE_SKIP = 1, LX_MSG_RING_FLAGS_PASS = 2 };
enum { /* commands of sockets */
       LX_SOCKET_INQ,
       LX_SOCKET_OUTQ,
       LX_SOCKET_GETSOCKOPT,
       LX_SOCKET_SETSOCKOPT,
};
enum { LX_NOP_INJECT_RESULT = 1 };
enum { LX_FIXED_FD_NO_CLOEXEC = 1 };
#define LX_SPLICE_F_FD_IN_FIXED (1u << 31)

struct lx_recvmsg_out {
    uint32_t namelen, controllen, payloadlen, flags;
};

struct lx_pbuf { /* an entry of a ring of buffers; the tail lies in the first one's resv */
    uint64_t addr;
    uint32_t len;
    uint16_t bid, resv;
};

enum { /* io_uring_register */
       LX_REGISTER_BUFFERS = 0,
       LX_UNREGISTER_BUFFERS = 1,
       LX_REGISTER_FILES = 2,
       LX_UNREGISTER_FILES = 3,
       LX_REGISTER_EVENTFD = 4,
       LX_UNREGISTER_EVENTFD = 5,
       LX_REGISTER_FILES_UPDATE = 6,
       LX_REGISTER_EVENTFD_ASYNC = 7,
       LX_REGISTER_PROBE = 8,
       LX_REGISTER_PERSONALITY = 9,
       LX_UNREGISTER_PERSONALITY = 10,
       LX_REGISTER_RESTRICTIONS = 11,
       LX_REGISTER_ENABLE_RINGS = 12,
       LX_REGISTER_FILES2 = 13,
       LX_REGISTER_FILES_UPDATE2 = 14,
       LX_REGISTER_BUFFERS2 = 15,
       LX_REGISTER_BUFFERS_UPDATE = 16,
       LX_REGISTER_IOWQ_AFF = 17,
       LX_UNREGISTER_IOWQ_AFF = 18,
       LX_REGISTER_IOWQ_MAX_WORKERS = 19,
       LX_REGISTER_RING_FDS = 20,
       LX_UNREGISTER_RING_FDS = 21,
       LX_REGISTER_PBUF_RING = 22,
       LX_UNREGISTER_PBUF_RING = 23,
       LX_REGISTER_SYNC_CANCEL = 24,
       LX_REGISTER_FILE_ALLOC_RANGE = 25,
       LX_REGISTER_PBUF_STATUS = 26,
       LX_REGISTER_LAST = 31,
};
#define LX_REGISTER_USE_REGISTERED_RING (1u << 31)
#define LX_REGISTER_FILES_SKIP (-2)
#define LX_RSRC_REGISTER_SPARSE 1u

struct lx_rsrc_register {
    uint32_t nr, flags;
    uint64_t resv2, data, tags;
};

struct lx_rsrc_update { /* the first form has neither tags nor what follows */
    uint32_t offset, resv;
    uint64_t data, tags;
    uint32_t nr, resv2;
};

struct lx_probe_op {
    uint8_t op, resv;
    uint16_t flags;
    uint32_t resv2;
};

struct lx_probe {
    uint8_t last_op, ops_len;
    uint16_t resv;
    uint32_t resv2[3];
};
#define LX_OP_SUPPORTED 1u

struct lx_restriction {
    uint16_t opcode;
    uint8_t arg, resv;
    uint32_t resv2[3];
};
enum {
    LX_RESTRICTION_REGISTER_OP,
    LX_RESTRICTION_SQE_OP,
    LX_RESTRICTION_SQE_FLAGS_ALLOWED,
    LX_RESTRICTION_SQE_FLAGS_REQUIRED,
};

struct lx_pbuf_reg {
    uint64_t ring_addr;
    uint32_t ring_entries;
    uint16_t bgid, flags;
    uint64_t resv[3];
};
#define LX_PBUF_RING_MMAP 1u

struct lx_pbuf_status {
    uint32_t group, head, resv[8];
};

struct lx_sync_cancel {
    uint64_t addr;
    int32_t fd;
    uint32_t flags;
    int64_t tv_sec, tv_nsec;
    uint8_t opcode, pad_[7];
    uint64_t pad2_[3];
};

struct lx_file_range {
    uint32_t off, len;
    uint64_t resv;
};
