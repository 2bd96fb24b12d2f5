/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths: of a file and a link that the driver has made in the current directory, which every side
 * sees, and of names that are not there. All are asked for once before the clock runs.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define FOUND "work/one"
#define LINK "work/link"
#define MISSING "work/none"

static void stat_path(const struct row *row)
{
    struct stat st;
    int r = stat(row->a ? MISSING : FOUND, &st);
    if ((r == 0) == (row->a != 0))
        fail("stat");
}

static void access_path(const struct row *row)
{
    int r = access(row->a ? MISSING : FOUND, R_OK);
    if ((r == 0) == (row->a != 0))
        fail("access");
}

static void readlink_path(const struct row *row)
{
    char to[64];
    ssize_t r = readlink(row->a ? MISSING : LINK, to, sizeof to);
    if ((r > 0) == (row->a != 0))
        fail("readlink");
}

static void open_close(const struct row *row)
{
    (void)row;
    close((int)ok(open(FOUND, O_RDONLY), "open"));
}

static void open_missing(const struct row *row)
{
    (void)row;
    if (open(MISSING, O_RDONLY) >= 0)
        fail("open of what is missing");
}

static const struct row rows[] = {
    { "stat", each_us, stat_path, 10000, 0, 0 },
    { "stat-missing", each_us, stat_path, 10000, 1, 0 },
    { "access", each_us, access_path, 10000, 0, 0 },
    { "access-missing", each_us, access_path, 10000, 1, 0 },
    { "readlink", each_us, readlink_path, 10000, 0, 0 },
    { "readlink-missing", each_us, readlink_path, 10000, 1, 0 },
    { "open+close", each_us, open_close, 5000, 0, 0 },
    { "open-missing", each_us, open_missing, 10000, 0, 0 },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
