/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses between guest and sentry; socket.c. */
#pragma once

#include <sys/socket.h>

#include "abi/types.h"

struct task;

/* n bytes at from; -EINVAL when n is no length of an address. */
int sockaddr_in(struct task *t, struct sockaddr_storage *to, gaddr_t from, int n);
/* As accept and getsockname give it: cut to what lenp says, its real length n put there. */
int sockaddr_out(struct task *t, gaddr_t addr, gaddr_t lenp, const void *from, int n);
