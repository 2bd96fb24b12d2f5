/* SPDX-License-Identifier: Apache-2.0 */
/* See unfenced.h. In a build without SBX_UNFENCED there is nothing here. */
#include "abi/unfenced.h"

#ifdef SBX_UNFENCED
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char left_out[256];

/* Before main(): its children are cloned from it and have no environment of their own. */
static __attribute__((constructor)) void unfenced_begin(void)
{
    const char *list = getenv("SBX_UNFENCED");

    if (!list || !*list)
        return;
    if (strlen(list) >= sizeof left_out) {
        fprintf(stderr, "SBX_UNFENCED is too long\n");
        exit(125);
    }
    strcpy(left_out, list);
    fprintf(stderr,
            "*** TEST BUILD, NOT A SANDBOX: these fences are left out: %s ***\n"
            "*** Never run anything in it that you would not run without. ***\n",
            left_out);
}

bool unfenced(const char *fence)
{
    size_t n = strlen(fence);

    for (const char *at = left_out; *at; at += strspn(at, ",")) {
        size_t len = strcspn(at, ",");

        if (len == n && memcmp(at, fence, n) == 0)
            return true;
        at += len;
    }
    return false;
}
#endif
