/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which `syscall` instructions can have a jump put in front of them, and what that displaces. Only
 * bytes and registers are looked at here; patch.c does what follows.
 *
 * Machine code cannot be read backwards: the bytes of `mov $nr, %eax` may be the end of something
 * else. So a form is believed only if the number in it is the one that the call was made with, and
 * what commonly ends in the same bytes is left out.
 */
#include <string.h>

#include "platform/trap/site.h"

/* Unreachable filling, as compilers make it, of at least five bytes. */
static bool is_filling(const uint8_t *p)
{
    static const uint8_t fill[][6] = {
        { 4, 0x0f, 0x1f, 0x44, 0x00 },       { 4, 0x0f, 0x1f, 0x80, 0x00 },
        { 4, 0x0f, 0x1f, 0x84, 0x00 },       { 5, 0x66, 0x0f, 0x1f, 0x44, 0x00 },
        { 5, 0x66, 0x0f, 0x1f, 0x84, 0x00 }, { 5, 0x66, 0x2e, 0x0f, 0x1f, 0x84 }
    };

    for (unsigned i = 0; i < sizeof fill / sizeof fill[0]; i++) {
        if (!memcmp(p, fill[i] + 1, fill[i][0]))
            return true;
    }
    return false;
}

/* mov between two general registers, of three bytes */
static bool is_move(const uint8_t *p)
{
    return (p[0] & 0xf8) == 0x48 && p[1] == 0x89 && p[2] >= 0xc0;
}

static bool has_number(const uint8_t *imm, uint32_t nr)
{
    return !memcmp(imm, &nr, 4);
}

/* b8 and four bytes at p: is it a whole mov to eax? It may also be the end of */
static bool is_mov_eax(const uint8_t *p)
{
    if ((p[-1] & 0xf1) == 0x41) /* mov $, %r8d */
        return false;
    if (p[-1] == 0x89 || p[-1] == 0x8b || p[-1] == 0x8d || p[-1] == 0x63) /* mov 0x..(%rax), %edi */
        return false;
    if (p[-2] == 0xc7 && (p[-1] & 0xf8) == 0x40) /* movl $, -72(%rbp) */
        return false;
    return !(p[-3] == 0xc7 && (p[-2] & 0xc7) == 0x44); /* movl $, -72(%rsp) */
}

/* Does a jump nearby lead to `target`? All that are that short are seen, and some that are not. */
static bool is_jumped_to(const uint8_t *w, size_t n, size_t target)
{
    for (size_t i = 0; i + 6 <= n; i++) {
        size_t far = w[i] == 0x0f && (w[i + 1] & 0xf0) == 0x80 ? 2 : w[i] == 0xe9 ? 1 : 0;
        int32_t by = (w[i + 1] ^ 0x80) - 0x80; /* sign-extended */

        if (((w[i] & 0xf0) == 0x70 || w[i] == 0xeb || (w[i] & 0xfc) == 0xe0) &&
            i + 2 + (size_t)by == target)
            return true;
        if (!far)
            continue;
        memcpy(&by, w + i + far, 4);
        if (i + far + 4 + (size_t)by == target)
            return true;
    }
    return false;
}

bool site_recognise(const struct site_code *c, uint32_t nr, struct site *ret)
{
    const uint8_t *end = c->bytes + c->at, *behind = end + 2;

    if (c->at < SITE_BEFORE || c->n < c->at + SITE_BEHIND || end[0] != 0x0f || end[1] != 0x05)
        return false;
    ret->hop = 0;
    ret->single = true;
    if (end[-5] == 0xb8 && has_number(end - 4, nr) && is_mov_eax(end - 5)) {
        ret->n = 5;
    } else if (end[-7] == 0x48 && end[-6] == 0xc7 && end[-5] == 0xc0 && has_number(end - 4, nr)) {
        ret->n = 7;                                           /* mov $nr, %rax */
    } else if (!memcmp(end - 5, "\x4c\x8b\x4c\x24\x08", 5)) { /* mov 8(%rsp), %r9: syscall(3) */
        ret->n = 5;
    } else if (is_move(end - 3) && is_move(end - 6) && !is_jumped_to(c->bytes, c->n, c->at - 3)) {
        ret->n = 6;
        ret->single = false;
    } else if (end[-2] == 0x31 && end[-1] == 0xc0 && behind[0] == 0x48 && behind[1] == 0x3d &&
               behind[6] == 0x77 && behind[8] == 0xc3 && is_filling(behind + 9) &&
               (behind[7] == 0 || (behind[7] > 5 && behind[7] < 0x80))) {
        /* xor %eax, %eax; syscall; cmp $, %rax; ja past it; ret; filling */
        ret->n = 2;
        ret->hop = 2 + 2 + 9;
    } else {
        return false;
    }
    memcpy(ret->displaced, end - ret->n, ret->n);
    return true;
}

/* By the number that instructions have for it. */
static uint64_t *reg(struct regs *r, unsigned n)
{
    uint64_t *const all[16] = { &r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp,
                                &r->rsi, &r->rdi, &r->r8,  &r->r9,  &r->r10, &r->r11,
                                &r->r12, &r->r13, &r->r14, &r->r15 };

    return all[n];
}

static void move(struct regs *r, const uint8_t *p)
{
    unsigned from = (p[2] >> 3 & 7) | (p[0] & 4) << 1, to = (p[2] & 7) | (p[0] & 1u) << 3;

    *reg(r, to) = *reg(r, from);
}

bool site_run(const struct site *s, struct regs *r, const uint64_t *arg7)
{
    int32_t imm;

    switch (s->displaced[0]) {
    case 0xb8:
        memcpy(&imm, s->displaced + 1, 4);
        r->rax = (uint32_t)imm;
        return true;
    case 0x31: /* flags of a result that is 0 */
        r->rax = 0;
        r->rflags = (r->rflags & ~0x8d5ull) | 0x44;
        return true;
    case 0x4c:
        if (s->n == 5) {
            if (arg7)
                r->r9 = *arg7;
            return arg7 != NULL;
        }
        break;
    case 0x48:
        if (s->n == 7) {
            memcpy(&imm, s->displaced + 3, 4);
            r->rax = (uint64_t)(int64_t)imm;
            return true;
        }
        break;
    }
    move(r, s->displaced);
    move(r, s->displaced + 3);
    return true;
}
