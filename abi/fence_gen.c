/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs while sbx is built: reads the fence table FENCE_TABLE that it was compiled with, has
 * libseccomp make filters of it (as trees, so that a call passes few instructions), and prints them
 * as C arrays. Usage: fence_gen NAME > fence_NAME.h; the arrays are fence_NAME and, with the rules
 * for who has a ring, fence_NAME_ring, and where the table has rules for who traces, fence_NAME_tracer
 * and fence_NAME_ring_tracer; each in two versions, of which __GLIBC__ chooses.
 *
 * fence_gen NAME --list prints the names of the calls that a release's fence_NAME admits.
 */
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/fence_rule.h"
#include FENCE_TABLE

#define NRULES (sizeof(fence_rules) / sizeof(fence_rules[0]))

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

static int is_in(const struct fence_rule *rule, int only)
{
    return (rule->only & ~only) == 0;
}

/* The filter of the rules that are always in, and of those kinds. */
static void print(const char *name, const char *suffix, int only)
{
    scmp_filter_ctx ctx = seccomp_init(FENCE_DEFAULT);
    FILE *f = tmpfile();
    struct sock_filter i;
    int r;

    if (!ctx || !f)
        die("starting", "", -ENOMEM);
    r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (r < 0)
        die("tree", "", r);
    for (unsigned n = 0; n < NRULES; n++)
        if (is_in(&fence_rules[n], only))
            add(ctx, &fence_rules[n]);
    r = seccomp_export_bpf(ctx, fileno(f));
    if (r < 0)
        die("export", "", r);
    rewind(f);
    printf("static const struct sock_filter fence_%s%s[] = {\n", name, suffix);
    while (fread(&i, sizeof(i), 1, f) == 1)
        printf("    {0x%04x, %u, %u, 0x%08x},\n", i.code, i.jt, i.jf, i.k);
    printf("};\n");
    fclose(f);
    seccomp_release(ctx);
}

static void print_both(const char *name, int only)
{
    print(name, "", only);
    print(name, "_ring", only | FENCE_RING);
    for (unsigned n = 0; n < NRULES; n++) {
        if (fence_rules[n].only == FENCE_TRACER) {
            print(name, "_tracer", only | FENCE_TRACER);
            print(name, "_ring_tracer", only | FENCE_RING | FENCE_TRACER);
            break;
        }
    }
}

static void list(void)
{
    for (unsigned i = 0; i < NRULES; i++) {
        unsigned before = 0;

        while (before < i &&
               (fence_rules[before].nr != fence_rules[i].nr || !is_in(&fence_rules[before], 0)))
            before++;
        if (before == i && is_in(&fence_rules[i], 0) && fence_rules[i].action == SCMP_ACT_ALLOW)
            puts(fence_rules[i].name);
    }
}

int main(int argc, char **argv)
{
    int wide = 0;

#ifdef SBX_WIDE_FILTERS
    wide = FENCE_WIDE;
#endif
    if (argc == 3 && strcmp(argv[2], "--list") == 0) {
        list();
        return 0;
    }
    if (argc != 2)
        return 2;
    printf("/* Made by abi/fence_gen.c from %s. */\n#pragma once\n\n#include <features.h>\n"
           "#include <linux/filter.h>\n\n#ifdef __GLIBC__\n",
           FENCE_TABLE);
    print_both(argv[1], wide | FENCE_GLIBC);
    printf("#else\n");
    print_both(argv[1], wide);
    printf("#endif\n");
    return 0;
}
