/* SPDX-License-Identifier: Apache-2.0 */
/* See require.h. */
#include "cli/require.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/without.h"
#include "cli/error.h"
#include "cli/host.h"
#include "cli/netfence.h"

static const char *help_seccomp(void)
{
    return "a kernel with CONFIG_SECCOMP_FILTER, and nobody who forbids filters";
}

static const char *help_landlock(void)
{
    return "Linux 5.13 or later, started with landlock in its lsm= list";
}

static const char *help_bpf(void)
{
    return "Linux 5.13 or later, a writable cgroup v2, and root outside of user namespaces";
}

static const struct feature {
    const char *word;
    unsigned bit;
    uint64_t without;
    int (*probe)(void);
    const char *(*help)(void);
} features[] = {
    { "userns", REQUIRE_USERNS, SBX_WITHOUT_USERNS, host_userns, host_help_userns },
    { "seccomp", REQUIRE_SECCOMP, SBX_WITHOUT_SECCOMP, host_filter, help_seccomp },
    { "cgroup", REQUIRE_CGROUP, SBX_WITHOUT_CGROUP, host_cgroup, host_help_cgroup },
    { "landlock", REQUIRE_LANDLOCK, SBX_WITHOUT_LANDLOCK, host_landlock, help_landlock },
    { "iouring", REQUIRE_IOURING, SBX_WITHOUT_IOURING, host_iouring, host_help_iouring },
    { "bpf", REQUIRE_BPF, SBX_WITHOUT_BPF, host_netfence, help_bpf },
};

int require_parse(const char *list, unsigned *bits)
{
    const char *at = list;

    do {
        size_t n = strcspn(at, ",");
        unsigned found = 0;

        for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
            if (strlen(features[i].word) == n && memcmp(features[i].word, at, n) == 0)
                found = features[i].bit;
        }
        if (!found)
            return fail(EXIT_SBX,
                        "--require: unknown feature '%.*s'; give userns, seccomp, cgroup, "
                        "landlock, iouring or bpf",
                        (int)n, at);
        *bits |= found;
        at += n;
    } while (*at++ == ',');
    return 0;
}

const char *require_words(unsigned bits)
{
    char *list = xstrdup("");

    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        if (bits & features[i].bit)
            list = xasprintf("%s%s%s", list, *list ? "," : "", features[i].word);
    }
    return list;
}

int require_check(unsigned bits, uint64_t without)
{
    char *lacking = NULL, *help = NULL;
    size_t nlacking, nhelp;
    FILE *l = open_memstream(&lacking, &nlacking), *h = open_memstream(&help, &nhelp);
    bool ok = true;
    int r = 0;

    if (!l || !h)
        return fail(EXIT_SBX, "out of memory");
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        const struct feature *f = &features[i];
        bool off = without & f->without;
        int err = bits & f->bit && !off ? f->probe() : 0;

        if (!(bits & f->bit) || (!off && err == 0))
            continue;
        fprintf(l, "%s%s (%s)", ok ? "" : ", ", f->word,
                off ? "switched off by SBX_WITHOUT" : strerror(err));
        fprintf(h, "%s%s", ok ? "" : "; ", off ? "unset SBX_WITHOUT" : f->help());
        ok = false;
    }
    fclose(l);
    fclose(h);
    if (!ok)
        r = fail(EXIT_SBX, "--require: not here: %s; needed: %s", lacking, help);
    free(lacking);
    free(help);
    return r;
}
