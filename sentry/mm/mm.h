/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's address space as the sentry records it. The host is the truth (native calls change the
 * map without us); the record holds what the host does not know: which guest file a range maps,
 * brk, the argument and environment areas for /proc.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "abi/types.h"
#include "sentry/kernel/lock.h"
#include "sentry/kernel/list.h"

struct aio_table;
struct aspace;
struct file;
struct task;

struct vma {          /* a mapping made through the sentry */
    struct list link; /* mm->vmas, sorted by start, no overlaps */
    gaddr_t start, end;
    uint64_t offset;   /* in file */
    struct file *file; /* reference; NULL: anonymous, shared or with PROT_EXEC */
    int prot, flags;   /* as mmap; prot is a hint */
};

struct mm {
    _Atomic int refs;
    struct aspace *as; /* [I] reference */
    struct lock lock;  /* LOCK_MM; guards what follows */
    struct list vmas;
    struct list policies; /* mempolicy.c */
    unsigned npolicies;
    gaddr_t brk_start, brk;
    gaddr_t start_code, end_code, start_data, end_data, start_stack;
    gaddr_t arg_start, arg_end, env_start, env_end;
    gaddr_t vdso;
    uint64_t saved_auxv[64];
    unsigned nauxv;
    struct file *exe; /* [I] reference; nobody writes to it meanwhile: mm_set_exe */
    bool dumpable;
    struct files
        *lend_files;       /* whose sockets its process has been lent; only compared; host_lend.c */
    bool thp_disable;      /* as PR_SET_THP_DISABLE said */
    _Atomic bool secrets;  /* files of FMODE_SECRET have been mapped */
    struct aio_table *aio; /* ipc/aio.h; NULL: none yet */
    _Atomic unsigned nuffd; /* userfaultfds with something registered here */
    struct list uffds;      /* uffds_lock (uffd.h) */
};

struct mm *mm_new(struct aspace *as); /* takes over as */
/* The program it executes: ETXTBSY for who wants to write to it, as long as mm lives. */
void mm_set_exe(struct mm *mm, struct file *exe);
struct mm *mm_copy(struct mm *mm, struct aspace *as); /* fork: the record of the child */
struct mm *mm_ref(struct mm *mm);
void mm_put(struct mm *mm);

/* A vma's reference on its file (NULL is fine), told to files that count who maps them. */
struct file *vma_file_ref(struct file *f);
void vma_file_put(struct file *f); /* without locks */

/* Record changes. vma_add takes over file, a vma's reference; it counts as told already. */
int vma_add(struct mm *mm, gaddr_t start, gaddr_t len, int prot, int flags, struct file *file,
            uint64_t offset);
void vma_remove(struct mm *mm, gaddr_t start, gaddr_t len);
/*
 * Drops what the record still has of files whose range the host says is unmapped, or anonymous by now:
 * native calls do not tell us. Without locks.
 */
void mm_reconcile(struct mm *mm);
/* The recorded mapping that holds addr; mm->lock held; NULL. */
struct vma *vma_find_locked(struct mm *mm, gaddr_t addr);

/* Memory of a process that need not be the caller. Bytes or -EFAULT. */
ssize_t mm_read(struct mm *mm, gaddr_t from, void *to, size_t n);
ssize_t mm_write(struct mm *mm, gaddr_t to, const void *from, size_t n);
/* The same for who asks from outside (process_vm_readv, /proc/PID/mem, core files): not what is secret. */
ssize_t mm_peek(struct mm *mm, gaddr_t from, void *to, size_t n);
ssize_t mm_poke(struct mm *mm, gaddr_t to, const void *from, size_t n);
/* Bytes that the host keeps resident; 0: none, or it does not say. */
uint64_t mm_locked(struct mm *mm);
