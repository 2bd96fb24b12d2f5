/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container is paused by freezing its guests (kernel/freeze.h), not by the host's freezer: that waits for ever for
 * a stub whose call is with us. Freezing has to be waited for, which the event thread cannot: a thread of its
 * own does, for that moment.
 */
#include <pthread.h>

#include "cli/control.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/freeze.h"
#include "sentry/start.h"

static void *freezer_main(void *arg)
{
    struct container *c = arg;
    int r = kernel_freeze(c);

    control_tell(c, CTL_FROZEN, (uint64_t)-r, NULL);
    container_put(c);
    return NULL;
}

void pause_begin(struct container *c)
{
    pthread_attr_t attr;
    pthread_t th;
    bool started;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 << 10);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    started = pthread_create(&th, &attr, freezer_main, container_ref(c)) == 0;
    pthread_attr_destroy(&attr);
    if (!started) {
        control_tell(c, CTL_FROZEN, 11 /* EAGAIN */, NULL);
        container_put(c);
    }
}

void pause_end(struct container *c)
{
    if (atomic_load(&c->frozen))
        kernel_thaw(c);
}
