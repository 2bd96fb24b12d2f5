/* SPDX-License-Identifier: Apache-2.0 */
/* What exports show: only what is public, only some names, a single file; and how the gofer is held. */
#include "fixture.h"

#include <linux/openat2.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "gofer/server.h"

static struct gofer_export exports[6];
static unsigned nexports;

static void add(struct gofer_export e)
{
    ck_assert_int_ge(e.fd, 0);
    exports[nexports++] = e;
}

static const char *const some[] = { "passwd", "sub", "none" };

static void setup(void)
{
    fx_tree();
    ck_assert_int_eq(mkdir(fx_path("tree/sub"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/sub/passwd"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/sub/other"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/closed"), 0711), 0);
    fx_write("tree/closed/file", "x", 1);
    fx_write("tree/passwd", "root", 4);
    fx_write("tree/shadow", "hash", 4);
    ck_assert_int_eq(chmod(fx_path("tree/shadow"), 0640), 0);
    fx_write("tree/other", "x", 1);
    nexports = 0;
    add((struct gofer_export){ .fd = open(fx_path("tree"), O_PATH), .public_only = true });
    add((struct gofer_export){ .fd = open(fx_path("tree"), O_PATH), .names = some, .nnames = 3 });
    add((struct gofer_export){ .fd = open(fx_path("tree/passwd"), O_RDONLY) });
    add((struct gofer_export){ .fd = open(fx_path("tree/passwd"), O_PATH) });
    fx_fork(exports, nexports, -1, 0);
    for (unsigned i = 0; i < nexports; i++)
        close(exports[i].fd);
    ck_assert_int_eq(gofer_client_new(fx_sock, -1, &fx), 0);
}

static void teardown(void)
{
    fx_stop();
    fx_remove();
}

static uint64_t root_of(unsigned i)
{
    struct gofer_node_reply r;

    ck_assert_int_eq(gofer_root(fx, i, &r, NULL), 0);
    return r.node;
}

static int collect(void *arg, const struct gofer_dirent *e)
{
    char *names = arg;

    strncat(names, e->name, e->namelen);
    strcat(names, ",");
    return 0;
}

static bool lists(uint64_t node, const char *path, const char *name)
{
    char names[4096] = ",", want[300];

    ck_assert_int_eq(gofer_list(fx, node, path, false, 0, collect, names), 0);
    snprintf(want, sizeof(want), ",%s,", name);
    return strstr(names, want);
}

START_TEST(only_what_is_public)
{
    struct gofer_attr a;
    struct gofer_file f;
    uint64_t r = root_of(0);

    ck_assert_int_eq(gofer_getattr(fx, r, "passwd", &a), 0);
    ck_assert_int_eq(gofer_getattr(fx, r, "shadow", &a), -ENOENT);
    ck_assert_int_eq(gofer_open(fx, r, "shadow", NULL, 0, &f), -ENOENT);
    ck_assert_int_eq(gofer_getattr(fx, r, "closed", &a), -ENOENT);
    ck_assert_int_eq(gofer_getattr(fx, r, "closed/file", &a), -ENOENT);
    ck_assert(lists(r, "", "passwd"));
    ck_assert(!lists(r, "", "shadow"));
    ck_assert(!lists(r, "", "closed"));
}
END_TEST

START_TEST(only_some_names)
{
    struct gofer_attr a;
    struct gofer_node_reply w[8];
    unsigned n;
    uint64_t r = root_of(1);

    ck_assert_int_eq(gofer_getattr(fx, r, "passwd", &a), 0);
    ck_assert_int_eq(gofer_getattr(fx, r, "other", &a), -ENOENT);
    ck_assert_int_eq(gofer_getattr(fx, r, "none", &a), -ENOENT);
    ck_assert(lists(r, "", "sub"));
    ck_assert(!lists(r, "", "other"));
    /* one level: beneath a name that is shown all is */
    ck_assert_int_eq(gofer_getattr(fx, r, "sub/other", &a), 0);
    ck_assert(lists(r, "sub", "other"));
    ck_assert_int_eq(gofer_walk(fx, r, "sub/other", w, 8, &n, NULL), 0);
    ck_assert_int_eq(gofer_walk(fx, r, "other", w, 8, &n, NULL), -ENOENT);
    ck_assert_int_eq(gofer_walk(fx, r, "sub", w, 8, &n, NULL), 0);
    ck_assert_int_eq(gofer_getattr(fx, w[0].node, "other", &a), 0);
}
END_TEST

START_TEST(a_single_file)
{
    struct gofer_node_reply r;
    struct gofer_file f;
    struct gofer_attr a;
    char buf[10];

    for (unsigned i = 2; i < 4; i++) { /* open for reading, and O_PATH */
        ck_assert_int_eq(gofer_root(fx, i, &r, NULL), 0);
        ck_assert(S_ISREG(r.attr.mode));
        ck_assert_int_eq(gofer_getattr(fx, r.node, "", &a), 0);
        ck_assert_int_eq(gofer_open(fx, r.node, "", buf, sizeof(buf), &f), 0);
        ck_assert(f.whole);
        ck_assert_uint_eq(f.nfirst, 4);
        int fd = gofer_map_fd(fx, r.node, "", NULL);
        ck_assert_int_ge(fd, 0);
        close(fd);
        ck_assert_int_eq(gofer_getattr(fx, r.node, "x", &a), -ENOTDIR);
        ck_assert_int_eq(gofer_list(fx, r.node, "", false, 0, collect, buf), -ENOTDIR);
    }
    ck_assert_int_eq(gofer_root(fx, 4, &r, NULL), -ENOENT);
}
END_TEST

/* A line of /proc/PID/status. */
static long status_of(const char *key, int base)
{
    char path[64], line[256];
    long v = -1;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)fx_pid);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f))
        if (!strncmp(line, key, strlen(key)))
            v = strtol(line + strlen(key), NULL, base);
    fclose(f);
    return v;
}

START_TEST(the_fences_are_up)
{
    ck_assert_int_eq(status_of("Seccomp:", 10), 2);
    ck_assert_int_eq(status_of("NoNewPrivs:", 10), 1);
    ck_assert_int_eq(status_of("CapEff:", 16), 0);
    ck_assert_int_eq(status_of("CapPrm:", 16), 0);
    ck_assert_int_eq(status_of("CapInh:", 16), 0);
    ck_assert_int_eq(status_of("CapAmb:", 16), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(status_of("CapBnd:", 16), 0);
}
END_TEST

/* A process fenced as the gofer is, that then does what a compromised one would try. */
static int compromised(void (*deed)(void), uint64_t without)
{
    int sv[2], status;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
    struct gofer_export e = { .fd = open(fx_path("tree/sub"), O_PATH) };
    pid_t pid = fork();
    if (pid == 0) {
        struct gofer_config cfg = {
            .sock = sv[0], .ring_fd = -1, .exports = &e, .nexports = 1, .without = without
        };
        if (gofer_fence(&cfg) < 0)
            _exit(99);
        deed();
        _exit(0);
    }
    close(e.fd);
    close(sv[0]);
    close(sv[1]);
    ck_assert_int_gt(pid, 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void do_socket(void)
{
    syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

static void do_exec(void)
{
    syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static void do_fork(void)
{
    syscall(SYS_fork);
}

static void do_clone(void)
{
    syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
}

static void do_write_open(void)
{
    syscall(SYS_openat, AT_FDCWD, "/tmp/x", O_WRONLY | O_CREAT, 0600);
}

static void do_exec_map(void)
{
    syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_ptrace(void)
{
    syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static void do_unlink(void)
{
    syscall(SYS_unlinkat, AT_FDCWD, "/tmp/none", 0);
}

START_TEST(what_the_filter_forbids_is_death)
{
    static void (*const deeds[])(void) = { do_socket,     do_exec,     do_fork,   do_clone,
                                           do_write_open, do_exec_map, do_ptrace, do_unlink };

    for (unsigned i = 0; i < ARRAY_SIZE(deeds); i++) {
        int status = compromised(deeds[i], 0);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "deed %u: status %#x", i,
                      status);
    }
}
END_TEST

static void try_openat2(const char *path, uint64_t flags)
{
    struct open_how how = { .flags = flags };

    if (syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)) >= 0)
        _exit(1);
    _exit(errno == EACCES ? 2 : 3);
}

static void read_outside(void)
{
    try_openat2("/etc/passwd", O_RDONLY);
}

static void list_outside(void)
{
    try_openat2("/", O_RDONLY | O_DIRECTORY);
}

static void write_inside(void)
{
    try_openat2(fx_path("tree/sub/new"), O_WRONLY | O_CREAT);
}

START_TEST(landlock_holds_what_the_filter_cannot_see)
{
    static void (*const deeds[])(void) = { read_outside, list_outside, write_inside };

    if (syscall(444, NULL, 0, 1) < 1)
        return; /* this host has no Landlock */
    for (unsigned i = 0; i < ARRAY_SIZE(deeds); i++) {
        int status = compromised(deeds[i], 0);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 2, "deed %u: status %#x", i,
                      status);
    }
    /* and it is Landlock that does: without, the first one gets through */
    int status = compromised(read_outside, SBX_WITHOUT_LANDLOCK);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x", status);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gofer/exports");
    TCase *c = tcase_create("exports");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, only_what_is_public);
    tcase_add_test(c, only_some_names);
    tcase_add_test(c, a_single_file);
    tcase_add_test(c, the_fences_are_up);
    tcase_add_test(c, what_the_filter_forbids_is_death);
    tcase_add_test(c, landlock_holds_what_the_filter_cannot_see);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
