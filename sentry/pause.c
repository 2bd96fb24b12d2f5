/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container is paused by freezing the guest (kernel/freeze.h), not by the host's freezer: that waits for ever for
 * a stub whose call is with us. Freezing has to be waited for, which the event thread cannot: a thread of its
 * own does, for that moment.
 */
#include <pthread.h>

#include "cli/control.h"
#include "sentry/kernel/freeze.h"
#include "sentry/start.h"

static void *freezer_main(void *arg)
{
    int r = kernel_freeze();

    (void)arg;
    control_send(CTL_FROZEN, (uint64_t)-r, NULL);
    return NULL;
}

void pause_begin(void)
{
    pthread_attr_t attr;
    pthread_t th;
    bool started;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 << 10);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    started = pthread_create(&th, &attr, freezer_main, NULL) == 0;
    pthread_attr_destroy(&attr);
    if (!started)
        control_send(CTL_FROZEN, 11 /* EAGAIN */, NULL);
}

void pause_end(void)
{
    if (freeze_wanted)
        kernel_thaw();
}
