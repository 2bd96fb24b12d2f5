/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipe, Unix socket and TCP over the loopback: one byte there and back between two threads or two
 * processes, and 1 GiB (256 MiB with -q) through, in writes of 64 KiB, given as ms for 1 GiB.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

enum { PIPE, UNIX, TCP };
enum { THREADS, PROCESSES };

/* Two ends; a pipe needs two descriptors for each. */
struct link {
    int rd[2], wr[2];
};

static void tcp_pair(int pair[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int one = 1;
    int listener = (int)ok(socket(AF_INET, SOCK_STREAM, 0), "socket");
    ok(bind(listener, (struct sockaddr *)&at, len), "bind");
    ok(listen(listener, 1), "listen");
    ok(getsockname(listener, (struct sockaddr *)&at, &len), "getsockname");
    pair[0] = (int)ok(socket(AF_INET, SOCK_STREAM, 0), "socket");
    ok(connect(pair[0], (struct sockaddr *)&at, len), "connect");
    pair[1] = (int)ok(accept(listener, NULL, NULL), "accept");
    for (int i = 0; i < 2; i++)
        ok(setsockopt(pair[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
    close(listener);
}

static struct link link_new(long kind)
{
    struct link l;
    int p[2], q[2];
    if (kind == PIPE) {
        ok(pipe(p), "pipe");
        ok(pipe(q), "pipe");
        return (struct link){ .rd = { p[0], q[0] }, .wr = { q[1], p[1] } };
    }
    if (kind == UNIX)
        ok(socketpair(AF_UNIX, SOCK_STREAM, 0, p), "socketpair");
    else
        tcp_pair(p);
    l = (struct link){ .rd = { p[0], p[1] }, .wr = { p[0], p[1] } };
    return l;
}

static void link_free(struct link *l)
{
    for (int i = 0; i < 2; i++) {
        close(l->rd[i]);
        if (l->wr[i] != l->rd[i])
            close(l->wr[i]);
    }
}

struct job {
    struct link link;
    long count;
};

static void *echo(void *arg)
{
    struct job *job = arg;
    char c;
    for (long i = 0; i < job->count; i++) {
        read_all(job->link.rd[1], &c, 1);
        write_all(job->link.wr[1], &c, 1);
    }
    return NULL;
}

static void *swallow(void *arg)
{
    static char buf[65536];
    struct job *job = arg;
    for (long left = job->count; left > 0;) {
        long n = ok(read(job->link.rd[1], buf, sizeof buf), "read");
        if (n == 0)
            fail("end of file");
        left -= n;
    }
    return NULL;
}

/* The other end runs in a thread or a process of its own until it has done its count. */
struct other {
    pthread_t thread;
    pid_t pid;
};

static struct other other_start(long who, void *(*what)(void *), struct job *job)
{
    struct other o = { 0 };
    if (who == THREADS) {
        if (pthread_create(&o.thread, NULL, what, job) != 0)
            fail("pthread_create");
        return o;
    }
    o.pid = (pid_t)ok(fork(), "fork");
    if (o.pid == 0) {
        what(job);
        _exit(0);
    }
    return o;
}

static void other_wait(struct other *o)
{
    int status = 0;
    if (o->pid == 0)
        pthread_join(o->thread, NULL);
    else if (waitpid(o->pid, &status, 0) != o->pid || status != 0)
        fail("the other process");
}

/* a: kind of link, b: threads or processes */
static void ping_pong(const struct row *row)
{
    double batch[BATCHES];
    long n = bench_count(row->count) / BATCHES;
    struct job job = { link_new(row->a), n * (BATCHES + 1) };
    struct other other = other_start(row->b, echo, &job);
    for (int b = -1; b < BATCHES; b++) {
        double start = now_us();
        for (long i = 0; i < n; i++) {
            char c = 'x';
            write_all(job.link.wr[0], &c, 1);
            read_all(job.link.rd[0], &c, 1);
        }
        if (b >= 0)
            batch[b] = (now_us() - start) / (double)n;
    }
    other_wait(&other);
    link_free(&job.link);
    report(row->name, median(batch, BATCHES), "us");
}

static void through(const struct row *row)
{
    static char buf[65536];
    long mib = bench_count(row->count) < row->count ? 256 : 1024;
    struct job job = { link_new(row->a), mib << 20 };
    memset(buf, 'x', sizeof buf);
    struct other other = other_start(row->b, swallow, &job);
    double start = now_us();
    for (long i = 0; i < mib * 16; i++)
        write_all(job.link.wr[0], buf, sizeof buf);
    other_wait(&other);
    report(row->name, (now_us() - start) / 1e3 * 1024 / (double)mib, "ms");
    link_free(&job.link);
}

static const struct row rows[] = {
    { "pipe-threads", ping_pong, NULL, 5500, PIPE, THREADS },
    { "pipe-processes", ping_pong, NULL, 5500, PIPE, PROCESSES },
    { "unix-threads", ping_pong, NULL, 5500, UNIX, THREADS },
    { "unix-processes", ping_pong, NULL, 5500, UNIX, PROCESSES },
    { "tcp-threads", ping_pong, NULL, 5500, TCP, THREADS },
    { "tcp-processes", ping_pong, NULL, 5500, TCP, PROCESSES },
    { "pipe-1GiB", through, NULL, 1024, PIPE, PROCESSES },
    { "unix-1GiB", through, NULL, 1024, UNIX, PROCESSES },
    { "tcp-1GiB", through, NULL, 1024, TCP, PROCESSES },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
