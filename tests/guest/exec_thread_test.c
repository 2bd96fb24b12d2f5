/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that make a thread as the first thing they do, many at once: none may die of it. */
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

#include "guest.h"

#define AT_ONCE 8
#define ROUNDS 25

extern char **environ;

static void *thread(void *arg)
{
    return arg;
}

static int one(void)
{
    static char mark;
    pthread_t th;
    void *r = NULL;

    if (pthread_create(&th, NULL, thread, &mark) != 0 || pthread_join(th, &r) != 0)
        return 1;
    return r == &mark ? 33 : 2;
}

static void many(void)
{
    char self[] = "/proc/self/exe", *argv[] = { self, self, NULL };
    pid_t pid[AT_ONCE];

    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < AT_ONCE; k++)
            CHECK_EQ(posix_spawn(&pid[k], self, NULL, NULL, argv, environ), 0);
        for (int k = 0; k < AT_ONCE; k++) {
            int st = 0;

            CHECK_EQ(waitpid(pid[k], &st, 0), pid[k]);
            CHECK_EQ(st, 33 << 8);
        }
    }
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return one();
    RUN(many);
    DONE();
}
