/* SPDX-License-Identifier: Apache-2.0 */
/* The taken sentry's end of the gofer's channel: any bytes out, every answer checked and judged. */
#pragma once

#include "tests/hostile/gofer/taken.h"

struct answer {
    struct gw_reply rep;
    unsigned char data[GW_MAX];
    int fd; /* -1: none; closed by the next request */
};

struct channel {
    int sock;
    uint64_t root; /* node of the shared tree */
    uint64_t file; /* node of the single file shared; 0: none */
    uint32_t tag;
    unsigned nexports;
    uint64_t roots[GW_ROOTS_MAX]; /* of all exports */
    struct answer ans;
};
extern struct channel ch;

void ch_open(const struct sentry_config *cfg); /* finds the tree */
struct gw_request ch_request(uint16_t op, uint64_t node, size_t len);
/* Sends it with a tag of its own and takes its whole answer; the error. Breaks off after 10 s. */
int ch_ask(struct gw_request req, const void *payload, size_t n);
/* The same for a path, with the flags and arg that make the most of the op. */
int ch_path(uint16_t op, uint64_t node, const char *path);
bool ch_answers(const struct gw_request *req, size_t n); /* does such a datagram get an answer? */
/* One datagram; sendmsg and ppoll, since a sentry has no other such calls. */
ssize_t ch_try(const void *p, size_t n, int flags);
bool ch_ready(short what, int ms); /* POLLIN, POLLOUT; a fd of -1 in ch.sock: sleeps */
void ch_send(const void *p, size_t n);
void ch_recv(struct answer *a, const char *what);
void ch_alive(const char *after); /* HELLO is answered; else broken() */

/* A random number, the same for the same seed. */
uint64_t ch_random(void);
void ch_seed(void); /* from SBX_SEED or the clock; printed when an attack fails */
extern uint64_t ch_seeded;
