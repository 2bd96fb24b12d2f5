/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel of the net broker in a taken sentry's hands, and what the host sees of the broker meanwhile. Each
 * answer is judged as it comes; reached() and broken() end the attack (taken.h).
 */
#pragma once

#include "broker/protocol.h"
#include "tests/hostile/gofer/taken.h"

#define DRIVE_ALLOWED 17181 /* TCP and UDP; one after it is not */
#define BY_PROTO 0xf010u    /* low half of a tag whose high half is the protocol */
#define BY_PLACE 0xf020u

struct counts {
    unsigned fds, kib;
};

struct drive_have {
    int last;       /* the newest socket, for those that want one */
    unsigned given; /* so many came */
    int32_t error;  /* of the newest answer */
};

extern struct drive_have drive_have;
extern int drive_chan;
extern bool drive_gave_up; /* by the attack that runs: sockets that are under way */

/* On the host's loopback, with a long queue; it ends the test where it cannot be. */
int drive_server(int type, int port);

/* Of an attack: .prepare and .meanwhile. */
void drive_share(void);
void drive_watch(void);

/* First: what the broker has when it has made a socket of each kind. */
struct counts drive_begin(const struct sentry_config *cfg);

/* What it has now, counted from outside. */
struct counts drive_counted(void);

/* Last: it lives, gives what it may, and has no more than before. */
void drive_judge(struct counts before);

struct nb_addr drive_addr(const char *ip, uint16_t port);

/* The first head bytes of m, n of data, and fd, if that is not -1. */
void drive_tell(const struct nb_req *m, size_t head, const void *data, size_t n, int fd);
void drive_cancel(uint32_t tag);

/* All answers up to that of a question which is asked last. They come in order, and soon. */
void drive_drain(void);

/* A socket to what is allowed, with the nb_opts of opts; it is the caller's. */
int drive_allowed(unsigned proto, uint32_t tag, const void *opts, uint32_t n);
