/* SPDX-License-Identifier: Apache-2.0 */
/* Between the broker's files. Everything is the one thread's; nothing is locked. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "broker/broker.h"
#include "broker/protocol.h"

#define WATCHES_MAX                                                                                \
    8192 /* connects under way, listeners, queries: the sentry may ask for no more */

/* What is waited for: a descriptor in the epoll, and until when. */
struct watch {
    struct watch *next, **prev;                   /* all of them; of one that is free, next alone */
    void (*fn)(struct watch *w, uint32_t events); /* events 0: its time is up */
    int fd;
    uint32_t tag;
    int64_t deadline; /* ms of CLOCK_MONOTONIC; 0: none */
    bool refused;     /* a connect: the rules have changed under it */
    struct nb_addr peer;
    union {
        unsigned more;  /* listener: how many may still be handed over */
        unsigned port;  /* published UDP: inside */
        unsigned proto; /* connect */
        struct query *query;
        struct stream *stream;
    };
};

extern const struct broker_config *broker;

int64_t now_ms(void);
/* Made before the fence. 0 or -errno. */
int broker_epoll(void);
/* NULL: there are too many. fd is taken over by it. */
struct watch *watch_new(int fd, uint32_t events, void (*fn)(struct watch *, uint32_t));
void watch_set(struct watch *w, uint32_t events);
/* Ends it; closes fd unless keep. */
void watch_free(struct watch *w, bool keep);
/* Each one of that fn. */
void watch_each(void (*fn)(struct watch *, uint32_t), void (*visit)(struct watch *w));
/* The one of that tag and fn; NULL. */
struct watch *watch_find(uint32_t tag, void (*fn)(struct watch *, uint32_t));
struct watch *watch_find_port(unsigned port, void (*fn)(struct watch *, uint32_t));

/* Sends; fd (or -1) stays the caller's. False: it could not be sent, and what belongs to it is to go. */
bool reply(const struct nb_rep *r, const void *data, int fd);
void answer_error(uint32_t tag, int error);
/* -EACCES with the name that the address is known by. */
void answer_refused(uint32_t tag, const struct nb_addr *a);

/* The policy's word on an address; port 0: any. */
bool may_reach(const struct nb_addr *a);
/* The same of one that is connected, when the rules change: names are known for longer than for connects. */
bool may_stay(const struct nb_addr *a);
/* ret gets what the host is to be called with: the form that was checked. Its length. */
socklen_t to_sockaddr(const struct nb_addr *a, struct sockaddr_storage *ret);
void from_sockaddr(const struct sockaddr_storage *ss, struct nb_addr *ret);

/* data: m->len bytes. fd: what came along or -1, the caller's. */
void serve_connect(const struct nb_req *m, const uint8_t *data);
void serve_cancel(const struct nb_req *m);
void serve_listen(const struct nb_req *m, const uint8_t *data);
void serve_more(const struct nb_req *m);
void serve_bind(const struct nb_req *m, const uint8_t *data);
void serve_unlisten(const struct nb_req *m);
void serve_setopt(const struct nb_req *m, const uint8_t *data, int fd);
void serve_getopt(const struct nb_req *m, const uint8_t *data, int fd);
void serve_urgent(const struct nb_req *m, const uint8_t *data, int fd);
void serve_dns(const struct nb_req *m, const uint8_t *data);
void serve_sendto(const struct nb_req *m, const uint8_t *data);
void serve_send(const struct nb_req *m, const uint8_t *data);

/* kept.c: what was handed over and can still be cut. */
bool kept_wanted(uint32_t proto);
/* Takes over fd; false: no memory, and it is the caller's. */
bool kept_add(int fd, uint32_t tag, bool tcp, const struct nb_addr *peer);
/* Closes it, for whoever still has it, too. No-op where there is none. */
void kept_end(uint32_t tag);
/* It is the caller's again; -1. */
int kept_take(uint32_t tag);
/* Cuts those that the rules no longer allow, and the connects under way: how many. */
unsigned kept_cut(void);
unsigned connects_cut(void);
/* Ends a connection for whoever holds it; the descriptor stays. */
void disconnect(int fd, bool tcp);

/* rules.c: the front end's questions. */
void rules_init(void);
/* One of them; false: the front end is gone. */
bool rules_serve(void);
/* For the user: a name, or NULL, and an address, or NULL. */
void note_refused(const char *name, const struct nb_addr *a);
/* loop.c: the sentry is to hear of it, when there is time. */
void rules_changed(void);
/* A TCP connection to the nameserver inside: one end of a pair, or -errno. */
int dns_stream(void);

/* The options of a request applied to a socket; those that the host refuses are left out. */
void apply_options(int fd, const uint8_t *data, uint32_t len);

/* Published ports are watched from here on. */
void publish_init(void);

/* names.c: which names an address was resolved for. */
void names_add(const char *name, const struct net_ip *ip, uint32_t ttl);
net_names_fn names_fit;
/* The same for as long as it is remembered. */
net_names_fn names_were;
/* The name that ip is known by, for the user; NULL. */
const char *names_of(const struct net_ip *ip);
