/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and processes that change the same names at once: each operation happens wholly or fails
 * with an error of a race, no name is lost or doubled, and directories keep true link counts.
 */
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "scratch.h"

#define THREADS 4
#define ROUNDS 300

static void *exclusive(void *arg)
{
    char name[32];
    long won = 0;

    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        int fd;

        snprintf(name, sizeof name, "x/%d", i);
        fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (fd >= 0) {
            won++;
            close(fd);
        } else if (errno != EEXIST) {
            CHECK_EQ(errno, EEXIST);
        }
    }
    return (void *)won;
}

static void *removing(void *arg)
{
    char name[32];
    long won = 0;

    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof name, "x/%d", i);
        if (unlink(name) == 0)
            won++;
        else if (errno != ENOENT)
            CHECK_EQ(errno, ENOENT);
    }
    return (void *)won;
}

static long all(void *(*fn)(void *))
{
    pthread_t th[THREADS];
    long sum = 0;

    for (long i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&th[i], NULL, fn, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) {
        void *r = NULL;

        pthread_join(th[i], &r);
        sum += (long)r;
    }
    return sum;
}

static void one_wins(void)
{
    CHECK_EQ(mkdir("x", 0755), 0);
    CHECK_EQ(all(exclusive), ROUNDS);
    CHECK_EQ(all(removing), ROUNDS);
    CHECK_EQ(rmdir("x"), 0);
}

static void *mover(void *arg)
{
    long me = (long)arg;
    char a[32], b[32];
    struct stat st;

    for (int i = 0; i < ROUNDS; i++) {
        int from = (i + me) % 3, to = (i + me + 1) % 3;

        snprintf(a, sizeof a, "m%d/d", from);
        snprintf(b, sizeof b, "m%d/d", to);
        if (rename(a, b) < 0 && errno != ENOENT && errno != ENOTEMPTY)
            CHECK_EQ(errno, ENOENT);
        if (stat(b, &st) < 0 && errno != ENOENT)
            CHECK_EQ(errno, ENOENT);
    }
    return NULL;
}

static void moving(void)
{
    struct stat st;
    int found = 0, links = 0;
    char name[32];

    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "m%d", i);
        CHECK_EQ(mkdir(name, 0755), 0);
    }
    CHECK_EQ(mkdir("m0/d", 0755), 0);
    put_text("m0/d/f", "kept");
    all(mover);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "m%d", i);
        CHECK_EQ(stat(name, &st), 0);
        links += st.st_nlink;
        snprintf(name, sizeof name, "m%d/d/f", i);
        found += access(name, F_OK) == 0;
    }
    CHECK_EQ(found, 1);
    CHECK_EQ(links, 3 * 2 + 1);
}

/* Directories moved into each other from both sides: never a loop. */
static void *crossing(void *arg)
{
    long me = (long)arg;

    for (int i = 0; i < ROUNDS; i++) {
        if (me & 1) {
            rename("c1", "c2/in");
            rename("c2/in", "c1");
        } else {
            rename("c2", "c1/in");
            rename("c1/in", "c2");
        }
    }
    return NULL;
}

static void no_loops(void)
{
    CHECK_EQ(mkdir("c1", 0755), 0);
    CHECK_EQ(mkdir("c2", 0755), 0);
    all(crossing);
    CHECK(access("c1", F_OK) == 0 || access("c2", F_OK) == 0);
    rename("c1/in", "c2");
    rename("c2/in", "c1");
    CHECK_EQ(rmdir("c1"), 0);
    CHECK_EQ(rmdir("c2"), 0);
}

static void *replacing(void *arg)
{
    char name[32];

    snprintf(name, sizeof name, "tmp%ld", (long)arg);
    for (int i = 0; i < ROUNDS; i++) {
        put_text(name, "whole");
        CHECK_EQ(rename(name, "target"), 0);
        CHECK_TEXT("target", "whole");
    }
    return NULL;
}

static void replaced_whole(void)
{
    put_text("target", "whole");
    all(replacing);
    CHECK_EQ(unlink("target"), 0);
}

static void *append(void *arg)
{
    int fd = open("log", O_WRONLY | O_APPEND);
    char line[17];

    snprintf(line, sizeof line, "thread %ld line \n", (long)arg);
    for (int i = 0; i < ROUNDS; i++)
        CHECK_EQ(write(fd, line, 15), 15);
    close(fd);
    return NULL;
}

static void appends(void)
{
    struct stat st;

    put_text("log", "");
    all(append);
    CHECK_EQ(stat("log", &st), 0);
    CHECK_EQ(st.st_size, 15 * THREADS * ROUNDS);
}

static void processes(void)
{
    int status, sum = 0;

    CHECK_EQ(mkdir("p", 0755), 0);
    for (int c = 0; c < 3; c++)
        if (fork() == 0) {
            int won = 0;
            char name[32];

            for (int i = 0; i < 100; i++) {
                snprintf(name, sizeof name, "p/%d", i);
                won += mkdir(name, 0755) == 0;
            }
            _exit(won);
        }
    while (wait(&status) > 0)
        sum += WEXITSTATUS(status);
    CHECK_EQ(sum, 100);
}

int main(void)
{
    scratch_begin();
    RUN(one_wins);
    RUN(moving);
    RUN(no_loops);
    RUN(replaced_whole);
    RUN(appends);
    RUN(processes);
    scratch_end();
    DONE();
}
