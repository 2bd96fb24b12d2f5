/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stub shares with the sentry: a block of the input's making is taken as a light call and as a
 * signal frame, and read and written through as a handler would; and code bytes are looked at as call
 * sites. The block is heap memory of just its size, so that a step beyond it is seen.
 */
#include <stdlib.h>

#include "platform/stub/light_calls.h"
#include "platform/trap/site.h"
#include "platform/trap/trap.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/take.h"

#define SLOT (0x7eull << 40)

static struct aspace as; /* without a process: what goes to guest memory itself fails */
static struct stub stub = { .as = &as };

static void scatter(struct take *t, uint8_t *block)
{
    for (unsigned k = take8(t) % 16; k > 0; k--) {
        size_t at = take16(t), n;
        const uint8_t *p = take_bytes(t, take8(t) % 64, &n);

        if (n && n <= BLOCK_SIZE - at)
            memcpy(block + at, p, n);
    }
}

static void use_light(struct take *t, struct ctx *c)
{
    char buf[256];

    light_take(c);
    for (unsigned k = take8(t) % 16; k > 0; k--) {
        gaddr_t at = take8(t) & 1 ? c->lent_in + take8(t) : c->lent_out + take16(t) % 8500u;
        size_t n = take8(t);

        memset(buf, 'x', sizeof buf);
        if (take8(t) & 1)
            (void)ctx_read(c, at, buf, n);
        else
            (void)ctx_write(c, at, buf, n);
    }
    if (take8(t) & 1)
        light_complete(c);
    light_put(c);
}

static void use_frame(struct take *t, struct ctx *c)
{
    static uint8_t image[BLOCK_SIZE];
    size_t n;

    if ((take8(t) & 1 ? frame_take(c) : frame_take_rest(c)) < 0)
        return;
    n = frame_fpu_size(c);
    if (n > BLOCK_SIZE || (n && frame_fpu_get(c, image, n) < 0))
        abort();
    (void)frame_fpu_set(c, image, take16(t) % (BLOCK_SIZE + 1u));
    frame_fpu_reset(c);
    frame_put(c);
}

static void block(struct take *t)
{
    struct ctx c = { .stub = &stub, .index = take8(t) % 3u };
    uint8_t *bytes = calloc(1, BLOCK_SIZE);

    c.block = (struct block *)bytes;
    c.uc = BLOCK_SIZE - 1024;
    c.light = take8(t) & 1;
    for (unsigned k = 0; k < 3 && t->n; k++) {
        scatter(t, bytes);
        if (take8(t) & 1)
            use_light(t, &c);
        else
            use_frame(t, &c);
    }
    free(bytes);
}

static void site(struct take *t)
{
    struct site_code code = { .at = take8(t) % (2 * SITE_NEAR) };
    uint32_t nr = (uint32_t)take_int(t, 4);
    uint64_t arg7 = 7;
    struct regs r = { 0 };
    const uint8_t *p = take_bytes(t, sizeof code.bytes, &code.n);
    struct site s;

    if (code.n)
        memcpy(code.bytes, p, code.n);
    if (!site_recognise(&code, nr, &s))
        return;
    if (s.n < 2 || s.n > sizeof s.displaced || s.n > code.at ||
        memcmp(s.displaced, code.bytes + code.at - s.n, s.n))
        abort();
    (void)site_run(&s, &r, nr & 1 ? &arg7 : NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct take t = { p, n };

    stubs.slot = SLOT;
    trap.light_exit = 0x100;
    trap.light_end = 0x200;
    trap.light_framed = 0x300;
    stub_memory_init(&as.mem, aspace_pid);
    if (!as.stubs.next)
        as.stubs.next = as.stubs.prev = &as.stubs;
    if (take8(&t) & 1)
        site(&t);
    else
        block(&t);
    return 0;
}

static size_t seed_site(unsigned i, uint8_t *buf)
{
    static const uint8_t forms[][10] = {
        { 7, 0xb8, 39, 0, 0, 0, 0x0f, 0x05 },
        { 9, 0x48, 0xc7, 0xc0, 39, 0, 0, 0, 0x0f, 0x05 },
        { 7, 0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05 },
        { 8, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x0f, 0x05 },
        { 4, 0x31, 0xc0, 0x0f, 0x05 },
    };
    const uint8_t *f = forms[i % 5];

    memset(buf, 0x90, 60);
    buf[0] = 1;
    buf[1] = (uint8_t)(16 + f[0] - 2);
    memcpy(buf + 2, "\47\0\0\0", 4);
    memcpy(buf + 6 + 16, f + 1, f[0]);
    if (i % 5 == 4)
        memcpy(buf + 6 + 20, "\x48\x3d\0\xf0\xff\xff\x77\x0e\xc3\x0f\x1f\x44\0", 13);
    return 60;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    struct light_call call = { .nr = i / 2 % 450, .in_len = i % 300, .out_cap = i * 7 % 9000 };
    size_t n = 0, at = offsetof(struct block, call);

    if (cap < 128)
        return 0;
    if (i % 4 == 0)
        return seed_site(i / 4, buf);
    for (unsigned k = 0; k < 6; k++)
        call.args[k] = k == i % 3 ? 0x10000 : 300 + i % 9000;
    buf[n++] = 0;
    buf[n++] = 0;
    buf[n++] = 1;
    buf[n++] = 2;
    buf[n++] = (uint8_t)at;
    buf[n++] = (uint8_t)(at >> 8);
    buf[n++] = 63;
    memcpy(buf + n, &call, 63);
    n += 63;
    at = offsetof(struct block, sig);
    buf[n++] = (uint8_t)at;
    buf[n++] = (uint8_t)(at >> 8);
    buf[n++] = 8;
    memcpy(buf + n, i & 1 ? "\37\0\0\0\0\xf0\0\0" : "\13\0\0\0\0\x90\0\0", 8);
    n += 8;
    buf[n++] = i % 3 != 0;
    for (unsigned k = 0; k < 12; k++)
        buf[n++] = (uint8_t)(i >> k % 8);
    return n;
}
