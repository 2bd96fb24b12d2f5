/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of DNS, in memory: nothing here sends, waits or remembers but by names_add(). */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "broker/policy.h"

#define DNS_MAX 65535
#define DNS_UDP_MAX 512
#define DNS_QUESTION_MAX (12 + 255 + 4)

enum { DNS_OK = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NOTIMP = 4, DNS_REFUSED = 5 };

struct question {
    uint16_t id, type;
    bool rd;
    char name[NET_NAME_MAX + 1]; /* lower case */
    uint8_t wire[255 + 4];       /* as the client wrote it */
    size_t wire_len;
};

/* A client's query. DNS_OK, or the code that it is to be answered with; -1: not to be answered. */
int dns_parse(const uint8_t *msg, size_t len, struct question *ret);
/* The query for a nameserver: a fresh id and letters of either case, from 34 random bytes. Its length. */
size_t dns_query(const struct question *q, const uint8_t *random, uint8_t ret[DNS_QUESTION_MAX]);
/* Is msg an answer to that very query? 1; 0: no (somebody else's); *ret_tc: it was cut. */
bool dns_is_answer(const uint8_t *query, size_t qlen, const uint8_t *msg, size_t len, bool *ret_tc);
/*
 * The client's answer from a nameserver's: what the question asked for, through CNAMEs in the answer,
 * without addresses that the policy does not let a name lead to; those that stay are remembered.
 * Its length. cap: at least DNS_QUESTION_MAX.
 */
size_t dns_answer(const struct net_policy *p, const struct question *q, const uint8_t *msg,
                  size_t len, uint8_t *ret, size_t cap);
size_t dns_error(const struct question *q, int code, uint8_t ret[DNS_QUESTION_MAX]);
