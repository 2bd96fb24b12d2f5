/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/cpuinfo, from the cpuid instruction: model and flags are the one thing of the host that is
 * shown, because programs choose their code by them (and could ask the processor themselves).
 */
#include <cpuid.h>
#include <string.h>

#include "sentry/fs/proc/proc.h"

enum reg { EAX, EBX, ECX, EDX };

struct flag {
    uint8_t word, bit;
    const char *name;
};

/* The words of cpuid that flags are bits of. */
static const struct {
    uint32_t leaf, sub;
    enum reg reg;
} words[] = {
    { 1, 0, EDX },  { 1, 0, ECX },          { 0x80000001, 0, EDX }, { 0x80000001, 0, ECX },
    { 7, 0, EBX },  { 7, 0, ECX },          { 7, 0, EDX },          { 7, 1, EAX },
    { 13, 1, EAX }, { 0x80000007, 0, EDX }, { 0x80000008, 0, EBX }, { 6, 0, EAX },
};

static const struct flag flags[] = {
    { 0, 0, "fpu" },
    { 0, 1, "vme" },
    { 0, 2, "de" },
    { 0, 3, "pse" },
    { 0, 4, "tsc" },
    { 0, 5, "msr" },
    { 0, 6, "pae" },
    { 0, 7, "mce" },
    { 0, 8, "cx8" },
    { 0, 9, "apic" },
    { 0, 11, "sep" },
    { 0, 12, "mtrr" },
    { 0, 13, "pge" },
    { 0, 14, "mca" },
    { 0, 15, "cmov" },
    { 0, 16, "pat" },
    { 0, 17, "pse36" },
    { 0, 19, "clflush" },
    { 0, 23, "mmx" },
    { 0, 24, "fxsr" },
    { 0, 25, "sse" },
    { 0, 26, "sse2" },
    { 0, 27, "ss" },
    { 0, 28, "ht" },
    { 2, 11, "syscall" },
    { 2, 20, "nx" },
    { 2, 22, "mmxext" },
    { 2, 25, "fxsr_opt" },
    { 2, 26, "pdpe1gb" },
    { 2, 27, "rdtscp" },
    { 2, 29, "lm" },
    { 9, 8, "constant_tsc" },
    { 9, 8, "nonstop_tsc" },
    { 1, 0, "pni" },
    { 1, 1, "pclmulqdq" },
    { 1, 9, "ssse3" },
    { 1, 12, "fma" },
    { 1, 13, "cx16" },
    { 1, 17, "pcid" },
    { 1, 19, "sse4_1" },
    { 1, 20, "sse4_2" },
    { 1, 21, "x2apic" },
    { 1, 22, "movbe" },
    { 1, 23, "popcnt" },
    { 1, 24, "tsc_deadline_timer" },
    { 1, 25, "aes" },
    { 1, 26, "xsave" },
    { 1, 28, "avx" },
    { 1, 29, "f16c" },
    { 1, 30, "rdrand" },
    { 1, 31, "hypervisor" },
    { 3, 0, "lahf_lm" },
    { 3, 1, "cmp_legacy" },
    { 3, 4, "cr8_legacy" },
    { 3, 5, "abm" },
    { 3, 6, "sse4a" },
    { 3, 7, "misalignsse" },
    { 3, 8, "3dnowprefetch" },
    { 3, 9, "osvw" },
    { 3, 16, "fma4" },
    { 3, 21, "tbm" },
    { 3, 22, "topoext" },
    { 3, 23, "perfctr_core" },
    { 4, 0, "fsgsbase" },
    { 4, 1, "tsc_adjust" },
    { 4, 3, "bmi1" },
    { 4, 4, "hle" },
    { 4, 5, "avx2" },
    { 4, 7, "smep" },
    { 4, 8, "bmi2" },
    { 4, 9, "erms" },
    { 4, 10, "invpcid" },
    { 4, 11, "rtm" },
    { 4, 16, "avx512f" },
    { 4, 17, "avx512dq" },
    { 4, 18, "rdseed" },
    { 4, 19, "adx" },
    { 4, 20, "smap" },
    { 4, 21, "avx512ifma" },
    { 4, 23, "clflushopt" },
    { 4, 24, "clwb" },
    { 4, 28, "avx512cd" },
    { 4, 29, "sha_ni" },
    { 4, 30, "avx512bw" },
    { 4, 31, "avx512vl" },
    { 8, 0, "xsaveopt" },
    { 8, 1, "xsavec" },
    { 8, 2, "xgetbv1" },
    { 8, 3, "xsaves" },
    { 7, 4, "avx_vnni" },
    { 7, 5, "avx512_bf16" },
    { 10, 0, "clzero" },
    { 10, 2, "xsaveerptr" },
    { 10, 9, "wbnoinvd" },
    { 11, 2, "arat" },
    { 5, 1, "avx512vbmi" },
    { 5, 2, "umip" },
    { 5, 3, "pku" },
    { 5, 4, "ospke" },
    { 5, 5, "waitpkg" },
    { 5, 6, "avx512_vbmi2" },
    { 5, 8, "gfni" },
    { 5, 9, "vaes" },
    { 5, 10, "vpclmulqdq" },
    { 5, 11, "avx512_vnni" },
    { 5, 12, "avx512_bitalg" },
    { 5, 14, "avx512_vpopcntdq" },
    { 5, 16, "la57" },
    { 5, 22, "rdpid" },
    { 5, 25, "cldemote" },
    { 5, 27, "movdiri" },
    { 5, 28, "movdir64b" },
    { 6, 4, "fsrm" },
    { 6, 8, "avx512_vp2intersect" },
    { 6, 14, "serialize" },
    { 6, 22, "amx_bf16" },
    { 6, 23, "avx512_fp16" },
    { 6, 24, "amx_tile" },
    { 6, 25, "amx_int8" },
};

static void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    memset(r, 0, 4 * sizeof *r);
    if ((uint32_t)__get_cpuid_max(leaf & 0x80000000u, NULL) >= leaf)
        __cpuid_count(leaf, sub, r[EAX], r[EBX], r[ECX], r[EDX]);
}

static void print_flags(struct ptext *out)
{
    uint32_t word[ARRAY_SIZE(words)], r[4];

    for (unsigned k = 0; k < ARRAY_SIZE(words); k++) {
        cpuid(words[k].leaf, words[k].sub, r);
        word[k] = r[words[k].reg];
    }
    pt_puts(out, "flags\t\t:");
    for (unsigned k = 0; k < ARRAY_SIZE(flags); k++)
        if (word[flags[k].word] >> flags[k].bit & 1)
            pt_printf(out, " %s", flags[k].name);
    pt_puts(out, "\n");
}

struct model {
    char vendor[13], brand[49];
    unsigned family, model, stepping, clflush, max_leaf, phys, virt, cache_kb;
};

static void ask_model(struct model *m)
{
    uint32_t r[4];

    memset(m, 0, sizeof *m);
    cpuid(0, 0, r);
    m->max_leaf = r[EAX];
    memcpy(m->vendor, &r[EBX], 4);
    memcpy(m->vendor + 4, &r[EDX], 4);
    memcpy(m->vendor + 8, &r[ECX], 4);
    cpuid(1, 0, r);
    m->family = (r[EAX] >> 8 & 15) + ((r[EAX] >> 8 & 15) == 15 ? r[EAX] >> 20 & 255 : 0);
    m->model = (r[EAX] >> 4 & 15) | (r[EAX] >> 12 & 0xf0);
    m->stepping = r[EAX] & 15;
    m->clflush = (r[EBX] >> 8 & 255) * 8;
    for (unsigned k = 0; k < 3; k++) {
        cpuid(0x80000002u + k, 0, r);
        memcpy(m->brand + 16 * k, r, 16);
    }
    cpuid(0x80000008u, 0, r);
    m->phys = r[EAX] & 255;
    m->virt = r[EAX] >> 8 & 255;
    cpuid(0x80000006u, 0, r);
    m->cache_kb = r[ECX] >> 16;
}

PROC_SHOW(proc_show_cpuinfo)
{
    struct model m;
    const char *brand = m.brand;

    (void)t, (void)n, (void)o;
    ask_model(&m);
    while (*brand == ' ')
        brand++;
    for (unsigned cpu = 0; cpu < kernel.ncpus; cpu++) {
        pt_printf(out,
                  "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n"
                  "model name\t: %s\nstepping\t: %u\nmicrocode\t: 0xffffffff\n"
                  "cpu MHz\t\t: 2000.000\ncache size\t: %u KB\nphysical id\t: 0\nsiblings\t: %u\n"
                  "core id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\ninitial apicid\t: %u\n"
                  "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n",
                  cpu, m.vendor, m.family, m.model, brand, m.stepping, m.cache_kb, kernel.ncpus,
                  cpu, kernel.ncpus, cpu, cpu, m.max_leaf);
        print_flags(out);
        pt_printf(out,
                  "bugs\t\t:\nbogomips\t: 4000.00\nclflush size\t: %u\ncache_alignment\t: %u\n"
                  "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n",
                  m.clflush, m.clflush, m.phys, m.virt);
    }
    return 0;
}
