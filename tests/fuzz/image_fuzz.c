/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: an input is one, squashfs or EROFS, that is mounted and then looked at whole: each directory
 * (a few levels deep, some names of each) is listed, each name asked for, read, mapped and its
 * attributes listed. Seeds are built here, with nothing in them packed; the corpus has some of mksquashfs
 * and mkfs.erofs.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/fuzz/args.h"
#include "tests/fuzz/fuzz.h"

#define OUT (MOCK_DATA + 0x20000)
#define DIRS 12
#define NAMES 24
#define FILE_MAX 0x8000

static gaddr_t put(struct args *a, struct ctx *c, const char *s)
{
    return args_put(a, c, s, strlen(s) + 1);
}

static char dirs[DIRS][512];
static unsigned ndirs;

static void look_at_file(struct ctx *c, uint64_t fd)
{
    static const uint64_t places[] = { 1, 4095, 100000, 1ull << 33, (1ull << 63) - 1 };

    for (int i = 0; i < 8 && CALL(c, SYS_read, fd, OUT, 0x18000) > 0; i++)
        ;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        CALL(c, SYS_pread64, fd, OUT, 64, places[i]);
    CALL(c, SYS_lseek, fd, 0, SEEK_END);
    CALL(c, SYS_mmap, 0x20000000, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
}

static void look_at(struct ctx *c, const char *path)
{
    struct args a;
    struct stat st;
    long fd;

    args_init(&a);
    if (CALL(c, SYS_lstat, put(&a, c, path), OUT) < 0)
        return;
    if (mock_as_read(mock_aspace(c), OUT, &st, sizeof st) != sizeof st)
        return;
    CALL(c, SYS_listxattr, put(&a, c, path), OUT, 4096);
    CALL(c, SYS_getxattr, put(&a, c, path), put(&a, c, "user.a"), OUT, 4096);
    CALL(c, SYS_readlink, put(&a, c, path), OUT, 4096);
    if (S_ISDIR(st.st_mode) && ndirs < DIRS && strlen(path) < sizeof dirs[0]) {
        strcpy(dirs[ndirs++], path);
        return;
    }
    if (!S_ISREG(st.st_mode))
        return;
    fd = CALL(c, SYS_open, put(&a, c, path), O_RDONLY, 0);
    if (fd < 0)
        return;
    look_at_file(c, (uint64_t)fd);
    CALL(c, SYS_close, (uint64_t)fd);
}

static void list(struct ctx *c, const char *dir)
{
    static uint8_t buf[4096];
    char path[512 + 260];
    struct args a;
    unsigned seen = 0;
    long fd, n;

    args_init(&a);
    fd = CALL(c, SYS_open, put(&a, c, dir), O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return;
    while (seen < NAMES && (n = CALL(c, SYS_getdents64, (uint64_t)fd, OUT, sizeof buf)) > 0) {
        if (mock_as_read(mock_aspace(c), OUT, buf, (size_t)n) != n)
            break;
        for (long at = 0; at < n && seen < NAMES; seen++) {
            const struct dirent64 *d = (const struct dirent64 *)(const void *)(buf + at);

            at += d->d_reclen;
            if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
                continue;
            snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
            look_at(c, path);
        }
    }
    CALL(c, SYS_close, (uint64_t)fd);
    args_init(&a);
    snprintf(path, sizeof path, "%s/not there", dir);
    CALL(c, SYS_access, put(&a, c, path), F_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct args a;
    struct ctx *c;

    mock_boot();
    c = mock_spawn();
    args_init(&a);
    mock_file(c, "/d/i", p, n < FILE_MAX ? n : FILE_MAX);
    CALL(c, SYS_mkdir, put(&a, c, "/d/m"), 0755);
    for (int k = 0; k < 2; k++)
        CALL(c, SYS_mount, put(&a, c, "/d/i"), put(&a, c, "/d/m"),
             put(&a, c, k ? "erofs" : "squashfs"), 0, 0);
    strcpy(dirs[0], "/d/m");
    ndirs = 1;
    for (unsigned i = 0; i < ndirs; i++)
        list(c, dirs[i]);
    CALL(c, SYS_statfs, put(&a, c, "/d/m"), OUT);
    mock_ctx_put(c);
    mock_end();
    return 0;
}

/* ---- seeds ---- */

struct out {
    uint8_t *p;
    size_t n, cap;
};

static void bytes(struct out *o, const void *p, size_t n)
{
    if (n <= o->cap - o->n)
        memcpy(o->p + o->n, p, n);
    o->n += n <= o->cap - o->n ? n : 0;
}

static void num(struct out *o, uint64_t v, unsigned n)
{
    bytes(o, &v, n);
}

static void upto(struct out *o, size_t n)
{
    while (o->n < n && o->n < o->cap)
        num(o, 0, 1);
}

#define EB 512u /* an EROFS block */

static void erofs_inode(struct out *o, unsigned layout, unsigned mode, uint32_t size, uint32_t u)
{
    num(o, layout << 1, 2);
    num(o, 0, 2);
    num(o, mode, 2);
    num(o, S_ISDIR(mode) ? 2 : 1, 2);
    num(o, size, 4);
    num(o, 0, 4);
    num(o, u, 4);
    num(o, 1, 4);
    num(o, 0, 8);
}

/* Inodes are 32 bytes from block 3 on: 0 the root, 4 a file inline, 8 a link, 12 packed, 20 chunks. */
static size_t erofs_seed(unsigned i, struct out *o)
{
    static const char names[] = "...abcdef";
    static const uint8_t ends[] = { 1, 3, 4, 5, 6, 7, 8 };
    static const uint8_t nids[] = { 0, 0, 4, 8, 12, 20, 24 };
    const unsigned n = 7, head = n * 12;
    uint32_t super[32] = { 0xe0f5e1e2, 0, 0, 9, 6 };

    super[3] = 9;
    super[9] = 8;
    super[10] = 3;
    super[20] = i & 2 ? 1 : 0;
    upto(o, 1024);
    bytes(o, super, sizeof super);
    upto(o, 3 * EB);
    erofs_inode(o, 2, S_IFDIR | 0755, head + 8, 0);
    for (unsigned k = 0; k < n; k++) {
        num(o, nids[k], 8);
        num(o, head + (k ? ends[k - 1] : 0), 2);
        num(o, k < 2 ? 2 : 1, 2);
    }
    bytes(o, names, 8);
    upto(o, 3 * EB + 4 * 32);
    erofs_inode(o, 2, S_IFREG | 0644, 40, 0);
    bytes(o, "some text that lies behind its own inode", 40);
    upto(o, 3 * EB + 8 * 32);
    erofs_inode(o, 2, S_IFLNK | 0777, 1, 0);
    bytes(o, "a", 1);
    upto(o, 3 * EB + 12 * 32);
    erofs_inode(o, 1, S_IFREG | 0644, 700, 1);
    num(o, 0, 8); /* the map's head; its algorithm is LZ4 */
    num(o, 0, 8);
    num(o, 1, 2); /* something packed begins */
    num(o, 0, 2);
    num(o, 7, 4);
    num(o, i & 4 ? 2 : 0, 2); /* and goes on, or as it is */
    num(o, i & 4 ? 0 : 100, 2);
    num(o, i & 4 ? 1 : 6, 4);
    upto(o, 3 * EB + 20 * 32);
    erofs_inode(o, 4, S_IFREG | 0644, 1500, i & 8 ? 32 : 0);
    for (unsigned k = 0; k < 3; k++) {
        if (i & 8)
            num(o, 0, 4);
        num(o, k == 1 ? 0xffffffff : 5 + k, 4);
    }
    upto(o, 3 * EB + 24 * 32);
    erofs_inode(o, 0, S_IFREG | 0644, 900, 5);
    upto(o, 7 * EB);
    num(o, 0x1f, 1); /* LZ4: one byte, and it again */
    num(o, 'x', 1);
    num(o, 1, 2);
    num(o, 255, 1);
    num(o, 255, 1);
    num(o, 100, 1);
    upto(o, 8 * EB);
    return o->n;
}

/* Metadata of n bytes as they are. */
static void meta(struct out *o, const struct out *m)
{
    num(o, 0x8000 | m->n, 2);
    bytes(o, m->p, m->n);
}

static void sq_inode(struct out *m, unsigned type, unsigned mode, unsigned number)
{
    num(m, type, 2);
    num(m, mode, 2);
    num(m, 0, 4);
    num(m, 0, 4);
    num(m, number, 4);
}

/* Data at 96, then inodes, names, fragments, owners. */
static size_t squashfs_seed(unsigned i, struct out *o)
{
    static uint8_t ibuf[512], dbuf[256];
    static const uint8_t packings[] = { 1, 4, 5, 6 };
    struct out m = { ibuf, 0, sizeof ibuf }, d = { dbuf, 0, sizeof dbuf };
    const uint64_t data = 96, end_data = data + 100;
    uint64_t dirs_at, fragments, ids, at_file, at_link, at_dev, at_root;

    at_file = m.n;
    sq_inode(&m, 2, 0644, 2);
    num(&m, end_data, 4); /* no blocks of its own, the fragment's bytes from 10 on */
    num(&m, 0, 4);
    num(&m, 10, 4);
    num(&m, 60, 4);
    at_link = m.n;
    sq_inode(&m, 3, 0777, 3);
    num(&m, 1, 4);
    num(&m, 1, 4);
    bytes(&m, "a", 1);
    at_dev = m.n;
    if (i & 2) { /* or a long file with a hole and a block */
        sq_inode(&m, 9, 0644, 4);
        num(&m, data, 8);
        num(&m, 4096 + 100, 8);
        num(&m, 4096, 8);
        num(&m, 1, 4);
        num(&m, 0xffffffff, 4);
        num(&m, 0, 4);
        num(&m, 0xffffffff, 4);
        num(&m, 0, 4);
        num(&m, 100 | 1 << 24, 4);
    } else {
        sq_inode(&m, 5, 0600, 4);
        num(&m, 1, 4);
        num(&m, 0x103, 4);
    }
    at_root = m.n;
    num(&d, 2, 4);
    num(&d, 0, 4);
    num(&d, 2, 4);
    for (unsigned k = 0; k < 3; k++) {
        num(&d, k == 0 ? at_file : k == 1 ? at_link : at_dev, 2);
        num(&d, k, 2);
        num(&d, k == 0 ? 2 : k == 1 ? 3 : i & 2 ? 2 : 5, 2);
        num(&d, 0, 2);
        num(&d, 'a' + k, 1);
    }
    sq_inode(&m, 1, 0755, 1);
    num(&m, 0, 4);
    num(&m, 2, 4);
    num(&m, d.n + 3, 2);
    num(&m, 0, 2);
    num(&m, 5, 4);

    upto(o, end_data);
    uint64_t inodes = o->n;
    meta(o, &m);
    dirs_at = o->n;
    meta(o, &d);
    struct out e = { dbuf, 0, sizeof dbuf };
    num(&e, data, 8);
    num(&e, 100 | 1 << 24, 4);
    num(&e, 0, 4);
    uint64_t block = o->n;
    meta(o, &e);
    fragments = o->n;
    num(o, block, 8);
    e.n = 0;
    num(&e, 0, 4);
    block = o->n;
    meta(o, &e);
    ids = o->n;
    num(o, block, 8);

    struct out s = { o->p, 0, 96 };
    num(&s, 0x73717368, 4);
    num(&s, 4, 4);
    num(&s, 0, 4);
    num(&s, 4096, 4);
    num(&s, 1, 4);
    num(&s, packings[i / 4 % 4], 2);
    num(&s, 12, 2);
    num(&s, 0, 2);
    num(&s, 1, 2);
    num(&s, 4, 2);
    num(&s, 0, 2);
    num(&s, at_root, 8);
    num(&s, o->n, 8);
    num(&s, ids, 8);
    num(&s, UINT64_MAX, 8);
    num(&s, inodes, 8);
    num(&s, dirs_at, 8);
    num(&s, fragments, 8);
    num(&s, UINT64_MAX, 8);
    return o->n;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    struct out o = { buf, 0, cap };

    return i & 1 ? erofs_seed(i, &o) : squashfs_seed(i, &o);
}
