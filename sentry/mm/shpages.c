/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/mm/shpages.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/types.h"
#include "sentry/kernel/alloc.h"

static int make(struct shpages *p)
{
    p->fd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (p->fd < 0)
        return errno == EMFILE || errno == ENFILE ? -ENFILE : -ENOMEM;
    if (!hostfd_may(p->fd, HOSTFD_FILE))
        return -ENFILE;
    if (ftruncate(p->fd, (off_t)p->len) < 0 ||
        fcntl(p->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -ENOMEM;
    p->mem = mmap(NULL, p->len, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
    return p->mem == MAP_FAILED ? -ENOMEM : 0;
}

int shpages_new(struct shpages *p, size_t len)
{
    int r;

    p->len = PAGE_ALIGN_UP(len);
    p->mem = MAP_FAILED;
    p->fd = -1;
    if (kcharge(p->len) < 0)
        return -ENOMEM;
    r = make(p);
    if (r < 0)
        shpages_free(p);
    return r;
}

void shpages_free(struct shpages *p)
{
    if (p->mem != MAP_FAILED)
        munmap(p->mem, p->len);
    if (p->fd >= 0)
        close(p->fd);
    kuncharge(p->len);
    *p = (struct shpages){ .fd = -1, .mem = MAP_FAILED };
}
