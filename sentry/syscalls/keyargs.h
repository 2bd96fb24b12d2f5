/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of the calls about keys (key.c, keyctl.c). */
#pragma once

#include "abi/types.h"
#include "sentry/keys/key.h"

struct task;

/* A string of at most cap - 1 bytes, to be freed; NULL where from is 0. -EFAULT, -EINVAL, -ENOMEM. */
int key_get_string(struct task *t, gaddr_t from, size_t cap, char **ret);
/* The name of a type; -EPERM for one of the kernel's own. */
int key_get_type(struct task *t, gaddr_t from, char name[KEY_TYPE_MAX]);
/* len bytes, to be freed also after an error; NULL where there are none. */
int key_get_payload(struct task *t, gaddr_t from, size_t len, char **ret);

/* KEYCTL_SEARCH; the serial. */
long keyctl_search(struct task *t, int32_t ringid, gaddr_t utype, gaddr_t udesc, int32_t destid);
