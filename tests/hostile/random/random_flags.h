/* SPDX-License-Identifier: Apache-2.0 */
/* For a kind of arguments the values that mean something. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/kinds.h"

struct flag_list {
    enum arg_kind kind;
    bool combine; /* several at a time make sense */
    const uint64_t *values;
    size_t n;
};

/* NULL: any number will do. */
const struct flag_list *flag_list(enum arg_kind kind);
