/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nameserver inside. A query whose name no rule speaks of is refused and goes nowhere; others go
 * to the host's nameservers in turn, each from a socket of its own (so that the host chooses a fresh
 * port), with a fresh id and letters in random case; what does not bear all of these is passed over.
 * One that is cut, or that nobody answered so, is asked for by TCP.
 */
#include "broker/dns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "abi/types.h"
#include "broker/server.h"

#define QUERIES_MAX 256
#define STREAMS_MAX 64
#define TRY_MS 2000
#define STREAM_MS 30000

struct query {
    struct question q;
    uint8_t wire[2 + DNS_QUESTION_MAX]; /* what was sent; the length before it is for TCP */
    size_t len;
    unsigned tries;
    uint32_t tag;          /* of the sentry's request, where stream is NULL */
    struct stream *stream; /* or who asked by TCP */
    bool tcp;
    uint8_t *in; /* TCP: what has come */
    size_t have;
};

struct stream { /* a client's TCP connection: one query after the other */
    struct watch *w;
    struct query *query; /* under way */
    uint8_t in[2 + DNS_QUESTION_MAX + 512];
    size_t have;
};

static unsigned nqueries, nstreams;
static uint8_t out[2 + DNS_MAX];

static void stream_next(struct stream *s);
static void stream_end(struct stream *s);

/* ---- answers to clients ---- */

/* out + 2 holds n bytes. */
static void respond(const struct query *q, size_t n)
{
    const struct nb_rep r = { .op = NB_ANSWER, .tag = q->tag, .len = (uint32_t)n };

    if (!q->stream) {
        reply(&r, out + 2, -1);
        return;
    }
    out[0] = (uint8_t)(n >> 8);
    out[1] = (uint8_t)n;
    if (send(q->stream->w->fd, out, n + 2, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)(n + 2))
        shutdown(q->stream->w->fd, SHUT_RDWR); /* it does not read: no half an answer */
}

static void query_free(struct query *q)
{
    struct stream *s = q->stream;

    free(q->in);
    free(q);
    nqueries--;
    if (s) {
        s->query = NULL;
        stream_next(s);
    }
}

static void give_up(struct query *q)
{
    respond(q, dns_error(&q->q, DNS_SERVFAIL, out + 2));
    query_free(q);
}

/* ---- nameservers ---- */

static void ask(struct query *q);

static void finish(struct query *q, const uint8_t *msg, size_t len)
{
    size_t cap = q->stream ? DNS_MAX : DNS_UDP_MAX;

    if (!net_allows_name(broker->policy, q->q.name)) /* any more */
        respond(q, dns_error(&q->q, DNS_REFUSED, out + 2));
    else
        respond(q, dns_answer(broker->policy, &q->q, msg, len, out + 2, cap));
    query_free(q);
}

static void on_udp(struct watch *w, uint32_t events)
{
    static uint8_t msg[DNS_MAX];
    struct query *q = w->query;
    bool cut = false;

    while (events) {
        ssize_t n = recvfrom(w->fd, msg, sizeof msg, MSG_DONTWAIT, NULL, NULL);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) /* nobody is there */
            break;
        if (!dns_is_answer(q->wire + 2, q->len, msg, (size_t)n, &cut))
            continue;
        watch_free(w, false);
        if (cut) {
            q->tcp = true;
            q->tries = 0;
            ask(q);
        } else {
            finish(q, msg, (size_t)n);
        }
        return;
    }
    watch_free(w, false);
    ask(q);
}

static void on_tcp(struct watch *w, uint32_t events)
{
    struct query *q = w->query;
    bool cut;

    if (events & EPOLLOUT) {
        ssize_t n = send(w->fd, q->wire, q->len + 2, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n == (ssize_t)(q->len + 2)) {
            watch_set(w, EPOLLIN);
            return;
        }
        events = 0;
    }
    if (events) {
        ssize_t n = recvfrom(w->fd, q->in + q->have, 2 + DNS_MAX - q->have, MSG_DONTWAIT, NULL,
                             NULL);
        size_t want;

        if (n < 0 && errno == EAGAIN)
            return;
        q->have += n > 0 ? (size_t)n : 0;
        want = q->have >= 2 ? (size_t)q->in[0] << 8 | q->in[1] : 0;
        if (n > 0 && (q->have < 2 || q->have < want + 2))
            return;
        if (n > 0 && dns_is_answer(q->wire + 2, q->len, q->in + 2, want, &cut)) {
            watch_free(w, false);
            finish(q, q->in + 2, want);
            return;
        }
    }
    watch_free(w, false);
    ask(q);
}

/* Sends it to the next nameserver; by TCP when all were asked in vain. */
static void ask(struct query *q)
{
    uint8_t random[2 + 32];
    struct watch *w;
    int fd;

    if (q->tries >= 2 * broker->nservers && !q->tcp && broker->nservers) {
        q->tcp = true;
        q->tries = 0;
    }
    if (q->tries >= (q->tcp ? 1u : 2u) * broker->nservers ||
        getrandom(random, sizeof random, 0) != (ssize_t)sizeof random ||
        (q->tcp && !q->in && !(q->in = malloc(2 + DNS_MAX)))) {
        give_up(q);
        return;
    }
    const struct sockaddr_in6 *at = &broker->servers[q->tries++ % broker->nservers];
    struct sockaddr_storage ss;
    struct nb_addr a;
    memcpy(&ss, at, sizeof *at);
    from_sockaddr(&ss, &a);
    socklen_t n = to_sockaddr(&a, &ss);

    q->len = dns_query(&q->q, random, q->wire + 2);
    q->wire[0] = (uint8_t)(q->len >> 8);
    q->wire[1] = (uint8_t)q->len;
    q->have = 0;
    fd = socket(ss.ss_family, (q->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
                0);
    w = fd >= 0 ? watch_new(fd, q->tcp ? EPOLLOUT : EPOLLIN, q->tcp ? on_tcp : on_udp) : NULL;
    if (!w) {
        if (fd >= 0)
            close(fd);
        give_up(q);
        return;
    }
    w->query = q;
    w->deadline = now_ms() + TRY_MS;
    if (connect(fd, (struct sockaddr *)&ss, n) < 0 && errno != EINPROGRESS)
        w->deadline = now_ms(); /* the next one, from the loop */
    else if (!q->tcp)
        send(fd, q->wire + 2, q->len, MSG_NOSIGNAL);
}

/* A query of either kind of client. */
static void take_query(const uint8_t *msg, size_t len, uint32_t tag, struct stream *s)
{
    struct query now = { .tag = tag, .stream = s }, *q;
    int code = dns_parse(msg, len, &now.q);

    if (code == DNS_OK && !net_allows_name(broker->policy, now.q.name)) {
        struct nb_rep r = { .op = NB_ANSWER,
                            .tag = 0, /* no answer: a note for the user */
                            .error = -EACCES,
                            .len = (uint32_t)strlen(now.q.name) };
        note_refused(now.q.name, NULL);
        reply(&r, now.q.name, -1);
        code = DNS_REFUSED;
    }
    if (code == DNS_OK && nqueries == QUERIES_MAX)
        code = DNS_SERVFAIL;
    q = code == DNS_OK ? malloc(sizeof *q) : NULL;
    if (q) {
        *q = now;
        nqueries++;
        if (s)
            s->query = q;
        ask(q);
    } else if (code >= 0) {
        respond(&now, dns_error(&now.q, code == DNS_OK ? DNS_SERVFAIL : code, out + 2));
    } else {
        respond(&now, 0);
    }
}

void serve_dns(const struct nb_req *m, const uint8_t *data)
{
    take_query(data, m->len, m->tag, NULL);
}

/* ---- clients by TCP ---- */

static void stream_end(struct stream *s)
{
    if (s->query) /* it goes on alone, and its answer nowhere */
        return;
    watch_free(s->w, false);
    free(s);
    nstreams--;
}

/* What has come whole is asked, one at a time. */
static void stream_next(struct stream *s)
{
    while (!s->query && s->have >= 2) {
        size_t want = (size_t)s->in[0] << 8 | s->in[1];

        if (want + 2 > sizeof s->in) {
            shutdown(s->w->fd, SHUT_RDWR);
            return;
        }
        if (s->have < want + 2)
            break;
        uint8_t msg[sizeof s->in];
        memcpy(msg, s->in + 2, want);
        s->have -= want + 2;
        memmove(s->in, s->in + 2 + want, s->have);
        take_query(msg, want, 0, s);
    }
    s->w->deadline = now_ms() + STREAM_MS;
    watch_set(s->w, s->query ? 0 : EPOLLIN);
}

static void on_stream(struct watch *w, uint32_t events)
{
    struct stream *s = w->stream;
    ssize_t n = -1;

    if (s->query) { /* the client is gone, or its time is up: when the query is answered */
        w->deadline = now_ms() + STREAM_MS;
        if (events)
            watch_set(w, EPOLLET);
        return;
    }
    if (events)
        n = recvfrom(w->fd, s->in + s->have, sizeof s->in - s->have, MSG_DONTWAIT, NULL, NULL);
    if (n < 0 && events && errno == EAGAIN)
        return;
    if (n <= 0) {
        stream_end(s);
        return;
    }
    s->have += (size_t)n;
    stream_next(s);
}

int dns_stream(void)
{
    struct stream *s = nstreams < STREAMS_MAX ? calloc(1, sizeof *s) : NULL;
    int sv[2];

    if (!s)
        return -EAGAIN;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) < 0) {
        free(s);
        return -errno;
    }
    s->w = watch_new(sv[0], EPOLLIN, on_stream);
    if (!s->w) {
        close(sv[0]);
        close(sv[1]);
        free(s);
        return -EAGAIN;
    }
    s->w->stream = s;
    s->w->deadline = now_ms() + STREAM_MS;
    nstreams++;
    return sv[1];
}
