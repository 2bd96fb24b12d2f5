/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF: what SO_ATTACH_FILTER puts on a socket, to choose which packets it wants and how much of
 * each. Packet sockets, raw ones and UDP have it. A program goes forward only, so it ends.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "abi/types.h"

struct sock;
struct task;
struct cbpf;

/* What a program looks at: a head that was made for it, and what lies behind that. */
struct cbpf_data {
    const uint8_t *head, *body;
    size_t head_len, body_len;
    size_t net; /* where the network's header starts */
    uint16_t protocol;
    uint8_t pkttype;
    int ifindex;
    uint16_t hatype;
};

/* A program of n instructions, checked; the caller's. ERR_PTR(-EINVAL, -ENOMEM). */
struct cbpf *cbpf_new(const struct sock_filter *insn, unsigned n);
void cbpf_free(struct cbpf *p); /* NULL is fine */
/* How many bytes of d are wanted; 0: none. */
uint32_t cbpf_run(const struct cbpf *p, const struct cbpf_data *d);

/* SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER; the socket's lock is not held. */
int sock_filter_attach(struct task *t, struct sock *sk, const void *v, socklen_t n);
int sock_filter_detach(struct sock *sk);
int sock_filter_lock(struct sock *sk, int on);
/* SO_GET_FILTER: *n counts instructions; without room (*n 0) only told. */
int sock_filter_get(struct task *t, struct sock *sk, gaddr_t to, socklen_t *n);
/* As cbpf_run; UINT32_MAX where there is no filter. Locks before LOCK_LEAF may be held. */
uint32_t sock_filter_run(struct sock *sk, const struct cbpf_data *d);
