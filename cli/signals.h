/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* "9", "KILL", "SIGKILL", "kill"; 0: none. */
int signal_number(const char *name);
