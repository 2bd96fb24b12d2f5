/* SPDX-License-Identifier: Apache-2.0 */
/* The limit on memory of the whole sandbox, for what no call of ours could refuse. */
#pragma once

/* Once, before the first program runs. Does nothing where there is no limit. */
void oom_start(void);
