/* SPDX-License-Identifier: Apache-2.0 */
/* The limit on memory of the whole sandbox, for what no call of ours could refuse. */
#pragma once

#include <stdint.h>

/* Once, before the first program runs. Does nothing where there is no limit. */
void oom_start(void);
/* Bytes in use now, by the quick figures. On the event thread; with thousands of processes it takes long. */
uint64_t oom_measure(void);
