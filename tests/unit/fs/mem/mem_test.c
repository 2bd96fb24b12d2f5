/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs: names, contents in heap and memfd, holes, limits, attributes, and that nothing leaks. */
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sentry/fs/mem/mem.h"
#include "tests/unit/vfs/fake.h"

static ssize_t wr(struct file *f, const void *p, size_t n, loff_t pos)
{
    struct iter it;

    iter_kernel(&it, (void *)p, n);
    return f->ops->write(fake, f, &it, &pos);
}

static void check_bytes(struct file *f, loff_t pos, size_t n, int c)
{
    char buf[8192];
    ssize_t got = vfs_read_kernel(fake, f, buf, n, pos);

    ck_assert_int_eq(got, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(buf[i] == c, "byte %zu at %lld: %d, not %d", i, (long long)pos, buf[i], c);
}

static void fill(struct file *f, loff_t pos, size_t n, int c)
{
    char buf[8192];

    memset(buf, c, n);
    ck_assert_int_eq(wr(f, buf, n, pos), n);
}

static uint64_t size_of(struct file *f)
{
    struct kstat st;

    ck_assert_int_eq(vfs_getattr(fake, &f->path, &st), 0);
    return st.size;
}

static uint64_t blocks_of(struct file *f)
{
    struct kstat st;

    ck_assert_int_eq(vfs_getattr(fake, &f->path, &st), 0);
    return st.blocks;
}

/* The same story for a file in the heap and for one in a memfd. */
static void contents(bool mapped)
{
    struct file *f;

    fake_vfs();
    f = fake_open("/f", O_CREAT | O_RDWR);
    if (mapped) {
        struct mmap_request req = { .len = 4096, .prot = PROT_READ, .flags = MAP_PRIVATE };

        ck_assert_int_eq(f->ops->mmap(fake, f, &req), 0);
        ck_assert(req.ret_fd_owned);
        ck_assert_int_eq(write(req.ret_fd, "x", 1), -1); /* read-only */
        close(req.ret_fd);
    }
    fill(f, 0, 100, 'a');
    fill(f, 5000, 100, 'b');
    ck_assert_uint_eq(size_of(f), 5100);
    check_bytes(f, 0, 100, 'a');
    check_bytes(f, 100, 4900, 0);
    check_bytes(f, 5000, 100, 'b');
    fill(f, 0x10000, 4096, 'c');
    ck_assert_int_eq(f->ops->llseek(fake, f, 0, SEEK_HOLE), 0x2000);
    ck_assert_int_eq(f->ops->llseek(fake, f, 0x2000, SEEK_DATA), 0x10000);
    ck_assert_int_eq(f->ops->llseek(fake, f, 0x10000, SEEK_HOLE), 0x11000);
    ck_assert_int_eq(f->ops->llseek(fake, f, 0x11000, SEEK_DATA), -ENXIO);
    ck_assert_uint_eq(blocks_of(f), 3 * 8);
    ck_assert_int_eq(
        f->ops->fallocate(fake, f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 50, 5000), 0);
    check_bytes(f, 0, 50, 'a');
    check_bytes(f, 50, 5000, 0);
    check_bytes(f, 5050, 50, 'b');
    ck_assert_int_eq(f->ops->truncate(fake, f, 5060), 0);
    ck_assert_int_eq(f->ops->truncate(fake, f, 8000), 0);
    check_bytes(f, 5050, 10, 'b');
    check_bytes(f, 5060, 2940, 0);
    ck_assert_int_eq(f->ops->fallocate(fake, f, 0, 0, 20000), 0);
    ck_assert_uint_eq(size_of(f), 20000);
    ck_assert_uint_eq(blocks_of(f), 5 * 8);
    ck_assert_int_eq(f->ops->fallocate(fake, f, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -EOPNOTSUPP);
    ck_assert_int_eq(f->ops->truncate(fake, f, 1ll << 50), 0);
    ck_assert_int_eq(f->ops->llseek(fake, f, 0x8000, SEEK_DATA), -ENXIO);
    ck_assert_int_eq(f->ops->llseek(fake, f, 0x8000, SEEK_HOLE), 0x8000);
    ck_assert_int_eq(f->ops->llseek(fake, f, 0, SEEK_END), 1ll << 50);
    check_bytes(f, (1ll << 50) - 100, 100, 0);
    file_put(f);
}

START_TEST(contents_heap)
{
    contents(false);
}
END_TEST

START_TEST(contents_memfd)
{
    contents(true);
}
END_TEST

START_TEST(heap_to_memfd)
{
    struct mmap_request req = { .len = 4096, .prot = PROT_READ | PROT_WRITE, .flags = MAP_SHARED };
    struct file *f;
    char *p;

    fake_vfs();
    f = fake_open("/f", O_CREAT | O_RDWR);
    fill(f, 0, 300, 'a');
    fill(f, 9000, 10, 'b');
    ck_assert_int_eq(f->ops->mmap(fake, f, &req), 0);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, req.ret_fd, 0);
    ck_assert(p != MAP_FAILED);
    ck_assert_int_eq(p[299], 'a');
    ck_assert_int_eq(p[300], 0);
    p[0] = 'z';
    check_bytes(f, 0, 1, 'z');
    fill(f, 1, 1, 'y');
    ck_assert_int_eq(p[1], 'y');
    check_bytes(f, 9000, 10, 'b');
    munmap(p, 4096);
    file_put(f);
}
END_TEST

START_TEST(large_goes_to_memfd)
{
    struct file *f;

    fake_vfs();
    f = fake_open("/f", O_CREAT | O_RDWR);
    fill(f, 10, 10, 'a');
    fill(f, DATA_HEAP_MAX - 100, 200, 'b');
    ck_assert_int_ge(mem_node(f->inode)->data.fd, 0);
    check_bytes(f, 10, 10, 'a');
    check_bytes(f, DATA_HEAP_MAX - 100, 200, 'b');
    file_put(f);
}
END_TEST

START_TEST(limit)
{
    struct path p;
    struct file *f;
    char buf[8192] = "";
    ssize_t n, sum = 0;

    fake_vfs();
    MKDIR("/small");
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/small", 0, &p), 0);
    ck_assert_int_eq(vfs_mount(tmpfs_new(0755, 65536), &p, 0, "t", NULL), 0);
    path_put(&p);
    f = fake_open("/small/f", O_CREAT | O_RDWR);
    while ((n = wr(f, buf, sizeof buf, sum)) > 0)
        sum += n;
    ck_assert_int_eq(n, -ENOSPC);
    ck_assert_int_eq(sum, 65536);
    ck_assert_int_eq(f->ops->truncate(fake, f, 0), 0);
    ck_assert_int_eq(wr(f, buf, sizeof buf, 0), sizeof buf);
    file_put(f);
}
END_TEST

START_TEST(names)
{
    struct kstat st, st2;
    struct file *f;

    fake_vfs();
    MKDIR("/d");
    put_file("/d/a", "1");
    put_file("/d/b", "2");
    put_file("/d/c", "3");
    ck_assert_str_eq(names_of("/d", 0), "a b c ");
    ck_assert_str_eq(names_of("/d", 1), "a b c ");
    ck_assert_int_eq(UNLINK("/d/b"), 0);
    ck_assert_int_eq(UNLINK("/d/b"), -ENOENT);
    ck_assert_int_eq(LINK("/d/a", "/d/a2"), 0);
    ck_assert_int_eq(stat_of("/d/a", 0, &st), 0);
    ck_assert_uint_eq(st.nlink, 2);
    ck_assert_int_eq(RENAME("/d/a", "/d/a2", 0), 0); /* the same file: nothing */
    ck_assert_str_eq(names_of("/d", 0), "a c a2 ");
    ck_assert_int_eq(LINK("/d", "/dd"), -EPERM);
    ck_assert_int_eq(RMDIR("/d"), -ENOTEMPTY);
    ck_assert_int_eq(RMDIR("/d/a"), -ENOTDIR);
    ck_assert_int_eq(UNLINK("/d"), -EISDIR);
    ck_assert_int_eq(RMDIR("/d/."), -EINVAL);
    ck_assert_int_eq(RMDIR("/d/.."), -ENOTEMPTY);
    ck_assert_int_eq(RMDIR("/"), -EBUSY);
    MKDIR("/d/sub");
    ck_assert_int_eq(stat_of("/d", 0, &st), 0);
    ck_assert_uint_eq(st.nlink, 3);
    ck_assert_int_eq(vfs_mkdir_at(fake, AT_FDCWD, "/d/sub", 0755), -EEXIST);
    ck_assert_int_eq(vfs_mkdir_at(fake, AT_FDCWD, "/d/a/x", 0755), -ENOTDIR);
    ck_assert_int_eq(vfs_mkdir_at(fake, AT_FDCWD, "/none/x", 0755), -ENOENT);
    f = fake_open("/d/c", O_RDWR);
    ck_assert_int_eq(UNLINK("/d/c"), 0);
    ck_assert_int_eq(vfs_getattr(fake, &f->path, &st2), 0);
    ck_assert_uint_eq(st2.nlink, 0);
    check_bytes(f, 0, 1, '3');
    file_put(f);
    f = fake_open("/d", O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(UNLINK("/d/a"), 0);
    ck_assert_int_eq(UNLINK("/d/a2"), 0);
    ck_assert_int_eq(RMDIR("/d/sub"), 0);
    ck_assert_int_eq(RMDIR("/d"), 0);
    ck_assert_int_eq(vfs_mkdir_at(fake, AT_FDCWD, "/d/x", 0755), -ENOENT);
    file_put(f);
}
END_TEST

START_TEST(renames)
{
    struct kstat st;

    fake_vfs();
    MKDIR("/a");
    MKDIR("/a/sub");
    MKDIR("/b");
    put_file("/a/f", "f");
    put_file("/a/g", "g");
    ck_assert_int_eq(RENAME("/a", "/a/sub/x", 0), -EINVAL);
    ck_assert_int_eq(RENAME("/a/sub", "/a", 0), -ENOTEMPTY);
    ck_assert_int_eq(RENAME("/a/f", "/a/sub", 0), -EISDIR);
    ck_assert_int_eq(RENAME("/a/sub", "/a/f", 0), -ENOTDIR);
    ck_assert_int_eq(RENAME("/a/f", "/b/f/", 0), -ENOTDIR);
    ck_assert_int_eq(RENAME("/a/f", "/a/g", RENAME_NOREPLACE), -EEXIST);
    ck_assert_int_eq(RENAME("/a/f", "/a/h", RENAME_EXCHANGE), -ENOENT);
    ck_assert_int_eq(RENAME("/a/f", "/a/g", RENAME_EXCHANGE | RENAME_NOREPLACE), -EINVAL);
    ck_assert_int_eq(RENAME("/a/f", "/a/g", RENAME_EXCHANGE), 0);
    ck_assert_str_eq(get_file("/a/f"), "g");
    ck_assert_str_eq(get_file("/a/g"), "f");
    ck_assert_int_eq(RENAME("/a/sub", "/b/sub2", 0), 0);
    ck_assert_int_eq(stat_of("/a", 0, &st), 0);
    ck_assert_uint_eq(st.nlink, 2);
    ck_assert_int_eq(stat_of("/b", 0, &st), 0);
    ck_assert_uint_eq(st.nlink, 3);
    ck_assert_int_eq(RENAME("/b/sub2", "/b/f", RENAME_EXCHANGE), -ENOENT);
    ck_assert_int_eq(RENAME("/a/f", "/b/sub2", RENAME_EXCHANGE), 0);
    ck_assert_str_eq(get_file("/b/sub2"), "g");
    ck_assert_int_eq(exists("/a/f/.."), 0);
    ck_assert_int_eq(RENAME("/a/g", "/b/sub2", 0), 0);
    ck_assert_str_eq(get_file("/b/sub2"), "f");
    ck_assert_int_eq(exists("/a/g"), -ENOENT);
    MKDIR("/a/e1");
    MKDIR("/b/e2");
    put_file("/a/e1/in", "in");
    ck_assert_int_eq(RENAME("/a/e1", "/b/e2", 0), 0);
    ck_assert_str_eq(get_file("/b/e2/in"), "in");
    ck_assert_int_eq(RENAME("/", "/x", 0), -EBUSY);
    ck_assert_int_eq(RENAME("/a", "/b/..", 0), -EBUSY);
}
END_TEST

START_TEST(tmpfiles)
{
    struct file *f;
    struct path p;
    struct kstat st;

    fake_vfs();
    MKDIR("/d");
    f = fake_open("/d", O_TMPFILE | O_RDWR);
    ck_assert(!IS_ERR(f));
    fill(f, 0, 3, 'q');
    ck_assert_str_eq(names_of("/d", 0), "");
    ck_assert_int_eq(vfs_getattr(fake, &f->path, &st), 0);
    ck_assert_uint_eq(st.nlink, 0);
    p = f->path;
    (void)p;
    ck_assert_int_eq(vfs_link_at(fake, fd_install(fake, file_ref(f), 0, false), "", AT_FDCWD,
                                 "/d/n", AT_EMPTY_PATH),
                     0);
    ck_assert_str_eq(get_file("/d/n"), "qqq");
    file_put(f);
}
END_TEST

START_TEST(attributes)
{
    struct kstat st;
    struct path p;
    struct setattr a = { .valid = ATTR_MODE, .mode = 06755 };

    fake_vfs();
    put_file("/f", "x");
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/f", 0, &p), 0);
    ck_assert_int_eq(vfs_setattr(fake, &p, &a), 0);
    ck_assert_int_eq(stat_of("/f", 0, &st), 0);
    ck_assert_uint_eq(st.mode, S_IFREG | 06755);
    a = (struct setattr){ .valid = ATTR_CHOWN | ATTR_UID, .uid = 5 };
    ck_assert_int_eq(vfs_setattr(fake, &p, &a), 0);
    ck_assert_int_eq(stat_of("/f", 0, &st), 0);
    ck_assert_uint_eq(st.mode, S_IFREG | 0755); /* set-id bits go with the owner */
    ck_assert_uint_eq(st.uid, 5);
    ck_assert_int_eq(vfs_setxattr(fake, &p, "user.a", "val", 3, 0), 0);
    ck_assert_int_eq(vfs_setxattr(fake, &p, "user.a", "val", 3, XATTR_CREATE), -EEXIST);
    ck_assert_int_eq(vfs_setxattr(fake, &p, "user.b", "val", 3, XATTR_REPLACE), -ENODATA);
    ck_assert_int_eq(vfs_setxattr(fake, &p, "bad.b", "val", 3, 0), -EOPNOTSUPP);
    ck_assert_int_eq(vfs_setxattr(fake, &p, "system.posix_acl_access", "v", 1, 0), -EINVAL);
    ck_assert_int_eq(vfs_getxattr(fake, p.dentry->inode, "user.a", NULL, 0), 3);
    ck_assert_int_eq(vfs_listxattr(fake, p.dentry->inode, NULL, 0), 7);
    ck_assert_int_eq(vfs_removexattr(fake, &p, "user.a"), 0);
    ck_assert_int_eq(vfs_removexattr(fake, &p, "user.a"), -ENODATA);
    path_put(&p);
}
END_TEST

START_TEST(deep_tree_ends)
{
    struct path at, p;
    size_t before;
    struct super *sb;

    fake_vfs();
    MKDIR("/m");
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/m", 0, &at), 0);
    before = kcharged();
    sb = tmpfs_new(0755, 0);
    ck_assert_int_eq(vfs_mount(sb, &at, 0, "t", NULL), 0);
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/m", 0, &p), 0);
    for (int i = 0; i < 20000; i++) { /* as deep as chdir can go */
        struct path next;

        path_put(&fake->fs->cwd);
        fake->fs->cwd = p;
        ck_assert_int_eq(vfs_mkdir_at(fake, AT_FDCWD, "d", 0755), 0);
        ck_assert_int_eq(walk_path(fake, AT_FDCWD, "d", 0, &next), 0);
        p = next;
    }
    path_put(&p);
    path_put(&fake->fs->cwd);
    fake->fs->cwd = path_ref(fake->fs->root);
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/m", 0, &p), 0);
    ck_assert_int_eq(vfs_umount(p.mnt), 0);
    path_put(&p);
    ck_assert_uint_eq(kcharged(), before);
    path_put(&at);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/mem");
    TCase *tc = tcase_create("mem");

    tcase_add_test(tc, contents_heap);
    tcase_add_test(tc, contents_memfd);
    tcase_add_test(tc, heap_to_memfd);
    tcase_add_test(tc, large_goes_to_memfd);
    tcase_add_test(tc, limit);
    tcase_add_test(tc, names);
    tcase_add_test(tc, renames);
    tcase_add_test(tc, tmpfiles);
    tcase_add_test(tc, attributes);
    tcase_add_test(tc, deep_tree_ends);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
