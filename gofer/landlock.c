/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock around the gofer: whatever it does when it is compromised, the kernel lets it open nothing
 * but what lies beneath its exports, for reading.
 */
#include "abi/landlock.h"

#include <unistd.h>

#include "gofer/server.h"

int gofer_landlock(const struct gofer_config *cfg)
{
    int ruleset = landlock_new(), r = 0;

    if (ruleset < 0)
        return ruleset;
    for (unsigned i = 0; r == 0 && i < cfg->nexports; i++)
        r = landlock_allow(ruleset, cfg->exports[i].fd, LANDLOCK_READ_FILE | LANDLOCK_READ_DIR);
    if (r == 0)
        return landlock_enter(ruleset);
    close(ruleset);
    return r;
}
