/* SPDX-License-Identifier: Apache-2.0 */
/* The gofer file system through the VFS, on a real gofer: what is shown, and what costs a trip. */
#include "tests/unit/fs/gofer_fixture.h"

START_TEST(a_whole_path_costs_one_trip)
{
    uint64_t t0 = trips();
    struct stat st;
    struct kstat ks;

    struct dentry *d = find("a/b/c/file");
    ck_assert(!IS_ERR(d));
    ck_assert_uint_eq(trips() - t0, 1);
    ck_assert_int_eq(inode_getattr(NULL, dentry_inode(d), &ks), 0);
    ck_assert_uint_eq(trips() - t0, 1);
    ck_assert_int_eq(lstat(fx_path("tree/a/b/c/file"), &st), 0);
    ck_assert_uint_eq(ks.ino, st.st_ino);
    ck_assert_uint_eq(ks.size, 6);
    ck_assert_uint_eq(ks.mode, st.st_mode);
    ck_assert_uint_eq(ks.uid, st.st_uid);
    ck_assert_int_eq(ks.mtime.tv_nsec, st.st_mtim.tv_nsec);
    dentry_put(d);
    ck_assert_int_eq(find_error("a/b/c/file"), 0);
    ck_assert_uint_eq(trips() - t0, 1);
}
END_TEST

START_TEST(opens_and_small_reads_cost_one_trip_in_all)
{
    char buf[64];

    ck_assert_int_eq(find_error("a/b/c/file"), 0);
    uint64_t t0 = trips();
    for (int i = 0; i < 5; i++) {
        struct file *f = open_path("a/b/c/file");
        ck_assert(!IS_ERR(f));
        ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 0), 6);
        ck_assert_int_eq(memcmp(buf, "hello\n", 6), 0);
        ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 4), 2);
        ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 6), 0);
        file_put(f);
    }
    ck_assert_uint_eq(trips() - t0, 1);
}
END_TEST

START_TEST(a_walk_to_open_brings_the_bytes)
{
    char buf[64];
    uint64_t t0 = trips();

    vfs_walk_opens = true;
    struct file *f = open_path("a/b/c/file");
    vfs_walk_opens = false;
    ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 0), 6);
    file_put(f);
    ck_assert_uint_eq(trips() - t0, 1);
    ck_assert_int_eq(find_error("a/none/x"), -ENOENT);
    t0 = trips();
    ck_assert_int_eq(find_error("a/none"), -ENOENT);
    ck_assert_uint_eq(trips() - t0, 0);
}
END_TEST

START_TEST(large_reads_and_maps)
{
    static char buf[sizeof(big) + 10];
    struct mmap_request req = { .len = 4096, .offset = 8192, .prot = PROT_READ, .ret_fd = -1 };

    struct file *f = open_path("big");
    ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 0), sizeof(big));
    ck_assert_int_eq(memcmp(buf, big, sizeof(big)), 0);
    ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, 100, 199950), 50);
    ck_assert_int_eq(f->ops->mmap(NULL, f, &req), 0);
    ck_assert_int_ge(req.ret_fd, 0);
    ck_assert_uint_eq(req.ret_offset, 8192);
    ck_assert_int_eq(fcntl(req.ret_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    ck_assert_int_eq(f->ops->llseek(NULL, f, -10, SEEK_END), sizeof(big) - 10);
    ck_assert_int_eq(f->ops->llseek(NULL, f, 5, SEEK_CUR), sizeof(big) - 5);
    ck_assert_int_eq(f->ops->llseek(NULL, f, -1, SEEK_SET), -EINVAL);
    ck_assert_int_eq(f->ops->llseek(NULL, f, 0, SEEK_HOLE), sizeof(big));
    file_put(f);
    f = open_path("a/b/c/file"); /* small: came whole, and is mapped all the same */
    ck_assert_int_eq(f->ops->mmap(NULL, f, &req), 0);
    ck_assert_int_ge(req.ret_fd, 0);
    file_put(f);
}
END_TEST

START_TEST(links_and_what_is_not_opened)
{
    char buf[64];
    struct dentry *d = find("a/link");

    ck_assert(!IS_ERR(d));
    uint64_t t0 = trips();
    ck_assert_int_eq(dentry_inode(d)->ops->readlink(NULL, dentry_inode(d), buf, sizeof(buf)), 3);
    ck_assert_int_eq(memcmp(buf, "b/c", 3), 0);
    ck_assert_uint_eq(trips(), t0); /* came with the walk */
    dentry_put(d);
    ck_assert_int_eq(find_error("a/none"), -ENOENT);
    ck_assert_int_eq(find_error("none/x/y"), -ENOENT);
    ck_assert(sb->readonly);
}
END_TEST

struct sink {
    struct dirent_sink s;
    unsigned n, max;
    char seen[600];
    uint64_t ino_big;
};

static bool emit(struct dirent_sink *s, const char *name, size_t len, uint64_t ino, unsigned dtype,
                 loff_t next)
{
    struct sink *k = container_of(s, struct sink, s);
    unsigned i;

    (void)next;
    if (k->max && k->n % k->max == k->max - 1) {
        k->n++;
        return false;
    }
    k->n++;
    if (len == 3 && !memcmp(name, "big", 3))
        k->ino_big = ino;
    if (sscanf(name, "n%u", &i) == 1 && i < 600) {
        ck_assert_uint_eq(dtype, DT_REG);
        k->seen[i]++;
    }
    return true;
}

START_TEST(directories_are_listed_whole_and_absence_is_known)
{
    struct sink k = { .s.emit = emit, .max = 60 };
    struct file *f = open_path("many");
    uint64_t t0 = trips();

    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(f->ops->readdir(NULL, f, &k.s), 0);
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(k.seen[i], 1);
    ck_assert_uint_eq(trips() - t0, 1);
    ck_assert_int_eq(find_error("many/none"), -ENOENT);
    ck_assert_int_eq(find_error("many/none2"), -ENOENT);
    ck_assert_uint_eq(trips() - t0, 1);
    file_put(f);
}
END_TEST

START_TEST(many_lookups_become_a_listing)
{
    char name[64];
    uint64_t t0 = trips();

    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "many/n%d", i);
        ck_assert_int_eq(find_error(name), 0);
    }
    ck_assert_uint_lt(trips() - t0, 500);
    t0 = trips();
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "many/x%d", i);
        ck_assert_int_eq(find_error(name), -ENOENT);
    }
    ck_assert_uint_eq(trips() - t0, 0);
}
END_TEST

START_TEST(public_only_hides)
{
    ck_assert_int_eq(find_error("hidden"), -ENOENT);
    ck_assert_int_eq(find_error("big"), 0);
}
END_TEST

#define BELIEVED_US 150000 /* what was told may be believed for a tenth of a second */

START_TEST(changes_of_the_host_are_seen)
{
    struct kstat st;
    char buf[64];
    struct sink k = { .s.emit = emit };

    ck_assert_int_eq(find_error("hidden"), 0);
    ck_assert_int_eq(find_error("later"), -ENOENT);
    struct dentry *d = find("a/b/c/file");
    struct file *f = open_path("a/b/c/file");
    ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 0), 6);
    fx_write("tree/later", "x", 1);
    fx_write("tree/a/b/c/file", "longer than that\n", 17);
    ck_assert_int_eq(rename(fx_path("tree/many/n1"), fx_path("tree/many/n599")), 0);
    usleep(BELIEVED_US);
    ck_assert_int_eq(find_error("later"), 0);
    ck_assert_int_eq(inode_getattr(NULL, dentry_inode(d), &st), 0);
    ck_assert_uint_eq(st.size, 17);
    ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 0), 17);
    file_put(f);
    dentry_put(d);
    f = open_path("many");
    ck_assert_int_eq(f->ops->readdir(NULL, f, &k.s), 0);
    ck_assert_int_eq(k.seen[599], 1);
    ck_assert_int_eq(k.seen[1], 0);
    file_put(f);
    /* a file replaced by another: the new one is opened */
    fx_write("tree/new", "new", 3);
    ck_assert_int_eq(rename(fx_path("tree/new"), fx_path("tree/a/b/c/file")), 0);
    usleep(BELIEVED_US);
    ck_assert_int_eq(inode_getattr(NULL, dentry_inode(sb->root), &st), 0);
    d = find("a/b/c/file"); /* fresh attributes, and yet not the old handle */
    ck_assert_int_eq(inode_getattr(NULL, dentry_inode(d), &st), 0);
    ck_assert_uint_eq(st.size, 3);
    dentry_put(d);
    f = open_path("a/b/c/file");
    ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 0), 3);
    file_put(f);
    /* and one that went */
    d = find("a/b/c/file");
    ck_assert_int_eq(unlink(fx_path("tree/a/b/c/file")), 0);
    usleep(BELIEVED_US);
    ck_assert_int_eq(inode_getattr(NULL, dentry_inode(d), &st), 0); /* who has it, has it */
    ck_assert_uint_eq(st.size, 3);
    dentry_put(d);
    ck_assert_int_eq(find_error("a/b/c/file"), -ENOENT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/gofer");
    TCase *c = tcase_create("stable"), *d = tcase_create("shared");

    tcase_add_checked_fixture(c, setup_stable, teardown);
    tcase_add_test(c, a_whole_path_costs_one_trip);
    tcase_add_test(c, opens_and_small_reads_cost_one_trip_in_all);
    tcase_add_test(c, a_walk_to_open_brings_the_bytes);
    tcase_add_test(c, large_reads_and_maps);
    tcase_add_test(c, links_and_what_is_not_opened);
    tcase_add_test(c, directories_are_listed_whole_and_absence_is_known);
    tcase_add_test(c, many_lookups_become_a_listing);
    tcase_add_test(c, public_only_hides);
    suite_add_tcase(s, c);
    tcase_add_checked_fixture(d, setup_shared, teardown);
    tcase_set_timeout(d, 20);
    tcase_add_test(d, a_whole_path_costs_one_trip);
    tcase_add_test(d, large_reads_and_maps);
    tcase_add_test(d, changes_of_the_host_are_seen);
    suite_add_tcase(s, d);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
