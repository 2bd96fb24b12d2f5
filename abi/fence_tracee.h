/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* In a filter: the number of the process that may be traced, which is known when it is installed. */
#define FENCE_TRACEE 0x5eed7ace
