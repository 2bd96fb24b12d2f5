/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between sentry and broker: a SEQPACKET socket, a message a datagram: a head and len bytes. The
 * sentry chooses tags; an answer bears that of its request. Sockets travel by SCM_RIGHTS: connected
 * ones to the sentry; back with NB_SETOPT, NB_GETOPT and NB_URGENT, for what the sentry may not do.
 *
 *   NB_CONNECT  proto, addr; data: struct nb_opt[]        answer: socket, local, peer; arg 1: its close
 *                                                         is to be told, by NB_CANCEL
 *               UDP, ICMP; arg: bytes of these, with NB_FIRST: the rest is a datagram
 *   NB_CANCEL   tag of a NB_CONNECT: it is given up, or what came of it is closed     none
 *   NB_SEND     tag of a NB_CONNECT of UDP or ICMP; data: another datagram            none
 *   NB_LISTEN   addr; arg: how many may be handed over; data: struct nb_opt[]
 *                                                         answer: local; then NB_ACCEPTED for each
 *   NB_MORE     tag of a NB_LISTEN, arg: so many more     none
 *   NB_BIND     addr, of UDP; data: struct nb_opt[]       answer: local; then NB_DATAGRAM for what comes
 *   NB_UNLISTEN tag of a NB_LISTEN or NB_BIND             none
 *   NB_SETOPT   socket; one struct nb_opt and its value   answer
 *   NB_GETOPT   socket; one struct nb_opt, arg: room      answer: the value
 *   NB_URGENT   socket; one byte                          answer
 *   NB_DNS      data: a query                             answer: data
 *   NB_SENDTO   arg: the published or bound port inside, addr; data: a datagram        none
 * and of itself the broker sends NB_DATAGRAM (arg: port inside, peer, data) for published or bound UDP, and
 * NB_POLICY (arg 1: the host's loopback can be reached) when the rules have changed.
 *
 * What is wrong in form gets -EPROTO and harms nobody but its sender.
 */
#pragma once

#include <stdint.h>

enum nb_op {
    NB_CONNECT = 1,
    NB_CANCEL,
    NB_LISTEN,
    NB_MORE,
    NB_UNLISTEN,
    NB_SETOPT,
    NB_GETOPT,
    NB_URGENT,
    NB_DNS,
    NB_SENDTO,
    NB_SEND,
    NB_BIND,
    /* to the sentry */
    NB_ANSWER = 64,
    NB_ACCEPTED,
    NB_DATAGRAM,
    NB_POLICY,
};

#define NB_FIRST 0x80000000u
#define NB_DATA_MAX (65536 + 512) /* the longest datagram, and options */
#define NB_OPTS_MAX 32
#define NB_OPT_MAX 256 /* bytes of one option's value */

struct nb_addr {
    uint8_t ip[16]; /* v4-mapped for IPv4 */
    uint16_t port;  /* host order */
    uint16_t pad;
};

struct nb_opt { /* of whole numbers; for others the value follows */
    int32_t level, name, value;
};

_Static_assert(sizeof(struct nb_opt) * NB_OPTS_MAX <= 512, "fit beside a datagram");

struct nb_req {
    uint32_t op, tag, arg, proto, len;
    struct nb_addr addr;
};

struct nb_rep {
    uint32_t op, tag;
    int32_t error; /* 0 or -errno; data: the name, where the policy refused one by -EACCES */
    uint32_t arg, len;
    struct nb_addr local, peer;
};

/* Where the sandbox finds its nameserver, and what it is called itself: 10.0.2.3, 10.0.2.15. */
#define NB_DNS_IP 0x0a000203u
#define NB_OWN_IP 0x0a00020fu
#define NB_GATEWAY_IP 0x0a000202u
