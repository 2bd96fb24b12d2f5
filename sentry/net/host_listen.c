/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listener that the outside reaches: beside its place inside, the broker listens for it. What comes
 * is put into the same queue; the broker hands over no more than there is room for.
 */
#include <errno.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "sentry/kernel/task.h"
#include "sentry/learn.h"
#include "sentry/net/host.h"

static bool hold(struct bcall *c)
{
    return sock_tryref(&container_of(c, struct isock, host.listen)->sk);
}

/*
 * What each end is called inside. The port is the listener's, which is another one outside; so is the
 * address, but for --net=host. What is IPv6 outside has no name in an IPv4 socket: it is the gateway.
 */
static void name_ends(struct isock *s, const struct isock *l, const struct nb_rep *r)
{
    s->local = broker_addr_in(&r->local);
    s->remote = broker_addr_in(&r->peer);
    if (s->sk.family == AF_INET && !inet_is_v4(&s->remote))
        broker_gateway(&s->remote);
    if ((s->sk.family == AF_INET && !inet_is_v4(&s->local)) ||
        (inet_is_v4(&s->local) && !broker_is_host()))
        broker_own(&s->local);
    s->local.port = l->local.port;
}

/* The queue has it, or it is gone. */
static void arrive(struct isock *l, const struct nb_rep *r, int fd)
{
    struct isock *s = inet_new(NULL, l->sk.family, SOCK_STREAM);
    bool queued;

    if (IS_ERR(s) || !hostfd_may(fd, HOSTFD_FILE)) {
        close(fd);
        if (!IS_ERR(s))
            sock_put(&s->sk);
        host_accepted(l);
        return;
    }
    tcp_inherit(s, l);
    s->host.fd = fd;
    name_ends(s, l, r);
    s->sk.state = SOCK_HOST;
    lock(&l->sk.own_lock);
    queued = l->sk.state == SOCK_LISTEN;
    if (queued) {
        list_add_tail(&l->sk.acceptq, &s->sk.accept_link);
        l->sk.naccept++;
        sock_wake_read(&l->sk);
    }
    unlock(&l->sk.own_lock);
    if (!queued)
        sock_put(&s->sk);
}

static void answer(struct bcall *c, const struct nb_rep *r, const uint8_t *data, int fd)
{
    struct isock *l = container_of(c, struct isock, host.listen);

    (void)data;
    if (r->op == NB_ACCEPTED && fd >= 0) {
        arrive(l, r, fd);
    } else {
        if (fd >= 0)
            close(fd);
        LOCK_SCOPE(&l->sk.own_lock);
        l->host.listen_answered = true;
        l->host.listen_error = r->error;
        wq_wake_all(&l->sk.wr_wq, 0);
    }
    sock_put(&l->sk);
}

static int ask(struct isock *s, uint32_t op)
{
    struct nb_opt opts[NB_OPTS_MAX];
    struct nb_req m = { .op = op,
                        .arg = s->sk.backlog + 1,
                        .addr = broker_addr(&s->local),
                        .len = (uint32_t)host_options(s, opts) };

    lock(&s->sk.own_lock);
    if (s->host.listen.tag) {
        unlock(&s->sk.own_lock);
        return 0; /* another thread's listen() is under way */
    }
    s->host.listen_answered = false;
    s->host.listen.stays = true;
    s->host.listen.hold = hold;
    s->host.listen.answer = answer;
    (void)broker_expect(&s->host.listen);
    m.tag = s->host.listen.tag;
    unlock(&s->sk.own_lock);
    return broker_send(&m, opts, -1, NULL);
}

int host_listen(struct task *t, struct isock *s)
{
    bool outside = inet_is_any(&s->local) || broker_own_address(&s->local);
    int r = 0;

    if (t->call.phase == 0 &&
        (!outside || !broker_publishes(true, s->local.port) || s->host.listen.tag))
        return 0;
    if (t->call.phase == 0) {
        learn_listen(s->local.port);
        r = ask(s, NB_LISTEN);
    }
    t->call.phase = 1;
    if (r == 0) {
        LOCK_SCOPE(&s->sk.own_lock);
        r = s->host.listen_answered ? s->host.listen_error : task_wait(t, &s->sk.wr_wq, WAIT_KILL);
    }
    if (r < 0 && r != -EWAITING)
        tcp_stop_listening(s);
    return r;
}

int host_bind(struct task *t, struct isock *s)
{
    int r = t->call.phase == 0 ? ask(s, NB_BIND) : 0;

    t->call.phase = 1;
    if (r == 0) {
        LOCK_SCOPE(&s->sk.own_lock);
        r = s->host.listen_answered ? s->host.listen_error : task_wait(t, &s->sk.wr_wq, WAIT_KILL);
    }
    if (r == 0 || r == -EWAITING)
        return r;
    host_unlisten(s);
    LOCK_SCOPE(&udp_lock);
    port_release(s);
    s->local = inet_any(s);
    return r;
}

void host_accepted(struct isock *l)
{
    struct nb_req m = { .op = NB_MORE, .tag = l->host.listen.tag, .arg = 1 };

    if (m.tag)
        (void)broker_send(&m, NULL, -1, NULL);
}

void host_unlisten(struct isock *s)
{
    struct nb_req m = { .op = NB_UNLISTEN, .tag = broker_forget(&s->host.listen) };

    if (m.tag)
        (void)broker_send(&m, NULL, -1, NULL);
}
