/* SPDX-License-Identifier: Apache-2.0 */
/* AF_VSOCK; vsock.c. */
#pragma once

#include "sentry/net/sock.h"

/* -EPROTONOSUPPORT, -ESOCKTNOSUPPORT, -ENODEV (datagrams), -ENOMEM. */
int vsock_create(struct task *t, int type, int protocol, struct sock **ret);
