/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking, by the libraries that sbx was built with; a way that is missing is refused when an image
 * that needs it is mounted, as by a Linux that was built without. Memory that they want is the
 * sandbox's, and bounded: what is unpacked is at most IMAGE_BLOCK_MAX.
 */
#include <errno.h>
#include <string.h>

#include "sentry/fs/image/image.h"
#include "sentry/kernel/alloc.h"

#ifdef SBX_WITH_ZLIB
#include <zlib.h>

static void *zlib_alloc(void *arg, unsigned n, unsigned size)
{
    (void)arg;
    return size && n > 65536 * 16 / size ? NULL : kzalloc((size_t)n * size);
}

static void zlib_free(void *arg, void *p)
{
    (void)arg;
    kfree(p);
}

static ssize_t zlib_unpack(int window, const uint8_t *from, size_t n, uint8_t *to, size_t cap)
{
    z_stream z = { .zalloc = zlib_alloc, .zfree = zlib_free };
    ssize_t done;
    int r;

    z.next_in = (unsigned char *)(uintptr_t)from;
    z.avail_in = (unsigned)n;
    z.next_out = to;
    z.avail_out = (unsigned)cap;
    if (inflateInit2(&z, window) != Z_OK)
        return -ENOMEM;
    r = inflate(&z, Z_FINISH);
    done = (ssize_t)(cap - z.avail_out);
    (void)inflateEnd(&z);
    return r == Z_STREAM_END || (r == Z_BUF_ERROR && z.avail_out == 0) ? done : -EIO;
}
#endif

#ifdef SBX_WITH_LZ4
#include <lz4.h>
#endif

#ifdef SBX_WITH_ZSTD
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

static void *zstd_alloc(void *arg, size_t n)
{
    (void)arg;
    return kzalloc(n);
}

static void zstd_free(void *arg, void *p)
{
    (void)arg;
    kfree(p);
}

static ssize_t zstd_unpack(const uint8_t *from, size_t n, uint8_t *to, size_t cap)
{
    ZSTD_DCtx *d = ZSTD_createDCtx_advanced((ZSTD_customMem){ zstd_alloc, zstd_free, NULL });
    size_t r;

    if (!d)
        return -ENOMEM;
    r = ZSTD_decompressDCtx(d, to, cap, from, n);
    ZSTD_freeDCtx(d);
    return ZSTD_isError(r) ? -EIO : (ssize_t)r;
}
#endif

#ifdef SBX_WITH_LZMA
#include <lzma.h>

#define LZMA_MEMORY (16u << 20)

static void *lzma_get(void *arg, size_t n, size_t size)
{
    (void)arg;
    return size && n > LZMA_MEMORY / size ? NULL : kzalloc(n * size);
}

static void lzma_give(void *arg, void *p)
{
    (void)arg;
    kfree(p);
}

static const lzma_allocator memory = { lzma_get, lzma_give, NULL };

static ssize_t xz_unpack(const uint8_t *from, size_t n, uint8_t *to, size_t cap)
{
    uint64_t limit = LZMA_MEMORY;
    size_t in = 0, out = 0;
    lzma_ret r = lzma_stream_buffer_decode(&limit, 0, &memory, from, &in, n, to, &out, cap);

    return r == LZMA_OK ? (ssize_t)out : r == LZMA_MEM_ERROR ? -ENOMEM : -EIO;
}

static ssize_t microlzma_unpack(const uint8_t *from, size_t n, uint8_t *to, size_t cap)
{
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_ret r;

    s.allocator = &memory;
    if (lzma_microlzma_decoder(&s, n, cap, /* uncomp_size_is_exact= */ false, 8u << 20) != LZMA_OK)
        return -ENOMEM;
    s.next_in = from;
    s.avail_in = n;
    s.next_out = to;
    s.avail_out = cap;
    r = lzma_code(&s, LZMA_FINISH);
    lzma_end(&s);
    return r == LZMA_STREAM_END || (r == LZMA_OK && s.avail_out == 0) ? (ssize_t)(cap - s.avail_out)
                                                                      : -EIO;
}
#endif

bool image_can_unpack(unsigned packing)
{
    switch (packing & ~(unsigned)PACK_PADDED) {
    case PACK_NONE:
        return true;
#ifdef SBX_WITH_ZLIB
    case PACK_ZLIB:
    case PACK_DEFLATE:
        return true;
#endif
#ifdef SBX_WITH_LZ4
    case PACK_LZ4:
        return true;
#endif
#ifdef SBX_WITH_ZSTD
    case PACK_ZSTD:
        return true;
#endif
#ifdef SBX_WITH_LZMA
    case PACK_XZ:
    case PACK_MICROLZMA:
        return true;
#endif
    default:
        return false;
    }
}

ssize_t image_unpack(unsigned packing, const uint8_t *from, size_t n, uint8_t *to, size_t cap)
{
    while (packing & PACK_PADDED && n && !*from)
        from++, n--;
    switch (packing & ~(unsigned)PACK_PADDED) {
#ifdef SBX_WITH_ZLIB
    case PACK_ZLIB:
        return zlib_unpack(15, from, n, to, cap);
    case PACK_DEFLATE:
        return zlib_unpack(-15, from, n, to, cap);
#endif
#ifdef SBX_WITH_LZ4
    case PACK_LZ4: {
        int r = LZ4_decompress_safe_partial((const char *)from, (char *)to, (int)n, (int)cap,
                                            (int)cap);

        return r < 0 ? -EIO : r;
    }
#endif
#ifdef SBX_WITH_ZSTD
    case PACK_ZSTD:
        return zstd_unpack(from, n, to, cap);
#endif
#ifdef SBX_WITH_LZMA
    case PACK_XZ:
        return xz_unpack(from, n, to, cap);
    case PACK_MICROLZMA:
        return microlzma_unpack(from, n, to, cap);
#endif
    default:
        return -EIO;
    }
}
