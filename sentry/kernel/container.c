/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/container.h"

struct container first_container;

struct container *container_here(void)
{
    return &first_container;
}
