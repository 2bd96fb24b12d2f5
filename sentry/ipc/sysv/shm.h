/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V shared memory. A segment is a file in memory without a name; what is mapped is a file of
 * its own on the same inode, one for each shmat, so that the record of each address space
 * (mm/mm.h) knows the mapping for an attachment. They are counted as the record's entries come and
 * go: vma_open and vma_close of the attachment's file.
 */
#pragma once

#include <stdatomic.h>

#include "sentry/ipc/sysv/ids.h"

struct file;

struct shm {
    struct ipc_obj obj;
    struct file *file; /* [I] a reference */
    uint64_t size;     /* [I] as asked for */
    int64_t atime, dtime, ctime;
    int cpid, lpid;
    _Atomic uint64_t attached;
    void *kept; /* SHM_LOCK: our mapping, which keeps its pages in memory; NULL */
    struct shm *next_dead;
};

extern struct ipc_ids shm_ids;
extern uint64_t shm_pages; /* in all segments; shm_ids.lock */

/* A new segment for ipc_get's make: size as asked for. */
int shm_make(struct task *t, struct ipc_get *g, struct ipc_obj **ret);
/*
 * The file to map for an attachment with those rights (SHM_RDONLY and SHM_EXEC of flags), opened
 * O_RDONLY or O_RDWR; a reference, ERR_PTR.
 */
struct file *shm_attach(struct task *t, int id, int flags, uint64_t *ret_size);
bool shm_is_attachment(const struct file *f);
/* t is the last that dealt with f's segment. */
void shm_note_detach(struct task *t, struct file *f);
/* IPC_RMID: gone at once, or when nobody has it attached any more. */
void shm_remove_locked(struct shm *s);
/*
 * SHM_LOCK: all of it is made, and stays in memory until shm_unkeep or its end. -ENOMEM: more than the
 * host lets a process lock, or than there is. shm_ids.lock held.
 */
int shm_keep_locked(struct shm *s);
void shm_unkeep(struct shm *s);
/* What IPC_STAT says of s. */
void shm_fill_locked(struct shm *s, struct lx_shmid64_ds *ret);
/* Bytes that are there of the segment at index, or of the next one: *index. false: no more. */
bool shm_next(int *index, struct lx_shmid64_ds *ret, int *ret_id, uint64_t *ret_bytes);
/* What went lately is freed; without locks, after each section that may have freed a segment. */
void shm_reap(void);
