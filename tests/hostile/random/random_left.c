/* SPDX-License-Identifier: Apache-2.0 */
/* What outlives the workers of random_calls.c: files, mounts and shared memory. It all goes before counting. */
#include <ftw.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/shm.h>

#include "random_args.h"

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    umount2(path, MNT_DETACH);
    (void)!remove(path);
    return 0;
}

static void remove_segments(void)
{
    struct shm_info info;
    struct shmid_ds ds;
    int last = shmctl(0, SHM_INFO, (struct shmid_ds *)&info);

    for (int i = 0; i <= last; i++) {
        int id = shmctl(i, SHM_STAT, &ds);

        if (id >= 0)
            shmctl(id, IPC_RMID, NULL);
    }
}

void random_remove(unsigned nworkers)
{
    char dir[32];

    for (unsigned i = 0; i < nworkers; i++) {
        snprintf(dir, sizeof dir, "/tmp/random.%u", i);
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    remove("/dev/shm/x");
    remove_segments();
}
