/* SPDX-License-Identifier: Apache-2.0 */
/* Path walks: links, dots, slashes, mounts, openat2's fences, names of paths. */
#include <errno.h>

#include "tests/unit/vfs/fake.h"

static int walk(const char *path, unsigned flags)
{
    struct path p;
    int r = walk_path(fake, AT_FDCWD, path, flags, &p);

    if (r == 0)
        path_put(&p);
    return r;
}

START_TEST(links)
{
    fake_vfs();
    MKDIR("/a");
    MKDIR("/a/b");
    put_file("/a/b/f", "hello");
    LINKSYM("a/b", "/l");
    LINKSYM("/l/f", "/lf");
    LINKSYM("loop2", "/loop1");
    LINKSYM("loop1", "/loop2");
    LINKSYM("../b/../b/f", "/a/b/up");
    LINKSYM("/", "/root");
    LINKSYM("nowhere", "/dangling");
    ck_assert_str_eq(get_file("/l/f"), "hello");
    ck_assert_str_eq(get_file("/lf"), "hello");
    ck_assert_str_eq(get_file("/a/b/up"), "hello");
    ck_assert_str_eq(get_file("/root/root/root/lf"), "hello");
    ck_assert_int_eq(walk("/loop1", WALK_FOLLOW), -ELOOP);
    ck_assert_int_eq(walk("/loop1", 0), 0);
    ck_assert_int_eq(walk("/loop1/x", 0), -ELOOP);
    ck_assert_int_eq(walk("/dangling", WALK_FOLLOW), -ENOENT);
    ck_assert_int_eq(walk("/lf/", 0), -ENOTDIR);
    ck_assert_int_eq(walk("/l/", 0), 0);
    ck_assert_int_eq(walk("/a/b/f/..", 0), -ENOTDIR);
    ck_assert_int_eq(walk("/a/b/f/.", 0), -ENOTDIR);
    ck_assert_int_eq(walk("", 0), -ENOENT);
    ck_assert_int_eq(walk("/../../a", 0), 0);
    ck_assert_int_eq(walk("//a///b//", WALK_DIR), 0);
}
END_TEST

START_TEST(forty_links)
{
    char name[16], target[16];

    fake_vfs();
    put_file("/l0", "x");
    for (int i = 1; i <= 41; i++) {
        snprintf(name, sizeof name, "/l%d", i);
        snprintf(target, sizeof target, "l%d", i - 1);
        LINKSYM(target, name);
    }
    ck_assert_int_eq(walk("/l40", WALK_FOLLOW), 0);
    ck_assert_int_eq(walk("/l41", WALK_FOLLOW), -ELOOP);
}
END_TEST

START_TEST(create_through_links)
{
    struct file *f;

    fake_vfs();
    MKDIR("/d");
    LINKSYM("d/new", "/l");
    LINKSYM("d/slash/", "/s");
    f = fake_open("/l", O_CREAT | O_EXCL | O_WRONLY);
    ck_assert_int_eq(PTR_ERR(f), -EEXIST);
    put_file("/l", "made");
    ck_assert_str_eq(get_file("/d/new"), "made");
    ck_assert_int_eq(PTR_ERR(fake_open("/s", O_CREAT | O_WRONLY)), -EISDIR);
    ck_assert_int_eq(PTR_ERR(fake_open("/d/x/", O_CREAT | O_WRONLY)), -EISDIR);
    ck_assert_int_eq(PTR_ERR(fake_open("/d", O_CREAT | O_RDONLY)), -EISDIR);
    ck_assert_int_eq(PTR_ERR(fake_open("/d/.", O_CREAT | O_RDONLY)), -EISDIR);
    ck_assert_int_eq(PTR_ERR(fake_open("/l", O_NOFOLLOW)), -ELOOP);
    ck_assert_int_eq(PTR_ERR(fake_open("/l", O_NOFOLLOW | O_DIRECTORY)), -ENOTDIR);
    f = fake_open("/l", O_PATH | O_NOFOLLOW);
    ck_assert(!IS_ERR(f));
    ck_assert(S_ISLNK(f->inode->mode));
    file_put(f);
}
END_TEST

START_TEST(mounts)
{
    char buf[64];
    struct path p;
    struct kstat a, b;

    fake_vfs();
    MKDIR("/m");
    put_file("/m/under", "x");
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/m", 0, &p), 0);
    ck_assert_int_eq(vfs_mount(tmpfs_new(0755, 0), &p, 0, "t", NULL), 0);
    path_put(&p);
    ck_assert_int_eq(exists("/m/under"), -ENOENT);
    MKDIR("/m/d");
    ck_assert_int_eq(stat_of("/m/d/../..", 0, &a), 0);
    ck_assert_int_eq(stat_of("/", 0, &b), 0);
    ck_assert_uint_eq(a.ino, b.ino);
    ck_assert_uint_eq(a.dev, b.dev);
    ck_assert_int_eq(RMDIR("/m"), -EBUSY);
    ck_assert_int_eq(RENAME("/m", "/n", 0), -EBUSY);
    put_file("/f", "x");
    ck_assert_int_eq(RENAME("/f", "/m/f", 0), -EXDEV);
    ck_assert_int_eq(LINK("/f", "/m/f"), -EXDEV);
    ck_assert_int_eq(walk("/m", WALK_NO_XDEV), -EXDEV);
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/m/d", 0, &p), 0);
    ck_assert_str_eq(path_string(fake, &p, buf, sizeof buf), "/m/d");
    ck_assert_int_eq(RMDIR("/m/d"), 0);
    ck_assert_str_eq(path_string(fake, &p, buf, sizeof buf), "/m/d (deleted)");
    ck_assert_ptr_eq(path_string(fake, &p, buf, 4), ERR_PTR(-ENAMETOOLONG));
    path_put(&p);
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/m", 0, &p), 0);
    ck_assert_str_eq(path_string(fake, &p, buf, sizeof buf), "/m");
    ck_assert_int_eq(vfs_umount(p.mnt), 0);
    path_put(&p);
    ck_assert_int_eq(exists("/m/under"), 0);
}
END_TEST

START_TEST(fences)
{
    struct path p;
    int fd;

    fake_vfs();
    MKDIR("/jail");
    MKDIR("/jail/in");
    put_file("/secret", "x");
    put_file("/jail/in/f", "x");
    LINKSYM("/secret", "/jail/abs");
    LINKSYM("../secret", "/jail/rel");
    LINKSYM("in/f", "/jail/ok");
    LINKSYM("/in/f", "/jail/inroot");
    fd = fd_install(fake, fake_open("/jail", O_PATH), 0, false);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(walk_path(fake, fd, "abs", WALK_FOLLOW | WALK_BENEATH, &p), -EXDEV);
    ck_assert_int_eq(walk_path(fake, fd, "rel", WALK_FOLLOW | WALK_BENEATH, &p), -EXDEV);
    ck_assert_int_eq(walk_path(fake, fd, "..", WALK_FOLLOW | WALK_BENEATH, &p), -EXDEV);
    ck_assert_int_eq(walk_path(fake, fd, "/secret", WALK_FOLLOW | WALK_BENEATH, &p), -EXDEV);
    ck_assert_int_eq(walk_path(fake, fd, "ok", WALK_FOLLOW | WALK_BENEATH, &p), 0);
    path_put(&p);
    ck_assert_int_eq(walk_path(fake, fd, "in/..", WALK_FOLLOW | WALK_BENEATH, &p), 0);
    path_put(&p);
    ck_assert_int_eq(walk_path(fake, fd, "abs", WALK_FOLLOW | WALK_IN_ROOT, &p), -ENOENT);
    ck_assert_int_eq(walk_path(fake, fd, "inroot", WALK_FOLLOW | WALK_IN_ROOT, &p), 0);
    path_put(&p);
    ck_assert_int_eq(walk_path(fake, fd, "../../in/f", WALK_FOLLOW | WALK_IN_ROOT, &p), 0);
    path_put(&p);
    ck_assert_int_eq(walk_path(fake, fd, "ok", WALK_FOLLOW | WALK_NO_SYMLINKS, &p), -ELOOP);
    ck_assert_int_eq(walk_path(fake, 99, "ok", WALK_FOLLOW, &p), -EBADF);
}
END_TEST

START_TEST(rights)
{
    struct task *user, *root;

    fake_vfs();
    MKDIR("/closed");
    put_file("/closed/f", "x");
    put_file("/mine", "x");
    ck_assert_int_eq(vfs_mkdir_at(fake, AT_FDCWD, "/sticky", 0777), 0);
    root = fake;
    root->fs->umask = 0;
    ck_assert_int_eq(vfs_mkdir_at(fake, AT_FDCWD, "/tmp", 01777), 0);
    put_file("/tmp/rootfile", "x");
    ck_assert_int_eq(vfs_mkdir_at(fake, AT_FDCWD, "/x", 0711), 0);
    put_file("/x/f", "x");
    ck_assert_int_eq(vfs_mkdir_at(fake, AT_FDCWD, "/no", 0700), 0);
    user = fake_task(1000, 1000);
    fake = user;
    ck_assert_int_eq(walk("/no/f", 0), -EACCES);
    ck_assert_int_eq(walk("/x/f", 0), 0);
    ck_assert_int_eq(PTR_ERR(fake_open("/x", O_RDONLY)), -EACCES);
    ck_assert_int_eq(PTR_ERR(fake_open("/x/new", O_CREAT | O_WRONLY)), -EACCES);
    ck_assert_int_eq(PTR_ERR(fake_open("/mine", O_WRONLY)), -EACCES);
    ck_assert_int_eq(UNLINK("/tmp/rootfile"), -EPERM);
    ck_assert_int_eq(UNLINK("/mine"), -EACCES);
    put_file("/tmp/own", "x");
    ck_assert_int_eq(UNLINK("/tmp/own"), 0);
    ck_assert_int_eq(RENAME("/tmp/rootfile", "/tmp/b", 0), -EPERM);
    ck_assert_int_eq(PTR_ERR(fake_open("/mine", O_RDONLY | O_NOATIME)), -EPERM);
    fake = root;
    ck_assert_int_eq(walk("/no", 0), 0);
    fake_task_free(user);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vfs/namei");
    TCase *tc = tcase_create("namei");

    tcase_add_test(tc, links);
    tcase_add_test(tc, forty_links);
    tcase_add_test(tc, create_through_links);
    tcase_add_test(tc, mounts);
    tcase_add_test(tc, fences);
    tcase_add_test(tc, rights);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
