/* SPDX-License-Identifier: Apache-2.0 */
/* Every request of the client against a real gofer, over the socket, and once through the ring. */
#include "fixture.h"

#include <pthread.h>

static char big[300000];

static void populate(void)
{
    fx_tree();
    ck_assert_int_eq(mkdir(fx_path("tree/a"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/a/b"), 0750), 0);
    fx_write("tree/a/b/file", "hello\n", 6);
    fx_write("tree/empty", "", 0);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7 + i / 256);
    fx_write("tree/big", big, sizeof(big));
    ck_assert_int_eq(symlink("a/b", fx_path("tree/link")), 0);
    ck_assert_int_eq(mkfifo(fx_path("tree/fifo"), 0644), 0);
}

static void setup(void)
{
    populate();
    fx_start(-1, 0);
}

static void teardown(void)
{
    fx_stop();
    fx_remove();
}

static void check_attr(const struct gofer_attr *a, const char *rel)
{
    struct stat st;

    ck_assert_int_eq(lstat(fx_path(rel), &st), 0);
    ck_assert_uint_eq(a->ino, st.st_ino);
    ck_assert_uint_eq(a->dev, st.st_dev);
    ck_assert_uint_eq(a->mode, st.st_mode);
    ck_assert_uint_eq(a->size, (uint64_t)st.st_size);
    ck_assert_uint_eq(a->nlink, st.st_nlink);
    ck_assert_uint_eq(a->uid, st.st_uid);
    ck_assert_int_eq(a->mtime_s, st.st_mtim.tv_sec);
    ck_assert_uint_eq(a->mtime_ns, (uint32_t)st.st_mtim.tv_nsec);
}

START_TEST(walks_as_far_as_it_goes)
{
    struct gofer_node_reply r[32];
    unsigned n;
    uint64_t root = fx_root();

    ck_assert_int_eq(gofer_walk(fx, root, "a/b/file", r, 32, &n, NULL), 0);
    ck_assert_uint_eq(n, 3);
    check_attr(&r[0].attr, "tree/a");
    check_attr(&r[1].attr, "tree/a/b");
    check_attr(&r[2].attr, "tree/a/b/file");
    ck_assert_uint_ne(r[0].node, 0);
    ck_assert_uint_ne(r[1].node, 0);
    ck_assert_uint_eq(r[2].node, 0);

    ck_assert_int_eq(gofer_walk(fx, r[0].node, "b/none/x", r, 32, &n, NULL), -ENOENT);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(gofer_walk(fx, root, "a/b/file/x", r, 32, &n, NULL), -ENOTDIR);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(gofer_walk(fx, root, "none", r, 32, &n, NULL), -ENOENT);
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(stops_at_a_link_and_tells_its_target)
{
    struct gofer_node_reply r[32];
    char link[64];
    unsigned n;
    struct gofer_walk_end end = { .link = link, .linkcap = sizeof(link) };

    ck_assert_int_eq(gofer_walk(fx, fx_root(), "link/file", r, 32, &n, &end), 0);
    ck_assert_uint_eq(n, 1);
    ck_assert(S_ISLNK(r[0].attr.mode));
    ck_assert_str_eq(link, "a/b");
    ck_assert_int_eq(gofer_readlink(fx, fx_root(), "link", link, sizeof(link)), 3);
    ck_assert_int_eq(memcmp(link, "a/b", 3), 0);
    ck_assert_int_eq(gofer_readlink(fx, fx_root(), "a", link, sizeof(link)), -EINVAL);
}
END_TEST

START_TEST(a_walk_can_open)
{
    struct gofer_node_reply r[32];
    char first[100];
    unsigned n;
    struct gofer_walk_end end = { .first = first, .cap = sizeof(first) };

    ck_assert_int_eq(gofer_walk(fx, fx_root(), "a/b/file", r, 32, &n, &end), 0);
    ck_assert_uint_eq(n, 3);
    ck_assert(end.opened && end.file.whole && end.file.fd < 0);
    ck_assert_uint_eq(end.file.nfirst, 6);
    ck_assert_int_eq(memcmp(first, "hello\n", 6), 0);
    check_attr(&end.file.attr, "tree/a/b/file");
    ck_assert_int_eq(gofer_walk(fx, fx_root(), "big", r, 32, &n, &end), 0);
    ck_assert(end.opened && !end.file.whole);
    ck_assert_uint_eq(end.file.nfirst, sizeof(first));
    ck_assert_int_eq(gofer_file_read(&end.file, first, 10, 1000), 10);
    ck_assert_int_eq(memcmp(first, big + 1000, 10), 0);
    gofer_file_close(&end.file);
    static const char *const others[] = { "a", "fifo", "link", "a/b" };
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        ck_assert_int_eq(gofer_walk(fx, fx_root(), others[i], r, 32, &n, &end), 0);
        ck_assert(!end.opened);
    }
    ck_assert_int_eq(gofer_walk(fx, fx_root(), "a/none", r, 32, &n, &end), -ENOENT);
    ck_assert(!end.opened);
}
END_TEST

START_TEST(attributes)
{
    struct gofer_attr a;

    ck_assert_int_eq(gofer_getattr(fx, fx_root(), "", &a), 0);
    check_attr(&a, "tree");
    ck_assert_int_eq(gofer_getattr(fx, fx_root(), "a/b/file", &a), 0);
    check_attr(&a, "tree/a/b/file");
    ck_assert_int_eq(gofer_getattr(fx, fx_root(), "link", &a), 0);
    ck_assert(S_ISLNK(a.mode));
    ck_assert_int_eq(gofer_getattr(fx, fx_root(), "fifo", &a), 0);
    ck_assert(S_ISFIFO(a.mode));
    ck_assert_int_eq(gofer_getattr(fx, fx_root(), "link/file", &a), -ELOOP);
    ck_assert_int_eq(gofer_getattr(fx, fx_root(), "a/x", &a), -ENOENT);
    ck_assert_int_eq(gofer_getattr(fx, fx_root(), "big/x", &a), -ENOTDIR);
}
END_TEST

static void open_and_compare(const char *path, const void *data, size_t size, size_t cap)
{
    static char first[70000], buf[sizeof(big)];
    struct gofer_file f;

    ck_assert_int_eq(gofer_open(fx, fx_root(), path, first, cap, &f), 0);
    ck_assert_uint_eq(f.attr.size, size);
    ck_assert_uint_le(f.nfirst, cap);
    ck_assert_int_eq(memcmp(first, data, f.nfirst), 0);
    ck_assert(f.whole == (size < cap));
    if (f.whole)
        ck_assert_uint_eq(f.nfirst, size);
    else
        ck_assert_int_eq(gofer_file_read(&f, buf, sizeof(buf), 0), (ssize_t)size);
    if (!f.whole && size) {
        ck_assert_int_eq(memcmp(buf, data, size), 0);
        ck_assert_int_eq(gofer_file_read(&f, buf, 10, (off_t)size - 4), 4);
        /* It has just been read, so nothing is waited for; a ring or an old tmpfs cannot tell. */
        if (gofer_file_read_now(&f, buf, 10, (off_t)size - 4) != -EOPNOTSUPP) {
            ck_assert_int_eq(gofer_file_read_now(&f, buf, 10, (off_t)size - 4), 4);
            ck_assert_int_eq(gofer_file_read_now(&f, buf, 10, (off_t)size), 0);
            ck_assert_int_eq(gofer_file_read_now(&f, buf, 10, -1), -EINVAL);
        }
        ck_assert_int_eq(gofer_file_read(&f, buf, 10, (off_t)size), 0);
        ck_assert_int_eq(gofer_file_read(&f, buf, 10, -1), -EINVAL);
        ck_assert_int_eq(gofer_file_read(&f, (void *)1, 10, 0), -EFAULT);
    }
    gofer_file_close(&f);
    ck_assert_int_eq(gofer_file_read(&f, buf, 10, 0), -EBADF);
}

static void all_opens(void)
{
    open_and_compare("a/b/file", "hello\n", 6, 4096);
    open_and_compare("a/b/file", "hello\n", 6, 7);
    open_and_compare("a/b/file", "hello\n", 6, 6);
    open_and_compare("a/b/file", "hello\n", 6, 0);
    open_and_compare("empty", "", 0, 100);
    open_and_compare("empty", "", 0, 0);
    open_and_compare("big", big, sizeof(big), 16384);
    open_and_compare("big", big, sizeof(big), 70000);
}

START_TEST(opens_read)
{
    struct gofer_file f;

    all_opens();
    ck_assert_int_eq(gofer_open(fx, fx_root(), "a", NULL, 0, &f), -EISDIR);
    ck_assert_int_eq(gofer_open(fx, fx_root(), "", NULL, 0, &f), -EISDIR);
    ck_assert_int_eq(gofer_open(fx, fx_root(), "fifo", NULL, 0, &f), -EACCES);
    ck_assert_int_eq(gofer_open(fx, fx_root(), "link", NULL, 0, &f), -ELOOP);
    ck_assert_int_eq(gofer_open(fx, fx_root(), "none", NULL, 0, &f), -ENOENT);
}
END_TEST

START_TEST(a_descriptor_to_map_is_read_only)
{
    char c;
    int fd = gofer_map_fd(fx, fx_root(), "a/b/file", NULL);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(pread(fd, &c, 1, 1), 1);
    ck_assert_int_eq(c, 'e');
    ck_assert_int_eq(write(fd, "x", 1), -1);
    close(fd);
}
END_TEST

struct seen {
    unsigned n, attrs, links;
    bool name[3000];
};

static int count(void *arg, const struct gofer_dirent *e)
{
    struct seen *s = arg;
    unsigned k;
    char name[256];

    memcpy(name, e->name, e->namelen);
    name[e->namelen] = 0;
    s->n++;
    s->attrs += e->has_attr;
    if (e->linklen) {
        s->links++;
        ck_assert_str_eq(name, "link");
        ck_assert_uint_eq(e->linklen, 3);
        ck_assert_int_eq(memcmp(e->link, "a/b", 3), 0);
    }
    ck_assert_uint_eq(e->entry.node, 0);
    if (sscanf(name, "a-file-with-a-rather-long-name-%u", &k) == 1 && k < 3000) {
        ck_assert_msg(!s->name[k], "%s twice, entry %u", name, s->n);
        s->name[k] = true;
        ck_assert(S_ISREG(e->entry.attr.mode));
        if (e->has_attr)
            ck_assert_uint_eq(e->entry.attr.size, 0);
    }
    return 0;
}

static int stop_at_5(void *arg, const struct gofer_dirent *e)
{
    (void)e;
    return ++*(unsigned *)arg == 5 ? 77 : 0;
}

START_TEST(lists_a_large_directory_whole)
{
    static struct seen s;
    unsigned n = 0;
    struct gofer_attr a;

    ck_assert_int_eq(mkdir(fx_path("tree/many"), 0755), 0);
    for (unsigned i = 0; i < 3000; i++) {
        char rel[100];
        snprintf(rel, sizeof(rel), "tree/many/a-file-with-a-rather-long-name-%u", i);
        fx_write(rel, "", 0);
    }
    for (int attrs = 0; attrs < 2; attrs++) {
        memset(&s, 0, sizeof(s));
        ck_assert_int_eq(gofer_list(fx, fx_root(), "many", attrs, 0, count, &s), 0);
        ck_assert_uint_eq(s.n, 3000);
        ck_assert(attrs ? s.attrs == 3000 : s.attrs == 0);
    }
    ck_assert_int_eq(gofer_list(fx, fx_root(), "many", true, 0, stop_at_5, &n), 77);
    ck_assert_uint_eq(n, 5);
    ck_assert_int_eq(gofer_getattr(fx, fx_root(), "", &a), 0); /* the channel is still in step */
    ck_assert_int_eq(gofer_list(fx, fx_root(), "big", false, 0, count, &s), -ENOTDIR);
    ck_assert_int_eq(gofer_list(fx, fx_root(), "none", false, 0, count, &s), -ENOENT);
    memset(&s, 0, sizeof(s));
    ck_assert_int_eq(gofer_list(fx, fx_root(), "", true, 0, count, &s), 0);
    ck_assert_uint_eq(s.n, 6);
}
END_TEST

START_TEST(a_listing_has_a_bound_and_tells_links)
{
    struct seen s = { .n = 0 };

    ck_assert_int_eq(gofer_list(fx, fx_root(), "", true, 5, count, &s), 0);
    ck_assert_uint_eq(s.n, 5);
    ck_assert_int_eq(s.links, 1);
    memset(&s, 0, sizeof(s));
    ck_assert_int_eq(gofer_list(fx, fx_root(), "", true, 4, count, &s), -E2BIG);
    ck_assert_uint_eq(s.n, 0);
}
END_TEST

START_TEST(forgotten_nodes_are_stale)
{
    struct gofer_node_reply r;
    struct gofer_attr a;
    unsigned n;
    uint64_t first = 0;

    for (int i = 0; i < 64; i++) { /* a batch */
        ck_assert_int_eq(gofer_walk(fx, fx_root(), "a", &r, 1, &n, NULL), 0);
        first = first ? first : r.node;
        gofer_forget(fx, r.node);
    }
    ck_assert_int_eq(gofer_getattr(fx, first, "", &a), -ESTALE);
    ck_assert_int_eq(gofer_walk(fx, fx_root(), "a", &r, 1, &n, NULL), 0);
    ck_assert_uint_ne(r.node, first); /* the slot may be the same, the number is not */
    ck_assert_int_eq(gofer_getattr(fx, first, "", &a), -ESTALE);
    ck_assert_int_eq(gofer_getattr(fx, r.node, "", &a), 0);
}
END_TEST

START_TEST(xattrs_and_statfs)
{
    char buf[128];
    struct gofer_statfs st;

    ck_assert_int_eq(gofer_statfs(fx, fx_root(), "a/b/file", &st), 0);
    ck_assert_uint_gt(st.bsize, 0);
    if (setxattr(fx_path("tree/big"), "user.test", "value", 5, 0) < 0)
        return; /* not on this file system */
    ck_assert_int_eq(gofer_getxattr(fx, fx_root(), "big", "user.test", buf, sizeof(buf)), 5);
    ck_assert_int_eq(memcmp(buf, "value", 5), 0);
    ck_assert_int_eq(gofer_getxattr(fx, fx_root(), "big", "user.test", NULL, 0), 5);
    ck_assert_int_eq(gofer_getxattr(fx, fx_root(), "big", "user.test", buf, 4), -ERANGE);
    ck_assert_int_eq(gofer_getxattr(fx, fx_root(), "big", "user.none", buf, 4), -ENODATA);
    ck_assert_int_eq(gofer_getxattr(fx, fx_root(), "big", "trusted.x", buf, 4), -EOPNOTSUPP);
    ck_assert_int_eq(gofer_listxattr(fx, fx_root(), "big", buf, sizeof(buf)), 10);
    ck_assert_str_eq(buf, "user.test");
    ck_assert_int_eq(gofer_listxattr(fx, fx_root(), "link", buf, sizeof(buf)), 0);
}
END_TEST

static void *hammer(void *arg)
{
    struct gofer_attr a;
    struct gofer_file f;
    char buf[16];

    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(gofer_getattr(fx, (uint64_t)(uintptr_t)arg, "a/b/file", &a), 0);
        ck_assert_uint_eq(a.size, 6);
        ck_assert_int_eq(gofer_getattr(fx, (uint64_t)(uintptr_t)arg, "a/none", &a), -ENOENT);
        ck_assert_int_eq(gofer_open(fx, (uint64_t)(uintptr_t)arg, "big", buf, 5, &f), 0);
        ck_assert_int_eq(gofer_file_read(&f, buf, 3, 299997), 3);
        ck_assert_int_eq(memcmp(buf, big + 299997, 3), 0);
        gofer_file_close(&f);
    }
    return NULL;
}

static void hammer_all(void)
{
    pthread_t th[40]; /* more than the channel has slots */
    uint64_t root = fx_root();

    for (unsigned i = 0; i < ARRAY_SIZE(th); i++)
        ck_assert_int_eq(pthread_create(&th[i], NULL, hammer, (void *)(uintptr_t)root), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(th); i++)
        pthread_join(th[i], NULL);
    ck_assert_uint_ge(gofer_trips(fx), 40 * 900);
}

START_TEST(many_threads)
{
    hammer_all();
}
END_TEST

START_TEST(through_the_ring)
{
    int ring = gofer_ring_new();
    struct gofer_file f;

    if (ring < 0) {
        printf("no io_uring here: %s\n", strerror(-ring));
        return;
    }
    fx_stop();
    fx_start(ring, 0);
    all_opens();
    for (int i = 0; i < GOFER_RING_SLOTS + 100; i++) { /* slots are used again */
        ck_assert_int_eq(gofer_open(fx, fx_root(), "big", NULL, 0, &f), 0);
        ck_assert_int_ge(f.slot, 0);
        gofer_file_close(&f);
    }
    hammer_all();
    int fd = gofer_map_fd(fx, fx_root(), "big", NULL);
    ck_assert_int_ge(fd, 0);
    close(fd);
}
END_TEST

START_TEST(without_landlock)
{
    fx_stop();
    fx_start(-1, SBX_WITHOUT_LANDLOCK);
    all_opens();
}
END_TEST

START_TEST(a_gofer_that_is_gone)
{
    struct gofer_attr a;
    uint64_t root = fx_root();

    ck_assert_int_gt(fx_pid, 1);
    kill(fx_pid, SIGKILL);
    ck_assert_int_eq(waitpid(fx_pid, NULL, 0), fx_pid);
    ck_assert_int_eq(gofer_getattr(fx, root, "", &a), -EIO);
    ck_assert_int_eq(gofer_getattr(fx, root, "", &a), -EIO);
    gofer_client_free(fx);
    fx_start(-1, 0); /* for teardown */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gofer/client");
    TCase *c = tcase_create("client");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 30);
    tcase_add_test(c, walks_as_far_as_it_goes);
    tcase_add_test(c, stops_at_a_link_and_tells_its_target);
    tcase_add_test(c, a_walk_can_open);
    tcase_add_test(c, attributes);
    tcase_add_test(c, opens_read);
    tcase_add_test(c, a_descriptor_to_map_is_read_only);
    tcase_add_test(c, lists_a_large_directory_whole);
    tcase_add_test(c, a_listing_has_a_bound_and_tells_links);
    tcase_add_test(c, forgotten_nodes_are_stale);
    tcase_add_test(c, xattrs_and_statfs);
    tcase_add_test(c, many_threads);
    tcase_add_test(c, through_the_ring);
    tcase_add_test(c, without_landlock);
    tcase_add_test(c, a_gofer_that_is_gone);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
