/* SPDX-License-Identifier: Apache-2.0 */
/* See attack.h: the list, and the program that goes through it. */
#include "cli/attack.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "cli/error.h"
#include "cli/selftest.h"

const struct attack attacks[] = {
    { "a file of the host, by its path", attack_by_path },
    { "the same through .., links, /proc and file handles", attack_by_links },
    { "writing to the host's directory", attack_write },
    { "a TCP port of the host's loopback", attack_tcp },
    { "an abstract socket of the host", attack_abstract },
    { "a socket in the current directory", attack_unix },
    { "a signal to a process of the host", attack_signal },
    { "seeing a process of the host", attack_see },
    { "tracing a process of the host, reading its memory", attack_trace },
    { "device nodes", attack_devices },
    { "mounts, chroot", attack_mounts },
    { "new and foreign namespaces", attack_namespaces },
    { "bpf, perf, keys, modules, ports", attack_forbidden },
    { "calls from within the stub's own code", attack_native },
    { "calls of other kinds: 32-bit, x32", attack_other_abi },
    { "the stub's code and channel, overwritten and unmapped", attack_blob },
    { "what others left in fresh memory", attack_fresh_memory },
    { "the host's name, identity, uptime, mounts, environment", attack_names },
    { "addresses and messages of the host's kernel", attack_kernel },
    { "shared memory of the host", attack_ipc },
};
const unsigned attacks_count = ARRAY_SIZE(attacks);

const char *through(const char *fmt, ...)
{
    static char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return text;
}

const char *reads_bait(int dir, const char *path, const char *by)
{
    char buf[sizeof ATTACK_BAIT] = "";
    int fd = openat(dir, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);

    if (fd >= 0)
        close(fd);
    return n > 0 && strcmp(buf, ATTACK_BAIT) == 0 ? by : NULL;
}

/* One line: held or through, and how. */
static void try(const struct attack *a, const struct bait *b)
{
    char how[400] = "";
    int fds[2], status = 0;
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        printf("untried\t%s\n", a->name);
        return;
    }
    if (pid == 0) {
        alarm(ATTACK_TIMEOUT);
        const char *r = a->run(b);

        if (r)
            (void)!write(fds[1], r, strlen(r));
        _exit(0);
    }
    close(fds[1]);
    while (len < sizeof how - 1 && (n = read(fds[0], how + len, sizeof how - 1 - len)) > 0)
        len += (size_t)n;
    close(fds[0]);
    waitpid(pid, &status, 0);
    how[len] = 0;
    how[strcspn(how, "\n\t")] = 0;
    printf("%s\t%s\t%s\n", *how ? "through" : "held", a->name, how);
    fflush(stdout);
}

/* Processes that make processes: ended by --timeout from outside. */
static __attribute__((noreturn)) void bomb(void)
{
    for (;;) {
        if (fork() < 0)
            usleep(1000);
    }
}

int cmd_attack(int argc, char **argv)
{
    const char *token = getenv(ATTACK_TOKEN);

    if (argc < 3 || !token || strcmp(token, argv[1]) != 0)
        return fail(EXIT_SBX, "unknown command attack; see `sbx help`");
    if (strcmp(argv[2], "bomb") == 0)
        bomb();
    if (strcmp(argv[2], "net") == 0 && argc == 5)
        return attack_net(atoi(argv[3]), atoi(argv[4]));
    if (argc != 12)
        return EXIT_SBX;
    const struct bait b = {
        .dir = argv[2],
        .abstract = argv[3],
        .shm = argv[4],
        .hostname = argv[5],
        .boot_id = argv[6],
        .secret = argv[7],
        .port = atoi(argv[8]),
        .pid = atoi(argv[9]),
        .shm_key = atoi(argv[10]),
        .uptime = atoll(argv[11]),
    };
    for (unsigned i = 0; i < attacks_count; i++) {
        if (!(unfenced("nosignal") &&
              attacks[i].run == attack_signal)) /* whose victim is dead then */
            try(&attacks[i], &b);
    }
    return 0;
}
