/* SPDX-License-Identifier: Apache-2.0 */
/* A request to the broker that waits for answers; broker.h has the functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/protocol.h"
#include "sentry/kernel/list.h"

/*
 * hold is called under the table's lock: it takes a reference that keeps c until answer has run (and
 * answer gives it back), or says false: it is just ending. answer is called on the event thread
 * without locks; fd (or -1) and data[r->len] are its: it takes the fd.
 */
struct bcall {
    struct list link;
    uint32_t tag; /* 0: is not waiting */
    bool stays;   /* more than one answer comes: until broker_forget */
    bool (*hold)(struct bcall *c);
    void (*answer)(struct bcall *c, const struct nb_rep *r, const uint8_t *data, int fd);
};
