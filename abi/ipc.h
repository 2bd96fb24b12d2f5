/* SPDX-License-Identifier: Apache-2.0 */
/* System V IPC and POSIX message queues. */
#pragma once

#include "abi/types.h"

struct lx_ipc64_perm {
    int32_t key;
    uint32_t uid, gid, cuid, cgid, mode;
    uint16_t seq, pad0_;
    uint32_t pad1_;
    uint64_t unused_[2];
};

struct lx_shmid64_ds {
    struct lx_ipc64_perm shm_perm;
    uint64_t shm_segsz;
    int64_t shm_atime_, shm_dtime_, shm_ctime_;
    int32_t shm_cpid, shm_lpid;
    uint64_t shm_nattch, unused_[2];
};

struct lx_shminfo64 {
    uint64_t shmmax, shmmin, shmmni, shmseg, shmall, unused_[4];
};

struct lx_shm_info {
    int32_t used_ids, pad_;
    uint64_t shm_tot, shm_rss, shm_swp, swap_attempts, swap_successes;
};

struct lx_sembuf {
    uint16_t num;
    int16_t op, flg;
};

struct lx_semid64_ds {
    struct lx_ipc64_perm sem_perm;
    int64_t sem_otime_, unused1_, sem_ctime_, unused2_;
    uint64_t sem_nsems, unused3_[2];
};

struct lx_seminfo {
    int32_t semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem;
};

struct lx_msqid64_ds {
    struct lx_ipc64_perm msg_perm;
    int64_t msg_stime_, msg_rtime_, msg_ctime_;
    uint64_t msg_cbytes, msg_qnum, msg_qbytes;
    int32_t msg_lspid, msg_lrpid;
    uint64_t unused_[2];
};

struct lx_msginfo {
    int32_t msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql;
    uint16_t msgseg, pad_;
};

struct lx_mq_attr {
    int64_t flags, maxmsg, msgsize, curmsgs, reserved_[4];
};
