/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that owns its stub wholly. Usage: hostile MODE [ARGUMENTS], inside sbx; README.md tells what
 * each mode does, and hostile.py what must not come of it. Exit status 0: the sandbox stood; 1: it did
 * not, and what was printed says why; 77: cannot be tried here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

static const struct {
    const char *name;
    bool (*run)(int argc, char **argv);
    bool watched; /* by the watchdog */
} modes[] = {
    { "jump", jump_all, true },        { "calls", calls_all, true },
    { "reach", reach_all, true },      { "scribble", scribble_all, true },
    { "lent", lent_all, true },        { "deaths", deaths_all, true },
    { "faults", faults_all, true },    { "liars", liars_all, true },
    { "exhaust", exhaust_all, true },  { "leaks", leaks_all, false },
    { "hunt", hunt_all, false },       { "locks", locks_all, true },
    { "lentnet", lentnet_all, false },
};

static int run(unsigned i, int argc, char **argv)
{
    bool good;
    char c;

    if (modes[i].watched) /* before anything is attacked */
        watchdog_start();
    printf("begun\n");
    good = modes[i].run(argc, argv);
    fflush(stdout);
    if (modes[i].watched && !watchdog_end())
        good = false;
    printf("over\n");
    while (!isatty(0) && read(0, &c, 1) > 0) /* hostile.py looks at the sentry now */
        ;
    printf("%s\n", good ? "stood" : "FAIL");
    return !good;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "nothing") == 0) /* what deaths.c execs */
        return 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; argc > 1 && i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i].name, argv[1]) == 0)
            return stub_find() ? run(i, argc - 2, argv + 2) : 77;
    }
    fprintf(stderr, "hostile MODE [ARGUMENTS]; MODE:");
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++)
        fprintf(stderr, " %s", modes[i].name);
    fprintf(stderr, "\n");
    return 2;
}
