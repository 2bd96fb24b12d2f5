/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on sockets at once: accept shared by threads, epoll with edges, closes under way. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "guest.h"

#define CLIENTS 4
#define ROUNDS 50

static struct sockaddr_in addr;
static int lfd;
static _Atomic int served, bad;

static void *server(void *arg)
{
    (void)arg;
    for (;;) {
        char b[512];
        ssize_t n;
        int s = accept(lfd, NULL, NULL);

        if (s < 0)
            return NULL;
        while ((n = read(s, b, sizeof b)) > 0)
            if (write(s, b, (size_t)n) != n)
                bad++;
        served++;
        close(s);
    }
}

static void *client(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        char out[2000], in[2000];
        int s = socket(AF_INET, SOCK_STREAM, 0);

        memset(out, i, sizeof out);
        if (connect(s, (void *)&addr, sizeof addr) < 0)
            bad++;
        if (write(s, out, sizeof out) != sizeof out)
            bad++;
        if (recv(s, in, sizeof in, MSG_WAITALL) != sizeof in || memcmp(in, out, sizeof in))
            bad++;
        close(s);
    }
    return NULL;
}

static void accept_by_many(void)
{
    pthread_t srv[3], cl[CLIENTS];
    socklen_t n = sizeof addr;

    addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    lfd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(lfd, (void *)&addr, sizeof addr), 0);
    CHECK_EQ(listen(lfd, 16), 0);
    CHECK_EQ(getsockname(lfd, (void *)&addr, &n), 0);
    for (int i = 0; i < 3; i++)
        pthread_create(&srv[i], NULL, server, NULL);
    for (int i = 0; i < CLIENTS; i++)
        pthread_create(&cl[i], NULL, client, NULL);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(cl[i], NULL);
    shutdown(lfd, SHUT_RD); /* wakes all that accept */
    for (int i = 0; i < 3; i++)
        pthread_join(srv[i], NULL);
    CHECK_EQ(served, CLIENTS * ROUNDS);
    CHECK_EQ(bad, 0);
    close(lfd);
}

static void *pump(void *arg)
{
    int fd = *(int *)arg;
    char b[3000];

    memset(b, 'p', sizeof b);
    for (int i = 0; i < 300; i++)
        if (write(fd, b, sizeof b) != sizeof b)
            bad++;
    shutdown(fd, SHUT_WR);
    return NULL;
}

/* Edges: each is taken until EAGAIN; no byte may be forgotten. */
static void edges(void)
{
    int s[2][2], ep = epoll_create1(0), open = 2;
    struct epoll_event ev[4];
    size_t got = 0;
    pthread_t t[2];

    for (int i = 0; i < 2; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s[i]), 0);
        fcntl(s[i][0], F_SETFL, O_NONBLOCK);
        ev[0] = (struct epoll_event){ .events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)i };
        CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, s[i][0], &ev[0]), 0);
        pthread_create(&t[i], NULL, pump, &s[i][1]);
    }
    while (open) {
        int n = epoll_wait(ep, ev, 4, 5000);

        if (n <= 0) {
            CHECK(n > 0);
            break;
        }
        for (int i = 0; i < n; i++) {
            char b[1000];
            ssize_t r;

            while ((r = read(s[ev[i].data.u32][0], b, sizeof b)) > 0)
                got += (size_t)r;
            if (r == 0) {
                epoll_ctl(ep, EPOLL_CTL_DEL, s[ev[i].data.u32][0], NULL);
                open--;
            }
        }
    }
    CHECK_EQ(got, 2 * 300 * 3000);
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], NULL);
        close(s[i][0]);
        close(s[i][1]);
    }
    close(ep);
}

static void *reader(void *arg)
{
    char c;

    while (read(*(int *)arg, &c, 1) == 1)
        served++;
    return NULL;
}

/* Several readers of one socket: every byte is had once, and all end with the peer. */
static void shared_readers(void)
{
    pthread_t t[4];
    int s[2];

    served = 0;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, reader, &s[0]);
    for (int i = 0; i < 500; i++)
        CHECK_EQ(write(s[1], "xy", 2), 2);
    close(s[1]);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(served, 1000);
    close(s[0]);
}

static volatile int signals;

static void on_usr1(int sig)
{
    (void)sig;
    signals++;
}

static void *wait_for_data(void *arg)
{
    char c;
    ssize_t n = read(*(int *)arg, &c, 1);

    return (void *)(long)(n < 0 ? -errno : n);
}

/* A signal ends a read (EINTR), or it is restarted (SA_RESTART), as the handler says. */
static void interrupted(void)
{
    struct sigaction sa = { .sa_handler = on_usr1 };
    pthread_t t;
    void *r;
    int s[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    for (int restart = 0; restart < 2; restart++) {
        signals = 0;
        sa.sa_flags = restart ? SA_RESTART : 0;
        sigaction(SIGUSR1, &sa, NULL);
        pthread_create(&t, NULL, wait_for_data, &s[0]);
        while (!signals) {
            usleep(5000);
            pthread_kill(t, SIGUSR1);
            usleep(1000);
        }
        if (restart)
            CHECK_EQ(write(s[1], "x", 1), 1);
        pthread_join(t, &r);
        CHECK_EQ((long)r, restart ? 1 : -EINTR);
    }
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    RUN(accept_by_many);
    RUN(edges);
    RUN(shared_readers);
    RUN(interrupted);
    DONE();
}
