/* SPDX-License-Identifier: Apache-2.0 */
/* Which platform runs the guest, and whether this host can run one at all. */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/without.h"
#include "cli/error.h"
#include "cli/host.h"
#include "cli/launch.h"
#include "platform/platform.h"

/*
 * A host that refuses every filter: then calls are caught by ptrace, and what is left around the
 * processes has to hold them.
 */
static int check_filters(struct launch *l, const char **ret_held_by)
{
    bool userns, landlock;

    if (!(l->without & SBX_WITHOUT_SECCOMP) &&
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) < 0 && errno == EFAULT)
        return 0;
    userns = !(l->without & SBX_WITHOUT_USERNS) && (geteuid() == 0 || host_userns() == 0);
    landlock = !(l->without & SBX_WITHOUT_LANDLOCK) && host_landlock() == 0;
    if (!userns && !landlock)
        return fail(EXIT_SBX, "this host cannot run programs: neither seccomp filters, nor "
                              "namespaces, nor Landlock; see `sbx doctor`");
    l->without |= SBX_WITHOUT_SECCOMP | SBX_WITHOUT_NOTIFY | SBX_WITHOUT_STUBFILTER;
    *ret_held_by = userns && landlock ? "namespaces and Landlock"
                   : userns           ? "namespaces alone"
                                      : "Landlock alone";
    return 0;
}

int launch_platform(struct launch *l, const char *name)
{
    bool automatic = strcmp(name, "auto") == 0;
    const char *why = NULL, *held_by = NULL;
    int r = check_filters(l, &held_by);

    if (r)
        return r;
    l->platform = platform_find(name, l->without, &why); /* auto: one that has been probed */
    if (!l->platform && !automatic)
        return fail(EXIT_SBX, "--platform %s: no such platform; give auto, trap or ptrace", name);
    if (!l->platform || (!automatic && (why || l->platform->probe(&why) < 0)))
        return fail(EXIT_SBX, "this host cannot run programs: %s; see `sbx doctor`",
                    why ? why : "no platform works");
    l->platform_why = why;
    if (held_by)
        note("no seccomp filters here: the sandbox is fenced by %s; see `sbx doctor`", held_by);
    return 0;
}
