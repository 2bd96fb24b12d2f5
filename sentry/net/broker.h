/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's end of the broker's channel (broker/protocol.h). Requests are sent without waiting;
 * the event thread takes what comes and hands it to whoever asked. Without a network (broker_on()
 * false) nothing here does anything.
 */
#pragma once

#include "broker/protocol.h"
#include "sentry/kernel/list.h"
#include "sentry/net/inet.h"

struct sentry_net;

/* At start-up, before the first task. 0 or -errno. */
int broker_init(const struct sentry_net *net);
bool broker_on(void);
/* All of the host's network, by its own addresses: --net=host. */
bool broker_is_host(void);

void bcall_init(struct bcall *c);
/* Enters it, with a fresh tag. False: it is in already. Any lock may be held. */
bool broker_expect(struct bcall *c);
/* Takes it out; its tag, or 0: it was not in. Its answer may be running still. */
uint32_t broker_forget(struct bcall *c);

/*
 * Sends, or queues: 0, -ENOMEM, or -ENETDOWN. fd: a descriptor that goes along and that keep, a
 * socket, holds open; or -1 and NULL.
 */
int broker_send(const struct nb_req *m, const void *data, int fd, struct sock *keep);

/* What a NB_CONNECT of that tag has brought, or may still bring, is closed here; 0: nothing. */
void broker_closed(uint32_t tag);

struct nb_addr broker_addr(const struct inet_addr *a);
struct inet_addr broker_addr_in(const struct nb_addr *a);

/* Does the outside reach that port, when a program binds it? */
bool broker_publishes(bool tcp, uint16_t port);
/* Is what goes to dst, from s, for the broker? */
bool broker_wants(const struct isock *s, const struct inet_addr *dst);
bool broker_is_nameserver(const struct inet_addr *a);
/* The address that the sandbox has outside of lo. */
bool broker_own_address(const struct inet_addr *a);
/* Its ip; the port stays. */
void broker_own(struct inet_addr *ret);
void broker_gateway(struct inet_addr *ret);
/* Something was refused: by name, where one is known, and port (0: a name alone). */
void broker_note(const char *name, size_t len, const struct inet_addr *a);
/* A program has bound a UDP port: with --net=host it may think that the outside reaches it. */
void broker_note_bound(uint16_t port);
void broker_notes_send(void);
