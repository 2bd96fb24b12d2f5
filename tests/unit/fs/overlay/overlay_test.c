/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay over a tmpfs that plays the lower: it must look changed, and the lower must not be. */
#include <errno.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/fs/overlay/overlay.h"
#include "tests/unit/vfs/fake.h"

static struct super *ov;

/* /low is the lower (a tmpfs of its own, to look at), /ov the overlay. */
static void setup(void)
{
    struct super *low;
    struct path p;

    fake_vfs();
    MKDIR("/low");
    MKDIR("/ov");
    low = tmpfs_new(0755, 0);
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/low", 0, &p), 0);
    ck_assert_int_eq(vfs_mount(super_ref(low), &p, 0, "low", NULL), 0);
    path_put(&p);
    MKDIR("/low/d");
    MKDIR("/low/d/sub");
    MKDIR("/low/empty");
    put_file("/low/f", "lower");
    put_file("/low/d/a", "a");
    put_file("/low/d/b", "b");
    put_file("/low/d/sub/deep", "deep");
    LINKSYM("d/a", "/low/link");
    ov = overlay_new(low);
    ck_assert_ptr_nonnull(ov);
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/ov", 0, &p), 0);
    ck_assert_int_eq(vfs_mount(ov, &p, 0, "ov", NULL), 0);
    path_put(&p);
}

START_TEST(reads_through)
{
    setup();
    ck_assert_str_eq(get_file("/ov/f"), "lower");
    ck_assert_str_eq(get_file("/ov/link"), "a");
    ck_assert_str_eq(get_file("/ov/d/sub/deep"), "deep");
    ck_assert_str_eq(names_of("/ov/d", 1), "sub a b ");
    ck_assert_int_eq(exists("/ov/none"), -ENOENT);
}
END_TEST

START_TEST(writes_stay)
{
    struct kstat before, after;
    struct file *old, *f;
    struct iter it;
    loff_t pos = 0;
    char buf[8];

    setup();
    ck_assert_int_eq(stat_of("/ov/f", 0, &before), 0);
    old = fake_open("/ov/f", O_RDONLY);
    ck_assert_int_eq(vfs_read_kernel(fake, old, buf, 2, 0), 2);
    f = fake_open("/ov/f", O_WRONLY);
    iter_kernel(&it, (char *)"LOW", 3);
    ck_assert_int_eq(f->ops->write(fake, f, &it, &pos), 3);
    callpath_end(fake);
    ck_assert_str_eq(get_file("/ov/f"), "LOWer");
    ck_assert_str_eq(get_file("/low/f"), "lower");
    /* An old open file sees it too, and its size agrees. */
    ck_assert_int_eq(vfs_read_kernel(fake, old, buf, 5, 0), 5);
    ck_assert_int_eq(memcmp(buf, "LOWer", 5), 0);
    ck_assert_int_eq(stat_of("/ov/f", 0, &after), 0);
    ck_assert_uint_eq(before.ino, after.ino);
    ck_assert_uint_eq(before.dev, after.dev);
    file_put(f);
    file_put(old);
    put_file("/ov/f", "new");
    ck_assert_str_eq(get_file("/ov/f"), "new");
    put_file("/ov/d/n", "n");
    ck_assert_str_eq(names_of("/ov/d", 0), "n sub a b ");
    ck_assert_str_eq(names_of("/low/d", 0), "sub a b ");
}
END_TEST

START_TEST(changed_outlives_the_cache)
{
    struct setattr a = { .valid = ATTR_MODE, .mode = 0600 };
    struct kstat st;
    struct path p;

    setup();
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/ov/d/a", 0, &p), 0);
    ck_assert_int_eq(vfs_setattr(fake, &p, &a), 0);
    path_put(&p);
    dcache_shrink_super(ov);
    ck_assert_int_eq(stat_of("/ov/d/a", 0, &st), 0);
    ck_assert_uint_eq(st.mode & 0777, 0600);
    ck_assert_int_eq(stat_of("/low/d/a", 0, &st), 0);
    ck_assert_uint_eq(st.mode & 0777, 0644);
    ck_assert_str_eq(get_file("/ov/d/a"), "a");
}
END_TEST

START_TEST(whiteouts)
{
    setup();
    ck_assert_int_eq(UNLINK("/ov/d/a"), 0);
    ck_assert_int_eq(exists("/ov/d/a"), -ENOENT);
    dcache_shrink_super(ov);
    ck_assert_int_eq(exists("/ov/d/a"), -ENOENT);
    ck_assert_str_eq(names_of("/ov/d", 0), "sub b ");
    ck_assert_str_eq(get_file("/low/d/a"), "a");
    put_file("/ov/d/a", "again");
    ck_assert_str_eq(get_file("/ov/d/a"), "again");
    ck_assert_int_eq(UNLINK("/ov/d/a"), 0);
    ck_assert_int_eq(exists("/ov/d/a"), -ENOENT);
    ck_assert_int_eq(RMDIR("/ov/d"), -ENOTEMPTY);
    ck_assert_int_eq(UNLINK("/ov/d/b"), 0);
    ck_assert_int_eq(UNLINK("/ov/d/sub/deep"), 0);
    ck_assert_int_eq(RMDIR("/ov/d/sub"), 0);
    ck_assert_int_eq(RMDIR("/ov/d"), 0);
    MKDIR("/ov/d"); /* opaque: nothing of the lower comes back */
    ck_assert_str_eq(names_of("/ov/d", 0), "");
    ck_assert_int_eq(exists("/ov/d/b"), -ENOENT);
    ck_assert_int_eq(RMDIR("/ov/empty"), 0);
    ck_assert_int_eq(exists("/low/empty"), 0);
}
END_TEST

START_TEST(renames)
{
    setup();
    ck_assert_int_eq(RENAME("/ov/d", "/ov/moved", 0), 0);
    ck_assert_int_eq(exists("/ov/d"), -ENOENT);
    ck_assert_str_eq(get_file("/ov/moved/sub/deep"), "deep");
    dcache_shrink_super(ov);
    ck_assert_str_eq(get_file("/ov/moved/sub/deep"), "deep");
    ck_assert_int_eq(exists("/ov/d"), -ENOENT);
    ck_assert_int_eq(RENAME("/ov/moved/a", "/ov/a", 0), 0);
    ck_assert_str_eq(get_file("/ov/a"), "a");
    ck_assert_str_eq(names_of("/ov/moved", 0), "sub b ");
    ck_assert_int_eq(RENAME("/ov/f", "/ov/moved/b", 0), 0);
    ck_assert_str_eq(get_file("/ov/moved/b"), "lower");
    ck_assert_str_eq(names_of("/ov/moved", 0), "b sub ");
    ck_assert_int_eq(RENAME("/ov/a", "/ov/moved/b", RENAME_EXCHANGE), 0);
    ck_assert_str_eq(get_file("/ov/moved/b"), "a");
    ck_assert_str_eq(get_file("/ov/a"), "lower");
    ck_assert_str_eq(get_file("/low/d/b"), "b");
}
END_TEST

START_TEST(links)
{
    struct kstat st;

    setup();
    ck_assert_int_eq(LINK("/ov/f", "/ov/f2"), 0);
    put_file("/ov/f2", "both");
    ck_assert_str_eq(get_file("/ov/f"), "both");
    ck_assert_int_eq(UNLINK("/ov/f"), 0);
    dcache_shrink_super(ov);
    ck_assert_str_eq(get_file("/ov/f2"), "both");
    ck_assert_int_eq(stat_of("/ov/f2", 0, &st), 0);
    ck_assert_uint_eq(st.nlink, 1);
}
END_TEST

START_TEST(unlinked_while_open)
{
    struct kstat st;
    struct file *f;
    char buf[8];

    setup();
    f = fake_open("/ov/f", O_RDONLY);
    ck_assert_int_eq(UNLINK("/ov/f"), 0);
    ck_assert_int_eq(vfs_read_kernel(fake, f, buf, 5, 0), 5);
    ck_assert_int_eq(vfs_getattr(fake, &f->path, &st), 0);
    ck_assert_uint_eq(st.nlink, 0);
    file_put(f);
}
END_TEST

START_TEST(maps)
{
    struct mmap_request req = { .len = 4096, .prot = PROT_READ, .flags = MAP_PRIVATE };
    struct file *f;
    char *p;

    setup();
    f = fake_open("/ov/f", O_RDONLY);
    ck_assert_int_eq(f->ops->mmap(fake, f, &req), 0); /* the lower's pages */
    p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, req.ret_fd, 0);
    if (req.ret_fd_owned)
        close(req.ret_fd);
    put_file("/ov/f", "upper");
    ck_assert_int_eq(memcmp(p, "lower", 5), 0);
    munmap(p, 4096);
    file_put(f);
}
END_TEST

static void add_change(void *arg, char kind, const char *path)
{
    char *text = arg;

    sprintf(text + strlen(text), "%c%s ", kind, path);
}

START_TEST(changes)
{
    char text[1024] = "";

    setup();
    put_file("/ov/f", "x");
    put_file("/ov/d/new", "x");
    MKDIR("/ov/d/nd");
    put_file("/ov/d/nd/in", "x");
    ck_assert_int_eq(UNLINK("/ov/d/a"), 0);
    overlay_changes(ov, add_change, text);
    ck_assert_msg(strstr(text, "M/f "), "%s", text);
    ck_assert_msg(strstr(text, "A/d/new "), "%s", text);
    ck_assert_msg(strstr(text, "A/d/nd "), "%s", text);
    ck_assert_msg(strstr(text, "A/d/nd/in "), "%s", text);
    ck_assert_msg(strstr(text, "D/d/a "), "%s", text);
    ck_assert_msg(!strstr(text, "M/d "), "%s", text);
}
END_TEST

START_TEST(nothing_leaks)
{
    size_t before;
    struct path p, low;

    setup();
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/low", 0, &low), 0);
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/ov", 0, &p), 0);
    ck_assert_int_eq(vfs_umount(p.mnt), 0);
    path_put(&p);
    dcache_shrink_super(low.dentry->sb);
    before = kcharged();
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/ov", 0, &p), 0);
    ck_assert_int_eq(vfs_mount(overlay_new(super_ref(low.dentry->sb)), &p, 0, "ov", NULL), 0);
    path_put(&p);
    put_file("/ov/f", "changed");
    put_file("/ov/d/n", "n");
    ck_assert_int_eq(UNLINK("/ov/d/a"), 0);
    ck_assert_int_eq(RENAME("/ov/d", "/ov/e", 0), 0);
    ck_assert_str_eq(get_file("/ov/e/sub/deep"), "deep");
    ck_assert_int_eq(walk_path(fake, AT_FDCWD, "/ov", 0, &p), 0);
    ck_assert_int_eq(vfs_umount(p.mnt), 0);
    path_put(&p);
    dcache_shrink_super(low.dentry->sb);
    ck_assert_uint_eq(kcharged(), before);
    path_put(&low);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/overlay");
    TCase *tc = tcase_create("overlay");

    tcase_add_test(tc, reads_through);
    tcase_add_test(tc, writes_stay);
    tcase_add_test(tc, changed_outlives_the_cache);
    tcase_add_test(tc, whiteouts);
    tcase_add_test(tc, renames);
    tcase_add_test(tc, links);
    tcase_add_test(tc, unlinked_while_open);
    tcase_add_test(tc, maps);
    tcase_add_test(tc, changes);
    tcase_add_test(tc, nothing_leaks);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
