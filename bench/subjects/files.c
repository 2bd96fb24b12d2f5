/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes of 1 byte to 1 MiB in a file of 1 MiB: in memory (tmpfs), a new one in the current
 * directory (an overlay, where the side has one), and one of the host's that is only read.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define K 1024
#define M 1048576L
#define HOST_FILE "work/1MiB"
#define HOST_DIR "work/names"

enum { TMPFS, OVERLAY, HOST };

static int fd;
static long at;
static char buf[M];

static void open_file(long where)
{
    char path[64] = "work/new-XXXXXX";
    if (where == TMPFS)
        snprintf(path, sizeof path, "%s/bench-XXXXXX", memory_dir());
    if (where == HOST) {
        fd = (int)ok(open(HOST_FILE, O_RDONLY), HOST_FILE);
    } else {
        fd = (int)ok(mkstemp(path), "mkstemp");
        unlink(path);
        memset(buf, 'x', sizeof buf);
        write_all(fd, buf, sizeof buf);
    }
    at = M;
}

/* a: bytes, b: where the file lies */
static void one_file(const struct row *row)
{
    open_file(row->b);
    each_us(row);
    close(fd);
}

static void rewind_at_end(long bytes)
{
    if (at + bytes > M)
        at = ok(lseek(fd, 0, SEEK_SET), "lseek");
    at += bytes;
}

static void do_read(const struct row *row)
{
    rewind_at_end(row->a);
    if (read(fd, buf, (size_t)row->a) != row->a)
        fail("read");
}

static void do_write(const struct row *row)
{
    rewind_at_end(row->a);
    if (write(fd, buf, (size_t)row->a) != row->a)
        fail("write");
}

static void do_pread(const struct row *row)
{
    if (pread(fd, buf, (size_t)row->a, 0) != row->a)
        fail("pread");
}

static void do_lseek(const struct row *row)
{
    (void)row;
    ok(lseek(fd, at ^= 1, SEEK_SET), "lseek");
}

static void do_fstat(const struct row *row)
{
    struct stat st;
    (void)row;
    ok(fstat(fd, &st), "fstat");
}

static void do_getdents(const struct row *row)
{
    long n;
    (void)row;
    ok(lseek(fd, 0, SEEK_SET), "lseek");
    do {
        n = ok(syscall(SYS_getdents64, fd, buf, 32 * K), "getdents64");
    } while (n > 0);
}

static void one_dir(const struct row *row)
{
    fd = (int)ok(open(HOST_DIR, O_RDONLY | O_DIRECTORY), HOST_DIR);
    each_us(row);
    close(fd);
}

static const struct row rows[] = {
    { "read-1-tmpfs", one_file, do_read, 10000, 1, TMPFS },
    { "read-4K-tmpfs", one_file, do_read, 10000, 4 * K, TMPFS },
    { "read-64K-tmpfs", one_file, do_read, 2200, 64 * K, TMPFS },
    { "read-1M-tmpfs", one_file, do_read, 220, M, TMPFS },
    { "read-1-overlay", one_file, do_read, 10000, 1, OVERLAY },
    { "read-4K-overlay", one_file, do_read, 10000, 4 * K, OVERLAY },
    { "read-64K-overlay", one_file, do_read, 2200, 64 * K, OVERLAY },
    { "read-1M-overlay", one_file, do_read, 220, M, OVERLAY },
    { "read-1-host", one_file, do_read, 10000, 1, HOST },
    { "read-4K-host", one_file, do_read, 10000, 4 * K, HOST },
    { "read-64K-host", one_file, do_read, 2200, 64 * K, HOST },
    { "read-1M-host", one_file, do_read, 220, M, HOST },
    { "write-1-tmpfs", one_file, do_write, 10000, 1, TMPFS },
    { "write-4K-tmpfs", one_file, do_write, 10000, 4 * K, TMPFS },
    { "write-64K-tmpfs", one_file, do_write, 2200, 64 * K, TMPFS },
    { "write-1M-tmpfs", one_file, do_write, 220, M, TMPFS },
    { "write-1-overlay", one_file, do_write, 10000, 1, OVERLAY },
    { "write-4K-overlay", one_file, do_write, 10000, 4 * K, OVERLAY },
    { "write-64K-overlay", one_file, do_write, 2200, 64 * K, OVERLAY },
    { "write-1M-overlay", one_file, do_write, 220, M, OVERLAY },
    { "pread-1-tmpfs", one_file, do_pread, 10000, 1, TMPFS },
    { "pread-4K-tmpfs", one_file, do_pread, 10000, 4 * K, TMPFS },
    { "pread-64K-tmpfs", one_file, do_pread, 2200, 64 * K, TMPFS },
    { "pread-1M-tmpfs", one_file, do_pread, 220, M, TMPFS },
    { "pread-1-overlay", one_file, do_pread, 10000, 1, OVERLAY },
    { "pread-4K-overlay", one_file, do_pread, 10000, 4 * K, OVERLAY },
    { "pread-64K-overlay", one_file, do_pread, 2200, 64 * K, OVERLAY },
    { "pread-1M-overlay", one_file, do_pread, 220, M, OVERLAY },
    { "pread-1-host", one_file, do_pread, 10000, 1, HOST },
    { "pread-4K-host", one_file, do_pread, 10000, 4 * K, HOST },
    { "pread-64K-host", one_file, do_pread, 2200, 64 * K, HOST },
    { "pread-1M-host", one_file, do_pread, 220, M, HOST },
    { "lseek", one_file, do_lseek, 10000, 0, HOST },
    { "fstat", one_file, do_fstat, 10000, 0, HOST },
    { "getdents-1000", one_dir, do_getdents, 550, 0, 0 },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
