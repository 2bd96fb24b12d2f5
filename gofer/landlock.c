/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: whatever a compromised gofer does, the kernel lets it open nothing but what lies
 * beneath its exports, for reading.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "abi/landlock.h"
#include "gofer/server.h"

int gofer_landlock(const struct gofer_config *cfg)
{
    struct landlock_rule *rules = calloc(cfg->nexports + 1, sizeof(*rules));
    struct stat st;
    int r = rules ? 0 : -ENOMEM;

    for (unsigned i = 0; r == 0 && i < cfg->nexports; i++) {
        rules[i].fd = cfg->exports[i].fd;
        rules[i].rights = LANDLOCK_READ_FILE;
        if (fstat(rules[i].fd, &st) < 0)
            r = -errno;
        else if (S_ISDIR(st.st_mode))
            rules[i].rights |= LANDLOCK_READ_DIR;
    }
    if (r == 0)
        r = landlock_apply(rules, cfg->nexports);
    free(rules);
    return r;
}
