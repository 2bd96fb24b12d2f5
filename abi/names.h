/* SPDX-License-Identifier: Apache-2.0 */
/* Names of errors and signals, the same whatever libc sbx is built with. */
#pragma once

/* "ENOENT"; NULL when there is no such error. */
const char *errno_name(int err);
/* "No such file or directory"; NULL when there is no such error. */
const char *errno_text(int err);
/* "INT", without SIG; NULL for what is no classic signal (1 to 31). */
const char *signal_name(int sig);
