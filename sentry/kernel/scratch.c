/* SPDX-License-Identifier: Apache-2.0 */
/* See scratch.h. */
#include "abi/hostio.h"
#include "sentry/kernel/scratch.h"

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>

__thread struct scratch *scratch_mine;

static pthread_key_t at_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void give_back(void *p)
{
    munmap(p, sizeof(struct scratch));
}

static void make_key(void)
{
    pthread_key_create(&at_end, give_back);
}

/* A host without memory is waited for, as for any page: there is nobody to give an error to. */
void scratch_make(void)
{
    void *p;

    while ((p = mmap(NULL, sizeof(struct scratch), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) == MAP_FAILED)
        hostio_nap(10000000);
    scratch_mine = p;
    pthread_once(&once, make_key);
    pthread_setspecific(at_end, p);
}
