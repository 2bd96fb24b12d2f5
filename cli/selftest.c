/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See selftest.h. On the host it lays out bait: a file, a folder that the sandbox is started in, sockets
 * that listen, a process that sleeps, shared memory, a variable. Then it runs itself three times, as any user
 * would: once with the attacks (attack.h), which tell what they reached, once with a bomb of processes.
 * Afterwards it looks whether anything happened to the bait that the attacks do not tell of.
 */
#include "cli/selftest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "cli/attack.h"
#include "cli/error.h"

#define VICTIM_LEAST 600 /* a number that no process inside has by then */
#define GIVEN "given"
#define LEFT_NS 10000000000ull /* how long a sandbox may take to be gone */

static struct {
    char *dir, *work, *token, *exe, *shm, *abstract;
    char boot_id[64];
    int tcp, udp, allowed, abstract_fd, unix_fd, port, allowed_port, shm_id, shm_key;
    pid_t victim;
    struct utsname uts;
    unsigned held, through, untried;
} st;

static char *in_work(const char *name)
{
    return xjoin(st.work, name);
}

static int put_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return ok ? 0 : -1;
}

static int listens(int domain, int type, const void *addr, size_t len)
{
    int fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, addr, (socklen_t)len) < 0 || (type == SOCK_STREAM && listen(fd, 5) < 0))
        return -1;
    return fd;
}

static int lay_sockets(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    socklen_t len = sizeof in;

    st.tcp = listens(AF_INET, SOCK_STREAM, &in, sizeof in);
    if (st.tcp < 0 || getsockname(st.tcp, (struct sockaddr *)&in, &len) < 0)
        return -1;
    st.port = ntohs(in.sin_port);
    st.udp = listens(AF_INET, SOCK_DGRAM, &in, sizeof in); /* -1: the number is another's */
    in.sin_port = 0;
    st.allowed = listens(AF_INET, SOCK_STREAM, &in, sizeof in);
    if (st.allowed < 0 || getsockname(st.allowed, (struct sockaddr *)&in, &len) < 0)
        return -1;
    st.allowed_port = ntohs(in.sin_port);
    strcpy(un.sun_path + 1, st.abstract);
    st.abstract_fd = listens(AF_UNIX, SOCK_STREAM, &un,
                             offsetof(struct sockaddr_un, sun_path) + 1 + strlen(st.abstract));
    memset(un.sun_path, 0, sizeof un.sun_path);
    if (strlen(st.work) + 6 > sizeof un.sun_path)
        return -1;
    strcpy(un.sun_path, in_work("sock"));
    st.unix_fd = listens(AF_UNIX, SOCK_STREAM, &un, sizeof un);
    return st.abstract_fd < 0 || st.unix_fd < 0 ? -1 : 0;
}

static int lay_files(void)
{
    const char *tmp = getenv("TMPDIR");

    st.dir = xasprintf("%s/sbx-self-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
    if (!mkdtemp(st.dir))
        return -1;
    st.work = xjoin(st.dir, "work");
    if (mkdir(st.work, 0700) < 0 || mkdir(in_work("sub"), 0700) < 0 ||
        put_file(xjoin(st.dir, "bait"), xasprintf(ATTACK_BAIT "%s\n", st.token)) < 0 ||
        put_file(in_work(GIVEN), GIVEN) < 0 || put_file(in_work("sub/gone"), GIVEN) < 0 ||
        symlink(xjoin(st.dir, "bait"), in_work("link")) < 0 ||
        symlink("../bait", in_work("link-up")) < 0)
        return -1;
    return 0;
}

/*
 * The folder that a program lies in is shown: so that of the attacks has to lie in the folder that is
 * shown anyway, as a copy, but where nothing may be run from there.
 */
static int lay_program(void)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;
    struct statvfs fs;
    ssize_t n = 1;

    if (statvfs(st.work, &fs) == 0 && (fs.f_flag & ST_NOEXEC))
        return 0;
    st.exe = in_work("attack");
    to = open(st.exe, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    while (from >= 0 && to >= 0 && (n = sendfile(to, from, NULL, 1 << 30)) > 0)
        ;
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return from < 0 || to < 0 || n < 0 ? -1 : 0;
}

static int lay_process(void)
{
    for (unsigned i = 0; i < 2 * VICTIM_LEAST; i++) {
        st.victim = fork();
        if (st.victim < 0)
            return -1;
        if (st.victim == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (int sig = 1; sig < NSIG; sig++)
                signal(sig, SIG_DFL);
            while (getpid() >= VICTIM_LEAST)
                pause();
            _exit(0);
        }
        if (st.victim >= VICTIM_LEAST)
            return 0;
        waitpid(st.victim, NULL, 0);
    }
    return -1;
}

/* What a host may refuse without harm to the test is left out. */
static void lay_memory(void)
{
    char *path = xjoin("/dev/shm", st.shm);

    st.shm_key = 0x5b000000 | (getpid() & 0xffffff);
    st.shm_id = shmget(st.shm_key, 4096, IPC_CREAT | IPC_EXCL | 0600);
    if (st.shm_id < 0)
        st.shm_key = 0;
    (void)put_file(path, ATTACK_BAIT);
}

static int lay_out(void)
{
    uint64_t nonce[2];
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (n <= 0 || getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
        return -1;
    exe[n] = 0;
    st.exe = xstrdup(exe);
    st.token = xasprintf("%016" PRIx64 "%016" PRIx64, nonce[0], nonce[1]);
    st.shm = xasprintf("sbx-self-%.16s", st.token);
    st.abstract = st.shm;
    if (f && fgets(st.boot_id, sizeof st.boot_id, f))
        st.boot_id[strcspn(st.boot_id, "\n")] = 0;
    if (f)
        fclose(f);
    uname(&st.uts);
    st.shm_id = -1;
    if (lay_files() < 0 || lay_program() < 0 || lay_sockets() < 0 || lay_process() < 0)
        return -1;
    lay_memory();
    return 0;
}

static void clean_up(void)
{
    static const char *const names[] = { "sock",    GIVEN,      "link", "attack",
                                         "link-up", "sub/gone", "sub" };

    if (st.victim > 0) {
        kill(st.victim, SIGKILL);
        waitpid(st.victim, NULL, 0);
    }
    if (st.shm_id >= 0)
        shmctl(st.shm_id, IPC_RMID, NULL);
    if (st.shm)
        unlink(xjoin("/dev/shm", st.shm));
    for (unsigned i = 0; st.work && i < ARRAY_SIZE(names); i++)
        remove(in_work(names[i]));
    if (st.dir) {
        remove(xjoin(st.dir, "bait"));
        if (st.work)
            rmdir(st.work);
        rmdir(st.dir);
    }
}

static void tell(const char *verdict, const char *name, const char *how)
{
    bool held = strcmp(verdict, "held") == 0;

    if (held)
        st.held++;
    else if (strcmp(verdict, "through") == 0)
        st.through++;
    else
        st.untried++;
    printf("  %-8s %s%s%s\n",
           held                              ? "held"
           : strcmp(verdict, "through") == 0 ? "THROUGH"
                                             : "untried",
           name, how && *how ? ": " : "", how ? how : "");
    fflush(stdout);
}

/*
 * `sbx run ... -- sbx attack TOKEN args`, in the folder, its output to out; rule: of --allow-net, or NULL.
 * Returns the pid.
 */
static pid_t start(const char *timeout, const char *rule, char *const *args, unsigned nargs,
                   int out)
{
    char **argv = xcalloc(nargs + 11, sizeof *argv), **a = argv;
    pid_t pid;

    *a++ = "sbx", *a++ = "run", *a++ = xasprintf("--timeout=%s", timeout);
    *a++ = xasprintf("--env=%s=%s", ATTACK_TOKEN, st.token);
    if (rule)
        *a++ = xasprintf("--allow-net=%s", rule);
    *a++ = xasprintf("--bind=%s", st.exe), *a++ = "--", *a++ = st.exe, *a++ = "attack";
    *a++ = st.token;
    for (unsigned i = 0; i < nargs; i++)
        *a++ = args[i];
    *a = NULL;
    fflush(stdout);
    pid = fork();
    if (pid != 0)
        return pid;
    int null = open("/dev/null", O_RDWR);

    if (chdir(st.work) < 0 || dup2(out >= 0 ? out : null, STDOUT_FILENO) < 0 ||
        dup2(null, STDIN_FILENO) < 0)
        _exit(EXIT_SBX);
    if (rule) /* what was refused is what we ask it for */
        dup2(null, STDERR_FILENO);
    setenv(st.shm, "bait", 1);
    if (unfenced("sandbox") &&
        strcmp(args[0], "bomb") != 0) { /* they are attacks, then: on the bait */
        setenv(ATTACK_TOKEN, st.token, 1);
        argv[2] = argv[0], argv[3] = "attack", argv[4] = st.token;
        for (unsigned i = 0; i <= nargs; i++)
            argv[5 + i] = i < nargs ? args[i] : NULL;
        execv("/proc/self/exe", argv + 2);
    }
    execv("/proc/self/exe", argv);
    _exit(EXIT_SBX);
}

/* A verdict for each of the list, in its order; who is missing was not tried. */
static void run_attacks(void)
{
    struct timespec up;

    clock_gettime(CLOCK_BOOTTIME, &up);
    char *args[] = { st.dir,
                     st.abstract,
                     st.shm,
                     st.uts.nodename,
                     st.boot_id,
                     st.shm, /* the variable's name, too */
                     xasprintf("%d", st.port),
                     xasprintf("%d", (int)st.victim),
                     xasprintf("%d", st.shm_key),
                     xasprintf("%lld", (long long)up.tv_sec) };
    int fds[2], status = -1;
    unsigned next = 0;
    char line[600];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return;
    pid_t pid = start("300", NULL, args, ARRAY_SIZE(args), fds[1]);

    close(fds[1]);
    FILE *f = fdopen(fds[0], "r");

    while (f && pid > 0 && fgets(line, sizeof line, f)) {
        char *name = strchr(line, '\t'), *how = name ? strchr(name + 1, '\t') : NULL;

        line[strcspn(line, "\n")] = 0;
        if (!name)
            continue;
        *name++ = 0;
        if (how)
            *how++ = 0;
        while (next < attacks_count && strcmp(attacks[next].name, name) != 0)
            tell("untried", attacks[next++].name, NULL);
        if (next < attacks_count && ++next)
            tell(line, name, how);
    }
    if (f)
        fclose(f);
    if (pid > 0)
        waitpid(pid, &status, 0);
    while (next < attacks_count)
        tell("untried", attacks[next++].name,
             status == 0 ? NULL
                         : xasprintf("the sandbox ended with status %d", WEXITSTATUS(status)));
}

static bool untouched(const char *path, const char *text)
{
    char buf[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf);
    struct stat s;
    bool ok = n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0 &&
              fstat(fd, &s) == 0 && s.st_uid == geteuid() && (s.st_mode & 07777) == 0600;

    if (fd >= 0)
        close(fd);
    return ok;
}

/* What the attacks may have done without knowing. */
static void look_at_bait(void)
{
    struct pollfd p[] = { { st.tcp, POLLIN, 0 },
                          { st.udp, POLLIN, 0 },
                          { st.abstract_fd, POLLIN, 0 },
                          { st.unix_fd, POLLIN, 0 } };
    struct utsname now;
    const char *how = NULL;
    int status;

    if (!untouched(xjoin(st.dir, "bait"), xasprintf(ATTACK_BAIT "%s\n", st.token)) ||
        !untouched(in_work(GIVEN), GIVEN) || !untouched(in_work("sub/gone"), GIVEN))
        how = "a file was changed";
    else if (access(in_work("new"), F_OK) == 0 || access(in_work("new-dir"), F_OK) == 0 ||
             access(in_work("new-link"), F_OK) == 0 || access(in_work("moved"), F_OK) == 0)
        how = "a file was made";
    else if (poll(p, ARRAY_SIZE(p), 0) != 0)
        how = "a socket was reached";
    else if (waitpid(st.victim, &status, WNOHANG | WUNTRACED) != 0)
        how = "a process was signalled";
    else if (uname(&now) < 0 || strcmp(now.nodename, st.uts.nodename) != 0)
        how = "the host's name was changed";
    tell(how ? "through" : "held", "what the host shows afterwards", how);
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* With a network that leads to one port of ours: to another one by every form of its address. */
static void run_network(void)
{
    char *args[] = { "net", xasprintf("%d", st.allowed_port), xasprintf("%d", st.port) };
    const char *name = "a port that no rule allows, beside one that is allowed";
    struct pollfd p[] = { { st.tcp, POLLIN, 0 }, { st.udp, POLLIN, 0 } };
    int status = -1;
    pid_t pid = start("60", xasprintf("127.0.0.1:%d", st.allowed_port), args, ARRAY_SIZE(args), -1);

    if (pid > 0)
        waitpid(pid, &status, 0);
    if (poll(p, ARRAY_SIZE(p), 0) > 0 ||
        (WIFEXITED(status) && WEXITSTATUS(status) == ATTACK_NET_THROUGH))
        tell("through", name, "it was reached");
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != ATTACK_NET_HELD)
        tell("untried", name,
             WIFEXITED(status) && WEXITSTATUS(status) == ATTACK_NET_UNTRIED
                 ? "the allowed one is not reached"
                 : "the sandbox did not run");
    else
        tell("held", name, NULL);
}

/* Orphans become ours (PR_SET_CHILD_SUBREAPER): when there is no child left, nothing is. */
static void run_bomb(void)
{
    char *args[] = { "bomb" };
    int status = -1;
    pid_t pid = start("1", NULL, args, 1, -1);
    uint64_t limit;
    const char *name = "a bomb of processes, and what is left of it";

    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != EXIT_TIMEOUT) {
        tell("untried", name, xasprintf("the sandbox ended with status %d", WEXITSTATUS(status)));
        return;
    }
    limit = now_ns() + LEFT_NS;
    while ((pid = waitpid(-1, &status, WNOHANG)) >= 0 && now_ns() < limit) {
        if (pid == 0)
            usleep(10000);
    }
    tell(pid < 0 ? "held" : "through", name, pid < 0 ? NULL : "processes are left");
}

int selftest(void)
{
    int r;

    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    if (lay_out() < 0) {
        r = fail(EXIT_SBX, "the self-test cannot lay out its bait: %s", strerror(errno));
        clean_up();
        return r;
    }
    printf("Attacks from within a sandbox on this host:\n");
    run_attacks();
    look_at_bait();
    run_network();
    kill(st.victim, SIGKILL);
    waitpid(st.victim, NULL, 0);
    st.victim = 0;
    run_bomb();
    clean_up();
    printf("%u held, %u got through%s\n", st.held, st.through,
           st.untried ? xasprintf(", %u were not tried", st.untried) : "");
    return st.through || st.untried ? 1 : 0;
}
