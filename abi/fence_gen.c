/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs while sbx is built: reads the fence table FENCE_TABLE that it was compiled with, has
 * libseccomp make a filter of it (as a tree, so that a call passes few instructions), and prints it
 * as a C array. Usage: fence_gen NAME > fence_NAME.h; the array is fence_NAME.
 */
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/fence_rule.h"
#include FENCE_TABLE

static void die(const char *what, const char *name, int r)
{
    fprintf(stderr, "fence_gen: %s %s: %s\n", what, name, strerror(-r));
    exit(1);
}

static void add(scmp_filter_ctx ctx, const struct fence_rule *rule)
{
    struct scmp_arg_cmp cmp[3];
    unsigned n = 0;

    if (rule->nr < 0)
        die("unknown call", rule->name, -ENOSYS);
    for (; n < 3 && rule->args[n].arg; n++)
        cmp[n] = (struct scmp_arg_cmp){
            .arg = rule->args[n].arg - 1,
            .op = SCMP_CMP_MASKED_EQ,
            .datum_a = rule->args[n].mask,
            .datum_b = rule->args[n].value,
        };
    int r = seccomp_rule_add_array(ctx, rule->action, rule->nr, n, cmp);
    if (r < 0)
        die("rule for", rule->name, r);
}

static void print(FILE *f, const char *name)
{
    struct sock_filter i;

    printf("/* Made by abi/fence_gen.c from %s. */\n#pragma once\n\n#include <linux/filter.h>\n\n",
           FENCE_TABLE);
    printf("static const struct sock_filter fence_%s[] = {\n", name);
    while (fread(&i, sizeof(i), 1, f) == 1)
        printf("    {0x%04x, %u, %u, 0x%08x},\n", i.code, i.jt, i.jf, i.k);
    printf("};\n");
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    scmp_filter_ctx ctx = seccomp_init(FENCE_DEFAULT);
    FILE *f = tmpfile();
    if (!ctx || !f)
        die("starting", "", -ENOMEM);
    int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (r < 0)
        die("tree", "", r);
    for (unsigned i = 0; i < sizeof(fence_rules) / sizeof(fence_rules[0]); i++) {
#ifndef SBX_WIDE_FILTERS
        if (fence_rules[i].wide)
            continue;
#endif
        add(ctx, &fence_rules[i]);
    }
    r = seccomp_export_bpf(ctx, fileno(f));
    if (r < 0)
        die("export", "", r);
    rewind(f);
    print(f, argv[1]);
    seccomp_release(ctx);
    return 0;
}
