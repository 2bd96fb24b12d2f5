/* SPDX-License-Identifier: Apache-2.0 */
/* AF_VSOCK; vsock.c. */
#pragma once

#include "sentry/net/sock.h"

/* The number of /dev/vsock, which Linux gives it when it comes up. */
#define VSOCK_DEV_MINOR 258

extern const struct file_ops vsock_dev_ops;

/* -EPROTONOSUPPORT, -ESOCKTNOSUPPORT, -ENODEV (datagrams), -ENOMEM. */
int vsock_create(struct task *t, int type, int protocol, struct sock **ret);
