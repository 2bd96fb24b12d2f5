/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the seccomp filters of our processes let pass, worked out from the programs themselves: each is
 * run for every number 0 to 600, of x86-64, of x32 and of i386, with arguments that are not known, so
 * that at a jump which depends on one both ways are gone. What comes out is compared with the committed
 * lists:
 *
 *     filters DIR [--write]      DIR/calls-stub.txt, calls-sentry.txt, calls-gofer.txt,
 *                            calls-shared.txt, calls-writer.txt, calls-broker.txt; and of the platform
 *                            ptrace calls-traced.txt, calls-tracer.txt (stub and sentry)
 *
 * A line for each way through: the call, and the conditions on its arguments under which it passes
 * (notify: to the sentry, which decides). A list that grows or shrinks unannounced fails the test.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/types.h"
#include "fence_broker.h"
#include "fence_gofer.h"
#include "fence_shared.h"
#include "fence_writer.h"
#include "fence_sentry.h"
#include "platform/shared/bpf.h"

#define NUMBERS 601
#define X32 0x40000000u
#define SLOT_HI 0x7ffeu
#define BLOB_SIZE 0x2000u
#define SECRET 0x0123456789abcdefull
#define ZYGOTE_SOCK 0xfff

static const struct {
    unsigned nr;
    const char *name;
} names[] = {
#define NAME(nr, name, ...) { nr, #name },
#define SYS0 NAME
#define SYS1 NAME
#define SYS2 NAME
#define SYS3 NAME
#define SYS4 NAME
#define SYS5 NAME
#define SYS6 NAME
#include "abi/syscalls.def"
};

/* Of the arguments, on the way so far; what they are not is told where nothing else is. */
struct conds {
    char are[1024], not [1024];
};

struct run {
    const struct bpf_insn *insn;
    unsigned n;
    uint32_t nr, arch;
    bool ip_known; /* else both ways, too */
    uint64_t ip;
    const char *label;
    FILE *out;
    unsigned passed;
};

/* What the accumulator holds. */
struct acc {
    bool known;
    uint32_t value;
    int field; /* offset in struct seccomp_data */
    uint32_t mask;
};

static const char *name_of(uint32_t nr, char buf[24])
{
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].nr == nr)
            return names[i].name;
    }
    snprintf(buf, 24, "number %u", nr);
    return buf;
}

static struct acc load(const struct run *r, uint32_t off)
{
    struct acc a = { .field = (int)off, .mask = ~0u };

    if (off == offsetof(struct seccomp_data, nr))
        a.known = true, a.value = r->nr;
    else if (off == offsetof(struct seccomp_data, arch))
        a.known = true, a.value = r->arch;
    else if (off == offsetof(struct seccomp_data, instruction_pointer))
        a.known = r->ip_known, a.value = (uint32_t)r->ip;
    else if (off == offsetof(struct seccomp_data, instruction_pointer) + 4)
        a.known = r->ip_known, a.value = (uint32_t)(r->ip >> 32);
    return a;
}

static void line(struct run *r, uint32_t action, const struct conds *conds)
{
    char buf[24];
    const char *what = "";

    switch (action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
        break;
    case SECCOMP_RET_USER_NOTIF:
        what = " notify";
        break;
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_TRACE:
        what = " TRACED OR LOGGED";
        break;
    default: /* refused */
        return;
    }
    r->passed++;
    fprintf(r->out, "%s %s%s", r->label, name_of(r->nr & ~X32, buf), what);
    if (conds->are[0])
        fprintf(r->out, " if%s", conds->are);
    else if (conds->not [0])
        fprintf(r->out, " if%s", conds->not );
    fprintf(r->out, "\n");
}

static bool taken(uint16_t code, uint32_t v, uint32_t k)
{
    switch (BPF_OP(code)) {
    case BPF_JEQ:
        return v == k;
    case BPF_JGE:
        return v >= k;
    case BPF_JGT:
        return v > k;
    case BPF_JSET:
        return v & k;
    default:
        fprintf(stderr, "unknown jump %#x\n", code);
        exit(1);
    }
}

/* conds and one more: the argument, half of it, its mask, and how it was compared. */
static void add_cond(struct conds *to, const struct conds *from, const struct acc *a, uint16_t code,
                     uint32_t k, bool yes)
{
    static const char *const ops[2][4] = { { "!=", "<=", "<", "!&" }, { "==", ">", ">=", "&" } };
    int off = a->field - (int)offsetof(struct seccomp_data, args), op;
    char mask[24] = "", *dest;

    switch (BPF_OP(code)) {
    case BPF_JEQ:
        op = 0;
        break;
    case BPF_JGT:
        op = 1;
        break;
    default:
        op = BPF_OP(code) == BPF_JGE ? 2 : 3;
    }
    if (a->mask != ~0u)
        snprintf(mask, sizeof mask, "&%#x", a->mask);
    *to = *from;
    dest = !yes && op == 0 ? to->not : to->are;
    snprintf(dest + strlen(dest), sizeof to->are - strlen(dest), " a%d%s%s%s%#x", off / 8,
             off % 8 ? ".hi" : "", mask, ops[yes][op], k);
}

static void go(struct run *r, unsigned pc, struct acc a, const struct conds *conds)
{
    for (; pc < r->n; pc++) {
        const struct bpf_insn *i = &r->insn[pc];
        struct conds more;

        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            a = load(r, i->k);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a.value &= i->k;
            a.mask &= i->k;
            break;
        case BPF_RET | BPF_K:
            line(r, i->k, conds);
            return;
        case BPF_JMP | BPF_JA:
            pc += i->k;
            break;
        default:
            if (BPF_CLASS(i->code) != BPF_JMP) {
                fprintf(stderr, "unknown instruction %#x at %u\n", i->code, pc);
                exit(1);
            }
            if (a.known) {
                pc += taken(i->code, a.value, i->k) ? i->jt : i->jf;
                break;
            }
            add_cond(&more, conds, &a, i->code, i->k, true);
            go(r, pc + 1 + i->jt, a, &more);
            add_cond(&more, conds, &a, i->code, i->k, false);
            go(r, pc + 1 + i->jf, a, &more);
            return;
        }
    }
}

static void all_numbers(struct run *r, const char *where)
{
    static const struct {
        const char *name;
        uint32_t arch, bit;
    } abis[] = { { "", AUDIT_ARCH_X86_64, 0 },
                 { "x32 ", AUDIT_ARCH_X86_64, X32 },
                 { "i386 ", AUDIT_ARCH_I386, 0 } };
    char label[64];

    for (unsigned k = 0; k < ARRAY_SIZE(abis); k++) {
        snprintf(label, sizeof label, "%s%s", abis[k].name, where);
        r->label = label;
        r->arch = abis[k].arch;
        for (unsigned nr = 0; nr < NUMBERS; nr++) {
            r->nr = nr | abis[k].bit;
            go(r, 0, (struct acc){ .known = true }, &(struct conds){ 0 });
        }
    }
}

static void list_stub(FILE *out)
{
    struct bpf_asm base;
    struct run r = { .out = out, .ip_known = true };

    bpf_init(&base);
    if (filter_base(&base, SLOT_HI, BLOB_SIZE, SECRET, ZYGOTE_SOCK, /* lends= */ true) < 0)
        exit(1);
    r.insn = base.insn;
    r.n = base.n;
    fprintf(
        out,
        "# Calls that the filter of a stub lets pass, by where the `syscall` stands. A guest has\n"
        "# both: it can jump into the blob. All else is SIGSYS. a0 to a5 are\n"
        "# its arguments; 0x1234567 and 0x89abcdef stand for the zygote's secret, and\n"
        "# 0xfff for the number of its socket, which nothing else can have (platform/trap/zygote.c).\n");
    r.ip = (uint64_t)SLOT_HI << 32 | 0x100;
    all_numbers(&r, "blob:");
    r.ip = 0x401000;
    all_numbers(&r, "guest:");
    /* nothing else is different about an address: neither is the edge of the slot */
    FILE *none = fopen("/dev/null", "w");
    static const uint64_t edges[] = { (uint64_t)SLOT_HI << 32 | BLOB_SIZE,
                                      ((uint64_t)SLOT_HI << 32) - 1, (SLOT_HI + 1ull) << 32, 0,
                                      ~0ull };
    struct run guest = {
        .out = none, .ip_known = true, .insn = base.insn, .n = base.n, .ip = 0x401000
    };
    all_numbers(&guest, "");
    for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
        struct run e = guest;

        e.passed = 0;
        e.ip = edges[i];
        all_numbers(&e, "");
        if (e.passed != guest.passed)
            fprintf(out, "at %#llx other calls pass\n", (unsigned long long)edges[i]);
    }
    fclose(none);
}

/* What is traced is told to the sentry, whose call it then is: it does not pass. */
static void list_traced(FILE *out)
{
    struct bpf_asm traced;
    struct run r = { .out = out };

    bpf_init(&traced);
    if (filter_traced(&traced, SLOT_HI) < 0)
        exit(1);
    for (unsigned i = 0; i < traced.n; i++) {
        if (traced.insn[i].code == (BPF_RET | BPF_K) && traced.insn[i].k == SECCOMP_RET_TRACE)
            traced.insn[i].k = SECCOMP_RET_TRAP;
    }
    r.insn = traced.insn;
    r.n = traced.n;
    fprintf(
        out,
        "# Calls that the filter of a stub lets pass under ptrace, wherever they are made. All\n"
        "# others stop for the tracer, and fail where there is none.\n");
    all_numbers(&r, "stub:");
}

static void list_fence(FILE *out, const char *who, const struct sock_filter *f, unsigned n)
{
    struct run r = { .out = out, .insn = (const struct bpf_insn *)(const void *)f, .n = n };

    fprintf(out, "# Calls that the filter of the %s lets pass. All else ends it, or is refused.\n",
            who);
    all_numbers(&r, who);
}

/* The committed list and this one: lines that only one of them has are printed. */
static int compare(const char *path, const char *text)
{
    char cmd[4200];
    FILE *p;

    snprintf(cmd, sizeof cmd, "diff -U0 '%s' -", path);
    fflush(stdout);
    p = popen(cmd, "w");
    if (!p || fputs(text, p) < 0)
        return 1;
    return pclose(p) != 0;
}

static int check(const char *dir, const char *who, bool write)
{
    char path[4096], *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    int r = 0;

    if (strcmp(who, "stub") == 0)
        list_stub(out);
    else if (strcmp(who, "traced") == 0)
        list_traced(out);
    else if (strcmp(who, "tracer") == 0)
        list_fence(out, who, fence_sentry_tracer, ARRAY_SIZE(fence_sentry_tracer));
    else if (strcmp(who, "sentry") == 0)
        list_fence(out, who, fence_sentry, ARRAY_SIZE(fence_sentry));
    else if (strcmp(who, "shared") == 0)
        list_fence(out, who, fence_shared, ARRAY_SIZE(fence_shared));
    else if (strcmp(who, "broker") == 0)
        list_fence(out, who, fence_broker, ARRAY_SIZE(fence_broker));
    else if (strcmp(who, "writer") == 0)
        list_fence(out, who, fence_writer, ARRAY_SIZE(fence_writer));
    else
        list_fence(out, who, fence_gofer, ARRAY_SIZE(fence_gofer));
    fclose(out);
    snprintf(path, sizeof path, "%s/calls-%s.txt", dir, who);
    if (write) {
        FILE *f = fopen(path, "w");

        r = !f || fputs(text, f) < 0 || fclose(f) != 0;
    } else if (compare(path, text)) {
        printf(
            "the filter of the %s is not what %s says. Where that is meant: filters DIR --write\n",
            who, path);
        r = 1;
    }
    free(text);
    return r;
}

int main(int argc, char **argv)
{
    static const char *const all[] = { "stub",   "sentry", "gofer",  "shared",
                                       "writer", "broker", "traced", "tracer" };
    bool write = argc > 2 && strcmp(argv[2], "--write") == 0;
    int r = 0;

    if (argc < 2)
        return 2;
#ifdef SBX_WIDE_FILTERS
    printf("SKIP: a sanitizer's run-time library needs more calls than are listed\n");
    return 77;
#endif
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        r |= check(argv[1], all[i], write);
    if (r == 0)
        printf("the lists are as they were\n");
    return r;
}
