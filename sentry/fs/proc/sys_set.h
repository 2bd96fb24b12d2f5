/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

struct pnode;
struct ptext;

/* Puts out what n, whose value is fixed here, was told to be; false: nothing. */
bool proc_sys_told(const struct pnode *n, struct ptext *out);

/*
 * One of the network that is fixed here is told: it holds where the sockets are. The parameter name, as "net.ipv4.tcp_ecn", gets a value, as if root wrote it to its file. Before the first
 * program runs. 0; -ENOENT: there is none of that name; -EPERM: its value is another one, and fixed; -EINVAL.
 */
int proc_sys_set(const char *name, const char *value);
