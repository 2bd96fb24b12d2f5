/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawner [-n TIMES] [-p PREPARATION] NAME COMMAND...
 *
 * Times a whole program from inside: fork, exec and wait, median of TIMES. The preparation is a shell
 * command that runs before each time and is not counted. $MEM is a directory in memory.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define MOST 100

/* What it says goes nowhere, but for its errors. */
static void run(char **argv)
{
    int status;
    pid_t pid = (pid_t)ok(fork(), "fork");
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    ok(waitpid(pid, &status, 0), "waitpid");
    if (status == 0)
        return;
    fprintf(stderr, "%s: status %#x\n", argv[0], (unsigned)status);
    exit(1);
}

int main(int argc, char **argv)
{
    double ms[MOST];
    int c, times = 1;
    char *prepare[] = { (char *)"sh", (char *)"-c", NULL, NULL };
    while ((c = getopt(argc, argv, "+n:p:")) != -1) {
        if (c == 'n')
            times = (int)strtol(optarg, NULL, 10);
        else if (c == 'p')
            prepare[2] = optarg;
        else
            return 2;
    }
    if (argc - optind < 2 || times < 1 || times > MOST)
        return 2;
    setenv("MEM", memory_dir(), 1);
    for (int i = 0; i < times; i++) {
        if (prepare[2] != NULL)
            run(prepare);
        double start = now_us();
        run(argv + optind + 1);
        ms[i] = (now_us() - start) / 1e3;
    }
    report(argv[optind], median(ms, (size_t)times), "ms");
    return 0;
}
