/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compatibility list, from the one table: `sbx syscalls`, `sbx syscalls --native`, and
 * the first part of docs/COMPATIBILITY.md (a test keeps that one up to date).
 */
#include <errno.h>
#include <string.h>

#include "sentry/syscalls/table.h"

struct remark {
    const char *name, *text;
};

#define GAP(name, text) { #name, text },
static const struct remark gaps[] = {
#include "sentry/syscalls/gaps.def"
};

#define NATIVE(name, text) { #name, text },
static const struct remark natives[] = {
#include "sentry/syscalls/native.def"
};

static const char *const state_names[] = {
    [SC_FULL] = "full",    [SC_PART] = "part",      [SC_NOSYS] = "ENOSYS",
    [SC_NOPERM] = "EPERM", [SC_NOACCES] = "EACCES",
};

static const char *find(const struct remark *r, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(r[i].name, name))
            return r[i].text;
    return NULL;
}

static unsigned count(enum syscall_state state)
{
    unsigned n = 0;

    for (unsigned nr = 0; nr <= SYSCALL_MAX; nr++) {
        const struct syscall_desc *d = syscall_desc(nr);
        n += d && d->state == state;
    }
    return n;
}

static int print_native(FILE *f)
{
    fprintf(f, "# run by the host itself (platform trap), when:\n");
    for (size_t i = 0; i < ARRAY_SIZE(natives); i++)
        fprintf(f, "%-12s %s\n", natives[i].name, natives[i].text);
    return ferror(f) ? -EIO : 0;
}

int syscalls_print(FILE *f, bool native_only)
{
    if (native_only)
        return print_native(f);
    for (unsigned nr = 0; nr <= SYSCALL_MAX; nr++) {
        const struct syscall_desc *d = syscall_desc(nr);
        const char *gap = d ? find(gaps, ARRAY_SIZE(gaps), d->name) : NULL;
        if (!d)
            continue;
        fprintf(f, "%3u  %-24s", nr, d->name);
        if (gap)
            fprintf(f, "%-7s %s\n", state_names[d->state], gap);
        else
            fprintf(f, "%s\n", state_names[d->state]);
    }
    fprintf(f, "# %u full, %u part, %u ENOSYS, %u EPERM, %u EACCES\n", count(SC_FULL),
            count(SC_PART), count(SC_NOSYS), count(SC_NOPERM), count(SC_NOACCES));
    return ferror(f) ? -EIO : 0;
}

int syscalls_print_markdown(FILE *f)
{
    fprintf(f,
            "# Compatibility\n\n"
            "The system calls, and what became of [real programs](#programs).\n\n"
            "## System calls\n\n"
            "All calls of Linux 6.12 on x86-64, and what sbx does with them. Made from\n"
            "`abi/syscalls.def` by `sbx syscalls --markdown`; do not edit.\n\n"
            "- **full**: as Linux does it\n"
            "- **part**: with the gaps named\n"
            "- **ENOSYS**: not there, as in a kernel built without it\n"
            "- **EPERM**, **EACCES**: refused, as to a caller without privileges\n\n"
            "%u full, %u part, %u ENOSYS, %u EPERM, %u EACCES.\n\n"
            "| number | name | state | remarks |\n|---|---|---|---|\n",
            count(SC_FULL), count(SC_PART), count(SC_NOSYS), count(SC_NOPERM), count(SC_NOACCES));
    for (unsigned nr = 0; nr <= SYSCALL_MAX; nr++) {
        const struct syscall_desc *d = syscall_desc(nr);
        if (!d)
            continue;
        const char *gap = find(gaps, ARRAY_SIZE(gaps), d->name);
        const char *native = find(natives, ARRAY_SIZE(natives), d->name);
        fprintf(f, "| %u | %s | %s | %s%s%s%s |\n", nr, d->name, state_names[d->state],
                gap ? gap : "", gap && native ? "; " : "", native ? "native: " : "",
                native ? native : "");
    }
    return ferror(f) ? -EIO : 0;
}
