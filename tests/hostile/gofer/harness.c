/* SPDX-License-Identifier: Apache-2.0 */
/* The test program: makes the tree and the canaries, starts sandboxes, looks around afterwards. */
#include "tests/hostile/gofer/taken.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "tests/hostile/gofer/confine.h"
#include "tests/hostile/gofer/live.h"

#define USER 54321 /* an ordinary user, who need not exist */
#define ATTACK_SECONDS 120

struct board *board;
char victim_secret[TOKEN_LEN + 1];
const struct attack *current;
bool taken_live __attribute__((weak));
static const char *base = ""; /* where attacks on what is shared live are confined to */

const struct way way_root = { "root", false, "" };
const struct way way_user = { "user", true, "" };
const struct way way_root_plain = { "root without namespaces", false, "userns,pidns" };
const struct way way_user_plain = { "user without namespaces", true, "userns,pidns" };

const char *in_top(const char *fmt, ...)
{
    static char buf[8][512];
    static unsigned i;
    char *p = buf[i++ % 8];
    va_list ap;

    int n = snprintf(p, sizeof(buf[0]), "%s/", board->top);
    va_start(ap, fmt);
    vsnprintf(p + n, sizeof(buf[0]) - (size_t)n, fmt, ap);
    va_end(ap);
    return p;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

void put_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
    fchmod(fd, mode);
    close(fd);
}

static void is_outside(const char *path)
{
    struct stat st;

    must(stat(path, &st) == 0, path);
    board->outside[board->noutside].dev = st.st_dev;
    board->outside[board->noutside++].ino = st.st_ino;
}

static void make_token(void)
{
    unsigned char rnd[TOKEN_LEN / 2];

    must(getrandom(rnd, sizeof(rnd), 0) == sizeof(rnd), "getrandom");
    for (unsigned i = 0; i < sizeof(rnd); i++)
        sprintf(board->token + 2 * i, "%02x", rnd[i]);
}

static void make_tree(const struct way *w)
{
    board->noutside = 0;
    snprintf(board->top, sizeof(board->top), "%s%s", base,
             base[0] ? "/XXXXXX" : "/tmp/sbx-hostile-XXXXXX");
    must(mkdtemp(board->top) != NULL, board->top);
    must(chmod(board->top, 0755) == 0, board->top);
    make_token();
    must(mkdir(in_top("tree"), 0755) == 0 && mkdir(in_top("tree/dir"), 0755) == 0 &&
             mkdir(in_top("tree/dir/sub"), 0755) == 0 && mkdir(in_top("out"), 0755) == 0,
         "mkdir");
    put_file(in_top("tree/dir/file"), "inside", 0644);
    put_file(in_top("tree/dir/sub/file"), "inside", 0644);
    put_file(in_top("single"), "inside", 0666);
    put_file(in_top("out/canary"), board->token, 0600);
    put_file(in_top("out/file"), board->token, 0644);
    is_outside(in_top("out"));
    is_outside(in_top("out/canary"));
    is_outside(in_top("out/file"));
    is_outside(board->top);
    is_outside("/");
    if (access("/etc/shadow", F_OK) == 0)
        is_outside("/etc/shadow");
    if (current->prepare)
        current->prepare();
    if (w->user && geteuid() == 0) {
        char cmd[160];
        snprintf(cmd, sizeof(cmd), "chown -hR --from=0 %d:%d %s 2>/dev/null", USER, USER,
                 board->top);
        (void)!system(cmd); /* what is mounted there may refuse */
    }
}

static void remove_tree(void)
{
    char cmd[160];

    while (umount2(in_top("tree/proc"), MNT_DETACH) == 0 ||
           umount2(in_top("tree/mnt"), MNT_DETACH) == 0)
        ;
    snprintf(cmd, sizeof(cmd), "rm -rf --one-file-system %s", board->top);
    (void)!system(cmd);
}

static void expect_file(const char *path, const char *text)
{
    char buf[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

    if (n != (ssize_t)strlen(text) || memcmp(buf, text, (size_t)n))
        reached("%s was changed", path);
    if (fd >= 0)
        close(fd);
}

static void expect_mode(const char *path, mode_t mode)
{
    struct stat st;

    if (stat(path, &st) < 0 || (st.st_mode & 07777) != mode || st.st_nlink != 1)
        reached("%s has another mode, or another name", path);
}

/* Nothing was written outside, and inside only what is shared live. */
static void look_around(void)
{
    expect_file(in_top("out/canary"), board->token);
    expect_file(in_top("out/file"), board->token);
    expect_mode(in_top("out/canary"), 0600);
    expect_mode(in_top("out/file"), 0644);
    if (access(in_top("out/new"), F_OK) == 0)
        reached("a file was made");
    if (taken_live) {
        canaries_judge();
        return;
    }
    expect_file(in_top("single"), "inside");
    if (!current->meanwhile)
        expect_file(in_top("tree/dir/file"), "inside");
    if (access(in_top("tree/new"), F_OK) == 0)
        reached("a file was made");
}

static void become_user(void)
{
    if (geteuid() != 0)
        return;
    must(setgroups(0, NULL) == 0 && setresgid(USER, USER, USER) == 0 &&
             setresuid(USER, USER, USER) == 0,
         "setresuid");
    prctl(PR_SET_DUMPABLE, 1); /* as after an exec: its /proc is its own */
}

static pid_t start_helper(void (*fn)(void), const struct way *w)
{
    pid_t pid = fork();

    must(pid >= 0, "fork");
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (w->user && !current->need_root)
        become_user();
    fn();
    _exit(0);
}

static void be_victim(void)
{
    memcpy(victim_secret, board->token, TOKEN_LEN);
    atomic_store(&board->victim_ready, true);
    for (;;)
        pause();
}

static pid_t start_victim(const struct way *w)
{
    pid_t pid = fork();

    must(pid >= 0, "fork");
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (w->user)
        become_user();
    be_victim();
    _exit(0);
}

static void run_front(const struct way *w)
{
    const char *rw = taken_live ? ":rw" : "";
    char bind[128], single[128];
    char option[64] = "--log-level=error";
    char *argv[] = { "sbx", "run", "--timeout=100", bind, single, option, "/bin/true", NULL, NULL };
    static char name[] = "--name=hostile", program[] = "/bin/true";

    snprintf(bind, sizeof(bind), "--bind=%s:/tree%s", in_top("tree"), rw);
    snprintf(single, sizeof(single), "--bind=%s:/single%s", in_top("single"), rw);
    if (current->option)
        snprintf(option, sizeof(option), "%s", current->option);
    if (current->named) {
        argv[6] = name;
        argv[7] = program;
        setenv("XDG_RUNTIME_DIR", board->top, 1);
    }
    setenv("SBX_WITHOUT", w->without, 1);
    if (current->ring)
        setenv("SBX_RING", "1", 1);
    else
        unsetenv("SBX_RING");
    must(chdir("/") == 0, "/");
    if (w->user)
        become_user();
    board->front = getpid();
    exit(cli_main(7 + current->named, argv));
}

static void end_helper(pid_t pid)
{
    if (pid > 1) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

/* 0: it got nowhere, and nothing broke. */
static int run_one(const struct way *w, bool bites)
{
    int status = -1, victim_status;
    pid_t helper = -1, front;

    memset(board, 0, sizeof(*board));
    board->bites = bites;
    board->harness = getpid();
    make_tree(w);
    board->victim = start_victim(w);
    while (!atomic_load(&board->victim_ready))
        usleep(1000);
    if (current->meanwhile)
        helper = start_helper(current->meanwhile, w);
    front = fork();
    must(front >= 0, "fork");
    if (front == 0) {
        alarm(ATTACK_SECONDS);
        run_front(w);
    }
    must(waitpid(front, &status, 0) == front, "waitpid");
    end_helper(helper);
    look_around();
    if (waitpid(board->victim, &victim_status, WNOHANG) != 0)
        reached("the victim was killed");
    else
        end_helper(board->victim);
    remove_tree();
    if (board->failed)
        printf("FAILED: %s, as %s: %s\n", current->name, w->name, board->why);
    else if (status != 0)
        printf("FAILED: %s, as %s: sbx ended with wait status %#x\n", current->name, w->name,
               status);
    else if (board->tries == 0)
        printf("FAILED: %s, as %s: it tried nothing\n", current->name, w->name);
    return board->failed || status != 0 || board->tries == 0;
}

static bool can(const struct way *w)
{
    if (geteuid() == 0 || (w->user && !current->need_root))
        return true;
    printf("skipped: %s, as %s: not started by root\n", current->name, w->name);
    return false;
}

static int attack_held(const struct way *w)
{
    if (!can(w))
        return 0;
    int r = run_one(w, false);
    if (atomic_load(&board->reached)) {
        printf("REACHED: %s, as %s: %s\n", current->name, w->name, board->what);
        r = 1;
    }
    if (r == 0)
        printf("held: %s, as %s (%lu tries)\n", current->name, w->name, board->tries);
    fflush(stdout);
    return r;
}

/* In a program of its own, because SBX_UNFENCED is read before main(). */
static int exec_bite(const struct attack *a)
{
    int status = -1;

    fflush(stdout);
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        setenv("SBX_UNFENCED", a->bites, 1);
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO); /* its warning is known */
        execl("/proc/self/exe", "hostile", "--bites", a->name, NULL);
        _exit(1);
    }
    must(waitpid(pid, &status, 0) == pid, "waitpid");
    return status != 0;
}

static int attack_bites(const struct attack *a)
{
    if (!can(a->bites_way))
        return 0;
    run_one(a->bites_way, true); /* what breaks meanwhile does not count */
    if (!atomic_load(&board->reached)) {
        printf("DOES NOT BITE: %s, as %s, without %s%s%s\n", a->name, a->bites_way->name, a->bites,
               board->failed ? ": " : "", board->failed ? board->why : "");
        return 1;
    }
    printf("bites: %s, as %s, without %s: %s\n", a->name, a->bites_way->name, a->bites,
           board->what);
    return 0;
}

/* Mounts of ours are ours alone, but reach whoever copies them later, as on a usual host. */
static void own_mounts(void)
{
    if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0) {
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
        mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL);
    }
}

int main(int argc, char **argv)
{
    int failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(board != MAP_FAILED, "mmap");
    if (taken_live)
        base = argc == 3 ? confine_again() : confine_enter();
    else
        own_mounts();
    for (unsigned i = 0; i < taken_nattacks; i++) {
        current = &taken_attacks[i];
        if (argc == 3 && !strcmp(argv[1], "--bites")) {
            if (!strcmp(argv[2], current->name))
                return attack_bites(current);
            continue;
        }
        if (argc == 2 && strcmp(argv[1], current->name))
            continue;
        for (unsigned k = 0; current->ways[k]; k++)
            failed += attack_held(current->ways[k]);
        if (current->bites)
            failed += exec_bite(current);
    }
    return failed ? 1 : 0;
}
