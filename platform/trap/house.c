/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Housekeeping: what forks and exits need not wait for. It runs on the reaper's thread, a few
 * milliseconds after somebody has left work, sooner where much has gathered.
 *
 *   channels that nobody uses any more are unmapped: that interrupts other cpus
 *   ready channels are kept for forks, as many as the last rounds took
 *   stubs that the sentry itself has ended are looked after until the host has no such process
 *
 * Channels are not used a second time: a stub could have kept a map, or have let a child inherit it.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "abi/types.h"
#include "platform/trap/trap.h"

#define ROUND_NS 5000000 /* between two rounds, while there is work */
#define SOON_NS 500000   /* an interrupt at once would be taken by the fork itself */
#define SPARE_MAX 48u    /* ready channels, of 8 KiB each */
#define TRASH_MANY 32    /* left channels that are not waited with */

static struct {
    pthread_mutex_t lock; /* leaf */
    int timer;            /* timerfd, in the reaper's epoll set */
    struct aspace *spare, *trash;
    unsigned nspare, ntrash, want, used;
    struct tlist leaving; /* stubs, by leave_link */
    bool armed, soon;
} house = { .lock = PTHREAD_MUTEX_INITIALIZER, .timer = -1 };

int house_open(void)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = &house }; /* never read */

    tlist_init(&house.leaving);
    house.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (house.timer < 0)
        return -errno;
    return epoll_ctl(trap.epoll_fd, EPOLL_CTL_ADD, house.timer, &ev) < 0 ? -errno : 0;
}

bool house_is(const void *epoll_ptr)
{
    return epoll_ptr == &house;
}

/* There is work. soon: it should not wait for the end of a round. */
static void arm_locked(bool soon)
{
    struct itimerspec it = { .it_value.tv_nsec = soon ? SOON_NS : ROUND_NS };

    if (house.armed && (house.soon || !soon))
        return;
    house.armed = true;
    house.soon = soon;
    timerfd_settime(house.timer, 0, &it, NULL);
}

struct aspace *house_channel(void)
{
    struct aspace *as;

    pthread_mutex_lock(&house.lock);
    as = house.spare;
    if (as) {
        house.spare = as->next;
        house.nspare--;
    }
    house.used++;
    arm_locked(house.nspare < house.want / 2);
    pthread_mutex_unlock(&house.lock);
    return as;
}

void house_trash(struct aspace *as)
{
    pthread_mutex_lock(&house.lock);
    as->next = house.trash;
    house.trash = as;
    arm_locked(++house.ntrash >= TRASH_MANY);
    pthread_mutex_unlock(&house.lock);
}

/* s, killed by us, with the reference that its watch had. */
void house_leaving(struct stub *s)
{
    pthread_mutex_lock(&house.lock);
    tlist_add(&house.leaving, &s->leave_link);
    arm_locked(false);
    pthread_mutex_unlock(&house.lock);
}

static void empty_trash(void)
{
    struct aspace *as, *next;

    pthread_mutex_lock(&house.lock);
    as = house.trash;
    house.trash = NULL;
    house.ntrash = 0;
    pthread_mutex_unlock(&house.lock);
    for (; as; as = next) {
        next = as->next;
        aspace_free(as);
    }
}

static void put_spare(struct aspace *as)
{
    pthread_mutex_lock(&house.lock);
    as->next = house.spare;
    house.spare = as;
    house.nspare++;
    pthread_mutex_unlock(&house.lock);
}

static struct aspace *surplus(void)
{
    struct aspace *as = NULL;

    pthread_mutex_lock(&house.lock);
    if (house.nspare > house.want) {
        as = house.spare;
        house.spare = as->next;
        house.nspare--;
    }
    pthread_mutex_unlock(&house.lock);
    return as;
}

/* A round's worth of channels, for the next one; where fewer are taken, fewer are kept. */
static void fit_spares(unsigned used)
{
    struct aspace *as;
    unsigned lack;

    pthread_mutex_lock(&house.lock);
    house.want = MIN(MAX(used, house.want / 2), SPARE_MAX);
    lack = house.nspare < house.want ? house.want - house.nspare : 0;
    if (house.want > 0)
        arm_locked(false);
    pthread_mutex_unlock(&house.lock);
    while (lack-- > 0 && (as = aspace_make())) {
        aspace_touch(as);
        put_spare(as);
    }
    while ((as = surplus()))
        aspace_free(as);
}

static bool is_over(const struct stub *s)
{
    struct pollfd p = { .fd = s->pidfd, .events = POLLIN };

    return hostio_poll(&p, 1, 0) == 1;
}

static void reap_leavers(void)
{
    struct tlist mine, *n, *next;
    bool left;

    tlist_init(&mine);
    pthread_mutex_lock(&house.lock);
    while (!tlist_empty(&house.leaving)) {
        n = house.leaving.next;
        tlist_del(n);
        tlist_add(&mine, n);
    }
    pthread_mutex_unlock(&house.lock);
    for (n = mine.next; n != &mine; n = next) {
        struct stub *s = tlist_entry(n, struct stub, leave_link);

        next = n->next;
        if (!is_over(s))
            continue;
        tlist_del(n);
        stub_died(s);
    }
    pthread_mutex_lock(&house.lock);
    left = !tlist_empty(&mine);
    while (!tlist_empty(&mine)) {
        n = mine.next;
        tlist_del(n);
        tlist_add(&house.leaving, n);
    }
    if (left)
        arm_locked(false);
    pthread_mutex_unlock(&house.lock);
}

void house_round(void)
{
    unsigned used;

    pthread_mutex_lock(&house.lock);
    house.armed = house.soon = false;
    used = house.used;
    house.used = 0;
    pthread_mutex_unlock(&house.lock);
    fit_spares(used);
    reap_leavers();
    empty_trash();
}
