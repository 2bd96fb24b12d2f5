/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets whose other end is outside: a connected socket of the host's, which the broker has made
 * (broker/). state SOCK_HOST says that a TCP socket is one; a UDP socket has one for each peer.
 *
 * What the host's socket does, it does as ever: buffers, FIN, reset, errors. It never blocks; who has
 * to wait hangs on the socket's queues, which the event thread wakes at each change (as
 * vfs/hostfile.c does).
 */
#pragma once

#include "sentry/net/broker.h"

struct hpeer;

/* ---- TCP; host_tcp.c ---- */
/* Begins to connect: SOCK_CONNECTING. The answer makes it SOCK_HOST, or SOCK_CLOSED with an error. */
int host_connect(struct isock *s, const struct inet_addr *dst);
/* Gives up: what is under way, what is connected. own_lock not held. -ENOBUFS: too often. */
int host_leave(struct isock *s);
/* With its last reference. */
void host_release(struct isock *s);
ssize_t host_send(struct task *t, struct sock *sk, struct send_req *r);
ssize_t host_recv(struct task *t, struct sock *sk, struct recv_req *r);
int host_shutdown(struct sock *sk, int how);
uint32_t host_poll(struct sock *sk); /* own_lock */
size_t host_inq(struct sock *sk);
/* Bytes of all TCP connections with the outside, so far. */
void host_traffic(uint64_t *ret_received, uint64_t *ret_sent);
void host_count(uint64_t in, uint64_t out);

/* ---- lent to stubs; host_lend.c ---- */
/* As file_ops. Other than there own_lock may be held for unlend. */
void host_lend(struct task *t, struct sock *sk, int fd);
void host_unlend(struct sock *sk, bool gone);
/* Adds what threads have moved by themselves. */
void host_lent_traffic(uint64_t *received, uint64_t *sent);
/* c is about to go: what it has moved is counted. */
void host_lent_over(struct ctx *c);

/* ---- listening; host_listen.c ---- */
/* After s listens inside. 0, -EWAITING, or what the host says; then it does not listen outside. */
int host_listen(struct task *t, struct isock *s);
/*
 * After s, of UDP, was bound inside to a port of its choice: outside as well. 0, -EWAITING, or what the host says;
 * then it is not bound. host_unlisten() ends it.
 */
int host_bind(struct task *t, struct isock *s);
/* One that came from outside was accepted: there is room for another. */
void host_accepted(struct isock *listener);
void host_unlisten(struct isock *s);

/* ---- options; host_option.c ---- */
/* Those of s that are not as they were made, for a request: bytes. */
size_t host_options(const struct isock *s, struct nb_opt opts[NB_OPTS_MAX]);
/* Of a SOCK_HOST: *ret is what the call returns; false: the host is not concerned. */
bool host_setsockopt(struct task *t, struct sock *sk, int level, int opt, const void *v,
                     socklen_t n, int *ret);
bool host_getsockopt(struct task *t, struct sock *sk, int level, int opt, void *v, socklen_t *n,
                     int *ret);
/* One byte of urgent data. 0, -EWAITING, or an error. */
int host_urgent(struct task *t, struct sock *sk, uint8_t byte);
void host_urgent_end(struct isock *s);

/* ---- UDP; host_udp.c ---- */
/*
 * m->data to *named, where r->addr says so, else to whom s is connected: bytes, -errno, or
 * -ENETUNREACH: that is not outside. m stays the caller's.
 */
int host_udp_send(struct isock *s, const struct send_req *r, const struct inet_addr *named,
                  const struct msg *m);
/* connect(2), when dst is outside and the policy has it. */
int host_udp_connect(struct task *t, struct isock *s, const struct inet_addr *dst);
void host_udp_release(struct isock *s);
void host_udp_published(const struct nb_rep *r, const uint8_t *data, const struct inet_addr *peer);
/* udp.c: a port where it has none; under udp_lock. */
int udp_autobind(struct isock *s);
/* udp.c: takes over m, which came from outside for s; udp_lock held. */
bool udp_put(struct isock *s, struct msg *m);
