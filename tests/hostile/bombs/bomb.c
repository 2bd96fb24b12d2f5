/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bomb NAME...: sets off each in turn, in a process of its own, and prints a line for each: name,
 * how often it went well, the errno that ended it. bomb - reads the names from standard input.
 * Exit status: that of the worst.
 */
#include "bomb.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static const struct bomb *const all[] = { bombs_tasks, bombs_memory, bombs_files, bombs_fds };
static const char *current;
unsigned long bomb_cap = 20000000, bomb_bytes = 64ul << 30;

int bomb_end_(unsigned long n, int err, const int wanted[4])
{
    const char *name = err == 0 ? "nothing" : strerrorname_np(err);

    dprintf(STDOUT_FILENO, "%s: %lu, %s\n", current, n, name ? name : "?");
    if (err == 0)
        return BOMB_BIT;
    for (int i = 0; i < 4; i++) {
        if (err == wanted[i])
            return 0;
    }
    return 1;
}

void bomb_many_files(void)
{
    struct rlimit r;

    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
}

void bomb_scratch(void)
{
    char path[64];

    snprintf(path, sizeof path, "/tmp/bomb.%d", (int)getpid());
    if (mkdir(path, 0755) < 0 || chdir(path) < 0) {
        perror(path);
        _exit(1);
    }
}

static const struct bomb *find(const char *name)
{
    for (unsigned k = 0; k < sizeof all / sizeof *all; k++) {
        for (const struct bomb *b = all[k]; b->name; b++) {
            if (strcmp(b->name, name) == 0)
                return b;
        }
    }
    return NULL;
}

static int set_off(const char *name)
{
    const struct bomb *b = find(name);
    int status;
    pid_t pid;

    if (!b) {
        printf("%s: no such bomb\n", name);
        return 1;
    }
    current = name;
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(b->run());
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("fork");
        return 1;
    }
    if (WIFSIGNALED(status)) {
        printf("%s: ended by signal %d\n", name, WTERMSIG(status));
        return 128 + WTERMSIG(status);
    }
    return WEXITSTATUS(status);
}

/* A conversation: a name comes, its line and its status go. */
static int serve(void)
{
    char line[64];

    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        printf("status %d\n", set_off(line));
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *cap = getenv("BOMB_CAP"), *bytes = getenv("BOMB_BYTES");
    int worst = 0;

    if (cap)
        bomb_cap = strtoul(cap, NULL, 10);
    if (bytes)
        bomb_bytes = strtoul(bytes, NULL, 10);
    if (argc == 2 && strcmp(argv[1], "-") == 0)
        return serve();
    for (int i = 1; i < argc; i++) {
        int r = set_off(argv[i]);

        worst = r > worst ? r : worst;
    }
    return worst;
}
