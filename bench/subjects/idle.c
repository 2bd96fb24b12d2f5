/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle sleep | server | work: says "ready" and then sleeps, waits for a connection, or waits for its
 * input; when that comes (or ends) it works for about 20 ms, with and without calls, and ends.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

static int listener(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int s = (int)ok(socket(AF_INET, SOCK_STREAM, 0), "socket");
    ok(bind(s, (struct sockaddr *)&at, sizeof at), "bind");
    ok(listen(s, 1), "listen");
    return s;
}

static void work(void)
{
    struct stat st;
    for (int i = 0; i < 1000; i++)
        ok(stat("work/one", &st), "stat");
    for (int i = 0; i < 10; i++) {
        pid_t pid = (pid_t)ok(fork(), "fork");
        if (pid == 0)
            _exit(0);
        ok(waitpid(pid, NULL, 0), "waitpid");
    }
    for (volatile long i = 0; i < 40000000; i++)
        ;
}

int main(int argc, char **argv)
{
    const char *how = argc == 2 ? argv[1] : "";
    char c;
    int s = strcmp(how, "server") == 0 ? listener() : -1;
    puts("ready");
    fflush(stdout);
    if (s >= 0) {
        accept(s, NULL, NULL);
    } else if (strcmp(how, "work") == 0) {
        (void)!read(0, &c, 1);
        work();
    } else {
        sleep(1000);
    }
    return 0;
}
