/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/sysvipc: a line for each object. */
#include <inttypes.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/ipc/sysv/msg.h"
#include "sentry/ipc/sysv/sem.h"
#include "sentry/ipc/sysv/shm.h"
#include "sentry/kernel/call.h"

static PROC_SHOW(show_msg)
{
    (void)t, (void)n, (void)o;
    pt_puts(out, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid"
                 "  cgid      stime      rtime      ctime\n");
    LOCK_SCOPE(&msg_ids.lock);
    for (unsigned i = 0; i < msg_ids.cap; i++) {
        const struct msg_queue *q = (struct msg_queue *)msg_ids.slots[i];

        if (!q)
            continue;
        pt_printf(out,
                  "%10d %10d  %4o  %10" PRIu64 " %10" PRIu64 " %5u %5u %5u %5u %5u %5u %10" PRId64
                  " %10" PRId64 " %10" PRId64 "\n",
                  q->obj.key, q->obj.id, q->obj.mode, q->bytes, q->count, (unsigned)q->lspid,
                  (unsigned)q->lrpid, q->obj.uid, q->obj.gid, q->obj.cuid, q->obj.cgid, q->stime,
                  q->rtime, q->ctime);
    }
    return 0;
}

static PROC_SHOW(show_sem)
{
    (void)t, (void)n, (void)o;
    pt_puts(out, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime"
                 "      ctime\n");
    LOCK_SCOPE(&sem_ids.lock);
    for (unsigned i = 0; i < sem_ids.cap; i++) {
        const struct sem_set *s = (struct sem_set *)sem_ids.slots[i];

        if (s)
            pt_printf(out, "%10d %10d  %4o %10u %5u %5u %5u %5u %10" PRId64 " %10" PRId64 "\n",
                      s->obj.key, s->obj.id, s->obj.mode, s->n, s->obj.uid, s->obj.gid, s->obj.cuid,
                      s->obj.cgid, s->otime, s->ctime);
    }
    return 0;
}

static PROC_SHOW(show_shm)
{
    struct lx_shmid64_ds s;
    uint64_t bytes;
    int id;

    (void)t, (void)n, (void)o;
    pt_puts(out, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid"
                 "  cuid  cgid      atime      dtime      ctime                   rss"
                 "                  swap\n");
    for (int i = 0; shm_next(&i, &s, &id, &bytes); i++)
        pt_printf(out,
                  "%10d %10d  %4o %21" PRIu64 " %5u %5u  %5" PRIu64 " %5u %5u %5u %5u %10" PRId64
                  " %10" PRId64 " %10" PRId64 " %21" PRIu64 " %21u\n",
                  s.shm_perm.key, id, s.shm_perm.mode, s.shm_segsz, (unsigned)s.shm_cpid,
                  (unsigned)s.shm_lpid, s.shm_nattch, s.shm_perm.uid, s.shm_perm.gid,
                  s.shm_perm.cuid, s.shm_perm.cgid, s.shm_atime_, s.shm_dtime_, s.shm_ctime_, bytes,
                  0u);
    return 0;
}

static const struct pnode nodes[] = {
    PFILE("msg", 0444, show_msg),
    PFILE("sem", 0444, show_sem),
    PFILE("shm", 0444, show_shm),
};
const struct pdir proc_sysvipc_dir = { PNODES(nodes) };
