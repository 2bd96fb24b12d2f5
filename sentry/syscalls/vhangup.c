/* SPDX-License-Identifier: Apache-2.0 */
/* vhangup(2). */
#include <errno.h>
#include <linux/capability.h>

#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/table.h"

long sys_vhangup(struct task *t)
{
    if (!task_capable(t, CAP_SYS_TTY_CONFIG))
        return -EPERM;
    tty_hangup(t);
    return 0;
}
