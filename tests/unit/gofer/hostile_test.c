/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile sentry: every field of a request at its edges, forged nodes, paths that try to leave,
 * links and renames under way, FIFOs, sockets, floods. The gofer must stay alive, answer each whole
 * request, and never show a byte of what lies outside.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static uint64_t root;
static atomic_bool stop;

struct answer {
    struct gw_reply rep;
    unsigned char data[GW_MAX];
    int fd;
};
static struct answer ans;

static void send_raw(const void *p, size_t n)
{
    ck_assert_int_eq(send(fx_sock, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void recv_answer(struct answer *a)
{
    char ctl[CMSG_SPACE(sizeof(int))];
    struct iovec iov[2] = { { &a->rep, sizeof(a->rep) }, { a->data, sizeof(a->data) } };
    struct msghdr msg = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = ctl, .msg_controllen = sizeof(ctl)
    };
    ssize_t n = recvmsg(fx_sock, &msg, MSG_CMSG_CLOEXEC);

    ck_assert_int_ge(n, (ssize_t)sizeof(a->rep)); /* 0: the gofer died */
    ck_assert_uint_eq(a->rep.len, (size_t)n - sizeof(a->rep));
    a->fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c)
        memcpy(&a->fd, CMSG_DATA(c), sizeof(int));
    ck_assert_int_eq(a->fd >= 0, !!(a->rep.flags & GW_FD));
}

/* Sends one request and takes its whole answer (the last datagram of it). Its error. */
static int ask(struct gw_request req, const void *payload, size_t n)
{
    static unsigned char buf[GW_MAX];
    static uint32_t tag;

    req.tag = ++tag;
    memcpy(buf, &req, sizeof(req));
    memcpy(buf + sizeof(req), payload, n);
    send_raw(buf, sizeof(req) + n);
    if ((req.op == GW_FORGET || req.op == GW_CLOSE) && req.version == GW_VERSION && req.len == n &&
        !(req.flags & ~(uint32_t)GW_FLAGS))
        return 0;
    do {
        if (ans.fd > 0)
            close(ans.fd);
        recv_answer(&ans);
        ck_assert_uint_eq(ans.rep.tag, tag);
    } while (ans.rep.flags & GW_MORE);
    return ans.rep.error;
}

static struct gw_request request(uint16_t op, uint64_t node, size_t len)
{
    return (
        struct gw_request){ .version = GW_VERSION, .op = op, .node = node, .len = (uint32_t)len };
}

static int ask_path(uint16_t op, const char *path)
{
    struct gw_request r = request(op, root, strlen(path));

    r.flags = op == GW_WALK ? GW_WANT_NODES : op == GW_OPEN ? GW_ALWAYS_FD : 0;
    r.arg = op == GW_OPEN ? 100 : op == GW_GETXATTR ? (uint32_t)strlen(path) : 0;
    return ask(r, path, strlen(path));
}

static void setup(void)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int s = socket(AF_UNIX, SOCK_STREAM, 0);

    ans.fd = -1;
    fx_tree();
    ck_assert_int_eq(mkdir(fx_path("tree/dir"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/dir/sub"), 0755), 0);
    fx_write("tree/dir/file", "inside", 6);
    ck_assert_int_eq(symlink("../out", fx_path("tree/up")), 0);
    ck_assert_int_eq(symlink("../out/secret", fx_path("tree/secret")), 0);
    ck_assert_int_eq(symlink("/etc/passwd", fx_path("tree/abs")), 0);
    ck_assert_int_eq(symlink("/proc/self/root", fx_path("tree/magic")), 0);
    ck_assert_int_eq(symlink("loop", fx_path("tree/loop")), 0);
    ck_assert_int_eq(mkfifo(fx_path("tree/fifo"), 0666), 0);
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", fx_path("tree/sock"));
    ck_assert_int_eq(bind(s, (void *)&un, sizeof(un)), 0);
    close(s);
    int fd = open(fx_path("tree"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct gofer_export e = { .fd = fd };
    fx_fork(&e, 1, -1, 0);
    close(fd);
    ck_assert_int_eq(ask(request(GW_ROOT, 0, 0), "", 0), 0);
    memcpy(&root, ans.data, sizeof(root));
}

static void teardown(void)
{
    ck_assert_int_eq(ask(request(GW_HELLO, 0, 0), "", 0), 0); /* it still lives */
    fx_stop();
    fx_remove();
}

static const uint16_t path_ops[] = { GW_WALK, GW_GETATTR,   GW_READLINK, GW_LIST,
                                     GW_OPEN, GW_LISTXATTR, GW_STATFS };

START_TEST(paths_that_try_to_leave)
{
    static const char *const bad[] = {
        "..",     ".",          "../out/secret",
        "dir/..", "dir/../..",  "dir/../../out/secret",
        "/",      "/etc",       "//",
        "dir/",   "dir//file",  "./dir",
        "dir/.",  "dir/./file", "/etc/passwd",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        for (unsigned k = 0; k < ARRAY_SIZE(path_ops); k++) {
            int r = ask_path(path_ops[k], bad[i]);
            /* a walk may tell of what lies before the bad component */
            ck_assert_msg(r < 0, "op %u with %s gives %d", path_ops[k], bad[i], r);
            ck_assert_int_eq(ans.fd, -1);
        }
}
END_TEST

START_TEST(links_are_never_followed)
{
    static const char *const through[] = { "up/secret", "magic/etc", "abs/x", "loop/loop" };
    static const char *const at[] = { "up", "secret", "abs", "magic", "loop" };

    for (unsigned i = 0; i < ARRAY_SIZE(through); i++)
        for (unsigned k = 1; k < ARRAY_SIZE(path_ops); k++)
            ck_assert_int_eq(ask_path(path_ops[k], through[i]), -ELOOP);
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        ck_assert_int_eq(ask_path(GW_OPEN, at[i]), -ELOOP);
        ck_assert_int_lt(ask_path(GW_LIST, at[i]), 0);
        ck_assert_int_eq(ask_path(GW_WALK, at[i]), 0);
        ck_assert_uint_eq(ans.rep.count, 1);
        ck_assert(ans.rep.flags & GW_LINK);
    }
}
END_TEST

START_TEST(what_is_no_file_is_not_opened)
{
    ck_assert_int_eq(ask_path(GW_OPEN, "fifo"), -EACCES);
    ck_assert_int_eq(ask_path(GW_OPEN, "sock"), -EACCES);
    ck_assert_int_eq(ask_path(GW_OPEN, "dir"), -EISDIR);
    ck_assert_int_eq(ask_path(GW_LISTXATTR, "fifo"), 0);
    ck_assert_int_eq(ask_path(GW_GETATTR, "fifo"), 0);
}
END_TEST

START_TEST(paths_too_long)
{
    static char path[GW_MAX];
    struct gw_request r;

    memset(path, 'a', sizeof(path));
    for (unsigned k = 0; k < ARRAY_SIZE(path_ops); k++) {
        for (size_t n = 254; n < 258; n++) {
            r = request(path_ops[k], root, n);
            int want = n > 255 ? -ENAMETOOLONG : -ENOENT;
            int got = ask(r, path, n);
            ck_assert_msg(got == want || (path_ops[k] == GW_STATFS && n <= 255 && got == 0),
                          "op %u, %zu bytes: %d", path_ops[k], n, got);
        }
        r = request(path_ops[k], root, GW_MAX - sizeof(r));
        ck_assert_int_lt(ask(r, path, GW_MAX - sizeof(r)), 0);
    }
    /* 33 components of which each is there would do; 33 that are not fail at the first */
    char deep[70] = "";
    for (int i = 0; i < 33; i++)
        strcat(deep, i ? "/a" : "a");
    for (unsigned k = 0; k < ARRAY_SIZE(path_ops); k++)
        ck_assert_int_lt(ask_path(path_ops[k], deep), 0);
}
END_TEST

START_TEST(headers_at_their_edges)
{
    static const uint64_t edges[] = { 0,
                                      1,
                                      2,
                                      31,
                                      32,
                                      33,
                                      255,
                                      256,
                                      4095,
                                      4096,
                                      65535,
                                      65536,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      0x100000001ull,
                                      0x7fffffffffffffffull,
                                      ~0ull };
    struct gw_request r;

    for (unsigned op = 0; op < GW_NOPS + 3; op++)
        for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
            r = request((uint16_t)op, edges[i], 3);
            ask(r, "dir", 3);
            r = request((uint16_t)op, root, 3);
            r.arg = (uint32_t)edges[i];
            ask(r, "dir", 3);
            r.flags = (uint32_t)edges[i];
            ask(r, "dir", 3);
            r = request((uint16_t)op, root, edges[i]);
            if (r.len != 3)
                ck_assert_int_eq(ask(r, "dir", 3), -EPROTO);
            r = request((uint16_t)op, root, 3);
            r.version = (uint16_t)edges[i];
            if (r.version != GW_VERSION)
                ck_assert_int_eq(ask(r, "dir", 3), -EPROTO);
            r = request((uint16_t)op, root, 3);
            r.cpu = (uint32_t)edges[i];
            ask(r, "dir", 3);
        }
    r = request(GW_NOPS, root, 0);
    ck_assert_int_eq(ask(r, "", 0), -ENOSYS);
    r = request(GW_ROOT, 0, 0);
    r.arg = 1;
    ck_assert_int_eq(ask(r, "", 0), -ENOENT);
    for (size_t n = 1; n < sizeof(r); n++)
        send_raw(&r, n); /* no whole header: no answer, and the next request is in step */
    ck_assert_int_eq(ask(request(GW_HELLO, 0, 0), "", 0), 0);
}
END_TEST

START_TEST(forged_and_old_nodes)
{
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t n = i < 1000 ? i : i * 0x9e3779b97f4a7c15ull;
        if (n != root)
            ck_assert_int_eq(ask(request(GW_GETATTR, n, 0), "", 0), -ESTALE);
    }
    /* the root cannot be forgotten, and what was forgotten twice is gone once */
    ck_assert_int_eq(ask_path(GW_WALK, "dir"), 0);
    uint64_t nodes[4] = { root, 0, 0, 77 };
    memcpy(&nodes[1], ans.data, 8);
    nodes[2] = nodes[1];
    ask(request(GW_FORGET, 0, sizeof(nodes)), nodes, sizeof(nodes));
    ask(request(GW_FORGET, 0, sizeof(nodes) - 3), nodes, sizeof(nodes) - 3);
    ck_assert_int_eq(ask(request(GW_GETATTR, nodes[1], 0), "", 0), -ESTALE);
    ck_assert_int_eq(ask(request(GW_GETATTR, root, 0), "", 0), 0);
    uint32_t slots[] = { 0, 5, 511, 512, ~0u };
    ask(request(GW_CLOSE, 0, sizeof(slots)), slots, sizeof(slots));
}
END_TEST

START_TEST(a_flood_of_nodes_and_files)
{
    unsigned made = 0;

    for (int i = 0; i < 25000; i++) {
        ck_assert_int_eq(ask_path(GW_WALK, "dir"), 0);
        uint64_t n;
        memcpy(&n, ans.data, 8);
        made += n != 0;
    }
    ck_assert_uint_gt(made, 100);
    ck_assert_int_eq(ask_path(GW_OPEN, "dir/file"), 0); /* full or not, files are still opened */
    ck_assert_int_ge(ans.fd, 0);
}
END_TEST

static void *rename_about(void *arg)
{
    char dir[256], out[256], held[256], swap[256];

    (void)arg;
    snprintf(dir, sizeof(dir), "%s", fx_path("tree/dir"));
    snprintf(out, sizeof(out), "%s", fx_path("out/held"));
    snprintf(held, sizeof(held), "%s", fx_path("tree/dir/file"));
    snprintf(swap, sizeof(swap), "%s", fx_path("tree/dir/swap"));
    while (!atomic_load(&stop)) {
        /* a directory becomes a link to the outside; a file becomes one, and a FIFO */
        rename(dir, out);
        ck_assert_int_eq(symlink("../out", dir), 0);
        unlink(dir);
        rename(out, dir);
        rename(held, swap);
        ck_assert_int_eq(symlink("../../out/secret", held), 0);
        unlink(held);
        ck_assert_int_eq(mkfifo(held, 0666), 0);
        unlink(held);
        rename(swap, held);
    }
    return NULL;
}

START_TEST(renames_under_way)
{
    pthread_t th;
    struct stat secret, st;

    ck_assert_int_eq(stat(fx_path("out/secret"), &secret), 0);
    ck_assert_int_eq(pthread_create(&th, NULL, rename_about, NULL), 0);
    for (int i = 0; i < 4000; i++) {
        int r = ask_path(GW_OPEN, i & 1 ? "dir/file" : "dir/secret");
        if (r == 0) {
            ck_assert_int_eq(fstat(ans.fd, &st), 0);
            ck_assert(st.st_ino != secret.st_ino);
            ck_assert_uint_ge(ans.rep.len, 126);
            ck_assert_int_eq(memcmp(ans.data + 120, "inside", 6), 0);
        } else {
            ck_assert_msg(r == -ENOENT || r == -ELOOP || r == -EACCES || r == -ENOTDIR ||
                              r == -EAGAIN || r == -EXDEV,
                          "open during renames gives %d", r);
        }
        r = ask_path(GW_WALK, "dir/secret");
        ck_assert_msg(ans.rep.count < 2, "a walk went through a link, %u entries, %d",
                      ans.rep.count, r);
    }
    atomic_store(&stop, true);
    pthread_join(th, NULL);
}
END_TEST

START_TEST(descriptors_sent_to_it_are_dropped)
{
    struct gw_request r = request(GW_HELLO, 0, 0);
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl = { .h = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    int pipes[2];
    char c;

    ck_assert_int_eq(pipe(pipes), 0);
    memcpy(CMSG_DATA(&ctl.h), &pipes[1], sizeof(int));
    struct iovec iov = { &r, sizeof(r) };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl.space)
    };
    ck_assert_int_eq(sendmsg(fx_sock, &msg, 0), sizeof(r));
    close(pipes[1]);
    recv_answer(&ans);
    ck_assert_int_eq(read(pipes[0], &c, 1), 0); /* the end: nobody holds the other one */
    close(pipes[0]);
}
END_TEST

START_TEST(noise)
{
    static unsigned char buf[2048];
    uint64_t x = 88172645463325252ull;

    for (int i = 0; i < 20000; i++) {
        struct gw_request r = request(0, root, 0);
        for (size_t k = 0; k < sizeof(buf); k += 8) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            memcpy(buf + k, &x, 8);
        }
        size_t n = x % 600;
        r.op = (uint16_t)((x >> 10) % GW_NOPS);
        r.len = (uint32_t)n;
        r.flags = (uint32_t)(x >> 20) & GW_FLAGS;
        r.arg = (uint32_t)(x >> 30) & ((x & 1) ? 0xff : 0xffffffff);
        for (size_t k = 0; k < n && (x & 2); k++) /* half of them are nearly paths */
            buf[k] = "dirfile/.up"[buf[k] % 11];
        ask(r, buf, n);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gofer/hostile");
    TCase *c = tcase_create("hostile");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 40);
    tcase_add_test(c, paths_that_try_to_leave);
    tcase_add_test(c, links_are_never_followed);
    tcase_add_test(c, what_is_no_file_is_not_opened);
    tcase_add_test(c, paths_too_long);
    tcase_add_test(c, headers_at_their_edges);
    tcase_add_test(c, forged_and_old_nodes);
    tcase_add_test(c, a_flood_of_nodes_and_files);
    tcase_add_test(c, renames_under_way);
    tcase_add_test(c, descriptors_sent_to_it_are_dropped);
    tcase_add_test(c, noise);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
