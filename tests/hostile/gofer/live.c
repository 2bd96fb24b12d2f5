/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/hostile/gofer/live.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "abi/types.h"

#define PAST 1000000000 /* canaries' times: a second in 2001 */

/* ---- the judge, in the test program ---- */

void canaries_prepare(void)
{
    const struct timespec ts[2] = { { PAST, 0 }, { PAST, 0 } };

    utimensat(AT_FDCWD, in_top("out/file"), ts, 0);
    utimensat(AT_FDCWD, in_top("out/canary"), ts, 0);
    utimensat(AT_FDCWD, in_top("out"), ts, 0);
}

static void canary(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_mtime != PAST)
        reached("%s is not as it was", path);
    if (listxattr(path, NULL, 0) > 0 && getxattr(path, "user.x", NULL, 0) >= 0)
        reached("%s has an attribute more", path);
}

static int in_tree(const char *path, const struct stat *st, int type, struct FTW *f)
{
    static const char *const stays[] = { "tree", "out", "single" };

    (void)type;
    if (f->level == 1) {
        bool known = false;
        for (unsigned i = 0; i < ARRAY_SIZE(stays); i++)
            known |= !strcmp(path + f->base, stays[i]);
        if (!known)
            reached("beside the tree there is %s", path);
    }
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
        reached("a device: %s", path);
    if (S_ISREG(st->st_mode) && st->st_mode & (S_ISUID | S_ISGID))
        reached("a set-id file: %s", path);
    if (S_ISREG(st->st_mode) && getxattr(path, "security.capability", NULL, 0) >= 0)
        reached("a file with capabilities: %s", path);
    return 0;
}

void canaries_judge(void)
{
    struct stat st;

    canary(in_top("out/file"));
    canary(in_top("out/canary"));
    if (stat(in_top("out"), &st) < 0 || st.st_mtime != PAST || (st.st_mode & 07777) != 0755)
        reached("the directory beside the tree is not as it was");
    nftw(board->top, in_tree, 16, FTW_PHYS);
}

/* ---- requests ---- */

int ask_make(uint64_t node, const char *path, struct gw_make m, const char *target)
{
    char buf[sizeof(m) + 1200];
    size_t n = strlen(path), more = target ? strlen(target) : 0;
    struct gw_request r = ch_request(GW_MAKE, node, sizeof(m) + n + more);

    r.arg = (uint32_t)n;
    memcpy(buf, &m, sizeof(m));
    memcpy(buf + sizeof(m), path, n);
    memcpy(buf + sizeof(m) + n, target ? target : "", more);
    return ch_ask(r, buf, r.len);
}

int ask_file(uint64_t node, const char *path)
{
    return ask_make(node, path, (struct gw_make){ .mode = S_IFREG | 0644, .open = O_RDWR }, NULL);
}

int ask_open(uint64_t node, const char *path, int flags)
{
    struct gw_request r = ch_request(GW_OPENAT, node, strlen(path));

    r.arg = (uint32_t)flags;
    int err = ch_ask(r, path, strlen(path));
    /* What is open for writing is written to: were it a canary, it would show. */
    if (err == 0 && ch.ans.fd >= 0 && flags & O_ACCMODE)
        (void)!pwrite(ch.ans.fd, "live", 4, 0);
    return err;
}

int ask_remove(uint64_t node, const char *path, bool dir)
{
    struct gw_request r = ch_request(GW_REMOVE, node, strlen(path));

    r.arg = dir;
    return ch_ask(r, path, strlen(path));
}

int ask_move(uint16_t op, uint64_t node, const char *from, uint64_t to, const char *name,
             unsigned flags)
{
    char buf[sizeof(struct gw_move) + 1200];
    struct gw_move m = { .to = to, .oldlen = (uint32_t)strlen(from), .flags = flags };

    memcpy(buf, &m, sizeof(m));
    int n = snprintf(buf + sizeof(m), sizeof(buf) - sizeof(m), "%s%s", from, name);
    struct gw_request r = ch_request(op, node, sizeof(m) + (size_t)n);
    return ch_ask(r, buf, r.len);
}

int ask_setattr(uint64_t node, const char *path, struct gw_setattr a)
{
    char buf[sizeof(a) + 600];
    struct gw_request r = ch_request(GW_SETATTR, node, sizeof(a) + strlen(path));

    memcpy(buf, &a, sizeof(a));
    memcpy(buf + sizeof(a), path, strlen(path));
    return ch_ask(r, buf, r.len);
}

int ask_setxattr(uint64_t node, const char *path, const char *name, const void *value, size_t n)
{
    char buf[sizeof(struct gw_setxattr) + 1000];
    struct gw_setxattr x = { .pathlen = (uint32_t)strlen(path), .namelen = (uint32_t)strlen(name) };
    struct gw_request r = ch_request(GW_SETXATTR, node, sizeof(x) + x.pathlen + x.namelen + n);

    memcpy(buf, &x, sizeof(x));
    memcpy(buf + sizeof(x), path, x.pathlen);
    memcpy(buf + sizeof(x) + x.pathlen, name, x.namelen);
    memcpy(buf + sizeof(x) + x.pathlen + x.namelen, value, n);
    return ch_ask(r, buf, r.len);
}

int ask_watch(uint64_t node, const char *path, struct gw_watch w)
{
    char buf[sizeof(w) + 600];
    struct gw_request r = ch_request(GW_WATCH, node, sizeof(w) + strlen(path));

    memcpy(buf, &w, sizeof(w));
    memcpy(buf + sizeof(w), path, strlen(path));
    return ch_ask(r, buf, r.len);
}

void ask_all(uint64_t node, const char *path)
{
    const struct gw_setattr sets[] = {
        { .valid = GW_SET_MODE, .mode = 0777 },
        { .valid = GW_SET_SIZE, .size = 3 },
        { .valid = GW_SET_ATIME | GW_SET_MTIME, .atime_s = 5, .mtime_s = 5 },
        { .valid = GW_SET_UID | GW_SET_GID, .uid = 54321, .gid = 54321 },
    };
    char value[8] = "x";

    for (unsigned i = 0; i < ARRAY_SIZE(sets); i++)
        ask_setattr(node, path, sets[i]);
    ask_setxattr(node, path, "user.x", value, 1);
    ask_open(node, path, O_RDONLY);
    ask_open(node, path, O_RDWR);
    ask_open(node, path, O_WRONLY | O_TRUNC);
    ask_move(GW_LINKAT, node, path, ch.root, "linked", 0);
    ask_move(GW_RENAME, ch.root, "dir/file", node, path, 0);
    ask_file(ch.root, "dir/file");
    ask_move(GW_LINKAT, ch.root, "dir/file", node, path, 0);
    ask_move(GW_RENAME, node, path, ch.root, "dir/moved", RENAME_NOREPLACE);
    ask_move(GW_RENAME, node, path, ch.root, "dir/file", RENAME_EXCHANGE);
    ask_remove(node, path, false);
    ask_remove(node, path, true);
    ask_file(node, path);
    ask_make(node, path, (struct gw_make){ .mode = S_IFDIR | 0755 }, NULL);
    ask_make(node, path, (struct gw_make){ .mode = S_IFLNK | 0777 }, "file");
    ask_make(node, path, (struct gw_make){ .mode = S_IFIFO | 0644 }, NULL);
    ch_path(GW_SYNC, node, path);
}
