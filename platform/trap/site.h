/* SPDX-License-Identifier: Apache-2.0 */
/* Call sites, as bytes; see site.c and patch.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/platform.h"

#define SITE_BEFORE 8  /* bytes that must be known before the syscall instruction, */
#define SITE_BEHIND 22 /* and from it on */
#define SITE_NEAR 128  /* as many as a short jump reaches are worth to be known, each way */

struct site_code {
    uint8_t bytes[2 * SITE_NEAR + 16];
    size_t n, at; /* at: of the syscall instruction */
};

/* What is displaced: n bytes, just before the syscall instruction. */
struct site {
    uint8_t displaced[7];
    uint8_t n;
    uint8_t hop; /* not 0: a short jump leads so far from there, to the long one */
    bool single; /* it is one instruction: no thread stands in the middle of it */
};

/* nr: of the call that was made there. */
bool site_recognise(const struct site_code *c, uint32_t nr, struct site *ret);
/* Does with the registers what the displaced code does. arg7: the word at rsp + 8, NULL: unknown. */
bool site_run(const struct site *s, struct regs *r, const uint64_t *arg7);
