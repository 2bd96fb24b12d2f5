/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reaper: one thread that is told of deaths of stubs (pidfds), of blanks that arrive (the
 * zygote's socket), and sees to it that the leaders of dead listeners leave. It is no worker:
 * what a death makes ready is run elsewhere, because an exec may wait for a blank, which only this
 * thread can bring.
 */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>

#include "platform/trap/trap.h"

void stub_died(struct stub *s)
{
    struct ctx *c;

    for (;;) {
        void *owner = NULL;
        bool freed, pooled;

        pthread_mutex_lock(&trap.lock);
        s->dead = true;
        if (tlist_empty(&s->ctxs)) {
            pthread_mutex_unlock(&trap.lock);
            break;
        }
        c = tlist_entry(s->ctxs.next, struct ctx, stub_link);
        tlist_del(&c->stub_link);
        tlist_del(&c->hash_link);
        c->nonce = 0;
        freed = atomic_load(&c->freed);
        atomic_store(&c->gone, true);
        pooled = c->pooled;
        c->pooled = false;
        tlist_del(&c->pool_link);
        if (!freed && c->owner) {
            owner = c->owner;
            trap.client->owner_ref(owner);
        }
        ops_await_locked(c);
        pthread_mutex_unlock(&trap.lock);
        split_gone(c);
        ops_clone_forget(c);
        if (owner) {
            trap.client->event(owner, c, EV_GONE);
            trap.client->owner_put(owner);
        }
        if (pooled)
            ctx_drop(c);
        ctx_drop(c); /* the host thread's reference */
    }
    stub_put(s);
}

/*
 * c may have died before its owner had it (a blank, between its maps and the switch of exec): then
 * nobody else says so. By now the owner may have given it up, and be gone itself.
 */
void tell_if_gone(struct ctx *c)
{
    void *owner;

    if (!atomic_load(&c->gone))
        return;
    pthread_mutex_lock(&trap.lock);
    owner = c->owner;
    if (owner)
        trap.client->owner_ref(owner);
    pthread_mutex_unlock(&trap.lock);
    if (!owner)
        return;
    trap.client->event(owner, c, EV_GONE);
    trap.client->owner_put(owner);
}

static bool nudge_leaders(void)
{
    bool left;

    pthread_mutex_lock(&trap.lock);
    for (struct tlist *n = trap.dying.next, *next; n != &trap.dying; n = next) {
        struct listener *l = tlist_entry(n, struct listener, dying);

        next = n->next;
        if (atomic_load(&l->has_leader)) {
            pthread_kill(l->leader, SIG_NUDGE);
            continue;
        }
        if (trap.promote == l)
            continue;
        tlist_del(n);
        listener_put(l);
    }
    left = !tlist_empty(&trap.dying);
    pthread_mutex_unlock(&trap.lock);
    return left;
}

static void *reaper_main(void *arg)
{
    struct epoll_event ev[16];
    bool nudging = false;

    (void)arg;
    while (!atomic_load(&trap.stopping)) {
        int n = epoll_wait(trap.epoll_fd, ev, 16, nudging ? 2 : -1);
        bool round = false;

        for (int i = 0; i < n; i++) {
            struct stub *s = ev[i].data.ptr;

            if (!s)
                zygote_listener_arrived();
            else if (house_is(s))
                round = true;
            else if (stub_unwatch(s))
                stub_died(s);
        }
        if (round) /* last: it may free stubs that the events name */
            house_round();
        nudging = nudge_leaders();
    }
    return NULL;
}

int reaper_start(const pthread_attr_t *attr)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

    if (epoll_ctl(trap.epoll_fd, EPOLL_CTL_ADD, trap.zygote_sock, &ev) < 0)
        return -errno;
    return -pthread_create(&trap.reaper, attr, reaper_main, NULL);
}
