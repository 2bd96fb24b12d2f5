/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket that a container's program tells its state to (sd_notify(3)). Who sends READY=1 first is heard by the
 * front end; the rest, descriptors too, ends here: nothing that a guest wrote goes on to a manager outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "cli/control.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"
#include "sentry/net/unix.h"
#include "sentry/start.h"
#include "sentry/vfs/vfs.h"

static bool says_ready(const char *text, size_t n)
{
    static const char word[] = "READY=1";
    const size_t len = sizeof word - 1;

    while (n >= len) {
        const char *nl = memchr(text, '\n', n);

        if (memcmp(text, word, len) == 0 && (n == len || text[len] == '\n' || !text[len]))
            return true;
        if (!nl)
            break;
        n -= (size_t)(nl + 1 - text);
        text = nl + 1;
    }
    return false;
}

static void hear(const void *data, size_t n)
{
    static _Atomic bool told;

    if (says_ready(data, n) && !atomic_exchange(&told, true))
        control_send(CTL_NOTIFY, 0, NULL);
}

int notify_open(const char *path)
{
    struct usock *u;
    struct path p;
    int r = walk_path(NULL, AT_FDCWD, path, WALK_FOLLOW, &p);

    if (r < 0)
        return r;
    u = unix_new(NULL, SOCK_DGRAM);
    if (IS_ERR(u)) {
        path_put(&p);
        return PTR_ERR(u);
    }
    unix_hear(u, &p, hear);
    return 0;
}
