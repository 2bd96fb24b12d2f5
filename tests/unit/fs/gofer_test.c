/* SPDX-License-Identifier: Apache-2.0 */
/* The gofer file system through the VFS, on a real gofer: what is shown, and what costs a trip. */
#include "tests/unit/gofer/fixture.h"

#include <dirent.h>
#include <sys/mman.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/kernel.h"
#include "sentry/vfs/vfs.h"

static struct super *sb;
static char big[200000];

static void start(bool public_only)
{
    int fd = open(fx_path("tree"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct gofer_export e = { .fd = fd, .public_only = public_only };

    fx_fork(&e, 1, -1, 0);
    close(fd);
    ck_assert_int_eq(gofer_client_new(fx_sock, -1, &fx), 0);
    kernel.gofer = fx;
    vfs_init();
    sb = gofer_fs_new(0);
    ck_assert_ptr_nonnull(sb);
}

static void populate(void)
{
    char rel[64];

    fx_tree();
    ck_assert_int_eq(mkdir(fx_path("tree/a"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/a/b"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/a/b/c"), 0755), 0);
    fx_write("tree/a/b/c/file", "hello\n", 6);
    ck_assert_int_eq(symlink("b/c", fx_path("tree/a/link")), 0);
    ck_assert_int_eq(mkfifo(fx_path("tree/fifo"), 0644), 0);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i % 251);
    fx_write("tree/big", big, sizeof(big));
    fx_write("tree/hidden", "x", 1);
    ck_assert_int_eq(chmod(fx_path("tree/hidden"), 0640), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/many"), 0755), 0);
    for (int i = 0; i < 500; i++) {
        snprintf(rel, sizeof(rel), "tree/many/n%d", i);
        fx_write(rel, rel, (size_t)(i % 10));
    }
}

static void setup_stable(void)
{
    populate();
    start(true);
}

static void setup_shared(void)
{
    populate();
    start(false);
}

static void teardown(void)
{
    super_put(sb);
    fx_stop();
    fx_remove();
}

static uint64_t trips(void)
{
    return gofer_trips(fx);
}

/* The dentry of a path from the root, links not followed; ERR_PTR. */
static struct dentry *find(const char *path)
{
    struct dentry *d = dentry_ref(sb->root);

    while (*path) {
        size_t n = strcspn(path, "/");
        const char *rest = path + n + (path[n] == '/');

        vfs_walk_rest = rest;
        struct dentry *next = vfs_lookup(NULL, d, path, n);
        vfs_walk_rest = NULL;
        dentry_put(d);
        if (IS_ERR(next))
            return next;
        if (!dentry_inode(next)) {
            dentry_put(next);
            return ERR_PTR(-ENOENT);
        }
        d = next;
        path = rest;
    }
    return d;
}

static int find_error(const char *path)
{
    struct dentry *d = find(path);

    if (IS_ERR(d))
        return PTR_ERR(d);
    dentry_put(d);
    return 0;
}

static struct file *open_path(const char *path)
{
    struct dentry *d = find(path);

    ck_assert(!IS_ERR(d));
    struct path p = { .dentry = d };
    struct file *f = vfs_open_inode(NULL, &p, O_RDONLY);
    dentry_put(d);
    return f;
}

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

/* Reads n<i> of many; what it says depends on i alone. */
static void read_one(int i)
{
    char name[64], buf[64], want[64];

    snprintf(name, sizeof(name), "many/n%d", i);
    snprintf(want, sizeof(want), "tree/many/n%d", i);
    struct file *f = open_path(name);
    ck_assert(!IS_ERR(f));
    ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 0), i % 10);
    ck_assert_int_eq(memcmp(buf, want, (size_t)(i % 10)), 0);
    file_put(f);
}

static int cmp_names(const void *a, const void *b)
{
    char x[16], y[16];

    snprintf(x, sizeof(x), "%d", *(const int *)a);
    snprintf(y, sizeof(y), "%d", *(const int *)b);
    return strcmp(x, y);
}

/* All 500, in an order; their trips. */
static uint64_t read_all(const int *order)
{
    uint64_t t0;

    ck_assert_int_eq(find_error("many/none"), -ENOENT);
    for (int i = 0; i < 40; i++) /* until it is listed with attributes */
        find_error("many/n1");
    t0 = trips();
    for (int i = 0; i < 500; i++)
        read_one(order[i]);
    return trips() - t0;
}

START_TEST(files_read_in_the_order_of_names_are_read_ahead)
{
    int order[500];

    for (int i = 0; i < 500; i++)
        order[i] = i;
    qsort(order, 500, sizeof(order[0]), cmp_names);
    ck_assert_uint_lt(read_all(order), 60);
}
END_TEST

static int listed[500], nlisted;

static bool emit_order(struct dirent_sink *s, const char *name, size_t len, uint64_t ino,
                       unsigned dtype, loff_t next)
{
    (void)s;
    (void)len;
    (void)ino;
    (void)dtype;
    (void)next;
    if (name[0] == 'n')
        listed[nlisted++] = atoi(name + 1);
    return true;
}

START_TEST(files_read_in_the_order_of_a_listing_are_read_ahead)
{
    struct dirent_sink s = { .emit = emit_order };
    struct file *f = open_path("many");

    nlisted = 0;
    ck_assert_int_eq(f->ops->readdir(NULL, f, &s), 0);
    ck_assert_int_eq(nlisted, 500);
    file_put(f);
    ck_assert_uint_lt(read_all(listed), 60);
}
END_TEST

START_TEST(what_was_read_ahead_is_good_for_a_moment)
{
    struct dirent_sink s = { .emit = emit_order };
    struct file *f = open_path("many");
    char rel[64], buf[16];

    nlisted = 0;
    ck_assert_int_eq(f->ops->readdir(NULL, f, &s), 0);
    file_put(f);
    for (int i = 0; i < 100; i++)
        find_error("many/none"); /* and the attributes */
    for (int i = 0; i < 20; i++)
        read_one(listed[i]);
    for (int i = 20; i < 500; i++) {
        snprintf(rel, sizeof(rel), "tree/many/n%d", listed[i]);
        fx_write(rel, "changed", 7);
    }
    usleep(30000);
    for (int i = 20; i < 500; i++) {
        snprintf(rel, sizeof(rel), "many/n%d", listed[i]);
        f = open_path(rel);
        ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 0), 7);
        ck_assert_int_eq(memcmp(buf, "changed", 7), 0);
        file_put(f);
    }
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
    tcase_add_test(c, files_read_in_the_order_of_names_are_read_ahead);
    tcase_add_test(c, files_read_in_the_order_of_a_listing_are_read_ahead);
    tcase_add_test(c, public_only_hides);
    suite_add_tcase(s, c);
    tcase_add_checked_fixture(d, setup_shared, teardown);
    tcase_set_timeout(d, 20);
    tcase_add_test(d, a_whole_path_costs_one_trip);
    tcase_add_test(d, large_reads_and_maps);
    tcase_add_test(d, changes_of_the_host_are_seen);
    tcase_add_test(d, files_read_in_the_order_of_a_listing_are_read_ahead);
    tcase_add_test(d, what_was_read_ahead_is_good_for_a_moment);
    suite_add_tcase(s, d);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
